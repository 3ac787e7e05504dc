package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (g *generator) shapes() error {
	g.header("github.com/outcrop-dev/outcrop/internal/api")
	g.p("// Shapes describes every type of the service; api.ShapeID indexes it.")
	g.p("var Shapes = [...]api.Shape{")
	for i, n := range g.order {
		s := g.Shapes[n]
		g.p("\t%d: {%s},", i, strings.Join(g.shapeFields(n, s), ", "))
	}
	g.p("}")
	return nil
}

func (g *generator) shapeFields(n string, s *shape) []string {
	f := []string{fmt.Sprintf("Name: %q", n), "Kind: api." + kindOf(s)}
	if ms := g.fields(s); len(ms) > 0 && !s.Document {
		f = append(f, "Members: "+g.members(s, ms))
	}
	if s.Member != nil {
		f = append(f, fmt.Sprintf("Elem: %d", g.id[s.Member.Shape]))
		f = append(f, wireName("ElemWire", s.Member)...)
	}
	if s.Value != nil {
		f = append(f, fmt.Sprintf("Key: %d, Elem: %d", g.id[s.Key.Shape], g.id[s.Value.Shape]))
		f = append(f, wireName("KeyWire", s.Key)...)
		f = append(f, wireName("ElemWire", s.Value)...)
	}
	if s.Flattened {
		f = append(f, "Flattened: true")
	}
	if len(s.Enum) > 0 {
		f = append(f, fmt.Sprintf("Enum: %#v", s.Enum))
	}
	if s.Pattern != "" {
		c := patterns[[2]string{g.pkg, n}]
		switch {
		case c.match != "":
			f = append(f, fmt.Sprintf("Pattern: &api.Pattern{Source: %q, Match: api.%s}", s.Pattern, c.match))
		case c.expr != "":
			f = append(f, fmt.Sprintf("Pattern: &api.Pattern{Source: %q, Expr: %q}", s.Pattern, c.expr))
		default:
			f = append(f, fmt.Sprintf("Pattern: &api.Pattern{Source: %q, Expr: %q}", s.Pattern, g.expr(n)))
		}
	}
	if s.Min != nil {
		f = append(f, "Min: "+number(*s.Min)+", HasMin: true")
	}
	if s.Max != nil {
		f = append(f, "Max: "+number(*s.Max)+", HasMax: true")
	}
	if s.Sensitive {
		f = append(f, "Sensitive: true")
	}
	if s.Payload != "" {
		for i, m := range g.fields(s) {
			if m.name == s.Payload {
				f = append(f, fmt.Sprintf("Payload: %d", i+1))
			}
		}
	}
	if s.EventStream {
		var ex []member
		for _, m := range s.Members {
			if g.Shapes[m.Shape].Exception {
				ex = append(ex, m)
			}
		}
		f = append(f, "Exceptions: "+g.members(s, ex))
	}
	return f
}

