package parse

import (
	"errors"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse/pdf"
)

// readPDF reads all pages. Where there are no letters the reason tells scans from
// fonts that hide what they show.
func readPDF(b *builder, data []byte) *Error {
	res, err := pdf.Read(data)
	switch {
	case errors.Is(err, pdf.ErrPassword):
		return fail(Password, "it is protected by a password")
	case errors.Is(err, pdf.ErrCipher):
		return fail(Encrypted, "it is encrypted in a way that cannot be read")
	case errors.Is(err, pdf.ErrTooMuch):
		return fail(Bomb, "it unpacks to far more than it is")
	case err != nil:
		return damaged("no whole page can be found in it")
	}
	if res.Letters == 0 || res.Unknown > 4*res.Letters {
		switch {
		case res.Unknown > 0:
			return fail(ImageOnly, "its fonts do not say which letters they show")
		case res.Images == 0:
			return fail(Empty, "its pages are empty")
		}
		return fail(ImageOnly, "its pages hold no text, only pictures")
	}
	b.title, b.lang = res.Title, res.Language
	for i, p := range res.Pages {
		b.turn(i + 1)
		for _, bl := range p.Blocks {
			switch bl.Kind {
			case pdf.Heading:
				b.add(Heading, bl.Level, bl.Text)
			case pdf.ListItem:
				b.add(ListItem, 1, bl.Text)
			case pdf.TableRow:
				b.add(TableRow, 0, bl.Text)
			case pdf.Paragraph:
				b.add(Paragraph, 0, bl.Text)
			}
		}
	}
	return nil
}
