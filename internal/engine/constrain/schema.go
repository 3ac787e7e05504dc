package constrain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Bounds on what one schema may become. Past them the rest is loosened to its
// JSON type. llama.cpp refuses a repetition of 2000 or more rules.
const (
	maxDepth  = 48
	maxRules  = 3000
	maxBytes  = 256 << 10
	maxEnum   = 512
	maxRepeat = 512
	maxProps  = 256
	maxMerges = 12
	maxWork   = 1 << 17
)

// builder collects the rules of one grammar.
type builder struct {
	rules map[string]string
	next  int
	bytes int
	work  int // members looked at by merges
}

func newBuilder() *builder {
	b := &builder{rules: map[string]string{}}
	for name, body := range map[string]string{
		"ws":      `( "" | " " | "\n"{1,2} [ \t]{0,20} )`,
		"char":    `( [^"\\\x7F\x00-\x1F] | "\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F]{4} ) )`,
		"string":  `"\"" char* "\""`,
		"digits":  `[0-9]{0,15}`,
		"integer": `"-"? ( "0" | [1-9] digits )`,
		"number":  `integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?`,
		"boolean": `( "true" | "false" )`,
		"null":    `"null"`,
		"pair":    `string ":" ws value`,
		"object":  `"{" ws ( pair ( "," ws pair )* ws )? "}"`,
		"array":   `"[" ws ( value ( "," ws value )* ws )? "]"`,
		"value":   `( object | array | string | number | boolean | null )`,
	} {
		b.rules[name] = body
	}
	return b
}

// add sets a rule and returns its name.
func (b *builder) add(name, body string) string {
	b.rules[name] = body
	b.bytes += len(body)
	return name
}

// fresh adds a rule under a new name.
func (b *builder) fresh(body string) string {
	b.next++
	return b.add(fmt.Sprintf("r%d", b.next), body)
}

func (b *builder) full() bool { return b.next > maxRules || b.bytes > maxBytes }

// String writes the rules that root reaches, root first, the rest by name, so
// that equal requests give equal grammars.
func (b *builder) String() string {
	used := map[string]bool{}
	queue := []string{"root"}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if used[name] {
			continue
		}
		used[name] = true
		queue = append(queue, references(b.rules[name])...)
	}
	names := make([]string, 0, len(used))
	for n := range used {
		if n != "root" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var w strings.Builder
	for _, n := range append([]string{"root"}, names...) {
		w.WriteString(n + " ::= " + b.rules[n] + "\n")
	}
	return w.String()
}

// references lists the rule names in a body, skipping literals and classes.
func references(body string) []string {
	var out []string
	for i := 0; i < len(body); {
		switch c := body[i]; {
		case c == '"' || c == '[':
			end := byte('"')
			if c == '[' {
				end = ']'
			}
			for i++; i < len(body) && body[i] != end; i++ {
				if body[i] == '\\' {
					i++
				}
			}
			i++
		case c >= 'a' && c <= 'z':
			j := i
			for j < len(body) && (body[j] >= 'a' && body[j] <= 'z' || body[j] >= '0' && body[j] <= '9' || body[j] == '-') {
				j++
			}
			out = append(out, body[i:j])
			i = j
		default:
			i++
		}
	}
	return out
}

// schema adds the rules of a JSON schema and returns an expression for its
// values. Tool arguments are always an object; a schema that does not parse
// allows anything.
func (b *builder) schema(raw json.RawMessage, arguments bool) string {
	loose := "value"
	if arguments {
		loose = "object"
	}
	root, err := parseNode(raw)
	if err != nil || root.kind != isObject {
		return loose
	}
	c := &compiler{b: b, root: root, refs: map[string]string{}, edges: map[string][]string{}}
	n := root
	if arguments {
		only := &node{kind: isObject, members: map[string]*node{}}
		only.set("type", &node{kind: isScalar, scalar: "object"})
		n = c.merge(c.resolve(root), only, 0)
		if p := n.get("properties"); p != nil && p.kind == isObject && len(p.keys) == 0 && simple(n) {
			return literal("{}") // a tool that says it takes nothing
		}
	}
	expr := c.value(n, 0, "")
	if expr == "" {
		return loose
	}
	c.breakCycles()
	return expr
}

// simple reports whether nothing but its properties says what an object holds.
func simple(n *node) bool {
	for _, k := range []string{"additionalProperties", "patternProperties", "anyOf", "oneOf", "allOf", "$ref", "required"} {
		if v := n.get(k); v != nil && !v.is(false) && !(k == "required" && len(v.list()) == 0) {
			return false
		}
	}
	return true
}

// compiler turns one schema into rules.
type compiler struct {
	b    *builder
	root *node
	refs map[string]string // $ref → rule name
	// edges holds, for each rule of a $ref, the rules of other $refs that it may
	// begin with; a cycle there would be left recursion, which no engine takes.
	edges map[string][]string
}

