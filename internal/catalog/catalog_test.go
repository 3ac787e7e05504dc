package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// fakeEngine lists what a test says.
type fakeEngine struct {
	models []engine.Info
	err    error
	asked  atomic.Int32
}

func (f *fakeEngine) Models(context.Context) ([]engine.Info, error) {
	f.asked.Add(1)
	return f.models, f.err
}

func everyKind() *fakeEngine {
	return &fakeEngine{models: []engine.Info{
		{Name: "qwen", Kind: engine.Chat, Tools: engine.ToolsNative, Context: 32768},
		{Name: "llava", Kind: engine.Chat, Vision: true},
		{Name: "minilm", Kind: engine.Embedding, Dimension: 384},
		{Name: "bge-rerank", Kind: engine.Reranker},
		{Name: "sd", Kind: engine.Image},
	}}
}

// clock is a service clock that a test sets.
type clock struct{ now atomic.Int64 }

func at(s string) *clock {
	c := new(clock)
	c.set(s)
	return c
}

func (c *clock) set(s string) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	c.now.Store(t.UnixMicro())
}

func (c *clock) add(d time.Duration) { c.now.Add(d.Microseconds()) }
func (c *clock) Now() time.Time      { return time.UnixMicro(c.now.Load()).UTC() }

func in(t testing.TB, account, region string) context.Context {
	return call.With(t.Context(), &call.Call{Account: account, Region: region, Partition: "aws"})
}

func home(t testing.TB) context.Context { return in(t, "123456789012", "us-east-1") }

type room struct {
	*catalog.Catalog
	*catalog.FoundationModels
	*catalog.ModelAccess
	*catalog.InferenceProfiles
	clock *clock
}

// open builds a room over a fresh store and a clock that stands on 2024-03-15.
func open(t testing.TB, change func(*catalog.Config)) room {
	t.Helper()
	ck := at("2024-03-15T00:00:00Z")
	cfg := catalog.Config{Engine: everyKind(), Store: storetest.NewAt(t, ck.Now), Now: ck.Now, Transition: time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := catalog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return room{c, &catalog.FoundationModels{Catalog: c}, &catalog.ModelAccess{Catalog: c}, &catalog.InferenceProfiles{Catalog: c}, ck}
}

func bare(t testing.TB, change func(*catalog.Config)) *catalog.Catalog {
	t.Helper()
	cfg := catalog.Config{Engine: everyKind()}
	if change != nil {
		change(&cfg)
	}
	c, err := catalog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantError(t testing.TB, err error, kind apierr.Kind, text string) {
	t.Helper()
	var e *apierr.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want %s", err, kind)
	}
	if e.Kind != kind {
		t.Errorf("kind is %s (%s), want %s", e.Kind, e.Message, kind)
	}
	if text != "" && e.Message != text {
		t.Errorf("message is %q, want %q", e.Message, text)
	}
}

func list(t testing.TB, r room, ctx context.Context, f bedrock.ListFoundationModelsInput) []bedrock.FoundationModelSummary {
	t.Helper()
	out, err := r.ListFoundationModels(ctx, &f)
	if err != nil {
		t.Fatal(err)
	}
	return out.ModelSummaries
}

func ids(list []bedrock.FoundationModelSummary) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.ModelId)
	}
	slices.Sort(out)
	return out
}

// guide is the table of base models of the specification's section 7.1.
var guide = []string{
	"amazon.titan-text-express-v1", "amazon.titan-text-lite-v1", "amazon.titan-embed-text-v1", "amazon.titan-embed-image-v1", "amazon.titan-image-generator-v1",
	"anthropic.claude-v2", "anthropic.claude-v2:1", "anthropic.claude-3-sonnet-20240229-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-instant-v1",
	"ai21.j2-mid-v1", "ai21.j2-ultra-v1", "cohere.command-text-v14", "cohere.command-light-text-v14", "cohere.embed-english-v3", "cohere.embed-multilingual-v3",
	"meta.llama2-13b-chat-v1", "meta.llama2-70b-chat-v1", "mistral.mistral-7b-instruct-v0:2", "mistral.mixtral-8x7b-instruct-v0:1",
	"stability.stable-diffusion-xl-v0", "stability.stable-diffusion-xl-v1",
}

