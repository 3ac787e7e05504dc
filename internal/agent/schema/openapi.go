package schema

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
)

// versions are those whose documents look alike where we read them.
var versions = regexp.MustCompile(`^3\.[01]\.\d+(-.+)?$`)

var (
	operationForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	statusForm    = regexp.MustCompile(`^([1-5](\d\d|XX)|default)$`)
	templateForm  = regexp.MustCompile(`\{([^{}/]+)\}`)
)

// verbs of a path, and whether their requests have a body.
var verbs = map[string]bool{
	"get": false, "delete": false, "head": false, "options": true, "post": true, "put": true, "patch": true, "trace": false,
}

// walk goes through one document.
type walk struct {
	problems
	root   *object
	ids    map[string]string // operationId → where it stood first
	values int               // of schemas, references written out
	full   bool              // values are used up
	sound  map[*object]bool  // schemas of responses that were checked
}

// OpenAPI reads the OpenAPI document of an action group, JSON or YAML. The error is
// a *apierr.Error: Validation with every problem, or ServiceQuotaExceeded for more
// than MaxOperations.
func OpenAPI(group string, doc []byte) ([]plan.Action, error) {
	w := &walk{ids: map[string]string{}, sound: map[*object]bool{}}
	groupName(&w.problems, group)
	v, err := read(doc, &w.problems)
	if err != nil {
		w.add("", "%s", err)
		return nil, w.openAPI(group)
	}
	out := w.document(v)
	if err := w.openAPI(group); err != nil {
		return nil, err
	}
	if len(out) > MaxOperations {
		return nil, tooMany("API operations", "the action group "+group, len(out), MaxOperations)
	}
	return out, nil
}

func (w *walk) document(v any) []plan.Action {
	root, ok := v.(*object)
	if !ok {
		w.add("", "the document is not of type `object`")
		return nil
	}
	w.root = root
	switch version, _ := root.get("openapi"); s := version.(type) {
	case nil:
		w.add("openapi", "is missing")
	case string:
		if !versions.MatchString(s) {
			w.add("openapi", "is %s; versions 3.0.x are read", quoted(s))
		}
	default:
		w.add("openapi", "is not of type `string`")
	}
	paths := w.objectIn(root, "paths", "paths", true)
	if paths == nil {
		return nil
	}
	var out []plan.Action
	some := false
	for _, path := range paths.keys {
		if strings.HasPrefix(path, "x-") {
			continue
		}
		some = true
		at := "paths." + quoted(path)
		if !strings.HasPrefix(path, "/") {
			w.add(at, "does not begin with /")
		}
		if rest := templateForm.ReplaceAllString(path, ""); strings.ContainsAny(rest, "{}") {
			w.add(at, "has a brace without its other")
		}
		if item, from := w.follow(paths.vals[path], at); item != nil {
			out = append(out, w.item(path, at, item, from)...)
		}
	}
	if !some {
		w.add("paths", "has no path")
	}
	return out
}

// item reads the operations of a path. Problems stand at its place in paths, which
// is at; parameters are found at from when it is a reference.
func (w *walk) item(path, at string, item *object, from string) []plan.Action {
	var shared []input
	if v, ok := item.get("parameters"); ok {
		shared = w.parameters(v, from+".parameters")
	}
	var out []plan.Action
	found := false
	for _, key := range item.keys {
		if _, ok := verbs[key]; !ok {
			switch key {
			case "summary", "description", "servers", "parameters", "$ref":
			default:
				if !strings.HasPrefix(key, "x-") {
					w.add(at+"."+clip(key), "is unexpected")
				}
			}
			continue
		}
		found = true
		here := at + "(" + key + ")"
		if op, ok := item.vals[key].(*object); ok {
			out = append(out, w.operation(path, key, here, op, shared))
		} else {
			w.add(here, "is not of type `object`")
		}
	}
	if !found {
		w.add(at, "has no operation")
	}
	return out
}

