package schema

import (
	"strings"
)

const (
	maxTold      = 2000 // bytes that describe an answer
	maxToldLevel = 4    // levels of it
)

// check looks for problems in the schema of an answer. Unlike that of an input it may
// hold itself: no value is made from it. Each schema is looked at once.
func (w *walk) check(v any, at string) {
	s, at := w.follow(v, at)
	if s == nil || w.sound[s] {
		return
	}
	w.sound[s] = true
	if t, ok := s.get("type"); ok {
		w.kind(newObject(), t, at+".type")
	}
	if v, ok := s.get("description"); ok {
		if _, text := v.(string); !text {
			w.add(at+".description", "is not of type `string`")
		}
	}
	if o := w.objectIn(s, "properties", at+".properties", false); o != nil {
		for _, name := range o.keys {
			w.check(o.vals[name], at+".properties."+clip(name))
		}
	}
	if v, ok := s.get("items"); ok {
		w.check(v, at+".items")
	}
	if v, ok := s.get("additionalProperties"); ok {
		if _, flag := v.(bool); !flag {
			w.check(v, at+".additionalProperties")
		}
	}
	for _, key := range []string{"allOf", "oneOf", "anyOf"} {
		v, ok := s.get(key)
		if !ok {
			continue
		}
		list, is := v.([]any)
		if !is {
			w.add(at+"."+key, "is not a list of schemas")
		}
		for i, v := range list {
			w.check(v, at+"."+key+".["+index(i)+"]")
		}
	}
}

// told describes the answer of an operation for prompts.
func (w *walk) told(about string, content *object) string {
	for _, key := range content.keys {
		media, _ := content.vals[key].(*object)
		if media == nil || media.vals["schema"] == nil {
			continue
		}
		t := teller{w: w}
		t.schema(media.vals["schema"], 0)
		text := strings.TrimSpace(t.String())
		switch {
		case text == "":
		case about == "":
			about = text
		default:
			about = strings.TrimSuffix(about, ".") + ": " + text
		}
		break
	}
	return about
}

// teller writes a schema as a phrase, such as "list of object {claimId: string (Id of
// the claim.)}".
type teller struct {
	strings.Builder
	w    *walk
	hops int
}

func (t *teller) schema(v any, level int) {
	if t.hops++; t.hops > maxTold || t.Len() > maxTold || level > maxToldLevel {
		t.WriteString("…")
		return
	}
	s := t.quiet(v)
	if s == nil {
		return
	}
	kind, _ := s.vals["type"].(string)
	switch {
	case s.vals["items"] != nil:
		t.WriteString("list of ")
		t.schema(s.vals["items"], level+1)
	case s.vals["properties"] != nil || s.vals["allOf"] != nil:
		t.WriteString("object {")
		first := true
		t.properties(s, level, &first)
		t.WriteString("}")
	case kind == "" && (s.vals["oneOf"] != nil || s.vals["anyOf"] != nil):
		list, _ := s.vals["oneOf"].([]any)
		if list == nil {
			list, _ = s.vals["anyOf"].([]any)
		}
		for i, v := range list {
			if i > 0 {
				t.WriteString(" or ")
			}
			t.schema(v, level+1)
		}
	case kind == "array":
		t.WriteString("list")
	default:
		t.WriteString(kind)
	}
}

func (t *teller) properties(s *object, level int, first *bool) {
	if o, _ := s.vals["properties"].(*object); o != nil {
		for _, name := range o.keys {
			if !*first {
				t.WriteString(", ")
			}
			*first = false
			if t.Len() > maxTold {
				t.WriteString("…")
				return
			}
			t.WriteString(clip(name) + ": ")
			t.schema(o.vals[name], level+1)
			if p := t.quiet(o.vals[name]); p != nil {
				if d, _ := p.vals["description"].(string); d != "" {
					t.WriteString(" (" + clip(d) + ")")
				}
			}
		}
	}
	list, _ := s.vals["allOf"].([]any)
	for _, v := range list {
		if t.hops++; t.hops > maxTold || level > maxToldLevel {
			return
		}
		if b := t.quiet(v); b != nil {
			t.properties(b, level+1, first)
		}
	}
}

// quiet follows references without noting problems, which check has done.
func (t *teller) quiet(v any) *object {
	mute := walk{root: t.w.root}
	o, _ := mute.follow(v, "")
	return o
}
