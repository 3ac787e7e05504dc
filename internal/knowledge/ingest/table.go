package ingest

import (
	"errors"
	"fmt"
	"strings"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// home is the data source whose rows are meant.
type home struct {
	Account, Region, Base, Source string
}

func homeOf(b *knowledge.Base, s *knowledge.Source) home {
	return home{b.Account, b.Region, b.ID, s.ID}
}

// key is the row of an id in the data source; the parent of rows names both, because
// ids of data sources are their knowledge base's.
func (h home) key(id string) store.Key {
	return store.Key{Account: h.Account, Region: h.Region, Parent: h.parent(), ID: id}
}

func (h home) parent() string { return h.Base + "/" + h.Source }

func (h home) query() store.Query {
	return store.Query{Account: h.Account, Region: h.Region, Parent: h.parent()}
}

// work names the job.Job of an ingestion job: Kind.Done knows nothing else of it.
func (h home) work(id string) string { return "sync." + h.Base + "." + h.Source + "." + id }

// worked reads what work wrote.
func worked(j job.Job) (h home, id string, err error) {
	p := strings.Split(j.ID, ".")
	if len(p) != 4 {
		return h, "", fmt.Errorf("BUG: a job of the id %q", j.ID)
	}
	return home{j.Account, j.Region, p[1], p[2]}, p[3], nil
}

// jobRow is an ingestion job. Its class is the knowledge base, of which one job runs at
// a time. Failure reasons have a row of their own: lists do not show them.
type jobRow struct {
	Description string `json:"description,omitempty"`
	Counts      counts `json:"counts"`
}

var jobRows = store.Kind[jobRow]{Name: "knowledge-ingestion-job", SharedNames: true}

// reasonsRow is why documents of a job failed, or the job itself.
type reasonsRow struct {
	Reasons []string `json:"reasons"`
}

var reasonsRows = store.Kind[reasonsRow]{Name: "knowledge-ingestion-reasons", SharedNames: true}

// counts are the statistics of a job, spec 9.4.
type counts struct {
	Scanned         int64 `json:"scanned"`
	MetadataScanned int64 `json:"metadataScanned"`
	New             int64 `json:"new"`
	Modified        int64 `json:"modified"`
	MetadataChanged int64 `json:"metadataChanged"`
	Deleted         int64 `json:"deleted"`
	Failed          int64 `json:"failed"`
}

func (c counts) statistics() *api.IngestionJobStatistics {
	return &api.IngestionJobStatistics{
		NumberOfDocumentsScanned: new(c.Scanned), NumberOfMetadataDocumentsScanned: new(c.MetadataScanned),
		NumberOfNewDocumentsIndexed: new(c.New), NumberOfModifiedDocumentsIndexed: new(c.Modified),
		NumberOfMetadataDocumentsModified: new(c.MetadataChanged), NumberOfDocumentsDeleted: new(c.Deleted),
		NumberOfDocumentsFailed: new(c.Failed),
	}
}

// documentRow is a document of a data source. Its id is the hash of its place. In the
// clear stand its state, as target the version that was tried last, and as source the
// job that tried it: what a sync asks of every row.
type documentRow struct {
	Place knowledge.Place `json:"place"`
	// What the index holds of it, empty when nothing.
	Version  string `json:"version,omitempty"`
	Content  string `json:"content,omitempty"`  // mark of the file
	Metadata string `json:"metadata,omitempty"` // mark of its metadata, "" without any
	// Reason is why it failed, Warning what of its metadata was ignored; About is the
	// file that the warning is about. Both complete a sentence (reasons.go).
	Reason  string `json:"reason,omitempty"`
	Warning string `json:"warning,omitempty"`
	About   string `json:"about,omitempty"`
	// Ended is why the work on it ended before it came to it, a sentence.
	Ended string `json:"ended,omitempty"`
	// Wish is what was asked for directly and is still to be done.
	Wish *wish `json:"wish,omitempty"`
}

var documentRows = store.Kind[documentRow]{Name: "knowledge-document", SharedNames: true}

// indexed says whether searches find the document.
func (d *documentRow) indexed() bool { return d.Version != "" }

// wish is a document that was given directly, or is to go.
type wish struct {
	Seq    string `json:"seq"` // a later wish has another one
	Delete bool   `json:"delete,omitempty"`

	// One of both: content in a contentRow, or in a bucket.
	Inline    bool   `json:"inline,omitempty"`
	MediaType string `json:"mediaType,omitempty"`
	URI       string `json:"uri,omitempty"`
	Owner     string `json:"owner,omitempty"`

	Attributed    bool   `json:"attributed,omitempty"` // by a contentRow
	Metadata      string `json:"metadata,omitempty"`   // mark of the attributes
	MetadataURI   string `json:"metadataUri,omitempty"`
	MetadataOwner string `json:"metadataOwner,omitempty"`
}

// contentRow is what was given inline, until it is indexed: content, attributes or both.
// It is sealed with the key of the data source's temporary data.
type contentRow struct {
	Seq        string                 `json:"seq"`
	Data       []byte                 `json:"data,omitempty"`
	Attributes map[string]parse.Value `json:"attributes,omitempty"`
}

var contentRows = store.Kind[contentRow]{Name: "knowledge-document-content", SharedNames: true}

// turnRow says which job works on the documents of a data source.
type turnRow struct {
	Job string `json:"job"`
}

var turnRows = store.Kind[turnRow]{Name: "knowledge-turn", SharedNames: true}

// turnID is the id of the one turnRow in a data source.
const turnID = "turn"

// holder answers the unfinished job that has the turn, "" for none.
func holder(tx *store.Tx, h home) (string, error) {
	rec, err := turnRows.Get(tx, h.key(turnID))
	if errors.Is(err, store.ErrNotFound) || err == nil && rec.Body.Job == "" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	j, err := job.Get(tx, rec.Body.Job)
	if errors.Is(err, store.ErrNotFound) || err == nil && !j.Finished.IsZero() {
		return "", nil
	}
	return rec.Body.Job, err
}

// take gives the turn to a job; false when another one has it.
func take(tx *store.Tx, h home, id string) (bool, error) {
	has, err := holder(tx, h)
	if err != nil || has != "" {
		return has == id, err
	}
	return true, putTurn(tx, h, id)
}

// release gives the turn back if the job has it.
func release(tx *store.Tx, h home, id string) error {
	rec, err := turnRows.Get(tx, h.key(turnID))
	if errors.Is(err, store.ErrNotFound) || err == nil && rec.Body.Job != id {
		return nil
	}
	if err != nil {
		return err
	}
	return turnRows.Delete(tx, rec.Key)
}

func putTurn(tx *store.Tx, h home, id string) error {
	rec, err := turnRows.Get(tx, h.key(turnID))
	if errors.Is(err, store.ErrNotFound) {
		_, err = turnRows.Create(tx, h.key(turnID), turnRow{Job: id}, store.Columns{})
		return err
	}
	if err != nil {
		return err
	}
	rec.Body.Job = id
	_, err = turnRows.Put(tx, rec)
	return err
}

// active are the states of a job that has not ended.
var active = []string{string(api.IngestionJobStatusStarting), string(api.IngestionJobStatusInProgress), string(api.IngestionJobStatusStopping)}

// waiting are the states of a document with a wish.
var waiting = []string{
	string(api.DocumentStatusPending), string(api.DocumentStatusStarting), string(api.DocumentStatusInProgress),
	string(api.DocumentStatusDeleting), string(api.DocumentStatusDeleteInProgress),
}

// Forget removes what is kept of a data source: its documents, its jobs and what waits
// for them. Jobs that run are asked to stop, and write nothing more.
func Forget(tx *store.Tx, account, region, base, source string) error {
	h := home{account, region, base, source}
	if _, err := Quiet(tx, account, region, base, source); err != nil {
		return err
	}
	for _, remove := range []func(*store.Tx, store.Key) (int64, error){
		documentRows.DeleteIn, contentRows.DeleteIn, jobRows.DeleteIn, reasonsRows.DeleteIn, turnRows.DeleteIn,
	} {
		if _, err := remove(tx, h.key("")); err != nil {
			return fmt.Errorf("forget documents of data source %s: %w", source, err)
		}
	}
	return nil
}

// Quiet asks the work on a data source to stop, without waiting, and says whether some
// still runs: whoever deletes its documents from the index does so when it is not busy.
// What was given directly and is not done yet is dropped.
func Quiet(tx *store.Tx, account, region, base, source string) (busy bool, err error) {
	h := home{account, region, base, source}
	q := h.query()
	q.Status, q.Clear, q.Limit = active, true, 1000
	page, err := jobRows.List(tx, q)
	if err != nil {
		return false, err
	}
	for _, rec := range page.Records {
		asked, err := job.Stop(tx, h.work(rec.ID))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		if rec.Status != string(api.IngestionJobStatusStopping) {
			if err := jobRows.SetStatus(tx, rec.Key, string(api.IngestionJobStatusStopping)); err != nil {
				return false, err
			}
		}
		busy = busy || asked
	}
	has, err := holder(tx, h)
	if err != nil {
		return false, err
	}
	if has != "" {
		if _, err := job.Stop(tx, has); err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
	}
	return busy || has != "", nil
}

// shown is a job as operations answer it.
func shown(h home, rec *store.Record[jobRow]) api.IngestionJob {
	out := api.IngestionJob{
		KnowledgeBaseId: h.Base, DataSourceId: h.Source, IngestionJobId: rec.ID, Status: api.IngestionJobStatus(rec.Status),
		Statistics: rec.Body.Counts.statistics(), StartedAt: rec.Created, UpdatedAt: rec.Updated,
	}
	if rec.Body.Description != "" {
		out.Description = &rec.Body.Description
	}
	return out
}
