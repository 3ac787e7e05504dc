package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/inference"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/ingest"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/knowledge/rag"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/knowledge/storage"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/tag"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vector/pgvector"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
)

// library holds the rooms of knowledge bases and what stands under them.
type library struct {
	vectors *embedded.Store
	buckets *vectorbucket.Service
	parser  *parse.Parser
	bases   *knowledge.Room
	ingest  *ingest.Room
	search  *retrieve.Room
	answers *rag.Operations
}

// VectorFolder is the folder of the built-in indexes in a data folder.
const VectorFolder = "vectors"

// makeVectors opens the built-in indexes and the S3 vector buckets over them.
func (s *Server) makeVectors(ctx context.Context, _ *Options) error {
	var err error
	s.library.vectors, err = embedded.New(embedded.Config{
		Dir: filepath.Join(s.cfg.Data, VectorFolder), Sealer: s.sealer, Memory: s.cfg.VectorMemory, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.library.vectors.Close)
	c := vectorbucket.Config{Store: s.store, Vectors: s.library.vectors, Policies: s.identity, Keys: true, Logger: s.log}
	if s.cfg.Auth == "off" {
		c.Policies = nil
	}
	s.library.buckets, err = vectorbucket.New(ctx, c)
	return err
}

// makeLibrary builds the rooms of knowledge bases. It needs the models of the runtime.
func (s *Server) makeLibrary(models *inference.Runtime) error {
	for cluster, address := range s.cfg.Clusters {
		if _, _, err := storage.ParseCluster(cluster + "=" + address); err != nil {
			return fmt.Errorf("--cluster: %w", err)
		}
	}
	c := storage.Config{
		Embedded: s.library.vectors, Buckets: s.library.buckets, Clusters: s.cfg.Clusters, Tables: tables{}, Secrets: s.secretOf, Policies: s.identity,
		Bases: func(ctx context.Context, account, region string) ([]*knowledge.Base, error) {
			return s.library.bases.All(ctx, account, region)
		},
		Logger: s.log,
	}
	if s.cfg.Auth == "off" {
		c.Policies = nil
	}
	indexes, err := storage.New(c)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, indexes.Close)
	roles := baseRoles{s}
	l := &s.library
	l.parser = parse.New(parse.Config{Unsafe: s.cfg.UnsafeLocalCode, Log: s.log})
	s.closers = append(s.closers, func() error { l.parser.Close(); return nil })
	l.bases = knowledge.New(knowledge.Config{
		Store: s.store, Models: textModels{models}, Indexes: indexes, Roles: roles, Now: s.clock.Now, Transition: s.cfg.Transition,
		Quiet: ingest.Quiet, Forget: ingest.Forget, Log: s.log,
	})
	l.ingest = ingest.New(ingest.Config{
		Knowledge: l.bases, Store: s.store, Files: s.account.files, Parser: l.parser, Functions: baseFunctions{s},
		Region: s.bucketRegion, Now: s.clock.Now, Log: s.log, At: failpoints(),
	})
	l.search = retrieve.New(retrieve.Config{Bases: l.bases, Roles: roles, Log: s.log})
	l.answers, err = rag.New(rag.Config{
		Models: models, Resolver: s.catalog, Bases: l.bases, Searcher: askingCaller{s},
		Sessions: s.sessions, Parser: l.parser, Files: s.account.files,
		Permissions: callerRights{s}, Now: s.clock.Now, Log: s.log,
	})
	return err
}

// libraryJobs is the durable work of knowledge bases. The rooms are made after the
// runner.
func (s *Server) libraryJobs() []job.Kind {
	kinds := knowledge.Jobs(func() *knowledge.Room { return s.library.bases })
	return append(kinds, ingest.Kinds(func() *ingest.Room { return s.library.ingest })...)
}

// baseOwners is the table of who keeps the knowledge bases that bedrock-agent tags.
func baseOwners(bases *knowledge.Room) []tag.Owner {
	return []tag.Owner{{Type: "knowledge-base", Exists: bases.Exists}}
}

// bucketRegion is where a bucket lies; buckets of another endpoint do not say.
func (s *Server) bucketRegion(ctx context.Context, name string) (string, error) {
	if s.cfg.Neighbours["s3"] != "" {
		return "", nil
	}
	rec, err := s.account.buckets.Lookup(ctx, name)
	if errors.Is(err, object.ErrNoBucket) {
		return "", nil // the listing says so
	}
	return rec.Place.Region, err
}

// secretOf reads a secret as the service role that ctx acts for.
func (s *Server) secretOf(ctx context.Context, arn string) ([]byte, error) {
	c := call.From(ctx)
	got, err := s.account.secrets.Value(ctx, kms.Caller{Principal: knowledge.ActingAs(ctx), Account: c.Account, Region: c.Region}, arn, "", "")
	if err != nil {
		return nil, err
	}
	if got.Value.Text != nil {
		return []byte(*got.Value.Text), nil
	}
	return got.Value.Binary, nil
}

// baseRoles act with the service roles of knowledge bases.
type baseRoles struct{ s *Server }

var _ knowledge.Roles = baseRoles{}

// Pass implements knowledge.Roles.
func (r baseRoles) Pass(ctx context.Context, role, base string) error {
	return r.s.passRole(ctx, role, base)
}

// Assume implements knowledge.Roles.
func (r baseRoles) Assume(ctx context.Context, role, base, account string) (*iam.Principal, error) {
	return r.s.identity.AssumeService(ctx, iam.AssumeServiceInput{Service: bedrockService, RoleARN: role, SourceARN: base, SourceAccount: account})
}

// Allow implements knowledge.Roles.
func (r baseRoles) Allow(ctx context.Context, p *iam.Principal, action, resource string) error {
	return r.s.identity.Authorize(ctx, p, action, resource, nil)
}

