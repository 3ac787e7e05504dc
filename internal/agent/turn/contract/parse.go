package contract

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

// Parsed is what an answer of a model means. At most one of Ask, Call, Query, Agent
// and Final is set in orchestration.
type Parsed struct {
	Valid    bool // pre-processing
	Thought  string
	Reprompt string // the model is told this and asked again

	Ask   string
	Calls []Call
	Final *Answer
	Agent string // a router's choice; "" is undecided
}

// Call is a call that a text asks for: of an action by verb, group and name, of a
// knowledge base, or of a collaborator.
type Call struct {
	ID                string
	Verb, Group, Name string
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

// Texts that a model is told when its answer cannot be read.
const (
	RepromptParse    = "Failed to parse the LLM output"
	RepromptQuestion = "Missing the parameter 'question' for user::askuser function call. Please try again with the correct argument added."
	RepromptCall     = "The function call format is incorrect. The format for function calls must be: <invoke> <tool_name>$TOOL_NAME</tool_name> <parameters> <$PARAMETER_NAME>$PARAMETER_VALUE</$PARAMETER_NAME>...</parameters></invoke>."
	RepromptOldAsk   = `Missing the argument askuser for user::askuser function call. Please try again with the correct argument added`
	RepromptOldCall  = `The function call format is incorrect. The format for function calls must be: <function_call>$FUNCTION_NAME($FUNCTION_ARGUMENT_NAME=""$FUNCTION_ARGUMENT_NAME"")</function_call>.`
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
	oldCall       = regexp.MustCompile(`(?s)<function_call>([\w-]+)::([\w-]+)::(.+?)\((.*)\)`)
	oldAsk        = regexp.MustCompile(`(?s)<function_call>user::askuser(.*)\)`)
	oldAskText    = regexp.MustCompile(`(?s)askuser="(.*?)"`)
	agentTag      = regexp.MustCompile(`(?s)<a>(.*?)</a>`)
)

func group(re *regexp.Regexp, s string) (string, bool) {
	m := re.FindStringSubmatch(s)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// PreProcessing reads a category: an input of D or E may go on.
func PreProcessing(raw string) *Parsed {
	p := &Parsed{}
	p.Thought, _ = group(thinkingTag, raw)
	c, _ := group(categoryTag, raw)
	c = strings.ToUpper(strings.TrimSpace(c))
	p.Valid = c == "D" || c == "E"
	return p
}

// ErrUnreadable says that an answer has not the form that its step must have.
var ErrUnreadable = errors.New("Could not parse raw LLM output") //nolint:staticcheck // the text of the service

// PostProcessing reads the final response.
func PostProcessing(raw string) (string, error) {
	s, ok := group(finalTag, raw)
	if !ok {
		return "", ErrUnreadable
	}
	return strings.TrimSpace(s), nil
}

// Knowledge reads an answer that was written from search results.
func Knowledge(raw string) *Answer {
	a, _ := answerParts(raw)
	if a == nil {
		a = &Answer{Text: strings.TrimSpace(bare(raw))}
	}
	return a
}

// bare takes the tags of an answer away.
func bare(s string) string {
	for _, tag := range []string{"<answer>", "</answer>"} {
		s = strings.ReplaceAll(s, tag, "")
	}
	return s
}

// answerParts reads parts with sources; nil when there are none.
func answerParts(raw string) (*Answer, error) {
	found := partTag.FindAllStringSubmatch(raw, -1)
	if found == nil {
		return nil, nil //nolint:nilnil // no parts is an ordinary answer
	}
	a := &Answer{}
	var texts []string
	for _, m := range found {
		text, ok := group(textTag, m[1])
		if !ok {
			return nil, errors.New("Could not parse generated response") //nolint:staticcheck // the text of the service
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
	name, _ := group(agentTag, raw)
	return &Parsed{Agent: strings.TrimSpace(name)}
}

// Orchestration reads what a model has decided: an answer, a question or a call.
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
		q, ok := group(oldAskText, m[1])
		if p.Ask = strings.TrimSpace(q); !ok || p.Ask == "" {
			p.Reprompt = RepromptOldAsk
		}
		return p
	}
	if name, ok := group(toolTag, raw); ok && strings.TrimSpace(name) == AskName {
		q, ok := group(questionTag, raw)
		if p.Ask = strings.TrimSpace(q); !ok || p.Ask == "" {
			p.Ask, p.Reprompt = "", RepromptQuestion
		}
		return p
	}
	switch {
	case strings.Contains(raw, "<function_calls>"), strings.Contains(raw, "<invoke>"):
		c, ok := newCall(raw)
		if !ok {
			p.Reprompt = RepromptCall
			return p
		}
		p.Calls = []Call{c}
	case strings.Contains(raw, "<function_call>"):
		m := oldCall.FindStringSubmatch(raw)
		if m == nil {
			p.Reprompt = RepromptOldCall
			return p
		}
		p.Calls = []Call{named(m[1], m[2], m[3], oldArguments(m[4]))}
	default:
		p.Reprompt = RepromptParse
	}
	return p
}

// thought is what stands before the first call or answer.
func thought(raw string) string {
	at := len(raw)
	for _, tag := range []string{"<function_call", "<answer>"} {
		if i := strings.Index(raw, tag); i >= 0 {
			at = min(at, i)
		}
	}
	s := raw[:at]
	for _, tag := range []*regexp.Regexp{scratchTag, thinkingTag} {
		if in, ok := group(tag, s); ok {
			return strings.TrimSpace(in)
		}
	}
	for _, end := range []string{"</scratchpad>", "</thinking>"} { // the opening tag is the prompt's
		if before, _, ok := strings.Cut(s, end); ok {
			return strings.TrimSpace(before)
		}
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

// newCall reads <invoke> with its tool_name and parameters.
func newCall(raw string) (Call, bool) {
	name, ok := group(toolTag, raw)
	if !ok || strings.TrimSpace(name) == "" {
		return Call{}, false
	}
	input := map[string]string{}
	if inner, ok := group(parametersTag, raw); ok {
		if input, ok = elements(inner); !ok {
			return Call{}, false
		}
	}
	parts := strings.SplitN(strings.TrimSpace(name), "::", 3)
	switch len(parts) {
	case 3:
		return named(parts[0], parts[1], parts[2], input), true
	case 2: // of a function, or a message
		if parts[0] == "AgentCommunication" {
			return Call{Collaborator: input["recipient"], Input: map[string]string{"text": input["content"]}}, true
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

// elements reads the parameters: every element with text, its children as they are
// written.
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
