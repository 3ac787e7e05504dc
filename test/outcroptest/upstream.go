package outcroptest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// Upstream is an OpenAI-compatible endpoint whose every token is said by the
// test: an answer can be withheld until a client has shown that it has the
// part before. Use it as --engine Upstream.URL.
type Upstream struct {
	URL   string
	runs  atomic.Int64
	calls chan *Generation
}

// Generation is one run of the upstream's model.
type Generation struct {
	Body map[string]any // what the server asked
	say  chan string
	end  chan ending
	gone chan struct{}
}

type ending int

const (
	ended ending = iota
	cut
)

// NewUpstream starts an upstream with one chat model.
func NewUpstream(t testing.TB) *Upstream {
	t.Helper()
	u := &Upstream{calls: make(chan *Generation, 16)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"withholding","object":"model","owned_by":"test"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", u.chat)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	u.URL = srv.URL + "/v1"
	return u
}

// Runs is how often the model was asked to speak. Requests that want no stream,
// by which prompts are counted, are answered at once and not among them.
func (u *Upstream) Runs() int { return int(u.runs.Load()) }

// Next waits for the next run.
func (u *Upstream) Next(t testing.TB, limit time.Duration) *Generation {
	t.Helper()
	select {
	case g := <-u.calls:
		return g
	case <-time.After(limit):
		t.Fatalf("the model was not asked within %s", limit)
		return nil
	}
}

// Say sends one token.
func (g *Generation) Say(t testing.TB, token string) {
	t.Helper()
	select {
	case g.say <- token:
	case <-g.gone:
		t.Fatalf("nobody listened to the token %q any more", token)
	case <-time.After(20 * time.Second):
		t.Fatalf("the token %q was not taken", token)
	}
}

// End finishes the answer properly.
func (g *Generation) End() { g.finish(ended) }

// Cut breaks the connection in mid-answer.
func (g *Generation) Cut() { g.finish(cut) }

// Gone is closed when the server has let go of the run.
func (g *Generation) Gone() <-chan struct{} { return g.gone }

func (g *Generation) finish(e ending) {
	select {
	case g.end <- e:
	case <-g.gone:
	}
}

func (u *Upstream) chat(w http.ResponseWriter, r *http.Request) {
	g := &Generation{say: make(chan string), end: make(chan ending), gone: make(chan struct{})}
	defer close(g.gone)
	if err := json.NewDecoder(r.Body).Decode(&g.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if g.Body["stream"] != true { // the prompt is only to be counted
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"count","object":"chat.completion","created":1,"model":"withholding","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}`)
		return
	}
	u.runs.Add(1)
	u.calls <- g
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	event := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // a map of strings and numbers
		}
		fmt.Fprintf(w, "data: %s\n\n", b)
		_ = rc.Flush() // the reader's absence is seen by the request's context
	}
	n := 0
	chunk := func(delta map[string]any, reason any) map[string]any {
		return map[string]any{"id": "gen", "object": "chat.completion.chunk", "created": 1, "model": "withholding",
			"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": reason}}}
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case token := <-g.say:
			n++
			event(chunk(map[string]any{"role": "assistant", "content": token}, nil))
		case e := <-g.end:
			if e == cut {
				panic(http.ErrAbortHandler)
			}
			event(chunk(map[string]any{}, "stop"))
			event(map[string]any{"id": "gen", "object": "chat.completion.chunk", "created": 1, "model": "withholding", "choices": []any{},
				"usage": map[string]any{"prompt_tokens": 7, "completion_tokens": n, "total_tokens": 7 + n}})
			fmt.Fprint(w, "data: [DONE]\n\n")
			_ = rc.Flush()
			return
		}
	}
}

// Tokens of an answer whose characters take one to four bytes, and whose last
// picture is three characters joined.
var Tokens = []string{"Grüße, ", "안녕", "하세요 ", "🎉", "👩‍💻", " end"}
