package matrix

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/service"
	"github.com/outcrop-dev/outcrop/test/model"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	anARN   = "arn:aws:bedrock:" + region + ":" + account + ":guardrail/abcdefghijkl"
	haiku   = "anthropic.claude-3-haiku-20240307-v1:0"
)

// request is a valid request of an operation and what its members say.
type request struct {
	model.Case

	values map[string][]string // path of members → texts
}

// elsewhere matches ARNs of bedrock resources of other accounts and Regions, which
// the generator makes up.
var elsewhere = regexp.MustCompile(`arn:aws[a-z-]*:bedrock:[^:/]*:\d{12}:`)

// home moves an ARN into the caller's account and Region.
func home(s string) string {
	return elsewhere.ReplaceAllString(s, "arn:aws:bedrock:"+region+":"+account+":")
}

// requests are valid requests of all operations, made from the models alone.
func requests(t testing.TB) map[string][]*request {
	t.Helper()
	out := map[string][]*request{}
	for _, m := range service.Models {
		for c := range model.Valid(m.Service) {
			r := &request{Case: c, values: map[string][]string{}}
			r.read(t, m.Service, m.Service.Operation(c.Operation))
			k := c.Service + "." + c.Operation
			out[k] = append(out[k], r)
		}
	}
	return out
}

func (r *request) read(t testing.TB, s *api.Service, op *api.Operation) {
	t.Helper()
	if op.Input == api.NoShape {
		return
	}
	names := map[string]string{} // on the wire → member
	for _, m := range s.Shapes[op.Input].Members {
		names[m.Wire] = m.Name
	}
	label := 0
	var path strings.Builder
	for _, seg := range op.Segments {
		path.WriteByte('/')
		if seg.Label == "" {
			path.WriteString(seg.Literal)
			continue
		}
		v, err := url.PathUnescape(r.Labels[label])
		if err != nil {
			t.Fatal(err)
		}
		label++
		v = home(v)
		member := s.Shapes[op.Input].Members[seg.Member].Name
		if s.Name == "bedrock-runtime" && member == "modelId" {
			v = haiku
		}
		if member == "resourceArn" && !strings.HasPrefix(v, "arn:") {
			v = anARN // the model asks for no form
		}
		r.values[member] = []string{v}
		path.WriteString(url.PathEscape(v))
	}
	if strings.HasSuffix(r.Path, "/") && !strings.HasSuffix(path.String(), "/") {
		path.WriteByte('/')
	}
	r.Path = path.String()
	q, err := url.ParseQuery(r.Query)
	if err != nil {
		t.Fatal(err)
	}
	for k, vs := range q {
		for i := range vs {
			vs[i] = home(vs[i])
		}
		r.values[names[k]] = vs
	}
	r.Query = q.Encode()
	for k := range r.Header {
		r.Header.Set(k, home(r.Header.Get(k)))
	}
	var body any
	if json.Unmarshal(r.Body, &body) != nil {
		return
	}
	if b, ok := body.(map[string]any); ok {
		if s.Name == "bedrock-runtime" && b["modelId"] != nil {
			b["modelId"] = haiku
		}
		if v, ok := b["resourceArn"].(string); ok && !strings.HasPrefix(v, "arn:") {
			b["resourceArn"] = anARN
		}
		body = r.gather("", b)
		if r.Body, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
}

// gather notes every text of a body under its path, and moves ARNs home.
func (r *request) gather(at string, v any) any {
	switch v := v.(type) {
	case string:
		v = home(v)
		r.values[at] = append(r.values[at], v)
		return v
	case []any:
		for i := range v {
			v[i] = r.gather(at+"[]", v[i])
		}
		return v
	case map[string]any:
		for k := range v {
			below := k
			if at != "" {
				below = at + "." + k
			}
			v[k] = r.gather(below, v[k])
		}
		return v
	}
	return v
}

// resources are what the request needs: for each need its names, or the one thing
// there is none of.
func (r *request) resources(w *row) [][]string {
	var out [][]string
	for _, n := range w.needs {
		if n.model != "" {
			for _, id := range r.values[n.model] {
				if !strings.HasPrefix(id, "arn:") {
					id = "arn:aws:bedrock:" + region + "::foundation-model/" + id
				}
				out = append(out, []string{id})
			}
			continue
		}
		var names []string
		for _, t := range n.names {
			filled := r.fill(t, n.optional || len(n.names) > 1)
			if len(n.names) == 1 { // a list of things, each needed
				for _, one := range filled {
					out = append(out, []string{one})
				}
				continue
			}
			names = append(names, filled...)
		}
		if len(names) > 0 {
			out = append(out, names)
		}
	}
	return out
}

// fill puts members into a template.
func (r *request) fill(t string, optional bool) []string {
	switch {
	case strings.HasPrefix(t, "::"):
		t = "arn:aws:bedrock:" + region + t
	case !strings.HasPrefix(t, "${"):
		t = "arn:aws:bedrock:" + region + ":" + account + ":" + t
	}
	out := []string{""}
	for {
		before, rest, ok := strings.Cut(t, "${")
		for i := range out {
			out[i] += before
		}
		if !ok {
			return out
		}
		var member string
		member, t, _ = strings.Cut(rest, "}")
		values := r.values[member]
		if len(values) == 0 {
			if optional {
				return nil
			}
			values = []string{"*"}
		}
		var next []string
		for _, o := range out {
			for _, v := range values {
				if strings.HasPrefix(v, "arn:") {
					o = ""
				}
				next = append(next, o+v)
			}
		}
		out = next
	}
}
