package tools

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Case is one of the thirty.
type Case struct {
	ID      string
	HeldOut bool // not to be looked at while tuning
	// Make draws the facts of one run.
	Make func(r *rand.Rand) Task
}

// Task is a conversation with its tools and what is right in it.
type Task struct {
	System string
	Tools  []engine.Tool
	Turns  []Turn
}

// Turn is a question of the user and what must happen until the answer.
type Turn struct {
	User string
	// Calls must all be made, once each, in any order; no other call may be.
	Calls []Want
	// Says must stand in the final text; commas in numbers and case do not matter.
	Says []string
}

// Want is a call that must be made and what the tool answers.
type Want struct {
	Tool   string
	Args   map[string]Match
	Result string
}

// Match judges the value of one argument.
type Match func(v any) bool

// Is accepts the string s or the number that s spells, whatever case.
func Is(s string) Match {
	return func(v any) bool { return fold(fmt.Sprint(v)) == fold(s) }
}

// Has accepts a string with s in it: "Seattle, WA" is Seattle.
func Has(s string) Match {
	return func(v any) bool { return strings.Contains(fold(fmt.Sprint(v)), fold(s)) }
}

// Num accepts the number n, also spelled as a string.
func Num(n float64) Match {
	return func(v any) bool {
		f, ok := v.(float64)
		if s, isString := v.(string); isString {
			_, err := fmt.Sscanf(strings.ReplaceAll(s, ",", ""), "%g", &f)
			ok = err == nil
		}
		return ok && math.Abs(f-n) < 1e-9
	}
}

// OneOf accepts what one of the others accepts.
func OneOf(list ...Match) Match {
	return func(v any) bool {
		for _, m := range list {
			if m(v) {
				return true
			}
		}
		return false
	}
}

func fold(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(strings.Trim(s, " .!?\"'"))), " ")
}

// matches reports whether a call is the wanted one.
func (w *Want) matches(c *engine.ToolCall) bool {
	var args map[string]any
	if c.Name != w.Tool || json.Unmarshal(c.Arguments, &args) != nil {
		return false
	}
	for name, m := range w.Args {
		if v, ok := args[name]; !ok || !m(v) {
			return false
		}
	}
	return true
}

// tool declares a tool; params are "name:type:description", with a question mark
// after the name when it is optional and values after the type for an enum, as in
// "unit?:celsius|fahrenheit:unit of the answer".
func tool(name, description string, params ...string) engine.Tool {
	type property struct {
		Type        string   `json:"type"`
		Description string   `json:"description"`
		Enum        []string `json:"enum,omitempty"`
	}
	var w strings.Builder
	w.WriteString(`{"type":"object","properties":{`)
	required := []string{}
	for i, p := range params {
		part := strings.SplitN(p, ":", 3)
		key, optional := strings.CutSuffix(part[0], "?")
		if !optional {
			required = append(required, key)
		}
		prop := property{Type: part[1], Description: part[2]}
		if strings.Contains(part[1], "|") {
			prop.Type, prop.Enum = "string", strings.Split(part[1], "|")
		}
		raw, err := json.Marshal(prop)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		if i > 0 {
			w.WriteByte(',')
		}
		fmt.Fprintf(&w, "%q:%s", key, raw)
	}
	raw, err := json.Marshal(required)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	fmt.Fprintf(&w, `},"required":%s}`, raw)
	return engine.Tool{Name: name, Description: description, Schema: json.RawMessage(w.String())}
}

// code draws a word that no model guesses, such as QX4731.
func code(r *rand.Rand) string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	return fmt.Sprintf("%c%c%04d", letters[r.IntN(len(letters))], letters[r.IntN(len(letters))], r.IntN(10000))
}

// between draws a whole number.
func between(r *rand.Rand, lo, hi int) int { return lo + r.IntN(hi-lo+1) }

// pick draws one of the words.
func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }
