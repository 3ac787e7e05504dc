package parse

import (
	"encoding/binary"
	"math"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// Records of a workbook stream, [MS-XLS] 2.3.
const (
	recFormula    = 0x0006
	recEOF        = 0x000a
	recDateMode   = 0x0022
	recFilePass   = 0x002f
	recContinue   = 0x003c
	recBoundSheet = 0x0085
	recMulRK      = 0x00bd
	recRString    = 0x00d6
	recXF         = 0x00e0
	recSST        = 0x00fc
	recLabelSST   = 0x00fd
	recNumber     = 0x0203
	recLabel      = 0x0204
	recBoolErr    = 0x0205
	recString     = 0x0207
	recRK         = 0x027e
	recFormat     = 0x041e
	recBOF        = 0x0809
)

var le = binary.LittleEndian

// readExcel97 reads an .xls of Excel 97 and later (BIFF8), and of Excel 5 and 95 as
// far as their texts are Western.
func readExcel97(b *builder, s []byte) *Error {
	w := &excel97{b: b}
	if err := w.globals(s); err != nil {
		return err
	}
	for _, sh := range w.sheets {
		if sh.at < 0 || sh.at >= len(s) {
			return damaged("a sheet is missing")
		}
		if err := w.sheet(s[sh.at:], sh.name); err != nil {
			return err
		}
	}
	return nil
}

type excel97 struct {
	b      *builder
	book   workbook
	biff8  bool
	sheets []struct {
		name string
		at   int
	}
	formats map[int]numStyle
}

// record takes the next record off; nil data with ok false at the end.
func record(s []byte) (id int, data, rest []byte, ok bool) {
	if len(s) < 4 {
		return 0, nil, nil, false
	}
	n := int(le.Uint16(s[2:]))
	if 4+n > len(s) {
		return 0, nil, nil, false
	}
	return int(le.Uint16(s)), s[4 : 4+n], s[4+n:], true
}

func (w *excel97) globals(s []byte) *Error {
	id, data, rest, ok := record(s)
	if !ok || id != recBOF || len(data) < 4 {
		return fail(Unsupported, "it was made by an Excel older than 5.0, which is not supported")
	}
	switch v := le.Uint16(data); v {
	case 0x0600:
		w.biff8 = true
	case 0x0500:
	default:
		return damaged("its version %#x is unknown", v)
	}
	w.formats = map[int]numStyle{}
	for {
		id, data, rest, ok = record(rest)
		if !ok || id == recEOF {
			return nil
		}
		switch id {
		case recFilePass:
			return fail(Password, "it is protected by a password")
		case recDateMode:
			w.book.date1904 = len(data) >= 2 && le.Uint16(data) == 1
		case recFormat:
			if len(data) > 4 {
				w.formats[int(le.Uint16(data))] = styleOf(w.text(data[2:], w.biff8))
			}
		case recXF:
			if len(data) >= 4 && len(w.book.styles) < 1<<17 {
				f := int(le.Uint16(data[2:]))
				st, ok := w.formats[f]
				if !ok {
					st = builtin(f)
				}
				w.book.styles = append(w.book.styles, st)
			}
		case recBoundSheet:
			if len(data) < 8 || data[4]&3 != 0 || data[5] != 0 { // hidden, or no cells
				continue
			}
			w.sheets = append(w.sheets, struct {
				name string
				at   int
			}{w.shortText(data[6:]), int(le.Uint32(data))})
		case recSST:
			segments := [][]byte{data}
			for {
				id, more, after, ok := record(rest)
				if !ok || id != recContinue {
					break
				}
				segments = append(segments, more)
				rest = after
			}
			w.book.strings = readSST(segments)
		}
	}
}

// shortText is a text whose length is one byte.
func (w *excel97) shortText(s []byte) string {
	if len(s) < 1 {
		return ""
	}
	return w.chars(s[1:], int(s[0]), w.biff8)
}

// text is one whose length is two bytes, or one before Excel 97.
func (w *excel97) text(s []byte, long bool) string {
	if !long {
		return w.shortText(s)
	}
	if len(s) < 2 {
		return ""
	}
	return w.chars(s[2:], int(le.Uint16(s)), w.biff8)
}

func (w *excel97) chars(s []byte, n int, flags bool) string {
	if !flags {
		out, err := charmap.Windows1252.NewDecoder().Bytes(s[:min(n, len(s))])
		if err != nil {
			return ""
		}
		return string(out)
	}
	if len(s) < 1 {
		return ""
	}
	f := s[0]
	s = s[1:]
	if f&8 != 0 { // runs of fonts follow the characters
		s = s[min(2, len(s)):]
	}
	if f&4 != 0 {
		s = s[min(4, len(s)):]
	}
	if f&1 != 0 {
		return decodeUTF16(le, s[:min(2*n, len(s))])
	}
	return latin1(s[:min(n, len(s))])
}

// latin1 widens bytes that are the low halves of UTF-16.
func latin1(s []byte) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, c := range s {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// segments reads a record that goes on in others.
type segments struct {
	now  []byte
	more [][]byte
}

// take returns n bytes, which may lie in several records.
func (s *segments) take(n int) ([]byte, bool) {
	if n <= len(s.now) {
		out := s.now[:n]
		s.now = s.now[n:]
		return out, true
	}
	var out []byte
	for {
		k := min(n-len(out), len(s.now))
		out = append(out, s.now[:k]...)
		s.now = s.now[k:]
		if len(out) == n {
			return out, true
		}
		if !s.next() {
			return nil, false
		}
	}
}

func (s *segments) next() bool {
	if len(s.more) == 0 {
		return false
	}
	s.now, s.more = s.more[0], s.more[1:]
	return true
}

// readSST reads the texts that cells share. A text that is cut by the end of a
// record goes on with a new byte that says how wide its characters are.
func readSST(records [][]byte) []string {
	s := &segments{now: records[0], more: records[1:]}
	head, ok := s.take(8)
	if !ok {
		return nil
	}
	n := int(le.Uint32(head[4:]))
	var out []string
	for len(out) < min(n, maxStrings) {
		head, ok := s.take(3)
		if !ok {
			return out
		}
		left, flags := int(le.Uint16(head)), head[2]
		runs, ext := 0, 0
		if flags&8 != 0 {
			b, ok := s.take(2)
			if !ok {
				return out
			}
			runs = int(le.Uint16(b))
		}
		if flags&4 != 0 {
			b, ok := s.take(4)
			if !ok {
				return out
			}
			ext = int(le.Uint32(b))
		}
		var text strings.Builder
		for left > 0 {
			if len(s.now) == 0 {
				if !s.next() {
					return append(out, text.String())
				}
				if len(s.now) == 0 {
					continue
				}
				flags = s.now[0]
				s.now = s.now[1:]
			}
			if flags&1 != 0 {
				k := min(left, len(s.now)/2)
				if k == 0 {
					s.now = nil
					continue
				}
				text.WriteString(decodeUTF16(le, s.now[:2*k]))
				s.now = s.now[2*k:]
				left -= k
			} else {
				k := min(left, len(s.now))
				text.WriteString(latin1(s.now[:k]))
				s.now = s.now[k:]
				left -= k
			}
		}
		out = append(out, text.String())
		if ext < 0 || ext > MaxFile {
			return out
		}
		for skip := runs*4 + ext; skip > 0; {
			k := min(skip, len(s.now))
			s.now = s.now[k:]
			if skip -= k; skip > 0 && !s.next() {
				return out
			}
		}
	}
	return out
}

// sheet reads the cells of one sheet.
func (w *excel97) sheet(s []byte, name string) *Error {
	out := sheet{b: w.b}
	named := len(w.sheets) < 2
	row := -1
	var cells []string
	flush := func() {
		if len(cells) > 0 {
			if !named {
				w.b.add(Heading, 2, name)
				named = true
			}
			out.row(cells)
		}
		cells = cells[:0]
	}
	put := func(r, c int, text string) {
		if r != row {
			flush()
			row = r
		}
		if text == "" || c >= maxColumns {
			return
		}
		for len(cells) <= c {
			cells = append(cells, "")
		}
		cells[c] = clean(text)
	}
	show := func(xf int, v float64) string {
		st := plainNumber
		if xf < len(w.book.styles) {
			st = w.book.styles[xf]
		}
		return st.show(v, w.book.date1904)
	}
	depth := 0
	var textRow, textCol int // of a formula whose text follows
	for {
		id, data, rest, ok := record(s)
		if !ok {
			break
		}
		s = rest
		switch id {
		case recBOF:
			depth++
			continue
		case recEOF:
			if depth--; depth <= 0 {
				flush()
				out.end()
				return nil
			}
			continue
		}
		if depth != 1 || len(data) < 6 && id != recString {
			continue // a chart in the sheet
		}
		switch id {
		case recString:
			put(textRow, textCol, w.text(data, true))
			continue
		case recLabelSST, recNumber, recRK, recMulRK, recFormula, recLabel, recRString, recBoolErr:
		default:
			continue
		}
		r, c, xf := int(le.Uint16(data)), int(le.Uint16(data[2:])), int(le.Uint16(data[4:]))
		switch {
		case id == recLabelSST && len(data) >= 10:
			if i := int(le.Uint32(data[6:])); i >= 0 && i < len(w.book.strings) {
				put(r, c, w.book.strings[i])
			}
		case id == recNumber && len(data) >= 14:
			put(r, c, show(xf, math.Float64frombits(le.Uint64(data[6:]))))
		case id == recRK && len(data) >= 10:
			put(r, c, show(xf, rk(le.Uint32(data[6:]))))
		case id == recMulRK:
			for at := 4; at+6 <= len(data)-2; at += 6 {
				put(r, c, show(int(le.Uint16(data[at:])), rk(le.Uint32(data[at+2:]))))
				c++
			}
		case id == recLabel || id == recRString:
			put(r, c, w.text(data[6:], true))
		case id == recBoolErr && len(data) >= 8:
			put(r, c, truth(data[6], data[7] != 0))
		case id == recFormula && len(data) >= 14:
			if le.Uint16(data[12:]) != 0xffff {
				put(r, c, show(xf, math.Float64frombits(le.Uint64(data[6:]))))
				continue
			}
			switch data[6] {
			case 0:
				textRow, textCol = r, c
			case 1, 2:
				put(r, c, truth(data[8], data[6] == 2))
			}
		}
	}
	flush()
	out.end()
	return nil
}

// rk is a number packed into 30 bits.
func rk(n uint32) float64 {
	v := float64(int32(n) >> 2)
	if n&2 == 0 {
		v = math.Float64frombits(uint64(n&^3) << 32)
	}
	if n&1 != 0 {
		v /= 100
	}
	return v
}

func truth(v byte, isError bool) string {
	if !isError {
		if v != 0 {
			return "TRUE"
		}
		return "FALSE"
	}
	return map[byte]string{0x00: "#NULL!", 0x07: "#DIV/0!", 0x0f: "#VALUE!", 0x17: "#REF!", 0x1d: "#NAME?", 0x24: "#NUM!", 0x2a: "#N/A"}[v]
}
