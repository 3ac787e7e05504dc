package commandr

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

const (
	maxOutput    = 4096
	maxDocuments = 300
	temperature  = 0.3
	topP         = 0.75
)

func sampling() []family.Field {
	return []family.Field{
		family.Optional("max_tokens", family.AnInteger(1, 1<<31)),
		family.Optional("temperature", family.ANumber(0, 1)),
		family.Optional("p", family.ANumber(0.01, 0.99)),
		family.Optional("k", family.ANumber(0, 500)),
		family.Optional("frequency_penalty", family.ANumber(0, 1)),
		family.Optional("presence_penalty", family.ANumber(0, 1)),
		family.Optional("seed", family.AnInteger(math.MinInt64, math.MaxInt64)),
		family.Optional("stop_sequences", family.AnArray(family.AString())),
		family.Optional("prompt_truncation", family.AString().OneOf("OFF", "AUTO_PRESERVE_ORDER")),
	}
}

var (
	call = family.AnObject(
		family.Required("name", family.AString()),
		family.Optional("parameters", family.AnObject().Open()),
		family.Optional("generation_id", family.AString()),
	)
	results = family.AnArray(family.AnObject(
		family.Required("call", call),
		family.Required("outputs", family.AnArray(family.AnObject().Open())),
	))
	schema = family.AnObject(append([]family.Field{
		family.Required("message", family.AString()),
		family.Optional("chat_history", family.AnArray(family.AnObject(
			family.Required("role", family.AString().OneOf("USER", "CHATBOT", "SYSTEM", "TOOL")),
			family.Optional("message", family.AString()),
			family.Optional("tool_calls", family.AnArray(call).OrNull()),
			family.Optional("tool_results", results.OrNull()),
		))),
		family.Optional("documents", family.AnArray(family.AnObject().Open()).Size(0, maxDocuments)),
		family.Optional("search_queries_only", family.ABoolean()),
		family.Optional("preamble", family.AString()),
		family.Optional("return_prompt", family.ABoolean()),
		family.Optional("raw_prompting", family.ABoolean()),
		family.Optional("tools", family.AnArray(family.AnObject(
			family.Required("name", family.AString().Size(1, -1)),
			family.Optional("description", family.AString()),
			family.Optional("parameter_definitions", family.AnObject().Open()),
		))),
		family.Optional("tool_results", results),
		family.Optional("force_single_step", family.ABoolean()),
	}, sampling()...)...)
	converseSchema = family.AnObject(sampling()...)
	parameter      = family.AnObject(
		family.Required("type", family.AString()),
		family.Optional("description", family.AString()),
		family.Optional("required", family.ABoolean()),
	)
)

// Codec serves Command R and R+. Its zero value is ready.
type Codec struct{}

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "command-r" }

// Streams reports that Command R streams.
func (Codec) Streams(family.Model) bool { return true }

// state is what an answer needs to know of its request.
type state struct {
	history string // JSON of the items of the history, without the message
	message string
	prompt  string // answered when it was asked for
	echo    bool
}

func bad(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	if v.Get("search_queries_only").Bool() {
		return nil, bad("search_queries_only is not built in Outcrop: the local model writes answers, no search queries.")
	}
	message, given := v.Get("message").Text(), v.Get("tool_results").Items()
	if message == "" && len(given) == 0 {
		return nil, bad("invalid request: message must be at least 1 token long or tool results must be specified.")
	}
	limit := cmp.Or(m.MaxOutput, maxOutput)
	if err := family.AtMost("#/max_tokens", v.Get("max_tokens"), limit); err != nil {
		return nil, err
	}
	r := &engine.Request{System: v.Get("preamble").Text(), Sampling: engine.Sampling{
		MaxTokens: limit, Temperature: new(temperature), TopP: new(topP),
	}}
	if err := sample(r, &v); err != nil {
		return nil, err
	}
	if err := tools(r, v.Get("tools").Items()); err != nil {
		return nil, err
	}
	s := state{message: message, echo: v.Get("return_prompt").Bool(), history: inner(v.Get("chat_history"))}
	if v.Get("raw_prompting").Bool() {
		raw(r, message)
		s.prompt = message
	} else {
		b := builder{r: r}
		b.history(v.Get("chat_history").Items())
		b.last(message, v.Get("documents").Items(), given)
		if s.echo {
			s.prompt = render(r)
		}
	}
	return &family.Call{Model: m, Generate: []*engine.Request{r}, State: s}, nil
}

// inner is the text between the brackets of an array.
func inner(v *family.Value) string {
	if v.Kind != family.Array {
		return ""
	}
	return strings.TrimSpace(string(v.Raw[1 : len(v.Raw)-1]))
}

