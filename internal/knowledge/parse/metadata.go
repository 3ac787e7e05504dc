package parse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// MetadataSuffix follows the whole name of the file that a metadata file is about:
// report.pdf has report.pdf.metadata.json beside it.
const MetadataSuffix = ".metadata.json"

// Limits of metadata: the file by the guide, the rest by the service model.
const (
	MaxMetadataFile = 10 << 10
	maxKey          = 100
	maxValue        = 2048
	maxList         = 10
	maxAttributes   = 1000
)

// ValueType is the type of an attribute, as the service names it.
type ValueType string

// The types.
const (
	StringValue  ValueType = "STRING"
	NumberValue  ValueType = "NUMBER"
	BooleanValue ValueType = "BOOLEAN"
	ListValue    ValueType = "STRING_LIST"
)

// Value is one attribute's value; the field of its type is set.
type Value struct {
	Type   ValueType `json:"type"`
	String string    `json:"string,omitempty"`
	Number float64   `json:"number,omitempty"`
	Bool   bool      `json:"bool,omitempty"`
	List   []string  `json:"list,omitempty"`
}

// JSON is the value as it stands in answers: a text, a number, true or false, a
// list of texts.
func (v Value) JSON() json.RawMessage {
	var x any
	switch v.Type {
	case NumberValue:
		x = v.Number
	case BooleanValue:
		x = v.Bool
	case ListValue:
		x = v.List
	case StringValue:
		x = v.String
	}
	b, err := json.Marshal(x)
	if err != nil {
		panic(fmt.Sprintf("BUG: %v", err)) // numbers are checked for being finite
	}
	return b
}

// Metadata is what a metadata file says of its document.
type Metadata struct {
	Attributes map[string]Value
	// Embed names the attributes that the author wants embedded with the text, in
	// order.
	Embed []string
	// Records is set where a CSV file's rows are documents of their own.
	Records *RecordSpec
}

// RecordSpec tells which columns of a CSV file are text and which metadata.
type RecordSpec struct {
	Content string   `json:"content"`           // the column that is embedded
	Include []string `json:"include,omitempty"` // columns that become metadata; none names all
	Exclude []string `json:"exclude,omitempty"` // columns that do not
}

// MetadataFor returns the name of the file that a metadata file is about; false when
// the name is not one of a metadata file.
func MetadataFor(name string) (string, bool) {
	of, ok := strings.CutSuffix(name, MetadataSuffix)
	return of, ok && of != "" && !strings.HasSuffix(of, "/")
}