// Invoke implements knowledge.Roles.
func (r baseRoles) Invoke(ctx context.Context, p *iam.Principal, model string) error {
	for _, resource := range r.s.catalog.ResourceARNs(ctx, model) {
		if err := r.s.identity.Authorize(ctx, p, "bedrock:InvokeModel", resource, nil); err != nil {
			return err
		}
	}
	return nil
}

// askingCaller searches for RetrieveAndGenerate: not the service role but the caller must
// be allowed to rerank.
type askingCaller struct{ s *Server }

var _ rag.Searcher = askingCaller{}

// Search implements rag.Searcher.
func (a askingCaller) Search(ctx context.Context, b *knowledge.Base, text string, c *runtime.KnowledgeBaseRetrievalConfiguration) ([]runtime.KnowledgeBaseRetrievalResult, error) {
	rights := callerRights(a)
	found, err := a.s.library.search.Search(ctx, b, retrieve.Question{Text: text, Config: c, Permit: func(ctx context.Context, model string) error {
		if err := rights.Authorize(ctx, "bedrock:Rerank", "*"); err != nil {
			return err
		}
		for _, resource := range a.s.catalog.ResourceARNs(ctx, model) {
			if err := rights.Authorize(ctx, "bedrock:InvokeModel", resource); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return retrieve.Wire(found), nil
}

// callerRights asks what the caller of a request may do beyond the operation itself.
type callerRights struct{ s *Server }

// Authorize implements rag.Permissions.
func (c callerRights) Authorize(ctx context.Context, action, resource string) error {
	p, ok := call.From(ctx).Caller.(*iam.Principal)
	if !ok {
		return nil // everybody is the administrator
	}
	return c.s.identity.Authorize(ctx, p, action, resource, nil)
}

// textModels are the embedding models and rerankers of the runtime.
type textModels struct{ rt *inference.Runtime }

var _ knowledge.Models = textModels{}

func inferred(e knowledge.Embedding) inference.EmbeddingModel { return inference.EmbeddingModel(e) }

// Embedding implements knowledge.Models.
func (m textModels) Embedding(ctx context.Context, model string, dimension int) (knowledge.Embedding, error) {
	e, err := m.rt.FindEmbedding(ctx, model, dimension)
	return knowledge.Embedding(e), err
}

// Embed implements knowledge.Models.
func (m textModels) Embed(ctx context.Context, e knowledge.Embedding, purpose knowledge.Purpose, texts []string) ([][]float32, error) {
	return m.rt.EmbedTexts(ctx, inferred(e), purpose == knowledge.ForSearch, texts)
}

// Ends implements knowledge.Models.
func (m textModels) Ends(ctx context.Context, e knowledge.Embedding, texts []string) ([][]int, error) {
	return m.rt.TokenEnds(ctx, inferred(e), texts)
}

// Rerank implements knowledge.Models.
func (m textModels) Rerank(ctx context.Context, model, question string, texts []string) ([]float64, error) {
	return m.rt.RerankTexts(ctx, model, question, texts)
}

// baseFunctions calls the functions of custom transformations. Not the service calls,
// as with agents: the role of the knowledge base does.
type baseFunctions struct{ s *Server }

var _ ingest.Functions = baseFunctions{}

// CallAs implements ingest.Functions.
func (f baseFunctions) CallAs(ctx context.Context, p *iam.Principal, function string, payload []byte) (answer []byte, failed bool, err error) {
	rules, err := f.s.functions.registry.Policies(ctx, function)
	if err != nil {
		return nil, false, err
	}
	if p != nil {
		if err := f.s.identity.Allow(&iam.Question{Principal: p, Action: "lambda:InvokeFunction", Resource: function, ResourcePolicies: rules}); err != nil {
			return nil, false, err
		}
	}
	res, err := f.s.functions.invoker.Invoke(ctx, fn.Invocation{FunctionARN: function, Payload: payload})
	if err != nil {
		return nil, false, functionFault(err)
	}
	return res.Payload, res.FunctionError != "", nil
}

// agentKnowledge queries knowledge bases for agents: an agent's role must be allowed to
// retrieve, and what it finds is searched with the knowledge base's own role.
type agentKnowledge struct{ s *Server }

var _ turn.Knowledge = agentKnowledge{}

// Retrieve implements turn.Knowledge.
func (k agentKnowledge) Retrieve(ctx context.Context, q turn.Query) ([]runtime.KnowledgeBaseRetrievalResult, error) {
	b, err := k.s.library.bases.Active(ctx, q.Base.ID)
	if err != nil {
		return nil, err
	}
	if err := agentRoles(k).Allow(ctx, q.Role, q.Source, "bedrock:Retrieve", b.ARN()); err != nil {
		return nil, err
	}
	found, err := k.s.library.search.Search(ctx, b, retrieve.Question{Text: q.Text, Config: q.Retrieval})
	if err != nil {
		return nil, err
	}
	return retrieve.Wire(found), nil
}

// tables opens tables of PostgreSQL for knowledge bases of the type RDS.
type tables struct{}

var _ storage.Tables = tables{}

// Capabilities implements storage.Tables.
func (tables) Capabilities() vector.Capabilities { return (*pgvector.Store)(nil).Capabilities() }

// Store implements storage.Tables.
func (tables) Store(t storage.Table) (vector.Store, error) {
	return pgvector.New(pgvector.Config{
		DSN: t.DSN, Definition: t.Definition, Table: t.Name, PrimaryKey: t.PrimaryKey, Vector: t.Vector, Text: t.Text, Metadata: t.Metadata,
		CustomMetadata: t.CustomMetadata,
	})
}
