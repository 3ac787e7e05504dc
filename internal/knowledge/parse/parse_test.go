package parse

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// shown writes a document's blocks, one a line.
func shown(d *Document) string {
	var b strings.Builder
	for _, bl := range d.Blocks {
		if bl.Page > 0 {
			b.WriteString("p" + itoa(bl.Page) + " ")
		}
		switch bl.Kind {
		case Heading:
			b.WriteString("h" + itoa(bl.Level) + " ")
		case ListItem:
			b.WriteString("i" + itoa(bl.Level) + " ")
		case TableRow:
			b.WriteString("r ")
		case PageBreak:
			b.WriteString("-")
		case Paragraph:
		}
		b.WriteString(strings.ReplaceAll(d.Of(bl), "\n", "⏎") + "\n")
	}
	return b.String()
}

func readText(t *testing.T, name, text string) *Document {
	t.Helper()
	d, err := read(&Input{Name: name, Data: []byte(text)})
	if err != nil {
		t.Fatalf("%s: %s", err.Reason, err.Message)
	}
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFormatsBecomeBlocks(t *testing.T) {
	for _, c := range []struct{ name, file, text, want, title string }{
		{"text", "a.txt", "One\ntwo.\r\n\r\nThree.", "One⏎two.\nThree.\n", ""},
		{"text with pages", "a.txt", "One.\fTwo.\n\nThree.", "p1 One.\np2 -\np2 Two.\np2 Three.\n", ""},
		{"markdown", "a.md", "---\ntitle: \"Of rocks\"\n---\n# Rocks #\nSand\nand *stone*.\n\n- one\n  more\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nUnder\n===\n```\n# no heading\n```\n",
			"h1 # Rocks #\nSand⏎and *stone*.\ni1 - one⏎  more\ni1 - two\nr | a | b |\nr | 1 | 2 |\nh1 Under\n```⏎# no heading⏎```\n", "Of rocks"},
		{"page", "a.html", `<!doctype html><html lang="ko-KR"><head><title>T &amp; U</title><style>p{}</style></head><body><nav>menu</nav><h1>Head <b>line</b></h1>
			<p>One   two<br>three</p><div>Four<p hidden>no</p></div><ul><li>a<ul><li>b</ul><li>c</ul><ol><li>x<li>y</ol><pre> keep
  this</pre><script>no()</script><table><tr><th>Name<th>Age<tr><td>Ada<td>36</table></body>`,
			"h1 Head line\nOne two⏎three\nFour\ni1 - a\ni2 - b\ni1 - c\ni1 1. x\ni1 2. y\nkeep⏎  this\nr Name: Ada; Age: 36\n", "T & U"},
		{"values under a header", "a.csv", "name,age,note\nAda,36,\"says \"\"hi\"\"\"\nBob,,x\n", "r name: Ada; age: 36; note: says \"hi\"\nr name: Bob; note: x\n", ""},
		{"values without one", "a.csv", "1;2;3\n4;5;6\n", "r 1 | 2 | 3\nr 4 | 5 | 6\n", ""},
		{"values under another name", "a.xls", "name\tage\nAda\t36\n", "r name: Ada; age: 36\n", ""},
		{"a page under another name", "a.doc", "<html><body><p>Hi", "Hi\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := readText(t, c.file, c.text)
			if diff := cmp.Diff(c.want, shown(d)); diff != "" {
				t.Error(diff)
			}
			if d.Title != c.title {
				if c.title != "" || c.name == "text" {
					t.Errorf("title %q", d.Title)
				}
			}
		})
	}
}

func TestFilesThatGiveNothingSayWhy(t *testing.T) {
	compound := "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	for _, c := range []struct {
		name, file, data string
		want             Reason
	}{
		{"another extension", "a.exe", "text", Unsupported},
		{"no extension", "folder/a", "text", Unsupported},
		{"htm", "a.htm", "<p>", Unsupported},
		{"a picture", "a.pdf", "\x89PNG\r\n\x1a\n", Unsupported},
		{"a program", "a.txt", "\x7fELF\x02\x01\x01\x00", Unsupported},
		{"rich text", "a.doc", "{\\rtf1 hello}", Unsupported},
		{"nothing", "a.txt", "", Empty},
		{"blanks", "a.txt", " \n\t ", Empty},
		{"a page without text", "a.html", "<html><body><script>x</script>", Empty},
		{"text as pdf", "a.pdf", "hello", Damaged},
		{"text as docx", "a.docx", "hello", Damaged},
		{"half a pdf", "a.pdf", "%PDF-1.4\n1 0 obj", Damaged},
		{"half a zip", "a.docx", "PK\x03\x04xxxxxxxxxxxxxxxxxxx", Damaged},
		{"half a container", "a.doc", compound + "xxxx", Damaged},
		{"too large", "a.txt", strings.Repeat("x", MaxFile+1), TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(&Input{Name: c.file, Data: []byte(c.data)})
			if err == nil || err.Reason != c.want || err.Message == "" {
				t.Errorf("got %+v, want %s", err, c.want)
			}
		})
	}
}

