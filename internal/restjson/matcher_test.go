package restjson

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
)

// TestMatcherAgreesWithTheExpression compares the fast ways with a plain regular
// expression, for every pattern of the models.
func TestMatcherAgreesWithTheExpression(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("aZ09-_.:/ \n\t!*é한😀{}$^\\,@=+\x00\x7f~")
	fast, total, matched := 0, 0, 0
	for _, svc := range []*api.Service{&bedrock.Service, &bedrockruntime.Service, &bedrockagent.Service, &bedrockagentruntime.Service} {
		for i := range svc.Shapes {
			p := svc.Shapes[i].Pattern
			if p == nil || p.Match != nil {
				continue
			}
			total++
			m := newMatcher(p)
			if m.any || m.class != nil {
				fast++
			}
			re := regexp.MustCompile("^(?:" + p.Expr + ")$")
			samples := []string{"", "a", "DRAFT", "ABCDEFGHIJ", "s3://bucket/key", "arn:aws:iam::123456789012:role/service-role/r", "anthropic.claude-v2:1",
				strings.Repeat("a", 1000), strings.Repeat("1", 36), "true", "a-b", "a\n", "\na", "😀😀"}
			for range 200 {
				var b strings.Builder
				for range rnd.IntN(12) {
					b.WriteRune(alphabet[rnd.IntN(len(alphabet))])
				}
				samples = append(samples, b.String())
			}
			for range 2 { // again, from what is remembered
				for _, s := range samples {
					want := re.MatchString(s)
					if want {
						matched++
					}
					if got := m.matchString(s); got != want {
						t.Errorf("%s.%s %q: %v for %q, want %v", svc.Name, svc.Shapes[i].Name, p.Expr, got, s, want)
					}
				}
			}
		}
	}
	t.Logf("%d patterns, %d without a regular expression, %d matches", total, fast, matched)
	if total < 250 || fast < 20 || matched < 1000 {
		t.Error("too few to mean anything")
	}
}

func TestClassOf(t *testing.T) {
	for expr, want := range map[string]bool{
		`[a-z]+`: true, `^[a-z]{3,9}$`: true, `([0-9a-f]*)`: true, `.*`: true, `[\s\S]*`: true, `a`: true, `[^\n]?`: true,
		`[a-z]+[0-9]`: false, `$|^a`: false, `(a|bc)+`: false, `(a*)*`: false, ``: false, `\$`: true,
	} {
		if got := classOf(expr) != nil; got != want {
			t.Errorf("%q: %v", expr, got)
		}
	}
}
