package prompt

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

// Parsed is what an answer of a model means. Of orchestration exactly one of
// Reprompt, Ask, Calls and Final is set.
type Parsed struct {
	Valid    bool   // of pre-processing
	Thought  string // the rationale
	Reprompt string // the model is told this and asked again

	Ask   string
	AskID string // of the model's call, where it had one
	Calls []Call
	Final *Answer
	Agent string // a router's choice: a name, KeepPrevious, or "" when it is undecided

	Topics []Topic // of a summary
}

// Call is a call that a text asks for: of an action by verb, group and name, of a
// knowledge base, or of a collaborator.
type Call struct {
	ID                string
	Verb, Group, Name string // Verb is "" for functions
	Knowledge         string // id
	Collaborator      string
	Input             map[string]string
}

// Answer is a text with the sources of its parts.
type Answer struct {
	Text  string
	Parts []Part
}

// Part is a piece of an answer and the ids of what it was taken from.
type Part struct {
	Text    string
	Sources []string
}

// Topic is one part of a summary.
type Topic struct {
	Name, Text string
}

// KeepPrevious is a router's choice of the agent that answered last.
const KeepPrevious = "keep_previous_agent"

// Texts that a model is told when its answer cannot be read.
const (
	RepromptParse     = "Failed to parse the LLM output"
	RepromptPart      = "Could not parse generated response"
	RepromptQuestion  = "Missing the parameter 'question' for user::askuser function call. Please try again with the correct argument added."
	RepromptAsk       = "The function call format is incorrect. The format for function calls to the askuser function must be: <invoke> <tool_name>user::askuser</tool_name><parameters><question>$QUESTION</question></parameters></invoke>."
	RepromptCall      = "The function call format is incorrect. The format for function calls must be: <invoke> <tool_name>$TOOL_NAME</tool_name> <parameters> <$PARAMETER_NAME>$PARAMETER_VALUE</$PARAMETER_NAME>...</parameters></invoke>."
	RepromptOldAsk    = "Missing the argument askuser for user::askuser function call. Please try again with the correct argument added"
	RepromptOldFormat = `The function call format is incorrect. The format for function calls to the askuser function must be: <function_call>user::askuser(askuser="$ASK_USER_INPUT")</function_call>.`
	RepromptOldCall   = `The function call format is incorrect. The format for function calls must be: <function_call>$FUNCTION_NAME($FUNCTION_ARGUMENT_NAME=""$FUNCTION_ARGUMENT_NAME"")</function_call>.`
)

var (
	thinkingTag   = regexp.MustCompile(`(?s)<thinking>(.*?)</thinking>`)
	scratchTag    = regexp.MustCompile(`(?s)<scratchpad>(.*?)</scratchpad>`)
	categoryTag   = regexp.MustCompile(`(?s)<category>(.*?)</category>`)
	finalTag      = regexp.MustCompile(`(?s)<final_response>(.*?)</final_response>`)
	partTag       = regexp.MustCompile(`(?s)<answer_part\s?>(.+?)</answer_part\s?>`)
	textTag       = regexp.MustCompile(`(?s)<text\s?>(.*?)</text\s?>`)
	sourceTag     = regexp.MustCompile(`(?s)<source\s?>(.*?)</source\s?>`)
	toolTag       = regexp.MustCompile(`(?s)<tool_name>(.*?)</tool_name>`)
	parametersTag = regexp.MustCompile(`(?s)<parameters>(.*?)</parameters>`)
	questionTag   = regexp.MustCompile(`(?s)<question>(.*?)</question>`)
	oldCall       = regexp.MustCompile(`(?s)<function_call>\s*([\w-]+)::([\w-]+)(?:::(.+?))?\((.*)\)`)
	oldAsk        = regexp.MustCompile(`(?s)<function_call>\s*user::askuser(.*)`)
	oldAskText    = regexp.MustCompile(`(?s)askuser="(.*?)"`)
	agentTag      = regexp.MustCompile(`(?s)<a>(.*?)</a>`)
	topicTag      = regexp.MustCompile(`(?s)<topic(?:\s+name\s*=\s*["'](.*?)["'])?\s*>(.*?)</topic>`)
	summaryTag    = regexp.MustCompile(`(?s)<summary>(.*?)(?:</summary>|$)`)
)

