package lambda

import (
	"errors"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

const testARN = "arn:aws:lambda:us-east-1:123456789012:function:f"

// registry has function f with versions 1 and 2 and the alias live, 1 to a tenth.
func registry(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{Store: storetest.New(t)}
	at, _ := targetOf(testARN)
	head := record{
		Runtime: "python3.11", Handler: "latest", Timeout: 7, MemoryMB: 256, Revision: "r", Environment: map[string]string{"A": "b"}, Reserved: new(3),
		Aliases: map[string]alias{"live": {Version: "2", Weights: map[string]float64{"1": 0.1}}},
		Statements: map[string][]statement{
			"":     {{Sid: "agent", Effect: "Allow", Principal: principal("bedrock.amazonaws.com"), Action: "lambda:InvokeFunction", Resource: testARN, Condition: map[string]map[string]string{"ArnLike": {"AWS:SourceArn": "arn:aws:bedrock:us-east-1:123456789012:agent/X"}}}},
			"live": {{Sid: "flow", Effect: "Allow", Principal: principal("bedrock.amazonaws.com"), Action: "lambda:InvokeFunction", Resource: testARN + ":live"}},
		},
	}
	err := r.Store.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := functions.Create(tx, at.key(), head, store.Columns{Name: "f"}); err != nil {
			return err
		}
		for _, handler := range []string{"first", "second"} {
			v := head.version()
			v.Handler = handler
			if _, err := functions.NewVersion(tx, at.key(), v, store.Columns{Name: "f"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAFunctionIsFoundByVersionAndAlias(t *testing.T) {
	r := registry(t)
	for _, c := range []struct {
		arn, handler, version string
		roll                  float64
	}{
		{testARN, "latest", "$LATEST", 0},
		{testARN + ":$LATEST", "latest", "$LATEST", 0},
		{testARN + ":1", "first", "1", 0},
		{testARN + ":live", "first", "1", 0.09},
		{testARN + ":live", "second", "2", 0.1},
		{testARN + ":3", "", "", 0},
		{testARN + ":dead", "", "", 0},
		{testARN + "2", "", "", 0},
	} {
		r.Roll = func() float64 { return c.roll }
		f, err := r.Function(t.Context(), c.arn)
		if c.handler == "" {
			if e, ok := errors.AsType[*fn.Error](err); !ok || e.Kind != fn.NotFound {
				t.Errorf("%s: %v", c.arn, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.arn, err)
		}
		if f.Handler != c.handler || f.Version != c.version || f.ARN != testARN || f.Timeout != 7*time.Second || f.Reserved == nil || *f.Reserved != 3 || f.Environment["A"] != "b" {
			t.Errorf("%s: %+v", c.arn, f)
		}
	}
}

// What a room asks before an agent calls a function by itself.
func TestAServiceIsLetInByTheFunctionsPolicy(t *testing.T) {
	r := registry(t)
	id, err := iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arn, service, agent string
		allowed             bool
	}{
		{testARN, "bedrock.amazonaws.com", "X", true},
		{testARN, "bedrock.amazonaws.com", "Y", false},
		{testARN, "events.amazonaws.com", "X", false},
		{testARN + ":live", "bedrock.amazonaws.com", "Y", true},
		{testARN + ":1", "bedrock.amazonaws.com", "X", false},
		{testARN + "2", "bedrock.amazonaws.com", "X", false},
	} {
		policies, err := r.Policies(t.Context(), c.arn)
		if err != nil {
			t.Fatal(err)
		}
		err = id.AllowService(iam.ServiceQuestion{
			Service: c.service, Action: "lambda:InvokeFunction", Resource: c.arn, ResourcePolicies: policies,
			SourceARN: "arn:aws:bedrock:us-east-1:123456789012:agent/" + c.agent, SourceAccount: "123456789012",
		})
		if (err == nil) != c.allowed {
			t.Errorf("%s for agent %s on %s: %v", c.service, c.agent, c.arn, err)
		}
	}
}

func BenchmarkFindAFunction(b *testing.B) {
	r := registry(b)
	for b.Loop() {
		if _, err := r.Function(b.Context(), testARN+":live"); err != nil {
			b.Fatal(err)
		}
	}
}

// A function that is served elsewhere and not made here cannot have been given a
// policy; services that act for its account are let in, and nobody else.
func TestAFunctionElsewhereLetsServicesOfItsAccountIn(t *testing.T) {
	r := registry(t)
	r.Elsewhere = func(arn string) bool { return arn != testARN+"-unknown" }
	id, err := iam.New(t.Context(), iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arn, service, account string
		allowed               bool
	}{
		{testARN + "-there", "bedrock.amazonaws.com", "123456789012", true},
		{testARN + "-there:live", "bedrock.amazonaws.com", "123456789012", true},
		{testARN + "-there", "bedrock.amazonaws.com", "999999999999", false},
		{testARN + "-there", "events.amazonaws.com", "123456789012", false},
		{testARN + "-unknown", "bedrock.amazonaws.com", "123456789012", false},
		{testARN + ":1", "bedrock.amazonaws.com", "123456789012", false}, // made here: its own policy counts
	} {
		policies, err := r.Policies(t.Context(), c.arn)
		if err != nil {
			t.Fatal(err)
		}
		err = id.AllowService(iam.ServiceQuestion{
			Service: c.service, Action: "lambda:InvokeFunction", Resource: c.arn, ResourcePolicies: policies,
			SourceARN: "arn:aws:bedrock:us-east-1:" + c.account + ":agent/X", SourceAccount: c.account,
		})
		if (err == nil) != c.allowed {
			t.Errorf("%s of %s on %s: %v", c.service, c.account, c.arn, err)
		}
	}
}

func TestAVersionHasEventSettingsOfItsOwn(t *testing.T) {
	r := registry(t)
	at, _ := targetOf(testARN)
	err := r.Store.Update(t.Context(), func(tx *store.Tx) error {
		head, err := functions.Get(tx, at.key())
		if err != nil {
			return err
		}
		head.Body.Events = map[string]eventConfig{"$LATEST": {Retries: new(0)}, "live": {Retries: new(1), Age: new(60)}}
		_, err = functions.Put(tx, head)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]fn.Retry{
		testARN: {Most: -1}, testARN + ":$LATEST": {Most: -1}, testARN + ":live": {Most: 1, MaxAge: time.Minute}, testARN + ":1": {}, testARN + "2": {}, "x": {},
	} {
		got, err := r.Retry(t.Context(), arn)
		if err != nil || got.Most != want.Most || got.MaxAge != want.MaxAge || len(got.Delays) > 0 {
			t.Errorf("%s: %+v, %v; want %+v", arn, got, err, want)
		}
	}
}
