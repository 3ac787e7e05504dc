package main

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// generator writes the Go code of one service.
type generator struct {
	*model
	target
	actions *actionTable
	buf     bytes.Buffer
	ops     []*operation
	order   []string          // names of the shapes in the Shapes table
	id      map[string]int    // index in order
	goName  map[string]string // Go type of structures, unions and enums
	shared  map[string]bool   // outputs that keep their own name, being used elsewhere too
}

func newGenerator(m *model, t target, actions *actionTable) *generator {
	g := &generator{model: m, target: t, actions: actions, id: map[string]int{}, goName: map[string]string{}, shared: map[string]bool{}}
	for _, n := range slices.Sorted(maps.Keys(m.Operations)) {
		g.ops = append(g.ops, m.Operations[n])
	}
	seen := map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		s := m.Shapes[name]
		for _, mb := range s.Members {
			walk(mb.Shape)
		}
		for _, r := range []*ref{s.Member, s.Key, s.Value} {
			if r != nil {
				walk(r.Shape)
			}
		}
	}
	for _, op := range g.ops {
		walk(op.Input.Shape)
		walk(op.Output.Shape)
		for _, e := range op.Errors {
			walk(e.Shape)
		}
	}
	g.order = slices.Sorted(maps.Keys(seen))
	for i, n := range g.order {
		g.id[n] = i
		g.goName[n] = exported(n)
	}
	g.findShared()
	// The input and output of an operation, and the events of a stream, are
	// named after the operation, whatever the model calls them.
	for _, op := range g.ops {
		g.goName[op.Input.Shape] = op.Name + "Input"
		if !g.shared[op.Output.Shape] {
			g.goName[op.Output.Shape] = op.Name + "Output"
		}
		if e := g.events(op.Input.Shape); e != "" {
			g.goName[e] = op.Name + "InputEvent"
		}
		if e := g.events(op.Output.Shape); e != "" {
			g.goName[e] = op.Name + "Event"
		}
	}
	// A shape whose name an operation has taken keeps it with its kind added:
	// bedrock-runtime's union ConverseOutput becomes ConverseOutputUnion.
	taken := map[string]bool{}
	for _, op := range g.ops {
		for _, n := range []string{op.Input.Shape, op.Output.Shape, g.events(op.Input.Shape), g.events(op.Output.Shape)} {
			taken[g.goName[n]] = true
		}
	}
	for _, n := range g.order {
		if g.named(n) && taken[g.goName[n]] && !g.ofOperation(n) {
			g.goName[n] += kindOf(g.Shapes[n])
		}
	}
	return g
}

// findShared finds the outputs that several operations have, or that stand inside
// other structures as well: they keep the model's name, and the name after the
// operation is an alias.
func (g *generator) findShared() {
	uses := map[string]int{}
	for _, op := range g.ops {
		uses[op.Output.Shape]++
	}
	for _, n := range g.order {
		s := g.Shapes[n]
		for _, m := range s.Members {
			uses[m.Shape]++
		}
		for _, r := range []*ref{s.Member, s.Value} {
			if r != nil {
				uses[r.Shape]++
			}
		}
	}
	for _, op := range g.ops {
		if uses[op.Output.Shape] > 1 {
			g.shared[op.Output.Shape] = true
		}
	}
}

// ofOperation reports whether the shape is an input, output or stream of an operation.
func (g *generator) ofOperation(n string) bool {
	if g.shared[n] {
		return false
	}
	for _, op := range g.ops {
		if n == op.Input.Shape || n == op.Output.Shape || n == g.events(op.Input.Shape) || n == g.events(op.Output.Shape) {
			return true
		}
	}
	return false
}

// check refuses models that the generator would translate wrongly.
func (g *generator) check() error {
	byGo := map[string]string{}
	for _, n := range g.order {
		if !g.named(n) {
			continue
		}
		if other := byGo[g.goName[n]]; other != "" {
			return fmt.Errorf("shapes %s and %s are both %s in Go", n, other, g.goName[n])
		}
		byGo[g.goName[n]] = n
	}
	for _, n := range g.order {
		if s := g.Shapes[n]; s.Pattern != "" && patterns[[2]string{g.pkg, n}].match == "" {
			if _, err := regexp.Compile(g.expr(n)); err != nil {
				return fmt.Errorf("pattern of %s: %w", n, err)
			}
		}
	}
	for key := range patterns {
		if key[0] == g.pkg && (g.Shapes[key[1]] == nil || g.Shapes[key[1]].Pattern == "") {
			return fmt.Errorf("correction for %s, which has no pattern", key[1])
		}
	}
	return nil
}

