package knowledge

import (
	"errors"

	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// part is an object of a configuration and the type that it belongs to.
type part[T ~string] struct {
	of    T
	name  string
	given bool
}

// matching asks that the object of the type is there, and no other.
func matching[T ~string](at string, kind T, parts []part[T]) error {
	for _, p := range parts {
		if p.of == kind && !p.given {
			return invalid(at+"."+p.name, "%s is required in %s when its type is %s.", p.name, at, kind)
		}
	}
	for _, p := range parts {
		if p.of != kind && p.given {
			return invalid(at+"."+p.name, "%s cannot be given in %s when its type is %s.", p.name, at, kind)
		}
	}
	return nil
}

// checkBase checks what the service model does not: that types and objects belong
// together, and that what is asked for can be served.
func checkBase(c *api.KnowledgeBaseConfiguration, s *api.StorageConfiguration) error {
	const at = "knowledgeBaseConfiguration"
	if c == nil {
		return invalid(at, "%s is required.", at)
	}
	if c.Type != api.KnowledgeBaseTypeVector {
		return unsupported(at+".type", "A knowledge base of type "+string(c.Type))
	}
	err := matching(at, c.Type, []part[api.KnowledgeBaseType]{
		{api.KnowledgeBaseTypeVector, "vectorKnowledgeBaseConfiguration", c.VectorKnowledgeBaseConfiguration != nil},
		{api.KnowledgeBaseTypeKendra, "kendraKnowledgeBaseConfiguration", c.KendraKnowledgeBaseConfiguration != nil},
		{api.KnowledgeBaseTypeSql, "sqlKnowledgeBaseConfiguration", c.SqlKnowledgeBaseConfiguration != nil},
	})
	if err != nil {
		return err
	}
	if err := checkVector(at+".vectorKnowledgeBaseConfiguration", c.VectorKnowledgeBaseConfiguration); err != nil {
		return err
	}
	if s == nil {
		return nil
	}
	return matching("storageConfiguration", s.Type, []part[api.KnowledgeBaseStorageType]{
		{api.KnowledgeBaseStorageTypeOpensearchServerless, "opensearchServerlessConfiguration", s.OpensearchServerlessConfiguration != nil},
		{api.KnowledgeBaseStorageTypeOpensearchManagedCluster, "opensearchManagedClusterConfiguration", s.OpensearchManagedClusterConfiguration != nil},
		{api.KnowledgeBaseStorageTypePinecone, "pineconeConfiguration", s.PineconeConfiguration != nil},
		{api.KnowledgeBaseStorageTypeRedisEnterpriseCloud, "redisEnterpriseCloudConfiguration", s.RedisEnterpriseCloudConfiguration != nil},
		{api.KnowledgeBaseStorageTypeRds, "rdsConfiguration", s.RdsConfiguration != nil},
		{api.KnowledgeBaseStorageTypeMongoDbAtlas, "mongoDbAtlasConfiguration", s.MongoDbAtlasConfiguration != nil},
		{api.KnowledgeBaseStorageTypeNeptuneAnalytics, "neptuneAnalyticsConfiguration", s.NeptuneAnalyticsConfiguration != nil},
		{api.KnowledgeBaseStorageTypeS3Vectors, "s3VectorsConfiguration", s.S3VectorsConfiguration != nil},
	})
}

func checkVector(at string, v *api.VectorKnowledgeBaseConfiguration) error {
	if m := bedrockModel(v); m != nil {
		in := at + ".embeddingModelConfiguration.bedrockEmbeddingModelConfiguration."
		switch {
		case m.EmbeddingDataType == api.EmbeddingDataTypeBinary:
			return unsupported(in+"embeddingDataType", "The embeddingDataType BINARY")
		case len(m.Audio) > 0:
			return unsupported(in+"audio", "Embedding of audio")
		case len(m.Video) > 0:
			return unsupported(in+"video", "Embedding of video")
		}
	}
	if v.SupplementalDataStorageConfiguration != nil {
		for _, l := range v.SupplementalDataStorageConfiguration.StorageLocations {
			if l.S3Location == nil {
				return invalid(at+".supplementalDataStorageConfiguration", "A storage location of type %s requires s3Location.", l.Type)
			}
		}
	}
	return nil
}

func bedrockModel(v *api.VectorKnowledgeBaseConfiguration) *api.BedrockEmbeddingModelConfiguration {
	if v.EmbeddingModelConfiguration == nil {
		return nil
	}
	return v.EmbeddingModelConfiguration.BedrockEmbeddingModelConfiguration
}

// dimensions is what a configuration asks for, 0 for the model's own.
func dimensions(c *api.KnowledgeBaseConfiguration) int {
	if m := bedrockModel(c.VectorKnowledgeBaseConfiguration); m != nil {
		return optional.Value(m.Dimensions)
	}
	return 0
}

// refusedTypes are the data sources that the model has and Outcrop cannot read.
var refusedTypes = map[api.DataSourceType]string{
	api.DataSourceTypeWeb: "the web crawler", api.DataSourceTypeConfluence: "Confluence", api.DataSourceTypeSalesforce: "Salesforce",
	api.DataSourceTypeSharepoint: "SharePoint", api.DataSourceTypeRedshiftMetadata: "metadata of Redshift",
}

// checkSource does the same as checkBase for a data source's own configuration.
func checkSource(c *api.DataSourceConfiguration) error {
	const at = "dataSourceConfiguration"
	if c == nil {
		return invalid(at, "%s is required.", at)
	}
	if what, refused := refusedTypes[c.Type]; refused {
		return unsupported(at+".type", "A data source of type "+string(c.Type)+" ("+what+")")
	}
	return matching(at, c.Type, []part[api.DataSourceType]{
		{api.DataSourceTypeS3, "s3Configuration", c.S3Configuration != nil},
		{api.DataSourceTypeWeb, "webConfiguration", c.WebConfiguration != nil},
		{api.DataSourceTypeConfluence, "confluenceConfiguration", c.ConfluenceConfiguration != nil},
		{api.DataSourceTypeSalesforce, "salesforceConfiguration", c.SalesforceConfiguration != nil},
		{api.DataSourceTypeSharepoint, "sharePointConfiguration", c.SharePointConfiguration != nil},
	})
}

// Strategy is how the documents of a data source are cut.
func (s *Source) Strategy() chunk.Strategy { return strategyOf(s.Ingestion) }

func strategyOf(v *api.VectorIngestionConfiguration) chunk.Strategy {
	if v == nil || v.ChunkingConfiguration == nil {
		return chunk.Strategy{}
	}
	c := v.ChunkingConfiguration
	out := chunk.Strategy{Kind: chunk.Kind(c.ChunkingStrategy)}
	if f := c.FixedSizeChunkingConfiguration; f != nil {
		out.FixedSize = &chunk.FixedSizeConfig{MaxTokens: f.MaxTokens, OverlapPercentage: f.OverlapPercentage}
	}
	if h := c.HierarchicalChunkingConfiguration; h != nil {
		out.Hierarchical = &chunk.HierarchicalConfig{OverlapTokens: h.OverlapTokens}
		for _, l := range h.LevelConfigurations {
			out.Hierarchical.MaxTokens = append(out.Hierarchical.MaxTokens, l.MaxTokens)
		}
	}
	if s := c.SemanticChunkingConfiguration; s != nil {
		out.Semantic = &chunk.SemanticConfig{MaxTokens: s.MaxTokens, BufferSize: s.BufferSize, BreakpointPercentileThreshold: s.BreakpointPercentileThreshold}
	}
	return out
}

// Most is how many tokens a chunk may have: what the model takes on AWS and what the
// one that serves it here takes, whichever is less; 0 when neither is known.
func (e Embedding) Most() int {
	if e.Limit > 0 && (e.Quota == 0 || e.Limit < e.Quota) {
		return e.Limit
	}
	return e.Quota
}

// checkIngestion checks how documents are to be read and cut for a model.
func checkIngestion(v *api.VectorIngestionConfiguration, m Embedding) error {
	const at = "vectorIngestionConfiguration"
	if v == nil {
		return nil
	}
	if p := v.ParsingConfiguration; p != nil {
		return unsupported(at+".parsingConfiguration", "Parsing with "+string(p.ParsingStrategy))
	}
	if c := v.ContextEnrichmentConfiguration; c != nil {
		return unsupported(at+".contextEnrichmentConfiguration", "Context enrichment with "+string(c.Type))
	}
	if v.ChunkingConfiguration != nil && v.ChunkingConfiguration.ChunkingStrategy == "" {
		return invalid(at+".chunkingConfiguration.chunkingStrategy", "chunkingStrategy is required in chunkingConfiguration.")
	}
	if err := chunk.Validate(strategyOf(v), m.Most()); err != nil {
		field := at + ".chunkingConfiguration"
		if e, ok := errors.AsType[*chunk.Invalid](err); ok {
			field += "." + e.Field
		}
		text := err.Error()
		if m.Limit > 0 && m.Limit == m.Most() && m.Limit != m.Quota && chunk.Validate(strategyOf(v), m.Quota) == nil {
			text += " The embedding model " + m.ID + " is served by " + m.Local + " here."
		}
		return invalid(field, "%s", text)
	}
	if c := v.CustomTransformationConfiguration; c != nil {
		return checkTransformation(at+".customTransformationConfiguration", c)
	}
	return nil
}

func checkTransformation(at string, c *api.CustomTransformationConfiguration) error {
	if len(c.Transformations) != 1 {
		return invalid(at+".transformations", "transformations must hold one transformation; it holds %d.", len(c.Transformations))
	}
	t := c.Transformations[0]
	switch {
	case t.StepToApply != api.StepTypePostChunking:
		return invalid(at+".transformations.0.stepToApply", "stepToApply must be %s.", api.StepTypePostChunking)
	case t.TransformationFunction == nil || t.TransformationFunction.TransformationLambdaConfiguration == nil || t.TransformationFunction.TransformationLambdaConfiguration.LambdaArn == "":
		return invalid(at+".transformations.0.transformationFunction", "A transformation requires the lambdaArn of its function.")
	case c.IntermediateStorage == nil || c.IntermediateStorage.S3Location == nil:
		return invalid(at+".intermediateStorage", "A custom transformation requires the S3 location of an intermediate storage.")
	}
	if _, err := bucket.ParseURI(c.IntermediateStorage.S3Location.Uri); err != nil {
		return invalid(at+".intermediateStorage.s3Location.uri", "The uri of the intermediate storage must be s3://BUCKET or s3://BUCKET/PREFIX.")
	}
	return nil
}