func inside(re *regexp.Regexp, s string) (string, bool) {
	m := re.FindStringSubmatch(s)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// PreProcessing reads a category: an input of D or E may go on.
func PreProcessing(raw string) *Parsed {
	p := &Parsed{}
	p.Thought, _ = inside(thinkingTag, raw)
	c, _ := inside(categoryTag, raw)
	c = strings.ToUpper(strings.TrimSpace(c))
	p.Valid = c == "D" || c == "E"
	return p
}

// ErrUnreadable says that an answer has not the form that its step must have.
var ErrUnreadable = errors.New("Could not parse raw LLM output") //nolint:staticcheck // the text of the service

// PostProcessing reads the final response.
func PostProcessing(raw string) (string, error) {
	s, ok := inside(finalTag, raw)
	if !ok {
		return "", ErrUnreadable
	}
	return strings.TrimSpace(s), nil
}

// Knowledge reads an answer that was written from search results. A model that forgot
// the tags has written an answer without sources.
func Knowledge(raw string) *Answer {
	a, err := answerParts(raw)
	if a == nil || err != nil {
		a = &Answer{Text: strings.TrimSpace(bare(raw))}
	}
	return a
}

// bare takes the tags of an answer away.
func bare(s string) string {
	for _, tag := range []string{"<answer>", "</answer>", "<answer_part>", "</answer_part>", "<text>", "</text>"} {
		s = strings.ReplaceAll(s, tag, "")
	}
	return s
}

var errPart = errors.New(RepromptPart) //nolint:staticcheck // the text of the service

// answerParts reads parts with sources; nil when there are none.
func answerParts(raw string) (*Answer, error) {
	found := partTag.FindAllStringSubmatch(raw, -1)
	if found == nil {
		return nil, nil //nolint:nilnil // no parts is an ordinary answer
	}
	a := &Answer{}
	texts := make([]string, 0, len(found))
	for _, m := range found {
		text, ok := inside(textTag, m[1])
		if !ok {
			return nil, errPart
		}
		p := Part{Text: strings.TrimSpace(text)}
		for _, s := range sourceTag.FindAllStringSubmatch(m[1], -1) {
			p.Sources = append(p.Sources, strings.TrimSpace(s[1]))
		}
		a.Parts = append(a.Parts, p)
		texts = append(texts, p.Text)
	}
	a.Text = strings.Join(texts, " ")
	return a, nil
}

// Routing reads the choice of a router.
func Routing(raw string) *Parsed {
	name, _ := inside(agentTag, raw)
	name = strings.TrimSpace(name)
	if strings.EqualFold(name, "undecidable") {
		name = ""
	}
	return &Parsed{Agent: name}
}

// Summary reads a summary by topics. A model that forgot the tags has written a
// summary without topics; an empty answer has none.
func Summary(raw string) *Parsed {
	p := &Parsed{}
	for _, m := range topicTag.FindAllStringSubmatch(raw, -1) {
		if text := strings.TrimSpace(m[2]); text != "" {
			p.Topics = append(p.Topics, Topic{strings.TrimSpace(m[1]), text})
		}
	}
	if p.Topics != nil {
		return p
	}
	text, ok := inside(summaryTag, raw)
	if !ok {
		text = raw
	}
	if text = strings.TrimSpace(text); text != "" {
		p.Topics = []Topic{{Text: text}}
	}
	return p
}

// Orchestration reads what a model has decided in text: an answer, a question or
// calls, in this order.
func Orchestration(raw string) *Parsed {
	p := &Parsed{Thought: thought(raw)}
	a, err := finalAnswer(raw)
	switch {
	case err != nil:
		p.Reprompt = err.Error()
		return p
	case a != nil:
		p.Final = a
		return p
	}
	if m := oldAsk.FindStringSubmatch(raw); m != nil {
		p.oldQuestion(m[1])
		return p
	}
	if name, ok := inside(toolTag, raw); ok && strings.TrimSpace(name) == AskName {
		p.question(raw)
		return p
	}
	switch {
	case strings.Contains(raw, "<function_calls>"), strings.Contains(raw, "<invoke>"):
		if p.Calls = invoked(raw); p.Calls == nil {
			p.Reprompt = RepromptCall
		}
	case strings.Contains(raw, "<function_call>"):
		m := oldCall.FindStringSubmatch(raw)
		if m == nil {
			p.Reprompt = RepromptOldCall
			return p
		}
		verb, resource, name := m[1], m[2], m[3]
		if name == "" { // a function has no verb
			verb, resource, name = "", m[1], m[2]
		}
		p.Calls = []Call{named(verb, resource, name, oldArguments(m[4]))}
	default:
		p.Reprompt = RepromptParse
	}
	return p
}

func (p *Parsed) oldQuestion(rest string) {
	if !strings.Contains(rest, ")") {
		p.Reprompt = RepromptOldFormat
		return
	}
	q, _ := inside(oldAskText, rest)
	if p.Ask = strings.TrimSpace(q); p.Ask == "" {
		p.Reprompt = RepromptOldAsk
	}
}

func (p *Parsed) question(raw string) {
	inner, ok := inside(parametersTag, raw)
	if !ok {
		p.Reprompt = RepromptAsk
		return
	}
	q, _ := inside(questionTag, inner)
	if p.Ask = strings.TrimSpace(q); p.Ask == "" {
		p.Reprompt = RepromptQuestion
	}
}

// thought is what stands before the first call or answer.
func thought(raw string) string {
	at := len(raw)
	for _, tag := range []string{"<function_call", "<answer>", "<invoke>"} {
		if i := strings.Index(raw, tag); i >= 0 {
			at = min(at, i)
		}
	}
	s := raw[:at]
	for _, tag := range []*regexp.Regexp{scratchTag, thinkingTag} {
		if in, ok := inside(tag, s); ok {
			return strings.TrimSpace(in)
		}
	}
	for _, end := range []string{"</scratchpad>", "</thinking>"} { // the opening tag is the prompt's
		if before, _, ok := strings.Cut(s, end); ok {
			return strings.TrimSpace(before)
		}
	}
	for _, open := range []string{"<scratchpad>", "<thinking>"} {
		s = strings.TrimPrefix(strings.TrimSpace(s), open)
	}
	return strings.TrimSpace(s)
}

func finalAnswer(raw string) (*Answer, error) {
	if a, err := answerParts(raw); a != nil || err != nil {
		return a, err
	}
	at := strings.LastIndex(raw, "<answer>")
	if at < 0 || at < strings.LastIndex(raw, "<function_call") {
		return nil, nil //nolint:nilnil // no answer yet
	}
	text, _, _ := strings.Cut(raw[at+len("<answer>"):], "</answer>") // the stop sequence swallows the end
	return &Answer{Text: strings.TrimSpace(text)}, nil
}

// invoked reads the calls of a text, each an <invoke> with its tool_name and
// parameters; nil when one of them cannot be read.
func invoked(raw string) []Call {
	blocks := strings.Split(raw, "<invoke>")
	if len(blocks) > 1 {
		blocks = blocks[1:]
	}
	var out []Call
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "</invoke>")
		c, ok := invokedOne(b)
		if !ok {
			return nil
		}
		out = append(out, c)
	}
	return out
}

