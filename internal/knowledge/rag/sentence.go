package rag

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// sentences finds where sentences end in a text that comes rune by rune. Unlike the
// rules of UAX #29, which may have to look ahead without bound, it decides at the
// first letter of what follows, so that a stream can go on.
type sentences struct {
	text   []byte // of the sentence, from its first letter
	ended  rune   // terminator that stands at the end, with nothing but closers behind it
	spaced bool   // white space behind it
	broken bool   // a line break behind the text
}

// closers may stand between a terminator and the end of its sentence.
const closers = `"')]}»”’」』）】〉》*_`

// next takes a rune and reports whether it begins a new sentence; then text is what it
// was before, and the caller takes it with take.
func (s *sentences) next(r rune) (begins bool) {
	if unicode.IsSpace(r) {
		if len(s.text) > 0 {
			s.spaced = true
			s.broken = s.broken || r == '\n' || r == '\u2028' || r == '\u2029'
		}
		return false
	}
	if len(s.text) == 0 {
		return false
	}
	switch {
	case s.broken:
		return true
	case s.ended == 0:
		return false
	case s.spaced:
		if wide(s.ended) {
			return true
		}
		return !unicode.IsLower(r) && !(s.ended == '.' && s.abbreviated())
	case strings.ContainsRune(closers, r), terminator(r):
		return false
	case wide(s.ended):
		return r != 'と' && !(r == 'っ' && lastIn(s.text, "」』")) // 「…。」と言った
	}
	return false
}

// add appends a rune that begins no new sentence.
func (s *sentences) add(r rune) {
	if unicode.IsSpace(r) {
		if len(s.text) > 0 {
			s.text = utf8.AppendRune(s.text, r)
		}
		return
	}
	switch {
	case terminator(r):
		s.ended = r
	case s.ended != 0 && !s.spaced && strings.ContainsRune(closers, r):
	default:
		s.ended = 0
	}
	s.spaced, s.broken = false, false
	s.text = utf8.AppendRune(s.text, r)
}

// take returns the sentence and begins another.
func (s *sentences) take() string {
	t := strings.TrimRightFunc(string(s.text), unicode.IsSpace)
	*s = sentences{text: s.text[:0]}
	return t
}

func terminator(r rune) bool {
	return r == '.' || r == '!' || r == '?' || r == '…' || r == '।' || r == '؟' || wide(r)
}

// wide reports terminators that no space follows.
func wide(r rune) bool { return r == '。' || r == '！' || r == '？' || r == '｡' || r == '．' }

func lastIn(b []byte, set string) bool {
	r, _ := utf8.DecodeLastRune(b)
	return strings.ContainsRune(set, r)
}

var abbreviations = map[string]bool{
	"mr": true, "mrs": true, "ms": true, "dr": true, "prof": true, "st": true, "no": true, "nr": true, "vs": true, "e.g": true, "i.e": true,
	"z.b": true, "d.h": true, "fig": true, "approx": true, "ca": true, "dept": true, "est": true, "vol": true, "pp": true, "p": true, "cf": true,
	"u.s": true, "inc": true, "ltd": true, "co": true, "jr": true, "sr": true, "gen": true, "col": true, "sgt": true, "capt": true, "rev": true, "art": true, "sec": true,
}

// abbreviated reports whether the full stop at the end of the text may belong to its
// last word: an abbreviation, an initial, the number of an item in a list.
func (s *sentences) abbreviated() bool {
	t := strings.TrimRightFunc(string(s.text), unicode.IsSpace)
	body, ok := strings.CutSuffix(t, ".")
	if !ok {
		return false
	}
	word := body[strings.LastIndexFunc(body, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`([{"'`, r) })+1:]
	switch {
	case word == body && word != "" && len(word) <= 2 && strings.Trim(word, "0123456789") == "":
		return true
	case utf8.RuneCountInString(word) == 1:
		r, _ := utf8.DecodeRuneInString(word)
		return unicode.IsUpper(r) && r != 'I'
	}
	return abbreviations[strings.ToLower(word)]
}
