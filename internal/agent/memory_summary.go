package agent

import (
	"context"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// summarizer asks an agent's model what a conversation was about, with the agent's own
// prompt, parser and rights.
type summarizer struct {
	Alias     *turn.Alias
	Models    turn.Models
	Roles     turn.Roles
	Functions turn.Functions
	Piece     int
}

// sum sums a conversation up, piece by piece, each with what the ones before were
// about. It is "" when the agent's prompt for it is switched off.
func (s *summarizer) sum(ctx context.Context, list []said) (string, error) {
	p := s.Alias.Plan.Prompt(plan.Summarize)
	if p == nil {
		for _, d := range prompt.Defaults(s.Alias.Plan.Model) {
			if d.Step == plan.Summarize {
				p = &d
			}
		}
	}
	if !p.Enabled {
		return "", nil
	}
	past := ""
	for _, piece := range pieces(list, s.Piece) {
		text, err := s.ask(ctx, p, past, piece)
		if err != nil {
			return "", err
		}
		if text != "" {
			past = text
		}
	}
	return past, nil
}

// pieces cuts a conversation between its turns so that none has more bytes than most,
// and cuts the texts of a turn that is longer by itself.
func pieces(list []said, most int) (out [][]engine.Message) {
	var piece []engine.Message
	size := 0
	for _, t := range list {
		in, answer := short(t.Input, most/2), short(t.Answer, most/2)
		if n := len(in) + len(answer); size+n > most && size > 0 {
			out, piece, size = append(out, piece), nil, n
		} else {
			size += n
		}
		piece = append(piece,
			engine.Message{Role: engine.User, Parts: []engine.Part{{Text: in}}},
			engine.Message{Role: engine.Assistant, Parts: []engine.Part{{Text: answer}}})
	}
	if piece != nil {
		out = append(out, piece)
	}
	return out
}

// short is a text of at most n bytes or so: beginning and end of a longer one.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n/2], "") + " […] " + strings.ToValidUTF8(s[len(s)-n/2:], "")
}

// ask sums one piece up. past is the summary of those before.
func (s *summarizer) ask(ctx context.Context, p *plan.Prompt, past string, piece []engine.Message) (string, error) {
	pl := s.Alias.Plan
	r, err := prompt.Render(p, &prompt.Values{Plan: pl, History: piece, Past: past})
	if err != nil {
		return "", apierr.Wrap(apierr.Validation, err, "The overridden prompt that you provided is incorrectly formatted. Check the format and retry your request.")
	}
	model := pl.Model
	if p.Model != "" {
		model = p.Model
	}
	if s.Roles != nil {
		if err := s.Roles.Model(ctx, pl.Role, pl.ARN, model, false); err != nil {
			return "", err
		}
	}
	req := &engine.Request{System: r.System, Messages: r.Messages, Sampling: sampling(&p.Inference)}
	var res *engine.Result
	if len(p.Fields) == 0 {
		res, err = s.Models.Generate(ctx, model, req, nil)
	} else {
		m, ok := s.Models.(turn.FieldModels)
		if !ok {
			return "", apierr.New(apierr.Validation, "additionalModelRequestFields cannot be passed to the model %s by this server.", model)
		}
		res, err = m.GenerateWith(ctx, model, req, p.Fields, nil)
	}
	if err != nil {
		return "", fmt.Errorf("sum a session up: %w", err)
	}
	got := prompt.Summary(res.Text())
	if p.Parser == plan.Overridden {
		if got, err = s.parse(ctx, p, r.InText, res); err != nil {
			return "", err
		}
	}
	lines := make([]string, 0, len(got.Topics))
	for _, t := range got.Topics {
		if t.Name != "" {
			t.Text = t.Name + ": " + t.Text
		}
		lines = append(lines, t.Text)
	}
	return strings.Join(lines, "\n"), nil
}

// parse lets the agent's own function read the answer.
func (s *summarizer) parse(ctx context.Context, p *plan.Prompt, inText bool, res *engine.Result) (*prompt.Parsed, error) {
	pl := s.Alias.Plan
	if s.Functions == nil {
		return nil, apierr.New(apierr.Validation, "This server has no way to call the parser Lambda.")
	}
	raw := res.Text()
	if prompt.FormOf(pl.Model) == prompt.Messages && !inText {
		raw = prompt.RawMessages(res)
	}
	event, err := prompt.Event(prompt.Agent{Name: pl.Name, ID: pl.AgentID, Alias: s.Alias.ID, Version: s.Alias.Version}, p.Step, raw)
	if err != nil {
		return nil, fmt.Errorf("write the event of a parser: %w", err)
	}
	answer, failed, err := s.Functions.Call(ctx, pl.ARN, pl.Parser, event)
	if err != nil {
		return nil, err
	}
	if failed {
		return nil, apierr.New(apierr.DependencyFailed, "The parser Lambda failed: %.500s", answer)
	}
	got, err := prompt.Read(p.Step, answer)
	if err != nil {
		return nil, apierr.Wrap(apierr.DependencyFailed, err, "The parser Lambda's answer could not be read.")
	}
	return got, nil
}

func sampling(i *plan.Inference) engine.Sampling {
	s := engine.Sampling{TopK: i.TopK, Stop: i.Stop}
	if i.Temperature != nil {
		s.Temperature = new(float64(*i.Temperature))
	}
	if i.TopP != nil {
		s.TopP = new(float64(*i.TopP))
	}
	if i.MaxTokens != nil {
		s.MaxTokens = *i.MaxTokens
	}
	return s
}
