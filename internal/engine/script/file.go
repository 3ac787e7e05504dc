package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// file is the YAML document.
type file struct {
	Rules      []rule     `yaml:"rules"`
	Default    *reply     `yaml:"default"`
	Embeddings embeddings `yaml:"embeddings"`
	Dimension  dimension  `yaml:"dimension"`
}

// rule answers the requests that fit it.
type rule struct {
	Model *glob  `yaml:"model"`
	When  when   `yaml:"when"`
	Reply *reply `yaml:"reply"`
}

// when holds the conditions of a rule; all of them must hold.
type when struct {
	System     *expression `yaml:"system"`
	User       *expression `yaml:"user"`
	ToolResult *expression `yaml:"tool_result"`
	Turn       *turn       `yaml:"turn"`
	Tools      []string    `yaml:"tools"`
}

// reply is what a rule answers.
type reply struct {
	Text       *text      `yaml:"text"`
	Chunks     *count     `yaml:"chunks"`
	Delay      duration   `yaml:"delay"`
	Gap        duration   `yaml:"gap"`
	StopReason stopReason `yaml:"stop_reason"`
	ToolCalls  []toolCall `yaml:"tool_calls"`
	Error      failure    `yaml:"error"`
}

type toolCall struct {
	Name      string    `yaml:"name"`
	Arguments arguments `yaml:"arguments"`
}

// fallback answers what no rule fits when the file has no default of its own.
const fallback = `You said: {{.User}}`

// load reads a file strictly.
func load(r io.Reader) (*file, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	f := &file{}
	err = yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(f)
	if err != nil && !errors.Is(err, io.EOF) { // an empty file has only defaults
		return nil, fmt.Errorf("script: %s", strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	for i := range f.Rules {
		r := &f.Rules[i]
		switch {
		case r.Reply == nil:
			return nil, fmt.Errorf("script: rule %d has no reply", i+1)
		case r.Reply.empty():
			return nil, fmt.Errorf("script: the reply of rule %d has neither text nor tool_calls nor error", i+1)
		}
		for _, c := range r.Reply.ToolCalls {
			if c.Name == "" {
				return nil, fmt.Errorf("script: a tool call of rule %d has no name", i+1)
			}
		}
	}
	if f.Default == nil {
		f.Default = &reply{Text: &text{}}
		if err := f.Default.Text.parse(fallback); err != nil {
			return nil, err
		}
	}
	if f.Default.empty() {
		return nil, errors.New("script: default has neither text nor tool_calls nor error")
	}
	return f, nil
}

func (r *reply) empty() bool { return r.Text == nil && len(r.ToolCalls) == 0 && r.Error == "" }

// at puts the line of a node before an error.
func at(n ast.Node, format string, args ...any) error {
	line := 0
	if t := n.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	return fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...))
}

// scalar reads the text of a node that must be a plain value.
func scalar(n ast.Node) (string, error) {
	var v any
	if err := yaml.NodeToValue(n, &v); err != nil {
		return "", at(n, "%w", err)
	}
	switch s := v.(type) {
	case string:
		return s, nil
	case map[string]any, []any, nil:
		return "", at(n, "a plain value is expected here")
	default:
		return fmt.Sprint(s), nil
	}
}

// glob is a pattern of * and ?, matched against whole names.
type glob struct{ re *regexp.Regexp }

// UnmarshalYAML reads the pattern.
func (g *glob) UnmarshalYAML(n ast.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	p := regexp.QuoteMeta(s)
	p = strings.ReplaceAll(strings.ReplaceAll(p, `\*`, `.*`), `\?`, `.`)
	g.re, err = regexp.Compile(`^(?s:` + p + `)$`)
	if err != nil {
		return at(n, "model: %w", err)
	}
	return nil
}

// expression is a regular expression in Go's syntax.
type expression struct{ re *regexp.Regexp }

// UnmarshalYAML compiles the expression.
func (e *expression) UnmarshalYAML(n ast.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	if e.re, err = regexp.Compile(s); err != nil {
		return at(n, "%w", err)
	}
	return nil
}

// text is a Go template.
type text struct{ t *template.Template }

// UnmarshalYAML parses the template and tries it, so that unknown fields are
// found at start.
func (t *text) UnmarshalYAML(n ast.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	if err := t.parse(s); err != nil {
		return at(n, "%w", err)
	}
	return nil
}

func (t *text) parse(s string) (err error) {
	t.t, err = template.New("text").Option("missingkey=error").Funcs(template.FuncMap{"json": quoteJSON}).Parse(s)
	if err != nil {
		return err
	}
	_, err = t.render(fields{User: "u", System: "s", ToolResult: "r", Model: "m"})
	return err
}

func (t *text) render(f fields) (string, error) {
	var w strings.Builder
	if err := t.t.Execute(&w, f); err != nil {
		return "", err
	}
	return w.String(), nil
}

// quoteJSON is the template function json.
func quoteJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// fields are what a template may use.
type fields struct {
	User       string // last text of the user
	System     string // system text
	ToolResult string // last results of tools in this turn
	Model      string // AWS id that the caller used, else the local name
}

// turn counts from 1.
type turn int

// UnmarshalYAML reads a positive number.
func (t *turn) UnmarshalYAML(n ast.Node) error { return whole(n, 1, (*int)(t), "turn") }

// count is a number of chunks.
type count int

// UnmarshalYAML reads a number.
func (c *count) UnmarshalYAML(n ast.Node) error { return whole(n, 0, (*int)(c), "chunks") }

