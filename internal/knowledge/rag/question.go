package rag

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// maxQueries bounds the questions that one is split into.
const maxQueries = 5

// questions are what is searched: the question itself; made to stand alone, where
// something was said before; or split, where the request asks for that. alone is the
// whole question in a form that needs no history.
func (o *Operations) questions(ctx context.Context, t *task, s *turn) (alone string, queries []string, err error) {
	history := len(s.state.Turns) > 0
	if !history && !t.split && t.prepare == nil {
		return t.question, []string{t.question}, nil
	}
	values := map[string]string{
		holdHistory: noHistory, holdQuery: t.question, holdFormat: rewriteFormat, holdTime: o.now(), holdResults: "",
	}
	if history {
		values[holdHistory] = historyText(s.state.Turns)
	}
	// A question that needs its history is made to stand alone before it is split: the
	// answer is asked for in one question, whatever was searched.
	alone = t.question
	if history || t.prepare != nil && !t.split {
		found, err := o.prepared(ctx, t, t.prepare, rewritePrompt, values)
		if err != nil {
			return "", nil, err
		}
		if len(found) > 0 {
			alone = found[0]
		}
	}
	queries = []string{alone}
	if t.split {
		values[holdQuery], values[holdFormat] = alone, splitFormat
		found, err := o.prepared(ctx, t, t.prepare, splitPrompt, values)
		if err != nil {
			return "", nil, err
		}
		if len(found) > 0 {
			queries = found
		}
	}
	return alone, queries, nil
}

// prepared asks the model for questions. None means that it gave none that can be used.
func (o *Operations) prepared(ctx context.Context, t *task, own *template, house string, values map[string]string) ([]string, error) {
	if own == nil {
		if t.single {
			house += "\n\nQuestion: " + holdQuery
		}
		own = o.templates.get(house)
	}
	var b strings.Builder
	r := t.request(own.fill(values), values[holdQuery], t.before, 512)
	err := o.generate(ctx, t, r, t.before, func(s string) error { b.WriteString(s); return nil })
	if err != nil {
		return nil, err
	}
	return readQueries(b.String()), nil
}

// readQueries reads <query>…</query>, or where there are none the lines.
func readQueries(text string) []string {
	var found []string
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "<query>")
		if !ok {
			break
		}
		end := strings.Index(after, "<")
		if end < 0 {
			end = len(after)
		}
		found = append(found, after[:end])
		rest = after[end:]
	}
	if len(found) == 0 {
		found = strings.Split(text, "\n")
	}
	var out []string
	for _, q := range found {
		q = strings.TrimSpace(q)
		q = strings.TrimLeft(q, "-*•0123456789.) \t")
		for _, label := range []string{"Question:", "Query:", "question:", "query:"} {
			q = strings.TrimSpace(strings.TrimPrefix(q, label))
		}
		q = strings.Trim(q, "\"'“”` ")
		if n := utf8.RuneCountInString(q); n < 2 || n > maxQuestion || strings.ContainsAny(q, "<>") || slices.Contains(out, q) {
			continue
		}
		if out = append(out, q); len(out) == maxQueries {
			break
		}
	}
	return out
}

// historyText shows a model what was said.
func historyText(turns []past) string {
	var b strings.Builder
	for _, p := range turns {
		b.WriteString("User: ")
		b.WriteString(p.Question)
		b.WriteString("\nAssistant: ")
		if p.Answer == "" {
			b.WriteString(refusal)
		} else {
			b.WriteString(p.Answer)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// find searches each query and merges what is found: the first of each, then the
// second of each, none twice.
func (o *Operations) find(ctx context.Context, t *task, queries []string) ([]api.KnowledgeBaseRetrievalResult, error) {
	lists := make([][]api.KnowledgeBaseRetrievalResult, 0, len(queries))
	most := 0
	for _, q := range queries {
		found, err := o.cfg.Searcher.Search(ctx, t.base, q, t.search)
		if err != nil {
			return nil, storeFault(ctx, err, t.base.ARN())
		}
		lists = append(lists, found)
		most = max(most, len(found))
	}
	var out []api.KnowledgeBaseRetrievalResult
	seen := map[string]bool{}
	for rank := range most {
		for _, l := range lists {
			if rank >= len(l) {
				continue
			}
			r := l[rank]
			key := string(r.Metadata[knowledge.AttributeChunk])
			if key == "" {
				key = uriOf(&r) + "\x00" + textOf(&r)
			}
			if seen[key] || textOf(&r) == "" { // an image without text is nothing that a text model reads
				continue
			}
			seen[key] = true
			out = append(out, r)
		}
	}
	return out, nil
}

// uriOf is where a result comes from.
func uriOf(r *api.KnowledgeBaseRetrievalResult) string {
	l := r.Location
	switch {
	case l == nil:
		return ""
	case l.S3Location != nil:
		return optional.Value(l.S3Location.Uri)
	case l.CustomDocumentLocation != nil:
		return optional.Value(l.CustomDocumentLocation.Id)
	case l.WebLocation != nil:
		return optional.Value(l.WebLocation.Url)
	}
	return ""
}

// sourceName is the last part of it, which people give names.
func sourceName(r *api.KnowledgeBaseRetrievalResult) string {
	u := uriOf(r)
	return u[strings.LastIndexByte(u, '/')+1:]
}