// throughput is the chart of section 11.1.
var throughput = []string{
	"amazon.titan-text-express-v1:0:8k", "amazon.titan-text-lite-v1:0:4k", "amazon.titan-embed-text-v1:2:8k", "amazon.titan-embed-image-v1:0", "amazon.titan-image-generator-v1:0",
	"anthropic.claude-v2:0:18k", "anthropic.claude-v2:0:100k", "anthropic.claude-v2:1:18k", "anthropic.claude-v2:1:200k",
	"anthropic.claude-3-sonnet-20240229-v1:0:28k", "anthropic.claude-3-sonnet-20240229-v1:0:200k", "anthropic.claude-3-haiku-20240307-v1:0:48k", "anthropic.claude-3-haiku-20240307-v1:0:200k",
	"anthropic.claude-instant-v1:2:100k", "cohere.command-text-v14:7:4k", "cohere.command-light-text-v14:7:4k", "cohere.embed-english-v3:0:512", "cohere.embed-multilingual-v3:0:512",
	"stability.stable-diffusion-xl-v1:0", "meta.llama2-13b-chat-v1:0:4k",
}

func TestTheListHoldsEveryModelOfTheGuideAndIsWellFormed(t *testing.T) {
	got := list(t, open(t, nil), home(t), bedrock.ListFoundationModelsInput{})
	have := ids(got)
	for _, id := range slices.Concat(guide, throughput) {
		if !slices.Contains(have, id) {
			t.Errorf("%s is not listed", id)
		}
	}
	for _, m := range got {
		if !strings.HasSuffix(m.ModelArn, "::foundation-model/"+m.ModelId) || !strings.HasPrefix(m.ModelArn, "arn:aws:bedrock:us-east-1:") {
			t.Errorf("%s has the ARN %s", m.ModelId, m.ModelArn)
		}
		if m.InputModalities == nil || m.OutputModalities == nil || m.CustomizationsSupported == nil || m.InferenceTypesSupported == nil {
			t.Errorf("%s has a nil list", m.ModelId)
		}
		if m.ModelLifecycle == nil || m.ModelLifecycle.Status != bedrock.FoundationModelLifecycleStatusActive || m.ResponseStreamingSupported == nil || *m.ModelName == "" || *m.ProviderName == "" {
			t.Errorf("%s is incomplete: %+v", m.ModelId, m)
		}
	}
	if len(slices.Compact(have)) != len(got) {
		t.Error("an id is listed twice")
	}
}

func TestEachFilterSelectsWhatItSays(t *testing.T) {
	r := open(t, nil)
	stability := list(t, r, home(t), bedrock.ListFoundationModelsInput{ByProvider: new("Stability AI")})
	if len(stability) < 3 {
		t.Fatalf("%d models of Stability AI", len(stability))
	}
	for _, m := range stability {
		if !strings.HasPrefix(m.ModelId, "stability.") {
			t.Errorf("Stability AI lists %s", m.ModelId)
		}
	}
	for _, m := range list(t, r, home(t), bedrock.ListFoundationModelsInput{ByInferenceType: "PROVISIONED"}) {
		if !slices.Contains(m.InferenceTypesSupported, "PROVISIONED") || slices.Contains(m.InferenceTypesSupported, "ON_DEMAND") {
			t.Errorf("PROVISIONED lists %s with %v", m.ModelId, m.InferenceTypesSupported)
		}
	}
	for _, m := range list(t, r, home(t), bedrock.ListFoundationModelsInput{ByOutputModality: "IMAGE", ByProvider: new("amazon")}) {
		if !slices.Contains(m.OutputModalities, "IMAGE") || *m.ProviderName != "Amazon" {
			t.Errorf("Amazon images list %s", m.ModelId)
		}
	}
	want := []string{"amazon.titan-text-express-v1", "amazon.titan-text-express-v1:0:8k", "amazon.titan-text-lite-v1", "amazon.titan-text-lite-v1:0:4k"}
	if diff := cmp.Diff(want, ids(list(t, r, home(t), bedrock.ListFoundationModelsInput{ByCustomizationType: "CONTINUED_PRE_TRAINING"}))); diff != "" {
		t.Error(diff)
	}
}

