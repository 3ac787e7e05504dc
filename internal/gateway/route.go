package gateway

import (
	"net/url"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// route is an operation together with the front desk that answers it.
type route struct {
	service *api.Service
	op      *api.Operation
	desk    any
	plan    *accessPlan
}

// router finds the operation of a method and an escaped path. The standard
// ServeMux is not used because it answers 307 where AWS does not: for a missing
// slash next to a pattern that ends in one, and for "//" in a path; and because
// an ARN sent unescaped in a last label would be split.
type router struct{ roots map[string]*node }

type node struct {
	literal map[string]*node
	label   *node
	routes  []*route // more than one where two services share a route
}

func newRouter() *router { return &router{roots: map[string]*node{}} }

func (t *router) add(r *route) {
	n := t.roots[r.op.Method]
	if n == nil {
		n = new(node)
		t.roots[r.op.Method] = n
	}
	for _, s := range r.op.Segments {
		if s.Label != "" {
			if n.label == nil {
				n.label = new(node)
			}
			n = n.label
			continue
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[s.Literal] == nil {
			n.literal[s.Literal] = new(node)
		}
		n = n.literal[s.Literal]
	}
	n.routes = append(n.routes, r)
}

// find returns the routes of a path and the escaped values of their labels, in
// the order of the path. A label is never empty.
func (t *router) find(method, escaped string) ([]*route, []string) {
	root := t.roots[method]
	if root == nil || !strings.HasPrefix(escaped, "/") {
		return nil, nil
	}
	return root.find(escaped[1:], nil)
}

func (n *node) find(rest string, labels []string) ([]*route, []string) {
	seg, tail, more := strings.Cut(rest, "/")
	if c := n.literal[seg]; c != nil {
		if more {
			if r, l := c.find(tail, labels); r != nil {
				return r, l
			}
		} else if c.routes != nil {
			return c.routes, labels
		}
	}
	if n.label != nil && seg != "" {
		l := append(labels, seg)
		if more {
			if r, l := n.label.find(tail, l); r != nil {
				return r, l
			}
		} else if n.label.routes != nil {
			return n.label.routes, l
		}
		// An ARN with an unescaped slash in the last label, as curl users and
		// some proxies send it: only ARNs, so that no other path is guessed at.
		if more && n.label.routes != nil && isARN(seg) {
			return n.label.routes, append(labels, rest)
		}
	}
	return nil, nil
}

func isARN(s string) bool {
	return strings.HasPrefix(s, "arn:") || strings.HasPrefix(s, "arn%3A") || strings.HasPrefix(s, "arn%3a")
}

// pick chooses among services that share a route: by the Host header when it
// names one, else by what the ARN of the three /tags operations names.
func pick(routes []*route, host string, labels []string) *route {
	if len(routes) == 1 {
		return routes[0]
	}
	if s := hostService(host); s != "" {
		for _, r := range routes {
			if r.service.Name == s {
				return r
			}
		}
	}
	want := "bedrock-agent"
	if len(labels) > 0 {
		if arn, err := url.PathUnescape(labels[len(labels)-1]); err == nil {
			if f := strings.SplitN(arn, ":", 6); len(f) == 6 && strings.HasPrefix(f[5], "session/") {
				want = "bedrock-agent-runtime"
			}
		}
	}
	for _, r := range routes {
		if r.service.Name == want {
			return r
		}
	}
	return routes[0]
}

// serviceHosts are the endpoint prefixes a Host header may begin with; PrivateLink
// and VPC names put an endpoint id before them.
var serviceHosts = []string{"bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime"}

// hostService returns the service that a Host header names, "" when it names none.
func hostService(host string) string {
	for label := range strings.SplitSeq(host, ".") {
		label = strings.TrimSuffix(label, "-fips")
		for _, s := range serviceHosts {
			if label == s {
				return s
			}
		}
	}
	return ""
}