// breakCycles replaces rules that are left-recursive by any value.
func (c *compiler) breakCycles() {
	reaches := func(from string) bool {
		seen := map[string]bool{}
		queue := slices.Clone(c.edges[from])
		for len(queue) > 0 {
			n := queue[0]
			queue = queue[1:]
			if n == from {
				return true
			}
			if !seen[n] {
				seen[n] = true
				queue = append(queue, c.edges[n]...)
			}
		}
		return false
	}
	for name := range c.edges {
		if reaches(name) {
			c.b.rules[name] = "value"
		}
	}
}

// value returns an expression for the values of schema n, "" when there are
// none. owner is the rule of the $ref that has consumed nothing so far.
func (c *compiler) value(n *node, depth int, owner string) string {
	switch {
	case n == nil || n.is(true) || n.kind == isArray:
		return "value"
	case n.is(false):
		return ""
	case n.kind == isScalar:
		return "value"
	}
	if depth > maxDepth || c.b.full() {
		return c.loosened(n)
	}
	if ref := n.get("$ref").str(); ref != "" && !hasSiblings(n) {
		return c.ref(ref, depth, owner)
	}
	n = c.resolve(n)
	if alt := c.literals(n); alt != "" {
		return alt
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if l := n.get(key).list(); len(l) > 0 && len(l) <= maxEnum {
			return c.either(n, key, l, depth, owner)
		}
	}
	types := typesOf(n)
	if n.get("nullable").is(true) && !slices.Contains(types, "null") && !slices.Contains(types, "any") {
		types = append(types, "null")
	}
	var alts []string
	for _, t := range types {
		if e := c.typed(n, t, depth); e != "" && !slices.Contains(alts, e) {
			alts = append(alts, e)
		}
	}
	return c.alternatives(alts)
}

func (c *compiler) alternatives(alts []string) string {
	switch len(alts) {
	case 0:
		return ""
	case 1:
		return alts[0]
	}
	return c.b.fresh(strings.Join(alts, " | "))
}

// loosened is the JSON type of n alone.
func (c *compiler) loosened(n *node) string {
	types := typesOf(n)
	if len(types) != 1 {
		return "value"
	}
	switch types[0] {
	case "object", "array", "string", "number", "integer", "boolean", "null":
		return types[0]
	}
	return "value"
}

// ref returns the rule of a local reference; others allow any value.
func (c *compiler) ref(ref string, depth int, owner string) string {
	target := c.target(ref)
	if target == nil {
		return "value"
	}
	name, ok := c.refs[ref]
	if !ok {
		name = c.b.fresh("value")
		c.refs[ref] = name
		c.edges[name] = nil
		body := c.value(target, depth+1, name)
		if body == "" {
			body = "value"
		}
		c.b.add(name, body)
	}
	if owner != "" {
		c.edges[owner] = append(c.edges[owner], name)
	}
	return name
}

// target finds what a local reference points to.
func (c *compiler) target(ref string) *node {
	p, ok := strings.CutPrefix(ref, "#")
	if !ok || p != "" && p[0] != '/' {
		return nil
	}
	return c.root.pointer(p)
}

// literals handles const and enum.
func (c *compiler) literals(n *node) string {
	values := n.get("enum").list()
	if v := n.get("const"); v != nil {
		values = []*node{v}
	}
	if len(values) == 0 || len(values) > maxEnum {
		return ""
	}
	types := typesOf(n)
	var alts []string
	size := 0
	for _, v := range values {
		if !slices.Contains(types, "any") && !slices.ContainsFunc(types, func(t string) bool { return isType(v, t) }) {
			continue
		}
		l := literal(v.json())
		if size += len(l); size > maxBytes/4 {
			return ""
		}
		if !slices.Contains(alts, l) {
			alts = append(alts, l)
		}
	}
	if len(alts) > 0 && n.get("nullable").is(true) && !slices.Contains(alts, `"null"`) {
		alts = append(alts, `"null"`)
	}
	return c.alternatives(alts)
}

// isType reports whether the value v has JSON type t.
func isType(v *node, t string) bool {
	switch v.kind {
	case isObject:
		return t == "object"
	case isArray:
		return t == "array"
	}
	switch s := v.scalar.(type) {
	case string:
		return t == "string"
	case bool:
		return t == "boolean"
	case json.Number:
		return t == "number" || t == "integer" && !strings.ContainsAny(s.String(), ".eE")
	}
	return t == "null"
}

