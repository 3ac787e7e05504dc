package quota

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func limiter(t testing.TB, c Config) *Limiter {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func key(model string) Key { return Key{"123456789012", "us-east-1", model} }

func throttled(t *testing.T, err error, text string) {
	t.Helper()
	if apierr.KindOf(err) != apierr.Throttling || !strings.HasSuffix(err.Error(), ": "+text) {
		t.Errorf("error = %v, want ThrottlingException %q", err, text)
	}
}

// Check A13: request 101 of Claude 2.x in one minute, over both versions.
func TestRequest101OfAMinuteIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Profile: Guide})
		ids := []string{
			"anthropic.claude-v2", "anthropic.claude-v2:1", "anthropic.claude-v2:0:18k",
			"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1",
		}
		for i := range 100 {
			if err := l.Admit(key(ids[i%len(ids)]), 0); err != nil {
				t.Fatalf("request %d: %v", i+1, err)
			}
			time.Sleep(590 * time.Millisecond) // spread over the minute: nothing may trickle back
		}
		for _, id := range ids {
			throttled(t, l.Admit(key(id), 0), "Too many requests, please wait before trying again. You have sent too many requests.  Wait before trying again.")
		}
		for _, other := range []Key{key("anthropic.claude-instant-v1"), {"210987654321", "us-east-1", ids[0]}, {"123456789012", "eu-west-1", ids[0]}, key("us." + ids[0])} {
			if err := l.Admit(other, 0); err != nil {
				t.Errorf("%v is held to another's quota: %v", other, err)
			}
		}
		time.Sleep(time.Second) // the window's end
		for i := range 100 {
			if err := l.Admit(key(ids[0]), 0); err != nil {
				t.Fatalf("request %d of the next minute: %v", i+1, err)
			}
		}
		if l.Admit(key(ids[0]), 0) == nil {
			t.Error("request 101 of the next minute passed")
		}
		time.Sleep(24 * time.Hour)
		if err := l.Admit(key(ids[0]), 0); err != nil {
			t.Errorf("a day later: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Overrides: map[string]Rate{"m": {Tokens: 1000}}})
		k := key("m")
		if err := l.Admit(k, 600); err != nil {
			t.Fatal(err)
		}
		throttled(t, l.Admit(k, 401), "Too many tokens, please wait before trying again.")
		l.Settle(k, -200) // it was 400
		if err := l.Admit(k, 401); err != nil {
			t.Fatal(err)
		}
		l.Settle(k, 2400) // a long answer: 3,201 in all
		throttled(t, l.Admit(k, 0), "Too many tokens, please wait before trying again.")
		for minute := 1; minute <= 3; minute++ {
			time.Sleep(time.Minute)
			err := l.Admit(k, 0)
			if owes := minute < 3; owes != (err != nil) {
				t.Errorf("minute %d: %v", minute, err)
			}
		}
		if err := l.Admit(k, 800); err == nil {
			t.Error("201 tokens are owed still, 800 more do not fit")
		}
		time.Sleep(time.Minute)
		if err := l.Admit(k, 1000); err != nil {
			t.Errorf("debt paid: %v", err)
		}
		time.Sleep(time.Minute)
		throttled(t, l.Admit(k, 1001), "Too many tokens, please wait before trying again.")
	})
}

func TestARefusedRequestCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Overrides: map[string]Rate{"m": {Requests: 1, Tokens: 10}}})
		throttled(t, l.Admit(key("m"), 11), "Too many tokens, please wait before trying again.")
		if err := l.Admit(key("m"), 10); err != nil {
			t.Errorf("the refused one was counted: %v", err)
		}
		throttled(t, l.Admit(key("m"), 1), "Too many requests, please wait before trying again.")
	})
}

