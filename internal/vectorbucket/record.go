package vectorbucket

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Vector is a vector of an index as programs see it.
type Vector struct {
	Key string
	// Data is nil where it was not asked for.
	Data []float32
	// Metadata is a JSON object, nil where it was not asked for or there is none.
	Metadata json.RawMessage
	// Distance to the question, in a query that asks for it.
	Distance *float64
}

// The metadata keys that Bedrock gives the chunks of knowledge bases.
const (
	TextKey     = "AMAZON_BEDROCK_TEXT"
	MetadataKey = "AMAZON_BEDROCK_METADATA"

	uriAttribute = "x-amz-bedrock-kb-source-uri"
)

// elements leads the attribute that holds the members of a list that is not one of
// strings alone, each as JSON: the attributes of package vector know lists of strings.
const elements = "\x01"

// reason is an error's text without the prefix of its sentinel.
func reason(err error) string {
	text := err.Error()
	for _, s := range []error{vector.ErrInvalid, vector.ErrUnsupported} {
		if _, after, ok := strings.Cut(text, s.Error()+": "); ok && errors.Is(err, s) {
			return after
		}
	}
	return text
}

// record makes the document and the chunk of a vector.
func (b *indexBody) record(v *Vector) (vector.Chunk, error) {
	bad := func(format string, args ...any) error {
		return invalid("Invalid record for key '%s': "+format, append([]any{v.Key}, args...)...)
	}
	c := vector.Chunk{ID: v.Key, Vector: v.Data}
	switch {
	case v.Key == "" || len(v.Key) > 1024:
		return c, invalid("Invalid record: a key must have 1 to 1024 bytes")
	case len(v.Data) != b.Dimension:
		return c, bad("vector must have length %d, but has length %d", b.Dimension, len(v.Data))
	}
	var square float64
	for _, x := range v.Data {
		square += float64(x) * float64(x)
	}
	switch {
	case math.IsNaN(square) || math.IsInf(square, 0):
		return c, bad("vector must hold finite values of float32")
	case square == 0 && b.Metric == vector.Cosine:
		return c, bad("vector must not be zero in an index of the distance metric cosine")
	}
	if len(v.Metadata) == 0 || string(v.Metadata) == "null" {
		return c, nil
	}
	members, err := object(v.Metadata)
	if err != nil {
		return c, bad("metadata %s", err)
	}
	if len(members) > MaxKeys {
		return c, bad("Metadata must have at most %d keys", MaxKeys)
	}
	c.Metadata = vector.Metadata{}
	filterable := map[string]json.RawMessage{}
	for k, raw := range members {
		if err := checkKey(k); err != nil {
			return c, bad("metadata %s", err)
		}
		if slices.Contains(b.NonFilterable, k) {
			if _, err := decode(raw); err != nil {
				return c, bad("metadata value of %q %s", k, err)
			}
			continue
		}
		if err := put(c.Metadata, k, raw); err != nil {
			return c, bad("metadata value of %q %s", k, err)
		}
		filterable[k] = raw
	}
	whole, part := size(members), size(filterable)
	switch {
	case part > MaxFilter:
		return c, bad("Filterable metadata must have at most %d bytes", MaxFilter)
	case whole > MaxMetadata:
		return c, bad("Metadata must have at most %d bytes", MaxMetadata)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, v.Metadata); err != nil {
		return c, bad("metadata is no JSON")
	}
	c.Source = compact.Bytes()
	return c, nil
}

// size is how many bytes an object has as compact JSON.
func size(members map[string]json.RawMessage) int {
	b, err := json.Marshal(members)
	if err != nil {
		return 0 // of values that were decoded before
	}
	return len(b)
}

func checkKey(k string) error {
	if k == "" || len(k) > 1023 || strings.HasPrefix(k, elements) {
		return errors.New("has a key that is empty, too long or begins with a control character")
	}
	return nil
}

