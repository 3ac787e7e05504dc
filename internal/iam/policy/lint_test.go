package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLint(t *testing.T) {
	for name, c := range map[string]struct {
		kind Kind
		doc  string
		want []string // a piece of each warning
	}{
		"nothing": {Identity, doc(`{"Effect":"Allow","Action":["bedrock:InvokeAgent","s3:GetObject"],"Resource":["arn:aws:bedrock:us-east-1:123456789012:agent-alias/A/B","arn:aws:s3:::b/*"]}`), nil},
		"the guide's misspelt action": {Identity, doc(`{"Effect":"Allow","Action":["iam:ListGroupsWithUser","iam:ListGroupsForUser"],"Resource":"arn:aws:iam::*:user/${aws:username}"}`),
			[]string{"iam:ListGroupsWithUser: there is no such action"}},
		"wild and none":            {Identity, doc(`{"Effect":"Allow","Action":"bedrock:Frob*","Resource":"*"}`), []string{"no such action"}},
		"agent for an alias":       {Identity, doc(`{"Effect":"Allow","Action":"bedrock:InvokeAgent","Resource":"arn:aws:bedrock:*:*:agent/A"}`), []string{"works on agent-alias"}},
		"no resource type":         {Identity, doc(`{"Effect":"Allow","Action":"bedrock:RetrieveAndGenerate","Resource":"arn:aws:bedrock:us-east-1:123456789012:knowledge-base/K"}`), []string{"Resource must be *"}},
		"wild actions meet":        {Identity, doc(`{"Effect":"Allow","Action":"bedrock:Get*","Resource":"arn:aws:bedrock:*:*:agent/*"}`), nil},
		"wild actions do not meet": {Identity, doc(`{"Effect":"Allow","Action":"bedrock:Get*","Resource":"arn:aws:s3:::b"}`), []string{"works on nothing"}},
		"unknown service":          {Identity, doc(`{"Effect":"Allow","Action":"frob:Nicate","Resource":"arn:aws:frob:::x"}`), nil},
		"early variable":           {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3::${aws:PrincipalAccount}:b"}`), []string{"before the fifth colon"}},
		"old version":              {Identity, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}","Condition":{"StringEquals":{"aws:userid":"${aws:userid}"}}}}`, []string{"plain text in version", "plain text in version"}},
		"set key":                  {Identity, doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:TagKeys":"a","aws:userid":[]}}}`), []string{"several values", "no value is listed"}},
		"all of nothing":           {Identity, doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}}`), []string{"holds when the request has no such key"}},
		"all of something":         {Identity, doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"a"},"Null":{"aws:TagKeys":"false"}}}`), nil},
		"everybody else":           {Resource, doc(`{"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`), []string{"NotPrincipal with Allow"}},
		"trust":                    {Trust, doc(`{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}`), nil},
	} {
		got := Lint(mustParse(t, c.kind, c.doc))
		ok := len(got) == len(c.want)
		for i := range c.want {
			ok = ok && strings.Contains(got[i].Text, c.want[i])
		}
		if !ok {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
	}
}

// naive matches by trying everything.
func naive(p, s []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '*':
		return naive(p[1:], s) || len(s) > 0 && naive(p, s[1:])
	case len(s) == 0:
		return false
	}
	return (p[0] == '?' || p[0] == s[0]) && naive(p[1:], s[1:])
}

func TestWildcardsAgreeWithTryingEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?é")), 0, 10, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.RuneFrom([]rune("abé*")), 0, 12, -1).Draw(t, "text")
		g := newGlob(pattern, wildcards)
		got, resolved := g.match(s, nil)
		if want := naive([]rune(pattern), []rune(s)); got != want || !resolved {
			t.Fatalf("%q on %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func TestARNsMatchPartByPart(t *testing.T) {
	part := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 4, -1)
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		ps := rapid.SliceOfN(part, 5, 5).Draw(t, "patterns")
		ts := rapid.SliceOfN(text, 5, 5).Draw(t, "texts")
		tail := rapid.StringOfN(rapid.RuneFrom([]rune("ab:/")), 0, 4, -1).Draw(t, "tail")
		want := true
		for i := range 4 {
			want = want && naive([]rune(ps[i]), []rune(ts[i]))
		}
		want = want && naive([]rune(ps[4]), []rune(ts[4]+tail))
		g, ok := newARNGlob("arn:"+strings.Join(ps, ":"), wildcards, true)
		parts, isARN := cutARN("arn:" + strings.Join(ts, ":") + tail)
		if !ok || !isARN {
			t.Fatal("not cut")
		}
		if got, _ := g.match(&parts, nil); got != want {
			t.Fatalf("%v on %v%s: %v, want %v", ps, ts, tail, got, want)
		}
	})
}

// A variable's value is text, whatever it holds, and so are the escapes.
func TestVariablesAreText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pre := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 4, -1).Draw(t, "before")
		value := rapid.StringOfN(rapid.RuneFrom([]rune("a*?${}'")), 0, 6, -1).Draw(t, "value")
		post := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 4, -1).Draw(t, "after")
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?$")), 0, 8, -1).Draw(t, "text")
		quoted := strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(value)
		v := newGlob(pre+"${K}"+post, wildcards|variables)
		e := newGlob(pre+quoted+post, wildcards|variables)
		e1 := &evaluator{Request: &Request{Keys: map[string][]string{"k": {value}}}}
		a, ok := v.match(s, e1)
		b, _ := e.match(s, nil)
		if a != b || !ok {
			t.Fatalf("by variable %v, by escape %v (%s)", a, b, quoted)
		}
		if strings.ContainsRune(value, '\'') {
			return // a default cannot hold a quote
		}
		d := newGlob(pre+"${none, '"+value+"'}"+post, wildcards|variables)
		if c, ok := d.match(s, e1); c != a || !ok {
			t.Fatalf("by default %v, by variable %v", c, a)
		}
	})
}

func TestOverlapAgreesWithMatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 6, -1).Draw(t, "a")
		b := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 6, -1).Draw(t, "b")
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 6, -1).Draw(t, "text")
		if naive([]rune(a), []rune(s)) && naive([]rune(b), []rune(s)) && !overlap(a, b) {
			t.Fatalf("%q and %q both match %q", a, b, s)
		}
		if !strings.ContainsAny(b, "*?") && overlap(a, b) != naive([]rune(a), []rune(b)) {
			t.Fatalf("%q with the text %q", a, b)
		}
	})
}