// ReadMetadata reads a metadata file. Its two forms may stand side by side:
//
//	{"metadataAttributes": {"year": 2024,
//	  "genre": {"value": {"type": "STRING", "stringValue": "film"}, "includeForEmbedding": true}}}
//
// The error says what is wrong with it, for a warning: a document whose metadata
// cannot be read is a document without metadata.
func ReadMetadata(data []byte) (*Metadata, error) {
	if len(data) > MaxMetadataFile {
		return nil, fmt.Errorf("the metadata file has %d bytes, more than the %d that are allowed", len(data), MaxMetadataFile)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var file struct {
		Attributes map[string]json.RawMessage `json:"metadataAttributes"`
		Structure  *struct {
			Type    string `json:"type"`
			Records *struct {
				Content []field `json:"contentFields"`
				Fields  *struct {
					Include []field `json:"fieldsToInclude"`
					Exclude []field `json:"fieldsToExclude"`
				} `json:"metadataFieldsSpecification"`
			} `json:"recordBasedStructureMetadata"`
		} `json:"documentStructureConfiguration"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("the metadata file is not valid JSON of the expected form: %s", oneLine(err.Error(), 200))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the metadata file has more than one JSON value")
	}
	if file.Attributes == nil && file.Structure == nil {
		return nil, errors.New("the metadata file has no field metadataAttributes")
	}
	if len(file.Attributes) > maxAttributes {
		return nil, fmt.Errorf("the metadata file has %d attributes, more than the %d that are allowed", len(file.Attributes), maxAttributes)
	}
	m := &Metadata{Attributes: make(map[string]Value, len(file.Attributes))}
	for key, raw := range file.Attributes {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		v, embed, err := attributeValue(raw)
		if err != nil {
			return nil, fmt.Errorf("the attribute %q of the metadata file %w", oneLine(key, 100), err)
		}
		m.Attributes[key] = v
		if embed {
			m.Embed = append(m.Embed, key)
		}
	}
	sort.Strings(m.Embed)
	if s := file.Structure; s != nil {
		if s.Type != "RECORD_BASED_STRUCTURE_METADATA" || s.Records == nil {
			return nil, errors.New("the metadata file has a documentStructureConfiguration of an unknown type")
		}
		if len(s.Records.Content) != 1 || s.Records.Content[0].Name == "" {
			return nil, errors.New("the metadata file must name exactly one field in contentFields")
		}
		m.Records = &RecordSpec{Content: s.Records.Content[0].Name}
		if f := s.Records.Fields; f != nil {
			m.Records.Include, m.Records.Exclude = names(f.Include), names(f.Exclude)
			for _, n := range m.Records.Include {
				if slices.Contains(m.Records.Exclude, n) {
					return nil, fmt.Errorf("the metadata file names the field %q in fieldsToInclude and in fieldsToExclude", oneLine(n, 80))
				}
			}
		}
	}
	return m, nil
}

type field struct {
	Name string `json:"fieldName"`
}

func names(fs []field) []string {
	var out []string
	for _, f := range fs {
		if f.Name != "" {
			out = append(out, f.Name)
		}
	}
	return out
}

func checkKey(key string) error {
	if n := utf8.RuneCountInString(key); n < 1 || n > maxKey {
		return fmt.Errorf("the metadata file has a key of %d characters; 1 to %d are allowed", n, maxKey)
	}
	return nil
}

// attributeValue reads one value in either form. Errors continue "the attribute …".
func attributeValue(raw json.RawMessage) (v Value, embed bool, err error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '{' {
		var rich struct {
			Value *struct {
				Type   ValueType `json:"type"`
				String *string   `json:"stringValue"`
				Number *float64  `json:"numberValue"`
				Bool   *bool     `json:"booleanValue"`
				List   []string  `json:"stringListValue"`
			} `json:"value"`
			Embed bool `json:"includeForEmbedding"`
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&rich); err != nil || rich.Value == nil {
			return v, false, errors.New("is an object that is not of the form value, includeForEmbedding")
		}
		r := rich.Value
		v.Type = r.Type
		ok := false
		switch r.Type {
		case StringValue:
			if ok = r.String != nil; ok {
				v.String = *r.String
			}
		case NumberValue:
			if ok = r.Number != nil; ok {
				v.Number = *r.Number
			}
		case BooleanValue:
			if ok = r.Bool != nil; ok {
				v.Bool = *r.Bool
			}
		case ListValue:
			ok = r.List != nil
			v.List = r.List
		default:
			return v, false, fmt.Errorf("has the unknown type %q", oneLine(string(r.Type), 40))
		}
		if !ok {
			return v, false, fmt.Errorf("has no value of its type %s", r.Type)
		}
		return v, rich.Embed, v.check()
	}
	var x any
	if err := json.Unmarshal(raw, &x); err != nil {
		return v, false, errors.New("is not valid JSON")
	}
	switch x := x.(type) {
	case string:
		v = Value{Type: StringValue, String: x}
	case float64:
		v = Value{Type: NumberValue, Number: x}
	case bool:
		v = Value{Type: BooleanValue, Bool: x}
	case []any:
		v = Value{Type: ListValue, List: []string{}}
		for _, e := range x {
			s, ok := e.(string)
			if !ok {
				return v, false, errors.New("is a list with something else than texts")
			}
			v.List = append(v.List, s)
		}
	default:
		return v, false, errors.New("is neither a text, a number, true or false, nor a list of texts")
	}
	return v, false, v.check()
}

// check holds a value against the limits.
func (v Value) check() error {
	switch v.Type {
	case StringValue:
		if n := utf8.RuneCountInString(v.String); n > maxValue {
			return fmt.Errorf("has %d characters, more than the %d that are allowed", n, maxValue)
		}
	case NumberValue:
		if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
			return errors.New("is no number")
		}
	case ListValue:
		if len(v.List) < 1 || len(v.List) > maxList {
			return fmt.Errorf("is a list of %d texts; 1 to %d are allowed", len(v.List), maxList)
		}
		for _, s := range v.List {
			if utf8.RuneCountInString(s) > maxValue {
				return fmt.Errorf("has a text of more than %d characters", maxValue)
			}
		}
	case BooleanValue:
	}
	return nil
}

// Record is a row of a CSV file that is a document of its own.
type Record struct {
	Start      int              `json:"s"` // of its text in Document.Text
	End        int              `json:"e"`
	Attributes map[string]Value `json:"a,omitempty"`
}

// records makes each row a paragraph with attributes of its own.
func (b *builder) records(rows [][]string, spec *RecordSpec) ([]Record, *Error) {
	if len(rows) == 0 {
		return nil, nil
	}
	header := rows[0]
	rows = rows[1:]
	text := -1
	attrs := map[int]string{}
	for i, h := range header {
		h = strings.TrimSpace(h)
		if h == spec.Content {
			text = i
			continue
		}
		if h == "" || checkKey(h) != nil || len(spec.Include) > 0 && !slices.Contains(spec.Include, h) || slices.Contains(spec.Exclude, h) {
			continue
		}
		attrs[i] = h
	}
	if text < 0 {
		return nil, damaged("it has no column %q, which its metadata file names", oneLine(spec.Content, 80))
	}
	var out []Record
	for _, r := range rows {
		if text >= len(r) {
			continue
		}
		before := len(b.blocks)
		b.add(Paragraph, 0, r[text])
		if len(b.blocks) == before {
			continue
		}
		bl := b.blocks[before]
		rec := Record{Start: bl.Start, End: bl.End, Attributes: map[string]Value{}}
		for i, key := range attrs {
			if i < len(r) && strings.TrimSpace(r[i]) != "" {
				rec.Attributes[key] = cellValue(strings.TrimSpace(clean(r[i])))
			}
		}
		out = append(out, rec)
	}
	return out, nil
}

// cellValue is a text, whatever it looks like: the service stores what columns hold
// as texts.
func cellValue(s string) Value {
	if utf8.RuneCountInString(s) > maxValue {
		s = string([]rune(s)[:maxValue])
	}
	return Value{Type: StringValue, String: s}
}
