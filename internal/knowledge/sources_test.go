package knowledge

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

func fixed(tokens, overlap int) *api.VectorIngestionConfiguration {
	return &api.VectorIngestionConfiguration{ChunkingConfiguration: &api.ChunkingConfiguration{
		ChunkingStrategy: api.ChunkingStrategyFixedSize, FixedSizeChunkingConfiguration: &api.FixedSizeChunkingConfiguration{MaxTokens: tokens, OverlapPercentage: overlap},
	}}
}

func lambdas(n int) *api.VectorIngestionConfiguration {
	c := &api.CustomTransformationConfiguration{IntermediateStorage: &api.IntermediateStorage{S3Location: &api.S3Location{Uri: "s3://between/x"}}}
	for range n {
		c.Transformations = append(c.Transformations, api.Transformation{StepToApply: api.StepTypePostChunking, TransformationFunction: &api.TransformationFunction{
			TransformationLambdaConfiguration: &api.TransformationLambdaConfiguration{LambdaArn: "arn:aws:lambda:us-east-1:123456789012:function:f"},
		}})
	}
	return &api.VectorIngestionConfiguration{CustomTransformationConfiguration: c}
}

func TestADataSource(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	in := newSource(id, "first")
	in.VectorIngestionConfiguration, in.Description, in.ClientToken = fixed(100, 20), new("said"), new(someToken)
	in.ServerSideEncryptionConfiguration = sealed(keyA)
	out, err := p.CreateDataSource(p.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	d := out.DataSource
	if d.Status != api.DataSourceStatusAvailable || d.DataDeletionPolicy != api.DataDeletionPolicyDelete || d.KnowledgeBaseId != id || len(d.DataSourceId) != 10 {
		t.Errorf("%+v", d)
	}
	got, err := p.GetDataSource(p.ctx, &api.GetDataSourceInput{KnowledgeBaseId: id, DataSourceId: d.DataSourceId})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, got.DataSource); diff != "" {
		t.Error(diff)
	}
	for _, diff := range []string{
		cmp.Diff(in.DataSourceConfiguration, d.DataSourceConfiguration), cmp.Diff(in.VectorIngestionConfiguration, d.VectorIngestionConfiguration),
		cmp.Diff(in.ServerSideEncryptionConfiguration, d.ServerSideEncryptionConfiguration),
	} {
		if diff != "" {
			t.Error(diff)
		}
	}
	again, err := p.CreateDataSource(p.ctx, in)
	if err != nil || again.DataSource.DataSourceId != d.DataSourceId {
		t.Errorf("again: %+v, %v", again, err)
	}
	_, err = p.CreateDataSource(p.ctx, newSource(id, "first"))
	want(t, "the same name", err, apierr.Conflict, "DataSource with name first already exists.")
	if _, err := p.CreateDataSource(p.ctx, newSource(p.base(t, "l"), "first")); err != nil {
		t.Errorf("the name in another knowledge base: %v", err)
	}
	_, err = p.CreateDataSource(p.ctx, newSource("NOTTHERE00", "x"))
	want(t, "in nothing", err, apierr.ResourceNotFound, "")
	s, err := p.room.Source(p.ctx, p.got(t, id), d.DataSourceId)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(chunk.Strategy{Kind: chunk.FixedSize, FixedSize: &chunk.FixedSizeConfig{MaxTokens: 100, OverlapPercentage: 20}}, s.Strategy()); diff != "" {
		t.Error(diff)
	}
	if s.KeyARN != keyA || s.Base != id || s.ID != d.DataSourceId || s.Config.S3Configuration.BucketArn != "arn:aws:s3:::documents" {
		t.Errorf("%+v", s)
	}
	_, err = p.room.Source(p.ctx, p.got(t, id), "NOTTHERE00")
	want(t, "a source that is not there", err, apierr.ResourceNotFound, "")
	// One that is made of what programs hand over.
	custom := &api.CreateDataSourceInput{KnowledgeBaseId: id, Name: "custom", DataSourceConfiguration: &api.DataSourceConfiguration{Type: api.DataSourceTypeCustom}, VectorIngestionConfiguration: lambdas(1), DataDeletionPolicy: api.DataDeletionPolicyRetain}
	if out, err = p.CreateDataSource(p.ctx, custom); err != nil || out.DataSource.DataDeletionPolicy != api.DataDeletionPolicyRetain {
		t.Errorf("%+v, %v", out, err)
	}
	creating, err := p.CreateKnowledgeBase(p.ctx, newBase("m"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.CreateDataSource(p.ctx, newSource(creating.KnowledgeBase.KnowledgeBaseId, "x"))
	want(t, "while it is made", err, apierr.Conflict, "CREATING")
}

func TestWhatADataSourceCannotBe(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	small := newBase("small")
	small.KnowledgeBaseConfiguration = vectorConfig(cohere)
	of, err := p.CreateKnowledgeBase(p.ctx, small)
	if err != nil {
		t.Fatal(err)
	}
	p.pass()
	kind := func(k api.DataSourceType) func(*api.CreateDataSourceInput) {
		return func(in *api.CreateDataSourceInput) {
			in.DataSourceConfiguration = &api.DataSourceConfiguration{Type: k}
		}
	}
	ingest := func(v *api.VectorIngestionConfiguration) func(*api.CreateDataSourceInput) {
		return func(in *api.CreateDataSourceInput) { in.VectorIngestionConfiguration = v }
	}
	broken := func(change func(*api.CustomTransformationConfiguration)) func(*api.CreateDataSourceInput) {
		v := lambdas(1)
		change(v.CustomTransformationConfiguration)
		return ingest(v)
	}
	for what, c := range map[string]struct {
		change func(*api.CreateDataSourceInput)
		part   string
	}{
		"web":        {kind(api.DataSourceTypeWeb), "WEB (the web crawler) is not supported by Outcrop"},
		"Confluence": {kind(api.DataSourceTypeConfluence), "CONFLUENCE"},
		"Salesforce": {kind(api.DataSourceTypeSalesforce), "SALESFORCE"},
		"SharePoint": {kind(api.DataSourceTypeSharepoint), "SHAREPOINT"},
		"Redshift":   {kind(api.DataSourceTypeRedshiftMetadata), "REDSHIFT_METADATA"},
		"no bucket":  {kind(api.DataSourceTypeS3), "s3Configuration is required"},
		"custom with a bucket": {func(in *api.CreateDataSourceInput) {
			in.DataSourceConfiguration.Type = api.DataSourceTypeCustom
		}, "s3Configuration cannot be given"},
		"foundation model parsing": {ingest(&api.VectorIngestionConfiguration{ParsingConfiguration: &api.ParsingConfiguration{ParsingStrategy: api.ParsingStrategyBedrockFoundationModel}}), "BEDROCK_FOUNDATION_MODEL is not supported by Outcrop"},
		"data automation":          {ingest(&api.VectorIngestionConfiguration{ParsingConfiguration: &api.ParsingConfiguration{ParsingStrategy: api.ParsingStrategyBedrockDataAutomation}}), "BEDROCK_DATA_AUTOMATION is not supported by Outcrop"},
		"enrichment":               {ingest(&api.VectorIngestionConfiguration{ContextEnrichmentConfiguration: &api.ContextEnrichmentConfiguration{Type: api.ContextEnrichmentTypeBedrockFoundationModel}}), "not supported by Outcrop"},
		"no overlap":               {ingest(fixed(100, 0)), "overlapPercentage"},
		"overlap of all":           {ingest(fixed(100, 100)), "overlapPercentage"},
		"beyond the local model":   {ingest(fixed(513, 20)), "is served by small here"},
		"beyond AWS's quota": {func(in *api.CreateDataSourceInput) {
			in.KnowledgeBaseId, in.VectorIngestionConfiguration = of.KnowledgeBase.KnowledgeBaseId, fixed(513, 20)
		}, "more than the 512 tokens that the embedding model takes."},
		"a strategy without its object": {ingest(&api.VectorIngestionConfiguration{ChunkingConfiguration: &api.ChunkingConfiguration{ChunkingStrategy: api.ChunkingStrategySemantic}}), "semanticChunkingConfiguration"},
		"two functions":                 {ingest(lambdas(2)), "one transformation"},
		"no function":                   {ingest(lambdas(0)), "one transformation"},
		"another step":                  {broken(func(c *api.CustomTransformationConfiguration) { c.Transformations[0].StepToApply = "X" }), "stepToApply"},
		"no lambda":                     {broken(func(c *api.CustomTransformationConfiguration) { c.Transformations[0].TransformationFunction = nil }), "lambdaArn"},
		"no storage":                    {broken(func(c *api.CustomTransformationConfiguration) { c.IntermediateStorage = nil }), "intermediate storage"},
		"a bad uri": {broken(func(c *api.CustomTransformationConfiguration) {
			c.IntermediateStorage.S3Location.Uri = "s3://Bad_Name/"
		}), "s3://BUCKET"},
	} {
		in := newSource(id, "refused")
		c.change(in)
		_, err := p.CreateDataSource(p.ctx, in)
		want(t, what, err, apierr.Validation, c.part)
		if e, ok := errors.AsType[*apierr.Error](err); ok && (len(e.Detail.Fields) != 1 || !strings.Contains(e.Detail.Fields[0].Name, "onfiguration")) {
			t.Errorf("%s names %v", what, e.Detail.Fields)
		}
	}
	if list, err := p.room.Sources(p.ctx, p.got(t, id)); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestUpdatesOfDataSources(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	p.source(t, id, "other", "", "")
	in := newSource(id, "first")
	in.VectorIngestionConfiguration, in.Description, in.DataDeletionPolicy = fixed(100, 20), new("said"), api.DataDeletionPolicyRetain
	out, err := p.CreateDataSource(p.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	source := out.DataSource.DataSourceId
	of := func() *api.UpdateDataSourceInput {
		return &api.UpdateDataSourceInput{KnowledgeBaseId: id, DataSourceId: source, Name: "renamed", DataSourceConfiguration: newSource(id, "").DataSourceConfiguration, VectorIngestionConfiguration: fixed(100, 20)}
	}
	u := of()
	u.DataSourceConfiguration.S3Configuration.BucketArn = "arn:aws:s3:::elsewhere"
	got, err := p.UpdateDataSource(p.ctx, u)
	if err != nil {
		t.Fatal(err)
	}
	d := got.DataSource
	if d.Name != "renamed" || d.Description != nil || d.DataDeletionPolicy != api.DataDeletionPolicyDelete || d.Status != api.DataSourceStatusAvailable ||
		d.DataSourceConfiguration.S3Configuration.BucketArn != "arn:aws:s3:::elsewhere" || !d.UpdatedAt.After(out.DataSource.UpdatedAt) {
		t.Errorf("%+v", d)
	}
	if _, err := p.UpdateDataSource(p.ctx, of()); err != nil {
		t.Errorf("with its own name: %v", err)
	}
	for what, c := range map[string]struct {
		change func(*api.UpdateDataSourceInput)
		kind   apierr.Kind
		part   string
	}{
		"other chunks": {func(u *api.UpdateDataSourceInput) { u.VectorIngestionConfiguration = fixed(101, 20) }, apierr.Validation, "cannot be changed"},
		"no chunks":    {func(u *api.UpdateDataSourceInput) { u.VectorIngestionConfiguration = nil }, apierr.Validation, "cannot be changed"},
		"another type": {func(u *api.UpdateDataSourceInput) {
			u.DataSourceConfiguration = &api.DataSourceConfiguration{Type: api.DataSourceTypeCustom}
		}, apierr.Validation, "cannot be changed"},
		"a web crawler": {func(u *api.UpdateDataSourceInput) { u.DataSourceConfiguration.Type = api.DataSourceTypeWeb }, apierr.Validation, "not supported"},
		"a taken name":  {func(u *api.UpdateDataSourceInput) { u.Name = "other" }, apierr.Conflict, "DataSource with name other already exists."},
		"nothing":       {func(u *api.UpdateDataSourceInput) { u.DataSourceId = "NOTTHERE00" }, apierr.ResourceNotFound, ""},
	} {
		u := of()
		c.change(u)
		_, err := p.UpdateDataSource(p.ctx, u)
		want(t, what, err, c.kind, c.part)
	}
	// Nothing said is the same as an empty configuration.
	plain := p.source(t, id, "plain", "", "")
	u = of()
	u.DataSourceId, u.Name, u.VectorIngestionConfiguration = plain, "plain", &api.VectorIngestionConfiguration{}
	if _, err := p.UpdateDataSource(p.ctx, u); err != nil {
		t.Error(err)
	}
}

func TestTheOldestKeySealsTheIndex(t *testing.T) {
	p := open(t, Quotas{})
	p.work(t)
	id := p.base(t, "k")
	check := func(when, key string) {
		t.Helper()
		if got := p.sealedWith(t, id); got != key {
			t.Errorf("%s the index is sealed with %q, want %q", when, got, key)
		}
		if b := p.got(t, id); b.KeyARN != key {
			t.Errorf("%s the row says %q, want %q", when, b.KeyARN, key)
		}
	}
	none := p.source(t, id, "none", "", "")
	check("with a source without a key", "")
	first := p.source(t, id, "first", keyA, "")
	check("with the first key", keyA)
	second := p.source(t, id, "second", keyB, "")
	check("with two keys", keyA)
	change := func(source, name, key string) error {
		_, err := p.UpdateDataSource(p.ctx, &api.UpdateDataSourceInput{KnowledgeBaseId: id, DataSourceId: source, Name: name, DataSourceConfiguration: newSource(id, "").DataSourceConfiguration, ServerSideEncryptionConfiguration: sealed(key)})
		return err
	}
	if err := change(none, "none", keyB); err != nil {
		t.Fatal(err)
	}
	check("after the oldest took one", keyB)
	if err := change(none, "none", ""); err != nil {
		t.Fatal(err)
	}
	check("after it gave it back", keyA)
	if err := p.deletedSource(id, first); err != nil {
		t.Fatal(err)
	}
	until(t, "deleted", func() bool { return p.sourceStatus(t, id, first) == "gone" })
	check("after the first went", keyB)
	for _, a := range p.acted() {
		if !strings.HasSuffix(a, someRole) {
			t.Errorf("not in the name of the role: %s", a)
		}
	}
	// What the role is refused refuses the change, and nothing is changed.
	p.gate.deny(keyA, true)
	err := change(none, "none", keyA)
	want(t, "a key that refuses", err, apierr.AccessDenied, "not authorized to use "+keyA)
	want(t, "and why it matters", err, apierr.AccessDenied, "oldest data source that names one")
	check("after the refusal", keyB)
	s, err := p.room.Source(p.ctx, p.got(t, id), none)
	if err != nil || s.KeyARN != "" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := change(second, "second", ""); err != nil {
		t.Fatal(err)
	}
	check("when none has a key", "")
	in := newSource(id, "third")
	in.ServerSideEncryptionConfiguration = sealed(keyA)
	_, err = p.CreateDataSource(p.ctx, in)
	want(t, "a new source whose key refuses", err, apierr.AccessDenied, keyA)
	if list, err := p.room.Sources(p.ctx, p.got(t, id)); err != nil || slices.ContainsFunc(list, func(s *Source) bool { return s.Name == "third" }) {
		t.Errorf("the refused one is there: %v", err)
	}
	// The same of a role that is gone.
	p.roles.refuse("assume", apierr.New(apierr.AccessDenied, "no such role"))
	in.ServerSideEncryptionConfiguration = sealed(keyB)
	_, err = p.CreateDataSource(p.ctx, in)
	want(t, "a role that is gone", err, apierr.AccessDenied, "no such role")
	check("then", "")
}

func TestAKeyIsTakenBackWhenTheRowDoesNotCome(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	b := p.got(t, id)
	_, key := at(p.ctx, id)
	failed := apierr.New(apierr.Validation, "the row does not come")
	err := p.room.apply(p.ctx, change{
		base: key, source: "X", after: func(list []record) []record {
			return append(list, record{Body: sourceRow{Encryption: sealed(keyA)}})
		},
		write: func(*tx, *baseRecord) error {
			if got := p.sealedWith(t, id); got != keyA {
				t.Errorf("written while the index is sealed with %q", got)
			}
			return failed
		},
	})
	want(t, "apply", err, apierr.Validation, "does not come")
	if got := p.sealedWith(t, id); got != "" || p.got(t, id).KeyARN != b.KeyARN {
		t.Errorf("left sealed with %q", got)
	}
}

func TestAKeyThatCameInBetweenIsNotedAndLost(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	_, key := at(p.ctx, id)
	// The change foresees no key, and while it is written another one gave the index one.
	err := p.room.apply(p.ctx, change{
		base: key, source: "X", after: func(list []record) []record { return list },
		write: func(tx *tx, _ *baseRecord) error {
			_, err := sources.Create(tx, inside(key, "BETWEEN000"), sourceRow{Encryption: sealed(keyA), Status: sourceStates.Initial()}, columns{Name: "between"})
			return err
		},
	})
	want(t, "apply", failure(err), apierr.Conflict, "Try again")
	if list, err := p.room.Sources(p.ctx, p.got(t, id)); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
