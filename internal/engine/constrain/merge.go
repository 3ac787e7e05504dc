package constrain

import (
	"slices"
)

// annotations say nothing about the values of a schema.
var annotations = map[string]bool{
	"title": true, "description": true, "default": true, "examples": true, "example": true, "$comment": true,
	"deprecated": true, "readOnly": true, "writeOnly": true, "$id": true, "$schema": true, "$defs": true,
	"definitions": true, "components": true, "externalDocs": true, "xml": true, "discriminator": true, "nullable": true,
}

// constrains reports whether an object schema says anything about values.
func constrains(n *node) bool {
	return slices.ContainsFunc(n.keys, func(k string) bool { return !annotations[k] })
}

// hasSiblings reports whether a schema with a $ref says more than the $ref.
func hasSiblings(n *node) bool {
	return slices.ContainsFunc(n.keys, func(k string) bool { return k != "$ref" && !annotations[k] || k == "nullable" })
}

// resolve replaces a $ref with siblings and allOf by the schema that they are
// together; other schemas come back as they are.
func (c *compiler) resolve(n *node) *node { return c.resolveN(n, 0) }

func (c *compiler) resolveN(n *node, merges int) *node {
	if n == nil || n.kind != isObject {
		return n
	}
	ref, all := n.get("$ref").str(), n.get("allOf").list()
	if ref == "" && len(all) == 0 {
		return n
	}
	base := n.clone()
	for _, k := range []string{"$ref", "allOf"} {
		delete(base.members, k)
		base.keys = slices.DeleteFunc(base.keys, func(s string) bool { return s == k })
	}
	// Parts that name the whole again double the work at each level, so that depth
	// alone is no bound.
	if merges >= maxMerges || c.b.work > maxWork {
		return base
	}
	parts := all
	if ref != "" {
		if t := c.target(ref); t != nil {
			parts = append([]*node{t}, parts...)
		}
	}
	// Properties of the parts come before those that stand beside them, as in
	// inheritance, and the parts in their order.
	out := &node{kind: isObject, members: map[string]*node{}}
	for _, p := range parts[:min(len(parts), 64)] {
		if p = c.resolveN(p, merges+1); p != nil && p.kind == isObject {
			if m := c.merge(out, p, merges+1); m != nil {
				out = m
			}
		}
	}
	if m := c.merge(out, base, merges+1); m != nil {
		return m
	}
	return out
}

// merge joins two schemas that must both hold; nil when no value satisfies both.
// Where it cannot tell, the result is looser than the two, never stricter.
func (c *compiler) merge(a, b *node, merges int) *node {
	if a.is(false) || b.is(false) {
		return nil
	}
	if a == nil || a.kind != isObject {
		return b
	}
	if b == nil || b.kind != isObject {
		return a
	}
	c.b.work += 1 + len(a.keys) + len(b.keys)
	out := a.clone()
	for _, k := range b.keys {
		v, have := b.members[k], out.get(k)
		if have == nil {
			out.set(k, v)
			continue
		}
		switch k {
		case "type":
			t := meet(typesOf(a), typesOf(b))
			if len(t) == 0 {
				return nil
			}
			list := &node{kind: isArray}
			for _, s := range t {
				list.items = append(list.items, &node{kind: isScalar, scalar: s})
			}
			out.set(k, list)
		case "properties":
			if have.kind != isObject || v.kind != isObject {
				continue
			}
			c.b.work += len(have.keys) + len(v.keys)
			p := have.clone()
			for _, name := range v.keys {
				if old := p.get(name); old != nil && merges < maxMerges {
					joined := c.merge(c.resolveN(old, merges+1), c.resolveN(v.members[name], merges+1), merges+1)
					if joined == nil {
						joined = v.members[name]
					}
					p.set(name, joined)
				} else if old == nil {
					p.set(name, v.members[name])
				}
			}
			out.set(k, p)
		case "required":
			r := &node{kind: isArray, items: slices.Clone(have.list())}
			r.items = append(r.items, v.list()...)
			c.b.work += len(r.items)
			out.set(k, r)
		case "enum":
			c.b.work += len(have.list()) + len(v.list())
			allowed := make(map[string]bool, len(v.list()))
			for _, y := range v.list() {
				allowed[y.json()] = true
			}
			var both []*node
			for _, x := range have.list() {
				if allowed[x.json()] {
					both = append(both, x)
				}
			}
			if len(both) == 0 {
				return nil
			}
			out.set(k, &node{kind: isArray, items: both})
		case "const":
			if have.json() != v.json() {
				return nil
			}
		case "additionalProperties":
			// Each of the two speaks of members that the other may name.
			if v.is(true) || have.is(false) {
				continue
			}
			out.set(k, v)
		case "minimum", "exclusiveMinimum", "minLength", "minItems":
			if x, ok := v.number(); ok {
				if y, ok := have.number(); !ok || x > y {
					out.set(k, v)
				}
			}
		case "maximum", "exclusiveMaximum", "maxLength", "maxItems":
			if x, ok := v.number(); ok {
				if y, ok := have.number(); !ok || x < y {
					out.set(k, v)
				}
			}
		case "nullable":
			if v.is(false) {
				out.set(k, v)
			}
		case "anyOf", "oneOf":
			// Two lists of alternatives: the first one is kept.
		default:
			if !annotations[k] {
				continue
			}
			out.set(k, v)
		}
	}
	return out
}

// meet returns the types that both lists allow.
func meet(a, b []string) []string {
	if slices.Contains(a, "any") {
		return b
	}
	if slices.Contains(b, "any") {
		return a
	}
	var out []string
	for _, t := range a {
		switch {
		case slices.Contains(b, t):
			out = append(out, t)
		case t == "number" && slices.Contains(b, "integer"), t == "integer" && slices.Contains(b, "number"):
			out = append(out, "integer")
		}
	}
	return out
}
