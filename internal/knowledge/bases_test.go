package knowledge

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

func TestAKnowledgeBaseIsMadeAndShownAsItWasGiven(t *testing.T) {
	p := open(t, Quotas{})
	in := newBase("first")
	in.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration.EmbeddingModelConfiguration = &api.EmbeddingModelConfiguration{
		BedrockEmbeddingModelConfiguration: &api.BedrockEmbeddingModelConfiguration{Dimensions: new(256), EmbeddingDataType: api.EmbeddingDataTypeFloat32},
	}
	in.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration.SupplementalDataStorageConfiguration = &api.SupplementalDataStorageConfiguration{
		StorageLocations: []api.SupplementalDataStorageLocation{{Type: api.SupplementalDataStorageLocationTypeS3, S3Location: &api.S3Location{Uri: "s3://bucket"}}},
	}
	in.Tags = map[string]string{"team": "docs"}
	out, err := p.CreateKnowledgeBase(p.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	k := out.KnowledgeBase
	if !regexp.MustCompile(`^[A-Z0-9]{10}$`).MatchString(k.KnowledgeBaseId) || k.KnowledgeBaseArn != "arn:aws:bedrock:us-east-1:123456789012:knowledge-base/"+k.KnowledgeBaseId {
		t.Errorf("id %q, ARN %q", k.KnowledgeBaseId, k.KnowledgeBaseArn)
	}
	if k.Status != api.KnowledgeBaseStatusCreating {
		t.Errorf("status %s", k.Status)
	}
	if p.roles.passed[0] != someRole+" "+k.KnowledgeBaseArn {
		t.Errorf("role passed: %v", p.roles.passed)
	}
	if got := p.acted(); !cmp.Equal(got, []string{"check " + someRole, "create " + someRole}) {
		t.Errorf("the store was asked as %v", got)
	}
	if _, err := p.room.Active(p.ctx, k.KnowledgeBaseId); apierr.KindOf(err) != apierr.Validation {
		t.Errorf("queried while it is made: %v", err)
	}
	p.pass()
	got, err := p.GetKnowledgeBase(p.ctx, &api.GetKnowledgeBaseInput{KnowledgeBaseId: k.KnowledgeBaseId})
	if err != nil {
		t.Fatal(err)
	}
	k.Status = api.KnowledgeBaseStatusActive
	if d := cmp.Diff(k, got.KnowledgeBase); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(in.KnowledgeBaseConfiguration, k.KnowledgeBaseConfiguration); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(in.StorageConfiguration, k.StorageConfiguration); d != "" {
		t.Error(d)
	}
	b, err := p.room.Active(p.ctx, k.KnowledgeBaseId)
	if err != nil || b.ARN() != k.KnowledgeBaseArn || b.Width != 3 || b.Model.Wire != 256 || b.Model.Hash != "h1"+titan[len(titan)-3:] {
		t.Errorf("%+v, %v", b, err)
	}
	for arn, there := range map[string]bool{
		k.KnowledgeBaseArn: true, k.KnowledgeBaseArn + "X": false, "nothing": false,
		strings.Replace(k.KnowledgeBaseArn, "knowledge-base", "agent", 1): false, strings.Replace(k.KnowledgeBaseArn, "us-east-1", "us-west-2", 1): false,
	} {
		if got, err := p.room.Exists(p.ctx, arn); err != nil || got != there {
			t.Errorf("%s exists: %v, %v", arn, got, err)
		}
	}
	if ok, err := (ByID{p.room}).Exists(p.ctx, k.KnowledgeBaseId); !ok || err != nil {
		t.Errorf("by its id: %v, %v", ok, err)
	}
	if err := p.store.View(p.ctx, func(tx *store.Tx) error {
		tags, err := tx.Tags(k.KnowledgeBaseArn)
		if len(tags) != 1 || tags[0].Value != "docs" {
			t.Errorf("tags %v", tags)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestNamesAndTokens(t *testing.T) {
	p := open(t, Quotas{})
	in := newBase("one")
	in.ClientToken = new(someToken)
	first, err := p.CreateKnowledgeBase(p.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	p.pass()
	// What stands in the way of a new one does not stand in the way of an answer.
	p.roles.refuse("pass", apierr.New(apierr.AccessDenied, "no"))
	again, err := p.CreateKnowledgeBase(p.ctx, in)
	if err != nil || cmp.Diff(first, again) != "" {
		t.Errorf("again: %v\n%s", err, cmp.Diff(first, again))
	}
	p.roles.refuse("pass", nil)
	other := newBase("two")
	other.ClientToken = in.ClientToken
	_, err = p.CreateKnowledgeBase(p.ctx, other)
	want(t, "another request with the token", err, apierr.Conflict, "token")
	_, err = p.CreateKnowledgeBase(p.ctx, newBase("one"))
	want(t, "the same name", err, apierr.Conflict, "KnowledgeBase with name one already exists.")
	if n := p.indexes(t); n != 1 {
		t.Errorf("%d indexes for one knowledge base", n)
	}
	list, err := p.ListKnowledgeBases(p.ctx, &api.ListKnowledgeBasesInput{})
	if err != nil || len(list.KnowledgeBaseSummaries) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	// Elsewhere the name is free.
	west := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-west-2"})
	if _, err := p.CreateKnowledgeBase(west, newBase("one")); err != nil {
		t.Error(err)
	}
}

func TestTwoCallsWithOneTokenAtOnce(t *testing.T) {
	p := open(t, Quotas{})
	in := newBase("one")
	in.ClientToken = new(someToken)
	var faster *api.CreateKnowledgeBaseOutput
	p.shelf.set(func() {
		p.shelf.during = func() {
			var err error
			if faster, err = p.CreateKnowledgeBase(p.ctx, in); err != nil {
				t.Error(err)
			}
		}
	})
	out, err := p.CreateKnowledgeBase(p.ctx, in)
	if err != nil || faster == nil || out.KnowledgeBase.KnowledgeBaseId != faster.KnowledgeBase.KnowledgeBaseId {
		t.Fatalf("%+v, %+v, %v", out, faster, err)
	}
	if n := p.indexes(t); n != 1 {
		t.Errorf("%d indexes for one knowledge base", n)
	}
}

func TestWhatAKnowledgeBaseCannotBe(t *testing.T) {
	p := open(t, Quotas{})
	vec := func(in *api.CreateKnowledgeBaseInput) *api.VectorKnowledgeBaseConfiguration {
		return in.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration
	}
	model := func(in *api.CreateKnowledgeBaseInput, m *api.BedrockEmbeddingModelConfiguration) {
		vec(in).EmbeddingModelConfiguration = &api.EmbeddingModelConfiguration{BedrockEmbeddingModelConfiguration: m}
	}
	for what, c := range map[string]struct {
		change func(*api.CreateKnowledgeBaseInput)
		kind   apierr.Kind
		part   string
	}{
		"Kendra": {func(in *api.CreateKnowledgeBaseInput) {
			in.KnowledgeBaseConfiguration = &api.KnowledgeBaseConfiguration{Type: api.KnowledgeBaseTypeKendra, KendraKnowledgeBaseConfiguration: &api.KendraKnowledgeBaseConfiguration{}}
		}, apierr.Validation, "KENDRA is not supported by Outcrop"},
		"SQL": {func(in *api.CreateKnowledgeBaseInput) {
			in.KnowledgeBaseConfiguration = &api.KnowledgeBaseConfiguration{Type: api.KnowledgeBaseTypeSql, SqlKnowledgeBaseConfiguration: &api.SqlKnowledgeBaseConfiguration{}}
		}, apierr.Validation, "SQL is not supported by Outcrop"},
		"no object": {func(in *api.CreateKnowledgeBaseInput) {
			in.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration = nil
		}, apierr.Validation, "vectorKnowledgeBaseConfiguration is required"},
		"two objects": {func(in *api.CreateKnowledgeBaseInput) {
			in.KnowledgeBaseConfiguration.KendraKnowledgeBaseConfiguration = &api.KendraKnowledgeBaseConfiguration{}
		}, apierr.Validation, "kendraKnowledgeBaseConfiguration cannot be given"},
		"another store's object": {func(in *api.CreateKnowledgeBaseInput) {
			in.StorageConfiguration = &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypeRds, PineconeConfiguration: &api.PineconeConfiguration{}}
		}, apierr.Validation, "rdsConfiguration is required"},
		"two stores": {func(in *api.CreateKnowledgeBaseInput) {
			in.StorageConfiguration.S3VectorsConfiguration = &api.S3VectorsConfiguration{}
		}, apierr.Validation, "s3VectorsConfiguration cannot be given"},
		"binary": {func(in *api.CreateKnowledgeBaseInput) {
			model(in, &api.BedrockEmbeddingModelConfiguration{EmbeddingDataType: api.EmbeddingDataTypeBinary})
		}, apierr.Validation, "BINARY is not supported by Outcrop"},
		"audio": {func(in *api.CreateKnowledgeBaseInput) {
			model(in, &api.BedrockEmbeddingModelConfiguration{Audio: make([]api.AudioConfiguration, 1)})
		}, apierr.Validation, "audio is not supported by Outcrop"},
		"an unknown model": {func(in *api.CreateKnowledgeBaseInput) { vec(in).EmbeddingModelArn = "x" }, apierr.Validation, "no such model"},
		"a role that may not be passed": {func(*api.CreateKnowledgeBaseInput) {
			p.roles.refuse("pass", apierr.New(apierr.AccessDenied, "iam:PassRole"))
		}, apierr.AccessDenied, "iam:PassRole"},
		"a role that cannot be taken": {func(*api.CreateKnowledgeBaseInput) {
			p.roles.refuse("assume", apierr.New(apierr.AccessDenied, "sts:AssumeRole"))
		}, apierr.AccessDenied, "sts:AssumeRole"},
		"a store that is wrong": {func(*api.CreateKnowledgeBaseInput) {
			p.shelf.set(func() { p.shelf.check = apierr.New(apierr.Validation, "storage wrong") })
		}, apierr.Validation, "storage wrong"},
		"a store that fails": {func(*api.CreateKnowledgeBaseInput) {
			p.shelf.set(func() { p.shelf.create = apierr.New(apierr.Validation, "storage failed") })
		}, apierr.Validation, "storage failed"},
		"an index that is too narrow": {func(*api.CreateKnowledgeBaseInput) { p.shelf.set(func() { p.shelf.width = 2 }) }, apierr.Validation, "have 2 numbers"},
		"a tag of AWS":                {func(in *api.CreateKnowledgeBaseInput) { in.Tags = map[string]string{"aws:x": "y"} }, apierr.Validation, ""},
	} {
		t.Run(what, func(t *testing.T) {
			in := newBase("refused")
			c.change(in)
			_, err := p.CreateKnowledgeBase(p.ctx, in)
			want(t, what, err, c.kind, c.part)
			p.roles.refuse("pass", nil)
			p.roles.refuse("assume", nil)
			p.shelf.set(func() { p.shelf.check, p.shelf.create, p.shelf.width = nil, nil, 0 })
		})
	}
	if n := p.indexes(t); n != 0 {
		t.Errorf("%d indexes are left", n)
	}
	root := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1", Caller: &iam.Principal{Kind: iam.KindRoot, Account: "123456789012"}})
	_, err := p.CreateKnowledgeBase(root, newBase("refused"))
	want(t, "the root user", err, apierr.AccessDenied, "root")
	user := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1", Caller: &iam.Principal{Kind: iam.KindUser, Account: "123456789012"}})
	if _, err := p.CreateKnowledgeBase(user, newBase("refused")); err != nil {
		t.Errorf("a user: %v", err)
	}
}

func TestStores(t *testing.T) {
	p := open(t, Quotas{})
	in := newBase("house")
	in.StorageConfiguration = nil
	out, err := p.CreateKnowledgeBase(p.ctx, in)
	if err != nil || out.KnowledgeBase.StorageConfiguration != nil {
		t.Fatalf("without a store: %v", err)
	}
	if b := p.got(t, out.KnowledgeBase.KnowledgeBaseId); b.Storage != nil || p.indexes(t) != 1 {
		t.Errorf("%+v", b)
	}
	// A store that is only kept and shown has no index.
	p.shelf.set(func() { p.shelf.unserved = true })
	in = newBase("kept")
	in.StorageConfiguration = &api.StorageConfiguration{Type: api.KnowledgeBaseStorageTypePinecone, PineconeConfiguration: &api.PineconeConfiguration{
		ConnectionString: "https://x", CredentialsSecretArn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:x", FieldMapping: &api.PineconeFieldMapping{TextField: "t", MetadataField: "m"},
	}}
	out, err = p.CreateKnowledgeBase(p.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in.StorageConfiguration, out.KnowledgeBase.StorageConfiguration); d != "" || p.indexes(t) != 1 {
		t.Errorf("%d indexes\n%s", p.indexes(t), d)
	}
	// It can be deleted all the same, with a data source and a key.
	p.pass()
	p.work(t)
	id := out.KnowledgeBase.KnowledgeBaseId
	p.source(t, id, "s", keyA, "")
	if err := p.deletedBase(id); err != nil {
		t.Fatal(err)
	}
	until(t, "gone", func() bool { return p.status(t, id) == "gone" })
}

func TestAnIndexThatIsWider(t *testing.T) {
	p := open(t, Quotas{})
	p.shelf.set(func() { p.shelf.width = 5 })
	b := p.got(t, p.base(t, "wide"))
	if b.Width != 5 {
		t.Fatalf("width %d", b.Width)
	}
	ctx, who, err := p.room.Acting(p.ctx, b)
	if err != nil || who.ARN != someRole || ActingAs(ctx) != who || ActingAs(p.ctx) != nil {
		t.Fatalf("%v, %v", who, err)
	}
	got, err := p.room.Embed(ctx, b, who, ForSearch, []string{"a", "bb"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]float32{{0, 1, 0, 0, 0}, {0, 0, 1, 0, 0}}, got); d != "" {
		t.Error(d)
	}
	p.roles.refuse("invoke", apierr.New(apierr.AccessDenied, "bedrock:InvokeModel is not allowed"))
	_, err = p.room.Embed(ctx, b, who, ForSearch, []string{"a"})
	want(t, "a denied model", err, apierr.Validation, "Knowledge base role "+someRole+" is not able to call specified bedrock embedding model "+titan+": bedrock:InvokeModel is not allowed")
	p.roles.refuse("invoke", apierr.New(apierr.ResourceNotFound, "no model"))
	_, err = p.room.Embed(ctx, b, who, ForSearch, []string{"a"})
	want(t, "a model that is gone", err, apierr.ResourceNotFound, "no model")
}

func TestQuotasAndPages(t *testing.T) {
	p := open(t, Quotas{Bases: 5, Sources: 3})
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		p.base(t, n)
	}
	_, err := p.CreateKnowledgeBase(p.ctx, newBase("f"))
	want(t, "one more", err, apierr.ServiceQuotaExceeded, "5")
	if n := p.indexes(t); n != 5 {
		t.Errorf("%d indexes", n)
	}
	var names string
	in := &api.ListKnowledgeBasesInput{MaxResults: new(2)}
	calls := 0
	for {
		out, err := p.ListKnowledgeBases(p.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		calls++
		for _, s := range out.KnowledgeBaseSummaries {
			names += s.Name
			if s.Status != api.KnowledgeBaseStatusActive || *s.Description != "said of it" {
				t.Errorf("%+v", s)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if names != "edcba" || calls != 3 {
		t.Errorf("%q in %d calls", names, calls)
	}
	_, err = p.ListKnowledgeBases(p.ctx, &api.ListKnowledgeBasesInput{NextToken: new("nonsense")})
	want(t, "a bad token", err, apierr.Validation, "nextToken")
	id := p.got(t, p.first(t)).ID
	for _, n := range []string{"x", "y", "z"} {
		p.source(t, id, n, "", "")
	}
	_, err = p.CreateDataSource(p.ctx, newSource(id, "w"))
	want(t, "one source more", err, apierr.ServiceQuotaExceeded, "3")
	names = ""
	for list := (&api.ListDataSourcesInput{KnowledgeBaseId: id, MaxResults: new(2)}); ; {
		out, err := p.ListDataSources(p.ctx, list)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range out.DataSourceSummaries {
			names += s.Name
		}
		if list.NextToken = out.NextToken; list.NextToken == nil {
			break
		}
	}
	if names != "zyx" {
		t.Errorf("data sources %q", names)
	}
	_, err = p.ListDataSources(p.ctx, &api.ListDataSourcesInput{KnowledgeBaseId: "NOTTHERE00"})
	want(t, "of nothing", err, apierr.ResourceNotFound, "")
	_, err = p.GetKnowledgeBase(p.ctx, &api.GetKnowledgeBaseInput{KnowledgeBaseId: "NOTTHERE00"})
	want(t, "nothing", err, apierr.ResourceNotFound, "")
}

func (p *place) first(t *testing.T) string {
	t.Helper()
	out, err := p.ListKnowledgeBases(p.ctx, &api.ListKnowledgeBasesInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.KnowledgeBaseSummaries[0].KnowledgeBaseId
}

func TestUpdatesReplace(t *testing.T) {
	p := open(t, Quotas{})
	p.base(t, "other")
	id := p.base(t, "first")
	in := func() *api.UpdateKnowledgeBaseInput {
		return &api.UpdateKnowledgeBaseInput{KnowledgeBaseId: id, Name: "renamed", RoleArn: otherRole, KnowledgeBaseConfiguration: vectorConfig(titan), StorageConfiguration: searchStore("i")}
	}
	before := p.got(t, id)
	passed := len(p.roles.passed)
	out, err := p.UpdateKnowledgeBase(p.ctx, in())
	if err != nil {
		t.Fatal(err)
	}
	k := out.KnowledgeBase
	if k.Status != api.KnowledgeBaseStatusUpdating || k.Description != nil || k.Name != "renamed" || k.RoleArn != otherRole || !k.UpdatedAt.After(k.CreatedAt) {
		t.Errorf("%+v", k)
	}
	if got := p.roles.passed[passed:]; !cmp.Equal(got, []string{otherRole + " " + k.KnowledgeBaseArn}) {
		t.Errorf("passed %v", got)
	}
	_, err = p.UpdateKnowledgeBase(p.ctx, in())
	want(t, "while it is updated", err, apierr.Conflict, "UPDATING")
	want(t, "delete while it is updated", p.deletedBase(id), apierr.Conflict, "UPDATING")
	_, err = p.CreateDataSource(p.ctx, newSource(id, "s"))
	want(t, "a source while it is updated", err, apierr.Conflict, "not in a valid status")
	p.pass()
	if s := p.status(t, id); s != api.KnowledgeBaseStatusActive {
		t.Errorf("then %s", s)
	}
	// The same role is not passed again, and the same model under another name is one.
	passed = len(p.roles.passed)
	same := in()
	same.KnowledgeBaseConfiguration, same.StorageConfiguration = vectorConfig(throughput), nil
	if out, err = p.UpdateKnowledgeBase(p.ctx, same); err != nil {
		t.Fatal(err)
	}
	p.pass()
	b := p.got(t, id)
	if b.Model.ARN != throughput || b.Model.Hash != before.Model.Hash || b.Config.VectorKnowledgeBaseConfiguration.EmbeddingModelArn != throughput || len(p.roles.passed) != passed {
		t.Errorf("%+v, passed %v", b, p.roles.passed[passed:])
	}
	if d := cmp.Diff(searchStore("i"), out.KnowledgeBase.StorageConfiguration); d != "" {
		t.Error(d)
	}
	for what, c := range map[string]struct {
		change func(*api.UpdateKnowledgeBaseInput)
		kind   apierr.Kind
		part   string
	}{
		"another model": {func(u *api.UpdateKnowledgeBaseInput) { u.KnowledgeBaseConfiguration = vectorConfig(cohere) }, apierr.Validation, "cannot be changed"},
		"no such model": {func(u *api.UpdateKnowledgeBaseInput) { u.KnowledgeBaseConfiguration = vectorConfig("x") }, apierr.Validation, "no such model"},
		"another store": {func(u *api.UpdateKnowledgeBaseInput) { u.StorageConfiguration = searchStore("j") }, apierr.Validation, "cannot be changed"},
		"a broken config": {func(u *api.UpdateKnowledgeBaseInput) {
			u.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration = nil
		}, apierr.Validation, "required"},
		"other dimensions": {func(u *api.UpdateKnowledgeBaseInput) {
			u.KnowledgeBaseConfiguration.VectorKnowledgeBaseConfiguration.EmbeddingModelConfiguration = &api.EmbeddingModelConfiguration{
				BedrockEmbeddingModelConfiguration: &api.BedrockEmbeddingModelConfiguration{Dimensions: new(512)},
			}
		}, apierr.Validation, "cannot be changed"},
		"a name that is taken": {func(u *api.UpdateKnowledgeBaseInput) { u.Name = "other" }, apierr.Conflict, "KnowledgeBase with name other already exists."},
		"nothing":              {func(u *api.UpdateKnowledgeBaseInput) { u.KnowledgeBaseId = "NOTTHERE00" }, apierr.ResourceNotFound, ""},
		"a role that may not be passed": {func(u *api.UpdateKnowledgeBaseInput) {
			u.RoleArn = someRole
			p.roles.refuse("pass", apierr.New(apierr.AccessDenied, "iam:PassRole"))
		}, apierr.AccessDenied, "iam:PassRole"},
	} {
		u := in()
		c.change(u)
		_, err := p.UpdateKnowledgeBase(p.ctx, u)
		want(t, what, err, c.kind, c.part)
		p.roles.refuse("pass", nil)
	}
	if after := p.got(t, id); cmp.Diff(b, after) != "" {
		t.Errorf("a refusal changed it:\n%s", cmp.Diff(b, after))
	}
}

func TestAnUpdateThatComparedWithWhatIsGone(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	to := func(role string) error {
		_, err := p.UpdateKnowledgeBase(p.ctx, &api.UpdateKnowledgeBaseInput{KnowledgeBaseId: id, Name: "k", RoleArn: role, KnowledgeBaseConfiguration: vectorConfig(titan)})
		return err
	}
	p.roles.during = func() {
		if err := to(otherRole); err != nil {
			t.Error(err)
		}
		p.pass()
	}
	want(t, "the slower one", to(someRole+"2"), apierr.Conflict, "Try again")
	if b := p.got(t, id); b.Role != otherRole {
		t.Errorf("the role is %s", b.Role)
	}
}

func TestAnIndexWhoseKnowledgeBaseNeverCame(t *testing.T) {
	p := open(t, Quotas{})
	kept := p.got(t, p.base(t, "kept"))
	b := *kept
	b.ID = "NEVERCAME0"
	// The process died between the index and the row: what was planned before remains.
	x, err := p.shelf.Create(p.ctx, &b)
	if err != nil {
		t.Fatal(err)
	}
	_ = x.Close()
	var planned int
	err = p.store.Update(p.ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT COUNT(*) FROM job WHERE kind = ? AND scheduled_at > ?`, []any{releaseJob, time.Now().Add(releaseDelay / 2).UnixMicro()}, &planned); err != nil {
			return err
		}
		for _, b := range []*Base{&b, kept} {
			if _, _, err := job.Enqueue(tx, releaseSpec(b, 0)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || planned != 1 {
		t.Fatalf("%d releases planned, %v", planned, err)
	}
	p.work(t)
	until(t, "the index is gone", func() bool { return p.indexes(t) == 1 })
	until(t, "both releases ran", func() bool {
		var left int
		err := p.store.View(p.ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM job WHERE kind = ?`, []any{releaseJob}, &left)
		})
		return err == nil && left == 1
	})
	if n := p.documents(t, kept.ID, "x"); n != 0 {
		t.Errorf("the index of the one that is there: %d", n)
	}
}

func TestWithoutRolesTheHouseWorks(t *testing.T) {
	p := open(t, Quotas{})
	p.room.cfg.Roles = nil
	b := p.got(t, p.base(t, "free"))
	ctx, who, err := p.room.Acting(p.ctx, b)
	if err != nil || who != nil {
		t.Fatalf("%v, %v", who, err)
	}
	if _, err := p.room.Embed(ctx, b, nil, ForStore, []string{"x"}); err != nil {
		t.Error(err)
	}
}

func TestStatesOfKnowledgeBases(t *testing.T) {
	steps := map[api.KnowledgeBaseStatus]map[event]api.KnowledgeBaseStatus{
		api.KnowledgeBaseStatusCreating:           {settle: api.KnowledgeBaseStatusActive},
		api.KnowledgeBaseStatusActive:             {update: api.KnowledgeBaseStatusUpdating, remove: api.KnowledgeBaseStatusDeleting},
		api.KnowledgeBaseStatusUpdating:           {settle: api.KnowledgeBaseStatusActive},
		api.KnowledgeBaseStatusDeleting:           {fail: api.KnowledgeBaseStatusDeleteUnsuccessful},
		api.KnowledgeBaseStatusDeleteUnsuccessful: {update: api.KnowledgeBaseStatusUpdating, remove: api.KnowledgeBaseStatusDeleting},
		api.KnowledgeBaseStatusFailed:             {},
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from, on := range steps {
		for _, e := range []event{settle, update, remove, fail} {
			s, err := passing(from, e, now)
			to, ok := on[e]
			if ok != (err == nil) || s.Now != to {
				t.Errorf("%s on %s: %s, %v; want %q", from, e, s.Now, err, to)
				continue
			}
			if err != nil {
				continue
			}
			later := to
			if to == api.KnowledgeBaseStatusUpdating {
				later = api.KnowledgeBaseStatusActive
			}
			if got := s.At(now.Add(time.Second-1), time.Second); got != to {
				t.Errorf("%s on %s is %s soon after", from, e, got)
			}
			if got := s.At(now.Add(time.Second), time.Second); got != later {
				t.Errorf("%s on %s is %s then, want %s", from, e, got, later)
			}
		}
	}
}

func TestARefusedKeyIsTold(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	p.source(t, id, "s", keyA, "")
	p.gate.deny(keyA, true)
	b := p.got(t, id)
	ctx, _, err := p.room.Acting(context.WithoutCancel(p.ctx), b)
	if err != nil {
		t.Fatal(err)
	}
	x, err := p.room.Index(ctx, b)
	if err == nil { // the store asks when the index is used
		_, err = x.Documents(ctx, "", "", 1)
		if err == nil {
			_, err = x.Search(ctx, vector.Query{Vector: []float32{1, 0, 0}, K: 1})
		}
		_ = x.Close()
		err = kms.Public(err)
	}
	want(t, "a key that refuses", err, apierr.AccessDenied, "not authorized to use "+keyA)
}
