package gateway

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// accessPlan says how to name the resources of an operation from its input. It
// is made once, from the generated table.
type accessPlan struct {
	access  []api.Access
	members map[string]int // input member → field index
}

func newAccessPlan(s *api.Service, op *api.Operation) *accessPlan {
	p := &accessPlan{access: op.Access, members: map[string]int{}}
	for i, m := range s.Shapes[op.Input].Members {
		p.members[m.Name] = i
	}
	return p
}

// permission builds the question for Access i of the operation.
func (p *accessPlan) permission(x *exchange, i int) *Permission {
	a := &p.access[i]
	out := x.question(a.Action)
	p.requestKeys(x, out.Conditions)
	if id := p.member(x.in, "modelId"); id != "" && x.h.ModelResources != nil && x.rt.service.Name == "bedrock-runtime" {
		out.Resources, out.Every = x.h.ModelResources(x.ctx, id), true
		if r := out.Resources; len(r) > 1 && strings.Contains(r[0], "inference-profile/") {
			out.Conditions["bedrock:InferenceProfileArn"] = r[:1]
		}
		return out
	}
	for j := range a.Resources {
		// Types that take the same member as an ARN give it once.
		if arn := p.arn(x, a.Resources[j].ARN); arn != "" && !slices.Contains(out.Resources, arn) {
			out.Resources = append(out.Resources, arn)
		}
	}
	if len(out.Resources) == 0 {
		out.Resources = []string{"*"}
	}
	return out
}

// requestKeys adds the condition keys that the input brings: the tags that a
// request sets or removes, and what Bedrock's own keys name. A key that the
// request does not bring stays absent, for Null and …IfExists.
func (p *accessPlan) requestKeys(x *exchange, keys map[string][]string) {
	for name, key := range map[string]string{"guardrailIdentifier": "bedrock:GuardrailIdentifier", "serviceTier": "bedrock:ServiceTier"} {
		if v := p.member(x.in, name); v != "" {
			keys[key] = []string{v}
		}
	}
	in := reflect.ValueOf(x.in)
	if !in.IsValid() || in.IsNil() {
		return
	}
	for _, name := range []string{"tags", "jobTags", "tagKeys"} {
		i, ok := p.members[name]
		if !ok {
			continue
		}
		switch f := in.Elem().Field(i); f.Kind() {
		case reflect.Map: // of the agent services
			for it := f.MapRange(); it.Next(); {
				keys["aws:RequestTag/"+it.Key().String()] = []string{it.Value().String()}
				keys["aws:TagKeys"] = append(keys["aws:TagKeys"], it.Key().String())
			}
		case reflect.Slice:
			for j := range f.Len() {
				e := f.Index(j)
				if e.Kind() == reflect.String { // keys to remove
					keys["aws:TagKeys"] = append(keys["aws:TagKeys"], e.String())
					continue
				}
				k, v := e.FieldByName("Key"), e.FieldByName("Value")
				if k.Kind() == reflect.String && v.Kind() == reflect.String {
					keys["aws:RequestTag/"+k.String()] = []string{v.String()}
					keys["aws:TagKeys"] = append(keys["aws:TagKeys"], k.String())
				}
			}
		default:
		}
	}
}

// question is a Permission about the caller of this request, without resources.
func (x *exchange) question(action string) *Permission {
	return &Permission{
		Caller: x.id.Caller, Account: x.c.Account, Region: x.c.Region, Action: action,
		Conditions: map[string][]string{
			// What concerns the principal itself, the identities add.
			"aws:SourceIp": {x.c.SourceIP}, "aws:UserAgent": {x.c.UserAgent}, "aws:RequestedRegion": {x.c.Region},
			"aws:SecureTransport": {strconv.FormatBool(x.r.TLS != nil)},
		},
	}
}

// arn fills a template; a member that is an ARN already stands for the whole.
// It returns "" when the input lacks a member.
func (p *accessPlan) arn(x *exchange, template string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "${")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		var name string
		name, template, _ = strings.Cut(rest, "}")
		switch name {
		case "Partition":
			b.WriteString(x.c.Partition)
		case "Region":
			b.WriteString(x.c.Region)
		case "Account":
			b.WriteString(x.c.Account)
		default:
			v := p.member(x.in, name)
			if v == "" {
				return ""
			}
			if strings.HasPrefix(v, "arn:") {
				return v
			}
			b.WriteString(v)
		}
	}
}

func (p *accessPlan) member(in any, name string) string {
	i, ok := p.members[name]
	v := reflect.ValueOf(in)
	if !ok || !v.IsValid() || v.IsNil() {
		return ""
	}
	f := v.Elem().Field(i)
	if f.Kind() == reflect.Pointer {
		if f.IsNil() {
			return ""
		}
		f = f.Elem()
	}
	if f.Kind() != reflect.String {
		return ""
	}
	return f.String()
}
