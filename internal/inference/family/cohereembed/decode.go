package cohereembed

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/oneshot"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

const (
	textsV3     = 128 // the guide's; later editions say 96
	charsV3     = 2048
	textsV4     = 96
	imagesV4    = 96
	imageBytes  = 5 << 20
	dimensionV3 = 1024
	dimensionV4 = 1536
	contextV4   = 128_000
	float       = "float"
	imageType   = "image"
)

var (
	inputTypes = []string{"search_document", "search_query", "classification", "clustering"}
	truncates  = []string{"NONE", "LEFT", "RIGHT", "START", "END"}
	kinds      = family.AnArray(family.AString().OneOf(float, "int8", "uint8", "binary", "ubinary")).Size(1, 5)
)

func optionsV3() []family.Field {
	return []family.Field{
		family.Required("input_type", family.AString().OneOf(append(slices.Clone(inputTypes), imageType)...)),
		family.Optional("truncate", family.AString().OneOf(truncates...)),
		family.Optional("embedding_types", kinds),
	}
}

var (
	textSchemaV3 = family.AnObject(append([]family.Field{
		family.Required("texts", family.AnArray(family.AString().Size(0, charsV3)).Size(0, textsV3)),
	}, optionsV3()...)...)
	imageSchemaV3 = family.AnObject(append([]family.Field{
		family.Required("images", family.AnArray(family.AString()).Size(1, 1)),
	}, optionsV3()...)...)

	schemaV4 = family.AnObject(
		family.Required("input_type", family.AString().OneOf(append(slices.Clone(inputTypes), imageType)...)),
		family.Optional("texts", family.AnArray(family.AString()).Size(1, textsV4)),
		family.Optional("images", family.AnArray(family.AString()).Size(1, imagesV4)),
		family.Optional("inputs", family.AnArray(family.AnObject(
			family.Required("content", family.AnArray(family.AnObject(
				family.Required("type", family.AString().OneOf("text", "image_url")),
				family.Optional("text", family.AString()),
				family.Optional("image_url", family.Either(family.AString(), family.AnObject(
					family.Required("url", family.AString()),
					family.Optional("detail", family.AString()),
				))),
			)).Size(1, -1)),
		)).Size(1, textsV4)),
		family.Optional("embedding_types", kinds),
		family.Optional("output_dimension", family.AnInteger(-1<<53, 1<<53).OneOf("256", "512", "1024", "1536")),
		family.Optional("max_tokens", family.AnInteger(1, contextV4)),
		family.Optional("truncate", family.AString().OneOf(truncates...)),
	)
)

// Codec serves Embed v3, or v4.
type Codec struct {
	oneshot.Only
	v4 bool
}

var _ family.Codec = Codec{}

// New returns the codec of Embed v3.
func New() Codec { return Codec{} }

// NewV4 returns the codec of Embed v4.
func NewV4() Codec { return Codec{v4: true} }

// Name returns the family's key.
func (c Codec) Name() string {
	if c.v4 {
		return "embed-v4"
	}
	return "cohere-embed"
}

// state is what an answer needs to know of its request.
type state struct {
	size   int
	kinds  []string // number types; empty is v3's list of floats
	texts  []string // as they are answered
	images []*picture.Picture
	groups []group // one for each vector answered; nil when each input is one
}

// group is one of v4's inputs: its text, if any, and its images.
type group struct {
	text          int // index into Inputs, -1 for none
	firstImage, n int
}

// Decode reads a body.
func (c Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	if c.v4 {
		return decodeV4(m, &v)
	}
	schema := textSchemaV3
	if v.Has("images") && !v.Has("texts") {
		schema = imageSchemaV3
	}
	if err := schema.Check(&v); err != nil {
		return nil, err
	}
	s := &state{size: cmp.Or(m.Dimension, dimensionV3), kinds: v.Get("embedding_types").Texts()}
	q := &engine.EmbedRequest{Inputs: v.Get("texts").Texts()}
	s.texts = slices.Clone(q.Inputs)
	if strings.Contains(m.ID, "english") {
		for i, t := range s.texts { // the real model's tokenizer knows no capitals, and it shows
			s.texts[i] = strings.ToLower(t)
		}
	}
	if err := addImages(s, q, v.Get("images")); err != nil {
		return nil, err
	}
	return &family.Call{Model: m, Embed: q, State: s}, nil
}

var limits = picture.Limits{MaxBytes: imageBytes}

var limitsV4 = picture.Limits{MaxBytes: imageBytes, Formats: []string{picture.PNG, picture.JPEG, picture.WebP, picture.GIF}}

func addImages(s *state, q *engine.EmbedRequest, v *family.Value) error {
	images := v.Items()
	for i := range images {
		p, err := picture.ReadURL(images[i].Text(), fmt.Sprintf("#/images/%d", i), limits)
		if err != nil {
			return err
		}
		q.Images = append(q.Images, p.Blob)
		s.images = append(s.images, p)
	}
	return nil
}

func decodeV4(m family.Model, v *family.Value) (*family.Call, error) {
	if err := schemaV4.Check(v); err != nil {
		return nil, err
	}
	given := 0
	for _, name := range []string{"texts", "images", "inputs"} {
		if v.Has(name) {
			given++
		}
	}
	if given != 1 {
		return nil, family.Malformed("#: exactly one of [texts, images, inputs] is required")
	}
	s := &state{
		size:  v.Get("output_dimension").IntOr(cmp.Or(m.Dimension, dimensionV4)),
		kinds: v.Get("embedding_types").Texts(),
	}
	if len(s.kinds) == 0 {
		s.kinds = []string{float}
	}
	q := &engine.EmbedRequest{Inputs: v.Get("texts").Texts()}
	s.texts = q.Inputs
	if err := addImages(s, q, v.Get("images")); err != nil {
		return nil, err
	}
	inputs := v.Get("inputs").Items()
	for i := range inputs {
		if err := addInput(s, q, inputs[i].Get("content").Items(), i); err != nil {
			return nil, err
		}
	}
	if n := v.Get("max_tokens").IntOr(contextV4); slices.ContainsFunc(q.Inputs, func(t string) bool { return n < contextV4 && len(t) > n }) {
		// A token has a byte at least: shorter texts are within max_tokens for sure.
		return nil, apierr.New(apierr.Validation, "Cutting an input to max_tokens is not built in Outcrop: leave max_tokens out, or send a shorter text.")
	}
	return &family.Call{Model: m, Embed: q, State: s}, nil
}

func addInput(s *state, q *engine.EmbedRequest, parts []family.Value, input int) error {
	g := group{text: -1, firstImage: len(q.Images)}
	var texts []string
	for k := range parts {
		p := &parts[k]
		at := fmt.Sprintf("#/inputs/%d/content/%d", input, k)
		if p.Get("type").Text() == "text" {
			if !p.Has("text") {
				return family.Malformed(at + ": required key [text] not found")
			}
			texts = append(texts, p.Get("text").Text())
			continue
		}
		url := p.Get("image_url")
		if url.Kind == family.Absent {
			return family.Malformed(at + ": required key [image_url] not found")
		}
		if url.Kind == family.Object {
			url = url.Get("url")
		}
		pic, err := picture.ReadURL(url.Text(), at+"/image_url", limitsV4)
		if err != nil {
			return err
		}
		q.Images = append(q.Images, pic.Blob)
		g.n++
	}
	if len(texts) > 0 {
		g.text = len(q.Inputs)
		q.Inputs = append(q.Inputs, strings.Join(texts, "\n"))
	}
	s.groups = append(s.groups, g)
	return nil
}
