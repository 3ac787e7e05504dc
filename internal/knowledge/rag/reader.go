package rag

import (
	"strings"
	"unicode/utf8"
)

// The answer format that $output_format_instructions$ asks for:
//
//	<answer>
//	<answer_part><text>…</text><sources><source>1</source></sources></answer_part>
//	</answer>
//
// Small models forget tags, misspell the nesting or ignore all of it, so the reader
// has no grammar: the known tags are taken out wherever they stand, what is inside
// sources is dropped, and all the rest is the answer's text.

// tags are the names of the format.
var tags = []string{"answer", "answer_part", "text", "sources", "source"}

// longestTag bounds what is held back as a tag that may still become complete.
const longestTag = 24

// reader reads the format from pieces that may be cut anywhere. It answers the same
// for every cut.
type reader struct {
	text func(string) // of the answer, whole runes
	part func()       // a part of the answer begins or ends here
	head func()       // the first tag that opens an answer: what stood before is no part of it

	held    []byte // the beginning of a tag or of a rune
	seen    bool   // any tag
	opened  bool   // head was called
	said    bool   // text was passed since head
	sources bool   // inside of sources
	listed  bool   // in a list of them
	over    bool   // the answer has been closed
}

// feed reads the next piece.
func (r *reader) feed(piece string) {
	if r.over {
		return
	}
	data := piece
	if len(r.held) > 0 {
		data = string(r.held) + piece
		r.held = r.held[:0]
	}
	for data != "" && !r.over {
		if data[0] != '<' {
			n := strings.IndexByte(data, '<')
			if n < 0 {
				n = wholeRunes(data)
				r.pass(data[:n])
				r.held = append(r.held[:0], data[n:]...)
				return
			}
			r.pass(data[:n])
			data = data[n:]
			continue
		}
		name, closing, n := tag(data)
		switch {
		case n < 0: // may become one
			r.held = append(r.held[:0], data...)
			return
		case n == 0:
			r.pass("<")
			data = data[1:]
		default:
			r.meet(name, closing)
			data = data[n:]
		}
	}
}

// finish ends the text. What is left of a tag is no text once there were tags.
func (r *reader) finish() {
	if !r.over && len(r.held) > 0 && (r.held[0] != '<' || !r.seen) {
		r.pass(string(r.held))
	}
	r.held = nil
}

func (r *reader) pass(s string) {
	if s == "" || r.sources {
		return
	}
	if !r.said && strings.TrimSpace(s) != "" {
		r.said = true
	}
	r.text(strings.ToValidUTF8(s, "\uFFFD"))
}

func (r *reader) meet(name string, closing bool) {
	r.seen = true
	switch name {
	case "sources", "source":
		r.part()
		if name == "sources" {
			r.listed = !closing
		}
		r.sources = !closing || r.listed // between two of a list nothing is said either
	default:
		r.sources, r.listed = false, false
		if !closing && !r.opened {
			r.opened, r.said = true, false
			r.head()
		}
		r.part()
		r.over = closing && name == "answer" && r.said
	}
}

// tag reads a known tag at the beginning of data: how many bytes it has, 0 when it is
// none, -1 when more must be known.
func tag(data string) (name string, closing bool, n int) {
	i := 1
	if i < len(data) && data[i] == '/' {
		closing = true
		i++
	}
	from := i
	for i < len(data) && (data[i]|0x20 >= 'a' && data[i]|0x20 <= 'z' || data[i] == '_') {
		i++
	}
	name = strings.ToLower(data[from:i])
	if i == len(data) {
		for _, t := range tags {
			if strings.HasPrefix(t, name) {
				return "", false, -1
			}
		}
		return "", false, 0
	}
	known := false
	for _, t := range tags {
		known = known || t == name
	}
	if !known {
		return "", false, 0
	}
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	if i < len(data) && data[i] == '/' && !closing { // <source/>
		i++
		closing = true
	}
	switch {
	case i > longestTag:
		return "", false, 0
	case i == len(data):
		return "", false, -1
	case data[i] != '>':
		return "", false, 0
	}
	return name, closing, i + 1
}

// wholeRunes is how many bytes of s end with a whole rune, or with something that no
// continuation makes one.
func wholeRunes(s string) int {
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return i
			}
			break
		}
	}
	return len(s)
}
