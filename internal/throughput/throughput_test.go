package throughput_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
	"github.com/outcrop-dev/outcrop/internal/throughput"
)

const (
	express = "amazon.titan-text-express-v1:0:8k"
	base    = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-express-v1"
)

type oneModel struct{}

func (oneModel) Models(context.Context) ([]engine.Info, error) {
	return []engine.Info{{Name: "local", Kind: engine.Chat}}, nil
}

// customs knows one custom model, made from Titan Express.
type customs struct{}

const custom = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-text-express-v1:0:8k/abcdefghijkl"

func (customs) Custom(_ context.Context, id string) (arn, baseID string, ok bool, err error) {
	if id == "mine" || id == custom {
		return custom, "amazon.titan-text-express-v1", true, nil
	}
	return "", "", false, nil
}

type room struct {
	*throughput.ProvisionedModels
	catalog *catalog.Catalog
	ctx     context.Context
	now     time.Time
}

func open(t *testing.T, change func(*throughput.Config)) *room {
	t.Helper()
	r := &room{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	r.ctx = call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"})
	now := func() time.Time { return r.now }
	st := storetest.NewAt(t, now)
	var err error
	r.catalog, err = catalog.New(catalog.Config{Engine: oneModel{}, Store: st, Now: now, Owners: []catalog.Owner{{
		Name: "provisioned-model", Match: throughput.Matches,
		Resolve:   func(ctx context.Context, id string) (*catalog.Target, error) { return r.Resolve(ctx, id) },
		Resources: func(ctx context.Context, id string) []string { return r.Resources(ctx, id) },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	c := throughput.Config{Store: st, Catalog: r.catalog, Now: now, Transition: time.Second, Customs: customs{}, Units: 2}
	if change != nil {
		change(&c)
	}
	r.ProvisionedModels = throughput.New(c)
	return r
}

func (r *room) buy(t *testing.T, name, model string, units int) string {
	t.Helper()
	out, err := r.CreateProvisionedModelThroughput(r.ctx, &bedrock.CreateProvisionedModelThroughputInput{ModelId: model, ModelUnits: units, ProvisionedModelName: name})
	if err != nil {
		t.Fatal(err)
	}
	return out.ProvisionedModelArn
}

func (r *room) get(t *testing.T, id string) *bedrock.GetProvisionedModelThroughputOutput {
	t.Helper()
	out, err := r.GetProvisionedModelThroughput(r.ctx, &bedrock.GetProvisionedModelThroughputInput{ProvisionedModelId: id})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func refused(t *testing.T, err error, kind apierr.Kind, text string) {
	t.Helper()
	if apierr.KindOf(err) != kind || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s with %q", err, kind, text)
	}
}

func TestABaseModelIsBoughtAndAnswers(t *testing.T) {
	r := open(t, nil)
	name := r.buy(t, "mine-too", express, 1)
	if !regexp.MustCompile(`^arn:aws:bedrock:us-east-1:123456789012:provisioned-model/[a-z0-9]{12}$`).MatchString(name) {
		t.Errorf("ARN %s", name)
	}
	_, err := r.catalog.Resolve(r.ctx, name)
	refused(t, err, apierr.ModelNotReady, "not ready")
	if s := r.get(t, name).Status; s != "Creating" {
		t.Errorf("status %s", s)
	}
	r.now = r.now.Add(time.Second)
	for _, id := range []string{name, "mine-too"} {
		got := r.get(t, id)
		if got.Status != "InService" || got.ModelArn != base+":0:8k" || got.FoundationModelArn != base || got.ModelUnits != 1 || got.DesiredModelUnits != 1 {
			t.Errorf("%+v", got)
		}
		target, err := r.catalog.Resolve(r.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if target.BaseID != "amazon.titan-text-express-v1" || target.ProvisionedARN != name || target.Resources[0] != name || target.Local != "local" || target.Family != catalog.TitanText {
			t.Errorf("%+v", target)
		}
	}
	if got := r.Canonical(r.ctx, "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/mine-too"); got != name {
		t.Errorf("canonical %s", got)
	}
	if _, err := r.DeleteProvisionedModelThroughput(r.ctx, &bedrock.DeleteProvisionedModelThroughputInput{ProvisionedModelId: "mine-too"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.GetProvisionedModelThroughput(r.ctx, &bedrock.GetProvisionedModelThroughputInput{ProvisionedModelId: name})
	refused(t, err, apierr.ResourceNotFound, name)
	_, err = r.catalog.Resolve(r.ctx, name)
	refused(t, err, apierr.Validation, "identifier is invalid")
}

func TestPurchasesAreRefusedAsOnAWS(t *testing.T) {
	r := open(t, nil)
	r.buy(t, "first", express, 2)
	for _, c := range []struct {
		in   bedrock.CreateProvisionedModelThroughputInput
		kind apierr.Kind
		text string
	}{
		{bedrock.CreateProvisionedModelThroughputInput{ModelId: express, ModelUnits: 1, ProvisionedModelName: "third-unit"}, apierr.ServiceQuotaExceeded, "2 model units without"},
		{bedrock.CreateProvisionedModelThroughputInput{ModelId: express, ModelUnits: 1, ProvisionedModelName: "bound", CommitmentDuration: "OneMonth"}, apierr.ServiceQuotaExceeded, "0 model units with"},
		{bedrock.CreateProvisionedModelThroughputInput{ModelId: "amazon.titan-text-express-v1", ModelUnits: 1, ProvisionedModelName: "short"}, apierr.Validation, express},
		{bedrock.CreateProvisionedModelThroughputInput{ModelId: "amazon.titan-image-generator-v1:0", ModelUnits: 1, ProvisionedModelName: "image"}, apierr.Validation, "commitment"},
		{bedrock.CreateProvisionedModelThroughputInput{ModelId: "nobodys", ModelUnits: 1, ProvisionedModelName: "none"}, apierr.ResourceNotFound, "nobodys"},
	} {
		_, err := r.CreateProvisionedModelThroughput(r.ctx, &c.in)
		refused(t, err, c.kind, c.text)
	}
	r = open(t, func(c *throughput.Config) { c.Units = 0 })
	_, err := r.CreateProvisionedModelThroughput(r.ctx, &bedrock.CreateProvisionedModelThroughputInput{ModelId: express, ModelUnits: 1, ProvisionedModelName: "none"})
	refused(t, err, apierr.ServiceQuotaExceeded, "0 model units without")
	r = open(t, func(c *throughput.Config) { c.Units = 9 })
	r.buy(t, "same", express, 1)
	_, err = r.CreateProvisionedModelThroughput(r.ctx, &bedrock.CreateProvisionedModelThroughputInput{ModelId: express, ModelUnits: 1, ProvisionedModelName: "same"})
	refused(t, err, apierr.Validation, "same exists")
}

func TestATokenBuysOnce(t *testing.T) {
	r := open(t, nil)
	in := &bedrock.CreateProvisionedModelThroughputInput{ModelId: express, ModelUnits: 1, ProvisionedModelName: "once", ClientRequestToken: new("t")}
	a, err := r.CreateProvisionedModelThroughput(r.ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.CreateProvisionedModelThroughput(r.ctx, in)
	if err != nil || b.ProvisionedModelArn != a.ProvisionedModelArn {
		t.Errorf("%v %v", b, err)
	}
	in.ModelUnits = 2
	_, err = r.CreateProvisionedModelThroughput(r.ctx, in)
	refused(t, err, apierr.Validation, "token")
}

func TestACommitmentHoldsUntilItsEnd(t *testing.T) {
	r := open(t, func(c *throughput.Config) { c.CommittedUnits = 1 })
	_, err := r.CreateProvisionedModelThroughput(r.ctx, &bedrock.CreateProvisionedModelThroughputInput{ModelId: express, ModelUnits: 1, ProvisionedModelName: "bound", CommitmentDuration: "OneMonth"})
	if err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Hour)
	if got := r.get(t, "bound"); !got.CommitmentExpirationTime.Equal(time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("expires %v", got.CommitmentExpirationTime)
	}
	_, err = r.DeleteProvisionedModelThroughput(r.ctx, &bedrock.DeleteProvisionedModelThroughputInput{ProvisionedModelId: "bound"})
	refused(t, err, apierr.Conflict, "2026-04-01")
	r.now = time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	if _, err = r.DeleteProvisionedModelThroughput(r.ctx, &bedrock.DeleteProvisionedModelThroughputInput{ProvisionedModelId: "bound"}); err != nil {
		t.Error(err)
	}
}

func TestUpdatesMoveBetweenACustomModelAndItsBase(t *testing.T) {
	r := open(t, nil)
	r.buy(t, "tuned", "mine", 1)
	r.buy(t, "plain", express, 1)
	update := func(id string, name, model *string) error {
		_, err := r.UpdateProvisionedModelThroughput(r.ctx, &bedrock.UpdateProvisionedModelThroughputInput{ProvisionedModelId: id, DesiredProvisionedModelName: name, DesiredModelId: model})
		return err
	}
	refused(t, update("tuned", new("x"), nil), apierr.Validation, "Creating")
	r.now = r.now.Add(time.Second)
	refused(t, update("tuned", nil, nil), apierr.Validation, "nothing")
	refused(t, update("plain", nil, new(custom)), apierr.Validation, "cannot be changed")
	if err := update("plain", new("renamed"), nil); err != nil {
		t.Error(err)
	}
	if got := r.get(t, "renamed"); got.Status != "InService" {
		t.Errorf("%+v", got)
	}
	refused(t, update("tuned", nil, new("anthropic.claude-v2")), apierr.Validation, "made from")
	for _, step := range []struct{ to, from, arrives string }{{"amazon.titan-text-express-v1", custom, base}, {"mine", base, custom}} {
		if err := update("tuned", nil, &step.to); err != nil {
			t.Fatal(err)
		}
		if got := r.get(t, "tuned"); got.Status != "Updating" || got.ModelArn != step.from || got.DesiredModelArn != step.arrives {
			t.Errorf("%+v", got)
		}
		if _, err := r.catalog.Resolve(r.ctx, "tuned"); err != nil {
			t.Errorf("inference stops during an update: %v", err)
		}
		_, err := r.DeleteProvisionedModelThroughput(r.ctx, &bedrock.DeleteProvisionedModelThroughputInput{ProvisionedModelId: "tuned"})
		refused(t, err, apierr.Conflict, "Updating")
		r.now = r.now.Add(time.Second)
		if got := r.get(t, "tuned"); got.Status != "InService" || got.ModelArn != step.arrives {
			t.Errorf("%+v", got)
		}
	}
}

func TestListsFilterSortAndContinue(t *testing.T) {
	r := open(t, func(c *throughput.Config) { c.Units = 100 })
	for _, n := range []string{"a1", "b1", "a2", "b2", "a3"} {
		r.buy(t, n, express, 1)
		r.now = r.now.Add(10 * time.Second)
	}
	r.buy(t, "a4", express, 1)
	walk := func(in bedrock.ListProvisionedModelThroughputsInput) string {
		var names []string
		for range 10 {
			out, err := r.ListProvisionedModelThroughputs(r.ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range out.ProvisionedModelSummaries {
				names = append(names, s.ProvisionedModelName)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(names, " ")
			}
		}
		t.Fatal("the list does not end")
		return ""
	}
	for want, in := range map[string]bedrock.ListProvisionedModelThroughputsInput{
		"a4 a3 b2 a2 b1 a1": {MaxResults: new(2)},
		"a1 b1 a2 b2 a3 a4": {MaxResults: new(2), SortOrder: "Ascending"},
		"a1 a2 a3 a4":       {MaxResults: new(1), SortOrder: "Ascending", NameContains: new("a")},
		"a4":                {StatusEquals: "Creating"},
		"":                  {ModelArnEquals: new(custom)},
		"a2 b1":             {CreationTimeAfter: new(r.now.Add(-50 * time.Second)), CreationTimeBefore: new(r.now.Add(-25 * time.Second))},
	} {
		if got := walk(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	first, err := r.ListProvisionedModelThroughputs(r.ctx, &bedrock.ListProvisionedModelThroughputsInput{MaxResults: new(2)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ListProvisionedModelThroughputs(r.ctx, &bedrock.ListProvisionedModelThroughputsInput{NextToken: first.NextToken, NameContains: new("a")})
	refused(t, err, apierr.Validation, "nextToken")
}
