package tracetree

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
)

// Tree prints to Out. The zero value of every other field is usable.
type Tree struct {
	Out    io.Writer
	Indent string           // before every line
	Width  int              // runes of one line's text; 0 is 100
	Whole  bool             // print prompts and raw answers too, uncut
	Now    func() time.Time // nil is time.Now

	last   time.Time
	step   string
	agent  string
	totals struct{ in, out, calls, actions int }
}

// Start sets the time from which the first line counts.
func (t *Tree) Start() { t.last = t.now() }

func (t *Tree) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

// Totals answers what has been printed so far: tokens in and out, calls of models,
// and actions, queries and collaborators invoked.
func (t *Tree) Totals() (in, out, models, actions int) {
	return t.totals.in, t.totals.out, t.totals.calls, t.totals.actions
}

// Trace prints one event.
func (t *Tree) Trace(p *types.TracePart) {
	if t.last.IsZero() {
		t.Start()
	}
	// Who: a collaborator's events stand deeper, under its name.
	if name := aws.ToString(p.CollaboratorName); name != t.agent {
		if t.agent = name; name != "" {
			t.line(0, "collaborator "+name, "")
		}
		t.step = ""
	}
	switch v := p.Trace.(type) {
	case *types.TraceMemberPreProcessingTrace:
		switch v := v.Value.(type) {
		case *types.PreProcessingTraceMemberModelInvocationInput:
			t.input(&v.Value)
		case *types.PreProcessingTraceMemberModelInvocationOutput:
			o := v.Value
			text := ""
			if o.ParsedResponse != nil {
				text = fmt.Sprintf("valid: %t  %s", aws.ToBool(o.ParsedResponse.IsValid), aws.ToString(o.ParsedResponse.Rationale))
			}
			t.output(aws.ToString(o.TraceId), o.Metadata, o.RawResponse, text)
		}
	case *types.TraceMemberOrchestrationTrace:
		t.orchestration(v.Value)
	case *types.TraceMemberPostProcessingTrace:
		switch v := v.Value.(type) {
		case *types.PostProcessingTraceMemberModelInvocationInput:
			t.input(&v.Value)
		case *types.PostProcessingTraceMemberModelInvocationOutput:
			o := v.Value
			text := ""
			if o.ParsedResponse != nil {
				text = aws.ToString(o.ParsedResponse.Text)
			}
			t.output(aws.ToString(o.TraceId), o.Metadata, o.RawResponse, text)
		}
	case *types.TraceMemberRoutingClassifierTrace:
		switch v := v.Value.(type) {
		case *types.RoutingClassifierTraceMemberModelInvocationInput:
			t.input(&v.Value)
		case *types.RoutingClassifierTraceMemberModelInvocationOutput:
			t.output(aws.ToString(v.Value.TraceId), v.Value.Metadata, v.Value.RawResponse, "")
		case *types.RoutingClassifierTraceMemberInvocationInput:
			t.invoke(&v.Value)
		case *types.RoutingClassifierTraceMemberObservation:
			t.observe(&v.Value)
		}
	case *types.TraceMemberCustomOrchestrationTrace:
		if v.Value.Event != nil {
			t.at(v.Value.TraceId)
			t.line(1, "custom orchestration", aws.ToString(v.Value.Event.Text))
		}
	case *types.TraceMemberGuardrailTrace:
		t.at(v.Value.TraceId)
		t.line(1, "guardrail", string(v.Value.Action))
	case *types.TraceMemberFailureTrace:
		t.at(v.Value.TraceId)
		t.line(1, "✗ failed", aws.ToString(v.Value.FailureReason))
	}
}

