package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// task is a document that is to be brought into the index.
type task struct {
	row   string // id of its row
	doc   string // id in the index
	place knowledge.Place

	// Where the content is: at, or with inline in a contentRow.
	at        bucket.Location
	inline    bool
	mediaType string
	size      int64
	content   string // mark of the content, "" while it is not known

	// Where the metadata is, if any: in a file, or with attributed in a contentRow.
	beside     *bucket.Location
	attributed bool
	attributes map[string]parse.Value // of that row, once it is read
	metadata   string                 // mark of it

	refuse string // why it fails without being read
	seq    string // of the wish, "" in a sync
}

func newTask(s *knowledge.Source, place knowledge.Place) *task {
	doc := knowledge.DocumentID(s.ID, place.String())
	_, row, _ := strings.Cut(doc, "/")
	return &task{row: row, doc: doc, place: place}
}

// mark stands for the content of an object.
func mark(o object.Info) string {
	if o.ETag == "" {
		return strconv.FormatInt(o.Size, 10) + "@" + strconv.FormatInt(o.Modified.UnixNano(), 10)
	}
	return o.ETag + "/" + strconv.FormatInt(o.Size, 10)
}

// address is where people look for the document.
func (t *task) address() string { return address(t.place) }

func address(p knowledge.Place) string {
	if p.Custom != "" {
		return p.Custom
	}
	return p.S3
}

// acting takes the service role; when it cannot be taken the job has failed.
func (l *line) acting(ctx context.Context) (context.Context, *iam.Principal, error) {
	as, p, err := l.r.cfg.Knowledge.Acting(ctx, l.base)
	if err != nil {
		return nil, nil, grave("The service role of the knowledge base cannot be taken", err)
	}
	return as, p, nil
}

