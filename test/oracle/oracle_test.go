package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// cases is how many pairs of policies and request are compared.
const cases = 10_000

// question is one case, as the oracle reads it.
type question struct {
	Principal      string         `json:"principal"`
	Action         string         `json:"action"`
	Resource       string         `json:"resource"`
	Owner          string         `json:"owner"`
	Keys           map[string]any `json:"keys"`
	Identity       []document     `json:"identity"`
	ResourcePolicy *document      `json:"resourcePolicy,omitempty"`
	Boundary       *document      `json:"boundary,omitempty"`
	Session        *document      `json:"session,omitempty"`
	Unchecked      bool           `json:"unchecked,omitempty"` // the oracle does not look at the keys' types

	caller policy.Caller
}

type document struct {
	Version   string
	Statement []map[string]any
}

type condition = map[string]map[string]any

const (
	own   = "123456789012"
	other = "999999999999"
	alice = "arn:aws:iam::123456789012:user/alice"
	role  = "arn:aws:iam::123456789012:role/R"
	sess  = "arn:aws:sts::123456789012:assumed-role/R/s1"
)

// generator makes cases from small pools, so that patterns meet what they were
// made for about as often as not.
type generator struct {
	*rand.Rand
	next int // operator in turn
}

func one[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// key is a condition key with what requests say and what policies ask for.
type key struct {
	name  string
	have  []string
	ask   []string
	multi bool
}

var pools = map[string][]key{
	"String": {
		{"aws:PrincipalTag/team", []string{"red", "Red", "blue", "r*d"}, []string{"red", "RED", "blue", "r*", "r?d", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/none, 'red'}", "${aws:PrincipalTag/none}", "r${*}d", "*"}, false},
		{"aws:userid", []string{"AIDAX", "AROAX:s1"}, []string{"AIDAX", "AROAX:*", "aidax", "A?DAX"}, false},
		{"aws:RequestedRegion", []string{"us-east-1", "eu-west-1"}, []string{"us-east-1", "eu-*", "US-EAST-1", "us-*-?"}, false},
		{"aws:SourceVpc", []string{"vpc-1", "vpc-2"}, []string{"vpc-1", "vpc-*", "VPC-2"}, false},
		{"aws:TagKeys", []string{"team", "cost", "Owner"}, []string{"team", "cost", "owner", "o*", "T*"}, true},
	},
	"Numeric": {{"aws:MultiFactorAuthAge", []string{"0", "299", "300", "3600", "12"}, []string{"300", "0", "3600", "11", "300.0"}, false}},
	"Date": {
		{"aws:CurrentTime", []string{"2026-11-25T12:00:00Z", "2025-01-01T00:00:00Z"}, []string{"2026-11-25T12:00:00Z", "2026-01-01T00:00:00Z", "2030-06-01"}, false},
		{"aws:TokenIssueTime", []string{"2026-11-25T11:00:00Z", "2024-02-29T23:59:59Z"}, []string{"2026-11-25T11:00:00Z", "2025-01-01T00:00:00Z", "2026-11-25T00:00:00Z"}, false},
	},
	"Bool":   {{"aws:SecureTransport", []string{"true", "false"}, []string{"true", "false"}, false}, {"aws:MultiFactorAuthPresent", []string{"true", "false"}, []string{"true", "false"}, false}},
	"Binary": {{"x:blob", []string{"QUJD", "QUJE", "AAECAw=="}, []string{"QUJD", "AAECAw=="}, false}},
	"Ip":     {{"aws:SourceIp", []string{"10.1.2.3", "203.0.113.9", "2001:db8::7"}, []string{"10.0.0.0/8", "203.0.113.9", "203.0.113.0/24", "2001:db8::/32", "10.1.2.0/25", "128.0.0.0/1"}, false}},
	"Arn": {
		{"aws:SourceArn", []string{"arn:aws:bedrock:us-east-1:123456789012:agent/A", "arn:aws:s3:::b", "arn:aws:bedrock:eu-west-1:999999999999:knowledge-base/K"},
			[]string{"arn:aws:bedrock:us-east-1:123456789012:agent/*", "arn:aws:bedrock:*:123456789012:*", "arn:aws:s3:::?", "arn:*:*:*:*:*", "arn:aws:bedrock:us-east-1:123456789012:agent/A", "arn:aws:bedrock:??-*-?:123456789012:*"}, false},
		{"aws:PrincipalArn", []string{alice, role}, []string{alice, "arn:aws:iam::*:role/*", "arn:aws:iam::123456789012:*", "arn:aws:iam::999999999999:*"}, false},
	},
}

// pool names the pool of an operator.
func pool(op string) string {
	for _, p := range []string{"Numeric", "Date", "Bool", "Binary", "Arn"} {
		if strings.HasPrefix(op, p) {
			return p
		}
	}
	if strings.HasSuffix(op, "IpAddress") {
		return "Ip"
	}
	return "String"
}

var operators = policy.Operators()

// operator takes the operators in turn, with prefixes and suffix now and then.
func (g *generator) condition(q *question) condition {
	op := operators[g.next%len(operators)]
	g.next++
	if op == "BinaryEquals" && !q.Unchecked {
		op = "StringEquals"
	}
	k := one(g, pools[pool(op)]...)
	if op == "Null" {
		k = one(g, pools[one(g, "String", "Numeric", "Ip", "Arn")]...)
		return condition{op: {k.name: one(g, "true", "false")}}
	}
	if k.multi || g.IntN(25) == 0 && pool(op) == "String" {
		op = one(g, "ForAnyValue:", "ForAllValues:", "ForAllValues:") + op
	} else if g.IntN(5) == 0 {
		op += "IfExists"
	}
	if g.IntN(3) == 0 {
		return condition{op: {k.name: g.ask(op, k)}}
	}
	n := 1 + g.IntN(3)
	values := make([]string, n)
	for i := range values {
		values[i] = g.ask(op, k)
	}
	return condition{op: {k.name: values}}
}

// ask takes a value, leaving out what TestExceptions looks at.
func (g *generator) ask(op string, k key) string {
	v := one(g, k.ask...)
	switch {
	case strings.Contains(v, "${*}") && !strings.Contains(op, "Like"):
		return "red"
	case strings.Contains(op, "NotIpAddress") && !strings.Contains(v, "/"):
		return v + "/32"
	}
	return v
}

var targets = []struct {
	actions   []string
	resources []string
	ask       []string // actions in policies
	patterns  []string
}{
	{[]string{"s3:GetObject", "s3:PutObject"}, []string{"arn:aws:s3:::b/k", "arn:aws:s3:::b/home/red/x:y"},
		[]string{"s3:GetObject", "s3:*", "S3:get*", "s3:?utObject", "*"},
		[]string{"*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k", "arn:aws:s3:*", "arn:aws:s3:::*/home/${aws:PrincipalTag/team}/*", "arn:aws:s3:::c/*", "arn:aws:s3:::b/?"}},
	{[]string{"sqs:SendMessage"}, []string{"arn:aws:sqs:us-east-1:123456789012:q1"},
		[]string{"sqs:SendMessage", "sqs:*", "SQS:Send*", "*"}, []string{"*", "arn:aws:sqs:*:*:q?", "arn:aws:sqs:us-east-1:123456789012:q1", "arn:aws:sqs:eu-*:*:*"}},
	{[]string{"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}, []string{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1"},
		[]string{"bedrock:InvokeModel", "bedrock:Invoke*", "bedrock:*", "*"}, []string{"*", "arn:aws:bedrock:*::foundation-model/*", "arn:aws:bedrock:*::foundation-model/anthropic.*", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:?", "arn:aws:bedrock:*:*:agent/*"}},
	{[]string{"lambda:InvokeFunction"}, []string{"arn:aws:lambda:us-east-1:123456789012:function:f"},
		[]string{"lambda:InvokeFunction", "lambda:Invoke*", "*"}, []string{"*", "arn:aws:lambda:*:123456789012:function:*", "arn:aws:lambda:us-east-1:123456789012:function:f", "arn:aws:lambda:*:*:function:g"}},
}

func (g *generator) statement(q *question, target int, effect string, conditions int) map[string]any {
	t := targets[target]
	s := map[string]any{"Effect": effect}
	actions := []string{one(g, t.ask...)}
	if g.IntN(3) == 0 {
		actions = append(actions, one(g, targets[g.IntN(len(targets))].ask...))
	}
	switch g.IntN(12) {
	case 0:
		s["NotAction"] = []string{"iam:*", one(g, targets[g.IntN(len(targets))].ask[:2]...)}
	case 1, 2, 3, 4:
		s["Action"] = actions[0]
	default:
		s["Action"] = actions
	}
	resources := []string{one(g, t.patterns...)}
	if g.IntN(2) == 0 {
		resources = append(resources, one(g, t.patterns...))
	}
	if g.IntN(12) == 0 {
		s["NotResource"] = []string{one(g, t.patterns[1:]...)}
	} else {
		s["Resource"] = resources
	}
	all := condition{}
	for range conditions {
		for op, keys := range g.condition(q) {
			if all[op] == nil {
				all[op] = map[string]any{}
			}
			for k, v := range keys {
				all[op][k] = v
			}
		}
	}
	if len(all) > 0 {
		s["Condition"] = all
	}
	return s
}

func (g *generator) document(q *question, target int, statements func() map[string]any) *document {
	d := &document{Version: policy.Version2012}
	for range 1 + g.IntN(3) {
		d.Statement = append(d.Statement, statements())
	}
	// The older version has no variables, which the oracle does not know.
	if b, err := json.Marshal(d); g.IntN(10) == 0 && err == nil && !bytes.Contains(b, []byte("${")) {
		d.Version = policy.Version2008
	}
	return d
}

func (g *generator) effect() string {
	if g.IntN(6) == 0 {
		return "Deny"
	}
	return "Allow"
}

func (g *generator) principal() any {
	return one[any](g, "*", map[string]any{"AWS": "*"}, map[string]any{"AWS": own}, map[string]any{"AWS": "arn:aws:iam::123456789012:root"},
		map[string]any{"AWS": []string{alice, other}}, map[string]any{"AWS": role}, map[string]any{"AWS": sess}, map[string]any{"AWS": other},
		map[string]any{"Service": "bedrock.amazonaws.com"}, map[string]any{"AWS": []string{role, sess}, "Service": []string{"lambda.amazonaws.com", "bedrock.amazonaws.com"}})
}

func (g *generator) question() *question {
	q := &question{Keys: map[string]any{}, Owner: own}
	q.Unchecked = g.IntN(10) == 0
	target := g.IntN(len(targets))
	t := targets[target]
	q.Action, q.Resource = one(g, t.actions...), one(g, t.resources...)
	if target == 0 && g.IntN(8) == 0 {
		q.Owner = other
	}
	withResource := !q.Unchecked && target != 2 && (g.IntN(3) == 0 || q.Owner == other)
	switch n := g.IntN(10); {
	case n < 5 || q.Unchecked:
		q.Principal, q.caller = alice, policy.Caller{Kind: policy.User, Account: own, ARN: alice}
	case n < 8 || !withResource:
		q.Principal, q.caller = sess, policy.Caller{Kind: policy.RoleSession, Account: own, ARN: sess, RoleARN: role}
	case n < 9:
		q.Principal, q.caller = "bedrock.amazonaws.com", policy.Caller{Kind: policy.Service, Service: "bedrock.amazonaws.com"}
	default:
		q.Principal = ""
	}
	statement := func(conditions ...int) func() map[string]any {
		return func() map[string]any { return g.statement(q, target, g.effect(), one(g, conditions...)) }
	}
	identified := q.caller.Account != ""
	if identified {
		for range 1 + g.IntN(2) {
			q.Identity = append(q.Identity, *g.document(q, target, statement(0, 1, 1, 1, 2)))
		}
		if !q.Unchecked && g.IntN(5) == 0 {
			q.Boundary = g.document(q, target, statement(0, 0, 1))
		}
		if q.caller.Kind == policy.RoleSession && g.IntN(3) == 0 {
			q.Session = g.document(q, target, statement(0, 0, 1))
		}
	}
	if withResource {
		q.ResourcePolicy = g.document(q, target, func() map[string]any {
			s := g.statement(q, target, g.effect(), g.IntN(2))
			switch {
			case s["Effect"] == "Deny" && g.IntN(3) == 0:
				// All that the caller is, or nothing of it: TestExceptions has the rest.
				left := map[string]any{"AWS": []string{alice, own}}
				switch q.caller.Kind {
				case policy.RoleSession:
					left = map[string]any{"AWS": []string{role, sess, own}}
				case policy.Service:
					left = map[string]any{"AWS": other, "Service": []string{"lambda.amazonaws.com", "bedrock.amazonaws.com"}}
				case policy.Anonymous, policy.Root, policy.User:
				}
				s["NotPrincipal"] = one[any](g, left, left, map[string]any{"AWS": other}, map[string]any{"Service": "lambda.amazonaws.com"})
			case q.Session != nil:
				s["Principal"] = one[any](g, "*", map[string]any{"AWS": own}, map[string]any{"AWS": role}, map[string]any{"AWS": other})
			default:
				s["Principal"] = g.principal()
			}
			return s
		})
	}
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		for _, k := range pools[name] {
			switch {
			case g.IntN(6) == 0, name == "Binary" && !q.Unchecked:
			case k.multi:
				have := []string{one(g, k.have...)}
				if g.IntN(2) == 0 {
					have = append(have, one(g, k.have...))
				}
				q.Keys[k.name] = have
			default:
				q.Keys[k.name] = one(g, k.have...)
			}
		}
	}
	q.Keys["aws:PrincipalAccount"] = own
	return q
}

// compiled is a question in our terms.
type compiled struct {
	request policy.Request
	sets    policy.Sets
}

func (q *question) compile(t *testing.T) *compiled {
	t.Helper()
	parse := func(d *document, kind policy.Kind) *policy.Policy {
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse(string(b), kind)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		return p
	}
	c := &compiled{request: policy.Request{Caller: q.caller, Action: q.Action, Resource: q.Resource, ResourceAccount: q.Owner, Keys: map[string][]string{}}}
	for k, v := range q.Keys {
		switch v := v.(type) {
		case string:
			c.request.Keys[k] = []string{v}
		case []string:
			c.request.Keys[k] = v
		}
	}
	for i := range q.Identity {
		c.sets.Identity = append(c.sets.Identity, parse(&q.Identity[i], policy.Identity))
	}
	if q.ResourcePolicy != nil {
		c.sets.Resource = []*policy.Policy{parse(q.ResourcePolicy, policy.Resource)}
	}
	if q.Boundary != nil {
		c.sets.Boundary = parse(q.Boundary, policy.Boundary)
	}
	if q.Session != nil {
		c.sets.Session = []*policy.Policy{parse(q.Session, policy.Session)}
	}
	return c
}

func (c *compiled) answer() string {
	switch d := policy.Evaluate(&c.request, &c.sets); {
	case d.Allowed:
		return "Allowed"
	case d.Reason == policy.ExplicitDeny:
		return "ExplicitlyDenied"
	}
	return "ImplicitlyDenied"
}

// ask sends all questions through one run of the oracle.
func ask(t *testing.T, qs []*question) []string {
	t.Helper()
	if _, err := os.Stat("node_modules/@cloud-copilot/iam-simulate"); err != nil {
		cmd := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("install the oracle: %v\n%s", err, out)
		}
	}
	var in bytes.Buffer
	e := json.NewEncoder(&in)
	for _, q := range qs {
		if err := e.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "ask.mjs")
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run the oracle: %v", err)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(qs) {
		t.Fatalf("%d answers to %d questions", len(answers), len(qs))
	}
	return answers
}

// count walks the conditions of all documents of a question.
func (q *question) conditions(visit func(statement map[string]any, op string)) {
	docs := slices.Collect(func(yield func(*document) bool) {
		for i := range q.Identity {
			yield(&q.Identity[i])
		}
		for _, d := range []*document{q.ResourcePolicy, q.Boundary, q.Session} {
			if d != nil {
				yield(d)
			}
		}
	})
	for _, d := range docs {
		for _, s := range d.Statement {
			if c, ok := s["Condition"].(condition); ok {
				for op := range c {
					visit(s, op)
				}
			}
		}
	}
}

func plain(op string) string {
	if _, after, ok := strings.Cut(op, ":"); ok {
		op = after
	}
	return strings.TrimSuffix(op, "IfExists")
}

func TestTheEvaluatorAgreesWithTheOracle(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(4, 2026))}
	qs := make([]*question, cases)
	cs := make([]*compiled, cases)
	uses := map[string]int{}
	for i := range qs {
		qs[i] = g.question()
		cs[i] = qs[i].compile(t)
		qs[i].conditions(func(_ map[string]any, op string) {
			uses[plain(op)]++
			if op != plain(op) {
				uses[strings.TrimSuffix(op, plain(op))]++ // the prefix, or the operator with its suffix
			}
		})
	}
	for _, op := range operators {
		if uses[op] < 100 {
			t.Errorf("%s is used %d times", op, uses[op])
		}
	}
	answers := ask(t, qs)
	tally, shown := map[string]int{}, 0
	agreed := make([]bool, cases)
	for i, want := range answers {
		got := cs[i].answer()
		tally[want]++
		if got == want {
			agreed[i] = true
			continue
		}
		if shown++; shown <= 5 {
			b, _ := json.Marshal(qs[i])
			t.Errorf("case %d: we say %s, the oracle %s\n%s", i, got, want, b)
		}
	}
	if shown > 0 {
		t.Errorf("%d of %d differ", shown, cases)
	}
	t.Logf("answers %v, operators %v", tally, uses)
	if tally["Allowed"] < cases/4 {
		t.Errorf("only %d of %d are allowed", tally["Allowed"], cases)
	}
	without(t, qs, answers, agreed)
}

// TestExceptions pins where the two are known to differ, with both answers: an
// entry that no longer differs, or differs otherwise, must leave EXCEPTIONS.md.
func TestExceptions(t *testing.T) {
	u := policy.Caller{Kind: policy.User, Account: own, ARN: alice}
	s := policy.Caller{Kind: policy.RoleSession, Account: own, ARN: sess, RoleARN: role}
	allow := func(version string, c condition) []document {
		return []document{{Version: version, Statement: []map[string]any{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": c}}}}
	}
	everything := []document{{Version: policy.Version2012, Statement: []map[string]any{{"Effect": "Allow", "Action": "*", "Resource": "*"}}}}
	const yes, no, never = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"
	var qs []*question
	var rows []struct{ name, ours, theirs string }
	add := func(name string, ours, theirs string, q question) {
		q.Action, q.Resource, q.Owner = "s3:GetObject", "arn:aws:s3:::b/k", own
		if q.caller.Account == "" {
			q.caller = u
		}
		q.Principal = q.caller.ARN
		if q.Keys == nil {
			q.Keys = map[string]any{}
		}
		q.Keys["aws:PrincipalAccount"] = own
		qs = append(qs, &q)
		rows = append(rows, struct{ name, ours, theirs string }{name, ours, theirs})
	}
	const now = policy.Version2012
	add("1 ForAnyValue with IfExists", yes, no, question{Identity: allow(now, condition{"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": "a"}})})
	add("2 seconds since 1970", yes, no, question{Identity: allow(now, condition{"DateLessThan": {"aws:CurrentTime": "1767225600"}}), Keys: map[string]any{"aws:CurrentTime": "2025-01-01T00:00:00Z"}})
	add("3 every IPv4 address", yes, no, question{Identity: allow(now, condition{"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), Keys: map[string]any{"aws:SourceIp": "10.1.2.3"}})
	add("4 the other address family", yes, no, question{Identity: allow(now, condition{"NotIpAddress": {"aws:SourceIp": "203.0.113.9"}}), Keys: map[string]any{"aws:SourceIp": "2001:db8::7"}})
	add("5 escapes in StringEquals", yes, no, question{Identity: allow(now, condition{"StringEquals": {"aws:PrincipalTag/team": "r${*}d"}}), Keys: map[string]any{"aws:PrincipalTag/team": "r*d"}})
	add("6 variables in ARN conditions", yes, no, question{Identity: allow(now, condition{"ArnLike": {"aws:SourceArn": "arn:aws:bedrock:*:${aws:PrincipalAccount}:*"}}), Keys: map[string]any{"aws:SourceArn": "arn:aws:bedrock:us-east-1:123456789012:agent/A"}})
	add("7 variables in 2008-10-17", no, yes, question{Identity: allow(policy.Version2008, condition{"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}})})
	add("8 NotPrincipal names only the user", never, yes, question{Identity: everything, ResourcePolicy: &document{now, []map[string]any{{"Effect": "Deny", "NotPrincipal": map[string]any{"AWS": alice}, "Action": "*", "Resource": "*"}}}})
	add("8 NotPrincipal names only the account", never, yes, question{Identity: everything, ResourcePolicy: &document{now, []map[string]any{{"Effect": "Deny", "NotPrincipal": map[string]any{"AWS": own}, "Action": "*", "Resource": "*"}}}})
	add("9 a session named, narrowed by its session policy", yes, no, question{caller: s,
		ResourcePolicy: &document{now, []map[string]any{{"Effect": "Allow", "Principal": map[string]any{"AWS": sess}, "Action": "*", "Resource": "*"}}},
		Session:        &document{now, []map[string]any{{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}}}})
	explained, err := os.ReadFile("EXCEPTIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, theirs := range ask(t, qs) {
		if ours := qs[i].compile(t).answer(); ours != rows[i].ours || theirs != rows[i].theirs {
			t.Errorf("%s: we say %s, the oracle %s; written down are %s and %s", rows[i].name, ours, theirs, rows[i].ours, rows[i].theirs)
		}
		if !bytes.Contains(explained, []byte("\n"+rows[i].name[:1]+". ")) {
			t.Errorf("EXCEPTIONS.md does not explain %s", rows[i].name)
		}
	}
}

// without takes one thing away from what we evaluate, and the oracle must then
// disagree: so the comparison sees each of them.
func without(t *testing.T, qs []*question, answers []string, agreed []bool) {
	t.Helper()
	type change struct {
		name string
		do   func(q *question) bool // changes a copy; false: nothing to take away
	}
	changes := []change{
		{"the boundary", func(q *question) bool { had := q.Boundary != nil; q.Boundary = nil; return had }},
		{"the session policy", func(q *question) bool { had := q.Session != nil; q.Session = nil; return had }},
		{"the resource-based policy", func(q *question) bool { had := q.ResourcePolicy != nil; q.ResourcePolicy = nil; return had }},
		{"the resource's owner", func(q *question) bool { had := q.Owner != own; q.Owner = own; return had }},
	}
	for _, op := range operators {
		changes = append(changes, change{op, func(q *question) bool {
			hit := false
			q.conditions(func(s map[string]any, o string) {
				if plain(o) == op {
					c := condition{}
					for k, v := range s["Condition"].(condition) {
						if k != o {
							c[k] = v
						}
					}
					s["Condition"], hit = c, true
				}
			})
			return hit
		}})
	}
	for _, c := range changes {
		differ := 0
		for i, q := range qs {
			if !agreed[i] {
				continue
			}
			copied := q.clone()
			if c.do(copied) && copied.compile(t).answer() != answers[i] {
				differ++
			}
		}
		if differ == 0 {
			t.Errorf("without %s nothing changes: the cases do not show it", c.name)
		}
	}
}

// clone copies what the changes of without write to.
func (q *question) clone() *question {
	out := *q
	d := func(d *document) *document {
		if d == nil {
			return nil
		}
		n := &document{Version: d.Version}
		for _, s := range d.Statement {
			m := map[string]any{}
			for k, v := range s {
				m[k] = v
			}
			n.Statement = append(n.Statement, m)
		}
		return n
	}
	out.Identity = nil
	for i := range q.Identity {
		out.Identity = append(out.Identity, *d(&q.Identity[i]))
	}
	out.ResourcePolicy, out.Boundary, out.Session = d(q.ResourcePolicy), d(q.Boundary), d(q.Session)
	return &out
}
