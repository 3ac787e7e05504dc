package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

func TestANameLeadsToItsFamilyAndLocalModel(t *testing.T) {
	c := bare(t, nil)
	tests := []struct {
		id, base, family, local string
		vision                  bool
	}{
		{"anthropic.claude-v2", "anthropic.claude-v2", "claude", "qwen", false},
		{"anthropic.claude-v2:1", "anthropic.claude-v2:1", "claude", "qwen", false},
		{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "claude-messages", "qwen", true},
		{"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-messages", "qwen", true},
		{"global.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0", "claude-messages", "qwen", true},
		{"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "nova", "qwen", true},
		{"amazon.nova-micro-v1:0", "amazon.nova-micro-v1:0", "nova", "qwen", false},
		{"amazon.titan-embed-text-v1", "amazon.titan-embed-text-v1", "titan-embed-text", "minilm", false},
		{"amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2:0", "titan-embed-v2", "minilm", false},
		{"cohere.embed-english-v3", "cohere.embed-english-v3", "cohere-embed", "minilm", false},
		{"cohere.rerank-v3-5:0", "cohere.rerank-v3-5:0", "rerank", "bge-rerank", false},
		{"stability.stable-diffusion-xl", "stability.stable-diffusion-xl", "sdxl", "sd", true},
		{"amazon.nova-canvas-v1:0", "amazon.nova-canvas-v1:0", "nova-canvas", "sd", true},
		// Ids nobody has listed.
		{"anthropic.claude-opus-9-20300101-v1:0", "anthropic.claude-opus-9-20300101-v1:0", "claude-messages", "qwen", true},
		{"us.anthropic.claude-opus-9", "anthropic.claude-opus-9", "claude-messages", "qwen", true},
		{"meta.llama7-9b-instruct-v1:0", "meta.llama7-9b-instruct-v1:0", "llama3", "qwen", false},
		{"cohere.command-a-v1:0", "cohere.command-a-v1:0", "command-r", "qwen", false},
		{"qwen.qwen9", "qwen.qwen9", "qwen", "qwen", false},
		{"us.openai.gpt-oss-240b-1:0", "openai.gpt-oss-240b-1:0", "gpt-oss", "qwen", false},
		{"amazon.nova-9-multimodal-embeddings-v1:0", "amazon.nova-9-multimodal-embeddings-v1:0", "nova-embed", "minilm", true},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			for range 2 { // found, then remembered
				got, err := c.Resolve(home(t), tt.id)
				if err != nil {
					t.Fatal(err)
				}
				if got.ModelID != tt.id || got.BaseID != tt.base || string(got.Family) != tt.family || got.Local != tt.local || got.Vision != tt.vision || got.Info.Name != tt.local {
					t.Errorf("got %+v", got)
				}
				if want := "arn:aws:bedrock:us-east-1::foundation-model/" + tt.base; got.BaseARN != want {
					t.Errorf("base ARN is %s", got.BaseARN)
				}
				if isProfile := strings.Contains(got.ARN, ":inference-profile/"); isProfile != (got.ProfileARN != "") || isProfile && got.ProfileARN != got.ARN {
					t.Errorf("ARN %s, profile %s", got.ARN, got.ProfileARN)
				}
			}
		})
	}
}

func TestEveryListedModelResolvesOneWayOrAnother(t *testing.T) {
	r := open(t, nil)
	for _, m := range list(t, r, home(t), bedrock.ListFoundationModelsInput{}) {
		for _, way := range m.InferenceTypesSupported {
			var err error
			switch way {
			case "ON_DEMAND":
				_, err = r.Resolve(home(t), m.ModelId)
			case "INFERENCE_PROFILE":
				if _, err = r.Resolve(home(t), "us."+m.ModelId); err != nil {
					_, err = r.Resolve(home(t), "global."+m.ModelId)
				}
			case "PROVISIONED":
				_, err = r.Foundation(home(t), m.ModelId, m.ModelId)
			}
			noEngine := slices.ContainsFunc(m.OutputModalities, func(o bedrock.ModelModality) bool { return o == "VIDEO" || o == "SPEECH" })
			if noEngine {
				wantError(t, err, apierr.ServiceUnavailable, "")
			} else if err != nil {
				t.Errorf("%s by %s: %v", m.ModelId, way, err)
			}
		}
	}
}

