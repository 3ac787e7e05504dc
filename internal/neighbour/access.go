package neighbour

import (
	"reflect"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// access says how to ask for the permissions of an operation. It is made once,
// from the generated table.
type access struct {
	questions []question
	members   map[string]int // input member → field index
	tags      int            // field of the request's tags, -1
	tagKeys   int            // field of the tag keys to remove, -1
}

// question is one action on one resource. An action whose table demands several
// types (kms:CreateAlias: the alias and the key) is asked once for each; types
// that are alternatives (iam:SimulatePrincipalPolicy: a user, a group or a role)
// are one question.
type question struct {
	action    string
	types     []string
	templates []string
}

func newAccess(svc *api.Service, op *api.Operation) *access {
	a := &access{members: map[string]int{}, tags: -1, tagKeys: -1}
	for i, m := range svc.Shapes[op.Input].Members {
		a.members[m.Name] = i
		switch strings.ToLower(m.Name) {
		case "tags":
			a.tags = i
		case "tagkeys":
			a.tagKeys = i
		}
	}
	for i := range op.Access {
		ac := &op.Access[i]
		all := question{action: ac.Action}
		for j := range ac.Resources {
			r := &ac.Resources[j]
			if r.Required {
				a.questions = append(a.questions, question{ac.Action, []string{r.Type}, []string{r.ARN}})
				continue
			}
			all.types, all.templates = append(all.types, r.Type), append(all.templates, r.ARN)
		}
		if n := len(a.questions); n > 0 && a.questions[n-1].action == ac.Action {
			continue // what is not required beside it is a finer spelling of the same
		}
		a.questions = append(a.questions, all)
	}
	return a
}

func (a *access) authorise(x *request) error {
	refiner, _ := x.t.face.(Refiner)
	own, _ := x.t.face.(Authority)
	for i := range a.questions {
		q := &a.questions[i]
		p := x.Question(q.action)
		a.requestTags(x.in, p)
		for _, t := range q.templates {
			if arn := a.arn(x, t); arn != "" {
				p.Resources = append(p.Resources, arn)
			}
		}
		if len(p.Resources) == 0 {
			p.Resources = []string{"*"}
		}
		if refiner != nil {
			refiner.Refine(x.ctx, x.op, x.in, q.types, p)
		}
		var err error
		if own != nil {
			err = own.Authorize(x.ctx, x.op, x.in, p)
		} else {
			err = x.c.Authorizer.Authorize(x.ctx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// arn fills a template; a member that is an ARN already stands for the whole. It
// returns "" when the input lacks a member.
func (a *access) arn(x *request, template string) string {
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
			b.WriteString(x.Call.Partition)
		case "Region":
			b.WriteString(x.Call.Region)
		case "Account":
			b.WriteString(x.Call.Account)
		default:
			v := a.member(x.in, name)
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

func (a *access) member(in any, name string) string {
	i, ok := a.members[name]
	if !ok {
		return ""
	}
	f := reflect.ValueOf(in).Elem().Field(i)
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

// requestTags sets aws:RequestTag/KEY and aws:TagKeys from what the input tags
// with, in any of the services' spellings: a list of Key and Value, of TagKey and
// TagValue, or a map.
func (a *access) requestTags(in any, p *gateway.Permission) {
	v := reflect.ValueOf(in).Elem()
	var keys []string
	if a.tags >= 0 {
		switch f := v.Field(a.tags); f.Kind() {
		case reflect.Map:
			for _, k := range f.MapKeys() {
				keys = append(keys, k.String())
				p.Conditions["aws:RequestTag/"+k.String()] = []string{f.MapIndex(k).String()}
			}
		case reflect.Slice:
			for i := range f.Len() {
				e := f.Index(i)
				if e.Kind() != reflect.Struct || e.NumField() != 2 {
					break
				}
				k, val := text(e.Field(0)), text(e.Field(1)) // Key before Value in the order of names
				keys = append(keys, k)
				p.Conditions["aws:RequestTag/"+k] = []string{val}
			}
		default: // no operation has tags in another form
		}
	}
	if a.tagKeys >= 0 {
		if f := v.Field(a.tagKeys); f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String {
			for i := range f.Len() {
				keys = append(keys, f.Index(i).String())
			}
		}
	}
	if keys != nil {
		p.Conditions["aws:TagKeys"] = keys
	}
}

func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return v.String()
}
