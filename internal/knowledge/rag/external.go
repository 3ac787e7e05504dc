package rag

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"path"
	"slices"
	"strings"
	"unicode"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
)

// Limits of documents that come with requests.
const (
	maxDocument   = 10 << 20 // bytes, inline or in a bucket
	passageTokens = 300      // of the passages that a document is cut into
	// Passages fill at most half of what the model takes: the rest is for the prompt
	// and the answer, and for the error of the estimate.
	fallbackContext = 4096
)

func checkSource(s *api.ExternalSource) error {
	switch s.SourceType {
	case api.ExternalSourceTypeByteContent:
		if s.ByteContent == nil || s.S3Location != nil {
			return invalid("A source of type BYTE_CONTENT has byteContent and nothing else.")
		}
		if n := len(s.ByteContent.Data); n == 0 || n > maxDocument {
			return invalid("The document %s has %d bytes; 1 to %d are allowed.", s.ByteContent.Identifier, n, maxDocument)
		}
	case api.ExternalSourceTypeS3:
		if s.S3Location == nil || s.ByteContent != nil {
			return invalid("A source of type S3 has s3Location and nothing else.")
		}
	default:
		return invalid("The type %q of a source is not known.", s.SourceType)
	}
	return nil
}

// passages reads the documents of a request and picks of them what the question is
// about: all, where the model can take all.
func (o *Operations) passages(ctx context.Context, t *task, queries []string) ([]api.KnowledgeBaseRetrievalResult, error) {
	var all []api.KnowledgeBaseRetrievalResult
	var sizes []int
	for i := range t.sources {
		in, location, err := o.open(ctx, &t.sources[i])
		if err != nil {
			return nil, err
		}
		doc, err := o.cfg.Parser.Parse(ctx, in)
		if err != nil {
			if e, ok := errors.AsType[*parse.Error](err); ok {
				return nil, apierr.Wrap(apierr.Validation, err, "The document %s could not be read: %s", in.Name, e.Message)
			}
			return nil, err
		}
		cut := chunk.Splitter{
			Strategy: chunk.Strategy{Kind: chunk.FixedSize, FixedSize: &chunk.FixedSizeConfig{MaxTokens: passageTokens, OverlapPercentage: 10}},
			Tokens:   chunk.Counted(estimates),
		}
		pieces, err := cut.Split(ctx, doc)
		if err != nil {
			return nil, err
		}
		for _, p := range pieces.Chunks {
			if strings.TrimSpace(p.Text) == "" {
				continue
			}
			all = append(all, api.KnowledgeBaseRetrievalResult{
				Content: &api.RetrievalResultContent{Text: new(p.Text), Type: api.RetrievalResultContentTypeText}, Location: location,
			})
			sizes = append(sizes, estimate(p.Text)+20)
		}
	}
	return pick(o.terms, strings.Join(queries, " "), all, sizes, cmp.Or(t.target.Info.Context, t.target.Context, fallbackContext)/2), nil
}

// open gets a document: from the request, or from a bucket in the caller's name.
func (o *Operations) open(ctx context.Context, s *api.ExternalSource) (parse.Input, *api.RetrievalResultLocation, error) {
	if b := s.ByteContent; b != nil {
		kind, _, err := mime.ParseMediaType(b.ContentType)
		if err != nil {
			kind = b.ContentType
		}
		in := parse.Input{Name: b.Identifier, MediaType: kind, Data: b.Data}
		if f, ok := parse.FormatOfMediaType(kind); ok {
			in.Format = f
		} else if _, named := parse.FormatOf(b.Identifier); !named {
			return in, nil, invalid("Documents of the type %s cannot be read.", b.ContentType)
		}
		return in, &api.RetrievalResultLocation{Type: api.RetrievalResultLocationTypeCustom, CustomDocumentLocation: &api.RetrievalResultCustomDocumentLocation{Id: new(b.Identifier)}}, nil
	}
	uri := s.S3Location.Uri
	at, err := bucket.ParseURI(uri)
	if err != nil || at.Key == "" {
		return parse.Input{}, nil, invalid("%s is not the URI of an object.", uri)
	}
	if o.cfg.Files == nil {
		return parse.Input{}, nil, apierr.New(apierr.Validation, "This server has no buckets: send the document with the request (BYTE_CONTENT).")
	}
	who, _ := call.From(ctx).Caller.(*iam.Principal)
	data, info, err := bucket.ReadAll(ctx, o.cfg.Files, bucket.As(who), at, maxDocument)
	switch {
	case errors.Is(err, bucket.ErrDenied):
		return parse.Input{}, nil, apierr.Wrap(apierr.AccessDenied, err, "The caller may not read %s.", uri)
	case errors.Is(err, object.ErrNotFound), errors.Is(err, object.ErrNoBucket):
		return parse.Input{}, nil, apierr.Wrap(apierr.Validation, err, "%s is not there.", uri)
	case errors.Is(err, bucket.ErrTooLarge):
		return parse.Input{}, nil, apierr.Wrap(apierr.Validation, err, "%s is larger than %d bytes.", uri, maxDocument)
	case err != nil && ctx.Err() == nil:
		out := apierr.Wrap(apierr.DependencyFailed, err, "%s could not be read.", uri)
		out.Detail.ResourceName = uri
		return parse.Input{}, nil, out
	case err != nil:
		return parse.Input{}, nil, err
	}
	// The name says more than a type that uploads get by default.
	in := parse.Input{Name: path.Base(at.Key), Data: data}
	if _, named := parse.FormatOf(in.Name); !named {
		in.MediaType = info.Attributes.ContentType
	}
	return in,
		&api.RetrievalResultLocation{Type: api.RetrievalResultLocationTypeS3, S3Location: &api.RetrievalResultS3Location{Uri: new(uri)}}, nil
}

// pick chooses the passages that share the rarest terms with the question, as many as
// budget allows, and leaves them in the order of the document.
func pick(a *analyse.Analyser, question string, all []api.KnowledgeBaseRetrievalResult, sizes []int, budget int) []api.KnowledgeBaseRetrievalResult {
	total := 0
	for _, n := range sizes {
		total += n
	}
	if total <= budget {
		return all
	}
	e := newEvidence(a, question, all)
	order := make([]int, len(all))
	scores := make([]float64, len(all))
	for i := range all {
		order[i] = i
		for t := range e.asked {
			if e.passages[i].terms[t] {
				scores[i] += e.weight[t]
			}
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var chosen []int
	for _, i := range order {
		if scores[i] == 0 && len(chosen) > 0 {
			break
		}
		if sizes[i] <= budget {
			budget -= sizes[i]
			chosen = append(chosen, i)
		}
	}
	slices.Sort(chosen)
	out := make([]api.KnowledgeBaseRetrievalResult, 0, len(chosen))
	for _, i := range chosen {
		out = append(out, all[i])
	}
	return out
}

// estimate guesses how many tokens a text has: four letters are one, of scripts
// without an alphabet each is one and a half.
func estimate(s string) int {
	quarters := 0
	for _, r := range s {
		switch {
		case r < 0x80:
			quarters++
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			quarters += 6
		default:
			quarters += 2
		}
	}
	return (quarters + 3) / 4
}

func estimates(_ context.Context, texts []string) ([]int, error) {
	out := make([]int, len(texts))
	for i, t := range texts {
		out[i] = estimate(t)
	}
	return out, nil
}
