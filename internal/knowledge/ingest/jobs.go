package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// open says whether documents can be brought into the data source now.
func (r *Room) open(b *knowledge.Base, s *knowledge.Source) error {
	if b.Status != api.KnowledgeBaseStatusActive {
		return conflict("The knowledge base %s is in the state %s. Wait until it is ACTIVE and retry your request.", b.ID, b.Status)
	}
	if s.Status != api.DataSourceStatusAvailable {
		return conflict("The data source %s is in the state %s. Wait until it is AVAILABLE and retry your request.", s.ID, s.Status)
	}
	if _, ok := r.cfg.Knowledge.Capabilities(b); !ok {
		return invalid("The vector store of the knowledge base %s is one that Outcrop keeps and shows but cannot use, so nothing can be ingested into it.", b.ID)
	}
	_, err := planOf(b, s)
	return err
}

// StartIngestionJob writes the job and the work that it is.
func (o Jobs) StartIngestionJob(ctx context.Context, in *api.StartIngestionJobInput) (*api.StartIngestionJobOutput, error) {
	c := call.From(ctx)
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	if err := o.open(b, s); err != nil {
		return nil, err
	}
	if s.Config.Type != api.DataSourceTypeS3 {
		if s.Config.Type == api.DataSourceTypeCustom {
			return nil, invalid("A data source of type CUSTOM is not synced. Ingest its documents with IngestKnowledgeBaseDocuments.")
		}
		return nil, invalid("Data sources of type %s are not supported by Outcrop.", s.Config.Type)
	}
	if err := o.mayEmbed(ctx, b); err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	var out *api.IngestionJob
	err = o.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		request := []any{in.KnowledgeBaseId, in.DataSourceId, in.Description}
		id, err := store.Idempotent(tx, token(c, "StartIngestionJob", in.ClientToken), request, func() (string, error) {
			return o.start(tx, h, in.Description)
		})
		if err != nil {
			return err
		}
		rec, err := jobRows.Get(tx, h.key(id))
		if err != nil {
			return err
		}
		out = new(shown(h, &rec))
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.StartIngestionJobOutput{IngestionJob: out}, nil
}

// mayEmbed asks whether the service role can be taken and may invoke the embedding model.
func (r *Room) mayEmbed(ctx context.Context, b *knowledge.Base) error {
	as, p, err := r.cfg.Knowledge.Acting(ctx, b)
	if err != nil {
		return err
	}
	return r.cfg.Knowledge.MayEmbed(as, b, p)
}

// start writes a job, if none runs.
func (r *Room) start(tx *store.Tx, h home, description *string) (string, error) {
	q := store.Query{Account: h.Account, Region: h.Region, AnyParent: true, Status: active, Clear: true, Limit: 1000}
	all, err := jobRows.List(tx, q)
	if err != nil {
		return "", err
	}
	for _, rec := range all.Records {
		if rec.Class == h.Base {
			return "", conflict("The ingestion job %s of the knowledge base %s is still running, and one at a time can run. Wait until it has ended, or stop it, and retry your request.", rec.ID, h.Base)
		}
	}
	if len(all.Records) >= r.cfg.Quotas.Jobs {
		return "", apierr.New(apierr.ServiceQuotaExceeded, "The quota of %d ingestion jobs that run at the same time is reached. Wait until one has ended and retry your request.", r.cfg.Quotas.Jobs)
	}
	row := jobRow{}
	if description != nil {
		row.Description = *description
	}
	id := arn.NewID()
	_, err = jobRows.Create(tx, h.key(id), row, store.Columns{Status: string(Lifecycle.Initial()), Class: h.Base})
	if err != nil {
		return "", err
	}
	_, fresh, err := job.Enqueue(tx, job.Spec{Kind: syncJob, Account: h.Account, Region: h.Region, ID: h.work(id), Unique: h.Base})
	if err == nil && !fresh {
		// Its row has ended and its job.Job is just about to.
		err = conflict("The last ingestion job of the knowledge base %s is just ending. Retry your request.", h.Base)
	}
	return id, err
}

// GetIngestionJob shows a job with the reasons of its failures.
func (o Jobs) GetIngestionJob(ctx context.Context, in *api.GetIngestionJobInput) (*api.GetIngestionJobOutput, error) {
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	var out api.IngestionJob
	err = o.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out, err = get(tx, h, in.IngestionJobId)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.GetIngestionJobOutput{IngestionJob: &out}, nil
}

