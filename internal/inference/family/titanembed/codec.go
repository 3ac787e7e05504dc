package titanembed

import (
	"cmp"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/embedding"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

// Form is one of the three body formats.
type Form string

// The forms, by the keys of their families.
const (
	Text       Form = "titan-embed-text"
	TextV2     Form = "titan-embed-v2"
	Multimodal Form = "titan-embed-mm"
)

const (
	maxText     = 50_000  // characters of a text
	maxCaption  = 100_000 // characters of Multimodal's text
	maxImage    = 5 << 20 // bytes of a decoded image
	maxSide     = 4096
	float       = "float"
	binary      = "binary"
	missingBoth = "#: at least one of [inputText, inputImage] is required"
)

var schemas = map[Form]*family.Schema{
	Text: family.AnObject(
		family.Required("inputText", family.AString().Size(1, maxText)),
	),
	TextV2: family.AnObject(
		family.Required("inputText", family.AString().Size(1, maxText)),
		family.Optional("dimensions", anyInteger().OneOf("256", "512", "1024")),
		family.Optional("normalize", family.ABoolean()),
		family.Optional("embeddingTypes", family.AnArray(family.AString().OneOf(float, binary)).Size(1, 2)),
	),
	Multimodal: family.AnObject(
		family.Optional("inputText", family.AString().Size(1, maxCaption)),
		family.Optional("inputImage", family.AString().Size(1, 25_000_000)),
		family.Optional("embeddingConfig", family.AnObject(
			family.Optional("outputEmbeddingLength", anyInteger().OneOf("256", "384", "1024")),
		)),
	),
}

func anyInteger() *family.Schema { return family.AnInteger(-1<<53, 1<<53) }

// sizes are the lengths of vectors where the catalogue names none.
var sizes = map[Form]int{Text: 1536, TextV2: 1024, Multimodal: 1024}

// Codec serves one form.
type Codec struct {
	oneshot.Only
	form Form
}

var _ family.Codec = Codec{}

// New returns the codec of a form.
func New(form Form) Codec {
	if schemas[form] == nil {
		panic("BUG: no Titan embedding form " + string(form))
	}
	return Codec{form: form}
}

// Name returns the family's key.
func (c Codec) Name() string { return string(c.form) }

// state is what an answer needs to know of its request.
type state struct {
	size   int
	text   bool // the first vector is the text's
	image  bool // the last vector is the image's
	float  bool // embeddingsByType holds the numbers
	binary bool // and their signs
}

// Decode reads a body.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schemas[c.form].Check(&v); err != nil {
		return nil, err
	}
	s := state{size: cmp.Or(m.Dimension, sizes[c.form])}
	q := &engine.EmbedRequest{}
	if text := v.Get("inputText"); text.Kind == family.String {
		q.Inputs, s.text = []string{text.Text()}, true
	}
	switch c.form {
	case TextV2:
		s.size = v.Get("dimensions").IntOr(s.size)
		types := v.Get("embeddingTypes").Texts()
		s.float = len(types) == 0
		for _, t := range types {
			s.float = s.float || t == float
			s.binary = s.binary || t == binary
		}
	case Multimodal:
		s.size = v.Get("embeddingConfig").Get("outputEmbeddingLength").IntOr(s.size)
		image := v.Get("inputImage")
		if image.Kind == family.String {
			p, err := picture.Read(image, "#/inputImage", picture.Limits{MaxBytes: maxImage, MaxSide: maxSide})
			if err != nil {
				return nil, err
			}
			q.Images, s.image = []engine.Blob{p.Blob}, true
		}
		if !s.text && !s.image {
			return nil, family.Malformed(missingBoth)
		}
	default: // Text has the text alone
	}
	return &family.Call{Model: m, Embed: q, State: s}, nil
}

// Encode writes the answer. A text and an image together answer the mean of their
// vectors, which is not brought to unit length.
func (c Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	s := call.State.(state)
	r := out.Embed
	want := len(call.Embed.Inputs) + len(call.Embed.Images)
	if len(r.Vectors) != want {
		return nil, fmt.Errorf("embed: %d vectors for %d inputs", len(r.Vectors), want)
	}
	vectors := make([][]float32, want)
	for i := range vectors {
		vectors[i] = embedding.Fit(r.Vectors[i], s.size)
	}
	vector := vectors[0]
	if want > 1 {
		vector = embedding.Mean(vectors...)
	}
	tokens := 0
	if s.text && len(r.Tokens) > 0 {
		tokens = r.Tokens[0]
	}
	b := make([]byte, 0, 14*s.size)
	b = append(b, `{"embedding":`...)
	from := len(b)
	b = embedding.AppendFloats(b, vector)
	to := len(b)
	if c.form == TextV2 {
		b = append(b, `,"embeddingsByType":{`...)
		if s.float {
			b = append(b, `"float":`...)
			b = append(b, b[from:to]...)
		}
		if s.binary {
			if s.float {
				b = append(b, ',')
			}
			b = append(b, `"binary":`...)
			b = embedding.AppendBits(b, vector)
		}
		b = append(b, '}')
	}
	b = append(b, `,"inputTextTokenCount":`...)
	b = family.AppendInt(b, tokens)
	if c.form == Multimodal {
		b = append(b, `,"message":null`...)
	}
	return append(b, '}'), nil
}

// TooLong is the text for an input that does not fit. It ends in a blank, as the
// service's does.
func (Codec) TooLong(m family.Model, limit, got int) string {
	return fmt.Sprintf("400 Bad Request: Too many input tokens. Max input tokens: %d, request input token count: %d ",
		cmp.Or(limit, m.Context), got)
}
