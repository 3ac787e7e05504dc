package parse

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// readWord reads a .docx: paragraphs, headings by style, lists, tables, text boxes,
// and the notes after the text. Deleted text, field codes and the headers and
// footers of pages are left out.
func readWord(b *builder, a *archive, main string) *Error {
	w := &word{b: b, styles: map[string]style{}}
	rels := a.relations(main)
	notes := []string{}
	for _, r := range rels {
		switch r.kind {
		case "styles":
			w.readStyles(a, r.target)
		case "footnotes", "endnotes":
			notes = append(notes, r.target)
		}
	}
	e, err := a.xml(main)
	if err != nil {
		return err
	}
	defer e.close()
	w.e = e
	if err := asError(w.body()); err != nil {
		return err
	}
	for _, n := range notes {
		e, err := a.xml(n)
		if err != nil {
			continue // the text is whole without
		}
		w.e, w.inNotes = e, true
		err = asError(w.body())
		e.close()
		if err != nil && err.Reason == Bomb {
			return err
		}
	}
	return nil
}

type style struct {
	level int // of a heading, 0 for none
	title bool
	list  bool
	based string
}

type word struct {
	b       *builder
	e       *events
	styles  map[string]style
	inNotes bool
	rows    *sheet
	cells   []string
	nested  int // tables in tables
}

// paragraph is one w:p that is being read.
type paragraph struct {
	text  strings.Builder
	kind  Kind
	level int
	field int // within the code of a field
	title bool
}

func (w *word) readStyles(a *archive, part string) {
	e, err := a.xml(part)
	if err != nil {
		return
	}
	defer e.close()
	id, in := "", style{}
	for {
		t, err := e.next()
		if err != nil {
			break
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "style":
				id, in = attribute(t, "styleId"), style{}
			case "name":
				name := strings.ToLower(attribute(t, "val"))
				if n, ok := strings.CutPrefix(name, "heading "); ok {
					in.level, _ = strconv.Atoi(n)
				}
				in.title = name == "title"
				in.list = strings.HasPrefix(name, "list")
			case "basedOn":
				in.based = attribute(t, "val")
			case "outlineLvl":
				if n, err := strconv.Atoi(attribute(t, "val")); err == nil && n >= 0 && n < 9 && in.level == 0 {
					in.level = n + 1
				}
			}
		case xml.EndElement:
			if t.Name.Local == "style" && id != "" {
				w.styles[id] = in
				id = ""
			}
		}
	}
}

// style follows what a style is based on.
func (w *word) style(id string) style {
	s := w.styles[id]
	for up, n := s.based, 0; up != "" && n < 10 && s.level == 0 && !s.title; n++ {
		p := w.styles[up]
		s.level, s.title, s.list = p.level, p.title, s.list || p.list
		up = p.based
	}
	return s
}

func (w *word) body() error {
	for {
		t, err := w.e.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if err := w.element(s); err != nil {
			return err
		}
	}
}

// element reads what may stand where paragraphs stand.
func (w *word) element(s xml.StartElement) error {
	switch s.Name.Local {
	case "p":
		return w.paragraph()
	case "tbl":
		return w.table()
	case "sectPr", "Fallback", "del", "moveFrom", "sdtPr", "binData":
		return w.e.skip()
	case "footnote", "endnote":
		if k := attribute(s, "type"); k != "" && k != "normal" {
			return w.e.skip()
		}
	}
	return nil
}

func (w *word) paragraph() error {
	p := &paragraph{}
	for depth := w.e.depth; w.e.depth >= depth; {
		t, err := w.e.next()
		if err != nil {
			return ended(err)
		}
		if s, ok := t.(xml.StartElement); ok {
			if err := w.run(p, s); err != nil {
				return err
			}
		}
	}
	w.put(p)
	return nil
}

// put writes a paragraph, or adds it to the cell that it stands in.
func (w *word) put(p *paragraph) {
	text := p.text.String()
	if w.rows != nil {
		if n := len(w.cells); n > 0 {
			if w.cells[n-1] != "" && text != "" {
				w.cells[n-1] += " "
			}
			w.cells[n-1] += text
		}
		return
	}
	if p.title && w.b.title == "" {
		w.b.title = text
	}
	if p.kind == ListItem && strings.TrimSpace(text) != "" {
		text = "- " + text
	}
	w.b.add(p.kind, p.level, text)
}

