package parse

import (
	"cmp"
	"errors"
	"strings"
)

// Input is one file to read.
type Input struct {
	// Name is the file's own name or key; its extension says what the file claims
	// to be. MediaType does so where there is no name; Format before both.
	Name      string `json:"name,omitempty"`
	MediaType string `json:"mediaType,omitempty"`
	Format    Format `json:"format,omitempty"`
	// Scope is whose document it is: documents of two scopes never meet in one
	// child. Empty is a scope of its own for each document.
	Scope string `json:"-"`
	// Records makes each row of a CSV file a document; other formats ignore it.
	Records *RecordSpec `json:"records,omitempty"`
	Data    []byte      `json:"-"`
}

// claim is the format that a file says it has; "" when it says nothing.
func (in *Input) claim() (Format, *Error) {
	if in.Format != "" {
		for _, f := range Formats() {
			if f == in.Format {
				return f, nil
			}
		}
		return "", fail(Unsupported, "files of the format %q are not supported", oneLine(string(in.Format), 40))
	}
	if in.MediaType != "" {
		if f, ok := FormatOfMediaType(in.MediaType); ok {
			return f, nil
		}
		if !strings.HasPrefix(in.MediaType, "application/octet-stream") && !strings.HasPrefix(in.MediaType, "binary/octet-stream") {
			return "", fail(Unsupported, "files of the type %q are not supported", oneLine(in.MediaType, 80))
		}
	}
	if in.Name == "" {
		return "", nil
	}
	f, ok := FormatOf(in.Name)
	if !ok {
		return "", fail(Unsupported, "its file format is not supported; supported are txt, md, html, doc, docx, csv, xls, xlsx and pdf")
	}
	return f, nil
}

// admit refuses what needs no look inside.
func (in *Input) admit() *Error {
	if _, err := in.claim(); err != nil {
		return err
	}
	switch {
	case len(in.Data) == 0:
		return fail(Empty, "it is empty")
	case len(in.Data) > MaxFile:
		return fail(TooLarge, "it has %d bytes, more than the %d that a file may have", len(in.Data), MaxFile)
	}
	return nil
}

// read turns a file into a document. It runs in a child: what it allocates and how
// long it takes is bounded there, and a panic ends as Damaged.
func read(in *Input) (doc *Document, err *Error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			doc, err = nil, p
		case error:
			doc, err = nil, damaged("its parts do not fit together")
			err.Err = p
		default:
			doc, err = nil, damaged("its parts do not fit together")
		}
	}()
	claim, err := in.claim()
	if err != nil {
		return nil, err
	}
	if err := in.admit(); err != nil {
		return nil, err
	}
	b := &builder{}
	format, err := readInto(b, claim, in.Data, in.Records)
	if err != nil {
		return nil, err
	}
	doc = b.document(format)
	if doc.Text == "" {
		if format == PDF {
			return nil, fail(ImageOnly, "its pages hold no text, only pictures")
		}
		return nil, fail(Empty, "it holds no text")
	}
	return doc, nil
}

func readInto(b *builder, claim Format, data []byte, records *RecordSpec) (Format, *Error) {
	kind, what := sniff(data)
	switch kind {
	case isPDF:
		return PDF, readPDF(b, data)
	case isZip:
		return readZip(b, data)
	case isCompound:
		return readCompound(b, data)
	case isOther:
		if claim == PDF || claim == Word || claim == Excel || claim == Word97 || claim == Excel97 {
			if what == "binary data" {
				return "", damaged("it is no %s file", claim)
			}
		}
		return "", fail(Unsupported, "its content is %s, which is not supported", what)
	case isText:
	}
	switch claim {
	case Text, "":
		if claim == "" && looksHTML(data) {
			return HTML, readHTML(b, data)
		}
		readPlain(b, decodeText(data))
		return Text, nil
	case Markdown:
		readMarkdown(b, decodeText(data))
		return Markdown, nil
	case HTML:
		return HTML, readHTML(b, data)
	case CSV:
		return CSV, readCSV(b, decodeText(data), records)
	case Excel97, Word97, Excel, Word:
		// Programs write pages and tables of text under the names of Office files.
		if looksHTML(data) {
			return HTML, readHTML(b, data)
		}
		if text := decodeText(data); claim == Excel97 && strings.ContainsRune(text, '\t') {
			return CSV, readCSV(b, text, nil)
		}
		return "", damaged("it is no %s file", claim)
	case PDF:
		return "", damaged("it is no %s file", claim)
	}
	return "", fail(Unsupported, "files of the format %q are not supported", claim)
}

// asError makes any error one with a reason.
func asError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Reason: Damaged, Message: "it is damaged: " + cmp.Or(oneLine(err.Error(), 200), "unreadable"), Err: err}
}