// dimension is the length of vectors.
type dimension int

// UnmarshalYAML reads a positive number.
func (d *dimension) UnmarshalYAML(n ast.Node) error { return whole(n, 1, (*int)(d), "dimension") }

func whole(n ast.Node, least int, into *int, key string) error {
	var v int
	if err := yaml.NodeToValue(n, &v); err != nil || v < least || v > 1<<20 {
		return at(n, "%s must be a whole number from %d on", key, least)
	}
	*into = v
	return nil
}

// duration is a time span in Go's spelling.
type duration time.Duration

// UnmarshalYAML reads spans such as 20ms.
func (d *duration) UnmarshalYAML(n ast.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return at(n, "%q is no time span such as 20ms", s)
	}
	*d = duration(v)
	return nil
}

// stopReason is an engine.StopReason or empty.
type stopReason engine.StopReason

// UnmarshalYAML takes the stop reasons of the engine port.
func (s *stopReason) UnmarshalYAML(n ast.Node) error {
	v, err := scalar(n)
	if err != nil {
		return err
	}
	switch r := engine.StopReason(v); r {
	case engine.EndTurn, engine.StopSequence, engine.MaxTokens, engine.ToolUse, engine.Filtered,
		engine.ContextFull, engine.MalformedTool, engine.MalformedText:
		*s = stopReason(r)
		return nil
	}
	return at(n, "%q is no stop reason", v)
}

// failure is a kind of error or empty.
type failure string

const (
	failTimeout    failure = "timeout"
	failOverloaded failure = "overloaded"
	failCrash      failure = "crash"
	failNotReady   failure = "not_ready"
	failBadOutput  failure = "bad_output"
)

// UnmarshalYAML takes the kinds of failure that the file may ask for.
func (f *failure) UnmarshalYAML(n ast.Node) error {
	v, err := scalar(n)
	if err != nil {
		return err
	}
	switch k := failure(v); k {
	case failTimeout, failOverloaded, failCrash, failNotReady, failBadOutput:
		*f = k
		return nil
	}
	return at(n, "%q is no error: timeout, overloaded, crash, not_ready or bad_output", v)
}

// embeddings says how vectors are made; there is one way.
type embeddings string

// UnmarshalYAML takes "hashed".
func (e *embeddings) UnmarshalYAML(n ast.Node) error {
	v, err := scalar(n)
	if err != nil {
		return err
	}
	if v != "hashed" {
		return at(n, "embeddings can be hashed, not %q", v)
	}
	*e = embeddings(v)
	return nil
}

// arguments is an object whose members keep their order and whose strings may be
// templates.
type arguments struct{ root argument }

// argument is a value: a template for a string, literal JSON for other plain
// values, members or items.
type argument struct {
	text    *text
	literal string
	keys    []string
	values  []argument
	list    bool
}

// UnmarshalYAML reads an object.
func (a *arguments) UnmarshalYAML(n ast.Node) error {
	v, err := readArgument(n)
	if err != nil {
		return err
	}
	if v.text != nil || v.literal != "" || v.list {
		return at(n, "arguments must be an object")
	}
	a.root = v
	return nil
}

func readArgument(n ast.Node) (argument, error) {
	switch v := n.(type) {
	case *ast.MappingNode:
		a := argument{}
		for _, m := range v.Values {
			if err := a.member(m); err != nil {
				return a, err
			}
		}
		return a, nil
	case *ast.MappingValueNode:
		a := argument{}
		return a, a.member(v)
	case *ast.SequenceNode:
		a := argument{list: true}
		for _, i := range v.Values {
			x, err := readArgument(i)
			if err != nil {
				return a, err
			}
			a.values = append(a.values, x)
		}
		return a, nil
	case *ast.AliasNode, *ast.AnchorNode, *ast.MergeKeyNode:
		return argument{}, at(n, "anchors and aliases are not supported in arguments")
	}
	var v any
	if err := yaml.NodeToValue(n, &v); err != nil {
		return argument{}, at(n, "%w", err)
	}
	if s, ok := v.(string); ok && strings.Contains(s, "{{") {
		t := &text{}
		if err := t.parse(s); err != nil {
			return argument{}, at(n, "%w", err)
		}
		return argument{text: t}, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return argument{}, at(n, "%w", err)
	}
	return argument{literal: string(raw)}, nil
}

func (a *argument) member(m *ast.MappingValueNode) error {
	key, err := scalar(m.Key)
	if err != nil {
		return err
	}
	v, err := readArgument(m.Value)
	if err != nil {
		return err
	}
	a.keys = append(a.keys, key)
	a.values = append(a.values, v)
	return nil
}

// render writes the arguments as JSON.
func (a *argument) render(w *bytes.Buffer, f fields) error {
	switch {
	case a.text != nil:
		s, err := a.text.render(f)
		if err != nil {
			return err
		}
		q, err := quoteJSON(s)
		w.WriteString(q)
		return err
	case a.literal != "":
		w.WriteString(a.literal)
		return nil
	}
	open, closing := byte('{'), byte('}')
	if a.list {
		open, closing = '[', ']'
	}
	w.WriteByte(open)
	for i := range a.values {
		if i > 0 {
			w.WriteByte(',')
		}
		if !a.list {
			q, err := quoteJSON(a.keys[i])
			if err != nil {
				return err
			}
			w.WriteString(q + ":")
		}
		if err := a.values[i].render(w, f); err != nil {
			return err
		}
	}
	w.WriteByte(closing)
	return nil
}