// named reports whether a shape is a Go type of its own.
func (g *generator) named(n string) bool {
	s := g.Shapes[n]
	return s.Type == "structure" && !s.Document && !s.Exception || len(s.Enum) > 0
}

// events returns the event stream shape that a structure holds, or "".
func (g *generator) events(structure string) string {
	for _, m := range g.Shapes[structure].Members {
		if g.Shapes[m.Shape].EventStream {
			return m.Shape
		}
	}
	return ""
}

// fields are the members of a structure that have a Go field.
func (g *generator) fields(s *shape) []member {
	var out []member
	for _, m := range s.Members {
		t := g.Shapes[m.Shape]
		if t.EventStream || s.EventStream && t.Exception {
			continue
		}
		out = append(out, m)
	}
	return out
}

// goType returns the Go type of a member of the shape.
func (g *generator) goType(name string, pointer bool) string {
	s := g.Shapes[name]
	star := ""
	if pointer {
		star = "*"
	}
	switch {
	case len(s.Enum) > 0:
		return g.goName[name]
	case s.Document:
		return "json.RawMessage"
	}
	switch s.Type {
	case "structure":
		return star + g.goName[name]
	case "list":
		return "[]" + g.goType(s.Member.Shape, false)
	case "map":
		return "map[" + g.goType(s.Key.Shape, false) + "]" + g.goType(s.Value.Shape, false)
	case "string":
		return star + "string"
	case "integer":
		return star + "int"
	case "long":
		return star + "int64"
	case "float", "double":
		return star + "float64"
	case "boolean":
		return star + "bool"
	case "timestamp":
		return star + "time.Time"
	case "blob":
		return "[]byte"
	}
	panic("BUG: unknown type " + s.Type)
}

func (g *generator) fieldType(s *shape, m member) string {
	t := g.Shapes[m.Shape]
	required := slices.Contains(s.Required, m.name) && !s.Union && !s.EventStream
	return g.goType(m.Shape, !required || t.Type == "structure")
}

func (g *generator) p(format string, args ...any) { fmt.Fprintf(&g.buf, format+"\n", args...) }

func (g *generator) header(imports ...string) {
	g.p("// Code generated by apigen from the service model %s %s. DO NOT EDIT.\n", g.Metadata.EndpointPrefix, g.Metadata.APIVersion)
	g.p("package %s\n", g.pkg)
	if len(imports) > 0 {
		g.p("import (")
		for _, i := range imports {
			g.p("\t%q", i)
		}
		g.p(")\n")
	}
}

func (g *generator) types() error {
	var body bytes.Buffer
	keep := g.buf
	g.buf = bytes.Buffer{}
	for _, n := range g.order {
		s := g.Shapes[n]
		if s.Type != "structure" || s.Document || s.Exception {
			continue
		}
		switch {
		case s.EventStream:
			g.p("// %s is an event of a stream: exactly one field is set.", g.goName[n])
		case s.Union:
			g.p("// %s is the union %s: exactly one field is set.", g.goName[n], n)
		case g.goName[n] != n:
			g.p("// %s is the structure %s.", g.goName[n], n)
		default:
			g.p("// %s is a structure of the service model.", n)
		}
		g.p("type %s struct {", g.goName[n])
		for _, m := range g.fields(s) {
			g.p("\t%s %s", exported(m.name), g.fieldType(s, m))
		}
		g.p("}\n")
	}
	for _, op := range g.ops {
		if g.shared[op.Output.Shape] {
			g.p("// %sOutput is what %s answers.", op.Name, op.Name)
			g.p("type %sOutput = %s\n", op.Name, g.goName[op.Output.Shape])
		}
	}
	body, g.buf = g.buf, keep
	var imports []string
	if bytes.Contains(body.Bytes(), []byte("json.")) {
		imports = append(imports, "encoding/json")
	}
	if bytes.Contains(body.Bytes(), []byte("time.")) {
		imports = append(imports, "time")
	}
	g.header(imports...)
	g.buf.Write(body.Bytes())
	return nil
}

func (g *generator) enums() error {
	g.header()
	for _, n := range g.order {
		s := g.Shapes[n]
		if len(s.Enum) == 0 {
			continue
		}
		name := g.goName[n]
		g.p("// %s is an enumeration of the service model; \"\" is absent.", name)
		g.p("type %s string\n", name)
		g.p("// Values of %s.\nconst (", name)
		used := map[string]int{}
		for _, v := range s.Enum {
			c := name + constant(v)
			if used[c]++; used[c] > 1 {
				c += fmt.Sprint(used[c])
			}
			g.p("\t%s %s = %q", c, name, v)
		}
		g.p(")\n")
	}
	return nil
}

