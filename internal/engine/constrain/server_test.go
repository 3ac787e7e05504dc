package constrain

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

var llama = flag.String("llama", "", "URL of a llama.cpp server that must take the grammars of the corpus")

// TestServerTakesGrammars asks a real server; TestSchemaGrammars proves the
// grammars without one.
func TestServerTakesGrammars(t *testing.T) {
	if *llama == "" {
		t.Skip("no -llama URL")
	}
	reqs := map[string]*engine.Request{}
	all := &engine.Request{}
	for i, c := range corpus {
		reqs[c.name] = &engine.Request{ResultSchema: json.RawMessage(c.schema)}
		all.Tools = append(all.Tools, engine.Tool{Name: "tool_" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Schema: json.RawMessage(c.schema)})
		reqs[c.name+" as tool"] = &engine.Request{Tools: all.Tools[i:]}
	}
	reqs["all tools"] = all
	client := &http.Client{Timeout: 60 * time.Second}
	for name, req := range reqs {
		for _, opt := range []Options{{}, {ForbidCalls: true}} {
			src, err := Grammar(req, opt)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := json.Marshal(map[string]any{"prompt": "Answer: ", "grammar": src, "n_predict": 3, "temperature": 0})
			resp, err := client.Post(*llama+"/completion", "application/json", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s\n%s", name, answer, src)
			}
		}
	}
}
