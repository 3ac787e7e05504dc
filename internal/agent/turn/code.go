package turn

import (
	"context"
	"strings"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// maxMade is how many files one event of a stream carries.
const maxMade = 5

// runCode runs what the model wrote.
func (t *Turn) runCode(ctx context.Context, id string, i int, c *call) error {
	text := argument(c.Arguments, "code")
	if text == "" {
		return t.refuse(id, i, "The call of "+c.Name+" has no code. Call it again with some.")
	}
	if t.r.c.Interpreter == nil {
		return failed("The code was not run: this server has no code interpreter.")
	}
	var names []string
	for _, f := range t.code {
		names = append(names, f.Name)
	}
	return t.once(ctx, i, func() {
		t.callBegan = t.r.c.Now()
		t.trace.invocation(id, &runtime.InvocationInput{
			InvocationType:                 runtime.InvocationTypeActionGroupCodeInterpreter,
			CodeInterpreterInvocationInput: &runtime.CodeInterpreterInvocationInput{Code: new(text), Files: names},
		})
	}, func(ctx context.Context) (*answer, error) {
		out, err := t.r.c.Interpreter.Execute(ctx, Code{
			Account: t.Account, Region: t.Region, Session: strings.Join([]string{t.agentID(), t.Agent.ID, t.SessionID}, "/"),
			Agent: t.plan.ARN, Key: t.plan.Key, Text: text, Files: t.code,
		})
		if err != nil {
			return nil, err
		}
		return &answer{Text: told(out), Code: out}, nil
	})
}

// told is what the model hears of a run.
func told(o *Outcome) string {
	var w strings.Builder
	w.WriteString(o.Output)
	if o.Error != "" {
		w.WriteString("\nError: " + o.Error)
	}
	if o.Timeout {
		w.WriteString("\nThe code did not end in time and was stopped.")
	}
	for _, f := range o.Files {
		w.WriteString("\nFile written: " + f.Name)
	}
	if w.Len() == 0 {
		return "The code ran and printed nothing."
	}
	return strings.TrimPrefix(w.String(), "\n")
}

// ran is a run as the trace shows it.
func (t *Turn) ran(o *Outcome) *runtime.Observation {
	out := &runtime.CodeInterpreterInvocationOutput{Metadata: t.trace.span(t.callBegan, nil)}
	if o.Output != "" {
		out.ExecutionOutput = new(o.Output)
	}
	if o.Error != "" {
		out.ExecutionError = new(o.Error)
	}
	if o.Timeout {
		out.ExecutionTimeout = new(true)
	}
	for _, f := range o.Files {
		out.Files = append(out.Files, f.Name)
	}
	return &runtime.Observation{Type: runtime.TypeActionGroup, CodeInterpreterInvocationOutput: out}
}

// made keeps the files of a run for the client, the newest of a name.
func (t *Turn) made(o *Outcome) {
	for _, f := range o.Files {
		kept := t.out[:0]
		for _, old := range t.out {
			if old.Name != f.Name {
				kept = append(kept, old)
			}
		}
		t.out = append(kept, f)
	}
	if over := len(t.out) - maxMade; over > 0 {
		t.out = t.out[over:]
	}
}

// codeFiles tells the model which files lie beside its code.
func (t *Turn) codeFiles() []engine.Part {
	if len(t.code) == 0 {
		return nil
	}
	var names []string
	for _, f := range t.code {
		names = append(names, f.Name)
	}
	return []engine.Part{{Text: "Files for the code interpreter, in its working directory: " + strings.Join(names, ", ") + "\n"}}
}
