package pdf

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made writes a file of objects, the first of them the catalog, the last shown as
// content of the only page.
func made(extra ...string) []byte {
	objects := append([]string{
		"<</Type/Catalog/Pages 2 0 R/Lang(de-AT)>>", "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 600 800]>>",
		"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R/T 6 0 R/B 7 0 R>>>>>>",
	}, extra...)
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
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
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R/Info<</Title(A \\344 title)>>>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

func content(s string) string { return fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(s), s) }

const (
	helvetica = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
	// As TeX writes its fonts: ligatures by name, no space among the letters.
	tex  = "<</Type/Font/Subtype/Type1/BaseFont/ABCDEF+CMR10/FirstChar 0/Widths[500]/FontDescriptor<</MissingWidth 500>>/Encoding<</Differences[12/fi 13/fl 27/ff 123/endash]>>>>"
	bold = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>"
)

func page(t *testing.T, b []byte) []Block {
	t.Helper()
	res, err := Read(b)
	if err != nil {
		t.Fatal(err)
	}
	var out []Block
	for _, p := range res.Pages {
		out = append(out, p.Blocks...)
	}
	return out
}

func listing(bs []Block) string {
	var b strings.Builder
	for _, bl := range bs {
		fmt.Fprintf(&b, "%s%s\n", []string{"", "# ", "* ", "| "}[bl.Kind], bl.Text)
	}
	return b.String()
}

// A page in two columns whose lines are drawn from left to right across both, with
// a title and a footnote over their whole width: the order of drawing is the wrong
// one.
func TestTwoColumnsAreReadOneAfterTheOther(t *testing.T) {
	var s strings.Builder
	s.WriteString("BT /B 20 Tf 150 740 Td (On the Order of Columns) Tj ET\n")
	left := []string{"The first column begins here and goes", "on for some lines, each of which fills", "the width that it has, until the para-", "graph ends.", "A second paragraph of the left side is", "indented as books do it, and it has as", "many words as it takes to fill up the", "lines of this narrow column of text."}
	right := []string{"Here the second column starts. It was", "drawn between the lines of the first", "one, as some programs do, and must be", "read after it.", "The last paragraph of the page closes", "what the first one opened, and comes", "to its end at the bottom of the right", "column of this small page."}
	for i := range left {
		y := 680 - 14*i
		if i >= 4 {
			y -= 8
		}
		fmt.Fprintf(&s, "BT /F 10 Tf 60 %d Td (%s) Tj ET\nBT /F 10 Tf 320 %d Td (%s) Tj ET\n", y, left[i], y, right[i])
	}
	s.WriteString("BT /F 10 Tf 60 480 Td (This note stands below both columns and runs over the whole of the page, from side to side.) Tj ET\n")
	want := `# On the Order of Columns
The first column begins here and goes on for some lines, each of which fills the width that it has, until the paragraph ends.
A second paragraph of the left side is indented as books do it, and it has as many words as it takes to fill up the lines of this narrow column of text.
Here the second column starts. It was drawn between the lines of the first one, as some programs do, and must be read after it.
The last paragraph of the page closes what the first one opened, and comes to its end at the bottom of the right column of this small page.
This note stands below both columns and runs over the whole of the page, from side to side.
`
	b := made(content(s.String()), helvetica, tex, bold)
	if d := cmp.Diff(want, listing(page(t, b))); d != "" {
		t.Error(d)
	}
	res, err := Read(b)
	if err != nil || res.Title != "A ä title" || res.Language != "de" {
		t.Errorf("%v: title %q, language %q", err, res.Title, res.Language)
	}
}

func TestSpacesThatWereNeverWrittenAreFound(t *testing.T) {
	s := `BT /T 10 Tf 60 700 Td [(A)-333(di)27(\033)-20(erent)-333(\014gure)]TJ 0 -12 Td [(\015ows)-400(on)] TJ ET`
	if got := listing(page(t, made(content(s), helvetica, tex, bold))); got != "A different figure flows on\n" {
		t.Errorf("got %q", got)
	}
}

func TestTablesAreReadByRows(t *testing.T) {
	var s strings.Builder
	for i, r := range [][]string{{"Name", "Age", "Town"}, {"Ada Lovelace", "36", "London"}, {"Alan Turing", "41", "Wilmslow"}, {"Grace Hopper", "85", "Arlington"}, {"Emmy Noether", "53", "Bryn Mawr"}} {
		for k, c := range r {
			fmt.Fprintf(&s, "BT /F 10 Tf %d %d Td (%s) Tj ET\n", 60+150*k, 700-14*i, c)
		}
	}
	want := "| Name | Age | Town\n| Ada Lovelace | 36 | London\n| Alan Turing | 41 | Wilmslow\n| Grace Hopper | 85 | Arlington\n| Emmy Noether | 53 | Bryn Mawr\n"
	if d := cmp.Diff(want, listing(page(t, made(content(s.String()), helvetica, tex, bold)))); d != "" {
		t.Error(d)
	}
}

