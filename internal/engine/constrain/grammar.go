package constrain

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// maxCalls bounds the calls of one answer: a small model that has begun to call
// does not stop on its own, and with room for more it calls tools that nobody
// asked for. What a question needs beyond two is called in the next step, when
// the first results are there.
const maxCalls = 2

// Grammar returns the GBNF grammar, in the dialect of llama.cpp, of the answers
// that req allows: its tools, tool choice, result schema, thinking and prefill
// decide the alternatives. An error means that req contradicts itself.
func Grammar(req *engine.Request, opt Options) (string, error) {
	b := newBuilder()
	var alts []string
	calls := callable(req) && !opt.ForbidCalls
	forced := calls && (opt.ForceCalls || req.ToolChoice.Mode == engine.ToolAny || req.ToolChoice.Mode == engine.ToolNamed)
	if len(req.Tools) > 0 && prefill(req) != "" && !forced && len(req.ResultSchema) == 0 {
		// The answer has begun as text and goes on as text, with any character.
		b.rules["root"] = b.without("text", []string{"<tool"})
		return b.String(), nil
	}
	if calls {
		call, err := b.calls(req)
		if err != nil {
			return "", err
		}
		alts = append(alts, call)
	}
	switch {
	case forced:
	case len(req.ResultSchema) > 0:
		alts = append(alts, b.add("result", b.schema(req.ResultSchema, false)))
	default:
		alts = append(alts, b.text(calls, opt.ForbidCalls))
	}
	root := "ws (" + strings.Join(alts, " | ") + ")"
	if len(req.ResultSchema) > 0 && len(alts) == 1 {
		root = alts[0] // an answer that is read as JSON starts at once
	}
	if req.Thinking != nil && req.Thinking.Enabled {
		b.add("thought", `"<think>" ( [^<] | "<" [^/] )* "</think>" "\n"{0,2}`)
		root = "thought? " + root
	}
	b.rules["root"] = root
	return b.String(), nil
}

// prefill is the text with which the caller has begun the answer.
func prefill(req *engine.Request) string {
	n := len(req.Messages)
	if n == 0 || req.Messages[n-1].Role != engine.Assistant {
		return ""
	}
	text := ""
	for i := range req.Messages[n-1].Parts {
		p := &req.Messages[n-1].Parts[i]
		if !p.IsText() {
			return ""
		}
		text += p.Text
	}
	return text
}

// calls adds the rules of one to maxCalls calls and returns the name of the rule.
func (b *builder) calls(req *engine.Request) (string, error) {
	one := req.ToolChoice.Mode == engine.ToolNamed
	var bodies []string
	seen := map[string]bool{}
	for i := range req.Tools {
		t := &req.Tools[i]
		if one && t.Name != req.ToolChoice.Name || seen[t.Name] {
			continue
		}
		seen[t.Name] = true
		name, err := json.Marshal(t.Name)
		if err != nil {
			return "", fmt.Errorf("name of tool %q: %w", t.Name, err)
		}
		args := b.schema(t.Schema, true)
		bodies = append(bodies, b.add(fmt.Sprintf("tool-%d", i),
			literal(string(name)+",")+` ws "\"arguments\":" ws `+args))
	}
	if len(bodies) == 0 {
		return "", fmt.Errorf("tool choice names %q, which is not offered", req.ToolChoice.Name)
	}
	body := ` ws "\"name\":" ws ( ` + strings.Join(bodies, " | ") + ` ) ws `
	// Some templates show the object in doubled braces, an escape that nothing
	// undoes, and models copy it: Qwen2.5-Coder begins half of its calls so.
	b.add("call", `"{"`+body+`"}" | "{{"`+body+`"}}"`)
	spell := []string{`"<tool_call>" "\n"? call "\n"? "</tool_call>"`}
	if len(req.ResultSchema) == 0 {
		// Beside a result schema a bare object is the result.
		spell = append(spell, "call", "\"```json\\n\" call \"\\n```\"")
		if !one {
			spell[len(spell)-1] = fmt.Sprintf("\"```json\\n\" call (\"\\n\"{1,2} call){0,%d} \"\\n```\"", maxCalls-1)
		}
	}
	b.add("spelled", strings.Join(spell, " | "))
	if one {
		return "spelled", nil
	}
	return b.add("calls", fmt.Sprintf(`spelled ("\n"{0,2} spelled){0,%d}`, maxCalls-1)), nil
}

// text adds the rules of free text. Its first character cannot begin a call;
// further in it may hold anything but a tool tag, which the model must not fill
// outside the rules of calls. Where calls are forbidden a fenced JSON block is
// out too: the parser would read it as one.
func (b *builder) text(calls, forbidden bool) string {
	if !calls && !forbidden {
		return b.add("text", "[^\\x00]*")
	}
	avoid := []string{"<tool"}
	if forbidden {
		avoid = append(avoid, "```json")
	}
	b.add("text", "[^{`<\\x00 \\t\\r\\n] "+b.without("text", avoid))
	return "text"
}

// without adds rules for any text in which none of the words occurs, an
// Aho-Corasick automaton written as right-linear rules, and returns the name of
// its start.
func (b *builder) without(name string, words []string) string {
	// States are the proper prefixes of the words.
	states := []string{""}
	index := map[string]int{"": 0}
	for _, w := range words {
		for i := 1; i < len(w); i++ {
			if _, ok := index[w[:i]]; !ok {
				index[w[:i]] = len(states)
				states = append(states, w[:i])
			}
		}
	}
	bad := func(s string) bool {
		for _, w := range words {
			if strings.HasSuffix(s, w) {
				return true
			}
		}
		return false
	}
	next := func(s string) int {
		for ; s != ""; s = s[1:] {
			if i, ok := index[s]; ok {
				return i
			}
		}
		return 0
	}
	alphabet := map[byte]bool{}
	var letters []byte
	for _, w := range words {
		for i := range len(w) {
			if !alphabet[w[i]] {
				alphabet[w[i]] = true
				letters = append(letters, w[i])
			}
		}
	}
	rule := func(i int) string { return fmt.Sprintf("%s-%d", name, i) }
	for i, s := range states {
		// Letters with the same target share a class; those that lead back to
		// the start join the class of all other characters.
		special, alts := "", []string{}
		for _, c := range letters {
			t := s + string(c)
			if !bad(t) && next(t) == 0 {
				continue
			}
			special += class(rune(c))
			if !bad(t) {
				alts = append(alts, "["+class(rune(c))+"] "+rule(next(t)))
			}
		}
		b.rules[rule(i)] = "( [^\\x00" + special + "] " + rule(0) + " | " + strings.Join(append(alts, `""`), " | ") + " )"
	}
	return rule(0)
}

// literal writes s as a GBNF string.
func literal(s string) string {
	var w strings.Builder
	w.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteRune(r)
		case r == '\n':
			w.WriteString(`\n`)
		case r == '\r':
			w.WriteString(`\r`)
		case r == '\t':
			w.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&w, `\x%02X`, r)
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
	return w.String()
}

// class writes r for use between the brackets of a GBNF character class.
func class(r rune) string {
	switch {
	case r == '\\' || r == ']' || r == '[':
		return `\` + string(r)
	case r == '-' || r == '^' || r == '"' || r < 0x20 || r == 0x7f:
		return fmt.Sprintf(`\x%02X`, r)
	case r < 0x80:
		return string(r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04X`, r)
	default:
		return fmt.Sprintf(`\U%08X`, r)
	}
}
