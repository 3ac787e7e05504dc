package pdf

import (
	"encoding/binary"
	"sort"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// cmap maps codes of a font: to letters (ToUnicode), or to glyphs (Encoding).
type cmap struct {
	lengths [5]bool // lengths of codes, in bytes
	spaces  []codeSpace
	chars   map[int]string
	ranges  []codeRange // sorted when the reading is done
	cids    []cidRange
}

type codeSpace struct{ n, lo, hi int }

type codeRange struct {
	lo, hi int
	to     []uint16 // of lo; the last unit grows
}

type cidRange struct{ lo, hi, cid int }

func readCMap(data []byte) *cmap {
	m := &cmap{chars: map[int]string{}}
	l := &lexer{b: data}
	var stack []any
	for range 4_000_000 {
		switch x := l.object().(type) {
		case end:
			sort.Slice(m.ranges, func(i, j int) bool { return m.ranges[i].lo < m.ranges[j].lo })
			sort.Slice(m.cids, func(i, j int) bool { return m.cids[i].lo < m.cids[j].lo })
			return m
		case word:
			m.operator(x, stack)
			stack = stack[:0]
		default:
			if len(stack) < 1<<16 {
				stack = append(stack, x)
			}
		}
	}
	return m
}

func codeOf(x any) (v, n int, ok bool) {
	s, ok := x.(str)
	if !ok || len(s) == 0 || len(s) > 4 {
		return 0, 0, false
	}
	for i := range len(s) {
		v = v<<8 | int(s[i])
	}
	return v, len(s), true
}

func units(s str) []uint16 {
	if len(s) == 1 {
		return []uint16{uint16(s[0])}
	}
	var out []uint16
	for ; len(s) >= 2; s = s[2:] {
		out = append(out, uint16(s[0])<<8|uint16(s[1]))
	}
	return out
}

func (m *cmap) operator(op word, args []any) {
	switch op {
	case "endcodespacerange":
		for ; len(args) >= 2; args = args[2:] {
			lo, n, ok := codeOf(args[0])
			hi, _, ok2 := codeOf(args[1])
			if ok && ok2 {
				m.lengths[n] = true
				m.spaces = append(m.spaces, codeSpace{n, lo, hi})
			}
		}
	case "endbfchar":
		for ; len(args) >= 2; args = args[2:] {
			code, _, ok := codeOf(args[0])
			if !ok {
				continue
			}
			switch to := args[1].(type) {
			case str:
				m.chars[code] = string(utf16.Decode(units(to)))
			case name:
				m.chars[code] = glyphName(string(to))
			}
		}
	case "endbfrange":
		for ; len(args) >= 3; args = args[3:] {
			lo, _, ok := codeOf(args[0])
			hi, _, ok2 := codeOf(args[1])
			if !ok || !ok2 || hi < lo || len(m.ranges) > 1<<18 {
				continue
			}
			switch to := args[2].(type) {
			case str:
				if u := units(to); len(u) > 0 {
					m.ranges = append(m.ranges, codeRange{lo, hi, u})
				}
			case array:
				for i, x := range to {
					if s, ok := x.(str); ok && lo+i <= hi {
						m.chars[lo+i] = string(utf16.Decode(units(s)))
					}
				}
			}
		}
	case "endcidrange":
		for ; len(args) >= 3; args = args[3:] {
			lo, _, ok := codeOf(args[0])
			hi, _, ok2 := codeOf(args[1])
			cid, ok3 := args[2].(float64)
			if ok && ok2 && ok3 && len(m.cids) < 1<<18 {
				m.cids = append(m.cids, cidRange{lo, hi, int(cid)})
			}
		}
	case "endcidchar":
		for ; len(args) >= 2; args = args[2:] {
			code, _, ok := codeOf(args[0])
			cid, ok2 := args[1].(float64)
			if ok && ok2 && len(m.cids) < 1<<18 {
				m.cids = append(m.cids, cidRange{code, code, int(cid)})
			}
		}
	}
}

// letter is what a code means; false when the map does not say.
func (m *cmap) letter(code int) (string, bool) {
	if m == nil {
		return "", false
	}
	if s, ok := m.chars[code]; ok {
		return s, true
	}
	i := sort.Search(len(m.ranges), func(i int) bool { return m.ranges[i].lo > code })
	if i == 0 || code > m.ranges[i-1].hi {
		return "", false
	}
	r := m.ranges[i-1]
	u := append([]uint16(nil), r.to...)
	u[len(u)-1] += uint16(code - r.lo)
	return string(utf16.Decode(u)), true
}

func (m *cmap) cid(code int) int {
	i := sort.Search(len(m.cids), func(i int) bool { return m.cids[i].lo > code })
	if i > 0 && code <= m.cids[i-1].hi {
		return m.cids[i-1].cid + code - m.cids[i-1].lo
	}
	return 0
}

// next takes a code off the front of a text.
func (m *cmap) next(s string) (code, n int) {
	v := 0
	for n := 1; n <= 4 && n <= len(s); n++ {
		v = v<<8 | int(s[n-1])
		if !m.lengths[n] {
			continue
		}
		for _, sp := range m.spaces {
			if sp.n == n && v >= sp.lo && v <= sp.hi {
				return v, n
			}
		}
	}
	// Outside of all ranges: as long as the shortest code.
	for n := 1; n <= 4; n++ {
		if m.lengths[n] && n <= len(s) {
			v = 0
			for i := range n {
				v = v<<8 | int(s[i])
			}
			return v, n
		}
	}
	return int(s[0]), 1
}

// known are the encodings of East Asia that every reader must know. Their codes are
// characters of a charset, so that the large tables of glyphs are not needed.
func known(enc name) (e encoding.Encoding, utf16 bool) {
	s := string(enc)
	switch {
	case strings.Contains(s, "UCS2") || strings.Contains(s, "UTF16"):
		return nil, true
	case strings.HasPrefix(s, "KSC"):
		return korean.EUCKR, false
	case strings.Contains(s, "RKSJ"):
		return japanese.ShiftJIS, false
	case s == "EUC-H" || s == "EUC-V":
		return japanese.EUCJP, false
	case strings.HasPrefix(s, "GB"):
		return simplifiedchinese.GB18030, false
	case strings.Contains(s, "B5") || strings.Contains(s, "ETen"):
		return traditionalchinese.Big5, false
	}
	return nil, false
}

// trueTypeLetters reads a TrueType program's own table backwards: which letter a
// glyph shows.
func trueTypeLetters(b []byte) map[int]rune {
	be := binary.BigEndian
	if len(b) < 12 {
		return nil
	}
	var t []byte
	for i := range int(be.Uint16(b[4:])) {
		at := 12 + 16*i
		if at+16 > len(b) {
			return nil
		}
		if string(b[at:at+4]) == "cmap" {
			off, n := int(be.Uint32(b[at+8:])), int(be.Uint32(b[at+12:]))
			if off < 0 || off > len(b) {
				return nil
			}
			t = b[off:min(len(b), off+max(n, 4))]
		}
	}
	if len(t) < 4 {
		return nil
	}
	best, score := -1, -1
	for i := range int(be.Uint16(t[2:])) {
		at := 4 + 8*i
		if at+8 > len(t) {
			break
		}
		platform, enc, off := be.Uint16(t[at:]), be.Uint16(t[at+2:]), int(be.Uint32(t[at+4:]))
		s := -1
		switch {
		case platform == 3 && enc == 10:
			s = 4
		case platform == 0:
			s = 2
		case platform == 3 && enc == 1:
			s = 3
		}
		if s > score && off > 0 && off+8 < len(t) {
			best, score = off, s
		}
	}
	if best < 0 {
		return nil
	}
	s := t[best:]
	out := map[int]rune{}
	put := func(gid int, r rune) {
		if old, ok := out[gid]; gid > 0 && (!ok || r < old) {
			out[gid] = r
		}
	}
	switch be.Uint16(s) {
	case 4:
		if len(s) < 16 {
			return nil
		}
		n := int(be.Uint16(s[6:])) / 2
		if 16+8*n > len(s) {
			return nil
		}
		for i := range n {
			last, first := int(be.Uint16(s[14+2*i:])), int(be.Uint16(s[16+2*n+2*i:]))
			delta, off := int(be.Uint16(s[16+4*n+2*i:])), int(be.Uint16(s[16+6*n+2*i:]))
			for c := first; c <= last && c < 0xffff; c++ {
				gid := (c + delta) & 0xffff
				if off != 0 {
					at := 16 + 6*n + 2*i + off + 2*(c-first)
					if at+2 > len(s) {
						break
					}
					if gid = int(be.Uint16(s[at:])); gid != 0 {
						gid = (gid + delta) & 0xffff
					}
				}
				put(gid, rune(c))
			}
		}
	case 12:
		if len(s) < 16 {
			return nil
		}
		for i := range int(min(be.Uint32(s[12:]), 1<<16)) {
			at := 16 + 12*i
			if at+12 > len(s) {
				break
			}
			first, last, gid := int(be.Uint32(s[at:])), int(be.Uint32(s[at+4:])), int(be.Uint32(s[at+8:]))
			for c := first; c <= last && c-first < 1<<16 && len(out) < 1<<17; c++ {
				put(gid+c-first, rune(c))
			}
		}
	}
	return out
}
