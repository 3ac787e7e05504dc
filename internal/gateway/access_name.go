package gateway

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// path leads from an input to texts in it: a.b[].c.
type path struct{ steps []pathStep }

type pathStep struct {
	field int
	each  bool // of a list
}

// pathOf compiles a path over the shapes, nil when the input has no such members.
func pathOf(s *api.Service, id api.ShapeID, text string) *path {
	p := &path{}
	for name := range strings.SplitSeq(text, ".") {
		name, each := strings.CutSuffix(name, "[]")
		if id == api.NoShape {
			return nil
		}
		sh := &s.Shapes[id]
		i := slices.IndexFunc(sh.Members, func(m api.Member) bool { return m.Name == name })
		if i < 0 {
			return nil
		}
		id = sh.Members[i].Shape
		if each {
			id = s.Shapes[id].Elem
		}
		p.steps = append(p.steps, pathStep{i, each})
	}
	return p
}

func mustPath(s *api.Service, id api.ShapeID, text string) *path {
	p := pathOf(s, id, text)
	if p == nil {
		panic(fmt.Sprintf("BUG: %s has no %s", s.Name, text))
	}
	return p
}

// values are the texts at the end of the path that are there and not empty.
func (p *path) values(in any) []string {
	return walk(reflect.ValueOf(in), p.steps, nil)
}

func walk(v reflect.Value, steps []pathStep, out []string) []string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return out
		}
		v = v.Elem()
	}
	if len(steps) == 0 {
		if v.Kind() == reflect.String && v.Len() > 0 {
			out = append(out, v.String())
		}
		return out
	}
	if v.Kind() != reflect.Struct {
		return out
	}
	f := v.Field(steps[0].field)
	if !steps[0].each {
		return walk(f, steps[1:], out)
	}
	for i := range f.Len() {
		out = walk(f.Index(i), steps[1:], out)
	}
	return out
}

// value is the only text at the end of the path, "" when it is not there.
func (p *path) value(in any) string {
	if p == nil {
		return ""
	}
	if v := p.values(in); len(v) > 0 {
		return v[0]
	}
	return ""
}

// template is an ARN with members of the input in it.
type template struct{ parts []part }

// part is a text, a value of the request, or a member.
type part struct {
	text   string
	known  string // Partition, Region, Account
	member *path
}

// mustTemplate compiles an ARN template; one that begins with its resource type is
// of the caller's account and Region.
func mustTemplate(s *api.Service, id api.ShapeID, text string) template {
	if !strings.HasPrefix(text, "arn:") && !strings.HasPrefix(text, "${") {
		text = "arn:${Partition}:bedrock:${Region}:${Account}:" + text
	}
	var t template
	for {
		before, rest, ok := strings.Cut(text, "${")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !ok {
			return t
		}
		var name string
		name, text, _ = strings.Cut(rest, "}")
		switch name {
		case "Partition", "Region", "Account":
			t.parts = append(t.parts, part{known: name})
		default:
			t.parts = append(t.parts, part{member: mustPath(s, id, name)})
		}
	}
}

// expand fills the template, once for each value of the member when that is in a
// list. A member that is an ARN already stands for all before it. One that the
// input lacks stands for any, unless what it names is optional.
func (t *template) expand(x *exchange, optional bool) []string {
	out := []string{""}
	for i := range t.parts {
		p := &t.parts[i]
		add := p.text
		switch p.known {
		case "Partition":
			add = x.c.Partition
		case "Region":
			add = x.c.Region
		case "Account":
			add = x.c.Account
		}
		if p.member == nil {
			for j := range out {
				out[j] += add
			}
			continue
		}
		values := p.member.values(x.in)
		switch {
		case len(values) > 0:
		case optional:
			return nil
		default:
			values = []string{"*"}
		}
		next := make([]string, 0, len(out)*len(values))
		for _, before := range out {
			for _, v := range values {
				if strings.HasPrefix(v, "arn:") {
					next = append(next, v)
					continue
				}
				next = append(next, before+v)
			}
		}
		out = next
	}
	return out
}
