package lambda

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
)

func TestFunctionsAreNamedInManyWays(t *testing.T) {
	ctx := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "eu-west-3"})
	plain := target{account: "123456789012", region: "eu-west-3", name: "f"}
	live := plain
	live.qualifier = "live"
	other := live
	other.account = "210987654321"
	for _, c := range []struct {
		name, qualifier string
		want            target
		kind            apierr.Kind
	}{
		{"f", "", plain, ""},
		{"f:live", "", live, ""},
		{"f", "live", live, ""},
		{"f:live", "live", live, ""},
		{"f:live", "1", target{}, invalid},
		{"123456789012:function:f", "", plain, ""},
		{"function:f:live", "", live, ""},
		{"210987654321:function:f:live", "", other, ""},
		{"arn:aws:lambda:eu-west-3:123456789012:function:f", "", plain, ""},
		{"arn:aws:lambda:eu-west-3:210987654321:function:f:live", "", other, ""},
		{"arn:aws:lambda:us-east-1:123456789012:function:f", "", target{}, notFound},
		{"arn:aws:lambda:eu-west-3:123456789012:layer:f", "", target{}, invalid},
		{"arn:aws:s3:::f", "", target{}, invalid},
	} {
		got, err := aim(ctx, c.name, &c.qualifier)
		if c.kind != "" {
			if err == nil || apierr.KindOf(err) != c.kind {
				t.Errorf("%s %s: %v, want %s", c.name, c.qualifier, err, c.kind)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s %s: %+v %v, want %+v", c.name, c.qualifier, got, err, c.want)
		}
	}
	if _, err := unqualified(ctx, "f:live"); apierr.KindOf(err) != invalid {
		t.Errorf("a qualifier where none may be: %v", err)
	}
}

func FuzzAim(f *testing.F) {
	f.Add("arn:aws:lambda:eu-west-3:123456789012:function:f:1", "")
	f.Add("function:", ":")
	f.Fuzz(func(t *testing.T, name, qualifier string) {
		ctx := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "eu-west-3"})
		if got, err := aim(ctx, name, &qualifier); err == nil && got.region != "eu-west-3" {
			t.Errorf("%q leads to %s", name, got.region)
		}
	})
}

func TestAWeightedAliasChoosesByChance(t *testing.T) {
	a := alias{Version: "1", Weights: map[string]float64{"2": 0.25}}
	got := []string{a.pick(0), a.pick(0.2499), a.pick(0.25), a.pick(0.999), alias{Version: "1"}.pick(0)}
	if d := cmp.Diff([]string{"2", "2", "1", "1", "1"}, got); d != "" {
		t.Error(d)
	}
}

func TestPrincipalsOfPermissions(t *testing.T) {
	for in, want := range map[string]any{
		"*": "*", "bedrock.amazonaws.com": map[string]string{"Service": "bedrock.amazonaws.com"},
		"123456789012":                      map[string]string{"AWS": "arn:aws:iam::123456789012:root"},
		"arn:aws:iam::123456789012:user/me": map[string]string{"AWS": "arn:aws:iam::123456789012:user/me"},
	} {
		if d := cmp.Diff(want, principal(in)); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
}

func TestVariablesThatCannotBeSet(t *testing.T) {
	if err := checkEnvironment(map[string]string{"WORD": "x", "AWS_MAX_ATTEMPTS": "1"}); err != nil {
		t.Error(err)
	}
	for _, v := range []map[string]string{{"AWS_REGION": "x"}, {"LONG": string(make([]byte, maxEnvironment))}} {
		if err := checkEnvironment(v); err == nil || apierr.KindOf(err) != invalid {
			t.Errorf("%v", err)
		}
	}
}