func TestConcurrentRequestsNeverExceedTheLimit(t *testing.T) {
	l := limiter(t, Config{Overrides: map[string]Rate{"m": {Requests: 500}}, Now: func() time.Time { return time.Unix(1e9, 0) }})
	var (
		wg sync.WaitGroup
		ok atomic.Int64
	)
	for range 16 {
		wg.Go(func() {
			for range 100 {
				if l.Admit(key("m"), 0) == nil {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if ok.Load() != 500 {
		t.Errorf("%d passed, want exactly 500", ok.Load())
	}
}

func TestProfilesAndOverrides(t *testing.T) {
	for _, p := range []Profile{"", Off} {
		l := limiter(t, Config{Profile: p})
		if l != nil {
			t.Errorf("profile %q limits", p)
		}
		if err := l.Admit(key("anthropic.claude-v2"), 1<<40); err != nil {
			t.Error(err)
		}
		l.Settle(key("anthropic.claude-v2"), 1)
	}
	if _, err := New(Config{Profile: "strict"}); err == nil {
		t.Error("an unknown profile is taken")
	}
	if _, err := New(Config{Overrides: map[string]Rate{"m": {Requests: -1}}}); err == nil {
		t.Error("a negative rate is taken")
	}
	l := limiter(t, Config{Profile: Guide, Overrides: map[string]Rate{
		"anthropic.*": {Requests: 1}, "anthropic.claude-3*": {Requests: 2}, "anthropic.claude-v2": {Requests: 3}, "cohere.command-text-v14": {},
	}})
	for model, want := range map[string]int{
		"anthropic.claude-instant-v1": 1, "anthropic.claude-3-haiku-20240307-v1:0": 2, "anthropic.claude-v2:1": 3, "anthropic.new-v9:0": 1,
		"cohere.command-text-v14": 700, "unknown.model": 700, "amazon.titan-text-express-v1": 400,
	} {
		n := 0
		for n < 700 && l.Admit(key(model), 0) == nil {
			n++
		}
		if n != want {
			t.Errorf("%s: %d passed, want %d", model, n, want)
		}
	}
}

// The rows of the guide (spec 13.1), typed anew from the table and by id.
func TestGuideTable(t *testing.T) {
	want := map[string]Rate{
		"ai21.j2-mid-v1": {400, 300_000}, "ai21.j2-ultra-v1": {100, 200_000}, "amazon.titan-embed-text-v1": {2000, 300_000},
		"amazon.titan-image-generator-v1:0": {60, 0}, "amazon.titan-embed-image-v1:0": {2000, 0}, "amazon.titan-text-express-v1:0:8k": {400, 300_000},
		"amazon.titan-text-lite-v1": {800, 300_000}, "anthropic.claude-instant-v1:2:100k": {400, 300_000}, "anthropic.claude-v2:1:200k": {100, 200_000},
		"anthropic.claude-3-sonnet-20240229-v1:0": {100, 200_000}, "anthropic.claude-3-haiku-20240307-v1:0": {400, 300_000},
		"cohere.command-text-v14:7:4k": {400, 300_000}, "cohere.command-light-text-v14": {800, 300_000}, "cohere.embed-english-v3:0:512": {2000, 300_000},
		"cohere.embed-multilingual-v3": {2000, 300_000}, "meta.llama2-13b-chat-v1": {800, 300_000}, "meta.llama2-70b-chat-v1:0": {400, 300_000},
		"mistral.mistral-7b-instruct-v0:2": {800, 300_000}, "mistral.mixtral-8x7b-instruct-v0:1": {400, 300_000},
		"stability.stable-diffusion-xl-v0": {60, 0}, "stability.stable-diffusion-xl-v1:0": {60, 0},
	}
	l := limiter(t, Config{Profile: Guide})
	for id, r := range want {
		if got := l.rate(Group(id)); got != r {
			t.Errorf("%s = %+v, want %+v", id, got, r)
		}
	}
	if len(models) != 20 {
		t.Errorf("%d rows; the guide has 19, one of them for two models", len(models))
	}
}

func TestLimits(t *testing.T) {
	var l Limits
	for name, want := range map[string]int64{AgentsPerAccount: 50, AliasesPerAgent: 10, KnowledgeBasesPerAccount: 50, CustomModels: 100, UnitsNoCommitment: 2, UnitsCommitted: 0} {
		if v, ok := l.Limit(name); !ok || v != want {
			t.Errorf("%s = %d, %v, want %d", name, v, ok, want)
		}
	}
	if _, ok := l.Limit("Rocks per garden"); ok {
		t.Error("an unknown quota has a value")
	}
	l.Override = map[string]int64{AgentsPerAccount: 7}
	if v, _ := l.Limit(AgentsPerAccount); v != 7 {
		t.Errorf("override = %d", v)
	}
	all := l.All()
	seen := map[string]bool{}
	for _, q := range all {
		if seen[q.Name] || q.Name == "" || (q.Code != "" && seen[q.Code]) {
			t.Errorf("%+v twice or nameless", q)
		}
		seen[q.Name], seen[q.Code] = true, true
		if q.Name == AgentsPerAccount && q.Value != 7 {
			t.Errorf("All ignores the override: %+v", q)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b Quota) int { return strings.Compare(a.Name, b.Name) }) || len(all) != 16+20+17 {
		t.Errorf("%d quotas, or not sorted", len(all))
	}
}

func TestIdleBucketsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Overrides: map[string]Rate{"*": {Requests: 5}}})
		fill := func(round int) (n int) {
			for i := range 20 * crowd {
				_ = l.Admit(key(fmt.Sprintf("m%d-%d", round, i)), 0)
			}
			for i := range l.shards {
				n += len(l.shards[i].buckets)
			}
			return n
		}
		for round := range 6 {
			if n := fill(round); n > shards*crowd+20*crowd {
				t.Errorf("round %d: %d buckets", round, n)
			}
			time.Sleep(2 * time.Minute)
		}
	})
}

func FuzzGroup(f *testing.F) {
	for _, s := range []string{"", ":", "arn:", "arn:aws:bedrock:us-east-1::foundation-model/a:1", "anthropic.claude-v2:1:200k", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := Group(s)
		if strings.Contains(g, ":") || len(g) > len(s) || !strings.Contains(s, g) || (!strings.HasPrefix(g, "arn") && Group(g) != g) {
			t.Errorf("Group(%q) = %q", s, g)
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	off := limiter(b, Config{})
	guide := limiter(b, Config{Overrides: map[string]Rate{"anthropic.claude-v2": {Requests: 1 << 60, Tokens: 1 << 60}}})
	for name, l := range map[string]*Limiter{"off": off, "on": guide} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				k := key("anthropic.claude-v2:1")
				for pb.Next() {
					_ = l.Admit(k, 100)
				}
			})
		})
	}
}
