package parse

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Kind is what a block of a document is.
type Kind uint8

// The kinds.
const (
	Paragraph Kind = iota
	Heading        // Level 1 to 9
	ListItem       // Level is the depth, from 1
	TableRow       // cells joined by " | ", or "name: value; …" under a header
	PageBreak      // has no text
)

func (k Kind) String() string {
	switch k {
	case Paragraph:
		return "paragraph"
	case Heading:
		return "heading"
	case ListItem:
		return "list item"
	case TableRow:
		return "table row"
	case PageBreak:
		return "page break"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Block is one part of a document's text: Document.Text[Start:End].
type Block struct {
	Kind  Kind `json:"k,omitempty"`
	Level int  `json:"l,omitempty"`
	Start int  `json:"s"` // bytes
	End   int  `json:"e"`
	Page  int  `json:"p,omitempty"` // from 1; 0 where the file does not tell
}

// Document is what a file says. Blocks are in reading order, do not overlap, and
// between them stand only line breaks. Text is valid UTF-8 in Unicode form C.
type Document struct {
	Format   Format  `json:"format"`
	Title    string  `json:"title,omitempty"`
	Language string  `json:"language,omitempty"` // a hint: "ko", "ja" …; "" unknown
	Pages    int     `json:"pages,omitempty"`    // 0 where the format has none
	Text     string  `json:"-"`                  // travels beside the rest
	Blocks   []Block `json:"blocks"`
	// Records are the rows of a CSV file that are documents of their own, where its
	// metadata file asks for that.
	Records []Record `json:"records,omitempty"`
}

// Of returns a block's text.
func (d *Document) Of(b Block) string { return d.Text[b.Start:b.End] }

// PageAt returns the page of the block at or before a byte of the text.
func (d *Document) PageAt(offset int) int {
	lo, hi := 0, len(d.Blocks)
	for lo < hi { // first block that starts after offset
		m := (lo + hi) / 2
		if d.Blocks[m].Start > offset {
			hi = m
		} else {
			lo = m + 1
		}
	}
	if lo == 0 {
		return 0
	}
	return d.Blocks[lo-1].Page
}

// check holds a document that came from a child against what the type promises:
// the child has read a stranger's file and is believed nothing.
func (d *Document) check() error {
	if !utf8.ValidString(d.Text) || !utf8.ValidString(d.Title) {
		return fmt.Errorf("text is not UTF-8")
	}
	if len(d.Text) > maxText || len(d.Blocks) > maxBlocks || len(d.Title) > 4096 || len(d.Language) > 16 {
		return fmt.Errorf("more text than allowed")
	}
	at := 0
	for i, b := range d.Blocks {
		if b.Start < at || b.End < b.Start || b.End > len(d.Text) || b.Kind > PageBreak || b.Page < 0 || b.Level < 0 {
			return fmt.Errorf("block %d lies at %d to %d of %d", i, b.Start, b.End, len(d.Text))
		}
		if b.Start < len(d.Text) && !utf8.RuneStart(d.Text[b.Start]) || b.End < len(d.Text) && !utf8.RuneStart(d.Text[b.End]) {
			return fmt.Errorf("block %d cuts a character", i)
		}
		at = b.End
	}
	for i, r := range d.Records {
		if r.Start < 0 || r.End < r.Start || r.End > len(d.Text) || !utf8.ValidString(d.Text[r.Start:r.End]) {
			return fmt.Errorf("record %d lies at %d to %d of %d", i, r.Start, r.End, len(d.Text))
		}
		for k, v := range r.Attributes {
			if checkKey(k) != nil || v.check() != nil {
				return fmt.Errorf("record %d has an attribute that is not allowed", i)
			}
		}
	}
	return nil
}

// builder collects blocks. It panics with *Error when there is more text than a
// document may have; read recovers it.
type builder struct {
	text   []byte
	blocks []Block
	page   int
	title  string
	lang   string
	recs   []Record
}

// add appends a block. Text without a letter or digit to show is left out.
func (b *builder) add(k Kind, level int, text string) {
	text = strings.Trim(clean(text), " \t\n\r")
	if text == "" {
		return
	}
	b.gap(k)
	start := len(b.text)
	if start+len(text) > maxText {
		panic(fail(TooMuchText, "it holds more than %d MB of text", maxText>>20))
	}
	b.text = append(b.text, text...)
	if n := len(b.blocks); n >= maxBlocks {
		b.blocks[n-1].End = len(b.text)
		return
	}
	b.blocks = append(b.blocks, Block{Kind: k, Level: level, Start: start, End: len(b.text), Page: b.page})
}

// gap sets blocks apart: rows and items by a line, all else by an empty one.
func (b *builder) gap(k Kind) {
	if len(b.text) == 0 {
		return
	}
	before := Paragraph
	for i := len(b.blocks) - 1; i >= 0; i-- {
		if b.blocks[i].Kind != PageBreak {
			before = b.blocks[i].Kind
			break
		}
	}
	if before == k && (k == TableRow || k == ListItem) {
		b.text = append(b.text, '\n')
		return
	}
	b.text = append(b.text, "\n\n"...)
}

// turn begins a page.
func (b *builder) turn(page int) {
	if b.page > 0 && page > b.page && len(b.blocks) < maxBlocks {
		b.blocks = append(b.blocks, Block{Kind: PageBreak, Start: len(b.text), End: len(b.text), Page: page})
	}
	b.page = page
}

// document ends the collecting.
func (b *builder) document(f Format) *Document {
	d := &Document{Format: f, Title: oneLine(b.title, 1000), Language: b.lang, Text: string(b.text), Blocks: b.blocks, Pages: b.page, Records: b.recs}
	if d.Language == "" {
		d.Language = guessLanguage(d.Text)
	}
	if d.Title == "" {
		for _, bl := range d.Blocks[:min(len(d.Blocks), 5)] {
			if bl.Kind == Heading {
				d.Title = oneLine(d.Of(bl), 1000)
				break
			}
		}
	}
	return d
}

// clean makes text safe to store and to show: valid UTF-8 of form C, no control
// characters but tab and line break, ligatures of type setting spelled out.
func clean(s string) string {
	ascii := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x80 || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r' || r == '\v' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case r == '\u00a0' || r == '\u202f':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufeff' || r == '\u00ad' || r == '\u200b' || r == '\ufffe' || r == '\uffff':
			return -1
		}
		return r
	}, s)
	if i := strings.IndexFunc(s, func(r rune) bool { return r >= 0xfb00 && r <= 0xfb06 }); i >= 0 {
		s = ligatures.Replace(s)
	}
	return norm.NFC.String(s)
}

