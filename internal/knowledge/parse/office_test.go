package parse

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func zipOf(files map[string]string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			panic(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// wordFile makes a .docx of a body and other parts.
func wordFile(body string, parts map[string]string) []byte {
	files := map[string]string{
		"_rels/.rels":       `<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="word/document.xml"/></Relationships>`,
		"word/document.xml": `<w:document xmlns:w="w" xmlns:mc="mc" xmlns:wps="wps"><w:body>` + body + `<w:sectPr/></w:body></w:document>`,
	}
	rels := ""
	for name, text := range parts {
		files["word/"+name+".xml"] = text
		rels += `<Relationship Id="` + name + `" Type="http://x/` + name + `" Target="` + name + `.xml"/>`
	}
	files["word/_rels/document.xml.rels"] = `<Relationships>` + rels + `</Relationships>`
	return zipOf(files)
}

func excelFile(rows string) []byte {
	return zipOf(map[string]string{
		"xl/workbook.xml":            `<workbook xmlns:r="r"><sheets><sheet name="First" r:id="r1"/><sheet name="Secret" state="hidden" r:id="r2"/><sheet name="Second" r:id="r3"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="x/worksheet" Target="/xl/s1.xml"/><Relationship Id="r2" Type="x/worksheet" Target="s2.xml"/><Relationship Id="r3" Type="x/worksheet" Target="s3.xml"/><Relationship Id="r4" Type="x/sharedStrings" Target="ss.xml"/><Relationship Id="r5" Type="x/styles" Target="st.xml"/></Relationships>`,
		"xl/s1.xml":                  `<worksheet><sheetData>` + rows + `</sheetData></worksheet>`,
		"xl/s2.xml":                  `<worksheet><sheetData><row><c><v>666</v></c></row></sheetData></worksheet>`,
		"xl/s3.xml":                  `<worksheet><sheetData><row><c r="B2" t="inlineStr"><is><t>alone</t></is></c></row></sheetData></worksheet>`,
		"xl/ss.xml":                  `<sst><si><t>Name</t></si><si><r><t>Wh</t></r><r><t>en</t></r><rPh><t>no</t></rPh></si><si><t>A_x000D_da</t></si></sst>`,
		"xl/st.xml":                  `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd"/></numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="10"/></cellXfs></styleSheet>`,
	})
}

func TestWordDocumentsBecomeBlocks(t *testing.T) {
	run := func(s string) string { return `<w:r><w:t xml:space="preserve">` + s + `</w:t></w:r>` }
	p := func(props, inner string) string { return `<w:p><w:pPr>` + props + `</w:pPr>` + inner + `</w:p>` }
	body := p(`<w:pStyle w:val="T"/>`, run("The title")) + p(`<w:pStyle w:val="H2x"/>`, run("A heading")) +
		p("", run("Plain ")+`<w:ins>`+run("added ")+`</w:ins><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>`+run("text.")+`<w:r><w:footnoteReference w:id="2"/></w:r>`) +
		p(`<w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr>`, run("item")) +
		p("", `<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>code</w:t></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>`+run("shown")+`<w:r><w:fldChar w:fldCharType="end"/></w:r>`) +
		`<w:tbl><w:tr><w:tc>` + p("", run("Name")) + `</w:tc><w:tc>` + p("", run("Age")) + `</w:tc></w:tr><w:tr><w:tc>` + p("", run("Ada")) + `</w:tc><w:tc>` + p("", run("36")) + p("", run("years")) + `</w:tc></w:tr></w:tbl>` +
		p("", run("Before")+`<w:r><w:lastRenderedPageBreak/></w:r>`+run("after")+`<w:r><w:tab/><w:br/></w:r>`+run("end")) +
		p("", `<w:r><mc:AlternateContent><mc:Choice><wps:txbx><w:txbxContent>`+p("", run("in a box"))+`</w:txbxContent></wps:txbx></mc:Choice><mc:Fallback>`+run("twice")+`</mc:Fallback></mc:AlternateContent></w:r>`+run("round it"))
	d, err := read(&Input{Name: "a.docx", Data: wordFile(body, map[string]string{
		"styles":    `<w:styles xmlns:w="w"><w:style w:styleId="T"><w:name w:val="Title"/></w:style><w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style><w:style w:styleId="H2x"><w:name w:val="mine"/><w:basedOn w:val="H2"/></w:style></w:styles>`,
		"footnotes": `<w:footnotes xmlns:w="w"><w:footnote w:type="separator"><w:p><w:r><w:t>no</w:t></w:r></w:p></w:footnote><w:footnote w:id="2"><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>`,
	})})
	if err != nil {
		t.Fatal(err)
	}
	want := "p1 h1 The title\np1 h2 A heading\np1 Plain added text.\np1 i2 - item\np1 shown\np1 r Name: Ada; Age: 36 years\np1 Before\np2 -\np2 after\t⏎end\np2 in a box\np2 round it\np2 The note.\n"
	if diff := cmp.Diff(want, shown(d)); diff != "" {
		t.Error(diff)
	}
	if d.Title != "The title" || d.Pages != 2 {
		t.Errorf("title %q, %d pages", d.Title, d.Pages)
	}
}

func TestWorkbooksBecomeRows(t *testing.T) {
	d, err := read(&Input{Name: "a.xlsx", Data: excelFile(`<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>
		<row><c t="s"><v>2</v></c><c r="C2" s="1"><f>NOW()</f><v>45000</v></c><c s="2"><v>0.5</v></c><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c><c t="str"><v>t</v></c></row>`)})
	if err != nil {
		t.Fatal(err)
	}
	want := "h2 First\nr Name | When\nr A da | 2023-03-15 | 50% | TRUE | #N/A | t\nh2 Second\nr alone\n"
	if diff := cmp.Diff(want, shown(d)); diff != "" {
		t.Error(diff)
	}
}

func TestProtectedAndForeignFilesSayWhy(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want Reason
	}{
		{"a presentation", zipOf(map[string]string{"_rels/.rels": `<r><Relationship Type="x/officeDocument" Target="ppt/presentation.xml"/></r>`, "ppt/presentation.xml": "<a/>"}), Unsupported},
		{"OpenDocument", zipOf(map[string]string{"mimetype": "application/vnd.oasis.opendocument.text"}), Unsupported},
		{"an archive", zipOf(map[string]string{"a.txt": "a"}), Unsupported},
		{"a missing part", zipOf(map[string]string{"_rels/.rels": `<r><Relationship Type="x/officeDocument" Target="word/gone.xml"/></r>`}), Damaged},
		{"no text", wordFile("<w:p/>", nil), Empty},
		{"XML that ends", wordFile("<w:p><w:r><w:t>a", nil), Damaged},
	} {
		_, err := read(&Input{Name: "a.docx", Data: c.data})
		if err == nil || err.Reason != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// Files of the modules that this one depends on: written by Microsoft's programs.
func TestOldOfficeFilesOfOthersAreRead(t *testing.T) {
	dir := moduleDir(t, "github.com/richardlehane/mscfb")
	for name, want := range map[string]Format{"test.doc": Word97, "test.xls": Excel97, "novpapplan.doc": Word97} {
		data, err := os.ReadFile(dir + "/test/" + name)
		if err != nil {
			t.Fatal(err)
		}
		d, rerr := read(&Input{Name: name, Data: data})
		if rerr != nil {
			t.Errorf("%s: %s: %v", name, rerr.Message, rerr.Err)
			continue
		}
		t.Logf("%s: %q, %d blocks, %d bytes, %.80q", name, d.Title, len(d.Blocks), len(d.Text), d.Text)
		if d.Format != want || d.check() != nil {
			t.Errorf("%s: %s, %v", name, d.Format, d.check())
		}
	}
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("where %s is: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}