func (g *generator) iface() error {
	imports := []string{"context", "github.com/outcrop-dev/outcrop/internal/api", "github.com/outcrop-dev/outcrop/internal/apierr"}
	if !slices.ContainsFunc(g.ops, func(op *operation) bool { return g.events(op.Output.Shape) != "" }) {
		imports = slices.Delete(imports, 1, 2)
	}
	g.header(imports...)
	g.p("// API is the whole service: %d operations.", len(g.ops))
	g.p("type API interface {")
	for _, op := range g.ops {
		g.p("\t%s", g.signature(op, true))
	}
	g.p("}\n")
	for _, op := range g.ops {
		if e := g.events(op.Output.Shape); e != "" {
			g.p("// %sWriter writes the answer stream of %s.", op.Name, op.Name)
			g.p("type %sWriter = api.Writer[%sOutput, %s]\n", op.Name, op.Name, g.goName[e])
		}
		if e := g.events(op.Input.Shape); e != "" {
			g.p("// %sReader reads the request stream of %s.", op.Name, op.Name)
			g.p("type %sReader = api.Reader[%s]\n", op.Name, g.goName[e])
		}
	}
	g.p("// Unimplemented answers every operation with NotImplementedException. Embedded")
	g.p("// one level deeper than the rooms, it answers what no room does.")
	g.p("type Unimplemented struct{}\n")
	g.p("var _ API = Unimplemented{}\n")
	g.p("func unimplemented(name string) error {")
	g.p("\treturn apierr.New(apierr.NotImplemented, \"%s is not built yet in Outcrop; the table of operations in the README says what is.\", name)", "%s")
	g.p("}\n")
	for _, op := range g.ops {
		g.p("// %s answers NotImplementedException.", op.Name)
		g.p("func (Unimplemented) %s {", g.signature(op, false))
		if g.events(op.Output.Shape) != "" {
			g.p("\treturn unimplemented(%q)", op.Name)
		} else {
			g.p("\treturn nil, unimplemented(%q)", op.Name)
		}
		g.p("}\n")
	}
	return nil
}

func (g *generator) signature(op *operation, named bool) string {
	ctx, in, r, w := "ctx context.Context", "in *%sInput", "r *%sReader", "w *%sWriter"
	if !named {
		ctx, in, r, w = "context.Context", "*%sInput", "*%sReader", "*%sWriter"
	}
	args := []string{ctx, fmt.Sprintf(in, op.Name)}
	if g.events(op.Input.Shape) != "" {
		args = append(args, fmt.Sprintf(r, op.Name))
	}
	if g.events(op.Output.Shape) != "" {
		args = append(args, fmt.Sprintf(w, op.Name))
		return fmt.Sprintf("%s(%s) error", op.Name, strings.Join(args, ", "))
	}
	return fmt.Sprintf("%s(%s) (*%sOutput, error)", op.Name, strings.Join(args, ", "), op.Name)
}

func (g *generator) doc() error {
	g.p("// Code generated by apigen from the service model %s %s. DO NOT EDIT.\n", g.Metadata.EndpointPrefix, g.Metadata.APIVersion)
	g.p("// Package %s holds the types, shapes, routes, exceptions and IAM actions of the", g.pkg)
	g.p("// service %s, %d operations, and the interface that answers them.", g.Metadata.EndpointPrefix, len(g.ops))
	if g.operations != nil {
		g.p("// Other operations of the service are not in the tables.")
	}
	g.p("//\n//\tcmd/apigen/models/%s.json ── apigen ──▶ types · enums · Shapes · Service · API\n//", g.target.model)
	g.p("// How model types become Go types is written at api.Shape. Floor 0; it holds no rules.")
	g.p("package %s", g.pkg)
	return nil
}

// exported makes a model name a Go identifier.
func exported(s string) string { return string(unicode.ToUpper(rune(s[0]))) + s[1:] }

// constant makes an enum value the tail of a Go identifier: END_TURN and
// end_turn become EndTurn, arm64.large becomes Arm64Large.
func constant(v string) string {
	var b strings.Builder
	upper := strings.ToUpper(v) == v
	word := true
	for _, r := range v {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			word = true
		case word:
			b.WriteRune(unicode.ToUpper(r))
			word = false
		case upper:
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
