package model

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Case is one request and what must answer it.
type Case struct {
	Service, Operation string
	Name               string // such as "full", or the broken constraint

	Method string
	Path   string   // percent-encoded
	Labels []string // the labels of Path, in its order, percent-encoded
	Query  string   // encoded, without '?'
	Header http.Header
	Body   []byte

	Want apierr.Kind // "" when the request is valid
	At   string      // the member that the message must name
	Says string      // what the message must say about it

	// EmptyLabel marks a request whose path has an empty segment: a router may
	// refuse it before the codec sees it.
	EmptyLabel bool
	// Events marks an operation whose request body is an event stream.
	Events bool
}

// String names the case in a test.
func (c Case) String() string { return c.Service + "/" + c.Operation + "/" + c.Name }

// Valid yields two valid requests for every operation: the least one, with only
// what is required, and a full one.
func Valid(svc *api.Service) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		b := newBuilder(svc)
		for i := range svc.Operations {
			op := &svc.Operations[i]
			for _, v := range []struct {
				name string
				rich int
			}{{"least", 0}, {"full", 6}} {
				if !yield(b.request(op, v.name, b.input(op, v.rich, nil, nil))) {
					return
				}
			}
		}
	}
}

// input makes the input of an operation.
func (b *builder) input(op *api.Operation, rich int, hops []hop, leaf any) object {
	if op.Input == api.NoShape {
		return nil
	}
	o, _ := b.build(op.Input, rich, hops, leaf).(object)
	return o
}

// request turns an input into a request.
func (b *builder) request(op *api.Operation, name string, in object) Case {
	c := Case{
		Service: b.svc.Name, Operation: op.Name, Name: name, Method: op.Method,
		Header: http.Header{}, Events: op.EventsIn != api.NoShape,
	}
	var members []api.Member
	payload := -1
	if op.Input != api.NoShape {
		members, payload = b.shape(op.Input).Members, b.shape(op.Input).Payload-1
	}
	given := map[string]any{}
	for _, e := range in {
		given[e.key] = e.val
	}
	var body object
	var query []string
	for i, m := range members {
		v, ok := given[m.Wire]
		if !ok {
			continue
		}
		switch m.In {
		case api.Body:
			if i == payload {
				if bin, ok := v.(blob); ok {
					c.Body = bin
				} else {
					c.Body = appendJSON(nil, v)
				}
				continue
			}
			body = append(body, entry{m.Wire, v})
		case api.Query:
			values := list{v}
			if l, ok := v.(list); ok {
				values = l
			}
			for _, v := range values {
				query = append(query, url.QueryEscape(m.Wire)+"="+url.QueryEscape(plain(v)))
			}
		case api.Header:
			c.Header.Set(m.Wire, plain(v))
		}
	}
	c.Query = strings.Join(query, "&")
	if payload < 0 && hasBody(members) && !c.Events {
		c.Body = appendJSON(nil, body)
		c.Header.Set("Content-Type", "application/json")
	}
	var path strings.Builder
	for _, seg := range op.Segments {
		path.WriteByte('/')
		if seg.Label == "" {
			path.WriteString(seg.Literal)
			continue
		}
		m := members[seg.Member]
		v := url.PathEscape(plain(given[m.Wire]))
		if seg.Greedy {
			v = strings.ReplaceAll(v, "%2F", "/")
		}
		c.EmptyLabel = c.EmptyLabel || v == ""
		c.Labels = append(c.Labels, v)
		path.WriteString(v)
	}
	if strings.HasSuffix(op.Path, "/") && !strings.HasSuffix(path.String(), "/") {
		path.WriteByte('/')
	}
	c.Path = path.String()
	return c
}

func hasBody(members []api.Member) bool {
	for _, m := range members {
		if m.In == api.Body {
			return true
		}
	}
	return false
}

// Value returns a valid JSON value of a shape: least, or full to the depth rich.
func Value(svc *api.Service, id api.ShapeID, rich int) []byte {
	b := newBuilder(svc)
	if id == api.NoShape {
		panic(fmt.Sprintf("BUG: value of no shape of %s", svc.Name))
	}
	return appendJSON(nil, b.build(id, rich, nil, nil))
}