func invokedOne(raw string) (Call, bool) {
	name, ok := inside(toolTag, raw)
	if !ok || strings.TrimSpace(name) == "" {
		return Call{}, false
	}
	input := map[string]string{}
	if inner, ok := inside(parametersTag, raw); ok {
		if input, ok = elements(inner); !ok {
			return Call{}, false
		}
	}
	return byName(strings.TrimSpace(name), "::", input)
}

// byName makes a call of a tool's name and what it is given.
func byName(name, separator string, input map[string]string) (Call, bool) {
	parts := strings.SplitN(name, separator, 3)
	for i := range parts {
		if parts[i] = strings.TrimSpace(parts[i]); parts[i] == "" {
			return Call{}, false
		}
	}
	switch len(parts) {
	case 3:
		return named(parts[0], parts[1], parts[2], input), true
	case 2: // of a function, or a message
		if parts[0] == "AgentCommunication" {
			return Call{Collaborator: input[SendTo], Input: map[string]string{"text": input[SendText]}}, true
		}
		return Call{Group: parts[0], Name: parts[1], Input: input}, true
	}
	return Call{}, false
}

// named makes a call of what its name says: knowledge bases have groups of their own.
func named(verb, resource, name string, input map[string]string) Call {
	if len(resource) > len(knowledgePrefix) && strings.EqualFold(resource[:len(knowledgePrefix)], knowledgePrefix) {
		return Call{Knowledge: resource[len(knowledgePrefix):], Input: input}
	}
	return Call{Verb: verb, Group: resource, Name: name, Input: input}
}