// sample reads the members that bodies and Converse's additional fields share.
func sample(r *engine.Request, v *family.Value) error {
	r.MaxTokens = v.Get("max_tokens").IntOr(r.MaxTokens)
	set := func(to **float64, name string) {
		if f := v.Get(name); f.IsNumber() {
			*to = new(f.Float())
		}
	}
	set(&r.Temperature, "temperature")
	set(&r.TopP, "p")
	set(&r.FrequencyPenalty, "frequency_penalty")
	set(&r.PresencePenalty, "presence_penalty")
	if k := v.Get("k"); k.IsNumber() {
		if k.Kind != family.Integer {
			return family.Malformed("#/k: " + string(k.Raw) + " is not a multiple of 1")
		}
		r.TopK = new(k.Int())
	}
	if s := v.Get("seed"); s.IsNumber() {
		r.Seed = new(int64(s.Int()))
	}
	if stops := v.Get("stop_sequences"); stops.Kind == family.Array {
		r.Stop = stops.Texts()
	}
	return nil
}

// types are the names that Command R's tools give to JSON's types.
var types = map[string]string{
	"str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number", "number": "number",
	"bool": "boolean", "boolean": "boolean", "list": "array", "array": "array", "dict": "object", "object": "object",
}

func tools(r *engine.Request, items []family.Value) error {
	for i := range items {
		definitions := items[i].Get("parameter_definitions")
		properties, required := map[string]any{}, []string{}
		for _, name := range definitions.Names() {
			d := definitions.Get(name)
			at := "#/tools/" + strconv.Itoa(i) + "/parameter_definitions/" + name
			if found := parameter.Violations(nil, at, d); len(found) > 0 {
				return family.Malformed(found...)
			}
			property := map[string]any{}
			kind, _, _ := strings.Cut(strings.ToLower(d.Get("type").Text()), "[") // List[str]
			if t := types[kind]; t != "" {
				property["type"] = t
			}
			if text := d.Get("description").Text(); text != "" {
				property["description"] = text
			}
			if d.Get("required").Bool() {
				required = append(required, name)
			}
			properties[name] = property
		}
		text, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required})
		if err != nil {
			return err
		}
		r.Tools = append(r.Tools, engine.Tool{
			Name: items[i].Get("name").Text(), Description: items[i].Get("description").Text(), Schema: text,
		})
	}
	return nil
}

// builder makes turns of a chat. Command R's calls have no ids; they get some here,
// and results find their call by its name.
type builder struct {
	r       *engine.Request
	pending []*engine.ToolCall
	n       int
}

func (b *builder) add(role engine.Role, parts ...engine.Part) {
	if len(parts) == 0 {
		return
	}
	if n := len(b.r.Messages); n > 0 && b.r.Messages[n-1].Role == role {
		b.r.Messages[n-1].Parts = append(b.r.Messages[n-1].Parts, parts...)
		return
	}
	b.r.Messages = append(b.r.Messages, engine.Message{Role: role, Parts: parts})
}

func (b *builder) text(role engine.Role, text string) {
	if text != "" {
		b.add(role, engine.Part{Text: text})
	}
}

func (b *builder) history(items []family.Value) {
	for i := range items {
		m := &items[i]
		text := m.Get("message").Text()
		switch m.Get("role").Text() {
		case "USER":
			b.text(engine.User, text)
		case "CHATBOT":
			b.text(engine.Assistant, text)
			calls := m.Get("tool_calls").Items()
			for k := range calls {
				b.call(&calls[k])
			}
		case "SYSTEM":
			b.r.System = strings.TrimPrefix(b.r.System+"\n\n"+text, "\n\n")
		case "TOOL":
			b.results(m.Get("tool_results").Items())
		}
	}
}

func (b *builder) call(v *family.Value) {
	b.n++
	c := &engine.ToolCall{ID: "call_" + strconv.Itoa(b.n), Name: v.Get("name").Text(), Arguments: json.RawMessage("{}")}
	if p := v.Get("parameters"); p.Kind == family.Object {
		c.Arguments = json.RawMessage(p.Raw)
	}
	b.add(engine.Assistant, engine.Part{ToolCall: c})
	b.pending = append(b.pending, c)
}

// take returns the oldest open call of the name.
func (b *builder) take(name string) *engine.ToolCall {
	for i, c := range b.pending {
		if c.Name == name {
			b.pending = append(b.pending[:i:i], b.pending[i+1:]...)
			return c
		}
	}
	return nil
}