func (w *walk) operation(path, verb, at string, op *object, shared []input) plan.Action {
	a := plan.Action{Path: path, Verb: strings.ToUpper(verb), OperationID: w.text(op, "operationId", at, false), Description: w.text(op, "description", at, true)}
	if _, ok := op.get("operationId"); ok {
		w.operationID(a.OperationID, at)
	}
	if v, ok := op.get("x-requireConfirmation"); ok {
		s, _ := v.(string)
		if s == "" {
			w.add(at+".x-requireConfirmation", "is not ENABLED or DISABLED")
		}
		a.Confirm = confirmation(&w.problems, at+".x-requireConfirmation", s)
	}
	var own []input
	if v, ok := op.get("parameters"); ok {
		own = w.parameters(v, at+".parameters")
	}
	list := slices.DeleteFunc(slices.Clone(shared), func(s input) bool {
		return slices.ContainsFunc(own, func(o input) bool { return o.in == s.in && o.Name == s.Name })
	})
	list = append(list, own...)
	for _, m := range templateForm.FindAllStringSubmatch(path, -1) {
		if !slices.ContainsFunc(list, func(in input) bool { return in.in == "path" && in.Name == m[1] }) {
			w.add(at+".parameters", "has no parameter %s in path, which the path names", quoted(m[1]))
		}
	}
	for i := range list {
		a.Parameters = append(a.Parameters, list[i].Parameter)
	}
	if v, ok := op.get("requestBody"); ok {
		if verbs[verb] {
			w.body(&a, v, at+".requestBody")
		} else {
			w.add(at+".requestBody", "is not supported for %s", a.Verb)
		}
	}
	w.responses(&a, op, at)
	return a
}

func (w *walk) operationID(id, at string) {
	here := at + ".operationId"
	switch {
	case id == "": // named already
		return
	case strings.Contains(id, "__"):
		w.add(here, "contains `__`")
	case !operationForm.MatchString(id):
		w.add(here, "is %s, not letters, digits, `_` and `-`", quoted(id))
	}
	if first, ok := w.ids[id]; ok {
		w.add(here, "is repeated: %s is also that of %s", quoted(id), first)
		return
	}
	w.ids[id] = at
}

// input is a parameter and where it stands in a request.
type input struct {
	plan.Parameter
	in string
}

func (w *walk) parameters(v any, at string) []input {
	list, ok := v.([]any)
	if !ok {
		w.add(at, "is not of type `array`")
		return nil
	}
	var out []input
	for i, v := range list {
		p, here := w.follow(v, at+".["+index(i)+"]")
		if p == nil {
			continue
		}
		in := w.parameter(p, at, here)
		if in.Name != "" && slices.ContainsFunc(out, func(o input) bool { return o.in == in.in && o.Name == in.Name }) {
			w.add(at+".["+clip(in.Name)+"]", "is repeated")
		}
		out = append(out, in)
	}
	return out
}

func (w *walk) parameter(p *object, list, at string) input {
	var out input
	out.Name = w.text(p, "name", at, true)
	if out.Name != "" && strings.HasPrefix(at, list) {
		at = list + ".[" + clip(out.Name) + "]"
	}
	switch out.in = w.text(p, "in", at, true); out.in {
	case "", "query", "header", "path", "cookie":
	default:
		w.add(at+".in", "is %s, not one of query, header, path, cookie", quoted(out.in))
	}
	out.Required = w.flag(p, "required", at) || out.in == "path"
	out.Type = "string"
	if v, ok := p.get("schema"); ok {
		out.Parameter = w.described(out.Parameter, w.schema(v, at+".schema", nil), at+".schema")
	} else if v, ok := p.get("content"); ok {
		if _, media, here := w.media(v, at+".content"); media != nil {
			out.Parameter = w.described(out.Parameter, w.schemaIn(media, here), here+".schema")
		}
	}
	if d := w.text(p, "description", at, out.Description == ""); d != "" {
		out.Description = d
	}
	return out
}

// described fills in what a schema says of a parameter.
func (w *walk) described(p plan.Parameter, s *object, at string) plan.Parameter {
	if s == nil {
		return p
	}
	if d, _ := s.vals["description"].(string); d != "" {
		p.Description = d
	}
	s.drop("description")
	if p.Type = kindOf(s); p.Type == "" {
		w.add(at+".type", "is missing")
		p.Type = "string"
	}
	if len(s.keys) == 1 && s.vals["type"] != nil || len(s.keys) == 0 || w.full {
		return p
	}
	b, err := json.Marshal(s)
	if err != nil { // such as a number that JSON cannot write
		w.add(at, "cannot be written as JSON")
		return p
	}
	p.Schema = b
	return p
}