func (t *Tree) orchestration(o types.OrchestrationTrace) {
	switch v := o.(type) {
	case *types.OrchestrationTraceMemberModelInvocationInput:
		t.input(&v.Value)
	case *types.OrchestrationTraceMemberModelInvocationOutput:
		t.output(aws.ToString(v.Value.TraceId), v.Value.Metadata, v.Value.RawResponse, "")
	case *types.OrchestrationTraceMemberRationale:
		t.at(v.Value.TraceId)
		t.line(1, "rationale", aws.ToString(v.Value.Text))
	case *types.OrchestrationTraceMemberInvocationInput:
		t.invoke(&v.Value)
	case *types.OrchestrationTraceMemberObservation:
		t.observe(&v.Value)
	}
}

var stepOf = regexp.MustCompile(`-((?:pre-|post-|routing-)?\d+)$`)

// at prints the heading of a step when a trace id begins one.
func (t *Tree) at(traceID *string) {
	id := aws.ToString(traceID)
	if id == t.step || id == "" {
		return
	}
	t.step = id
	name := id
	if m := stepOf.FindStringSubmatch(id); m != nil {
		name = m[1]
	}
	t.line(0, "step "+name, "")
}

func (t *Tree) input(in *types.ModelInvocationInput) {
	t.at(in.TraceId)
	what := strings.ToLower(strings.ReplaceAll(string(in.Type), "_", " "))
	if in.PromptCreationMode == types.CreationModeOverridden {
		what += " (own prompt)"
	}
	if m := aws.ToString(in.FoundationModel); m != "" {
		what += " by " + m
	}
	t.line(1, "asks the model", what)
	if t.Whole {
		t.block(aws.ToString(in.Text))
	}
}

func (t *Tree) output(id string, m *types.Metadata, raw *types.RawResponse, text string) {
	t.at(&id)
	t.totals.calls++
	if m != nil && m.Usage != nil {
		in, out := int(aws.ToInt32(m.Usage.InputTokens)), int(aws.ToInt32(m.Usage.OutputTokens))
		t.totals.in, t.totals.out = t.totals.in+in, t.totals.out+out
		text = strings.TrimSpace(fmt.Sprintf("%d tokens in, %d out  %s", in, out, text))
	}
	t.line(1, "model answered", text)
	if t.Whole && raw != nil {
		t.block(aws.ToString(raw.Content))
	}
}

func (t *Tree) invoke(in *types.InvocationInput) {
	t.at(in.TraceId)
	switch {
	case in.ActionGroupInvocationInput != nil:
		a := in.ActionGroupInvocationInput
		name := aws.ToString(a.Function)
		if name == "" {
			name = strings.ToUpper(aws.ToString(a.Verb)) + " " + aws.ToString(a.ApiPath)
		}
		var args []string
		add := func(list []types.Parameter) {
			for _, p := range list {
				args = append(args, aws.ToString(p.Name)+"="+aws.ToString(p.Value))
			}
		}
		add(a.Parameters)
		if a.RequestBody != nil {
			for _, list := range a.RequestBody.Content {
				add(list)
			}
		}
		how := ""
		if a.ExecutionType == types.ExecutionTypeReturnControl {
			how = "  → back to the caller"
		}
		t.totals.actions++
		t.line(1, "⚙ action", fmt.Sprintf("%s: %s(%s)%s", aws.ToString(a.ActionGroupName), name, strings.Join(args, ", "), how))
	case in.KnowledgeBaseLookupInput != nil:
		t.totals.actions++
		t.line(1, "🔎 knowledge base "+aws.ToString(in.KnowledgeBaseLookupInput.KnowledgeBaseId), aws.ToString(in.KnowledgeBaseLookupInput.Text))
	case in.CodeInterpreterInvocationInput != nil:
		t.totals.actions++
		t.line(1, "⚙ runs code", "")
		t.block(aws.ToString(in.CodeInterpreterInvocationInput.Code))
	case in.AgentCollaboratorInvocationInput != nil:
		t.totals.actions++
		c := in.AgentCollaboratorInvocationInput
		text := ""
		if c.Input != nil {
			text = aws.ToString(c.Input.Text)
		}
		t.line(1, "→ asks "+aws.ToString(c.AgentCollaboratorName), text)
	}
}