func (b *builder) results(items []family.Value) {
	var parts []engine.Part
	for i := range items {
		v := items[i].Get("call")
		c := b.take(v.Get("name").Text())
		if c == nil { // the history does not show the call: a single step needs none
			b.call(v)
			c = b.take(v.Get("name").Text())
		}
		parts = append(parts, engine.Part{ToolResult: &engine.ToolResult{
			ID: c.ID, Name: c.Name, Parts: []engine.Part{{Text: string(items[i].Get("outputs").Raw)}},
		}})
	}
	b.add(engine.User, parts...)
}

// last adds what is asked now.
func (b *builder) last(message string, documents, results []family.Value) {
	var context strings.Builder
	for i := range documents {
		context.WriteString(document(&documents[i]))
	}
	if len(b.pending) > 0 { // the history ends with calls: their results come first
		b.results(results)
		results = nil
	}
	b.text(engine.User, context.String()+message)
	b.results(results)
}

// document renders a document: its title, its text, and whatever else it holds.
func document(v *family.Value) string {
	var text []string
	for _, name := range v.Names() {
		value := v.Get(name)
		content := value.Text()
		if value.Kind != family.String {
			content = string(value.Raw)
		}
		switch name {
		case "title", "id", "_excludes":
		case "snippet", "text":
			text = append(text, content)
		default:
			text = append(text, name+": "+content)
		}
	}
	return family.Document(v.Get("title").Text(), "", strings.Join(text, "\n"))
}

const (
	startTurn = "<|START_OF_TURN_TOKEN|>"
	endTurn   = "<|END_OF_TURN_TOKEN|>"
	userTurn  = "<|USER_TOKEN|>"
	botTurn   = "<|CHATBOT_TOKEN|>"
	sysTurn   = "<|SYSTEM_TOKEN|>"
	bos       = "<BOS_TOKEN>"
)

// raw takes a raw prompt apart, so that the local model gets the same turns in its
// own template.
func raw(r *engine.Request, prompt string) {
	if !strings.Contains(prompt, startTurn) {
		family.Plain(r, prompt)
		return
	}
	b := builder{r: r}
	for i, turn := range strings.Split(strings.TrimPrefix(prompt, bos), startTurn) {
		text, _, _ := strings.Cut(turn, endTurn)
		switch {
		case i == 0: // before the first turn
		case strings.HasPrefix(text, userTurn):
			b.text(engine.User, strings.TrimPrefix(text, userTurn))
		case strings.HasPrefix(text, botTurn):
			b.text(engine.Assistant, strings.TrimPrefix(text, botTurn))
		case strings.HasPrefix(text, sysTurn):
			r.System = strings.TrimPrefix(r.System+"\n\n"+strings.TrimPrefix(text, sysTurn), "\n\n")
		}
	}
	if len(r.Messages) == 0 {
		family.Plain(r, prompt)
	}
}

// render writes a chat as Command R's template does.
func render(r *engine.Request) string {
	var b strings.Builder
	b.WriteString(bos)
	if r.System != "" {
		b.WriteString(startTurn + sysTurn + r.System + endTurn)
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		role := userTurn
		if m.Role == engine.Assistant {
			role = botTurn
		}
		b.WriteString(startTurn + role)
		for k := range m.Parts {
			switch p := &m.Parts[k]; {
			case p.ToolCall != nil:
				b.WriteString(p.ToolCall.Name + " " + string(p.ToolCall.Arguments))
			case p.ToolResult != nil:
				b.WriteString(p.ToolResult.Parts[0].Text)
			default:
				b.WriteString(p.Text)
			}
		}
		b.WriteString(endTurn)
	}
	b.WriteString(startTurn + botTurn)
	return b.String()
}

// Converse fills the defaults and takes the extra fields.
func (Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := converseSchema.Check(&fields); err != nil {
			return err
		}
	}
	limit := cmp.Or(m.MaxOutput, maxOutput)
	r.MaxTokens = cmp.Or(r.MaxTokens, limit)
	if r.Temperature == nil {
		r.Temperature = new(temperature)
	}
	if r.TopP == nil {
		r.TopP = new(topP)
	}
	if err := sample(r, &fields); err != nil {
		return err
	}
	if r.MaxTokens > limit {
		return family.TooManyTokens(limit)
	}
	return nil
}

// TooLong is the text for an input that does not fit.
func (Codec) TooLong(m family.Model, limit, got int) string {
	if limit = cmp.Or(limit, m.Context); limit > 0 && got > 0 {
		return "too many tokens: size limit exceeded by " + strconv.Itoa(max(1, got-limit)) +
			" tokens. Try using shorter or fewer inputs. The limit for this model is " + strconv.Itoa(limit) + " tokens."
	}
	return "Input is too long for requested model."
}