func TestLetters(t *testing.T) {
	zip := func(s string) string {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		w.Write([]byte(s))
		w.Close()
		return b.String()
	}
	composite := "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 8 0 R/DescendantFonts[<</Subtype/CIDFontType2/DW 1000/W[3[600 700]]>>]>>"
	unicode := content("1 begincodespacerange<0000><ffff>endcodespacerange 1 beginbfchar<0003><00660066>endbfchar 2 beginbfrange<0004><0005><0061><0010><0011>[<d83dde00><0042>]endbfrange")
	for _, c := range []struct{ name, ops, font, want string }{
		{"Windows letters", `(Gr\374n \200 \223x\224)`, helvetica, "Grün € “x”"},
		{"octal, nested and broken", "(a\\(b\\)c(d) \\\n e\\053)", helvetica, "a(b)c(d) e+"},
		{"hexadecimal", "<48 69 2>", helvetica, "Hi"},
		{"ToUnicode", "<00030004000500100011>", composite, "ffab😀B"},
		{"names of glyphs", "(\\001\\002\\003)", "<</Type/Font/Subtype/Type3/FontMatrix[.01 0 0 .01 0 0]/FirstChar 1/Widths[50 50 50]/Encoding<</Differences[1/uni0416/alpha/A.small]>>>>", "ЖαA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := zip("BT /F 10 Tf 60 700 Td " + c.ops + " Tj ET")
			s := fmt.Sprintf("<</Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", len(body), body)
			if got := strings.TrimSpace(listing(page(t, made(s, c.font, tex, bold, unicode)))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestEncryptedFilesOpenWithoutAPasswordOrSayThatTheyNeedOne(t *testing.T) {
	for _, cipher := range []string{"rc4-40", "rc4-128", "aes-128", "aes-256", "aes-256-r5"} {
		b, err := os.ReadFile("testdata/" + cipher + ".pdf")
		if err != nil {
			t.Fatal(err)
		}
		if got := listing(page(t, b)); got != "The secret text of this file. And a second line.\n" && got != "The secret text of this file.\nAnd a second line.\n" {
			t.Errorf("%s: %q", cipher, got)
		}
		b, err = os.ReadFile("testdata/" + cipher + "-user.pdf")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(b); !errors.Is(err, ErrPassword) {
			t.Errorf("%s with a password: %v", cipher, err)
		}
	}
	foreign := bytes.Replace(made(content(""), helvetica), []byte("/Size"), []byte("/Encrypt<</Filter/Adobe.APS>>/Size"), 1)
	if _, err := Read(foreign); !errors.Is(err, ErrCipher) {
		t.Errorf("another cipher: %v", err)
	}
}

func TestFontsOfEastAsiaThatTheFileDoesNotCarry(t *testing.T) {
	for lang, want := range map[string][]string{"ko": {"오늘은 날씨가 좋습니다.", "산책을 했습니다."}, "ja": {"今日は天気がいい。", "散歩に行きました。"}, "zh": {"今天天气很好。", "我们去散步了。"}} {
		b, err := os.ReadFile("testdata/" + lang + ".pdf")
		if err != nil {
			t.Fatal(err)
		}
		got := listing(page(t, b))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q lacks %q", lang, got, w)
			}
		}
	}
}

func TestBrokenReferencesAreFoundAgain(t *testing.T) {
	good := made(content("BT /F 10 Tf 60 700 Td (Still here.) Tj ET"), helvetica, tex, bold)
	for name, b := range map[string][]byte{
		"no end":            good[:bytes.Index(good, []byte("xref\n0"))],
		"wrong places":      bytes.Replace(good, []byte("%PDF-1.4\n"), []byte("%PDF-1.4\n% twelve more\n"), 1),
		"wrong startxref":   bytes.Replace(good, []byte("startxref\n"), []byte("startxref\n9"), 1),
		"a wrong length":    bytes.Replace(good, []byte("/Length 4"), []byte("/Length 9"), 1),
		"something before":  append([]byte("junk\n"), good...),
		"no root is named":  bytes.Replace(good, []byte("/Root 1 0 R"), []byte("/Roof 1 0 R"), 1),
		"no page is listed": bytes.Replace(good, []byte("/Kids[3 0 R]"), []byte("/Kids[9 0 R]"), 1),
	} {
		res, err := Read(b)
		if err != nil || len(res.Pages) != 1 || listing(res.Pages[0].Blocks) != "Still here.\n" {
			t.Errorf("%s: %v, %+v", name, err, res)
		}
	}
}

func TestRunningHeadsAreDropped(t *testing.T) {
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>"}
	rocks := []string{"slate", "chalk", "basalt", "granite", "flint", "gneiss"}
	kids, n := "", 6
	for i := range n {
		kids += fmt.Sprintf("%d 0 R ", 4+2*i)
	}
	objects = append(objects, "<</Type/Pages/MediaBox[0 0 600 800]/Kids["+kids+"]/Resources<</Font<</F 3 0 R>>>>>>", helvetica)
	for i := range n {
		objects = append(objects, fmt.Sprintf("<</Type/Page/Parent 2 0 R/Contents %d 0 R>>", 5+2*i),
			content(fmt.Sprintf("BT /F 9 Tf 60 770 Td (A Book of Rocks %d) Tj 0 -60 Td /F 11 Tf (The text of the page on %s.) Tj 200 -680 Td (%d) Tj ET", i, rocks[i], i+1)))
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	b.WriteString("trailer<</Root 1 0 R>>")
	res, err := Read(b.Bytes())
	if err != nil || len(res.Pages) != n {
		t.Fatalf("%v, %+v", err, res)
	}
	for i, p := range res.Pages {
		if got, want := listing(p.Blocks), fmt.Sprintf("The text of the page on %s.\n", rocks[i]); got != want {
			t.Errorf("page %d: %q", i+1, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(made(content("BT /F 10 Tf 60 700 Td [(a)-500(b)] TJ (c) ' ET"), helvetica, tex, bold))
	names, err := filepath.Glob("testdata/*.pdf")
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		res, err := Read(b)
		if err == nil && res == nil {
			t.Fatal("neither a result nor an error")
		}
	})
}