func (t *Tree) observe(o *types.Observation) {
	t.at(o.TraceId)
	switch {
	case o.ActionGroupInvocationOutput != nil:
		t.line(1, "result", aws.ToString(o.ActionGroupInvocationOutput.Text))
	case o.KnowledgeBaseLookupOutput != nil:
		refs := o.KnowledgeBaseLookupOutput.RetrievedReferences
		t.line(1, "found", fmt.Sprintf("%d passages", len(refs)))
		for i := range refs {
			text, uri := "", ""
			if refs[i].Content != nil {
				text = aws.ToString(refs[i].Content.Text)
			}
			if l := refs[i].Location; l != nil && l.S3Location != nil {
				uri = aws.ToString(l.S3Location.Uri) + ": "
			}
			t.line(2, "·", uri+text)
		}
	case o.CodeInterpreterInvocationOutput != nil:
		c := o.CodeInterpreterInvocationOutput
		text := aws.ToString(c.ExecutionOutput) + aws.ToString(c.ExecutionError)
		if aws.ToBool(c.ExecutionTimeout) {
			text = "timed out " + text
		}
		t.line(1, "result", text)
	case o.AgentCollaboratorInvocationOutput != nil:
		c := o.AgentCollaboratorInvocationOutput
		text := ""
		if c.Output != nil {
			text = aws.ToString(c.Output.Text)
		}
		t.line(1, "← "+aws.ToString(c.AgentCollaboratorName), text)
	case o.RepromptResponse != nil:
		t.line(1, "↺ reprompt by "+strings.ToLower(string(o.RepromptResponse.Source)), aws.ToString(o.RepromptResponse.Text))
	case o.FinalResponse != nil && o.Type == types.TypeAskUser:
		t.line(1, "? asks the user", aws.ToString(o.FinalResponse.Text))
	case o.FinalResponse != nil:
		t.line(1, "✓ finished", aws.ToString(o.FinalResponse.Text))
	}
}

// line prints one line at a depth, with the time since the line before.
func (t *Tree) line(depth int, what, text string) {
	now := t.now()
	took := now.Sub(t.last)
	t.last = now
	text = strings.Join(strings.Fields(text), " ")
	width := t.Width
	if width == 0 {
		width = 100
	}
	if !t.Whole && utf8.RuneCountInString(text) > width {
		text = string([]rune(text)[:width-1]) + "…"
	}
	if text != "" {
		what += "  " + text
	}
	deeper := ""
	if t.agent != "" {
		deeper = "│  "
	}
	branch := strings.Repeat("│  ", depth) + "├─ "
	stamp := ""
	if took >= time.Millisecond {
		stamp = "  +" + took.Round(time.Millisecond).String()
	}
	fmt.Fprintf(t.Out, "%s%s%s%s%s\n", t.Indent, deeper, branch, what, stamp)
}

// block prints a text as it is, behind a rule.
func (t *Tree) block(text string) {
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(t.Out, "%s│  │    %s\n", t.Indent, l)
	}
}

// Return prints what an agent hands back to its caller to do.
func (t *Tree) Return(r *types.ReturnControlPayload) {
	for _, in := range r.InvocationInputs {
		switch v := in.(type) {
		case *types.InvocationInputMemberMemberApiInvocationInput:
			t.line(0, "↩ returns control", aws.ToString(v.Value.ActionGroup)+": "+strings.ToUpper(aws.ToString(v.Value.HttpMethod))+" "+aws.ToString(v.Value.ApiPath))
		case *types.InvocationInputMemberMemberFunctionInvocationInput:
			var args []string
			for _, p := range v.Value.Parameters {
				args = append(args, aws.ToString(p.Name)+"="+aws.ToString(p.Value))
			}
			t.line(0, "↩ returns control", aws.ToString(v.Value.ActionGroup)+": "+aws.ToString(v.Value.Function)+"("+strings.Join(args, ", ")+")")
		}
	}
}
