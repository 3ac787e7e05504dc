package acceptance

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// recorder is an endpoint with one embedding model, of those that were trained to see
// what a text is for before it. It remembers what it was asked.
type recorder struct {
	mu    sync.Mutex
	texts []string
}

func (e *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) } // the caller may be gone
	switch r.URL.Path {
	case "/v1/models":
		answer(map[string]any{"object": "list", "data": []any{map[string]string{"id": "nomic-embed-text", "object": "model", "owned_by": "test"}}})
	case "/v1/embeddings":
		var in struct{ Input []string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		e.mu.Lock()
		e.texts = append(e.texts, in.Input...)
		e.mu.Unlock()
		var data []any
		for i, s := range in.Input {
			v := make([]float64, 32)
			for _, word := range strings.Fields(s) {
				h := fnv.New32a()
				_, _ = h.Write([]byte(word)) // a hash takes everything
				v[h.Sum32()%32]++
			}
			data = append(data, map[string]any{"index": i, "embedding": v})
		}
		answer(map[string]any{"data": data, "usage": map[string]int{"prompt_tokens": 1}})
	default:
		http.NotFound(w, r)
	}
}

// The model is told what a text is embedded for, in the words that it was trained with,
// and vectors are as long as those of AWS's model where a person made the index.
func TestTheModelIsToldWhatATextIsFor(t *testing.T) {
	t.Parallel()
	e := &recorder{}
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	program(t, outcroptest.Start(t, "--engine", srv.URL+"/v1"), "bases_purpose.py")
	e.mu.Lock()
	defer e.mu.Unlock()
	var stored, asked []string
	for _, s := range e.texts {
		switch {
		case strings.HasPrefix(s, "search_document: The Karst tower"):
			stored = append(stored, s)
		case strings.HasPrefix(s, "search_query: How tall is the "):
			asked = append(asked, s)
		case strings.Contains(s, "tower"):
			t.Errorf("embedded as it is: %q", s)
		}
	}
	slices.Sort(asked)
	if len(stored) != 2 || len(slices.Compact(asked)) != 2 {
		t.Errorf("documents %q, questions %q of %q", stored, asked, e.texts)
	}
}