func get(tx *store.Tx, h home, id string) (api.IngestionJob, error) {
	rec, err := jobRows.Get(tx, h.key(id))
	if err != nil {
		return api.IngestionJob{}, err
	}
	out := shown(h, &rec)
	why, err := reasonsRows.Get(tx, h.key(id))
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	out.FailureReasons = why.Body.Reasons
	return out, err
}

// StopIngestionJob asks a job to stop. What it did stays.
func (o Jobs) StopIngestionJob(ctx context.Context, in *api.StopIngestionJobInput) (*api.StopIngestionJobOutput, error) {
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	var out api.IngestionJob
	err = o.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := jobRows.Get(tx, h.key(in.IngestionJobId))
		if err != nil {
			return err
		}
		next, err := Lifecycle.Next(api.IngestionJobStatus(rec.Status), Stop)
		if err != nil {
			return conflict("The ingestion job %s is in the state %s and cannot be stopped.", rec.ID, rec.Status)
		}
		if rec.Status != string(next) {
			if _, err := job.Stop(tx, h.work(rec.ID)); err != nil {
				return fmt.Errorf("stop the ingestion job: %w", err)
			}
			rec.Status = string(next)
			if rec, err = jobRows.Put(tx, rec); err != nil {
				return err
			}
		}
		out, err = get(tx, h, rec.ID)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.StopIngestionJobOutput{IngestionJob: &out}, nil
}

// states are those of a job in the order of their names.
func states() []string {
	var out []string
	for _, s := range Lifecycle.States() {
		out = append(out, string(s))
	}
	slices.Sort(out)
	return out
}

// ListIngestionJobs lists jobs, newest first if not told otherwise.
func (o Jobs) ListIngestionJobs(ctx context.Context, in *api.ListIngestionJobsInput) (*api.ListIngestionJobsOutput, error) {
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	q := h.query()
	q.Sort, q.Desc, q.Limit = store.ByCreated, true, page.Few(in.MaxResults)
	for _, f := range in.Filters {
		// An empty list of values asks for nothing in particular.
		q.Status = append(q.Status, f.Values...)
	}
	groups := [][]string{q.Status}
	if by := in.SortBy; by != nil {
		q.Desc = by.Order == api.SortOrderDescending
		if by.Attribute == api.IngestionJobSortByAttributeStatus {
			groups = groups[:0]
			for _, s := range states() {
				if len(q.Status) == 0 || slices.Contains(q.Status, s) {
					groups = append(groups, []string{s})
				}
			}
			if q.Desc {
				slices.Reverse(groups)
			}
			q.Desc = true // within one state, newest first
		}
	}
	out := &api.ListIngestionJobsOutput{IngestionJobSummaries: []api.IngestionJobSummary{}}
	err = o.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out.IngestionJobSummaries = out.IngestionJobSummaries[:0]
		rows, next, err := grouped(tx, q, groups, in.NextToken)
		if err != nil {
			return err
		}
		for i := range rows {
			j := shown(h, &rows[i])
			out.IngestionJobSummaries = append(out.IngestionJobSummaries, api.IngestionJobSummary{
				DataSourceId: j.DataSourceId, Description: j.Description, IngestionJobId: j.IngestionJobId, KnowledgeBaseId: j.KnowledgeBaseId,
				StartedAt: j.StartedAt, Statistics: j.Statistics, Status: j.Status, UpdatedAt: j.UpdatedAt,
			})
		}
		out.NextToken = optional.Of(next)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// grouped is one page of a list that goes through groups of states, one after the
// other. Its token is the number of the group before the store's own, which is bound
// to the group's query.
func grouped(tx *store.Tx, q store.Query, groups [][]string, token *string) (rows []store.Record[jobRow], next string, err error) {
	at, cursor := 0, ""
	if token != nil {
		n, rest, ok := strings.Cut(*token, ".")
		if at, err = strconv.Atoi(n); err != nil || !ok || at < 0 || at >= len(groups) {
			return nil, "", store.ErrBadCursor
		}
		cursor = rest
	}
	limit := q.Limit
	for ; at < len(groups); at, cursor = at+1, "" {
		q.Status, q.Cursor, q.Limit = groups[at], cursor, limit-len(rows)
		if q.Limit == 0 { // is there more?
			n, err := jobRows.Count(tx, q)
			if err != nil || n > 0 {
				return rows, strconv.Itoa(at) + ".", err
			}
			continue
		}
		p, err := jobRows.List(tx, q)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, p.Records...)
		if p.Next != "" {
			return rows, strconv.Itoa(at) + "." + p.Next, nil
		}
	}
	return rows, "", nil
}
