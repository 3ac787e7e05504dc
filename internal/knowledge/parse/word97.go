package parse

import (
	"encoding/binary"
	"sort"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// Places in the head of a WordDocument stream, [MS-DOC] 2.5.
const (
	fibVersion  = 0x02
	fibFlags    = 0x0a
	fibText     = 0x4c // characters of the text, then of notes, headers …
	fibPapx     = 0x102
	fibClx      = 0x1a2
	fibSize     = 0x1aa
	word97First = 0x00c1
)

// readWord97 reads a .doc: the pieces of the text in order, cut at paragraph marks,
// headings and table rows by the properties of each paragraph.
func readWord97(b *builder, streams map[string][]byte) *Error {
	le := binary.LittleEndian
	doc := streams["WordDocument"]
	if len(doc) < 0x60 {
		return damaged("its head is cut off")
	}
	if le.Uint16(doc) != 0xa5ec {
		if id := le.Uint16(doc); id == 0xa5dc || id == 0xa59b {
			return fail(Unsupported, "it was made by a Word older than 1997, which is not supported")
		}
		return damaged("it does not begin as a Word file does")
	}
	if le.Uint16(doc[fibVersion:]) < word97First-0x20 {
		return fail(Unsupported, "it was made by a Word older than 1997, which is not supported")
	}
	flags := le.Uint16(doc[fibFlags:])
	if flags&0x0100 != 0 {
		return fail(Password, "it is protected by a password")
	}
	if len(doc) < fibSize {
		return damaged("its head is cut off")
	}
	table := streams["0Table"]
	if flags&0x0200 != 0 {
		table = streams["1Table"]
	}
	clx, ok := cut(table, le.Uint32(doc[fibClx:]), le.Uint32(doc[fibClx+4:]))
	if !ok {
		return damaged("the list of its pieces is missing")
	}
	pieces, err := readPieces(clx)
	if err != nil {
		return err
	}
	w := &word97{b: b, runs: readPapx(doc, table)}
	// The text, then footnotes; headers and comments lie between them and the
	// endnotes.
	text, notes := int(le.Uint32(doc[fibText:])), int(le.Uint32(doc[fibText+4:]))
	heads, macros, remarks, ends := int(le.Uint32(doc[fibText+8:])), int(le.Uint32(doc[fibText+12:])), int(le.Uint32(doc[fibText+16:])), int(le.Uint32(doc[fibText+20:]))
	for _, n := range []int{text, notes, heads, macros, remarks, ends} {
		if n < 0 || n > 1<<28 {
			return damaged("its lengths make no sense")
		}
	}
	w.keep = [][2]int{{0, text + notes}, {text + notes + heads + macros + remarks, text + notes + heads + macros + remarks + ends}}
	for _, p := range pieces {
		w.piece(doc, p)
	}
	w.end()
	return nil
}

// cut takes size bytes at an offset, if they are there.
func cut(s []byte, at, size uint32) ([]byte, bool) {
	if size == 0 || uint64(at)+uint64(size) > uint64(len(s)) {
		return nil, false
	}
	return s[at : at+size], true
}

// piece97 is a run of characters that lie together in the file.
type piece97 struct {
	first, last int // characters of the document
	at          int // byte in the stream
	narrow      bool
}

func readPieces(clx []byte) ([]piece97, *Error) {
	le := binary.LittleEndian
	for len(clx) >= 3 && clx[0] == 1 { // property changes before the table
		n := int(le.Uint16(clx[1:]))
		if 3+n > len(clx) {
			return nil, damaged("the list of its pieces is cut off")
		}
		clx = clx[3+n:]
	}
	if len(clx) < 5 || clx[0] != 2 {
		return nil, damaged("the list of its pieces is missing")
	}
	plc, ok := cut(clx, 5, le.Uint32(clx[1:]))
	if !ok || len(plc) < 16 {
		return nil, damaged("the list of its pieces is cut off")
	}
	n := (len(plc) - 4) / 12
	var out []piece97
	for i := range n {
		p := piece97{first: int(le.Uint32(plc[4*i:])), last: int(le.Uint32(plc[4*i+4:]))}
		fc := le.Uint32(plc[4*(n+1)+8*i+2:])
		if p.narrow = fc&(1<<30) != 0; p.narrow {
			p.at = int(fc&0x3fffffff) / 2
		} else {
			p.at = int(fc & 0x3fffffff)
		}
		if p.last < p.first {
			return nil, damaged("its pieces overlap")
		}
		out = append(out, p)
	}
	return out, nil
}

// papx is what a paragraph is.
type papx struct {
	from, to int // bytes of the stream
	heading  int
	list     int
	inTable  bool
	rowEnd   bool
}

// readPapx reads the properties of all paragraphs; nil where they cannot be found,
// which costs headings and rows but no text.
func readPapx(doc, table []byte) []papx {
	le := binary.LittleEndian
	plc, ok := cut(table, le.Uint32(doc[fibPapx:]), le.Uint32(doc[fibPapx+4:]))
	if !ok || len(plc) < 12 {
		return nil
	}
	n := (len(plc) - 4) / 8
	var out []papx
	for i := range n {
		at := int(le.Uint32(plc[4*(n+1)+4*i:])&0x3fffff) * 512
		if at+512 > len(doc) {
			continue
		}
		page := doc[at : at+512]
		runs := int(page[511])
		if 4*(runs+1)+13*runs > 511 {
			continue
		}
		for r := range runs {
			p := papx{from: int(le.Uint32(page[4*r:])), to: int(le.Uint32(page[4*r+4:]))}
			if off := int(page[4*(runs+1)+13*r]) * 2; off > 0 && off < 510 {
				size := int(page[off])*2 - 1
				off++
				if size < 0 {
					size = int(page[off]) * 2
					off++
				}
				if size >= 2 && off+size <= 511 {
					p.read(page[off : off+size])
				}
			}
			out = append(out, p)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].from < out[j].from })
	return out
}

