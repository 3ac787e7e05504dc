package gateway

import (
	"slices"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
)

var allServices = []*api.Service{&bedrock.Service, &bedrockruntime.Service, &bedrockagent.Service, &bedrockagentruntime.Service}

func fullRouter() *router {
	t := newRouter()
	for _, s := range allServices {
		for i := range s.Operations {
			t.add(&route{service: s, op: &s.Operations[i]})
		}
	}
	return t
}

func TestRoutesTakeTheEscapedPathAsItIs(t *testing.T) {
	r := fullRouter()
	const arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3A"
	for _, tc := range []struct {
		name, method, path, host string
		want                     string // "" for none
		labels                   []string
	}{
		{name: "PrepareAgent ends in a slash", method: "POST", path: "/agents/AAAAAAAAAA/", want: "PrepareAgent", labels: []string{"AAAAAAAAAA"}},
		{name: "InvokeInlineAgent does not", method: "POST", path: "/agents/some-session", want: "InvokeInlineAgent", labels: []string{"some-session"}},
		{name: "a missing slash is no redirect", method: "GET", path: "/agents/AAAAAAAAAA"},
		{name: "a slash too many is no redirect", method: "GET", path: "/foundation-models/"},
		{name: "a double slash is not cleaned", method: "GET", path: "//foundation-models"},
		{name: "an empty label is no label", method: "POST", path: "/model//invoke"},
		{name: "dots are not resolved", method: "GET", path: "/x/../foundation-models"},
		{name: "an escaped slash stays in its label", method: "POST", path: "/model/" + arn + "provisioned-model%2Fabc/invoke", want: "InvokeModel", labels: []string{arn + "provisioned-model%2Fabc"}},
		{name: "an unescaped ARN in a last label", method: "GET", path: "/tags/arn:aws:bedrock:us-east-1:123456789012:agent/AAAAAAAAAA", want: "ListTagsForResource", labels: []string{"arn:aws:bedrock:us-east-1:123456789012:agent/AAAAAAAAAA"}},
		{name: "letter case counts at build time", method: "PUT", path: "/agents/AAAAAAAAAA/agentaliases/", want: "CreateAgentAlias", labels: []string{"AAAAAAAAAA"}},
		{name: "and at run time", method: "POST", path: "/agents/A/agentAliases/B/sessions/sess%3A1.a/text", want: "InvokeAgent", labels: []string{"A", "B", "sess%3A1.a"}},
		{name: "create and list differ by method", method: "PUT", path: "/agents/", want: "CreateAgent"},
		{name: "list agents", method: "POST", path: "/agents/", want: "ListAgents"},
		{name: "a method that no route has", method: "TRACE", path: "/agents/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			routes, labels := r.find(tc.method, tc.path)
			got := ""
			if len(routes) > 0 {
				got = pick(routes, tc.host, labels).op.Name
			}
			if got != tc.want || !slices.Equal(labels, tc.labels) && got != "" {
				t.Errorf("%s %s: got %q %q, want %q %q", tc.method, tc.path, got, labels, tc.want, tc.labels)
			}
		})
	}
}

func TestTagsGoToTheServiceOfTheirResource(t *testing.T) {
	r := fullRouter()
	for _, tc := range []struct{ arn, host, want string }{
		{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FAAAAAAAAAA", "127.0.0.1:4580", "bedrock-agent"},
		{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Asession%2F0b5e0000-0000-0000-0000-000000000000", "127.0.0.1:4580", "bedrock-agent-runtime"},
		{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aagent%2FAAAAAAAAAA", "bedrock-agent-runtime.us-east-1.amazonaws.com", "bedrock-agent-runtime"},
		{"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Asession%2Fx", "vpce-1.bedrock-agent.us-east-1.vpce.amazonaws.com", "bedrock-agent"},
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			routes, labels := r.find(method, "/tags/"+tc.arn)
			if len(routes) != 2 {
				t.Fatalf("%s: %d services answer /tags, want 2", method, len(routes))
			}
			if got := pick(routes, tc.host, labels).service.Name; got != tc.want {
				t.Errorf("%s %s at %s: got %s, want %s", method, tc.arn, tc.host, got, tc.want)
			}
		}
	}
}

func TestEveryOperationHasItsOwnRoute(t *testing.T) {
	r := fullRouter()
	n := 0
	for _, s := range allServices {
		for i := range s.Operations {
			op := &s.Operations[i]
			path := ""
			for _, seg := range op.Segments {
				path += "/" + seg.Literal
				if seg.Label != "" {
					path += "x"
				}
			}
			routes, labels := r.find(op.Method, path)
			if !slices.ContainsFunc(routes, func(r *route) bool { return r.op == op }) {
				t.Errorf("%s.%s: %s %s does not reach it", s.Name, op.Name, op.Method, path)
				continue
			}
			if got := pick(routes, s.Name+".us-east-1.amazonaws.com", labels).op; got != op {
				t.Errorf("%s.%s: its own host reaches %s", s.Name, op.Name, got.Name)
			}
			n++
		}
	}
	if n != 219 {
		t.Errorf("got %d operations, want 219", n)
	}
}

func TestRequestIDsAreUUIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := requestID()
		if len(id) != 36 || id[14] != '4' || !slices.Contains([]byte("89ab"), id[19]) || id[8] != '-' || id[23] != '-' {
			t.Fatalf("%q is no UUID of version 4", id)
		}
		if seen[id] {
			t.Fatalf("%q came twice", id)
		}
		seen[id] = true
	}
}
