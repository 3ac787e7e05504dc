package logs

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// compileJSON reads { condition }.
func compileJSON(t string) (func(string) (map[string]string, bool), error) {
	p := &parser{t: t[1:], name: selector}
	paths := map[string][]string{}
	cond, ok := p.or()
	if !ok || !p.take("}") {
		return nil, badPattern()
	}
	if p.blank(); p.t != "" {
		return nil, badPattern()
	}
	for _, n := range p.names {
		paths[n] = pathOf(n)
	}
	return func(message string) (map[string]string, bool) {
		d := json.NewDecoder(strings.NewReader(message))
		d.UseNumber()
		var doc any
		if d.Decode(&doc) != nil || d.More() {
			return nil, false
		}
		if _, object := doc.(map[string]any); !object {
			return nil, false
		}
		look := func(name string) (value, bool) { return walk(doc, paths[name]) }
		if !cond(look) {
			return nil, false
		}
		out := map[string]string{}
		for _, n := range p.names {
			if v, ok := look(n); ok {
				b, err := json.Marshal(v)
				if s, text := scalar(v); text {
					out[n] = s
				} else if err == nil {
					out[n] = string(b)
				}
			}
		}
		return out, true
	}, nil
}

// selector reads $.a.b[0]["c d"] off the beginning.
func selector(p *parser) (string, bool) {
	if !strings.HasPrefix(p.t, "$") {
		return "", false
	}
	i := 1
	for i < len(p.t) {
		switch c := p.t[i]; {
		case c == '.':
			n := i + 1
			for n < len(p.t) && !strings.ContainsRune(" \t\n\r=!<>.[&|)}", rune(p.t[n])) {
				n++
			}
			if n == i+1 {
				return "", false
			}
			i = n
		case c == '[':
			end := strings.IndexByte(p.t[i:], ']')
			if strings.HasPrefix(p.t[i:], `["`) {
				end = strings.Index(p.t[i:], `"]`) + 1
			}
			if end <= 1 {
				return "", false
			}
			i += end + 1
		default:
			s := p.t[:i]
			p.t = p.t[i:]
			return s, i > 1
		}
	}
	return "", false // a condition follows in any pattern
}

// pathOf takes a selector apart: names, and indices as "[0".
func pathOf(s string) []string {
	var out []string
	for s = s[1:]; s != ""; {
		if s[0] == '.' {
			end := strings.IndexAny(s[1:], ".[")
			if end < 0 {
				end = len(s) - 1
			}
			out, s = append(out, s[1:end+1]), s[end+1:]
			continue
		}
		end := strings.IndexByte(s, ']')
		if strings.HasPrefix(s, `["`) {
			end = strings.Index(s, `"]`) + 1
			out, s = append(out, s[2:end-1]), s[end+1:]
			continue
		}
		out, s = append(out, s[:end]), s[end+1:]
	}
	return out
}

func walk(v any, path []string) (value, bool) {
	for _, name := range path {
		if index, ok := strings.CutPrefix(name, "["); ok {
			list, ok := v.([]any)
			n, err := strconv.Atoi(index)
			if !ok || err != nil || n < 0 || n >= len(list) {
				return nil, false
			}
			v = list[n]
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// compileFields reads [a, b = x, ...].
func compileFields(t string) (func(string) (map[string]string, bool), error) {
	type field struct {
		name string
		rest bool // ...
		cond test
	}
	var fields []field
	p := &parser{t: t[1:], name: identifier}
	for {
		if p.take("...") {
			fields = append(fields, field{rest: true})
		} else {
			p.blank()
			before := p.t
			name, ok := identifier(p)
			if !ok {
				return nil, badPattern()
			}
			f := field{name: name}
			if p.blank(); !strings.HasPrefix(p.t, ",") && !strings.HasPrefix(p.t, "]") {
				p.t = before
				if f.cond, ok = p.or(); !ok {
					return nil, badPattern()
				}
			}
			fields = append(fields, f)
		}
		if p.take(",") {
			continue
		}
		if !p.take("]") {
			return nil, badPattern()
		}
		break
	}
	if p.blank(); p.t != "" {
		return nil, badPattern()
	}
	gap := slices.IndexFunc(fields, func(f field) bool { return f.rest })
	if gap >= 0 && slices.ContainsFunc(fields[gap+1:], func(f field) bool { return f.rest }) {
		return nil, badPattern()
	}
	return func(message string) (map[string]string, bool) {
		words := split(message)
		if len(words) != len(fields) && (gap < 0 || len(words) < len(fields)-1) {
			return nil, false
		}
		out := map[string]string{}
		for i, f := range fields {
			switch {
			case f.rest:
				continue
			case gap >= 0 && i > gap:
				out[f.name] = words[len(words)-len(fields)+i]
			default:
				out[f.name] = words[i]
			}
		}
		look := func(name string) (value, bool) { v, ok := out[name]; return v, ok }
		for _, f := range fields {
			if f.cond != nil && !f.cond(look) {
				return nil, false
			}
		}
		named := make(map[string]string, len(out))
		for k, v := range out {
			named["$"+k] = v
		}
		return named, true
	}, nil
}

func identifier(p *parser) (string, bool) {
	i := 0
	for i < len(p.t) {
		c := p.t[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		i++
	}
	s := p.t[:i]
	p.t = p.t[i:]
	return s, i > 0
}

// split cuts a message at blanks; what stands in "…" or […] is one field.
func split(s string) []string {
	var out []string
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		end, skip := -1, 0
		switch s[0] {
		case '"':
			end, skip = strings.IndexByte(s[1:], '"'), 1
		case '[':
			end, skip = strings.IndexByte(s[1:], ']'), 1
		}
		if end < 0 {
			if end, skip = strings.IndexAny(s, " \t"), 0; end < 0 {
				end = len(s)
			}
		}
		out = append(out, s[skip:skip+end])
		s = s[min(len(s), end+2*skip):]
	}
	return out
}
