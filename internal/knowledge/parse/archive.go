package parse

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// archive is a zip whose unpacking is counted: what a file says of its own size is
// not believed.
type archive struct {
	files    map[string]*zip.File
	packed   int64
	unpacked int64
}

func openArchive(data []byte) (*archive, *Error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, damaged("its archive has no directory")
	}
	if len(z.File) > maxEntries {
		return nil, fail(Bomb, "it is an archive of %d files, more than %d", len(z.File), maxEntries)
	}
	a := &archive{files: make(map[string]*zip.File, len(z.File)), packed: int64(len(data))}
	for _, f := range z.File {
		name := strings.TrimPrefix(strings.ReplaceAll(f.Name, "\\", "/"), "/")
		if _, ok := a.files[name]; !ok {
			a.files[name] = f
		}
	}
	return a, nil
}

// has reports whether there is a file.
func (a *archive) has(name string) bool { return a.files[name] != nil }

// open reads one file of the archive, counted with all that were read before.
func (a *archive) open(name string) (io.ReadCloser, *Error) {
	f := a.files[name]
	if f == nil {
		return nil, damaged("its part %s is missing", oneLine(name, 80))
	}
	if f.Flags&1 != 0 {
		return nil, fail(Password, "it is protected by a password")
	}
	r, err := f.Open()
	if err != nil {
		return nil, damaged("its part %s cannot be unpacked", oneLine(name, 80))
	}
	return &counted{r: r, a: a}, nil
}

type counted struct {
	r io.ReadCloser
	a *archive
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.a.unpacked += int64(n)
	if u := c.a.unpacked; u > maxUnpacked || u > ratioFrom && u > maxRatio*c.a.packed {
		return n, fail(Bomb, "it unpacks to far more than it is")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged("a part of its archive cannot be unpacked")
	}
	return n, err
}

func (c *counted) Close() error { return c.r.Close() }

// events reads XML as a flat sequence, with a bound on nesting. It knows no
// document types and no entities but the five of XML itself.
type events struct {
	d     *xml.Decoder
	c     io.Closer
	depth int
}

func (a *archive) xml(name string) (*events, *Error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(r)
	d.Strict = true
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii") {
			return in, nil
		}
		return nil, fmt.Errorf("charset %q", charset)
	}
	return &events{d: d, c: r}, nil
}

func (e *events) close() { _ = e.c.Close() }

// next returns the next start, end or text; io.EOF at the end. Tokens are valid
// until the following call.
func (e *events) next() (xml.Token, error) {
	for {
		t, err := e.d.RawToken()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			if f, ok := errors.AsType[*Error](err); ok {
				return nil, f
			}
			return nil, damaged("its XML cannot be read")
		}
		switch t.(type) {
		case xml.StartElement:
			if e.depth++; e.depth > maxDepth {
				return nil, fail(Bomb, "its elements nest too deeply")
			}
			return t, nil
		case xml.EndElement:
			if e.depth--; e.depth < 0 {
				return nil, damaged("its XML cannot be read")
			}
			return t, nil
		case xml.CharData:
			return t, nil
		}
	}
}

// skip passes over the rest of the element that has just begun.
func (e *events) skip() error {
	for depth := e.depth; e.depth >= depth; {
		if _, err := e.next(); err != nil {
			if errors.Is(err, io.EOF) {
				return damaged("its XML ends in the middle")
			}
			return err
		}
	}
	return nil
}

// content returns all text of the element that has just begun.
func (e *events) content() (string, error) {
	var b strings.Builder
	for depth := e.depth; e.depth >= depth; {
		t, err := e.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return "", damaged("its XML ends in the middle")
			}
			return "", err
		}
		if c, ok := t.(xml.CharData); ok {
			b.Write(c)
		}
	}
	return b.String(), nil
}

func attribute(t xml.StartElement, local string) string {
	for _, a := range t.Attr {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// relation is one line of a part's .rels file.
type relation struct{ kind, target string }

// relations reads what a part refers to, by id.
func (a *archive) relations(part string) map[string]relation {
	name := path.Join(path.Dir(part), "_rels", path.Base(part)+".rels")
	if part == "" {
		name = "_rels/.rels"
	}
	if !a.has(name) {
		return nil
	}
	e, err := a.xml(name)
	if err != nil {
		return nil
	}
	defer e.close()
	out := map[string]relation{}
	for {
		t, err := e.next()
		if err != nil {
			return out
		}
		s, ok := t.(xml.StartElement)
		if !ok || s.Name.Local != "Relationship" || attribute(s, "TargetMode") == "External" {
			continue
		}
		target := attribute(s, "Target")
		if strings.HasPrefix(target, "/") {
			target = strings.TrimPrefix(path.Clean(target), "/")
		} else {
			target = path.Join(path.Dir(part), target)
		}
		out[attribute(s, "Id")] = relation{kind: path.Base(attribute(s, "Type")), target: target}
	}
}

// readZip finds out which program's archive it is.
func readZip(b *builder, data []byte) (Format, *Error) {
	a, err := openArchive(data)
	if err != nil {
		return "", err
	}
	main := ""
	for _, r := range a.relations("") {
		if r.kind == "officeDocument" {
			main = r.target
		}
	}
	for _, usual := range []string{"word/document.xml", "xl/workbook.xml"} {
		if (main == "" || !a.has(main)) && a.has(usual) {
			main = usual
		}
	}
	if core, err := a.xml("docProps/core.xml"); err == nil {
		b.title = core.firstOf("title")
		core.close()
	}
	switch {
	case strings.HasPrefix(main, "word/") && strings.HasSuffix(main, ".xml"):
		return Word, readWord(b, a, main)
	case strings.HasPrefix(main, "xl/") && strings.HasSuffix(main, ".xml"):
		return Excel, readExcel(b, a, main)
	case strings.HasSuffix(main, ".bin"):
		return "", fail(Unsupported, "its content is a binary workbook (xlsb), which is not supported")
	case strings.HasPrefix(main, "ppt/"):
		return "", fail(Unsupported, "its content is a presentation, which is not supported")
	case a.has("mimetype"):
		return "", fail(Unsupported, "its content is an OpenDocument or EPUB file, which is not supported")
	case main != "" && !a.has(main):
		return "", damaged("its main part is missing")
	}
	return "", fail(Unsupported, "its content is an archive, which is not supported")
}

// firstOf returns the text of the first element of a name.
func (e *events) firstOf(local string) string {
	for {
		t, err := e.next()
		if err != nil {
			return ""
		}
		if s, ok := t.(xml.StartElement); ok && s.Name.Local == local {
			text, err := e.content()
			if err != nil {
				return ""
			}
			return text
		}
	}
}
