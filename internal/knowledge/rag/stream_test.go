package rag

import (
	"context"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store"
)

func TestStream(t *testing.T) {
	h := newHouse(t)
	h.results[""] = found(pumps...)
	answer := "Well. " + "<answer>\n" + part("Let me see. The Zarkon pump weighs 41.5 kg.", "1") + part("The Velta compressor weighs 212 kg, I think so <b>really</b>.", "2") + "</answer> trailing <answer_part>"
	question := ask("How heavy are the Zarkon pump and the Velta compressor?")
	h.says(1000, answer)
	whole := h.must(question)
	if want := "Let me see. The Zarkon pump weighs 41.5 kg. The Velta compressor weighs 212 kg, I think so <b>really</b>."; whole.Output.Text != want {
		t.Fatalf("the answer is %q, want %q", whole.Output.Text, want)
	}
	for _, n := range []int{1, 2, 3, 7, 50, 1000} {
		h.says(n, answer)
		w := &wire{}
		if err := h.stream(question, w); err != nil {
			t.Fatal(err)
		}
		if w.head.SessionId == "" || w.text() != whole.Output.Text {
			t.Errorf("in pieces of %d the stream says %q", n, w.text())
		}
		var cites []api.Citation
		said := 0
		for _, e := range w.events {
			switch {
			case e.Output != nil:
				said += utf8.RuneCountInString(e.Output.Text)
			case e.Citation != nil:
				if end := *e.Citation.GeneratedResponsePart.TextResponsePart.Span.End; end >= said {
					t.Errorf("a citation of the text to %d came after %d", end, said)
				}
				cites = append(cites, *e.Citation.Citation)
			}
		}
		if d := cmp.Diff(whole.Citations, cites); d != "" {
			t.Errorf("in pieces of %d: %s", n, d)
		}
	}
}

// The client has the first supported sentence, and its citation, before the model
// makes the next; then each piece as it is made.
func TestTheStreamIsIncremental(t *testing.T) {
	h := newHouse(t)
	h.results[""] = found(pumps...)
	w := &wire{}
	h.model = func(_ *engine.Request, emit func(engine.Delta) error) error {
		for i, p := range []string{"Hello. ", "The Zarkon pump weighs 41.5 kg.", " The", " Velta", " compressor", " weighs 212 kg."} {
			if err := emit(engine.Delta{Text: p}); err != nil {
				return err
			}
			w.mu.Lock()
			text, events := w.text(), len(w.events)
			w.mu.Unlock()
			switch {
			case i < 2 && events > 0:
				t.Errorf("after %q there are %d events", p, events)
			case i == 2 && text != "Hello. The Zarkon pump weighs 41.5 kg. The",
				i == 3 && text != "Hello. The Zarkon pump weighs 41.5 kg. The Velta":
				t.Errorf("after %q the client has %q", p, text)
			}
		}
		return nil
	}
	if err := h.stream(ask("How much does the Zarkon pump weigh?"), w); err != nil {
		t.Fatal(err)
	}
	if w.events[1].Citation == nil || w.events[len(w.events)-1].Citation == nil {
		t.Errorf("the events are %v", w.events)
	}
}

func TestStreamFailures(t *testing.T) {
	h := newHouse(t)
	h.results[""] = found(pumps...)
	h.model = func(*engine.Request, func(engine.Delta) error) error { return apierr.New(apierr.ModelError, "broken") }
	w := &wire{}
	if err := h.stream(ask("q?"), w); apierr.KindOf(err) != apierr.BadGateway || w.head != nil {
		t.Errorf("before the first word it answered %v, opened %v", err, w.head)
	}
	h.model = func(_ *engine.Request, emit func(engine.Delta) error) error {
		_ = emit(engine.Delta{Text: "The Zarkon pump weighs 41.5 kg. Then"})
		return apierr.New(apierr.ModelError, "broken")
	}
	w = &wire{}
	if err := h.stream(ask("How much does the Zarkon pump weigh?"), w); apierr.KindOf(err) != apierr.BadGateway || w.head == nil || w.text() == "" {
		t.Errorf("after words it answered %v, %q", err, w.text())
	}
	// The client has the id of the session: it can ask again in it.
	h.says(9, "<query>How much does the Zarkon pump weigh?</query>", "The Zarkon pump weighs 41.5 kg.")
	h.must(ask("How heavy is it?", inSession(w.head.SessionId)))
}

func TestTheHeadDoesNotWaitForEver(t *testing.T) {
	h := newHouse(t)
	h.results[""] = found(pumps...)
	h.o.cfg.OpenAfter = time.Millisecond
	w := &wire{}
	opened := make(chan struct{})
	h.model = func(_ *engine.Request, emit func(engine.Delta) error) error {
		for {
			w.mu.Lock()
			open := w.head != nil
			w.mu.Unlock()
			if open {
				close(opened)
				return emit(engine.Delta{Text: "The Zarkon pump weighs 41.5 kg."})
			}
			time.Sleep(time.Millisecond)
		}
	}
	if err := h.stream(ask("How much does the Zarkon pump weigh?"), w); err != nil {
		t.Fatal(err)
	}
	<-opened
}

// The turn is kept before the end of the answer is sent.
func TestTheTurnIsKeptBeforeTheLastEvent(t *testing.T) {
	h := newHouse(t)
	h.results[""] = found(pumps...)
	h.says(5, "The Zarkon pump weighs 41.5 kg.")
	kept := -1
	w := &wire{}
	w.heard = func() {
		if w.events[len(w.events)-1].Citation == nil {
			return
		}
		if err := h.store.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM conversation_turn`, nil, &kept) }); err != nil {
			t.Error(err)
		}
	}
	if err := h.stream(ask("How much does the Zarkon pump weigh?"), w); err != nil {
		t.Fatal(err)
	}
	if kept != 1 {
		t.Errorf("with the last citation %d turns were kept", kept)
	}
}

// A client that goes away ends the model's work and leaves no turn behind.
func TestAClientThatGoesAway(t *testing.T) {
	h := newHouse(t)
	h.results[""] = found(pumps...)
	h.says(5, "The Zarkon pump weighs 41.5 kg. The Velta compressor weighs 212 kg.")
	gone := errors.New("gone")
	w := &wire{fail: gone}
	in := ask("How much does the Zarkon pump weigh?")
	if err := h.streamAs("attempt-1", in, w); !errors.Is(err, gone) {
		t.Errorf("it answered %v", err)
	}
	// Had it left its turn behind, the same attempt would wait for that.
	ctx, cancel := context.WithTimeout(h.ctx("attempt-1"), 10*time.Second)
	defer cancel()
	if _, err := h.o.RetrieveAndGenerate(ctx, in); errors.Is(err, context.DeadlineExceeded) {
		t.Error("the turn is still running")
	}
}
