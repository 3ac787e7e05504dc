package main

import (
	"io"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// section is a heading of a page and what stands below it, up to the next heading.
type section struct {
	Title  string
	Blocks []string // paragraphs, items, listings
}

var (
	number = regexp.MustCompile(`^(?:(?:Chapter|Appendix|Part|Section)\s+)?(?:[0-9]+|[A-Z]|[IVX]+)(?:\.[0-9]+)*\.\s+|^[0-9]+(?:\.[0-9]+)+\s+`)
	spaces = regexp.MustCompile(`\s+`)
)

// skipped are classes of what surrounds a document on its pages.
var skipped = []string{"related", "sphinxsidebar", "navheader", "navfooter", "toc", "headerlink", "footer", "titlepage-nav", "mobile-nav", "docnav", "toctree-wrapper", "contents"}

// readSections reads a page.
func readSections(r io.Reader) ([]section, error) {
	root, err := html.Parse(r)
	if err != nil {
		return nil, err
	}
	w := &sectioning{}
	w.walk(root)
	w.end()
	w.close()
	return w.done, nil
}

type sectioning struct {
	done []section
	open *section
	text strings.Builder // of the block
	pre  bool
}

// end ends a block.
func (w *sectioning) end() {
	s := w.text.String()
	w.text.Reset()
	if !w.pre {
		s = spaces.ReplaceAllString(s, " ")
	}
	if s = strings.TrimSpace(s); s != "" && w.open != nil {
		w.open.Blocks = append(w.open.Blocks, s)
	}
}

func (w *sectioning) close() {
	if w.open != nil {
		w.done = append(w.done, *w.open)
	}
	w.open = nil
}

func (w *sectioning) walk(n *html.Node) {
	switch n.Type {
	case html.TextNode:
		w.text.WriteString(n.Data)
		return
	case html.ElementNode:
		if ignored(n) {
			return
		}
	default: // documents and comments have no text of their own
	}
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		w.end()
		w.close()
		w.open = &section{Title: title(n)}
		return
	case atom.P, atom.Li, atom.Dt, atom.Dd, atom.Tr, atom.Div, atom.Section, atom.Table, atom.Ul, atom.Ol, atom.Dl, atom.Blockquote:
		w.end()
		w.children(n)
		w.end()
	case atom.Pre:
		w.end()
		w.pre = true
		w.children(n)
		w.end()
		w.pre = false
	case atom.Br, atom.Td, atom.Th:
		w.text.WriteByte(' ')
		w.children(n)
	default:
		w.children(n)
	}
}

func (w *sectioning) children(n *html.Node) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.walk(c)
	}
}

func ignored(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Head, atom.Nav, atom.Footer:
		return true
	default:
	}
	for _, a := range n.Attr {
		if a.Key == "role" && a.Val == "navigation" {
			return true
		}
		if a.Key == "class" {
			for have := range strings.FieldsSeq(a.Val) {
				for _, s := range skipped {
					if have == s {
						return true
					}
				}
			}
		}
	}
	return false
}

// title is a heading's text without its number and its marks.
func title(n *html.Node) string {
	var b strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.Type != html.ElementNode || !ignored(c) {
				walk(c)
			}
		}
	}
	walk(n)
	s := strings.TrimSpace(spaces.ReplaceAllString(strings.NewReplacer("¶", "", "\u00a0", " ", "\u200b", "").Replace(b.String()), " "))
	return strings.TrimFunc(number.ReplaceAllString(s, ""), func(r rune) bool { return unicode.IsSpace(r) || r == ':' })
}
