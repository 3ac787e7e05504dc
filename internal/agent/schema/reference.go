package schema

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxHops = 20 // of references that are references

// follow returns the object at a place, references resolved, and where it was found.
// It is nil, and the problem is noted, when there is none.
func (w *walk) follow(v any, at string) (o *object, where string) {
	for range maxHops {
		o, ok := v.(*object)
		if !ok {
			w.add(at, "is not of type `object`")
			return nil, at
		}
		r, ok := o.get("$ref")
		if !ok {
			return o, at
		}
		to, ok := r.(string)
		if !ok {
			w.add(at+".$ref", "is not of type `string`")
			return nil, at
		}
		if !strings.HasPrefix(to, "#/") {
			w.add(at+".$ref", "is %s; only references inside the document are followed", quoted(to))
			return nil, at
		}
		if v, where, ok = w.lookUp(to); !ok {
			w.add(at+".$ref", "is %s, which the document does not have", quoted(to))
			return nil, at
		}
		at = where
	}
	w.add(at+".$ref", "goes in a circle")
	return nil, at
}

// lookUp finds what a local reference points to.
func (w *walk) lookUp(ref string) (v any, where string, ok bool) {
	v = w.root
	var path []string
	parts := strings.Split(ref[2:], "/")
	if len(parts) > MaxNesting {
		return nil, "", false
	}
	for _, part := range parts {
		if p, err := url.PathUnescape(part); err == nil {
			part = p
		}
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		path = append(path, part)
		switch from := v.(type) {
		case *object:
			if v, ok = from.get(part); !ok {
				return nil, "", false
			}
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(from) {
				return nil, "", false
			}
			v = from[i]
		default:
			return nil, "", false
		}
	}
	return v, joined(path), true
}

// cyclic reports whether a schema stands inside itself.
func cyclic(open []*object, o *object) bool { return slices.Contains(open, o) }
