package constrain

import (
	"fmt"
	"slices"
	"strings"
)

// object writes the properties in the order of the schema, optional ones left
// out at will, then further members where the schema wants them. Members that a
// schema with properties does not speak of are not allowed, although JSON Schema
// would: a model that may invent arguments does.
func (c *compiler) object(n *node, depth int) string {
	props := n.get("properties")
	if props == nil || props.kind != isObject {
		props = &node{kind: isObject}
	}
	required := map[string]bool{}
	names := slices.Clone(props.keys)
	for _, r := range n.get("required").strs() {
		if !required[r] {
			required[r] = true
			if props.get(r) == nil {
				names = append(names, r)
			}
		}
	}
	extra := c.extra(n, len(names) == 0, depth)
	if len(names) > maxProps {
		return "object"
	}
	if len(names) == 0 {
		switch extra {
		case "":
			return literal("{}")
		case "value":
			return "object"
		}
	}
	type member struct {
		expr     string
		required bool
	}
	var members []member
	for _, name := range names {
		if len(name) > 256 {
			return "object"
		}
		v := c.value(props.get(name), depth+1, "")
		if v == "" {
			if !required[name] {
				continue
			}
			v = "value"
		}
		members = append(members, member{c.b.fresh(literal(quote(name)+":") + " ws " + v), required[name]})
	}

	// Two chains of rules from the last property to the first: rest-i follows a
	// member and so begins with a comma, first-i follows the brace.
	rest, first := `""`, `""`
	if extra != "" {
		kv := c.b.fresh(c.otherKey(names) + ` ":" ws ` + extra)
		rest = c.b.fresh(`( "," ws ` + kv + ` )*`)
		first = c.b.fresh(`( ` + kv + ` ` + rest + ` )?`)
	}
	for _, m := range slices.Backward(members) {
		chainRest := join(`"," ws `+m.expr, rest)
		chainFirst := join(m.expr, rest)
		if m.required {
			rest, first = chainRest, c.b.fresh(chainFirst)
		} else {
			rest, first = "( "+chainRest+" | "+rest+" )", c.b.fresh(chainFirst+" | "+first)
		}
		// rest is used twice where a property is optional: name it, or the text
		// doubles with every property.
		if !m.required || len(rest) > 200 {
			rest = c.b.fresh(rest)
		}
	}
	return c.b.fresh(join(`"{" ws`, first) + ` ws "}"`)
}

func join(a, b string) string {
	if b == `""` {
		return a
	}
	return a + " " + b
}

// extra returns the expression for the values of members that are not named, ""
// when there may be none.
func (c *compiler) extra(n *node, free bool, depth int) string {
	a := n.get("additionalProperties")
	if a == nil {
		a = n.get("unevaluatedProperties")
	}
	var alts []string
	if p := n.get("patternProperties"); p != nil && p.kind == isObject {
		for _, k := range p.keys[:min(len(p.keys), 16)] {
			if e := c.value(p.members[k], depth+1, ""); e != "" && !slices.Contains(alts, e) {
				alts = append(alts, e)
			}
		}
	}
	switch {
	case a == nil && free && len(alts) == 0 && n.get("properties") == nil:
		return "value"
	case a == nil || a.is(false):
		if len(alts) == 0 && a == nil && free && n.get("properties") != nil {
			return "value"
		}
		return c.alternatives(alts)
	}
	if e := c.value(a, depth+1, ""); e != "" && !slices.Contains(alts, e) {
		alts = append(alts, e)
	}
	if slices.Contains(alts, "value") {
		return "value"
	}
	return c.alternatives(alts)
}

// otherKey returns an expression for any JSON string that is none of the names:
// a trie in which every way out of a name is allowed and its end is not.
func (c *compiler) otherKey(names []string) string {
	size := 0
	for _, n := range names {
		size += len(n)
		if q := quote(n); len(q) != len(n)+2 {
			return "string" // a name with escapes; it has several spellings anyway
		}
	}
	if len(names) == 0 || size > 2000 {
		return "string"
	}
	return c.b.fresh(`"\"" ` + c.trie(names))
}

func (c *compiler) trie(names []string) string {
	var letters []rune
	tails := map[rune][]string{}
	ends := false
	for _, n := range names {
		if n == "" {
			ends = true
			continue
		}
		for i, r := range n {
			if i > 0 {
				break
			}
			if tails[r] == nil {
				letters = append(letters, r)
			}
			tails[r] = append(tails[r], n[len(string(r)):])
		}
	}
	slices.Sort(letters)
	var alts []string
	not := ""
	for _, r := range letters {
		not += class(r)
		alts = append(alts, fmt.Sprintf("[%s] %s", class(r), c.trie(tails[r])))
	}
	alts = append(alts,
		`[^"\\\x7F\x00-\x1F`+not+`] char* "\""`,
		`"\\" ( ["\\/bfnrt] | "u" [0-9a-fA-F]{4} ) char* "\""`)
	if !ends {
		alts = append(alts, `"\""`)
	}
	return c.b.fresh(strings.Join(alts, " | "))
}
