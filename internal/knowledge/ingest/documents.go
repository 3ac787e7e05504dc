package ingest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// given is a document of a request.
type given struct {
	place knowledge.Place
	row   string
	wish  wish
	// Inline, for a contentRow.
	data       []byte
	attributes map[string]parse.Value
	twice      bool // an earlier one of the request is the same document
}

// IngestKnowledgeBaseDocuments keeps documents, and a job brings them into the index.
func (o Documents) IngestKnowledgeBaseDocuments(ctx context.Context, in *api.IngestKnowledgeBaseDocumentsInput) (*api.IngestKnowledgeBaseDocumentsOutput, error) {
	c := call.From(ctx)
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	if err := o.open(b, s); err != nil {
		return nil, err
	}
	all := make([]given, 0, len(in.Documents))
	for i := range in.Documents {
		g, err := giveOf(s, &in.Documents[i])
		if err != nil {
			return nil, err
		}
		g.twice = slices.ContainsFunc(all, func(x given) bool { return x.row == g.row })
		all = append(all, g)
	}
	if err := o.mayEmbed(ctx, b); err != nil {
		return nil, err
	}
	// Content is sealed in the name of the role that will open it.
	as, _, err := o.cfg.Knowledge.Acting(ctx, b)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	var out []api.KnowledgeBaseDocumentDetail
	err = o.cfg.Store.Update(as, func(tx *store.Tx) error {
		out, err = store.Idempotent(tx, token(c, "IngestKnowledgeBaseDocuments", in.ClientToken), []any{in.KnowledgeBaseId, in.DataSourceId, in.Documents},
			func() ([]api.KnowledgeBaseDocumentDetail, error) {
				return o.accept(tx, h, all, cmp.Or(s.KeyARN, b.KeyARN))
			})
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.IngestKnowledgeBaseDocumentsOutput{DocumentDetails: out}, nil
}

// accept writes documents with their wishes, and the job that fulfils them.
func (r *Room) accept(tx *store.Tx, h home, all []given, key string) ([]api.KnowledgeBaseDocumentDetail, error) {
	status := api.DocumentStatusStarting
	if busy, err := synchronizing(tx, h); err != nil {
		return nil, err
	} else if busy { // nothing begins before it has ended
		status = api.DocumentStatusPending
	}
	out := make([]api.KnowledgeBaseDocumentDetail, 0, len(all))
	for _, g := range all {
		if g.twice {
			d := detail(h, g.place, api.DocumentStatusIgnored, "The request names this document more than once; the first one counts.")
			d.UpdatedAt = new(tx.Now)
			out = append(out, d)
			continue
		}
		rec, err := documentRows.Get(tx, h.key(g.row))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		fresh := err != nil
		g.wish.Seq = rand.Text()
		rec.Body.Place, rec.Body.Wish, rec.Status = g.place, &g.wish, string(status)
		if fresh {
			rec, err = documentRows.Create(tx, h.key(g.row), rec.Body, rec.Columns)
		} else {
			rec, err = documentRows.Put(tx, rec)
		}
		if err != nil {
			return nil, err
		}
		if err := keep(tx, h, g, key); err != nil {
			return nil, err
		}
		out = append(out, described(h, &rec))
	}
	return out, r.enqueueRest(tx, h)
}

// keep writes what was given inline of a document in place of what was there.
func keep(tx *store.Tx, h home, g given, key string) error {
	if err := contentRows.Delete(tx, h.key(g.row)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !g.wish.Inline && !g.wish.Attributed {
		return nil
	}
	_, err := contentRows.Create(tx, h.key(g.row), contentRow{Seq: g.wish.Seq, Data: g.data, Attributes: g.attributes}, store.Columns{KeyARN: key})
	return err
}

// enqueueRest makes sure that a job does what is wished for, if anything is. One a data
// source is enough: it goes on until nothing is left. While a sync runs it is left to the
// end of that, which calls this as well.
func (r *Room) enqueueRest(tx *store.Tx, h home) error {
	if busy, err := synchronizing(tx, h); err != nil || busy {
		return err
	}
	q := h.query()
	q.Status = waiting
	if n, err := documentRows.Count(tx, q); err != nil || n == 0 {
		return err
	}
	_, _, err := job.Enqueue(tx, job.Spec{
		Kind: documentsJob, Account: h.Account, Region: h.Region, Unique: h.parent(),
		ID: "documents." + h.Base + "." + h.Source + "." + strings.ToLower(rand.Text()),
	})
	return err
}

// synchronizing says whether an ingestion job of the data source has not ended.
func synchronizing(tx *store.Tx, h home) (bool, error) {
	q := h.query()
	q.Status = active
	n, err := jobRows.Count(tx, q)
	return n > 0, err
}

// giveOf reads a document of a request.
func giveOf(s *knowledge.Source, in *api.KnowledgeBaseDocument) (g given, err error) {
	c := in.Content
	if c == nil {
		return g, invalid("Each document needs a content.")
	}
	if string(c.DataSourceType) != string(s.Config.Type) {
		return g, invalid("A document of type %s cannot be ingested into a data source of type %s.", c.DataSourceType, s.Config.Type)
	}
	switch c.DataSourceType {
	case api.ContentDataSourceTypeS3:
		if c.S3 == nil || c.S3.S3Location == nil {
			return g, invalid("A document of type S3 needs an s3Location.")
		}
		g.wish.URI = c.S3.S3Location.Uri
		if s.Config.S3Configuration != nil && s.Config.S3Configuration.BucketOwnerAccountId != nil {
			g.wish.Owner = *s.Config.S3Configuration.BucketOwnerAccountId
		}
		g.place.S3 = g.wish.URI
	case api.ContentDataSourceTypeCustom:
		if err := g.custom(c.Custom); err != nil {
			return g, err
		}
	default:
		return g, invalid("Documents of the type %s are not supported.", c.DataSourceType)
	}
	if g.wish.URI != "" {
		if at, err := bucket.ParseURI(g.wish.URI); err != nil || at.Key == "" {
			return g, invalid("%s is not the S3 URI of an object.", g.wish.URI)
		}
	}
	g.row = newTask(s, g.place).row
	return g, g.about(in.Metadata)
}

// custom reads a document that has an id of the program's own.
func (g *given) custom(c *api.CustomContent) error {
	if c == nil || c.CustomDocumentIdentifier == nil {
		return invalid("A document of type CUSTOM needs a custom content with an identifier.")
	}
	g.place.Custom = c.CustomDocumentIdentifier.Id
	switch c.SourceType {
	case api.CustomSourceTypeS3Location:
		if c.S3Location == nil {
			return invalid("A document with the source type S3_LOCATION needs an s3Location.")
		}
		g.wish.URI = c.S3Location.Uri
		if c.S3Location.BucketOwnerAccountId != nil {
			g.wish.Owner = *c.S3Location.BucketOwnerAccountId
		}
		return nil
	case api.CustomSourceTypeInLine:
	default:
		return invalid("The source type %s is not supported.", c.SourceType)
	}
	i := c.InlineContent
	switch {
	case i == nil:
		return invalid("A document with the source type IN_LINE needs an inlineContent.")
	case i.Type == api.InlineContentTypeText && i.TextContent != nil:
		g.data, g.wish.MediaType = []byte(i.TextContent.Data), "text/plain"
	case i.Type == api.InlineContentTypeByte && i.ByteContent != nil:
		g.data, g.wish.MediaType = i.ByteContent.Data, i.ByteContent.MimeType
	default:
		return invalid("An inlineContent of the type %s needs the member of that type.", i.Type)
	}
	if len(g.data) > parse.MaxFile {
		return invalid("The inline content of the document %s is larger than 50 MB.", g.place.Custom)
	}
	g.wish.Inline = true
	return nil
}

// about reads what comes along with a document.
func (g *given) about(m *api.DocumentMetadata) error {
	if m == nil {
		return nil
	}
	if m.Type == api.MetadataSourceTypeS3Location {
		if m.S3Location == nil {
			return invalid("Metadata of the type S3_LOCATION needs an s3Location.")
		}
		g.wish.MetadataURI = m.S3Location.Uri
		if m.S3Location.BucketOwnerAccountId != nil {
			g.wish.MetadataOwner = *m.S3Location.BucketOwnerAccountId
		}
		if at, err := bucket.ParseURI(g.wish.MetadataURI); err != nil || at.Key == "" {
			return invalid("%s is not the S3 URI of an object.", g.wish.MetadataURI)
		}
		return nil
	}
	if len(m.InlineAttributes) == 0 {
		return invalid("Metadata of the type IN_LINE_ATTRIBUTE needs inlineAttributes.")
	}
	g.wish.Attributed, g.attributes = true, make(map[string]parse.Value, len(m.InlineAttributes))
	for _, a := range m.InlineAttributes {
		if _, twice := g.attributes[a.Key]; twice {
			return invalid("The attribute %s is given more than once.", a.Key)
		}
		if strings.HasPrefix(a.Key, knowledge.AttributesReserved) {
			return invalid("The attribute %s begins with %s, which is reserved.", a.Key, knowledge.AttributesReserved)
		}
		v, ok := attribute(a.Value)
		if !ok {
			return invalid("The attribute %s has no value of its type.", a.Key)
		}
		g.attributes[a.Key] = v
	}
	g.wish.Metadata = "inline/" + digest(string(encode(g.attributes)))
	return nil
}

func attribute(v *api.MetadataAttributeValue) (parse.Value, bool) {
	if v == nil {
		return parse.Value{}, false
	}
	out := parse.Value{Type: parse.ValueType(v.Type)}
	switch {
	case v.Type == api.MetadataValueTypeString && v.StringValue != nil:
		out.String = *v.StringValue
	case v.Type == api.MetadataValueTypeNumber && v.NumberValue != nil:
		out.Number = *v.NumberValue
	case v.Type == api.MetadataValueTypeBoolean && v.BooleanValue != nil:
		out.Bool = *v.BooleanValue
	case v.Type == api.MetadataValueTypeStringList && len(v.StringListValue) > 0:
		out.List = v.StringListValue
	default:
		return out, false
	}
	return out, true
}

// placeOf reads an identifier of a request.
func placeOf(s *knowledge.Source, in *api.DocumentIdentifier) (knowledge.Place, error) {
	switch {
	case string(in.DataSourceType) != string(s.Config.Type):
		return knowledge.Place{}, invalid("A document of type %s cannot be in a data source of type %s.", in.DataSourceType, s.Config.Type)
	case in.DataSourceType == api.ContentDataSourceTypeS3 && in.S3 != nil:
		return knowledge.Place{S3: in.S3.Uri}, nil
	case in.DataSourceType == api.ContentDataSourceTypeCustom && in.Custom != nil:
		return knowledge.Place{Custom: in.Custom.Id}, nil
	}
	return knowledge.Place{}, invalid("A document identifier of the type %s needs the member of that type.", in.DataSourceType)
}

// places reads the identifiers of a request.
func places(s *knowledge.Source, in []api.DocumentIdentifier) ([]given, error) {
	all := make([]given, 0, len(in))
	for i := range in {
		p, err := placeOf(s, &in[i])
		if err != nil {
			return nil, err
		}
		g := given{place: p, row: newTask(s, p).row, wish: wish{Delete: true}}
		g.twice = slices.ContainsFunc(all, func(x given) bool { return x.row == g.row })
		all = append(all, g)
	}
	return all, nil
}

// DeleteKnowledgeBaseDocuments marks documents, and a job removes them.
func (o Documents) DeleteKnowledgeBaseDocuments(ctx context.Context, in *api.DeleteKnowledgeBaseDocumentsInput) (*api.DeleteKnowledgeBaseDocumentsOutput, error) {
	c := call.From(ctx)
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	if err := o.open(b, s); err != nil {
		return nil, err
	}
	all, err := places(s, in.DocumentIdentifiers)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	var out []api.KnowledgeBaseDocumentDetail
	err = o.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		out, err = store.Idempotent(tx, token(c, "DeleteKnowledgeBaseDocuments", in.ClientToken), []any{in.KnowledgeBaseId, in.DataSourceId, in.DocumentIdentifiers},
			func() ([]api.KnowledgeBaseDocumentDetail, error) { return o.discard(tx, h, all) })
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.DeleteKnowledgeBaseDocumentsOutput{DocumentDetails: out}, nil
}

// discard writes the wish that documents go.
func (r *Room) discard(tx *store.Tx, h home, all []given) ([]api.KnowledgeBaseDocumentDetail, error) {
	out := make([]api.KnowledgeBaseDocumentDetail, 0, len(all))
	some := false
	for _, g := range all {
		rec, err := documentRows.Get(tx, h.key(g.row))
		switch {
		case errors.Is(err, store.ErrNotFound):
			out = append(out, detail(h, g.place, api.DocumentStatusNotFound, ""))
			continue
		case err != nil:
			return nil, err
		case g.twice:
			out = append(out, described(h, &rec))
			continue
		}
		g.wish.Seq = rand.Text()
		rec.Body.Wish, rec.Status = &g.wish, string(api.DocumentStatusDeleting)
		if rec, err = documentRows.Put(tx, rec); err != nil {
			return nil, err
		}
		if err := keep(tx, h, g, ""); err != nil { // content that waited is not needed any more
			return nil, err
		}
		out, some = append(out, described(h, &rec)), true
	}
	if !some {
		return out, nil
	}
	return out, r.enqueueRest(tx, h)
}

// GetKnowledgeBaseDocuments shows documents.
func (o Documents) GetKnowledgeBaseDocuments(ctx context.Context, in *api.GetKnowledgeBaseDocumentsInput) (*api.GetKnowledgeBaseDocumentsOutput, error) {
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	all, err := places(s, in.DocumentIdentifiers)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	out := &api.GetKnowledgeBaseDocumentsOutput{}
	err = o.cfg.Store.View(ctx, func(tx *store.Tx) error {
		out.DocumentDetails = make([]api.KnowledgeBaseDocumentDetail, 0, len(all))
		for _, g := range all {
			rec, err := documentRows.Get(tx, h.key(g.row))
			if errors.Is(err, store.ErrNotFound) {
				out.DocumentDetails = append(out.DocumentDetails, detail(h, g.place, api.DocumentStatusNotFound, ""))
				continue
			}
			if err != nil {
				return err
			}
			out.DocumentDetails = append(out.DocumentDetails, described(h, &rec))
		}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// ListKnowledgeBaseDocuments lists the documents of a data source, in the order in
// which they came.
func (o Documents) ListKnowledgeBaseDocuments(ctx context.Context, in *api.ListKnowledgeBaseDocumentsInput) (*api.ListKnowledgeBaseDocumentsOutput, error) {
	b, s, err := o.find(ctx, in.KnowledgeBaseId, in.DataSourceId)
	if err != nil {
		return nil, err
	}
	h := homeOf(b, s)
	q := h.query()
	q.Sort, q.Limit = store.ByCreated, page.Few(in.MaxResults)
	if in.NextToken != nil {
		q.Cursor = *in.NextToken
	}
	out := &api.ListKnowledgeBaseDocumentsOutput{}
	err = o.cfg.Store.View(ctx, func(tx *store.Tx) error {
		p, err := documentRows.List(tx, q)
		if err != nil {
			return err
		}
		out.DocumentDetails = make([]api.KnowledgeBaseDocumentDetail, 0, len(p.Records))
		for i := range p.Records {
			out.DocumentDetails = append(out.DocumentDetails, described(h, &p.Records[i]))
		}
		out.NextToken = optional.Of(p.Next)
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// described is a row as operations answer it.
func described(h home, rec *store.Record[documentRow]) api.KnowledgeBaseDocumentDetail {
	d := rec.Body
	why := ""
	switch {
	case d.Wish != nil: // what was is not what is asked for now
	case d.Ended != "":
		why = d.Ended
	case d.Reason != "":
		why = "Ignored as " + single(d.Reason) + "."
	case d.Warning != "":
		why = "The metadata was ignored as " + d.Warning + "."
	}
	out := detail(h, d.Place, api.DocumentStatus(rec.Status), why)
	out.UpdatedAt = &rec.Updated
	return out
}

// single turns a reason that is worded for several files into one for one.
func single(why string) string {
	for _, x := range [][2]string{{"they were ", "it was "}, {"they could ", "it could "}, {"they have ", "it has "}, {"their ", "its "}, {"the service role of the knowledge base may not read them", "the service role of the knowledge base may not read it"}} {
		if rest, ok := strings.CutPrefix(why, x[0]); ok {
			return x[1] + rest
		}
	}
	return why
}

func detail(h home, p knowledge.Place, status api.DocumentStatus, why string) api.KnowledgeBaseDocumentDetail {
	id := &api.DocumentIdentifier{DataSourceType: api.ContentDataSourceTypeS3, S3: &api.S3Location{Uri: p.S3}}
	if p.Custom != "" {
		id = &api.DocumentIdentifier{DataSourceType: api.ContentDataSourceTypeCustom, Custom: &api.CustomDocumentIdentifier{Id: p.Custom}}
	}
	return api.KnowledgeBaseDocumentDetail{KnowledgeBaseId: h.Base, DataSourceId: h.Source, Identifier: id, Status: status, StatusReason: optional.Of(why)}
}
