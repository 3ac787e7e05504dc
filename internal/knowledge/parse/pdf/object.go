package pdf

import (
	"errors"
	"strconv"
)

// The errors of Read. Their texts are for people.
var (
	ErrPassword = errors.New("opens with a password only")
	ErrCipher   = errors.New("encrypted in a way that cannot be read")
	ErrDamaged  = errors.New("no whole page can be found")
	ErrTooMuch  = errors.New("unpacks to far more than it is")
)

// Bounds of one file.
const (
	maxDepth    = 64        // arrays and dictionaries, page tree, forms
	maxObjects  = 5_000_000 // cross references
	maxStream   = 128 << 20 // bytes of one stream, unpacked
	maxUnpacked = 400 << 20 // bytes of all streams
	maxPages    = 20_000
	maxOps      = 20_000_000 // operators of all content streams
	maxGlyphs   = 1_000_000  // of one page
)

// The kinds of objects; numbers are float64, texts are str, null is nil.
type (
	name  string
	str   string
	word  string // operator or keyword
	array []any
	dict  map[name]any
	ref   struct{ num, gen int }
)

type stream struct {
	dict
	raw []byte
	id  ref
}

// lexer reads objects out of bytes.
type lexer struct {
	b    []byte
	at   int
	deep int
	// decrypt changes texts of the object that is being read; nil does nothing.
	decrypt func(string) string
	refs    bool // "1 0 R" is a reference; in content streams it is not
}

func space(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func delim(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

func (l *lexer) skip() {
	for l.at < len(l.b) {
		c := l.b[l.at]
		switch {
		case space(c):
			l.at++
		case c == '%':
			for l.at < len(l.b) && l.b[l.at] != '\n' && l.b[l.at] != '\r' {
				l.at++
			}
		default:
			return
		}
	}
}

// end is what object returns behind the last one.
type end struct{}

// object reads one. Words are returned as such: the caller knows operators.
func (l *lexer) object() any {
	l.skip()
	if l.at >= len(l.b) {
		return end{}
	}
	c := l.b[l.at]
	switch c {
	case '/':
		return l.name()
	case '(':
		return l.text(l.literal())
	case '<':
		if l.at+1 < len(l.b) && l.b[l.at+1] == '<' {
			l.at += 2
			return l.dict()
		}
		return l.text(l.hex())
	case '[':
		l.at++
		return l.array()
	case ']', '}', '{', ')':
		l.at++
		return word(c)
	case '>':
		l.at++
		if l.at < len(l.b) && l.b[l.at] == '>' {
			l.at++
			return word(">>")
		}
		return word(">")
	}
	start := l.at
	for l.at < len(l.b) && !space(l.b[l.at]) && !delim(l.b[l.at]) {
		l.at++
	}
	tok := l.b[start:l.at]
	if c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.' {
		if v, ok := number(tok); ok {
			if l.refs && c >= '0' && c <= '9' {
				if r, ok := l.reference(v); ok {
					return r
				}
			}
			return v
		}
	}
	switch string(tok) {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	return word(tok)
}

func (l *lexer) text(s string) str {
	if l.decrypt != nil {
		s = l.decrypt(s)
	}
	return str(s)
}

// reference looks whether a number begins "num gen R".
func (l *lexer) reference(v float64) (ref, bool) {
	save := l.at
	num := int(v)
	if float64(num) != v {
		return ref{}, false
	}
	l.skip()
	gen, n := 0, 0
	for l.at < len(l.b) && l.b[l.at] >= '0' && l.b[l.at] <= '9' && n < 6 {
		gen = gen*10 + int(l.b[l.at]-'0')
		l.at++
		n++
	}
	if n > 0 {
		l.skip()
		if l.at < len(l.b) && l.b[l.at] == 'R' && (l.at+1 == len(l.b) || space(l.b[l.at+1]) || delim(l.b[l.at+1])) {
			l.at++
			return ref{num, gen}, true
		}
	}
	l.at = save
	return ref{}, false
}

// number reads what programs write as numbers, "--5" and "1.2.3" among it.
func number(b []byte) (float64, bool) {
	neg, i := false, 0
	for i < len(b) && (b[i] == '-' || b[i] == '+') {
		neg = neg || b[i] == '-'
		i++
	}
	v, scale, digits, frac := 0.0, 1.0, 0, false
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c >= '0' && c <= '9':
			digits++
			if frac {
				scale /= 10
				v += float64(c-'0') * scale
			} else {
				v = v*10 + float64(c-'0')
			}
		case c == '.' && !frac:
			frac = true
		case c == '-' && digits > 0: // "12-5" is 12 to most readers
			i = len(b)
		case (c == 'e' || c == 'E') && digits > 0:
			f, err := strconv.ParseFloat(string(b), 64)
			return f, err == nil
		default:
			return 0, false
		}
	}
	if digits == 0 && !frac {
		return 0, false
	}
	if neg {
		v = -v
	}
	return v, true
}