var ligatures = strings.NewReplacer("\ufb00", "ff", "\ufb01", "fi", "\ufb02", "fl", "\ufb03", "ffi", "\ufb04", "ffl", "\ufb05", "st", "\ufb06", "st")

// oneLine joins words by single spaces and cuts at most bytes.
func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(clean(s)), " ")
	if len(s) > most {
		cut := most
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	return s
}

// guessLanguage tells a language whose script gives it away.
func guessLanguage(text string) string {
	var hangul, kana, han, cyrillic, greek, arabic, hebrew, thai, devanagari, letters int
	n := 0
	for _, r := range text {
		if n++; n > 20000 {
			break
		}
		switch {
		case r < 0x250:
			if unicode.IsLetter(r) {
				letters++
			}
		case r >= 0xac00 && r <= 0xd7a3:
			hangul++
		case r >= 0x3040 && r <= 0x30ff:
			kana++
		case r >= 0x4e00 && r <= 0x9fff:
			han++
		case r >= 0x400 && r <= 0x4ff:
			cyrillic++
		case r >= 0x370 && r <= 0x3ff:
			greek++
		case r >= 0x600 && r <= 0x6ff:
			arabic++
		case r >= 0x590 && r <= 0x5ff:
			hebrew++
		case r >= 0xe00 && r <= 0xe7f:
			thai++
		case r >= 0x900 && r <= 0x97f:
			devanagari++
		}
	}
	asian := hangul + kana + han
	// A syllable says what several Latin letters do.
	switch {
	case asian*3 > letters && hangul*2 > asian:
		return "ko"
	case asian*3 > letters && kana*8 > asian:
		return "ja"
	case asian*3 > letters && asian > 0:
		return "zh"
	}
	for _, s := range []struct {
		lang string
		n    int
	}{{"ru", cyrillic}, {"el", greek}, {"ar", arabic}, {"he", hebrew}, {"th", thai}, {"hi", devanagari}} {
		if s.n > letters {
			return s.lang
		}
	}
	return ""
}