func TestTheGuidesOwnCatalogueHasFourEmbeddingModels(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.GuideOnly = true })
	want := []string{
		"amazon.titan-embed-image-v1", "amazon.titan-embed-image-v1:0", "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v1:2:8k",
		"cohere.embed-english-v3", "cohere.embed-english-v3:0:512", "cohere.embed-multilingual-v3", "cohere.embed-multilingual-v3:0:512",
	}
	if diff := cmp.Diff(want, ids(list(t, r, home(t), bedrock.ListFoundationModelsInput{ByOutputModality: "EMBEDDING"}))); diff != "" {
		t.Error(diff)
	}
	if _, err := r.Resolve(home(t), "anthropic.claude-sonnet-4-6"); apierr.KindOf(err) != apierr.Validation {
		t.Errorf("a later model resolves: %v", err)
	}
}

func TestAModelIsDescribedByIDAndByARN(t *testing.T) {
	r := open(t, nil)
	for _, id := range []string{"anthropic.claude-v2:1", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1"} {
		out, err := r.GetFoundationModel(home(t), &bedrock.GetFoundationModelInput{ModelIdentifier: id})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if out.ModelDetails.ModelId != "anthropic.claude-v2:1" {
			t.Errorf("%s is %s", id, out.ModelDetails.ModelId)
		}
	}
	for _, id := range []string{"anthropic.nope", "nope", "us.anthropic.claude-3-haiku-20240307-v1:0"} {
		_, err := r.GetFoundationModel(home(t), &bedrock.GetFoundationModelInput{ModelIdentifier: id})
		wantError(t, err, apierr.ResourceNotFound, "Could not resolve the foundation model from the provided model identifier.")
	}
	for _, id := range []string{"arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-v2",
		"arn:aws:bedrock:us-east-1:123456789012:foundation-model/anthropic.claude-v2", "arn:aws:s3:::b"} {
		_, err := r.GetFoundationModel(home(t), &bedrock.GetFoundationModelInput{ModelIdentifier: id})
		wantError(t, err, apierr.Validation, "The provided model identifier is invalid.")
	}
}

func TestEveryTextModelButJurassicStreams(t *testing.T) {
	r := open(t, nil)
	for _, id := range guide {
		out, err := r.GetFoundationModel(home(t), &bedrock.GetFoundationModelInput{ModelIdentifier: id})
		if err != nil {
			t.Fatal(err)
		}
		d := out.ModelDetails
		want := slices.Contains(d.OutputModalities, "TEXT") && !strings.HasPrefix(id, "ai21.j2")
		if *d.ResponseStreamingSupported != want {
			t.Errorf("%s streams: %v", id, *d.ResponseStreamingSupported)
		}
		target, err := r.Resolve(home(t), id)
		if err != nil {
			t.Fatal(err)
		}
		if target.Streaming != want {
			t.Errorf("the target of %s streams: %v", id, target.Streaming)
		}
	}
}

