package wire

import (
	"strings"
	"unicode/utf8"
)

// Runes joins pieces of text so that each one it returns is valid UTF-8: an
// incomplete rune at the end waits for its rest, a broken one becomes U+FFFD.
type Runes struct {
	held string
}

// Write returns the text that is whole by now.
func (r *Runes) Write(s string) string {
	if r.held != "" {
		s = r.held + s
		r.held = ""
	}
	if n := incomplete(s); n > 0 {
		s, r.held = s[:len(s)-n], strings.Clone(s[len(s)-n:])
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Flush returns what is still held, repaired.
func (r *Runes) Flush() string {
	s := strings.ToValidUTF8(r.held, "\uFFFD")
	r.held = ""
	return s
}

// incomplete counts the bytes at the end of s that begin a rune without ending
// it.
func incomplete(s string) int {
	for n := 1; n <= min(len(s), utf8.UTFMax-1); n++ {
		c := s[len(s)-n]
		if c < utf8.RuneSelf {
			return 0
		}
		if utf8.RuneStart(c) {
			if !utf8.FullRuneInString(s[len(s)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// Stops looks for stop texts in a stream. Text that may be the beginning of one
// is held back; everything else leaves at once. The stop that is completed first
// wins, the longer one when two end together, so the result does not depend on
// how the text was cut.
type Stops struct {
	stops []string
	held  string
	most  int // length of the longest stop
	Hit   string
}

// NewStops returns a detector; empty stop texts are ignored.
func NewStops(stops []string) *Stops {
	s := &Stops{}
	for _, x := range stops {
		if x != "" {
			s.stops = append(s.stops, x)
			s.most = max(s.most, len(x))
		}
	}
	return s
}

// Write returns the text that may leave. After a hit (see Hit) it returns the
// text before the stop and afterwards nothing.
func (s *Stops) Write(text string) string {
	if s.Hit != "" {
		return ""
	}
	if len(s.stops) == 0 {
		return text
	}
	text = s.held + text
	s.held = ""
	end, begin := -1, 0
	for _, stop := range s.stops {
		i := strings.Index(text, stop)
		if i < 0 {
			continue
		}
		if e := i + len(stop); end < 0 || e < end || e == end && i < begin {
			end, begin, s.Hit = e, i, stop
		}
	}
	if end >= 0 {
		return text[:begin]
	}
	n := s.open(text)
	s.held = strings.Clone(text[len(text)-n:])
	return text[:len(text)-n]
}

// open is the length of the longest end of text that begins a stop.
func (s *Stops) open(text string) int {
	for n := min(len(text), s.most-1); n > 0; n-- {
		tail := text[len(text)-n:]
		for _, stop := range s.stops {
			if n < len(stop) && strings.HasPrefix(stop, tail) {
				return n
			}
		}
	}
	return 0
}

// Flush returns what was held back: no stop has come of it.
func (s *Stops) Flush() string {
	h := s.held
	s.held = ""
	if s.Hit != "" {
		return ""
	}
	return h
}