func (l *lexer) name() name {
	l.at++
	start := l.at
	escaped := false
	for l.at < len(l.b) && !space(l.b[l.at]) && !delim(l.b[l.at]) {
		escaped = escaped || l.b[l.at] == '#'
		l.at++
	}
	raw := l.b[start:l.at]
	if !escaped {
		return name(raw)
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '#' && i+2 < len(raw) && unhex(raw[i+1]) >= 0 && unhex(raw[i+2]) >= 0 {
			out = append(out, byte(unhex(raw[i+1])<<4|unhex(raw[i+2])))
			i += 2
			continue
		}
		out = append(out, raw[i])
	}
	return name(out)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

func (l *lexer) literal() string {
	l.at++
	var out []byte
	for open := 1; l.at < len(l.b); l.at++ {
		c := l.b[l.at]
		switch c {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				l.at++
				return string(out)
			}
		case '\r':
			if l.at+1 < len(l.b) && l.b[l.at+1] == '\n' {
				l.at++
			}
			c = '\n'
		case '\\':
			l.at++
			if l.at >= len(l.b) {
				return string(out)
			}
			switch c = l.b[l.at]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case '\r':
				if l.at+1 < len(l.b) && l.b[l.at+1] == '\n' {
					l.at++
				}
				continue
			case '\n':
				continue
			case '0', '1', '2', '3', '4', '5', '6', '7':
				v := 0
				for i := 0; i < 3 && l.at < len(l.b) && l.b[l.at] >= '0' && l.b[l.at] <= '7'; i++ {
					v = v<<3 | int(l.b[l.at]-'0')
					l.at++
				}
				l.at--
				c = byte(v)
			}
		}
		out = append(out, c)
	}
	return string(out)
}

func (l *lexer) hex() string {
	l.at++
	var out []byte
	high := -1
	for l.at < len(l.b) {
		c := l.b[l.at]
		l.at++
		if c == '>' {
			break
		}
		v := unhex(c)
		if v < 0 {
			continue
		}
		if high < 0 {
			high = v
		} else {
			out = append(out, byte(high<<4|v))
			high = -1
		}
	}
	if high >= 0 {
		out = append(out, byte(high<<4))
	}
	return string(out)
}

func (l *lexer) array() array {
	if l.deep++; l.deep > maxDepth {
		panic(ErrTooMuch)
	}
	defer func() { l.deep-- }()
	out := array{}
	for {
		switch x := l.object().(type) {
		case end:
			return out
		case word:
			switch x {
			case "]":
				return out
			case ">>", "endobj", "endstream":
				return out
			}
		default:
			out = append(out, x)
		}
	}
}

func (l *lexer) dict() dict {
	if l.deep++; l.deep > maxDepth {
		panic(ErrTooMuch)
	}
	defer func() { l.deep-- }()
	out := dict{}
	for {
		switch k := l.object().(type) {
		case name:
			switch v := l.object().(type) {
			case word:
				if v == ">>" {
					return out
				}
				if v == "endobj" || v == "stream" {
					l.at -= len(v)
					return out
				}
			case end:
				return out
			default:
				out[k] = v
			}
		case word:
			switch k {
			case ">>":
				return out
			case "endobj", "stream":
				l.at -= len(k)
				return out
			}
		case end:
			return out
		}
	}
}