func TestALockedModelIsDeniedUntilTheAgreementHolds(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.Locked = true })
	const id = "mistral.mistral-7b-instruct-v0:2"
	ctx := home(t)
	_, err := r.Resolve(ctx, id)
	wantError(t, err, apierr.AccessDenied, "You don't have access to the model with the specified model ID.")
	status := func() (bedrock.AgreementStatus, bedrock.EntitlementAvailability) {
		out, err := r.GetFoundationModelAvailability(ctx, &bedrock.GetFoundationModelAvailabilityInput{ModelId: id})
		if err != nil {
			t.Fatal(err)
		}
		return out.AgreementAvailability.Status, out.EntitlementAvailability
	}
	if a, e := status(); a != "NOT_AVAILABLE" || e != "NOT_AVAILABLE" {
		t.Errorf("before: %s %s", a, e)
	}

	offers, err := r.ListFoundationModelAgreementOffers(ctx, &bedrock.ListFoundationModelAgreementOffersInput{ModelId: id})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.CreateFoundationModelAgreement(ctx, &bedrock.CreateFoundationModelAgreementInput{ModelId: id, OfferToken: "other"})
	wantError(t, err, apierr.Validation, "")
	agree := &bedrock.CreateFoundationModelAgreementInput{ModelId: id, OfferToken: offers.Offers[0].OfferToken}
	if _, err := r.CreateFoundationModelAgreement(ctx, agree); err != nil {
		t.Fatal(err)
	}
	if a, e := status(); a != "PENDING" || e != "NOT_AVAILABLE" {
		t.Errorf("after the agreement: %s %s", a, e)
	}
	_, err = r.Resolve(ctx, id)
	wantError(t, err, apierr.AccessDenied, "")

	r.clock.add(2 * time.Second)
	if a, e := status(); a != "AVAILABLE" || e != "AVAILABLE" {
		t.Errorf("after the transition: %s %s", a, e)
	}
	if _, err := r.Resolve(ctx, id); err != nil {
		t.Fatal(err)
	}
	_, err = r.CreateFoundationModelAgreement(ctx, agree)
	wantError(t, err, apierr.Conflict, "")

	// Another Region and another account have agreed to nothing.
	for _, other := range []context.Context{in(t, "123456789012", "us-west-2"), in(t, "210987654321", "us-east-1")} {
		_, err := r.Resolve(other, id)
		wantError(t, err, apierr.AccessDenied, "")
	}

	if _, err := r.DeleteFoundationModelAgreement(ctx, &bedrock.DeleteFoundationModelAgreementInput{ModelId: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(ctx, id); err != nil {
		t.Errorf("access is not honoured during the transition: %v", err)
	}
	r.clock.add(2 * time.Second)
	_, err = r.Resolve(ctx, id)
	wantError(t, err, apierr.AccessDenied, "")
	_, err = r.DeleteFoundationModelAgreement(ctx, &bedrock.DeleteFoundationModelAgreementInput{ModelId: id})
	wantError(t, err, apierr.ResourceNotFound, "")
}

func TestWithoutTheLockAccessHoldsUntilItIsGivenUp(t *testing.T) {
	r := open(t, nil)
	const id = "meta.llama2-13b-chat-v1"
	ctx := home(t)
	if _, err := r.Resolve(ctx, id); err != nil {
		t.Fatal(err)
	}
	offers, _ := r.ListFoundationModelAgreementOffers(ctx, &bedrock.ListFoundationModelAgreementOffersInput{ModelId: id})
	if _, err := r.CreateFoundationModelAgreement(ctx, &bedrock.CreateFoundationModelAgreementInput{ModelId: id, OfferToken: offers.Offers[0].OfferToken}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(ctx, id); err != nil {
		t.Errorf("an agreement takes access away: %v", err)
	}
	if _, err := r.DeleteFoundationModelAgreement(ctx, &bedrock.DeleteFoundationModelAgreementInput{ModelId: id}); err != nil {
		t.Fatal(err)
	}
	r.clock.add(2 * time.Second)
	_, err := r.Resolve(ctx, id)
	wantError(t, err, apierr.AccessDenied, "")
}

func TestTitanKeepsAccessAndAnthropicAsksForTheUseCase(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.Locked = true })
	ctx := home(t)
	agree := func(id string) error {
		offers, err := r.ListFoundationModelAgreementOffers(ctx, &bedrock.ListFoundationModelAgreementOffersInput{ModelId: id})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.CreateFoundationModelAgreement(ctx, &bedrock.CreateFoundationModelAgreementInput{ModelId: id, OfferToken: offers.Offers[0].OfferToken})
		return err
	}
	if err := agree("amazon.titan-text-lite-v1"); err != nil {
		t.Fatal(err)
	}
	_, err := r.DeleteFoundationModelAgreement(ctx, &bedrock.DeleteFoundationModelAgreementInput{ModelId: "amazon.titan-text-lite-v1"})
	wantError(t, err, apierr.Validation, "")

	_, err = r.GetUseCaseForModelAccess(ctx, &bedrock.GetUseCaseForModelAccessInput{})
	wantError(t, err, apierr.ResourceNotFound, "")
	wantError(t, agree("anthropic.claude-v2"), apierr.Validation, "")
	for _, form := range []string{"first form", "second form"} {
		if _, err := r.PutUseCaseForModelAccess(ctx, &bedrock.PutUseCaseForModelAccessInput{FormData: []byte(form)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.GetUseCaseForModelAccess(ctx, &bedrock.GetUseCaseForModelAccessInput{})
	if err != nil || string(got.FormData) != "second form" {
		t.Fatalf("form is %q, %v", got.FormData, err)
	}
	if err := agree("anthropic.claude-v2"); err != nil {
		t.Fatal(err)
	}
	r.clock.add(2 * time.Second)
	if _, err := r.Resolve(ctx, "anthropic.claude-v2"); err != nil {
		t.Fatal(err)
	}
}

func TestAModelEndsOnItsDate(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.LifeCycle = true })
	const id = "stability.stable-diffusion-xl-v0"
	ctx := home(t)
	status := func() string {
		for _, m := range list(t, r, ctx, bedrock.ListFoundationModelsInput{}) {
			if m.ModelId == id {
				return string(m.ModelLifecycle.Status)
			}
		}
		return "absent"
	}
	for _, step := range []struct{ day, status string }{
		{"2024-02-01T23:59:59Z", "ACTIVE"}, {"2024-02-02T00:00:00Z", "LEGACY"}, {"2024-03-01T00:00:00Z", "LEGACY"},
		{"2024-04-29T23:59:59Z", "LEGACY"}, {"2024-04-30T00:00:00Z", "absent"}, {"2024-05-01T00:00:00Z", "absent"},
	} {
		r.clock.set(step.day)
		if got := status(); got != step.status {
			t.Errorf("on %s it is %s, want %s", step.day, got, step.status)
		}
		_, err := r.Resolve(ctx, id)
		_, get := r.GetFoundationModel(ctx, &bedrock.GetFoundationModelInput{ModelIdentifier: id})
		if step.status != "absent" {
			if err != nil || get != nil {
				t.Errorf("on %s it fails: %v, %v", step.day, err, get)
			}
			continue
		}
		wantError(t, err, apierr.ResourceNotFound, "This model version has reached the end of its life. Please refer to the AWS documentation for more details.")
		wantError(t, get, apierr.ResourceNotFound, "")
	}
}

func TestLifeCyclesAreOffUnlessAsked(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.States = map[string]catalog.State{"anthropic.claude-v2": catalog.EndOfLife} })
	r.clock.set("2030-01-01T00:00:00Z")
	if _, err := r.Resolve(home(t), "stability.stable-diffusion-xl-v0"); err != nil {
		t.Errorf("it ended: %v", err)
	}
	_, err := r.Resolve(home(t), "anthropic.claude-v2")
	wantError(t, err, apierr.ResourceNotFound, "")
}

