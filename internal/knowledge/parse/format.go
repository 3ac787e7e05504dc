package parse

import (
	"bytes"
	"encoding/binary"
	"mime"
	"path"
	"strings"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	Text     Format = "txt"
	Markdown Format = "md"
	HTML     Format = "html"
	Word97   Format = "doc"
	Word     Format = "docx"
	CSV      Format = "csv"
	Excel97  Format = "xls"
	Excel    Format = "xlsx"
	PDF      Format = "pdf"
)

// Formats lists all of them.
func Formats() []Format {
	return []Format{Text, Markdown, HTML, Word97, Word, CSV, Excel97, Excel, PDF}
}

// Limits of one document. The guide fixes the first; the rest keep a child of 512
// MiB and 60 s from meeting its walls.
const (
	MaxFile = 50 << 20 // bytes of a file

	maxText     = MaxFile + 4<<20 // bytes of text: a text file may be as large as any
	maxBlocks   = 1_000_000       // paragraphs, rows …; what comes after joins the last
	maxEntries  = 2_000           // files in a zip
	maxUnpacked = 200 << 20       // bytes of all that is read from a zip
	maxRatio    = 100             // unpacked to packed, once more than ratioFrom is unpacked
	ratioFrom   = 10 << 20
	maxDepth    = 256 // elements within each other
)

// FormatOf tells the format that a file's name claims, by its extension, in either
// case.
func FormatOf(name string) (Format, bool) {
	ext := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	for _, f := range Formats() {
		if string(f) == ext {
			return f, true
		}
	}
	return "", false
}

// FormatOfMediaType tells the format that a MIME type claims.
func FormatOfMediaType(t string) (Format, bool) {
	t, _, err := mime.ParseMediaType(t)
	if err != nil {
		return "", false
	}
	switch t {
	case "text/plain":
		return Text, true
	case "text/markdown", "text/x-markdown":
		return Markdown, true
	case "text/html", "application/xhtml+xml":
		return HTML, true
	case "text/csv", "application/csv":
		return CSV, true
	case "application/msword":
		return Word97, true
	case "application/vnd.openxmlformats-officedocument.wordprocessingml.document":
		return Word, true
	case "application/vnd.ms-excel":
		return Excel97, true
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return Excel, true
	case "application/pdf":
		return PDF, true
	}
	return "", false
}

// container is what the first bytes give away.
type container int

const (
	isText container = iota
	isPDF
	isZip
	isCompound // OLE2: Word and Excel of 1997, and encrypted newer files
	isOther
)

// strangers are beginnings of what is certainly none of the formats, with the name
// that the message uses.
var strangers = []struct{ magic, name string }{
	{"\x89PNG\r\n", "a PNG picture"}, {"\xff\xd8\xff", "a JPEG picture"}, {"GIF8", "a GIF picture"}, {"BM", "a bitmap"},
	{"II*\x00", "a TIFF picture"}, {"MM\x00*", "a TIFF picture"}, {"RIFF", "sound, film or picture"},
	{"\x7fELF", "a program"}, {"MZ", "a program"}, {"\xca\xfe\xba\xbe", "a program"}, {"\x00asm", "a program"},
	{"\x1f\x8b", "a gzip archive"}, {"BZh", "a bzip2 archive"}, {"\xfd7zXZ", "an xz archive"}, {"7z\xbc\xaf", "a 7z archive"},
	{"Rar!", "a RAR archive"}, {"\x28\xb5\x2f\xfd", "a zstd archive"}, {"SQLite format 3", "a database"}, {"ID3", "sound"}, {"OggS", "sound"},
	{"{\\rtf", "a Rich Text file"}, {"%!PS", "a PostScript file"}, {"\x0eWordPerfect", "a WordPerfect file"}, {"\xffWPC", "a WordPerfect file"},
}

// sniff looks at the beginning of a file.
func sniff(data []byte) (container, string) {
	if i := bytes.Index(data[:min(len(data), 1024)], []byte("%PDF-")); i >= 0 {
		return isPDF, ""
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("PK\x05\x06")) {
		return isZip, ""
	}
	if len(data) >= 8 && binary.BigEndian.Uint64(data) == 0xd0cf11e0a1b11ae1 {
		return isCompound, ""
	}
	for _, s := range strangers {
		if bytes.HasPrefix(data, []byte(s.magic)) && (len(s.magic) > 3 || binaryBytes(data)) {
			return isOther, s.name
		}
	}
	if binaryBytes(data) {
		return isOther, "binary data"
	}
	return isText, ""
}

// binaryBytes reports bytes that no text in any of the known charsets has.
func binaryBytes(data []byte) bool {
	if _, n := bom(data); n > 0 || wide(data) != "" {
		return false
	}
	head := data[:min(len(data), 8192)]
	odd := 0
	for _, c := range head {
		switch {
		case c == 0:
			odd += 3
		case c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b && c != '\v' && c != '\b':
			odd++
		}
	}
	return odd*50 > len(head)
}

// looksHTML reports whether text begins as a page does.
func looksHTML(data []byte) bool {
	head := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 1024)], "\xef\xbb\xbf \t\r\n"))
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body"} {
		if bytes.HasPrefix(head, []byte(tag)) {
			return true
		}
	}
	return bytes.HasPrefix(head, []byte("<?xml")) && bytes.Contains(head, []byte("<html")) ||
		bytes.HasPrefix(head, []byte("<!--")) && bytes.Contains(head, []byte("<html"))
}