func TestCharsetsAreRecognized(t *testing.T) {
	texts := map[string]string{
		"ko": "오늘은 아침 일찍 일어나서 산책을 했습니다. 날씨가 매우 좋았습니다.\n", "ja": "今日は朝早く起きて散歩をしました。とても良い天気でした。\n",
		"zh": "今天早上我很早就起床去散步了，天气非常好，所以大家都很高兴。\n", "tw": "今天早上我很早就起床去散步了，天氣非常好，所以大家都很高興。\n",
		"ru": "Сегодня я рано встал и пошёл гулять. Погода была очень хорошая.\n", "fr": "Aujourd'hui, je me suis levé tôt et j'ai été me promener, quel été !\n",
	}
	enc := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	wideOf := func(s string, o binary.AppendByteOrder, mark bool) string {
		var b []byte
		if mark {
			b = o.AppendUint16(b, 0xfeff)
		}
		for _, u := range utf16.Encode([]rune(s)) {
			b = o.AppendUint16(b, u)
		}
		return string(b)
	}
	for _, c := range []struct{ name, data, want string }{
		{"EUC-KR", enc(korean.EUCKR, strings.Repeat(texts["ko"], 3)), strings.Repeat(texts["ko"], 3)},
		{"Shift JIS", enc(japanese.ShiftJIS, texts["ja"]), texts["ja"]},
		{"EUC-JP", enc(japanese.EUCJP, texts["ja"]), texts["ja"]},
		{"GB 18030", enc(simplifiedchinese.GB18030, texts["zh"]), texts["zh"]},
		{"Big5", enc(traditionalchinese.Big5, texts["tw"]), texts["tw"]},
		{"Windows 1251", enc(charmap.Windows1251, texts["ru"]), texts["ru"]},
		{"Windows 1252", enc(charmap.Windows1252, texts["fr"]), texts["fr"]},
		{"UTF-8 with a mark", "\ufeff" + texts["ko"], texts["ko"]},
		{"UTF-16 little", wideOf(texts["ko"], binary.LittleEndian, true), texts["ko"]},
		{"UTF-16 big", wideOf(texts["fr"], binary.BigEndian, true), texts["fr"]},
		{"UTF-16 without a mark", wideOf(texts["fr"], binary.LittleEndian, false), texts["fr"]},
		{"UTF-8 with one bad byte", strings.Repeat(texts["ru"], 4) + "\xff", strings.Repeat(texts["ru"], 4) + "\ufffd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, decodeText([]byte(c.data))); diff != "" {
				t.Error(diff)
			}
			if k, what := sniff([]byte(c.data)); k != isText {
				t.Errorf("taken for %d %s", k, what)
			}
		})
	}
}

func TestLanguageIsGuessedFromTheScript(t *testing.T) {
	for want, s := range map[string]string{"ko": "한국어 문장입니다", "ja": "日本語の文章です", "zh": "中文文章的句子", "ru": "русский текст", "": "plain text"} {
		if got := guessLanguage(s); got != want {
			t.Errorf("%q is %q", s, got)
		}
	}
}

func TestNumbersAreShownAsSheetsShowThem(t *testing.T) {
	for _, c := range []struct {
		format string
		v      float64
		want   string
	}{
		{"General", 3, "3"}, {"0.00", 0.1 + 0.2, "0.3"}, {"General", 1e20, "1E+20"}, {"#,##0", -1234567, "-1234567"},
		{"0%", 0.25, "25%"}, {"0.0%", 0.125, "12.5%"}, {"yyyy-mm-dd", 45000, "2023-03-15"}, {"d. mmm yy", 1, "1900-01-01"}, {"dd/mm/yyyy", 60, "1900-02-28"},
		{"dd/mm/yyyy hh:mm", 45000.5, "2023-03-15 12:00"}, {"h:mm:ss", 0.75, "18:00:00"}, {"[h]:mm", 1.5, "36:00:00"}, {`"day "0`, 7, "7"}, {`[Red]0.0`, 2.5, "2.5"}, {"mmm", 45000, "2023-03-15"},
	} {
		if got := styleOf(c.format).show(c.v, false); got != c.want {
			t.Errorf("%v as %s is %q, want %q", c.v, c.format, got, c.want)
		}
	}
	if got := date.show(43538, true); got != "2023-03-15" {
		t.Errorf("since 1904: %s", got)
	}
	for id, want := range map[int]numStyle{0: plainNumber, 10: percent, 14: date, 22: dateTime, 20: clockTime, 49: plainNumber} {
		if got := builtin(id); got != want {
			t.Errorf("format %d is %d, want %d", id, got, want)
		}
	}
}

