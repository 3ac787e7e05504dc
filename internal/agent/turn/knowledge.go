package turn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// retrieval reads a retrievalConfiguration of the wire: its members are named as the
// fields of the type, but for the case of the first letter.
func retrieval(raw json.RawMessage) (*runtime.KnowledgeBaseRetrievalConfiguration, error) {
	c := new(runtime.KnowledgeBaseRetrievalConfiguration)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	return c, nil
}

// query searches a knowledge base. Nothing is changed by it, so it is not journaled:
// a turn that goes on searches again.
func (t *Turn) query(ctx context.Context, id string, i int, c *call) error {
	text := argument(c.Arguments, "searchQuery", "query", "text")
	if text == "" {
		return t.refuse(id, i, "The call of "+c.Name+" has no searchQuery. Call it again with one.")
	}
	refs, err := t.retrieve(ctx, id, c.base, text)
	if err != nil {
		return err
	}
	said := passages(refs)
	if len(refs) == 0 {
		said = "The knowledge base holds nothing about this."
	} else if p := t.plan.Prompt(plan.KnowledgeReply); p != nil && p.Enabled {
		parts, err := t.writeFrom(ctx, id, p, text, refs)
		if err != nil {
			return err
		}
		if len(parts) > 0 {
			said = textOf(parts)
		}
	}
	t.p.give(i, said, false)
	t.p.Reprompts = 0
	if t.p.Done == nil {
		t.p.Done = map[string]bool{}
	}
	t.p.Done[key(c.Name, c.Arguments)] = true
	t.p.Acted = append(t.p.Acted, said)
	return nil
}

// retrieve asks the port and shows what it found.
func (t *Turn) retrieve(ctx context.Context, id string, base *plan.KnowledgeBase, text string) ([]reference, error) {
	if t.r.c.Knowledge == nil {
		return nil, failed("Knowledge base %s cannot be queried: this server has no knowledge bases.", base.ID)
	}
	if err := t.gone(ctx); err != nil {
		return nil, err
	}
	start := t.r.c.Now()
	t.trace.invocation(id, &runtime.InvocationInput{
		InvocationType: runtime.InvocationTypeKnowledgeBase, KnowledgeBaseLookupInput: &runtime.KnowledgeBaseLookupInput{KnowledgeBaseId: new(base.ID), Text: new(text)},
	})
	q := Query{Role: t.plan.Role, Source: t.plan.ARN, Base: *base, Text: text}
	for _, k := range t.p.Knowledge {
		if k.KnowledgeBaseId == base.ID && k.RetrievalConfiguration != nil {
			q.Retrieval = k.RetrievalConfiguration
		}
	}
	found, err := t.r.c.Knowledge.Retrieve(ctx, q)
	if err != nil {
		if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.Validation {
			return nil, apierr.Wrap(apierr.Validation, err, textKnowledge)
		}
		return nil, public(err)
	}
	out := &runtime.KnowledgeBaseLookupOutput{Metadata: t.trace.span(start, nil), RetrievedReferences: []runtime.RetrievedReference{}}
	var refs []reference
	for i := range found {
		r := reference{ID: fmt.Sprint(len(t.p.References) + i + 1), Result: found[i]}
		refs = append(refs, r)
		out.RetrievedReferences = append(out.RetrievedReferences, r.retrieved())
	}
	t.p.References = append(t.p.References, refs...)
	t.trace.observe(id, &runtime.Observation{Type: runtime.TypeKnowledgeBase, KnowledgeBaseLookupOutput: out})
	return refs, nil
}

func (r *reference) retrieved() runtime.RetrievedReference {
	return runtime.RetrievedReference{Content: r.Result.Content, Location: r.Result.Location, Metadata: r.Result.Metadata}
}

func (r *reference) text() string {
	if r.Result.Content == nil {
		return ""
	}
	return optional.Value(r.Result.Content.Text)
}

// passages writes what was found for a model that reads it itself.
func passages(refs []reference) string {
	var w strings.Builder
	for i := range refs {
		fmt.Fprintf(&w, "<search_result>\n<content>\n%s\n</content>\n<source>\n%s\n</source>\n</search_result>\n", refs[i].text(), refs[i].ID)
	}
	return strings.TrimSuffix(w.String(), "\n")
}

func textOf(parts []citedPart) string {
	var list []string
	for i := range parts {
		list = append(list, parts[i].Text)
	}
	return strings.Join(list, " ")
}

// attribution cites the passages behind an answer: for each part that was written
// from passages and stands in the text word for word. Positions count characters,
// the end is that of the last one.
func (t *Turn) attribution(text string, parts []citedPart) *runtime.Attribution {
	if t.p == nil || len(t.p.References) == 0 {
		return nil
	}
	if len(parts) == 0 {
		parts = t.p.Parts
	}
	a := &runtime.Attribution{}
	from := 0
	for i := range parts {
		p := &parts[i]
		at := strings.Index(text[from:], p.Text)
		if p.Text == "" || at < 0 || len(p.Sources) == 0 {
			continue
		}
		at += from
		from = at + len(p.Text)
		start := utf8.RuneCountInString(text[:at])
		end := start + utf8.RuneCountInString(p.Text) - 1
		c := runtime.Citation{GeneratedResponsePart: &runtime.GeneratedResponsePart{TextResponsePart: &runtime.TextResponsePart{
			Text: new(p.Text), Span: &runtime.Span{Start: &start, End: &end},
		}}}
		for _, s := range p.Sources {
			for j := range t.p.References {
				if t.p.References[j].ID == strings.TrimSpace(s) {
					c.RetrievedReferences = append(c.RetrievedReferences, t.p.References[j].retrieved())
				}
			}
		}
		if len(c.RetrievedReferences) > 0 {
			a.Citations = append(a.Citations, c)
		}
	}
	if len(a.Citations) == 0 {
		return nil
	}
	return a
}

// argument is the first of the named members of a call's input that holds text.
func argument(raw json.RawMessage, names ...string) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return ""
	}
	for _, n := range names {
		if v, ok := m[n]; ok {
			if s := strings.TrimSpace(plain(v)); s != "" {
				return s
			}
		}
	}
	return ""
}

func question(raw json.RawMessage) string { return argument(raw, "question", "askuser") }