// elements reads the parameters: every element with text, what is in it as it is
// written when that is more than text.
func elements(s string) (map[string]string, bool) {
	out := map[string]string{}
	d := xml.NewDecoder(strings.NewReader(s))
	d.Strict = false
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		var v struct {
			Inner string `xml:",innerxml"`
			Text  string `xml:",chardata"`
		}
		if err := d.DecodeElement(&v, &start); err != nil {
			return nil, false
		}
		text := v.Text
		if strings.Contains(v.Inner, "</") {
			text = v.Inner
		}
		if text = strings.TrimSpace(text); text != "" {
			out[start.Name.Local] = text
		}
	}
}

// oldArguments reads name="value" pairs; commas inside quotes stay.
func oldArguments(s string) map[string]string {
	out := map[string]string{}
	var list []string
	from, quoted := 0, false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			list = append(list, s[from:i])
			from = i + 1
		}
	}
	for _, pair := range append(list, s[from:]) {
		name, v, ok := strings.Cut(pair, "=")
		if name = strings.TrimSpace(name); ok && name != "" {
			out[name] = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return out
}

// OrchestrationMessages reads what a model has decided in an answer of the Messages
// form: calls by name, or text that is the answer.
func OrchestrationMessages(raw string) *Parsed {
	var a answer
	if err := json.Unmarshal([]byte(raw), &a); err != nil {
		return &Parsed{Reprompt: RepromptParse}
	}
	p := &Parsed{}
	var texts []string
	for i := range a.Content {
		switch b := &a.Content[i]; b.Type {
		case "text":
			texts = append(texts, b.Text)
		case "tool_use":
			p.toolUse(b)
		}
	}
	text := strings.Join(texts, "\n")
	switch {
	case p.Reprompt != "":
		p.Ask, p.Calls, p.Thought = "", nil, thought(text)
	case p.Ask != "" || len(p.Calls) > 0:
		p.Thought = thought(text)
		if p.Ask != "" {
			p.Calls = nil // the user's answer comes first
		}
	case strings.Contains(text, "<answer>") || partTag.MatchString(text):
		got := Orchestration(text)
		got.Valid = false
		return got
	case strings.TrimSpace(text) == "":
		p.Reprompt = RepromptParse
	default:
		if in, ok := inside(thinkingTag, text); ok {
			p.Thought, text = strings.TrimSpace(in), thinkingTag.ReplaceAllString(text, "")
		}
		p.Final = &Answer{Text: strings.TrimSpace(text)}
	}
	return p
}

func (p *Parsed) toolUse(b *block) {
	members := map[string]json.RawMessage{}
	_ = json.Unmarshal(b.Input, &members) // what is no object has no members
	input := make(map[string]string, len(members))
	for k, v := range members {
		input[k] = plain(v)
	}
	if b.Name == AskTool {
		if p.Ask, p.AskID = strings.TrimSpace(input[AskInput]), b.ID; p.Ask == "" {
			p.Reprompt = RepromptQuestion
		}
		return
	}
	c, ok := byName(b.Name, "__", input)
	if !ok {
		p.Reprompt = RepromptParse
		return
	}
	c.ID = b.ID
	p.Calls = append(p.Calls, c)
}