func TestMetadataFilesAreRead(t *testing.T) {
	m, err := ReadMetadata([]byte(`{"metadataAttributes": {"genre": "film", "year": 2024, "draft": false, "tags": ["a", "b"],
		"rich": {"value": {"type": "NUMBER", "numberValue": 1.5}, "includeForEmbedding": true},
		"text": {"value": {"type": "STRING", "stringValue": ""}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Metadata{Embed: []string{"rich"}, Attributes: map[string]Value{
		"genre": {Type: StringValue, String: "film"}, "year": {Type: NumberValue, Number: 2024}, "draft": {Type: BooleanValue},
		"tags": {Type: ListValue, List: []string{"a", "b"}}, "rich": {Type: NumberValue, Number: 1.5}, "text": {Type: StringValue},
	}}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	for _, c := range []struct{ name, data, want string }{
		{"large", `{"metadataAttributes":{"a":"` + strings.Repeat("x", MaxMetadataFile) + `"}}`, "bytes"},
		{"broken", `{"metadataAttributes":`, "not valid JSON"},
		{"two", `{"metadataAttributes":{}} {}`, "more than one"},
		{"other", `{"a":1}`, "no field metadataAttributes"},
		{"nested", `{"metadataAttributes":{"a":{"b":1}}}`, `"a"`},
		{"null", `{"metadataAttributes":{"a":null}}`, "neither"},
		{"mixed list", `{"metadataAttributes":{"a":["x",1]}}`, "else than texts"},
		{"long list", `{"metadataAttributes":{"a":["1","2","3","4","5","6","7","8","9","10","11"]}}`, "11 texts"},
		{"wrong type", `{"metadataAttributes":{"a":{"value":{"type":"NUMBER","stringValue":"1"}}}}`, "no value of its type"},
		{"long key", `{"metadataAttributes":{"` + strings.Repeat("k", 101) + `":1}}`, "101 characters"},
		{"empty key", `{"metadataAttributes":{"":1}}`, "0 characters"},
		{"long value", `{"metadataAttributes":{"a":"` + strings.Repeat("x", 2049) + `"}}`, "2049"},
		{"two content fields", `{"documentStructureConfiguration":{"type":"RECORD_BASED_STRUCTURE_METADATA","recordBasedStructureMetadata":{"contentFields":[{"fieldName":"a"},{"fieldName":"b"}]}}}`, "exactly one"},
		{"in and out", `{"documentStructureConfiguration":{"type":"RECORD_BASED_STRUCTURE_METADATA","recordBasedStructureMetadata":{"contentFields":[{"fieldName":"a"}],"metadataFieldsSpecification":{"fieldsToInclude":[{"fieldName":"b"}],"fieldsToExclude":[{"fieldName":"b"}]}}}}`, "fieldsToExclude"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadMetadata([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, want := range map[string]string{"d/a.pdf.metadata.json": "d/a.pdf", "a.metadata.json": "a", ".metadata.json": "", "a.json": "", "a.txt.Metadata.json": ""} {
		got, ok := MetadataFor(name)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s is about %q, %v", name, got, ok)
		}
	}
}

func TestRowsCanBeDocuments(t *testing.T) {
	m, err := ReadMetadata([]byte(`{"metadataAttributes":{"source":"list"},"documentStructureConfiguration":{"type":"RECORD_BASED_STRUCTURE_METADATA",
		"recordBasedStructureMetadata":{"contentFields":[{"fieldName":"text"}],"metadataFieldsSpecification":{"fieldsToExclude":[{"fieldName":"beds"}]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	d, rerr := read(&Input{Name: "a.csv", Records: m.Records, Data: []byte("text,city,price,beds\n\"A house, large\",Bonn,100,3\n,none,1,1\nA flat,Graz,90,2\n")})
	if rerr != nil {
		t.Fatal(rerr)
	}
	type row struct {
		text  string
		attrs map[string]Value
	}
	var got []row
	for _, r := range d.Records {
		got = append(got, row{d.Text[r.Start:r.End], r.Attributes})
	}
	str := func(s string) Value { return Value{Type: StringValue, String: s} }
	want := []row{{"A house, large", map[string]Value{"city": str("Bonn"), "price": str("100")}}, {"A flat", map[string]Value{"city": str("Graz"), "price": str("90")}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	if _, err := read(&Input{Name: "a.csv", Records: &RecordSpec{Content: "nope"}, Data: []byte("a,b\n1,2\n")}); err == nil || err.Reason != Damaged {
		t.Errorf("a column that is not there: %v", err)
	}
}

func TestADocumentFromAChildIsChecked(t *testing.T) {
	for name, d := range map[string]*Document{
		"beyond the text":   {Text: "abc", Blocks: []Block{{Start: 0, End: 4}}},
		"backwards":         {Text: "abc", Blocks: []Block{{Start: 2, End: 1}}},
		"overlapping":       {Text: "abc", Blocks: []Block{{Start: 0, End: 2}, {Start: 1, End: 3}}},
		"within a letter":   {Text: "ä", Blocks: []Block{{Start: 0, End: 1}}},
		"no UTF-8":          {Text: "\xff"},
		"an unknown kind":   {Text: "abc", Blocks: []Block{{Kind: 99, End: 3}}},
		"a record too long": {Text: "abc", Records: []Record{{Start: 0, End: 9}}},
	} {
		if d.check() == nil {
			t.Errorf("%s went through", name)
		}
	}
}

func TestPagesAreFoundByPlace(t *testing.T) {
	d := readText(t, "a.txt", "One.\fTwo.\fThree.")
	for i, want := range map[int]int{0: 1, strings.Index(d.Text, "Two"): 2, strings.Index(d.Text, "Three") + 2: 3} {
		if got := d.PageAt(i); got != want {
			t.Errorf("byte %d is on page %d, want %d", i, got, want)
		}
	}
}

// Readers must give a sound document or an error with a reason, for any bytes at
// all; a panic is turned into Damaged by read, so it is a bug only where it is
// frequent.
func fuzz(f *testing.F, name string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := read(&Input{Name: name, Data: data})
		if err != nil {
			if err.Reason == "" || err.Message == "" {
				t.Fatalf("%+v", err)
			}
			return
		}
		if err := d.check(); err != nil {
			t.Fatal(err)
		}
		if d.Text == "" {
			t.Fatal("no text and no error")
		}
	})
}

func FuzzText(f *testing.F)     { fuzz(f, "a.txt", "a\n\nb\fc", "\xff\xfea\x00", "\xb0\xa1") }
func FuzzMarkdown(f *testing.F) { fuzz(f, "a.md", "# a\n- b\n```\nc", "---\ntitle: x\n---\n|a|b|") }
func FuzzHTML(f *testing.F) {
	fuzz(f, "a.html", "<h1>a</h1><ul><li>b<table><tr><td>c", "<pre>\n x<svg><p>")
}
func FuzzCSV(f *testing.F) { fuzz(f, "a.csv", "a,b\n1,2\n", "\"a;b\";c\nd") }
func FuzzWord(f *testing.F) {
	fuzz(f, "a.docx", string(wordFile("<w:p><w:r><w:t>a</w:t></w:r></w:p>", nil)))
}
func FuzzExcel(f *testing.F) { fuzz(f, "a.xlsx", string(excelFile("<row><c><v>1</v></c></row>"))) }
func FuzzCompound(f *testing.F) {
	fuzz(f, "a.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
}
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"metadataAttributes":{"a":{"value":{"type":"STRING","stringValue":"x"},"includeForEmbedding":true},"b":[ "c" ]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ReadMetadata(data)
		if err != nil {
			return
		}
		for k, v := range m.Attributes {
			if err := errors.Join(checkKey(k), v.check()); err != nil {
				t.Fatal(err)
			}
			v.JSON()
		}
	})
}

// FuzzWordXML goes past the zip, into the XML.
func FuzzWordXML(f *testing.F) {
	f.Add("<w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr><w:r><w:t>a</w:t><w:br/><w:lastRenderedPageBreak/></w:r></w:p><w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>")
	f.Fuzz(func(t *testing.T, body string) {
		d, err := read(&Input{Name: "a.docx", Data: wordFile(body, nil)})
		if err == nil && d.check() != nil {
			t.Fatal(d.check())
		}
	})
}

// FuzzExcelXML goes past the zip, into the XML of a sheet.
func FuzzExcelXML(f *testing.F) {
	f.Add(`<row><c r="B1" t="s"><v>0</v></c><c s="1"><f>A1</f><v>45000</v></c><c t="inlineStr"><is><r><t>x</t></r></is></c></row>`)
	f.Fuzz(func(t *testing.T, rows string) {
		d, err := read(&Input{Name: "a.xlsx", Data: excelFile(rows)})
		if err == nil && d.check() != nil {
			t.Fatal(d.check())
		}
	})
}