// read takes from a paragraph's property changes the few that matter here.
func (p *papx) read(s []byte) {
	le := binary.LittleEndian
	if style := int(le.Uint16(s)); style >= 1 && style <= 9 {
		p.heading = style
	}
	for s = s[2:]; len(s) >= 3; {
		op := le.Uint16(s)
		s = s[2:]
		size := 0
		switch op >> 13 {
		case 0, 1:
			size = 1
		case 2, 4, 5:
			size = 2
		case 3:
			size = 4
		case 7:
			size = 3
		case 6:
			size = 1 + int(s[0])
			if op == 0xd608 && len(s) > 1 {
				size = 1 + int(le.Uint16(s))
			}
		}
		if size > len(s) {
			return
		}
		switch op {
		case 0x2416:
			p.inTable = s[0] != 0
		case 0x2417:
			p.rowEnd = s[0] != 0
		case 0x2640:
			if s[0] < 9 {
				p.heading = int(s[0]) + 1
			}
		case 0x460b:
			if le.Uint16(s) != 0 {
				p.list = max(p.list, 1)
			}
		case 0x260a:
			p.list = int(s[0]) + 1
		}
		s = s[size:]
	}
}

// word97 turns characters into blocks.
type word97 struct {
	b     *builder
	runs  []papx
	keep  [][2]int
	text  strings.Builder
	field []bool // open fields: whether their code is still being passed
	cells []string
	after rune // the character before
	rows  *sheet
}

func (w *word97) piece(doc []byte, p piece97) {
	width := 2
	if p.narrow {
		width = 1
	}
	for cp := p.first; cp < p.last; cp++ {
		at := p.at + (cp-p.first)*width
		if at < 0 || at+width > len(doc) {
			return
		}
		wanted := false
		for _, k := range w.keep {
			wanted = wanted || cp >= k[0] && cp < k[1]
		}
		if !wanted {
			continue
		}
		if p.narrow {
			w.char(charmap.Windows1252.DecodeByte(doc[at]), at)
			continue
		}
		r := rune(binary.LittleEndian.Uint16(doc[at:]))
		if r >= 0xd800 && r < 0xdc00 && cp+1 < p.last && at+4 <= len(doc) {
			low := rune(binary.LittleEndian.Uint16(doc[at+2:]))
			if low >= 0xdc00 && low < 0xe000 {
				r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
				cp++
			}
		}
		w.char(r, at)
	}
}

// props finds the properties of the paragraph that a byte lies in.
func (w *word97) props(at int) papx {
	i := sort.Search(len(w.runs), func(i int) bool { return w.runs[i].from > at })
	if i > 0 && at < w.runs[i-1].to {
		return w.runs[i-1]
	}
	return papx{}
}

func (w *word97) char(r rune, at int) {
	before := w.after
	w.after = r
	switch r {
	case 0x13:
		w.field = append(w.field, true)
		return
	case 0x14:
		if n := len(w.field); n > 0 {
			w.field[n-1] = false
		}
		return
	case 0x15:
		if n := len(w.field); n > 0 {
			w.field = w.field[:n-1]
		}
		return
	}
	if len(w.field) > 256 {
		w.field = w.field[:0]
	}
	for _, code := range w.field {
		if code && r != '\r' && r != 7 {
			return
		}
	}
	switch r {
	case '\r', '\f', 0x0e:
		p := w.props(at)
		if p.inTable || len(w.cells) > 0 && len(w.runs) == 0 {
			w.text.WriteByte(' ')
			return
		}
		w.paragraph(p)
	case 7:
		p := w.props(at)
		if p.rowEnd || len(w.runs) == 0 && before == 7 {
			w.row()
			return
		}
		w.cells = append(w.cells, clean(w.text.String()))
		w.text.Reset()
		if len(w.cells) > 4096 {
			w.row()
		}
	case 0x0b:
		w.text.WriteByte('\n')
	case 0x1e:
		w.text.WriteByte('-')
	case 1, 2, 3, 4, 5, 6, 8, 0x1f:
	default:
		w.text.WriteRune(r)
	}
}

func (w *word97) row() {
	if w.rows == nil {
		w.rows = &sheet{b: w.b}
	}
	w.text.Reset()
	w.rows.row(w.cells)
	w.cells = nil
}

func (w *word97) paragraph(p papx) {
	w.leaveTable()
	text := w.text.String()
	w.text.Reset()
	switch {
	case p.heading > 0:
		w.b.add(Heading, p.heading, text)
	case p.list > 0:
		if strings.TrimSpace(text) != "" {
			w.b.add(ListItem, p.list, "- "+text)
		}
	default:
		w.b.add(Paragraph, 0, text)
	}
}

func (w *word97) leaveTable() {
	if len(w.cells) > 0 {
		w.row()
	}
	if w.rows != nil {
		w.rows.end()
		w.rows = nil
	}
}

func (w *word97) end() {
	w.leaveTable()
	w.b.add(Paragraph, 0, w.text.String())
}
