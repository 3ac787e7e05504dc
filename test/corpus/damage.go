package corpus

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// Damage returns a damaged copy of a document. Each number gives another one, the
// same number always the same.
func Damage(data []byte, format string, n uint64) (out []byte, how string) {
	r := rand.New(rand.NewPCG(n, 2026))
	out = bytes.Clone(data)
	if len(out) == 0 {
		return out, "empty"
	}
	if (format == "docx" || format == "xlsx") && n%2 == 1 {
		if inner, how := damageZip(out, r); inner != nil {
			return inner, how
		}
	}
	if format == "pdf" && n%3 == 1 {
		return damageNumbers(out, r), "numbers of the PDF changed"
	}
	switch r.IntN(8) {
	case 0:
		flips := 1 + r.IntN(200)
		for range flips {
			out[r.IntN(len(out))] ^= 1 << r.IntN(8)
		}
		return out, fmt.Sprintf("%d bits flipped", flips)
	case 1:
		return out[:r.IntN(len(out))], "cut short"
	case 2:
		at := r.IntN(len(out))
		clear(out[at:min(len(out), at+1+r.IntN(4096))])
		return out, "a hole of zeros"
	case 3:
		from, to := r.IntN(len(out)), r.IntN(len(out))
		copy(out[to:], data[from:min(len(data), from+1+r.IntN(8192))])
		return out, "a part copied over another"
	case 4:
		for range 1 + r.IntN(20) {
			at := r.IntN(len(out))
			binary.LittleEndian.PutUint32(out[min(at, max(0, len(out)-4)):][:min(4, len(out))], []uint32{0xffffffff, 0x7fffffff, 0x80000000, 0, 1 << 20}[r.IntN(5)])
			if len(out) < 4 {
				break
			}
		}
		return out, "lengths that lie"
	case 5:
		at := r.IntN(len(out))
		junk := make([]byte, 1+r.IntN(4096))
		for i := range junk {
			junk[i] = byte(r.Uint32())
		}
		return append(append(out[:at:at], junk...), data[at:]...), "junk put in"
	case 6:
		at := r.IntN(len(out))
		return append(out[:at:at], data[min(len(data), at+1+r.IntN(4096)):]...), "a part taken out"
	default:
		head := min(len(out), 2048)
		for range 1 + r.IntN(16) {
			out[r.IntN(head)] = byte(r.Uint32())
		}
		return out, "the head overwritten"
	}
}

// damageZip damages what is inside and packs it again, so that unpacking works.
func damageZip(data []byte, r *rand.Rand) ([]byte, string) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(z.File) == 0 {
		return nil, ""
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	victim := r.IntN(len(z.File))
	if r.IntN(2) == 0 { // rather the main part
		for i, f := range z.File {
			if strings.HasSuffix(f.Name, "document.xml") || strings.HasSuffix(f.Name, "sheet1.xml") || strings.HasSuffix(f.Name, "sharedStrings.xml") {
				victim = i
			}
		}
	}
	how := ""
	for i, f := range z.File {
		rc, err := f.Open()
		if err != nil {
			return nil, ""
		}
		b, err := io.ReadAll(rc)
		rc.Close()
		if err != nil {
			return nil, ""
		}
		if i == victim && len(b) > 0 {
			switch r.IntN(5) {
			case 0:
				b, how = b[:r.IntN(len(b))], "a part inside cut short"
			case 1:
				for range 1 + r.IntN(50) {
					b[r.IntN(len(b))] = "<>/\"'&= 019az"[r.IntN(13)]
				}
				how = "signs inside changed"
			case 2:
				b, how = nil, "a part inside emptied"
			case 3:
				how = "a part inside left out"
				continue
			default:
				at := bytes.IndexByte(b[r.IntN(len(b)):], '>') + 1
				b = append(b[:at:at], append(bytes.Repeat([]byte("<w:p><c>"), 1+r.IntN(400)), b[at:]...)...)
				how = "elements inside opened and not closed"
			}
		}
		fw, err := w.Create(f.Name)
		if err != nil {
			return nil, ""
		}
		if _, err := fw.Write(b); err != nil {
			return nil, ""
		}
	}
	if w.Close() != nil {
		return nil, ""
	}
	return buf.Bytes(), how
}

// damageNumbers changes digits, which in a PDF are references, lengths and places.
func damageNumbers(b []byte, r *rand.Rand) []byte {
	for range 1 + r.IntN(60) {
		at := r.IntN(len(b))
		for i := at; i < min(len(b), at+400); i++ {
			if b[i] >= '0' && b[i] <= '9' {
				b[i] = byte('0' + r.IntN(10))
				break
			}
		}
	}
	return b
}

// Bomb is a small file that becomes large, deep or slow.
type Bomb struct {
	Name string // with its extension
	Data []byte
}