func wireName(field string, r *ref) []string {
	if r.LocationName == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s: %q", field, r.LocationName)}
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

// expr is the pattern of a shape as Go's regexp reads it: \uXXXX is \x{XXXX} there.
func (g *generator) expr(n string) string {
	if c := patterns[[2]string{g.pkg, n}]; c.expr != "" {
		return c.expr
	}
	return unicodeEscape.ReplaceAllString(g.Shapes[n].Pattern, `\x{$1}`)
}

func (g *generator) members(s *shape, ms []member) string {
	var b strings.Builder
	b.WriteString("[]api.Member{")
	for _, m := range ms {
		wire := m.name
		if m.LocationName != "" {
			wire = m.LocationName
		}
		fmt.Fprintf(&b, "\n\t\t{Name: %q, Wire: %q, Shape: %d", m.name, wire, g.id[m.Shape])
		if in := map[string]string{"uri": "Label", "querystring": "Query", "header": "Header", "statusCode": "StatusCode"}[m.Location]; in != "" {
			fmt.Fprintf(&b, ", In: api.%s", in)
		} else if m.Location != "" {
			panic("BUG: location " + m.Location)
		}
		if slices.Contains(s.Required, m.name) && !s.Union && !s.EventStream {
			b.WriteString(", Required: true")
		}
		if m.IdempotencyToken {
			b.WriteString(", Token: true")
		}
		b.WriteString("},")
	}
	b.WriteString("\n\t}")
	return b.String()
}

func kindOf(s *shape) string {
	switch {
	case s.Document:
		return "Document"
	case s.Union || s.EventStream:
		return "Union"
	}
	return exported(s.Type)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func (g *generator) service() error {
	g.header("context", "github.com/outcrop-dev/outcrop/internal/api")
	g.p("// Service describes the %d operations and their routes.", len(g.ops))
	g.p("var Service = api.Service{")
	g.p("\tName: %q, Package: %q, APIVersion: %q,", g.Metadata.EndpointPrefix, g.pkg, g.Metadata.APIVersion)
	g.p("\tBearer: %v,", slices.Contains(g.Metadata.Auth, "smithy.api#httpBearerAuth"))
	if g.operations != nil {
		g.p("\tProtocol: api.Protocol%s, TargetPrefix: %q, JSONVersion: %q, XMLNamespace: %q,", protocolOf[g.Metadata.Protocol], g.Metadata.TargetPrefix, g.Metadata.JSONVersion, g.Metadata.XMLNamespace)
	}
	g.p("\tShapes: Shapes[:],")
	g.p("\tExceptions: []api.Exception{")
	for _, n := range g.order {
		s := g.Shapes[n]
		if !s.Exception {
			continue
		}
		status, code := 500, ""
		if g.operations != nil && !s.Fault {
			status = 400 // of awsJson, where models name no status
		}
		if s.Error != nil {
			status = s.Error.HTTPStatusCode
			if s.Error.Code != "" && s.Error.Code != n {
				code = fmt.Sprintf(" Code: %q,", s.Error.Code)
			}
		}
		if status == 0 {
			return fmt.Errorf("exception %s has no status", n)
		}
		g.p("\t\t{Name: %q,%s Status: %d, Shape: %d, Members: %s},", n, code, status, g.id[n], g.members(s, s.Members))
	}
	g.p("\t},")
	g.p("\tOperations: []api.Operation{")
	for _, op := range g.ops {
		if err := g.operation(op); err != nil {
			return fmt.Errorf("%s: %w", op.Name, err)
		}
	}
	g.p("\t},\n}")
	return nil
}

func (g *generator) operation(op *operation) error {
	in := g.Shapes[op.Input.Shape]
	fields := g.fields(in)
	g.p("\t\t{Name: %q, Method: %q, Path: %q, Status: %d,", op.Name, op.HTTP.Method, op.HTTP.RequestURI, cmp.Or(op.HTTP.ResponseCode, 200))
	segs, err := segments(op.HTTP.RequestURI, fields)
	if err != nil {
		return err
	}
	g.p("\t\t\tSegments: []api.Segment{%s},", segs)
	g.p("\t\t\tInput: %d, Output: %d,", g.id[op.Input.Shape], g.id[op.Output.Shape])
	if op.ReadOnly {
		g.p("\t\t\tReadOnly: true,")
	}
	if w := op.Output.ResultWrapper; w != "" {
		g.p("\t\t\tResult: %q,", w)
	}
	for i, m := range fields {
		if m.IdempotencyToken {
			g.p("\t\t\tToken: %d,", i+1)
		}
	}
	var errs []string
	for _, e := range op.Errors {
		errs = append(errs, e.Shape)
	}
	sortUnique(&errs)
	g.p("\t\t\tErrors: %#v,", errs)
	evIn, evOut := g.events(op.Input.Shape), g.events(op.Output.Shape)
	g.p("\t\t\tEventsIn: %s, EventsOut: %s,", g.shapeID(evIn), g.shapeID(evOut))
	g.p("\t\t\tAccess: %s,", g.access(op))
	g.p("\t\t\tNewInput: func() any { return new(%sInput) },", op.Name)
	if evIn != "" {
		g.p("\t\t\tNewEventIn: func() any { return new(%s) },", g.goName[evIn])
	}
	switch {
	case evIn != "" && evOut != "":
		g.p("\t\t\tStream: func(ctx context.Context, impl, in any, s api.Stream) error {")
		g.p("\t\t\t\treturn impl.(API).%s(ctx, in.(*%sInput), &%sReader{Raw: s}, &%sWriter{Raw: s})", op.Name, op.Name, op.Name, op.Name)
		g.p("\t\t\t},")
	case evOut != "":
		g.p("\t\t\tStream: func(ctx context.Context, impl, in any, s api.Stream) error {")
		g.p("\t\t\t\treturn impl.(API).%s(ctx, in.(*%sInput), &%sWriter{Raw: s})", op.Name, op.Name, op.Name)
		g.p("\t\t\t},")
	case evIn != "":
		return fmt.Errorf("a request stream without an answer stream is not handled")
	default:
		// A nil *Output in a non-nil any would hide the error from the caller.
		g.p("\t\t\tCall: func(ctx context.Context, impl, in any) (any, error) {")
		g.p("\t\t\t\tout, err := impl.(API).%s(ctx, in.(*%sInput))", op.Name, op.Name)
		g.p("\t\t\t\tif err != nil { return nil, err }")
		g.p("\t\t\t\treturn out, nil")
		g.p("\t\t\t},")
	}
	g.p("\t\t},")
	return nil
}

func (g *generator) shapeID(n string) string {
	if n == "" {
		return "api.NoShape"
	}
	return strconv.Itoa(g.id[n])
}

func segments(uri string, fields []member) (string, error) {
	if strings.ContainsAny(uri, "?#") {
		return "", fmt.Errorf("path %s has a query", uri)
	}
	var out []string
	for _, s := range strings.Split(strings.TrimPrefix(uri, "/"), "/") {
		if !strings.HasPrefix(s, "{") {
			out = append(out, fmt.Sprintf("{Literal: %q}", s))
			continue
		}
		label := strings.Trim(s, "{}")
		name, greedy := strings.CutSuffix(label, "+")
		i := slices.IndexFunc(fields, func(m member) bool {
			return m.Location == "uri" && (m.LocationName == name || m.LocationName == "" && m.name == name)
		})
		if i < 0 {
			return "", fmt.Errorf("no member for label %s", name)
		}
		f := fmt.Sprintf("{Label: %q, Member: %d", name, i)
		if greedy {
			f += ", Greedy: true"
		}
		out = append(out, f+"}")
	}
	return strings.Join(out, ", "), nil
}

var arnVariable = regexp.MustCompile(`\$\{(\w+)\}`)

var protocolOf = map[string]string{"rest-json": "RestJSON", "query": "Query", "json": "AWSJSON"}

// access writes the permission of an operation with ARN templates over its input.
func (g *generator) access(op *operation) string {
	if g.operations != nil {
		return g.neighbourAccess(op)
	}
	name := op.Name
	if n := renamedActions[name]; n != "" {
		name = n
	}
	a, ok := newActions[name]
	if !ok {
		if a, ok = g.actions.Actions[name]; !ok {
			if a, ok = g.actions.Actions[strings.TrimSuffix(name, "Stream")]; !ok {
				panic("BUG: no IAM action for " + op.Name)
			}
			name = strings.TrimSuffix(name, "Stream")
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[]api.Access{{Action: %q, Level: %q", "bedrock:"+name, a.Level)
	if c := a.Resources[""]; len(c) > 0 {
		fmt.Fprintf(&b, ", Conditions: %#v", c)
	}
	types := slices.Sorted(maps.Keys(a.Resources))
	types = slices.DeleteFunc(types, func(t string) bool { return t == "" })
	if len(types) > 0 {
		b.WriteString(", Resources: []api.Resource{")
		for _, t := range types {
			arn, member := g.arnTemplate(op, t)
			fmt.Fprintf(&b, "\n{Type: %q, ARN: %q", t, arn)
			if member != "" {
				fmt.Fprintf(&b, ", Member: %q", member)
			}
			if slices.Contains(a.Required, t) {
				b.WriteString(", Required: true")
			}
			if c := a.Resources[t]; len(c) > 0 {
				fmt.Fprintf(&b, ", Conditions: %#v", c)
			}
			b.WriteString("},")
		}
		b.WriteString("\n}")
	}
	b.WriteString("}}")
	return b.String()
}

// arnTemplate fills the variables of a resource type's ARN with members of the
// operation's input, "" when the input does not name the resource.
func (g *generator) arnTemplate(op *operation, typ string) (arn, member string) {
	fields := g.fields(g.Shapes[op.Input.Shape])
	var labels []string
	for _, m := range fields {
		if m.Location == "uri" {
			labels = append(labels, m.name)
		}
		if strings.EqualFold(m.name, "resourceArn") {
			return "${" + m.name + "}", m.name
		}
	}
	find := func(variable string) string {
		base := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(variable, "Id"), "Identifier"))
		short := base
		for _, p := range []string{"agent", "flow", "automatedreasoning", "prompt"} {
			if s := strings.TrimPrefix(base, p); s != "" {
				short = s
				break
			}
		}
		for _, b := range []string{base, short} {
			for _, suffix := range []string{"id", "identifier", "arn", ""} {
				for _, m := range fields {
					if strings.ToLower(m.name) == b+suffix {
						return m.name
					}
				}
			}
		}
		if (variable == "ResourceId" || variable == "JobIdentifier") && len(labels) == 1 {
			return labels[0]
		}
		return ""
	}
	ok, vars := true, 0
	arn = arnVariable.ReplaceAllStringFunc(g.actions.Resources[typ].ARN, func(v string) string {
		name := v[2 : len(v)-1]
		if name == "Partition" || name == "Region" || name == "Account" {
			return v
		}
		m := find(name)
		if m == "" {
			ok = false
		}
		vars++
		member = m
		return "${" + m + "}"
	})
	if !ok {
		return "", ""
	}
	if vars != 1 {
		member = ""
	}
	return arn, member
}