func TestTheMarketplacesPermissionIsAskedForWhatItSells(t *testing.T) {
	var asked []string
	r := open(t, func(c *catalog.Config) {
		c.Authorize = func(_ context.Context, action, resource string, conditions map[string][]string) error {
			asked = append(asked, action+" "+resource+" "+strings.Join(conditions["aws-marketplace:ProductId"], ","))
			if action == "aws-marketplace:Unsubscribe" {
				return apierr.New(apierr.AccessDenied, "no")
			}
			return nil
		}
	})
	for _, id := range []string{"cohere.command-text-v14", "mistral.mistral-7b-instruct-v0:2"} {
		offers, err := r.ListFoundationModelAgreementOffers(home(t), &bedrock.ListFoundationModelAgreementOffersInput{ModelId: id})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.CreateFoundationModelAgreement(home(t), &bedrock.CreateFoundationModelAgreementInput{ModelId: id, OfferToken: offers.Offers[0].OfferToken}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.DeleteFoundationModelAgreement(home(t), &bedrock.DeleteFoundationModelAgreementInput{ModelId: "cohere.command-text-v14"})
	wantError(t, err, apierr.AccessDenied, "")
	want := []string{"aws-marketplace:Subscribe * a61c46fe-1747-41aa-9af0-2e0ae8a9ce05", "aws-marketplace:Unsubscribe * "}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	if r.ProductIDs()["cohere.command-text-v14"] != "a61c46fe-1747-41aa-9af0-2e0ae8a9ce05" {
		t.Error("the product id is not told")
	}
}

func TestWithoutAStoreWhatNeedsOneSaysSo(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.Store = nil })
	if _, err := r.Resolve(home(t), "anthropic.claude-v2"); err != nil {
		t.Fatal(err)
	}
	_, err := r.PutUseCaseForModelAccess(home(t), &bedrock.PutUseCaseForModelAccessInput{FormData: []byte("0123456789")})
	wantError(t, err, apierr.InternalServer, "")
	_, err = r.CreateInferenceProfile(home(t), &bedrock.CreateInferenceProfileInput{})
	wantError(t, err, apierr.InternalServer, "")
	if n := len(pages(t, r, home(t), "", 1000)); n == 0 {
		t.Error("no system-defined profiles")
	}
}