// run reads what may stand in a paragraph.
func (w *word) run(p *paragraph, s xml.StartElement) error {
	switch s.Name.Local {
	case "t":
		text, err := w.e.content()
		if err != nil {
			return err
		}
		if p.field == 0 {
			p.text.WriteString(text)
		}
	case "tab", "ptab":
		p.text.WriteByte('\t')
	case "br", "cr":
		p.text.WriteByte('\n')
	case "lastRenderedPageBreak":
		w.breakPage(p)
	case "noBreakHyphen":
		p.text.WriteByte('-')
	case "sym":
		p.text.WriteString(symbol(attribute(s, "char")))
	case "pStyle":
		st := w.style(attribute(s, "val"))
		switch {
		case st.title:
			p.kind, p.level, p.title = Heading, 1, true
		case st.level > 0 && st.level <= 9:
			p.kind, p.level = Heading, st.level
		case st.list:
			p.kind, p.level = ListItem, 1
		}
	case "outlineLvl":
		if n, err := strconv.Atoi(attribute(s, "val")); err == nil && n >= 0 && n < 9 {
			p.kind, p.level = Heading, n+1
		}
	case "ilvl":
		if n, err := strconv.Atoi(attribute(s, "val")); err == nil && p.kind != Heading && n >= 0 && n < 9 {
			p.kind, p.level = ListItem, n+1
		}
	case "numId":
		if attribute(s, "val") == "0" && p.kind == ListItem {
			p.kind, p.level = Paragraph, 0
		} else if p.kind == Paragraph {
			p.kind, p.level = ListItem, 1
		}
	case "fldChar":
		switch attribute(s, "fldCharType") {
		case "begin":
			p.field++
		case "separate", "end":
			p.field = max(0, p.field-1)
		}
		if attribute(s, "fldCharType") == "end" {
			p.field = 0
		}
	case "instrText", "delText", "del", "moveFrom", "Fallback", "rPr", "pPrChange", "sdtPr":
		return w.e.skip()
	case "txbxContent":
		return w.box()
	case "p": // a paragraph that a text box puts inside
		return w.paragraph()
	case "tbl":
		return w.table()
	}
	return nil
}

// box reads a text box; its paragraphs come before the one it hangs on.
func (w *word) box() error {
	for depth := w.e.depth; w.e.depth >= depth; {
		t, err := w.e.next()
		if err != nil {
			return ended(err)
		}
		if s, ok := t.(xml.StartElement); ok {
			if err := w.element(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// breakPage ends the text of a page where the page ended when the file was last
// shown. An author's own break tells nothing of the pages before it, so it makes
// no number.
func (w *word) breakPage(p *paragraph) {
	if w.inNotes {
		return
	}
	if w.b.page == 0 {
		for i := range w.b.blocks {
			w.b.blocks[i].Page = 1
		}
		w.b.page = 1
	}
	if w.rows == nil && strings.TrimSpace(p.text.String()) != "" {
		// The rest of the paragraph is on the next page.
		w.b.add(p.kind, p.level, p.text.String())
		p.text.Reset()
	}
	w.b.turn(w.b.page + 1)
}

func (w *word) table() error {
	outer := w.rows != nil
	if outer {
		w.nested++
	} else {
		w.rows = &sheet{b: w.b}
	}
	if w.nested > 32 {
		return fail(Bomb, "its tables nest too deeply")
	}
	for depth := w.e.depth; w.e.depth >= depth; {
		t, err := w.e.next()
		if err != nil {
			return ended(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "tr":
				if !outer {
					w.cells = nil
				}
			case "tc":
				if !outer {
					w.cells = append(w.cells, "")
				}
			case "p":
				if err := w.paragraph(); err != nil {
					return err
				}
			case "tbl":
				if err := w.table(); err != nil {
					return err
				}
			case "sdtPr", "tblPr", "trPr", "tcPr", "Fallback":
				if err := w.e.skip(); err != nil {
					return err
				}
			}
		case xml.EndElement:
			if t.Name.Local == "tr" && !outer {
				for i := range w.cells {
					w.cells[i] = clean(w.cells[i])
				}
				w.rows.row(w.cells)
				w.cells = nil
			}
		}
	}
	if outer {
		w.nested--
		return nil
	}
	w.rows.end()
	w.rows = nil
	return nil
}

// ended is the error of XML that stops inside an element.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return damaged("its XML ends in the middle")
	}
	return err
}

// symbol shows a character of a symbol font where Unicode has it.
func symbol(hex string) string {
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return ""
	}
	switch n & 0xff {
	case 0xb7, 0xa7, 0x6c:
		return "•"
	case 0xfe, 0xfc, 0x52:
		return "✓"
	case 0xe0, 0xe8, 0xae:
		return "→"
	}
	if n < 0xe000 || n > 0xf8ff {
		return string(rune(n))
	}
	return ""
}