// either handles anyOf and oneOf: every alternative is joined with what stands
// beside them.
func (c *compiler) either(n *node, key string, list []*node, depth int, owner string) string {
	base := n.clone()
	delete(base.members, key)
	base.keys = slices.DeleteFunc(base.keys, func(k string) bool { return k == key })
	alone := !constrains(base)
	var alts []string
	if base.get("nullable").is(true) {
		alts = append(alts, "null")
	}
	for _, alt := range list {
		if !alone {
			if alt = c.merge(base, c.resolve(alt), 0); alt == nil {
				continue
			}
		}
		if e := c.value(alt, depth+1, owner); e != "" && !slices.Contains(alts, e) {
			alts = append(alts, e)
		}
	}
	if len(alts) == 0 {
		return c.loosened(base)
	}
	return c.alternatives(alts)
}

// typesOf lists the JSON types that n allows; "any" when it does not say.
func typesOf(n *node) []string {
	t := n.get("type")
	var names []string
	if s := t.str(); s != "" {
		names = []string{s}
	} else {
		names = t.strs()
	}
	var out []string
	for _, s := range names {
		s = strings.ToLower(s)
		// Spellings of other schema languages that tools are written in.
		switch s {
		case "int", "long", "int32", "int64":
			s = "integer"
		case "float", "double", "decimal":
			s = "number"
		case "bool":
			s = "boolean"
		case "str", "text":
			s = "string"
		case "dict", "map", "struct":
			s = "object"
		case "list", "tuple", "set":
			s = "array"
		case "none", "nonetype":
			s = "null"
		case "object", "array", "string", "number", "integer", "boolean", "null":
		default:
			s = "any"
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(out) > 0 {
		return out
	}
	if t != nil && t.kind == isArray {
		return nil // the empty meeting of two types
	}
	for _, hint := range []struct{ key, typ string }{
		{"properties", "object"}, {"required", "object"}, {"patternProperties", "object"},
		{"items", "array"}, {"prefixItems", "array"}, {"minItems", "array"},
		{"pattern", "string"}, {"format", "string"}, {"minLength", "string"}, {"maxLength", "string"},
		{"minimum", "number"}, {"maximum", "number"}, {"multipleOf", "number"},
	} {
		if n.get(hint.key) != nil {
			return []string{hint.typ}
		}
	}
	if a := n.get("additionalProperties"); a != nil && a.kind == isObject {
		return []string{"object"}
	}
	return []string{"any"}
}

// typed returns the expression for the values of n that have JSON type t.
func (c *compiler) typed(n *node, t string, depth int) string {
	switch t {
	case "object":
		return c.object(n, depth)
	case "array":
		return c.array(n, depth)
	case "string":
		return c.text(n)
	case "integer":
		return c.integer(n)
	case "number":
		if lo, ok := n.get("minimum").number(); ok && lo >= 0 {
			return c.b.add("positive", `( "0" | [1-9] digits ) ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,3} )?`)
		}
		return "number"
	case "boolean", "null":
		return t
	}
	return "value"
}

// array handles items, prefixItems, minItems and maxItems.
func (c *compiler) array(n *node, depth int) string {
	first := n.get("prefixItems").list()
	rest := n.get("items")
	if rest != nil && rest.kind == isArray { // the older spelling of a tuple
		first, rest = rest.items, n.get("additionalItems")
	}
	lo, okLo := n.get("minItems").integer()
	hi, okHi := n.get("maxItems").integer()
	if len(first) == 0 && rest == nil && !okLo && !okHi {
		return "array"
	}
	if len(first) > 0 {
		return c.tuple(first, depth)
	}
	item := c.value(rest, depth+1, "")
	lo, hi = min(max(lo, 0), maxRepeat), max(hi, 0)
	switch {
	case item == "" || okHi && hi == 0:
		return literal("[]")
	case !okHi || hi > maxRepeat || hi < lo:
		hi = -1
	}
	more := c.b.fresh(`"," ws ` + item)
	body := item + " " + repeat(more, max(lo-1, 0), max(hi-1, -1))
	if hi < 0 {
		body = item + " " + repeat(more, max(lo-1, 0), -1)
	}
	if lo == 0 {
		return c.b.fresh(`"[" ws ( ` + body + ` ws )? "]"`)
	}
	return c.b.fresh(`"[" ws ` + body + ` ws "]"`)
}

// tuple writes an array with its leading items, all of them.
func (c *compiler) tuple(first []*node, depth int) string {
	var w strings.Builder
	w.WriteString(`"[" ws `)
	for i, f := range first[:min(len(first), maxProps)] {
		if i > 0 {
			w.WriteString(`"," ws `)
		}
		e := c.value(f, depth+1, "")
		if e == "" {
			e = "value"
		}
		w.WriteString(e + " ")
	}
	w.WriteString(`ws "]"`)
	return c.b.fresh(w.String())
}

// repeat writes e{lo,hi}; hi < 0 is no bound.
func repeat(e string, lo, hi int64) string {
	switch {
	case hi < 0 && lo == 0:
		return e + "*"
	case hi < 0:
		return fmt.Sprintf("%s{%d,}", e, lo)
	case hi == 0:
		return `""`
	}
	return fmt.Sprintf("%s{%d,%d}", e, lo, hi)
}
