package novaembed

import (
	"cmp"
	"fmt"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/embedding"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

const (
	dimension = 3072
	maxChars  = 8192
	params    = "#/singleEmbeddingParams"
)

var source = family.AnObject(
	family.Optional("bytes", family.AString()),
	family.Optional("s3Location", family.AnObject(family.Required("uri", family.AString())).Open()),
)

var schema = family.AnObject(
	family.Optional("schemaVersion", family.AString().OneOf("nova-multimodal-embed-v1")),
	family.Required("taskType", family.AString().OneOf("SINGLE_EMBEDDING")),
	family.Required("singleEmbeddingParams", family.AnObject(
		family.Required("embeddingPurpose", family.AString().OneOf("GENERIC_INDEX", "GENERIC_RETRIEVAL", "TEXT_RETRIEVAL", "IMAGE_RETRIEVAL",
			"VIDEO_RETRIEVAL", "DOCUMENT_RETRIEVAL", "AUDIO_RETRIEVAL", "CLASSIFICATION", "CLUSTERING")),
		family.Optional("embeddingDimension", family.AnInteger(-1<<53, 1<<53).OneOf("256", "384", "1024", "3072")),
		family.Optional("text", family.AnObject(
			family.Required("truncationMode", family.AString().OneOf("START", "END", "NONE")),
			family.Optional("value", family.AString().Size(1, -1)),
			family.Optional("source", source),
		)),
		family.Optional("image", family.AnObject(
			family.Optional("detailLevel", family.AString().OneOf("STANDARD_IMAGE", "DOCUMENT_IMAGE")),
			family.Required("format", family.AString().OneOf("png", "jpeg", "gif", "webp")),
			family.Required("source", source),
		)),
		family.Optional("video", family.AnObject().Open()),
		family.Optional("audio", family.AnObject().Open()),
	)),
)

// Codec serves Nova embeddings. Its zero value is ready.
type Codec struct{ oneshot.Only }

var _ family.Codec = Codec{}

// Name returns the family's key.
func (Codec) Name() string { return "nova-embed" }

type state struct {
	size  int
	kind  string // TEXT or IMAGE
	taken int    // characters that were embedded, 0 when none was cut off
}

// Decode reads a body.
func (Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	p := v.Get("singleEmbeddingParams")
	given := 0
	for _, name := range []string{"text", "image", "video", "audio"} {
		if p.Has(name) {
			given++
		}
	}
	if given != 1 {
		return nil, family.Malformed(params + ": exactly one of [text, image, video, audio] is required")
	}
	s := state{size: p.Get("embeddingDimension").IntOr(cmp.Or(m.Dimension, dimension))}
	q := &engine.EmbedRequest{}
	switch {
	case p.Has("text"):
		text, err := s.text(p.Get("text"))
		if err != nil {
			return nil, err
		}
		q.Inputs = []string{text}
	case p.Has("image"):
		blob, err := s.image(p.Get("image"))
		if err != nil {
			return nil, err
		}
		q.Images = []engine.Blob{*blob}
	default:
		return nil, apierr.New(apierr.Validation, "Embeddings of video and audio are not built in Outcrop.")
	}
	return &family.Call{Model: m, Embed: q, State: s}, nil
}

func (s *state) text(v *family.Value) (string, error) {
	s.kind = "TEXT"
	if !v.Has("value") {
		if v.Has("source") {
			return "", inBucket()
		}
		return "", family.Malformed(params + "/text: required key [value] not found")
	}
	text := v.Get("value").Text()
	n := utf8.RuneCountInString(text)
	if n <= maxChars {
		return text, nil
	}
	runes := []rune(text)
	s.taken = maxChars
	switch v.Get("truncationMode").Text() {
	case "START":
		return string(runes[n-maxChars:]), nil
	case "END":
		return string(runes[:maxChars]), nil
	}
	return "", family.Malformed(fmt.Sprintf("%s/text/value: expected maxLength: %d, actual: %d", params, maxChars, n))
}

func (s *state) image(v *family.Value) (*engine.Blob, error) {
	s.kind = "IMAGE"
	source := v.Get("source")
	if !source.Has("bytes") {
		if source.Has("s3Location") {
			return nil, inBucket()
		}
		return nil, family.Malformed(params + "/image/source: required key [bytes] not found")
	}
	pic, err := picture.Read(source.Get("bytes"), params+"/image/source/bytes", picture.Limits{
		Formats: []string{"image/" + v.Get("format").Text()}, MaxBytes: 25_000_000,
	})
	if err != nil {
		return nil, err
	}
	return &pic.Blob, nil
}

func inBucket() error {
	return apierr.New(apierr.Validation, "Media in buckets are not read by InvokeModel in Outcrop: send the bytes in the body.")
}

// Encode writes the answer.
func (Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	s := call.State.(state)
	if len(out.Embed.Vectors) != 1 {
		return nil, fmt.Errorf("embed: %d vectors for one input", len(out.Embed.Vectors))
	}
	b := make([]byte, 0, 14*s.size)
	b = append(b, `{"embeddings":[{"embeddingType":"`...)
	b = append(b, s.kind...)
	b = append(b, `","embedding":`...)
	b = embedding.AppendFloats(b, embedding.Fit(out.Embed.Vectors[0], s.size))
	if s.taken > 0 {
		b = append(b, `,"truncatedCharLength":`...)
		b = family.AppendInt(b, s.taken)
	}
	return append(b, `}]}`...), nil
}
