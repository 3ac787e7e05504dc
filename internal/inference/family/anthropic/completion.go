package anthropic

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const humanStop = "\n\nHuman:" // ends every completion

var completionSchema = family.AnObject(
	family.Required("prompt", family.AString()),
	family.Required("max_tokens_to_sample", family.AnInteger(0, 1<<31)),
	family.Optional("stop_sequences", family.AnArray(family.AString()).Size(0, 8191)),
	family.Optional("temperature", family.ANumber(0, 1)),
	family.Optional("top_p", family.ANumber(0, 1)),
	family.Optional("top_k", family.AnInteger(0, 500)),
	family.Optional("anthropic_version", family.AString()),
)

func decodeCompletion(m family.Model, v *family.Value) (*family.Call, error) {
	if err := completionSchema.Check(v); err != nil {
		return nil, err
	}
	limit := v.Get("max_tokens_to_sample")
	if err := family.AtMost("#/max_tokens_to_sample", limit, cmp.Or(m.MaxOutput, 4096)); err != nil {
		return nil, err
	}
	r := &engine.Request{Sampling: engine.Sampling{
		MaxTokens:   limit.Int(),
		Temperature: v.Get("temperature").FloatOr(1),
		TopP:        v.Get("top_p").FloatOr(1),
		TopK:        new(v.Get("top_k").IntOr(250)),
		Stop:        v.Get("stop_sequences").Texts(),
	}}
	if !slices.Contains(r.Stop, humanStop) {
		r.Stop = append(r.Stop, humanStop)
	}
	if err := parsePrompt(r, v.Get("prompt").Text()); err != nil {
		return nil, err
	}
	if !takesSystem(m.ID) {
		foldSystem(r)
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, NoOutput: r.MaxTokens == 0, State: completionForm}, nil
}

var (
	marker = regexp.MustCompile(`(?:^|\n)[ \t]*(Human|Assistant):`)
	// An Assistant: that ends the prompt counts even on the Human's own line: the
	// service answered such prompts, and programs in the wild send them.
	lastAssistant = regexp.MustCompile(`\sAssistant:\s*$`)
)

// parsePrompt fills system text and turns from a prompt of the form
// "\n\nHuman: … \n\nAssistant:". The blank lines are not insisted on.
func parsePrompt(r *engine.Request, prompt string) error {
	type turn struct {
		role       engine.Role
		start, end int // of the marker
	}
	var turns []turn
	for _, at := range marker.FindAllStringSubmatchIndex(prompt, -1) {
		role := engine.User
		if prompt[at[2]:at[3]] == "Assistant" {
			role = engine.Assistant
		}
		turns = append(turns, turn{role, at[0], at[1]})
	}
	human := slices.IndexFunc(turns, func(t turn) bool { return t.role == engine.User })
	if human < 0 {
		return apierr.New(apierr.Validation, "%s", "prompt must start with \"\n\nHuman:\" turn after an optional system prompt")
	}
	turns = turns[human:]
	if turns[len(turns)-1].role == engine.User {
		at := lastAssistant.FindStringIndex(prompt[turns[len(turns)-1].end:])
		if at == nil {
			return apierr.New(apierr.Validation, "%s", "Invalid prompt: prompt must end with \"\n\nAssistant:\" turn")
		}
		base := turns[len(turns)-1].end
		turns = append(turns, turn{engine.Assistant, base + at[0], len(prompt)})
	}
	r.System = strings.TrimSpace(prompt[:turns[0].start])
	for i, t := range turns {
		end := len(prompt)
		if i+1 < len(turns) {
			end = turns[i+1].start
		}
		text := strings.TrimSpace(prompt[t.end:end])
		if i == len(turns)-1 && text == "" {
			break // the usual end: nothing to continue
		}
		if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == t.role {
			last := &r.Messages[n-1].Parts[0]
			last.Text += "\n\n" + text
			continue
		}
		r.Messages = append(r.Messages, engine.Message{Role: t.role, Parts: []engine.Part{{Text: text}}})
	}
	return nil
}

// completionStop says why a completion ended. A model that ended its turn by
// itself has, in this form, met the Human's.
func completionStop(r *engine.Result) (reason, stop string) {
	switch r.Stop {
	case engine.MaxTokens, engine.ContextFull:
		return "max_tokens", ""
	case engine.StopSequence:
		return "stop_sequence", r.StopText
	default:
		return "stop_sequence", humanStop
	}
}

func appendCompletion(b []byte, text string, r *engine.Result) []byte {
	b = append(b, `{"type":"completion","completion":`...)
	b = family.AppendString(b, text)
	var reason, stop string
	if r != nil {
		reason, stop = completionStop(r)
	}
	b = append(b, `,"stop_reason":`...)
	b = family.AppendNullable(b, reason)
	b = append(b, `,"stop":`...)
	return family.AppendNullable(b, stop)
}

func encodeCompletion(out *family.Output) []byte {
	r := out.Results[0]
	return append(appendCompletion(nil, r.Text(), r), '}')
}

type completionStream struct {
	buf    []byte
	result *engine.Result
}

func (s *completionStream) Start(family.Send) error { return nil }

func (s *completionStream) Delta(_ int, d engine.Delta, send family.Send) error {
	if d.Kind != engine.TextDelta {
		return nil // this form has no place for reasoning or tools
	}
	s.buf = append(appendCompletion(s.buf[:0], d.Text, nil), '}')
	return send(s.buf)
}

func (s *completionStream) End(_ int, r *engine.Result, _ family.Send) error {
	s.result = r
	return nil
}

func (s *completionStream) Finish(m family.Metrics, send family.Send) error {
	s.buf = append(appendCompletion(s.buf[:0], "", s.result), ',')
	s.buf = append(family.AppendMetrics(s.buf, m), '}')
	return send(s.buf)
}
