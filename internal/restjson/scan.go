package restjson

import (
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// maxDepth bounds the nesting of arrays and objects. Real requests stay below 40;
// the limit is there so that a stranger's brackets cannot exhaust the stack.
const maxDepth = 512

// scanner reads JSON text token by token. The text has been checked to be UTF-8.
// After the first failure err is set and every method answers false.
type scanner struct {
	data    []byte
	i       int
	depth   int
	scratch []byte // an unescaped string
	err     *apierr.Error
}

func (s *scanner) fail(format string, args ...any) bool {
	if s.err == nil {
		s.err = apierr.New(apierr.Serialization, format, args...)
	}
	return false
}

// syntax fails at the present position.
func (s *scanner) syntax() bool {
	if s.i >= len(s.data) {
		return s.fail("Unexpected end of JSON text")
	}
	r, _ := utf8.DecodeRune(s.data[s.i:])
	return s.fail("Unexpected character %q at offset %d of the JSON text", r, s.i)
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.data) {
		switch c := s.data[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) enter() bool {
	s.i++
	if s.depth++; s.depth > maxDepth {
		return s.fail("JSON text is nested deeper than %d levels", maxDepth)
	}
	return true
}

// more is called after an element: it consumes a comma (true) or the closing
// bracket (false; also after a failure).
func (s *scanner) more(closing byte) bool {
	switch s.peek() {
	case ',':
		s.i++
		return true
	case closing:
		s.i++
		s.depth--
		return false
	}
	return s.syntax()
}

// empty reports and consumes an immediately closing bracket.
func (s *scanner) empty(closing byte) bool {
	if s.peek() == closing {
		s.i++
		s.depth--
		return true
	}
	return false
}

// name reads an object key and its colon. The bytes are good until the next string.
func (s *scanner) name() ([]byte, bool) {
	if s.peek() != '"' {
		return nil, s.syntax()
	}
	b, ok := s.string()
	if !ok {
		return nil, false
	}
	if s.peek() != ':' {
		return nil, s.syntax()
	}
	s.i++
	return b, true
}

// string reads the string that begins at the present position. The bytes are good
// until the next string.
func (s *scanner) string() ([]byte, bool) {
	start := s.i + 1
	for i := start; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.i = i + 1
			return s.data[start:i:i], true
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.i = i
			return nil, s.syntax()
		}
	}
	s.i = len(s.data)
	return nil, s.syntax()
}

// escaped goes on with a string from its first backslash.
func (s *scanner) escaped(start, i int) ([]byte, bool) {
	buf := append(s.scratch[:0], s.data[start:i]...)
	for i < len(s.data) {
		c := s.data[i]
		switch {
		case c == '"':
			s.i, s.scratch = i+1, buf
			return buf, true
		case c < ' ':
			s.i = i
			return nil, s.syntax()
		case c != '\\':
			buf = append(buf, c)
			i++
			continue
		}
		if i+1 >= len(s.data) {
			break
		}
		switch c := s.data[i+1]; c {
		case '"', '\\', '/':
			buf = append(buf, c)
		case 'b':
			buf = append(buf, '\b')
		case 'f':
			buf = append(buf, '\f')
		case 'n':
			buf = append(buf, '\n')
		case 'r':
			buf = append(buf, '\r')
		case 't':
			buf = append(buf, '\t')
		case 'u':
			r := s.hex4(i)
			if r < 0 {
				s.i = i
				return nil, s.syntax()
			}
			i += 6
			if r >= 0xD800 && r < 0xDC00 {
				if low := s.hex4(i); low >= 0xDC00 && low < 0xE000 {
					r = (r-0xD800)<<10 | (low - 0xDC00) + 0x10000
					i += 6
				}
			}
			// A lone half of a pair becomes U+FFFD, which AppendRune does.
			buf = utf8.AppendRune(buf, r)
			continue
		default:
			s.i = i
			return nil, s.syntax()
		}
		i += 2
	}
	s.i = len(s.data)
	return nil, s.syntax()
}

// hex4 returns the code of \uXXXX at i, -1 when there is none.
func (s *scanner) hex4(i int) rune {
	if i+6 > len(s.data) || s.data[i] != '\\' || s.data[i+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range s.data[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number reads a JSON number and reports whether it is written as an integer.
func (s *scanner) number() (text []byte, integer, ok bool) {
	start, i := s.i, s.i
	digits := func() bool {
		from := i
		for i < len(s.data) && s.data[i] >= '0' && s.data[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(s.data) && s.data[i] == '-' {
		i++
	}
	integer = true
	if i < len(s.data) && s.data[i] == '0' {
		i++
	} else if !digits() {
		s.i = i
		return nil, false, s.syntax()
	}
	if i < len(s.data) && s.data[i] == '.' {
		integer = false
		i++
		if !digits() {
			s.i = i
			return nil, false, s.syntax()
		}
	}
	if i < len(s.data) && (s.data[i] == 'e' || s.data[i] == 'E') {
		integer = false
		i++
		if i < len(s.data) && (s.data[i] == '+' || s.data[i] == '-') {
			i++
		}
		if !digits() {
			s.i = i
			return nil, false, s.syntax()
		}
	}
	s.i = i
	return s.data[start:i], integer, true
}

// word consumes true, false or null.
func (s *scanner) word(w string) bool {
	if len(s.data)-s.i < len(w) || string(s.data[s.i:s.i+len(w)]) != w {
		return s.syntax()
	}
	s.i += len(w)
	return true
}

// skip reads over one value of any kind.
func (s *scanner) skip() bool {
	switch c := s.peek(); c {
	case '{':
		if !s.enter() {
			return false
		}
		if s.empty('}') {
			return true
		}
		for {
			if _, ok := s.name(); !ok || !s.skip() {
				return false
			}
			if !s.more('}') {
				return s.err == nil
			}
		}
	case '[':
		if !s.enter() {
			return false
		}
		if s.empty(']') {
			return true
		}
		for {
			if !s.skip() {
				return false
			}
			if !s.more(']') {
				return s.err == nil
			}
		}
	case '"':
		_, ok := s.string()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			_, _, ok := s.number()
			return ok
		}
		return s.syntax()
	}
}

// end fails when anything but white space follows.
func (s *scanner) end() bool {
	if s.peek(); s.i < len(s.data) {
		return s.syntax()
	}
	return true
}
