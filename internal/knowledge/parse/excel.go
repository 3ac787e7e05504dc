package parse

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	maxColumns = 16_384
	maxStrings = 4_000_000
)

// workbook is what the cells of all sheets share.
type workbook struct {
	strings  []string
	styles   []numStyle // by a cell's style number
	date1904 bool
}

// readExcel reads an .xlsx: each sheet that is not hidden is a heading and its
// rows, numbers as they are shown.
func readExcel(b *builder, a *archive, main string) *Error {
	rels := a.relations(main)
	var book workbook
	for _, r := range rels {
		switch r.kind {
		case "sharedStrings":
			if err := asError(book.readStrings(a, r.target)); err != nil {
				return err
			}
		case "styles":
			book.readStyles(a, r.target)
		}
	}
	sheets, err := book.readSheets(a, main)
	if err != nil {
		return asError(err)
	}
	read := 0
	for _, s := range sheets {
		r, ok := rels[s.id]
		if !ok || r.kind != "worksheet" {
			continue // charts have no cells
		}
		read++
		if err := asError(book.readSheet(b, a, r.target, s.name, len(sheets) > 1)); err != nil {
			return err
		}
	}
	if read == 0 && len(sheets) > 0 {
		return damaged("it has no sheet that can be found")
	}
	return nil
}

type sheetRef struct{ name, id string }

func (w *workbook) readSheets(a *archive, main string) ([]sheetRef, error) {
	e, ferr := a.xml(main)
	if ferr != nil {
		return nil, ferr
	}
	defer e.close()
	var out []sheetRef
	for {
		t, err := e.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		switch s.Name.Local {
		case "workbookPr":
			v := attribute(s, "date1904")
			w.date1904 = v == "1" || v == "true"
		case "sheet":
			if attribute(s, "state") == "" || attribute(s, "state") == "visible" {
				out = append(out, sheetRef{name: attribute(s, "name"), id: attribute(s, "id")})
			}
		}
	}
}

func (w *workbook) readStrings(a *archive, part string) error {
	e, ferr := a.xml(part)
	if ferr != nil {
		return ferr
	}
	defer e.close()
	for {
		t, err := e.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s, ok := t.(xml.StartElement); ok && s.Name.Local == "si" {
			text, err := richText(e)
			if err != nil {
				return err
			}
			if len(w.strings) >= maxStrings {
				return fail(Bomb, "it has more than %d texts", maxStrings)
			}
			w.strings = append(w.strings, text)
		}
	}
}

// richText joins the runs of a text; the reading aids above East Asian characters
// are no part of it.
func richText(e *events) (string, error) {
	var b strings.Builder
	one, parts := "", 0
	for depth := e.depth; e.depth >= depth; {
		t, err := e.next()
		if err != nil {
			return "", ended(err)
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		switch s.Name.Local {
		case "t":
			text, err := e.content()
			if err != nil {
				return "", err
			}
			if parts++; parts == 1 {
				one = text
			} else {
				if parts == 2 {
					b.WriteString(one)
				}
				b.WriteString(text)
			}
		case "rPh", "phoneticPr":
			if err := e.skip(); err != nil {
				return "", err
			}
		}
	}
	if parts > 1 {
		one = b.String()
	}
	return escapes(one), nil
}

// escapes turns _x000D_ into the character that XML cannot hold.
func escapes(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "_x")
		if i < 0 || len(s) < i+7 {
			break
		}
		n, err := strconv.ParseUint(s[i+2:i+6], 16, 16)
		if err != nil || s[i+6] != '_' {
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		b.WriteRune(rune(n))
		s = s[i+7:]
	}
	b.WriteString(s)
	return b.String()
}

func (w *workbook) readStyles(a *archive, part string) {
	e, err := a.xml(part)
	if err != nil {
		return
	}
	defer e.close()
	own := map[int]numStyle{}
	cells := false
	for {
		t, err := e.next()
		if err != nil {
			return
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "numFmt":
				if id, err := strconv.Atoi(attribute(t, "numFmtId")); err == nil {
					own[id] = styleOf(attribute(t, "formatCode"))
				}
			case "cellXfs":
				cells = true
			case "xf":
				if cells && len(w.styles) < 1<<17 {
					id, _ := strconv.Atoi(attribute(t, "numFmtId"))
					st, ok := own[id]
					if !ok {
						st = builtin(id)
					}
					w.styles = append(w.styles, st)
				}
			}
		case xml.EndElement:
			if t.Name.Local == "cellXfs" {
				cells = false
			}
		}
	}
}

func (w *workbook) readSheet(b *builder, a *archive, part, name string, heading bool) error {
	e, ferr := a.xml(part)
	if ferr != nil {
		return ferr
	}
	defer e.close()
	out := sheet{b: b}
	named := !heading
	var cells []string
	for {
		t, err := e.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "row":
				cells = cells[:0]
			case "c":
				col := len(cells)
				if c, ok := column(attribute(t, "r")); ok {
					col = c
				}
				text, err := w.cell(e, attribute(t, "t"), attribute(t, "s"))
				if err != nil {
					return err
				}
				if text == "" || col >= maxColumns {
					continue
				}
				for len(cells) <= col {
					cells = append(cells, "")
				}
				cells[col] = clean(text)
			}
		case xml.EndElement:
			if t.Name.Local == "row" && len(cells) > 0 {
				if !named {
					b.add(Heading, 2, name)
					named = true
				}
				out.row(cells)
			}
		}
	}
	out.end()
	return nil
}

// cell reads the value of a cell as it is shown.
func (w *workbook) cell(e *events, kind, style string) (string, error) {
	value := ""
	for depth := e.depth; e.depth >= depth; {
		t, err := e.next()
		if err != nil {
			return "", ended(err)
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		switch s.Name.Local {
		case "v":
			if value, err = e.content(); err != nil {
				return "", err
			}
		case "is":
			if value, err = richText(e); err != nil {
				return "", err
			}
		case "f", "extLst":
			if err := e.skip(); err != nil {
				return "", err
			}
		}
	}
	switch kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || i < 0 || i >= len(w.strings) {
			return "", nil
		}
		return w.strings[i], nil
	case "b":
		if value == "1" {
			return "TRUE", nil
		}
		return "FALSE", nil
	case "str", "inlineStr", "e", "d":
		return value, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil {
		return value, nil
	}
	i, err := strconv.Atoi(style)
	if err != nil || i < 0 || i >= len(w.styles) {
		i = -1
	}
	st := plainNumber
	if i >= 0 {
		st = w.styles[i]
	}
	return st.show(v, w.date1904), nil
}

// column turns the letters of "BC12" into a number from 0.
func column(ref string) (int, bool) {
	n := 0
	for i := 0; i < len(ref); i++ {
		c := ref[i] | 0x20
		if c < 'a' || c > 'z' {
			return n - 1, n > 0
		}
		if n = n*26 + int(c-'a') + 1; n > maxColumns {
			return 0, false
		}
	}
	return 0, false
}
