package corpus

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// File is a document on disk, with the words that must be found in it.
type File struct {
	Path    string
	Format  string // its extension
	Words   []string
	Ordered bool // the words are in reading order
}

// ErrNoOffice means that LibreOffice is not installed.
var ErrNoOffice = errors.New("soffice is not installed (Debian: libreoffice-writer-nogui, libreoffice-calc-nogui)")

// Make writes the corpus into a folder. Without LibreOffice it writes four of the
// nine formats and returns ErrNoOffice with them.
func Make(ctx context.Context, dir string) ([]File, error) {
	var out []File
	put := func(name, format, text string, words []string, ordered bool) error {
		p := filepath.Join(dir, name+"."+format)
		out = append(out, File{Path: p, Format: format, Words: words, Ordered: ordered})
		return os.WriteFile(p, []byte(text), 0o644)
	}
	articles, tables := Articles(28), Tables(20)
	source := filepath.Join(dir, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return nil, err
	}
	for i := range articles {
		a := &articles[i]
		for format, text := range map[string]string{"txt": a.plain(), "md": a.markdown(), "html": a.html()} {
			if err := put(a.ID, format, text, a.Markers(), true); err != nil {
				return nil, err
			}
		}
		if err := os.WriteFile(filepath.Join(source, a.ID+".fodt"), []byte(a.fodt()), 0o644); err != nil {
			return nil, err
		}
	}
	for i := range tables {
		t := &tables[i]
		if err := put(t.ID, "csv", t.csv(), t.words(), true); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(source, t.ID+".fods"), []byte(t.fods()), 0o644); err != nil {
			return nil, err
		}
	}
	office, err := exec.LookPath(cmp.Or(os.Getenv("OUTCROP_SOFFICE"), "soffice"))
	if err != nil {
		return out, ErrNoOffice
	}
	profile, err := os.MkdirTemp("", "outcrop-office-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(profile)
	for _, c := range []struct{ to, filter, from string }{
		{"docx", "docx:MS Word 2007 XML", "fodt"}, {"doc", "doc:MS Word 97", "fodt"}, {"pdf", "pdf:writer_pdf_Export", "fodt"},
		{"xlsx", "xlsx:Calc MS Excel 2007 XML", "fods"}, {"xls", "xls:MS Excel 97", "fods"},
	} {
		sources, err := filepath.Glob(filepath.Join(source, "*."+c.from))
		if err != nil {
			return nil, err
		}
		run, cancel := context.WithTimeout(ctx, 5*time.Minute)
		cmd := exec.CommandContext(run, office, append([]string{"-env:UserInstallation=file://" + profile, "--headless", "--convert-to", c.filter, "--outdir", dir}, sources...)...)
		cmd.Env = append(os.Environ(), "HOME="+profile)
		text, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			return nil, fmt.Errorf("soffice to %s: %w: %.500s", c.to, err, text)
		}
		for i := range articles {
			if c.from == "fodt" {
				a := &articles[i]
				// Fonts of East Asia may be missing here, and then are in the PDF as
				// empty boxes.
				out = append(out, File{Path: filepath.Join(dir, a.ID+"."+c.to), Format: c.to, Words: a.Markers(), Ordered: true})
			}
		}
		for i := range tables {
			if c.from == "fods" {
				out = append(out, File{Path: filepath.Join(dir, tables[i].ID+"."+c.to), Format: c.to, Words: tables[i].words(), Ordered: true})
			}
		}
	}
	for _, f := range out {
		if _, err := os.Stat(f.Path); err != nil {
			return nil, fmt.Errorf("was not made: %w", err)
		}
	}
	return out, nil
}