func zipOf(files ...string) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := 0; i+1 < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			panic(err)
		}
		if _, err := io.WriteString(f, files[i+1]); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// zipOfZeros packs one file that unpacks to many blanks between two texts.
func zipOfZeros(name, before, after string, size int) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.Create(name)
	if err != nil {
		panic(err)
	}
	blank := bytes.Repeat([]byte(" "), 1<<20)
	_, _ = io.WriteString(f, before)
	for range size >> 20 {
		_, _ = f.Write(blank)
	}
	_, _ = io.WriteString(f, after)
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func deflate(b []byte) []byte {
	var buf bytes.Buffer
	w, err := zlib.NewWriterLevel(&buf, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

// pdfOf makes a file of objects, the first of them the catalog.
func pdfOf(objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.5\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, a := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", a)
	}
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

func stream(dict string, data []byte) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dict, len(data), data)
}

// Bombs returns them all, their sizes divided by a number.
func Bombs(by int) []Bomb {
	const docHead = `<?xml version="1.0"?><w:document xmlns:w="w"><w:body>`
	const docTail = `</w:body></w:document>`
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + "x" + strings.Repeat(shut, n) }
	page := "<</Type/Pages/Kids[3 0 R]/Count 1>>"
	content := func(s string) []byte {
		return pdfOf("<</Type/Catalog/Pages 2 0 R>>", page, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>", s, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
	}
	zeros := deflate(make([]byte, 200<<20))
	forms := []string{"<</Type/Catalog/Pages 2 0 R>>", page, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>", stream("", []byte("/X Do"))}
	for i := range 40 { // each form shows the next one ten times
		forms = append(forms, stream(fmt.Sprintf("/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>", 6+i), bytes.Repeat([]byte("/X Do "), 10)))
	}
	objStream := pdfOf("<</Type/Catalog/Pages 2 0 R>>", stream("/Type/ObjStm/N 1/First 4/Extends 2 0 R", []byte("2 0 <<>>")))
	entities := `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">`
	for i := range 9 {
		entities += fmt.Sprintf(`<!ENTITY %c "%s">`, 'b'+i, strings.Repeat(fmt.Sprintf("&%c;", 'a'+i), 10))
	}
	entities += `]><w:document xmlns:w="w"><w:body><w:p><w:r><w:t>&j;</w:t></w:r></w:p></w:body></w:document>`
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf("f%d", i), "")
	}
	sheet := func(rows string) []byte {
		return zipOf("xl/workbook.xml", `<workbook xmlns:r="r"><sheets><sheet name="a" r:id="r1"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
			"xl/worksheets/sheet1.xml", `<worksheet><sheetData>`+rows+`</sheetData></worksheet>`)
	}
	return []Bomb{
		{"blanks.docx", zipOfZeros("word/document.xml", docHead, docTail, 256<<20*4/by)},
		{"blanks-in-text.docx", zipOfZeros("word/document.xml", docHead+"<w:p><w:r><w:t>", "</w:t></w:r></w:p>"+docTail, 256<<20*4/by)},
		{"blanks.xlsx", zipOfZeros("xl/workbook.xml", "<workbook>", "</workbook>", 256<<20*4/by)},
		{"deep.docx", zipOf("word/document.xml", docHead+deep("<w:p><w:r>", "</w:r></w:p>", 100_000)+docTail)},
		{"deep-tables.docx", zipOf("word/document.xml", docHead+deep("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>", 80)+docTail)},
		{"entities.docx", zipOf("word/document.xml", entities)},
		{"many-files.docx", zipOf(many...)},
		{"itself.docx", zipOf("_rels/.rels", `<Relationships><Relationship Id="a" Type="x/officeDocument" Target="_rels/.rels"/></Relationships>`)},
		{"far-column.xlsx", sheet(`<row><c r="ZZZZZZ1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>`)},
		{"wide-rows.xlsx", sheet(strings.Repeat(`<row><c r="XFD1"><v>2</v></c></row>`, 20_000/by))},
		{"strings.xlsx", sheet(strings.Repeat(`<row><c t="s"><v>999999999</v></c></row>`, 1000))},
		{"deep.html", []byte("<html><body>" + strings.Repeat("<div>", 2_000_000/by))},
		{"deep-inline.html", []byte("<html><body>" + strings.Repeat("<b><i>", 500_000/by))},
		{"deep-lists.html", []byte("<html><body>" + strings.Repeat("<ul><li>", 300_000/by))},
		{"tables.html", []byte("<html><body>" + strings.Repeat("<table><tr><td>", 20_000/by))},
		{"foster.html", []byte("<html><body>" + strings.Repeat("<table>x<a>", 20_000/by))},
		{"attributes.html", []byte("<html " + strings.Repeat("a=b ", 1_000_000/by) + ">")},
		{"entity.html", []byte("<html><body>" + strings.Repeat("&NotEqualTilde;", 1_000_000/by))},
		{"one-line.txt", bytes.Repeat([]byte("a"), 40<<20/by)},
		{"too-much.txt", bytes.Repeat([]byte("word "), 9<<20/by)},
		{"empty-lines.txt", bytes.Repeat([]byte("\n"), 40<<20/by)},
		{"pages.txt", bytes.Repeat([]byte("a\f"), 2<<20/by)},
		{"bullets.md", bytes.Repeat([]byte("- "), 5<<20/by)},
		{"items.md", bytes.Repeat([]byte("- a\n"), 3<<20/by)},
		{"fences.md", bytes.Repeat([]byte("```\n"), 3<<20/by)},
		{"columns.csv", bytes.Repeat([]byte(","), 20<<20/by)},
		{"columns-full.csv", bytes.Repeat([]byte("a,"), 10<<20/by)},
		{"quote.csv", append([]byte("a,\""), bytes.Repeat([]byte("b,\n"), 10<<20/by)...)},
		{"rows.csv", append([]byte("name,value\n"), bytes.Repeat([]byte("a,b\n"), 2<<20/by)...)},
		{"zeros.pdf", content(stream("/Filter/FlateDecode", zeros))},
		{"zeros-twice.pdf", content(stream("/Filter[/FlateDecode/FlateDecode]", deflate(zeros)))},
		{"runs.pdf", content(stream("/Filter[/RunLengthDecode/RunLengthDecode]", bytes.Repeat([]byte{129, 0}, 1<<20)))},
		{"forms.pdf", pdfOf(forms...)},
		{"deep-arrays.pdf", content(stream("", []byte(strings.Repeat("[", 2_000_000/by))))},
		{"deep-dicts.pdf", pdfOf("<</Type/Catalog/Pages " + strings.Repeat("<</A", 500_000/by))},
		{"operators.pdf", content(stream("/Filter/FlateDecode", deflate(bytes.Repeat([]byte("q Q "), 25<<20/by))))},
		{"letters.pdf", content(stream("/Filter/FlateDecode", deflate([]byte("BT /F 9 Tf "+strings.Repeat("(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj 1 1 Td ", 200_000/by)))))},
		{"scattered.pdf", content(stream("/Filter/FlateDecode", deflate([]byte("BT /F 9 Tf "+strings.Repeat("(a) Tj 50 1 Td (b) Tj -50 7 Td ", 100_000/by)))))},
		{"stack.pdf", content(stream("/Filter/FlateDecode", deflate(bytes.Repeat([]byte("q "), 20<<20/by))))},
		{"page-loop.pdf", pdfOf("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[2 0 R 3 0 R 2 0 R]/Count 9>>", "<</Type/Pages/Kids[2 0 R 3 0 R]>>")},
		{"page-fan.pdf", fan()},
		{"reference-loop.pdf", pdfOf("<</Type/Catalog/Pages 2 0 R>>", "3 0 R", "2 0 R")},
		{"length-loop.pdf", pdfOf("<</Type/Catalog/Pages 2 0 R>>", "<</Length 2 0 R>>\nstream\nx\nendstream")},
		{"object-stream-loop.pdf", objStream},
		{"many-objects.pdf", append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("1 0 obj<<>>endobj "), 1_000_000)...)},
		{"xref-count.pdf", []byte("%PDF-1.4\nxref\n0 4000000\n" + strings.Repeat("0000000009 00000 n \n", 1_000_000/by) + "trailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF")},
		{"prev-loop.pdf", []byte("%PDF-1.4\nxref\n0 0\ntrailer<</Prev 9/Root 1 0 R>>\nstartxref\n9\n%%EOF")},
		{"cmap.pdf", pdfOf("<</Type/Catalog/Pages 2 0 R>>", page, "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>", stream("", []byte("BT /F 9 Tf (aaaa) Tj ET")),
			"<</Type/Font/Subtype/Type0/Encoding/Identity-H/ToUnicode 6 0 R/DescendantFonts[7 0 R]>>",
			stream("", []byte("1 begincodespacerange<00><ffffffff>endcodespacerange 1 beginbfrange"+strings.Repeat("<00000000><ffffffff><0041>", 100_000/by)+"endbfrange")),
			"<</Type/Font/Subtype/CIDFontType2/W[0 2000000000 500]>>")},
		{"head.doc", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), bytes.Repeat([]byte{0xff}, 4096)...)},
		{"loop.doc", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 1<<20)...)},
		{"head.xls", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), bytes.Repeat([]byte{1, 0, 0, 0}, 4096)...)},
	}
}

// fan is a page tree in which each node has the next one ten times.
func fan() []byte {
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>"}
	for i := range 60 {
		objects = append(objects, fmt.Sprintf("<</Type/Pages/Kids[%s]>>", strings.Repeat(fmt.Sprintf("%d 0 R ", i+3), 10)))
	}
	return pdfOf(append(objects, "<</Type/Page>>")...)
}