func TestBadNamesAreRefusedInAWSsWords(t *testing.T) {
	c := bare(t, nil)
	for _, id := range []string{
		"", "anthropic.nope", "nope", "foo.bar-v1", "us.foo.bar-v1", "xx.anthropic.claude-v2", "us.", "us.anthropic", ".", "..", "anthropic.claude-V2", "anthropic.claude-v2 ",
		"arn:aws:bedrock:us-east-1::foundation-model/anthropic.nope", "arn:aws:bedrock:us-east-1::foundation-model/", "arn:aws:bedrock:us-east-1::foundation-model:anthropic.claude-v2",
		"arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-v2", "arn:aws-us-gov:bedrock:us-east-1::foundation-model/anthropic.claude-v2",
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.nope", "arn:aws:bedrock:us-east-1:999999999999:inference-profile/us.amazon.nova-pro-v1:0",
		"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl",
		"arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1", "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e", "abcdefghijkl", "arn:", "arn:aws:bedrock",
		strings.Repeat("a", 3000), "anthropic.claude-" + strings.Repeat("x", 140),
	} {
		_, err := c.Resolve(home(t), id)
		wantError(t, err, apierr.Validation, "The provided model identifier is invalid.")
	}
}

func TestAProfileOnlyModelIsNotInvokedByItsBareID(t *testing.T) {
	c := bare(t, nil)
	const text = "Invocation of model ID %s with on-demand throughput isn\u2019t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
	tokyo := in(t, "123456789012", "ap-northeast-1")
	for _, tt := range []struct {
		ctx context.Context
		id  string
	}{
		{tokyo, "amazon.nova-micro-v1:0"},
		{tokyo, "arn:aws:bedrock:ap-northeast-1::foundation-model/amazon.nova-micro-v1:0"},
		{home(t), "anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{home(t), "anthropic.claude-v2:0:18k"},     // buys throughput
		{home(t), "anthropic.claude-opus-9:0:18k"}, // so does one that nobody has listed
		{home(t), "meta.llama2-13b-v1"},            // needs customization first
		{home(t), "stability.stable-diffusion-xl-v1:0"},
	} {
		_, err := c.Resolve(tt.ctx, tt.id)
		wantError(t, err, apierr.Validation, fmt.Sprintf(text, tt.id))
	}
	for _, id := range []string{"apac.amazon.nova-micro-v1:0", "apac.anthropic.claude-sonnet-4-6", "jp.anthropic.claude-sonnet-4-6", "global.anthropic.claude-sonnet-4-6"} {
		if _, err := c.Resolve(tokyo, id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"us.amazon.nova-micro-v1:0", "au.anthropic.claude-sonnet-4-6", "us-gov.anthropic.claude-opus-5"} {
		_, err := c.Resolve(tokyo, id)
		wantError(t, err, apierr.Validation, "The provided model identifier is invalid.")
	}
	lenient := bare(t, func(c *catalog.Config) { c.Lenient = true })
	for _, id := range []string{"amazon.nova-micro-v1:0", "us.amazon.nova-micro-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"} {
		if _, err := lenient.Resolve(tokyo, id); err != nil {
			t.Errorf("leniently, %s: %v", id, err)
		}
	}
}

func TestTheGuidesRegionsBindOnlyWhenAsked(t *testing.T) {
	seoul := in(t, "123456789012", "ap-southeast-1")
	if _, err := bare(t, nil).Resolve(seoul, "amazon.titan-text-express-v1"); err != nil {
		t.Error(err)
	}
	r := open(t, func(c *catalog.Config) { c.StrictRegions = true })
	_, err := r.Resolve(seoul, "amazon.titan-text-express-v1")
	wantError(t, err, apierr.Validation, "The provided model identifier is invalid.")
	if _, err := r.Resolve(seoul, "anthropic.claude-v2"); err != nil {
		t.Error(err)
	}
	out, err := r.GetFoundationModelAvailability(seoul, &bedrock.GetFoundationModelAvailabilityInput{ModelId: "amazon.titan-text-express-v1"})
	if err != nil || out.RegionAvailability != "NOT_AVAILABLE" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAliasesChooseTheLocalModel(t *testing.T) {
	c := bare(t, func(c *catalog.Config) {
		c.Aliases = []catalog.Alias{
			{Pattern: "anthropic.*", Local: "llava", Fallback: []string{"qwen"}},
			{Pattern: "anthropic.claude-v2", Local: "qwen"}, // exact ids come first
			{Pattern: "us.*", Local: "llava"},
			{Pattern: "anthropic.claude-3*", Local: "qwen"}, // and narrow patterns before wide ones
			{Pattern: "cohere.*", Local: "gone"},
			{Pattern: "amazon.titan-embed*", Local: "qwen"},
		}
	})
	for id, want := range map[string]string{"anthropic.claude-instant-v1": "llava", "anthropic.claude-v2": "qwen", "us.amazon.nova-pro-v1:0": "llava", "anthropic.claude-3-haiku-20240307-v1:0": "qwen", "amazon.nova-pro-v1:0": "qwen"} {
		got, err := c.Resolve(home(t), id)
		if err != nil || got.Local != want {
			t.Errorf("%s is served by %v, %v", id, got, err)
		}
	}
	got, _ := c.Resolve(home(t), "anthropic.claude-instant-v1")
	if diff := cmp.Diff([]string{"qwen"}, got.Chain); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"cohere.command-r-v1:0", "amazon.titan-embed-text-v1"} {
		_, err := c.Resolve(home(t), id)
		wantError(t, err, apierr.ServiceUnavailable, "")
		if !strings.Contains(err.Error(), id) {
			t.Errorf("the message does not name %s: %v", id, err)
		}
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	chatOnly := &fakeEngine{models: []engine.Info{{Name: "qwen", Kind: engine.Chat}}}
	r := open(t, func(c *catalog.Config) { c.Engine = chatOnly; c.Refresh = time.Nanosecond })
	for id, hint := range map[string]string{"amazon.titan-image-generator-v1": "image engine", "amazon.titan-embed-text-v1": "outcrop models pull", "amazon.nova-reel-v1:0": "no engine of this kind"} {
		_, err := r.Resolve(home(t), id)
		wantError(t, err, apierr.ServiceUnavailable, "")
		if !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", id, err)
		}
		out, err := r.GetFoundationModelAvailability(home(t), &bedrock.GetFoundationModelAvailabilityInput{ModelId: id})
		if err != nil || out.RegionAvailability != "NOT_AVAILABLE" || out.AgreementAvailability.ErrorMessage == nil {
			t.Errorf("%s: %+v, %v", id, out, err)
		}
	}
	if got, err := r.Resolve(home(t), "anthropic.claude-3-haiku-20240307-v1:0"); err != nil || got.VisionLocal != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, _ := bare(t, nil).Resolve(home(t), "anthropic.claude-3-haiku-20240307-v1:0"); got.VisionLocal != "llava" {
		t.Errorf("%+v", got)
	}
	// A model that came later is used without a restart, and one that went is not.
	chatOnly.models = everyKind().models
	if _, err := r.Resolve(home(t), "amazon.titan-embed-text-v1"); err != nil {
		t.Error(err)
	}
	chatOnly.models = chatOnly.models[1:]
	if got, err := r.Resolve(home(t), "anthropic.claude-v2"); err != nil || got.Local != "llava" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestASilentEngineIsServiceUnavailable(t *testing.T) {
	e := &fakeEngine{err: errors.New("connection refused to 127.0.0.1:9")}
	c := bare(t, func(c *catalog.Config) { c.Engine = e; c.Refresh = time.Nanosecond })
	_, err := c.Resolve(home(t), "anthropic.claude-v2")
	wantError(t, err, apierr.ServiceUnavailable, "")
	_, err = c.Resolve(home(t), "anthropic.nope") // what is wrong with the name is said first
	wantError(t, err, apierr.Validation, "")
	e.err, e.models = nil, everyKind().models
	if _, err := c.Resolve(home(t), "anthropic.claude-v2"); err != nil {
		t.Fatal(err)
	}
	e.err = errors.New("down again")
	if _, err := c.Resolve(home(t), "anthropic.claude-v2"); err != nil {
		t.Errorf("what the engine said before is forgotten: %v", err)
	}
}

func TestTheEngineIsNotAskedForEveryCall(t *testing.T) {
	e := everyKind()
	c := bare(t, func(c *catalog.Config) { c.Engine = e; c.Refresh = time.Hour })
	for range 50 {
		if _, err := c.Resolve(home(t), "anthropic.claude-v2"); err != nil {
			t.Fatal(err)
		}
	}
	if n := e.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestRefreshAsksTheEngineAgain(t *testing.T) {
	e := everyKind()
	c := bare(t, func(c *catalog.Config) { c.Engine = e; c.Refresh = time.Hour })
	if got, _ := c.Resolve(home(t), "anthropic.claude-v2"); got.Local != "qwen" {
		t.Fatalf("%+v", got)
	}
	e.models = []engine.Info{{Name: "pulled", Kind: engine.Chat}}
	c.Refresh()
	if got, err := c.Resolve(home(t), "anthropic.claude-v2"); err != nil || got.Local != "pulled" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	r := open(t, func(c *catalog.Config) { c.Refresh = time.Microsecond })
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				id := guide[(worker+i)%len(guide)]
				if _, err := r.Resolve(home(t), id); err != nil {
					t.Errorf("%s: %v", id, err)
				}
				// Ids that rules make, more than are remembered.
				if _, err := r.Resolve(home(t), fmt.Sprintf("qwen.q%d-%d", worker, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOwnersResolveTheirNames(t *testing.T) {
	var c *catalog.Catalog
	const provisioned = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl"
	c = bare(t, func(cfg *catalog.Config) {
		cfg.Owners = []catalog.Owner{{
			Name:  "provisioned-model",
			Match: func(id string) bool { return strings.Contains(id, ":provisioned-model/") || !strings.Contains(id, ".") },
			Resources: func(_ context.Context, id string) []string {
				if id == "creating" {
					return []string{"the ARN of creating"}
				}
				return nil
			},
			Resolve: func(ctx context.Context, id string) (*catalog.Target, error) {
				switch id {
				case provisioned, "my-throughput":
				case "creating":
					return nil, apierr.New(apierr.ModelNotReady, "not yet")
				default:
					return nil, nil
				}
				t, err := c.Foundation(ctx, "anthropic.claude-v2:0:18k", id)
				if err != nil {
					return nil, err
				}
				own := *t
				own.ARN, own.ProvisionedARN, own.Resources = provisioned, provisioned, []string{provisioned}
				return &own, nil
			},
		}}
	})
	for _, id := range []string{provisioned, "my-throughput"} {
		got, err := c.Resolve(home(t), id)
		if err != nil {
			t.Fatal(err)
		}
		if got.ProvisionedARN != provisioned || got.BaseID != "anthropic.claude-v2" || got.Context != 18000 || got.Family != catalog.Claude || got.ModelID != id {
			t.Errorf("%s: %+v", id, got)
		}
		if diff := cmp.Diff([]string{provisioned}, c.ResourceARNs(home(t), id)); diff != "" {
			t.Error(diff)
		}
	}
	_, err := c.Resolve(home(t), "creating")
	wantError(t, err, apierr.ModelNotReady, "")
	if diff := cmp.Diff([]string{"the ARN of creating"}, c.ResourceARNs(home(t), "creating")); diff != "" {
		t.Error(diff)
	}
	_, err = c.Resolve(home(t), "unknown-name")
	wantError(t, err, apierr.Validation, "The provided model identifier is invalid.")
}

func TestUsersAddModelsAndRules(t *testing.T) {
	r := open(t, func(c *catalog.Config) {
		c.Models = []catalog.Model{
			{ID: "acme.rocket-v1", Name: "Rocket", Family: catalog.OpenAIChat, Features: "stream tools"},
			{ID: "amazon.titan-text-lite-v1", Name: "My Lite", Family: catalog.TitanText, OnDemand: "*"},
		}
		c.Rules = []catalog.Rule{{Pattern: "acme.*", Model: catalog.Model{Family: catalog.ClaudeMessages}}}
	})
	got, err := r.Resolve(home(t), "acme.rocket-v1")
	if err != nil || got.Family != catalog.OpenAIChat || !got.Streaming || got.Provider != "acme" {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := r.Resolve(home(t), "acme.glider"); err != nil || got.Family != catalog.ClaudeMessages {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, _ := r.Resolve(home(t), "amazon.titan-text-lite-v1"); got.Name != "My Lite" {
		t.Errorf("%+v", got)
	}
	if len(list(t, r, home(t), bedrock.ListFoundationModelsInput{ByProvider: new("acme")})) != 1 {
		t.Error("a user's model is not listed")
	}
	for _, bad := range []catalog.Model{
		{ID: "noprovider", Family: catalog.Nova}, {ID: "a.b"}, {ID: "a.b", Family: "x", Out: "SMELL"}, {ID: "a.b", Family: "x", Features: "fly"},
		{ID: "a.b", Family: "x", Out: "EMBEDDING"}, {ID: "a.b", Family: "x", EOL: "soon"}, {ID: "a.b", Family: "x", Profiles: "mars"}, {ID: "a.b", Family: "x", Customize: "WAX"},
	} {
		if _, err := catalog.New(catalog.Config{Engine: everyKind(), Models: []catalog.Model{bad}}); err == nil || !strings.Contains(err.Error(), bad.ID) {
			t.Errorf("%+v gives %v", bad, err)
		}
	}
	if _, err := catalog.New(catalog.Config{Engine: everyKind(), Aliases: []catalog.Alias{{Pattern: "x"}}}); err == nil {
		t.Error("an alias without a model passes")
	}
}

func TestPermissionIsNeededForTheProfileAndEveryModelBehindIt(t *testing.T) {
	c := bare(t, nil)
	fm := func(region string) string {
		return "arn:aws:bedrock:" + region + "::foundation-model/anthropic.claude-sonnet-4-6"
	}
	for id, want := range map[string][]string{
		"anthropic.claude-v2":                                 {"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"},
		"anthropic.nope":                                      {"arn:aws:bedrock:us-east-1::foundation-model/anthropic.nope"},
		"anthropic.claude-v2:0:18k":                           {"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:0:18k"},
		"us.anthropic.claude-sonnet-4-6":                      {"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6", fm("us-east-1"), fm("us-east-2"), fm("us-west-2")},
		"global.anthropic.claude-sonnet-4-6":                  {"arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-sonnet-4-6", fm("us-east-1"), fm("")},
		"arn:aws:sagemaker:us-east-1:123456789012:endpoint/e": {"arn:aws:sagemaker:us-east-1:123456789012:endpoint/e"},
	} {
		if diff := cmp.Diff(want, c.ResourceARNs(home(t), id)); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

func TestEmbeddingFacts(t *testing.T) {
	c := bare(t, nil)
	for id, want := range map[string]struct {
		size    int
		allowed []int
		images  bool
	}{
		"amazon.titan-embed-text-v1":   {1536, nil, false},
		"amazon.titan-embed-text-v2:0": {1024, []int{256, 512, 1024}, false},
		"amazon.titan-embed-image-v1":  {1024, []int{256, 384, 1024}, true},
		"cohere.embed-english-v3":      {1024, nil, false},
		"cohere.embed-v4:0":            {1536, []int{256, 512, 1024, 1536}, true},
	} {
		got, err := c.Resolve(home(t), id)
		if err != nil {
			t.Fatal(err)
		}
		f := got.Embedding
		if f.Default != want.size || !slices.Equal(f.Allowed, want.allowed) || f.Images != want.images || !f.Allows(want.size) || f.Allows(7) {
			t.Errorf("%s: %+v", id, f)
		}
		if f.Allows(512) != slices.Contains(want.allowed, 512) {
			t.Errorf("%s allows 512: %v", id, f.Allows(512))
		}
	}
}

func TestMinorVersionsShareAQuota(t *testing.T) {
	c := bare(t, nil)
	a, _ := c.Resolve(home(t), "anthropic.claude-v2")
	b, _ := c.Resolve(home(t), "anthropic.claude-v2:1")
	if a.QuotaKey != b.QuotaKey || a.QuotaKey != "anthropic.claude-v2" {
		t.Errorf("%q and %q", a.QuotaKey, b.QuotaKey)
	}
}

func TestThroughputIDsCarryTheCommitmentRule(t *testing.T) {
	c := bare(t, nil)
	refused := []string{"amazon.titan-image-generator-v1:0", "stability.stable-diffusion-xl-v1:0", "meta.llama2-13b-chat-v1:0:4k"}
	for _, id := range throughput {
		got := c.ThroughputOf(id)
		if len(got) != 1 || got[0].ID != id || got[0].NoCommitment == slices.Contains(refused, id) {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if got := c.ThroughputOf("anthropic.claude-v2"); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	if c.ThroughputOf("ai21.j2-mid-v1") != nil || c.ThroughputOf("nope") != nil {
		t.Error("throughput of what has none")
	}
}

func TestDescribeSaysWhoAnswers(t *testing.T) {
	c := bare(t, func(c *catalog.Config) {
		c.Engine = &fakeEngine{models: []engine.Info{{Name: "qwen", Kind: engine.Chat}}}
	})
	got, err := c.Describe(home(t))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]catalog.Description{}
	for _, d := range got {
		seen[d.ID] = d
		if (d.Local == "") != (d.Reason != "") {
			t.Errorf("%+v", d)
		}
	}
	if d := seen["anthropic.claude-v2"]; d.Local != "qwen" || d.Pattern {
		t.Errorf("%+v", d)
	}
	if d := seen["anthropic.claude-*"]; d.Local != "qwen" || !d.Pattern {
		t.Errorf("%+v", d)
	}
	if d := seen["amazon.titan-image-generator-v1"]; d.Local != "" {
		t.Errorf("%+v", d)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range slices.Concat(guide, throughput) {
		f.Add(s)
		f.Add("us." + s)
		f.Add("arn:aws:bedrock:us-east-1::foundation-model/" + s)
	}
	f.Add("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0")
	c, err := catalog.New(catalog.Config{Engine: everyKind()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		got, err := c.Resolve(home(t), id)
		if err != nil {
			if k := apierr.KindOf(err); k != apierr.Validation && k != apierr.ServiceUnavailable {
				t.Fatalf("%q: %v", id, err)
			}
		} else if got.Local == "" || got.Family == "" || got.ModelID != id || len(got.Resources) == 0 {
			t.Fatalf("%q: %+v", id, got)
		}
		if len(c.ResourceARNs(home(t), id)) == 0 {
			t.Fatalf("%q has no resource", id)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	c, err := catalog.New(catalog.Config{Engine: everyKind()})
	if err != nil {
		b.Fatal(err)
	}
	ctx := home(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Resolve(ctx, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"); err != nil {
			b.Fatal(err)
		}
	}
}

// With a store the access row is looked at too.
func BenchmarkResolveWithStore(b *testing.B) {
	r := open(b, nil)
	ctx := home(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Resolve(ctx, "anthropic.claude-v2"); err != nil {
			b.Fatal(err)
		}
	}
}