// object reads the members of a JSON object and leaves the values as they are.
func object(raw json.RawMessage) (map[string]json.RawMessage, error) {
	var out map[string]json.RawMessage
	if err := json.Unmarshal(raw, &out); err != nil || out == nil {
		return nil, errors.New("must be an object")
	}
	return out, nil
}

var errValue = errors.New("must be a string, a number, a boolean or a list of these")

// decode reads a metadata value: a string, a float64, a bool, or a []any of these.
func decode(raw json.RawMessage) (any, error) {
	var x any
	if json.Unmarshal(raw, &x) != nil { // a number that no double holds
		return nil, errValue
	}
	switch x := x.(type) {
	case string, float64, bool:
		return x, nil
	case []any:
		for _, m := range x {
			switch m.(type) {
			case string, float64, bool:
			default:
				return nil, errValue
			}
		}
		return x, nil
	}
	return nil, errValue
}

// put adds a value to the attributes that filters see.
func put(m vector.Metadata, key string, raw json.RawMessage) error {
	x, err := decode(raw)
	if err != nil {
		return err
	}
	members, ok := x.([]any)
	if !ok {
		m[key], err = vector.ValueOf(x)
		return err
	}
	if v, err := vector.ValueOf(members); err == nil && len(members) > 0 {
		m[key] = v
		return nil
	}
	list := make([]string, 0, len(members))
	for _, e := range members {
		list = append(list, element(e))
	}
	if len(list) == 0 {
		list = []string{"[]"} // so that the key exists; no member is written so
	}
	m[elements+key] = vector.ListValue(list...)
	return nil
}

// element writes a member of a list in the one form that a filter looks for.
func element(x any) string {
	switch x := x.(type) {
	case string:
		return strconv.Quote(x)
	case bool:
		return strconv.FormatBool(x)
	case float64:
		return strconv.FormatFloat(x+0, 'g', -1, 64) // -0 is 0
	}
	return ""
}

// own says that a chunk was put by a program, not by a knowledge base.
func own(c *vector.Chunk) bool { return c.Document == c.ID }

// metadata is what programs see of a chunk.
func metadata(c *vector.Chunk) json.RawMessage {
	if own(c) {
		return c.Source
	}
	out := make(map[string]any, len(c.Metadata)+2)
	for k, v := range c.Metadata {
		out[k] = v
	}
	out[TextKey] = c.Text
	about := map[string]json.RawMessage{}
	if len(c.Source) > 0 {
		if m, err := object(c.Source); err == nil {
			maps.Copy(about, m)
		}
	}
	if uri := c.Metadata[uriAttribute]; uri.Kind() == vector.String {
		if b, err := json.Marshal(uri); err == nil {
			about["source"] = b
		}
	}
	out[MetadataKey] = text(about)
	b, err := json.Marshal(out)
	if err != nil {
		return nil // strings, numbers and booleans always have a JSON
	}
	return b
}

func text(about map[string]json.RawMessage) string {
	b, err := json.Marshal(about)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// chunk is what a knowledge base sees of a chunk: of one that a program has put, the
// text and the source that stand in its metadata.
func chunk(c vector.Chunk) vector.Chunk {
	if !own(&c) {
		return c
	}
	c.Metadata = maps.Clone(c.Metadata)
	maps.DeleteFunc(c.Metadata, func(k string, _ vector.Value) bool { return strings.HasPrefix(k, elements) })
	members, err := object(c.Source)
	c.Source = nil
	if err != nil {
		return c
	}
	var about string
	_ = json.Unmarshal(members[TextKey], &c.Text) // stays empty where it is no string
	if json.Unmarshal(members[MetadataKey], &about) == nil {
		if _, err := object(json.RawMessage(about)); err == nil {
			c.Source = json.RawMessage(about)
		}
	}
	delete(c.Metadata, TextKey)
	delete(c.Metadata, MetadataKey)
	return c
}