func (a *Article) plain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", a.Title)
	for _, s := range a.Sections {
		fmt.Fprintf(&b, "%s\n\n%s\n\n", s.Heading, strings.Join(s.Paras, "\n\n"))
		for _, it := range s.Items {
			fmt.Fprintf(&b, "- %s\n", it)
		}
		b.WriteByte('\n')
		for _, r := range s.Table {
			fmt.Fprintf(&b, "%s\n", strings.Join(r, "\t"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (a *Article) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", a.Title)
	for _, s := range a.Sections {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", s.Heading, strings.Join(s.Paras, "\n\n"))
		for _, it := range s.Items {
			fmt.Fprintf(&b, "- %s\n", it)
		}
		b.WriteByte('\n')
		for i, r := range s.Table {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
			if i == 0 {
				b.WriteString("|---|---|---|\n")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (a *Article) html() string {
	var b strings.Builder
	e := html.EscapeString
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=%q><head><meta charset=utf-8><title>%s</title><style>p{color:red}</style></head><body><nav>Home | About</nav><h1>%s</h1>\n", a.Lang, e(a.Title), e(a.Title))
	for _, s := range a.Sections {
		fmt.Fprintf(&b, "<h2>%s</h2>\n", e(s.Heading))
		for _, p := range s.Paras {
			fmt.Fprintf(&b, "<p>%s</p>\n", e(p))
		}
		b.WriteString("<ul>\n")
		for _, it := range s.Items {
			fmt.Fprintf(&b, "<li>%s\n", e(it))
		}
		b.WriteString("</ul><table>\n")
		for i, r := range s.Table {
			tag := "td"
			if i == 0 {
				tag = "th"
			}
			b.WriteString("<tr>")
			for _, c := range r {
				fmt.Fprintf(&b, "<%s>%s</%s>", tag, e(c), tag)
			}
			b.WriteString("</tr>\n")
		}
		b.WriteString("</table><script>var x = \"<p>no</p>\"</script>\n")
	}
	b.WriteString("</body></html>\n")
	return b.String()
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.String()
}

const flatHead = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.`

// fodt is the source that LibreOffice turns into Word files and PDFs.
func (a *Article) fodt() string {
	var b strings.Builder
	b.WriteString(flatHead + `text">`)
	fmt.Fprintf(&b, `<office:meta><dc:title>%s</dc:title></office:meta>
<office:styles><style:style style:name="Heading_20_1" style:display-name="Heading 1" style:family="paragraph"><style:text-properties fo:font-size="20pt" fo:font-weight="bold"/></style:style>
<style:style style:name="Heading_20_2" style:display-name="Heading 2" style:family="paragraph"><style:paragraph-properties fo:margin-top="0.4cm" fo:margin-bottom="0.2cm"/><style:text-properties fo:font-size="14pt" fo:font-weight="bold"/></style:style>
<style:style style:name="Body" style:family="paragraph"><style:paragraph-properties fo:margin-bottom="0.2cm" fo:text-align="justify"/></style:style></office:styles>
<office:automatic-styles><style:style style:name="cols" style:family="section"><style:section-properties text:dont-balance-text-columns="true"><style:columns fo:column-count="%d" fo:column-gap="0.8cm"/></style:section-properties></style:style>
<style:style style:name="c0" style:family="table-column"><style:table-column-properties style:column-width="3.6cm"/></style:style><style:style style:name="c1" style:family="table-column"><style:table-column-properties style:column-width="2cm"/></style:style>
<style:style style:name="tab" style:family="table"><style:table-properties style:width="7.6cm" table:align="left"/></style:style></office:automatic-styles>
<office:body><office:text>`, escape(a.Title), a.Columns)
	fmt.Fprintf(&b, `<text:h text:style-name="Heading_20_1" text:outline-level="1">%s</text:h>`, escape(a.Title))
	fmt.Fprintf(&b, `<text:section text:style-name="cols" text:name="body">`)
	for i, s := range a.Sections {
		fmt.Fprintf(&b, `<text:h text:style-name="Heading_20_2" text:outline-level="2">%s</text:h>`, escape(s.Heading))
		for _, p := range s.Paras {
			fmt.Fprintf(&b, `<text:p text:style-name="Body">%s</text:p>`, escape(p))
		}
		b.WriteString(`<text:list>`)
		for _, it := range s.Items {
			fmt.Fprintf(&b, `<text:list-item><text:p>%s</text:p></text:list-item>`, escape(it))
		}
		fmt.Fprintf(&b, `</text:list><table:table table:name="t%d" table:style-name="tab"><table:table-column table:style-name="c0"/><table:table-column table:style-name="c1" table:number-columns-repeated="2"/>`, i)
		for _, r := range s.Table {
			b.WriteString(`<table:table-row>`)
			for _, c := range r {
				fmt.Fprintf(&b, `<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>`, escape(c))
			}
			b.WriteString(`</table:table-row>`)
		}
		b.WriteString(`</table:table><text:p/>`)
	}
	b.WriteString(`</text:section></office:text></office:body></office:document>`)
	return b.String()
}

func (t *Table) words() []string {
	var out []string
	for _, r := range t.Rows[1:] {
		out = append(out, r[0], r[1], strings.TrimRight(strings.TrimRight(r[2], "0"), "."))
	}
	return out
}

func (t *Table) csv() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.WriteAll(t.Rows); err != nil {
		panic(err)
	}
	return b.String()
}

// fods is the source of workbooks: texts, dates, numbers and shares as such.
func (t *Table) fods() string {
	var b strings.Builder
	b.WriteString(flatHead + `spreadsheet">
<office:automatic-styles><number:date-style style:name="d"><number:day number:style="long"/><number:text>.</number:text><number:month number:style="long"/><number:text>.</number:text><number:year number:style="long"/></number:date-style>
<number:percentage-style style:name="p"><number:number number:decimal-places="0" number:min-integer-digits="1"/><number:text>%</number:text></number:percentage-style>
<style:style style:name="date" style:family="table-cell" style:data-style-name="d"/><style:style style:name="share" style:family="table-cell" style:data-style-name="p"/></office:automatic-styles>
<office:body><office:spreadsheet><table:table table:name="Levels">`)
	for i, r := range t.Rows {
		b.WriteString(`<table:table-row>`)
		for k, c := range r {
			switch {
			case i > 0 && k == 1:
				fmt.Fprintf(&b, `<table:table-cell table:style-name="date" office:value-type="date" office:date-value="%s"/>`, c)
			case i > 0 && k == 2:
				fmt.Fprintf(&b, `<table:table-cell office:value-type="float" office:value="%s"/>`, c)
			case i > 0 && k == 3:
				fmt.Fprintf(&b, `<table:table-cell table:style-name="share" office:value-type="percentage" office:value="0.%03d"/>`, atoi(strings.TrimSuffix(c, "%"))*10)
			default:
				fmt.Fprintf(&b, `<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>`, escape(c))
			}
		}
		b.WriteString(`</table:table-row>`)
	}
	b.WriteString(`</table:table></office:spreadsheet></office:body></office:document>`)
	return b.String()
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}
