package rag

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/gate"
)

// answer answers a request and says which session it was in.
func (o *Operations) answer(ctx context.Context, q request, to audience) (session string, err error) {
	t, err := o.plan(ctx, &q)
	if err != nil {
		return "", err
	}
	s, before, err := o.begin(ctx, &q, t)
	if err != nil {
		return "", err
	}
	if before != nil {
		return s.id, replay(s.id, before, to)
	}
	committed := false
	defer func() {
		if !committed {
			o.abandon(ctx, s)
		}
	}()
	open := func() error { return to.Open(s.id) }
	if to.Streamed() {
		g := gate.New(o.cfg.OpenAfter, open)
		defer g.Close()
		open = g.Enter
	}
	alone, queries, err := o.questions(ctx, t, s)
	if err != nil {
		return "", err
	}
	var results []api.KnowledgeBaseRetrievalResult
	if t.base != nil {
		results, err = o.find(ctx, t, queries)
	} else {
		results, err = o.passages(ctx, t, queries)
	}
	if err != nil {
		return "", err
	}
	end := &tail{to: to}
	var proof *evidence
	if t.cited {
		proof = newEvidence(o.terms, alone, results)
	}
	c := newComposer(end, results, proof)
	if len(results) == 0 {
		c.refused = true
	} else {
		err = o.write(ctx, t, s, alone, results, c, func(piece string) error {
			if err := open(); err != nil {
				return err
			}
			return c.feed(piece)
		})
	}
	if err == nil {
		err = open()
	}
	if err != nil {
		if c.whole.Len() > 0 && to.Streamed() {
			// The client has the id of the session and a part of the answer: it can go on.
			committed = o.finish(context.WithoutCancel(ctx), s, alone, &c.said, true) == nil
		}
		return "", err
	}
	end.hold = true
	if err := c.finish(); err != nil {
		return "", err
	}
	if err := o.finish(ctx, s, alone, &c.said, false); err != nil {
		return "", err
	}
	committed = true
	return s.id, end.release()
}

// write fills the prompt and has the model write, unless it says that it cannot.
func (o *Operations) write(ctx context.Context, t *task, s *turn, alone string, results []api.KnowledgeBaseRetrievalResult, c *composer, emit func(string) error) error {
	values := map[string]string{
		holdResults: resultsText(results), holdQuery: alone, holdFormat: formatInstructions, holdTime: o.now(), holdHistory: noHistory,
	}
	if len(s.state.Turns) > 0 {
		values[holdHistory] = historyText(s.state.Turns)
	}
	filled := t.prompt.fill(values)
	if c.proof != nil && c.proof.doubtful(o.generic) {
		no, err := o.denied(ctx, t, filled, alone)
		if err != nil {
			return err
		}
		if no {
			c.refused = true
			return nil
		}
	}
	err := o.generate(ctx, t, t.request(filled, alone, t.answer, maxAnswer), t.answer, emit)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (o *Operations) now() string { return o.cfg.Now().UTC().Format(time.RFC3339) }

// resultTags are what frames results and answers: in a document they are only text.
var resultTags = strings.NewReplacer(
	"<search_result", "&lt;search_result", "</search_result", "&lt;/search_result", "<content>", "&lt;content>", "</content>", "&lt;/content>",
	"<answer", "&lt;answer", "</answer", "&lt;/answer", "<source", "&lt;source", "</source", "&lt;/source", "<text>", "&lt;text>", "</text>", "&lt;/text>",
)

// resultsText shows results to a model, numbered from 1.
func resultsText(results []api.KnowledgeBaseRetrievalResult) string {
	var b strings.Builder
	for i := range results {
		b.WriteString("<search_result>\n<source>")
		b.WriteString(strconv.Itoa(i + 1))
		b.WriteString("</source>\n")
		if name := sourceName(&results[i]); name != "" {
			b.WriteString("<file>" + resultTags.Replace(name) + "</file>\n")
		}
		b.WriteString("<content>\n")
		b.WriteString(resultTags.Replace(strings.TrimSpace(textOf(&results[i]))))
		b.WriteString("\n</content>\n</search_result>\n")
	}
	return b.String()
}

// replay tells what the same attempt was answered before.
func replay(session string, r *record, to audience) error {
	if r.Broken {
		return apierr.New(apierr.Conflict, "The answer to this request was interrupted. Ask again.")
	}
	if err := to.Open(session); err != nil {
		return err
	}
	if err := to.Text(r.Text); err != nil {
		return err
	}
	for i := range r.Citations {
		if err := to.Cite(&r.Citations[i]); err != nil {
			return err
		}
	}
	return nil
}

// tail passes an answer on, and holds its end: the last citation, or the refusal, is
// sent when the turn is committed, so that a client who has read all can go on with
// the session.
type tail struct {
	to    audience
	hold  bool
	queue []func() error
}

var _ sink = (*tail)(nil)

// Text implements sink.
func (l *tail) Text(s string) error { return l.tell(func() error { return l.to.Text(s) }) }

// Cite implements sink.
func (l *tail) Cite(c *api.Citation) error { return l.tell(func() error { return l.to.Cite(c) }) }

func (l *tail) tell(send func() error) error {
	if l.hold {
		l.queue = append(l.queue, send)
		return nil
	}
	return send()
}

func (l *tail) release() error {
	for _, send := range l.queue {
		if err := send(); err != nil {
			return err
		}
	}
	return nil
}
