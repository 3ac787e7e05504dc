package gosdk

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// reading is a stream on its own goroutine: events are the texts as they come,
// err is the stream's error once events is closed.
type reading struct {
	events chan string
	stop   string
	err    error
}

func (r *reading) next(t *testing.T) (string, bool) {
	t.Helper()
	select {
	case e, ok := <-r.events:
		return e, ok
	case <-time.After(30 * time.Second):
		t.Fatal("no event for 30 s")
		return "", false
	}
}

type opener func(t *testing.T, c *bedrockruntime.Client, prompt string) *reading

func converse(t *testing.T, c *bedrockruntime.Client, prompt string) *reading {
	r := &reading{events: make(chan string, 64)}
	go func() {
		defer close(r.events)
		out, err := c.ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(haiku), Messages: user(prompt)})
		if err != nil {
			r.err = err
			return
		}
		s := out.GetStream()
		defer s.Close()
		for e := range s.Events() {
			switch e := e.(type) {
			case *types.ConverseStreamOutputMemberContentBlockDelta:
				if d, ok := e.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
					r.events <- d.Value
				}
			case *types.ConverseStreamOutputMemberMessageStop:
				r.stop = string(e.Value.StopReason)
			case *types.UnknownUnionMember:
				r.err = errors.New("unknown event " + e.Tag)
			}
		}
		r.err = errors.Join(r.err, s.Err())
	}()
	return r
}

func invoke(t *testing.T, c *bedrockruntime.Client, prompt string) *reading {
	r := &reading{events: make(chan string, 64)}
	go func() {
		defer close(r.events)
		body, err := json.Marshal(map[string]any{
			"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": []any{map[string]any{"role": "user", "content": prompt}},
		})
		if err != nil {
			panic(err)
		}
		out, err := c.InvokeModelWithResponseStream(t.Context(), &bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(haiku), Body: body})
		if err != nil {
			r.err = err
			return
		}
		if aws.ToString(out.ContentType) != "application/json" {
			r.err = errors.New("content type " + aws.ToString(out.ContentType))
		}
		s := out.GetStream()
		defer s.Close()
		for e := range s.Events() {
			switch e := e.(type) {
			case *types.ResponseStreamMemberChunk:
				var c struct {
					Type  string
					Delta struct {
						Text string
						Stop string `json:"stop_reason"`
					}
				}
				if err := json.Unmarshal(e.Value.Bytes, &c); err != nil {
					r.err = err
				}
				switch c.Type {
				case "content_block_delta":
					r.events <- c.Delta.Text
				case "message_delta":
					r.stop = c.Delta.Stop
				}
			default:
				r.err = errors.New("an event that is no chunk")
			}
		}
		r.err = errors.Join(r.err, s.Err())
	}()
	return r
}

var openers = map[string]opener{"converse": converse, "invoke": invoke}

func TestStreamsAreReadWhileTheModelSpeaks(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	s := outcroptest.Start(t, "--engine", u.URL)
	for name, open := range openers {
		t.Run(name, func(t *testing.T) {
			r := open(t, runtime(s), "hello")
			g := u.Next(t, 30*time.Second)
			for i, token := range outcroptest.Tokens {
				begin := time.Now()
				g.Say(t, token)
				if got, ok := r.next(t); !ok || got != token {
					t.Fatalf("token %d: got %q, %t, %v; want %q", i, got, ok, r.err, token)
				}
				if i == 0 {
					t.Logf("first token read %s after it was said", time.Since(begin).Round(time.Millisecond))
					select {
					case e := <-r.events:
						t.Fatalf("%q came before it was said", e)
					case <-time.After(100 * time.Millisecond):
					}
				}
			}
			g.End()
			if e, ok := r.next(t); ok || r.err != nil || r.stop != "end_turn" {
				t.Errorf("the end is %q, %v, %s", e, r.err, r.stop)
			}
		})
	}
}

func TestACutModelIsAnExceptionInTheStream(t *testing.T) {
	u := outcroptest.NewUpstream(t)
	upstream, rules := outcroptest.Start(t, "--engine", u.URL), scripted(t)
	for name, open := range openers {
		t.Run(name+" of an endpoint", func(t *testing.T) {
			r := open(t, runtime(upstream), "hello")
			g := u.Next(t, 30*time.Second)
			g.Say(t, "half")
			if got, ok := r.next(t); !ok || got != "half" {
				t.Fatalf("got %q, %t, %v", got, ok, r.err)
			}
			g.Cut()
			if e, ok := r.next(t); ok || !is[*types.ModelStreamErrorException](r.err) {
				t.Errorf("got %q, %v", e, r.err)
			}
		})
		t.Run(name+" of a script", func(t *testing.T) {
			r := open(t, runtime(rules), "crash")
			n := 0
			for _, ok := r.next(t); ok; _, ok = r.next(t) {
				n++
			}
			if n == 0 || !is[*types.ModelStreamErrorException](r.err) || r.stop != "" {
				t.Errorf("after %d texts: %v, stop %q", n, r.err, r.stop)
			}
		})
	}
}

func TestKoreanAndEmojiArePiecesOfWholeCharacters(t *testing.T) {
	c := runtime(scripted(t))
	for name, open := range openers {
		t.Run(name, func(t *testing.T) {
			r := open(t, c, "korean please")
			var whole strings.Builder
			n := 0
			for e, ok := r.next(t); ok; e, ok = r.next(t) {
				whole.WriteString(e)
				n++
			}
			if got := whole.String(); r.err != nil || n < 5 || got != "안녕하세요, 세계! 🎉👩‍💻 좋은 하루 되세요." {
				t.Errorf("%d pieces: %q, %v", n, got, r.err)
			}
		})
	}
}