// prepare reads a document and cuts it. It answers the document, or what became of it
// where that is known already.
func (l *line) prepare(ctx context.Context, t *task) (*filled, *outcome, error) {
	out := &outcome{task: t}
	failed := func(why string) (*filled, *outcome, error) {
		out.reason = why
		return nil, out, nil
	}
	if t.refuse != "" {
		return failed(t.refuse)
	}
	there := false // the index has another version
	if t.content != "" {
		held, err := l.held(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		there = held != ""
		if held == l.plan.version(t.content, t.metadata) {
			// It was written before its row was. What was said of its metadata is said again.
			listed := t.metadata
			if _, err := l.about(ctx, t, out); err != nil {
				return nil, nil, err
			}
			if t.metadata == listed {
				out.version = l.plan.version(t.content, t.metadata)
				return nil, out, nil
			}
		}
	}
	weight := min(4*t.size+1<<16, l.r.cfg.Budget)
	if t.content == "" {
		weight = min(16<<20, l.r.cfg.Budget) // what was given directly tells no size
	}
	if err := l.budget.Acquire(ctx, weight); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	kept := false
	defer func() {
		if !kept {
			l.budget.Release(weight)
		}
	}()
	listed := t.content
	data, why, err := l.read(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	if why != "" {
		return failed(why)
	}
	if err := l.r.cfg.At(AtRead); err != nil {
		return nil, nil, err
	}
	meta, err := l.about(ctx, t, out)
	if err != nil {
		return nil, nil, err
	}
	if t.content != listed {
		held, err := l.held(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		there = held != ""
		if now := l.plan.version(t.content, t.metadata); held == now {
			out.version = now
			return nil, out, nil
		}
	}
	doc, err := l.r.cfg.Parser.Parse(ctx, parse.Input{
		Name: t.at.Key, MediaType: t.mediaType, Scope: l.base.ID, Records: meta.Records, Data: data,
	})
	if err != nil {
		if e, ok := errors.AsType[*parse.Error](err); ok {
			if e.Reason == parse.NoJail {
				return nil, nil, dead(err, "Documents cannot be read on this machine: %s", e.Message)
			}
			return failed(unreadable(e))
		}
		return nil, nil, fmt.Errorf("parse a document: %w", err)
	}
	if err := l.r.cfg.At(AtParsed); err != nil {
		return nil, nil, err
	}
	pieces, why, err := l.cut(ctx, t, doc, meta)
	if err != nil {
		return nil, nil, err
	}
	if why != "" {
		return failed(why)
	}
	f := &filled{outcome: *out, free: func() { l.budget.Release(weight) }}
	f.version = l.plan.version(t.content, t.metadata)
	l.assemble(f, pieces, meta)
	if there {
		if err := l.reuse(ctx, f); err != nil {
			return nil, nil, err
		}
	}
	kept = true
	return f, nil, l.r.cfg.At(AtCut)
}

// unreadable is why a file gave no document.
func unreadable(e *parse.Error) string {
	switch e.Reason {
	case parse.Unsupported:
		return whyUnsupported
	case parse.TooLarge:
		return whyTooLarge
	default:
		return "they could not be read: " + e.Message
	}
}

// held answers the version of the document that the index holds, "" for none.
func (l *line) held(ctx context.Context, t *task) (string, error) {
	as, _, err := l.acting(ctx)
	if err != nil {
		return "", err
	}
	got, err := l.index.Documents(as, t.doc, "", 1)
	if err != nil {
		return "", grave("The vector index cannot be read", err)
	}
	if len(got) == 1 && got[0].ID == t.doc {
		return got[0].Version, nil
	}
	return "", nil
}

// read answers the content of a document, or why there is none.
func (l *line) read(ctx context.Context, t *task) (data []byte, why string, err error) {
	as, p, err := l.acting(ctx)
	if err != nil {
		return nil, "", err
	}
	if t.inline || t.attributed {
		var rec store.Record[contentRow]
		err = l.r.cfg.Store.View(as, func(tx *store.Tx) (err error) {
			rec, err = contentRows.Get(tx, homeOf(l.base, l.source).key(t.row))
			return err
		})
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && rec.Body.Seq != t.seq: // it was given anew meanwhile
			return nil, "their content was replaced or removed", nil
		case err != nil:
			return nil, "", grave("The content of a document cannot be opened", err)
		}
		t.attributes = rec.Body.Attributes
		if t.inline {
			t.content = "inline/" + digest(string(rec.Body.Data), t.mediaType)
			return rec.Body.Data, "", nil
		}
	}
	data, info, err := bucket.ReadAll(as, l.r.cfg.Files, bucket.As(p), t.at, parse.MaxFile)
	if err != nil {
		why, err = unread(err)
		return nil, why, err
	}
	t.content = mark(info)
	return data, "", nil
}

// unread tells what is wrong with one file from a fault of the store.
func unread(err error) (why string, _ error) {
	switch {
	case errors.Is(err, bucket.ErrTooLarge):
		return whyTooLarge, nil
	case errors.Is(err, object.ErrNotFound):
		return whyRemoved, nil
	case errors.Is(err, bucket.ErrDenied):
		return whyDenied, nil
	case errors.Is(err, object.ErrNoBucket):
		return "their bucket does not exist", nil
	case errors.Is(err, object.ErrInvalid), errors.Is(err, bucket.ErrURI):
		return "their address is not valid", nil
	}
	return "", fmt.Errorf("read a document: %w", err)
}

// about reads what is said of a document beside it. What cannot be used is a warning,
// and the document one without metadata.
func (l *line) about(ctx context.Context, t *task, out *outcome) (*parse.Metadata, error) {
	m := &parse.Metadata{Attributes: t.attributes}
	if t.beside != nil {
		warn := func(why string) (*parse.Metadata, error) {
			out.warning, out.about = why, t.beside.URI()
			return &parse.Metadata{}, nil
		}
		as, p, err := l.acting(ctx)
		if err != nil {
			return nil, err
		}
		data, info, err := bucket.ReadAll(as, l.r.cfg.Files, bucket.As(p), *t.beside, parse.MaxMetadataFile)
		if errors.Is(err, bucket.ErrTooLarge) {
			if t.metadata == "" {
				t.metadata = "too large"
			}
			return warn(fmt.Sprintf("they were larger than the %d bytes that are allowed", parse.MaxMetadataFile))
		}
		if err != nil {
			why, err := unread(err)
			if err != nil {
				return nil, err
			}
			return warn(why)
		}
		t.metadata = mark(info)
		if m, err = parse.ReadMetadata(data); err != nil {
			return warn("they could not be used: " + err.Error())
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Attributes)) {
		if strings.HasPrefix(key, knowledge.AttributesReserved) {
			m.Attributes = maps.Clone(m.Attributes)
			delete(m.Attributes, key)
			out.warning, out.about = "they have attributes that begin with "+knowledge.AttributesReserved+", which were left out", t.address()
			if t.beside != nil {
				out.about = t.beside.URI()
			}
		}
	}
	return m, nil
}

// piece is a chunk before it has an id.
type piece struct {
	chunk.Chunk
	attributes map[string]parse.Value // of its own
	parent     bool
	embed      string // text that is embedded
}

// cut cuts a document into pieces: those that are embedded first, then their parents.
func (l *line) cut(ctx context.Context, t *task, doc *parse.Document, meta *parse.Metadata) (out []piece, why string, err error) {
	split := chunk.Splitter{
		Strategy: l.plan.strategy, Limit: l.plan.limit, Tokens: tokens{l},
		Embed: func(ctx context.Context, texts []string) ([][]float32, error) { return l.vectors(ctx, texts) },
	}
	res, err := split.Split(ctx, doc)
	if long, ok := errors.AsType[*chunk.TooLong](err); ok {
		return nil, tooLong(long.Limit), nil
	}
	if bad, ok := errors.AsType[*chunk.Invalid](err); ok {
		return nil, "", dead(err, "The chunking configuration cannot be used: %v", bad)
	}
	if err != nil {
		return nil, "", grave("The documents cannot be cut", err)
	}
	if len(res.Chunks) == 0 {
		return nil, "they have no text", nil
	}
	parents := res.Parents
	for _, c := range res.Chunks {
		p := piece{Chunk: c}
		if c.Record >= 0 {
			p.attributes = doc.Records[c.Record].Attributes
		}
		out = append(out, p)
	}
	if l.plan.function != "" {
		before := out
		if out, why, err = l.transform(ctx, t, before, meta); err != nil || why != "" {
			return nil, why, err
		}
		tie(before, out, len(parents))
		parents = regrow(parents, before, out)
	}
	if err := l.prefix(ctx, out, meta); err != nil {
		return nil, "", err
	}
	for _, c := range parents {
		out = append(out, piece{Chunk: c, parent: true})
	}
	return out, "", nil
}

func tooLong(limit int) string {
	return fmt.Sprintf("their text has more than the %d tokens that the embedding model takes at once", limit)
}

// prefix puts the attributes that are to be embedded before the texts, where the model
// can take both.
func (l *line) prefix(ctx context.Context, pieces []piece, meta *parse.Metadata) error {
	for i := range pieces {
		pieces[i].embed = pieces[i].Text
	}
	if len(meta.Embed) == 0 {
		return nil
	}
	heads := make([]string, len(pieces))
	for i := range pieces {
		var b strings.Builder
		for _, key := range meta.Embed {
			v, ok := pieces[i].attributes[key]
			if !ok {
				if v, ok = meta.Attributes[key]; !ok {
					continue
				}
			}
			fmt.Fprintf(&b, "%s: %s\n", key, plain(v))
		}
		heads[i] = b.String()
	}
	// Most chunks share one head.
	different := slices.Compact(slices.Sorted(slices.Values(heads)))
	ends, err := tokens{l}.Ends(ctx, different)
	if err != nil {
		return grave("The tokens of the documents cannot be counted", err)
	}
	cost := make(map[string]int, len(different))
	for i, head := range different {
		cost[head] = len(ends[i])
	}
	for i, head := range heads {
		if l.plan.limit == 0 || pieces[i].Tokens+cost[head]+1 <= l.plan.limit {
			pieces[i].embed = head + pieces[i].Text
		}
	}
	return nil
}

// plain is a value as a reader would write it.
func plain(v parse.Value) string {
	switch v.Type {
	case parse.StringValue:
		return v.String
	case parse.ListValue:
		return strings.Join(v.List, ", ")
	default:
		return string(v.JSON())
	}
}

// tokens counts with the embedding model's own tokenizer.
type tokens struct{ l *line }

var _ chunk.Tokenizer = tokens{}

// Ends implements chunk.Tokenizer.
func (t tokens) Ends(ctx context.Context, texts []string) ([][]int, error) {
	return t.l.r.cfg.Knowledge.Models().Ends(ctx, t.l.base.Model, texts)
}

// assemble makes the chunks of the index. Their ids tell nothing and are the same
// whenever this version of the document is cut.
func (l *line) assemble(f *filled, pieces []piece, meta *parse.Metadata) {
	id := func(ordinal int) string { return digest(f.doc, f.version, strconv.Itoa(ordinal)) }
	children := 0
	for _, p := range pieces {
		if !p.parent {
			children++
		}
	}
	uri := ""
	if f.at.Bucket != "" {
		uri = f.at.URI()
	}
	f.chunks = make([]vector.Chunk, len(pieces))
	for i, p := range pieces {
		at := knowledge.Passage{
			DataSource: l.source.ID, Place: f.place, Page: p.Page, LastPage: p.LastPage, Start: p.Start, End: p.End, Tokens: p.Tokens,
		}
		if !p.parent {
			at.Embedded = digest(p.embed)
		}
		c := vector.Chunk{
			ID: id(i), Ordinal: i, Text: p.Text, Source: at.Encode(), Metadata: make(vector.Metadata, len(meta.Attributes)+len(p.attributes)+4),
		}
		for _, set := range []map[string]parse.Value{meta.Attributes, p.attributes} {
			for key, v := range set {
				if !strings.HasPrefix(key, knowledge.AttributesReserved) {
					c.Metadata[key] = value(v)
				}
			}
		}
		c.Metadata[knowledge.AttributeChunk] = vector.StringValue(c.ID)
		c.Metadata[knowledge.AttributeSource] = vector.StringValue(l.source.ID)
		if uri != "" {
			c.Metadata[knowledge.AttributeURI] = vector.StringValue(uri)
		}
		if p.Page > 0 {
			c.Metadata[knowledge.AttributePage] = vector.NumberValue(float64(p.Page))
		}
		if !p.parent {
			if p.Parent >= 0 {
				c.Parent = id(children + p.Parent)
			}
			f.texts, f.slots = append(f.texts, p.embed), append(f.slots, i)
		}
		f.chunks[i] = c
	}
}

// value is an attribute as filters see it.
func value(v parse.Value) vector.Value {
	switch v.Type {
	case parse.NumberValue:
		return vector.NumberValue(v.Number)
	case parse.BooleanValue:
		return vector.BoolValue(v.Bool)
	case parse.ListValue:
		return vector.ListValue(v.List...)
	default:
		return vector.StringValue(v.String)
	}
}
