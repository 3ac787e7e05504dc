package parse

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// readHTML walks a page's tree. Navigation, scripts and hidden parts are not what
// the page says.
func readHTML(b *builder, data []byte) *Error {
	var text string
	name, n := bom(data)
	switch enc, _, certain := charset.DetermineEncoding(data[:min(len(data), 1024)], ""); {
	case n > 0:
		text = decodeUTF(name, data[n:])
	case certain && bytes.Contains(bytes.ToLower(data[:min(len(data), 1024)]), []byte("charset")):
		decoded, err := enc.NewDecoder().Bytes(data)
		if err != nil {
			return damaged("it is not in the charset that it names")
		}
		text = string(decoded)
	default:
		text = decodeText(data)
	}
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		// The library refuses only to nest without end.
		return fail(Bomb, "its elements nest too deeply")
	}
	w := &page{b: b}
	w.walk(root, 0)
	w.flush()
	return nil
}

// page writes blocks while it walks.
type page struct {
	b     *builder
	run   strings.Builder // text of the block that is being collected
	kind  Kind
	level int
	pre   int
	lists []*list
	cells []string
	cell  int // within a cell of a table when > 0
	rows  *sheet
}

type list struct {
	ordered bool
	n       int
}

func (w *page) flush() {
	text := w.run.String()
	w.run.Reset()
	if w.pre == 0 {
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "\n")
	}
	if w.kind == ListItem && strings.TrimSpace(strings.TrimLeft(text, "-0123456789.")) == "" {
		text = ""
	}
	w.b.add(w.kind, w.level, text)
	w.kind, w.level = Paragraph, 0
}

// text appends words, with white space as a browser shows it.
func (w *page) text(s string) {
	if w.pre > 0 {
		w.run.WriteString(s)
		return
	}
	space := false
	for _, r := range s {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' {
			space = true
			continue
		}
		if space {
			w.space()
			space = false
		}
		w.run.WriteRune(r)
	}
	if space {
		w.space()
	}
}

func (w *page) space() {
	if s := w.run.String(); s != "" && s[len(s)-1] != ' ' && s[len(s)-1] != '\n' {
		w.run.WriteByte(' ')
	}
}

// hidden parts of a page.
func hidden(n *html.Node) bool {
	for _, a := range n.Attr {
		switch a.Key {
		case "hidden":
			return true
		case "aria-hidden":
			if a.Val == "true" && n.DataAtom != atom.Span {
				return true
			}
		case "style":
			if s := strings.ReplaceAll(strings.ToLower(a.Val), " ", ""); strings.Contains(s, "display:none") || strings.Contains(s, "visibility:hidden") {
				return true
			}
		}
	}
	return false
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// walk is bounded in depth by the library's own limit on open elements and by ours.
func (w *page) walk(n *html.Node, depth int) {
	if depth > 4*maxDepth {
		panic(fail(Bomb, "its elements nest too deeply"))
	}
	children := func() {
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			w.walk(c, depth+1)
		}
	}
	switch n.Type {
	case html.TextNode:
		w.text(n.Data)
		return
	case html.ElementNode:
	default:
		children()
		return
	}
	if hidden(n) {
		return
	}
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Nav, atom.Iframe, atom.Object, atom.Svg, atom.Select, atom.Button, atom.Textarea, atom.Datalist, atom.Canvas:
	case atom.Html:
		if lang, _, _ := strings.Cut(attr(n, "lang"), "-"); len(lang) == 2 || len(lang) == 3 {
			w.b.lang = strings.ToLower(lang)
		}
		children()
	case atom.Head:
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.DataAtom == atom.Title && c.FirstChild != nil {
				w.b.title = c.FirstChild.Data
			}
		}
	case atom.Br:
		w.run.WriteByte('\n')
	case atom.Hr:
		w.block(children)
	case atom.Img:
		if alt := attr(n, "alt"); len(alt) > 3 {
			w.text(" " + alt + " ")
		}
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		w.block(func() {
			children()
			if w.cell == 0 {
				w.kind, w.level = Heading, int(n.Data[1]-'0')
			}
		})
	case atom.Pre:
		w.block(func() {
			w.pre++
			children()
			if w.cell == 0 {
				w.flush()
			}
			w.pre--
		})
	case atom.Ul, atom.Ol, atom.Menu:
		w.lists = append(w.lists, &list{ordered: n.DataAtom == atom.Ol})
		w.block(children)
		w.lists = w.lists[:len(w.lists)-1]
	case atom.Li:
		w.block(func() { w.item(); children() })
	case atom.Dt, atom.Dd:
		w.block(children)
	case atom.Table:
		w.table(children)
	case atom.Tr:
		w.tr(children)
	case atom.Td, atom.Th:
		w.td(children)
	case atom.P, atom.Div, atom.Section, atom.Article, atom.Aside, atom.Header, atom.Footer, atom.Main, atom.Blockquote, atom.Figure,
		atom.Figcaption, atom.Address, atom.Form, atom.Fieldset, atom.Dl, atom.Details, atom.Summary, atom.Body, atom.Caption, atom.Center, atom.Hgroup:
		w.block(children)
	default:
		children()
	}
}

// block stands alone; inside a cell it is only a space.
func (w *page) block(do func()) {
	if w.cell > 0 {
		w.space()
		do()
		w.space()
		return
	}
	// The first paragraph of a list item is the item's own.
	if !(w.kind == ListItem && strings.TrimSpace(strings.TrimLeft(w.run.String(), "-0123456789. ")) == "") {
		w.flush()
	}
	do()
	w.flush()
}

func (w *page) item() {
	if w.cell > 0 {
		return
	}
	w.kind, w.level = ListItem, max(1, len(w.lists))
	mark := "- "
	if len(w.lists) > 0 && w.lists[len(w.lists)-1].ordered {
		l := w.lists[len(w.lists)-1]
		l.n++
		mark = itoa(l.n) + ". "
	}
	w.run.WriteString(mark)
}

func (w *page) table(children func()) {
	if w.cell > 0 || w.rows != nil { // a table in a table is part of its cell
		children()
		return
	}
	w.flush()
	w.rows = &sheet{b: w.b}
	children()
	w.flush()
	w.rows.end()
	w.rows = nil
}

func (w *page) tr(children func()) {
	if w.cell > 0 || w.rows == nil {
		children()
		return
	}
	w.flush()
	w.cells = nil
	children()
	w.rows.row(w.cells)
	w.cells = nil
}

func (w *page) td(children func()) {
	if w.cell > 0 || w.rows == nil {
		w.space()
		children()
		w.space()
		return
	}
	w.run.Reset()
	w.cell++
	children()
	w.cell--
	w.cells = append(w.cells, clean(w.run.String()))
	w.run.Reset()
}
