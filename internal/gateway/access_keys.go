package gateway

import (
	"reflect"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// inputKey is a condition key of the service that a request brings.
type inputKey struct {
	key   string
	value func(*exchange) string
}

// inputKeys are the service's own condition keys of an action as far as an input
// tells them; those of models are set with the model's resources. A key that the
// request does not bring stays absent, for Null and …IfExists.
func inputKeys(s *api.Service, op *api.Operation, a *api.Access) []inputKey {
	member := func(names ...string) *path {
		for _, n := range names {
			if p := pathOf(s, op.Input, n); p != nil {
				return p
			}
		}
		return nil
	}
	var out []inputKey
	for _, key := range a.Conditions {
		switch key {
		case "bedrock:GuardrailIdentifier":
			id := member("guardrailConfig.guardrailIdentifier", "guardrailIdentifier")
			version := member("guardrailConfig.guardrailVersion", "guardrailVersion")
			if id != nil {
				out = append(out, inputKey{key, func(x *exchange) string { return guardrailARN(x, id.value(x.in), version.value(x.in)) }})
			}
		case "bedrock:ServiceTier":
			if p := member("serviceTier.type", "serviceTier"); p != nil {
				out = append(out, inputKey{key, func(x *exchange) string { return p.value(x.in) }})
			}
		case "bedrock:InlineAgentName":
			if p := member("agentName"); p != nil {
				out = append(out, inputKey{key, func(x *exchange) string { return p.value(x.in) }})
			}
		}
	}
	return out
}

// guardrailARN is how policies name a guardrail: its ARN, and behind it the version
// unless that is the draft.
func guardrailARN(x *exchange, id, version string) string {
	switch {
	case id == "":
		return ""
	case !strings.HasPrefix(id, "arn:"):
		id = x.c.ARN("guardrail/" + id)
	}
	if version == "" || version == "DRAFT" {
		return id
	}
	return id + ":" + version
}

// modelKeys sets the keys of a model that is called through another resource, which
// stands first.
func modelKeys(resources []string, keys map[string][]string) {
	if len(resources) == 0 {
		return
	}
	switch first := resources[0]; {
	case strings.Contains(first, "inference-profile/"):
		keys["bedrock:InferenceProfileArn"] = []string{first}
	case strings.Contains(first, "prompt-router/"):
		keys["bedrock:PromptRouterArn"] = []string{first}
	}
}

// tagMember is a member that holds tags, or keys of tags.
type tagMember struct {
	field      int
	key, value int // fields of the elements of a list of tags; -1: its elements are keys
	isMap      bool
}

// tagMembers finds the tags in an input by their shape.
func tagMembers(s *api.Service, op *api.Operation) []tagMember {
	if op.Input == api.NoShape {
		return nil
	}
	var out []tagMember
	for i, m := range s.Shapes[op.Input].Members {
		sh := &s.Shapes[m.Shape]
		switch {
		case sh.Kind == api.Map && m.Name == "tags":
			out = append(out, tagMember{field: i, isMap: true})
		case sh.Kind != api.List:
		case m.Name == "tagKeys":
			out = append(out, tagMember{field: i, key: -1})
		case s.Shapes[sh.Elem].Name == "Tag":
			t := tagMember{field: i}
			for j, e := range s.Shapes[sh.Elem].Members {
				switch e.Name {
				case "key":
					t.key = j
				case "value":
					t.value = j
				}
			}
			out = append(out, t)
		}
	}
	return out
}

// requestKeys adds the tags that a request sets or removes.
func (p *accessPlan) requestKeys(x *exchange, keys map[string][]string) {
	if len(p.tags) == 0 {
		return
	}
	in := reflect.ValueOf(x.in)
	if in.Kind() != reflect.Pointer || in.IsNil() {
		return
	}
	set := func(k, v string) {
		keys["aws:RequestTag/"+k] = []string{v}
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], k)
	}
	for _, t := range p.tags {
		f := in.Elem().Field(t.field)
		if t.isMap {
			for it := f.MapRange(); it.Next(); {
				set(it.Key().String(), it.Value().String())
			}
			continue
		}
		for i := range f.Len() {
			e := f.Index(i)
			if t.key < 0 {
				keys["aws:TagKeys"] = append(keys["aws:TagKeys"], e.String())
				continue
			}
			set(e.Field(t.key).String(), e.Field(t.value).String())
		}
	}
}
