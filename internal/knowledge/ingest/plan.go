package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
)

// plan is how documents of a data source are read and cut.
type plan struct {
	strategy chunk.Strategy
	limit    int    // tokens of a chunk, 0 unknown
	function string // of the custom transformation, "" for none
	between  bucket.Location
	// print stands for all of it in versions of documents.
	print string
}

// planOf reads a data source's configuration; what Outcrop cannot do is refused.
func planOf(b *knowledge.Base, s *knowledge.Source) (*plan, error) {
	p := &plan{strategy: s.Strategy(), limit: b.Model.Most()}
	v := s.Ingestion
	if v == nil {
		v = &api.VectorIngestionConfiguration{}
	}
	if c := v.ParsingConfiguration; c != nil {
		return nil, invalid("The parsing strategy %s is not supported by Outcrop, whose own parser reads all formats. Leave parsingConfiguration out.", c.ParsingStrategy)
	}
	if v.ContextEnrichmentConfiguration != nil {
		return nil, invalid("Context enrichment is not supported by Outcrop. Leave contextEnrichmentConfiguration out.")
	}
	if c := v.CustomTransformationConfiguration; c != nil {
		if len(c.Transformations) != 1 || c.IntermediateStorage == nil || c.IntermediateStorage.S3Location == nil ||
			c.Transformations[0].TransformationFunction == nil || c.Transformations[0].TransformationFunction.TransformationLambdaConfiguration == nil {
			return nil, invalid("A custom transformation needs one function and an intermediate storage.")
		}
		p.function = c.Transformations[0].TransformationFunction.TransformationLambdaConfiguration.LambdaArn
		at, err := bucket.ParseURI(c.IntermediateStorage.S3Location.Uri)
		if err != nil {
			return nil, invalid("The intermediate storage %s is no S3 URI.", c.IntermediateStorage.S3Location.Uri)
		}
		p.between = at
	}
	if err := chunk.Validate(p.strategy, p.limit); err != nil {
		return nil, invalid("The chunking configuration cannot be used: %v", err)
	}
	p.print = digest(string(encode(p.strategy)), p.function, b.Model.Hash)
	return p, nil
}

// version is that of a document whose content and metadata have these marks.
func (p *plan) version(content, metadata string) string { return digest(p.print, content, metadata) }

// digest is 16 bytes of SHA-256 over parts, in hex.
func digest(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		_, _ = h.Write([]byte{byte(len(s) >> 24), byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))})
		_, _ = h.Write([]byte(s))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// bucketOf is what a data source of type S3 lists.
func bucketOf(s *knowledge.Source) (bucket.Location, error) {
	c := s.Config.S3Configuration
	if c == nil {
		return bucket.Location{}, invalid("The data source has no S3 configuration.")
	}
	_, name, ok := strings.Cut(c.BucketArn, ":::")
	if !ok || name == "" {
		return bucket.Location{}, invalid("The bucket ARN %s names no bucket.", c.BucketArn)
	}
	at := bucket.Location{Bucket: name}
	if len(c.InclusionPrefixes) > 0 {
		at.Key = c.InclusionPrefixes[0]
	}
	if c.BucketOwnerAccountId != nil {
		at.Owner = *c.BucketOwnerAccountId
	}
	return at, nil
}
