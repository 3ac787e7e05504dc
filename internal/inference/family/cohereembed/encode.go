package cohereembed

import (
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
	"github.com/outcrop-dev/outcrop/internal/inference/family/embedding"
	"github.com/outcrop-dev/outcrop/internal/inference/family/picture"
)

// vectors are the vectors that are answered, at their size.
func (s *state) vectors(raw [][]float32, texts int) [][]float32 {
	fit := make([][]float32, len(raw))
	for i, v := range raw {
		fit[i] = embedding.Fit(v, s.size)
	}
	if s.groups == nil {
		return fit
	}
	out := make([][]float32, len(s.groups))
	for i, g := range s.groups {
		var parts [][]float32
		if g.text >= 0 {
			parts = append(parts, fit[g.text])
		}
		parts = append(parts, fit[texts+g.firstImage:texts+g.firstImage+g.n]...)
		if len(parts) == 1 {
			out[i] = parts[0]
			continue
		}
		out[i] = embedding.Unit(embedding.Mean(parts...))
	}
	return out
}

// Encode writes the answer.
func (c Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	s := call.State.(*state)
	want := len(call.Embed.Inputs) + len(call.Embed.Images)
	if len(out.Embed.Vectors) != want {
		return nil, fmt.Errorf("embed: %d vectors for %d inputs", len(out.Embed.Vectors), want)
	}
	vectors := s.vectors(out.Embed.Vectors, len(call.Embed.Inputs))
	b := make([]byte, 0, 14*s.size*len(vectors)+256)
	b = append(b, `{"id":`...)
	b = family.AppendString(b, call.Answer.RequestID)
	b = append(b, `,"texts":[`...)
	for i, t := range s.texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = family.AppendString(b, t)
	}
	b = append(b, ']')
	if len(s.images) > 0 {
		b = append(b, `,"images":[`...)
		for i, p := range s.images {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendImage(b, p)
		}
		b = append(b, ']')
	}
	b = append(b, `,"embeddings":`...)
	if len(s.kinds) == 0 {
		b = appendVectors(b, float, vectors)
		return append(b, `,"response_type":"embeddings_floats"}`...), nil
	}
	b = append(b, '{')
	done := map[string]bool{}
	for _, kind := range s.kinds {
		if done[kind] {
			continue
		}
		if len(done) > 0 {
			b = append(b, ',')
		}
		done[kind] = true
		b = family.AppendString(b, kind)
		b = append(b, ':')
		b = appendVectors(b, kind, vectors)
	}
	return append(b, `},"response_type":"embeddings_by_type"}`...), nil
}

func appendVectors(b []byte, kind string, vectors [][]float32) []byte {
	b = append(b, '[')
	for i, v := range vectors {
		if i > 0 {
			b = append(b, ',')
		}
		b = embedding.AppendAs(b, kind, v)
	}
	return append(b, ']')
}

// appendImage describes an image that was embedded.
func appendImage(b []byte, p *picture.Picture) []byte {
	b = append(b, `{"width":`...)
	b = family.AppendInt(b, p.Width)
	b = append(b, `,"height":`...)
	b = family.AppendInt(b, p.Height)
	b = append(b, `,"format":`...)
	b = family.AppendString(b, p.Blob.MediaType[len("image/"):])
	b = append(b, `,"bit_depth":`...)
	b = family.AppendInt(b, p.BitDepth())
	return append(b, '}')
}
