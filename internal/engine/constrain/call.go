package constrain

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// argumentKeys are the names under which models put arguments.
var argumentKeys = []string{"arguments", "parameters", "args", "input"}

// callKeys are the keys, besides "name", with which the object of a call may begin.
var callKeys = append([]string{"type", "id", "function", "tool", "tool_name", "function_name"}, argumentKeys...)

// head reads the object of a call, whose brace is at position at of the buffer.
// When it is one, head has emitted what is known of it, moved to the next state
// and returns how much of the buffer is used up.
func (p *Parser) head(emit func(engine.Delta) error, at int) (used int, v verdict, err error) {
	b := p.buf
	key, i, v := readKey(b, at+1)
	if v != aCall {
		return 0, v, nil
	}
	if key != "name" || b[i] != '"' {
		if key != "name" && !slices.Contains(callKeys, key) {
			return 0, noCall, nil
		}
		return p.whole(emit, at)
	}
	name, i, v := readString(b, i)
	if v != aCall {
		return 0, v, nil
	}
	if !p.offered[name] {
		return 0, noCall, nil
	}
	if !p.strict && !p.known {
		if err := p.named(emit, name); err != nil {
			return 0, noCall, err
		}
	}
	i = skipSpace(b, i)
	if i == len(b) {
		return 0, undecided, nil
	}
	if b[i] != ',' {
		return p.whole(emit, at)
	}
	key, i, v = readKey(b, i+1)
	if v != aCall {
		if v == noCall {
			return p.whole(emit, at)
		}
		return 0, v, nil
	}
	if !slices.Contains(argumentKeys, key) || b[i] != '{' {
		return p.whole(emit, at)
	}
	if !p.known {
		if err := p.named(emit, name); err != nil {
			return 0, noCall, err
		}
	}
	p.scan = scanner{}
	p.state = inArguments
	return i, aCall, nil
}

// whole waits for the end of an object that is not written as calls usually are,
// and reads it then.
func (p *Parser) whole(emit func(engine.Delta) error, at int) (int, verdict, error) {
	n, ended := p.object.feed(p.buf[at+p.scanned:])
	p.scanned += n
	n = p.scanned
	if !ended {
		return 0, undecided, nil
	}
	name, args, ok := readCall(p.buf[at:at+n], p.strict)
	if p.known {
		ok = ok && name == p.call.Name
	}
	if !ok || !p.offered[name] {
		return at + n, noCall, nil
	}
	if !p.known {
		if err := p.named(emit, name); err != nil {
			return 0, noCall, err
		}
	}
	if err := p.input(emit, args); err != nil {
		return 0, noCall, err
	}
	p.state = afterCall
	return at + n, aCall, p.ended(emit)
}

// readCall finds name and arguments in an object that names a tool in any of the
// usual ways. Unless strict, arguments that stand beside the name count too.
func readCall(raw []byte, strict bool) (name string, args json.RawMessage, ok bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return "", nil, false
	}
	if f := m["function"]; len(f) > 0 && f[0] == '{' {
		var inner map[string]json.RawMessage
		if json.Unmarshal(f, &inner) != nil {
			return "", nil, false
		}
		m = inner
	}
	for _, k := range []string{"name", "tool", "tool_name", "function_name", "function"} {
		if json.Unmarshal(m[k], &name) == nil && name != "" {
			delete(m, k)
			break
		}
	}
	if name == "" {
		return "", nil, false
	}
	for _, k := range argumentKeys {
		v, have := m[k]
		if !have {
			continue
		}
		if len(v) > 0 && v[0] == '"' { // JSON in a string, as OpenAI's API has it
			var s string
			if json.Unmarshal(v, &s) != nil {
				return "", nil, false
			}
			v = bytes.TrimSpace([]byte(s))
			if len(v) == 0 {
				v = []byte("{}")
			}
		}
		if string(v) == "null" {
			v = []byte("{}")
		}
		if len(v) == 0 || v[0] != '{' || !json.Valid(v) {
			return "", nil, false
		}
		return name, v, true
	}
	if strict {
		return "", nil, false
	}
	delete(m, "type")
	delete(m, "id")
	args, err := json.Marshal(m)
	return name, args, err == nil
}

// arguments passes on the object of the arguments up to its end.
func (p *Parser) arguments(emit func(engine.Delta) error) (bool, error) {
	if len(p.buf) == 0 {
		return false, nil
	}
	n, ended := p.scan.feed(p.buf)
	err := p.input(emit, p.buf[:n])
	p.drop(n)
	if err != nil || !ended {
		return false, err
	}
	p.tail = scanner{}
	p.state = inTail
	return true, p.ended(emit)
}

// afterArguments skips the rest of the object around the arguments. A brace that
// the model forgot is not missed.
func (p *Parser) afterArguments() bool {
	if p.tail.depth == 0 {
		i := skipSpace(p.buf, 0)
		if i == len(p.buf) {
			return false
		}
		switch p.buf[i] {
		case '}':
			p.drop(i + 1)
			p.state = afterCall
			return true
		case ',':
			p.tail.depth = 1
			p.drop(i + 1)
		default:
			p.drop(i)
			p.state = afterCall
			return true
		}
	}
	n, ended := p.tail.feed(p.buf)
	p.drop(n)
	if ended {
		p.state = afterCall
	}
	return ended
}

// scanner finds the end of a JSON object or array without reading its values.
type scanner struct {
	depth          int
	quoted, escape bool
}

// feed reads b up to the bracket that closes the first one and says whether it
// was there; n bytes are used.
func (s *scanner) feed(b []byte) (n int, ended bool) {
	for i, c := range b {
		switch {
		case s.escape:
			s.escape = false
		case s.quoted:
			s.escape = c == '\\'
			s.quoted = c != '"'
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth <= 0 {
				return i + 1, true
			}
		}
	}
	return len(b), false
}

// readKey reads a member's key and the colon and returns where its value begins.
func readKey(b []byte, i int) (string, int, verdict) {
	i = skipSpace(b, i)
	key, i, v := readString(b, i)
	if v != aCall {
		return "", 0, v
	}
	i = skipSpace(b, i)
	switch {
	case i == len(b):
		return "", 0, undecided
	case b[i] != ':':
		return "", 0, noCall
	}
	if i = skipSpace(b, i+1); i == len(b) {
		return "", 0, undecided
	}
	return key, i, aCall
}

// readString reads a JSON string and returns where it ends.
func readString(b []byte, i int) (string, int, verdict) {
	if i == len(b) {
		return "", 0, undecided
	}
	if b[i] != '"' {
		return "", 0, noCall
	}
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case '"':
			var s string
			if json.Unmarshal(b[i:j+1], &s) != nil {
				return "", 0, noCall
			}
			return s, j + 1, aCall
		}
	}
	return "", 0, undecided
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// match reports whether b begins with word, or may when more of it has come.
func match(b, word []byte) (full, part bool) {
	if bytes.HasPrefix(b, word) {
		return true, false
	}
	return false, bytes.HasPrefix(word, b)
}

// matchAny is match for any of the words; full wins.
func matchAny(b []byte, words [][]byte) (full, part bool) {
	for _, w := range words {
		f, p := match(b, w)
		if f {
			return true, false
		}
		part = part || p
	}
	return false, part
}

// overlap is the length of the longest end of b that begins word.
func overlap(b, word []byte) int {
	for n := min(len(b), len(word)-1); n > 0; n-- {
		if bytes.Equal(b[len(b)-n:], word[:n]) {
			return n
		}
	}
	return 0
}