// body reads the members of a request's body.
func (w *walk) body(a *plan.Action, v any, at string) {
	b, at := w.follow(v, at)
	if b == nil {
		return
	}
	required := w.flag(b, "required", at)
	content, ok := b.get("content")
	if !ok {
		w.add(at+".content", "is missing")
		return
	}
	name, media, here := w.media(content, at+".content")
	if media == nil {
		return
	}
	s := w.schemaIn(media, here)
	if s == nil {
		return
	}
	here += ".schema"
	if k := kindOf(s); k != "" && k != "object" {
		w.add(here+".type", "is %s; the body of an action is an object", quoted(k))
		return
	}
	properties, ok := s.vals["properties"].(*object)
	if !ok {
		w.add(here+".properties", "is missing")
		return
	}
	must, _ := s.vals["required"].([]any)
	for _, key := range properties.keys {
		p := plan.Parameter{Name: key, Required: slices.Contains(must, any(key))}
		member, _ := properties.vals[key].(*object)
		a.Body = append(a.Body, w.described(p, member, here+".properties."+clip(key)))
	}
	if len(a.Body) > 0 {
		a.MediaType, a.BodyRequired = name, required
	}
}

// media chooses the media type that is read: JSON where there is some.
func (w *walk) media(v any, at string) (name string, media *object, where string) {
	content, ok := v.(*object)
	if !ok {
		w.add(at, "is not of type `object`")
		return "", nil, ""
	}
	for _, fits := range []func(string) bool{
		func(s string) bool { return s == "application/json" },
		func(s string) bool {
			return strings.HasPrefix(s, "application/json;") || strings.HasSuffix(s, "+json")
		},
		func(string) bool { return true },
	} {
		for _, key := range content.keys {
			if !fits(key) {
				continue
			}
			where = at + "." + quoted(key)
			if !strings.Contains(key, "/") {
				w.add(where, "is no media type")
			}
			media, ok := content.vals[key].(*object)
			if !ok {
				w.add(where, "is not of type `object`")
			}
			return key, media, where
		}
	}
	w.add(at, "has no media type")
	return "", nil, ""
}

// schemaIn reads the schema of a media type.
func (w *walk) schemaIn(media *object, at string) *object {
	v, ok := media.get("schema")
	if !ok {
		w.add(at+".schema", "is missing")
		return nil
	}
	return w.schema(v, at+".schema", nil)
}

// responses checks the answers of an operation and describes that of success.
func (w *walk) responses(a *plan.Action, op *object, at string) {
	at += ".responses"
	list := w.objectIn(op, "responses", at, true)
	if list == nil {
		return
	}
	some := false
	for _, status := range list.keys {
		if strings.HasPrefix(status, "x-") {
			continue
		}
		some = true
		here := at + "." + clip(status)
		if !statusForm.MatchString(status) {
			w.add(here, "is no status code")
		}
		r, here := w.follow(list.vals[status], here)
		if r == nil {
			continue
		}
		about := strings.TrimSpace(w.text(r, "description", here, false))
		v, ok := r.get("content")
		if ok {
			content, ok := v.(*object)
			if !ok {
				w.add(here+".content", "is not of type `object`")
				continue
			}
			for _, key := range content.keys {
				w.response(content.vals[key], here+".content."+quoted(key))
			}
			about = w.told(about, content)
		}
		if a.Returns == "" && strings.HasPrefix(status, "2") {
			a.Returns = about
		}
	}
	if !some {
		w.add(at, "has no status code")
	}
}

func (w *walk) response(v any, at string) {
	media, ok := v.(*object)
	if !ok {
		w.add(at, "is not of type `object`")
		return
	}
	if s, ok := media.get("schema"); ok {
		w.check(s, at+".schema")
	} else {
		w.add(at+".schema", "is missing")
	}
}

// text reads a member that is a text. One that is needed is not empty.
func (w *walk) text(o *object, key, at string, needed bool) string {
	v, ok := o.get(key)
	s, text := v.(string)
	switch {
	case !ok && needed:
		w.add(at+"."+key, "is missing")
	case ok && !text:
		w.add(at+"."+key, "is not of type `string`")
	case ok && needed && strings.TrimSpace(s) == "":
		w.add(at+"."+key, "is empty")
	}
	return s
}

func (w *walk) flag(o *object, key, at string) bool {
	v, ok := o.get(key)
	b, is := v.(bool)
	if ok && !is {
		w.add(at+"."+key, "is not of type `boolean`")
	}
	return b
}

// objectIn reads a member that is a mapping; nil when it is not.
func (w *walk) objectIn(o *object, key, at string, needed bool) *object {
	v, ok := o.get(key)
	m, is := v.(*object)
	switch {
	case !ok && needed:
		w.add(at, "is missing")
	case ok && !is:
		w.add(at, "is not of type `object`")
	}
	return m
}

// known lists names for messages, in their order.
func known[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
