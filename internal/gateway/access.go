package gateway

import (
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// accessPlan says what must be allowed for an operation, and how to name the
// resources from its input. It is made once, from the generated table and, where
// that leaves resources open, from namedByHand.
type accessPlan struct {
	asks []ask
	tags []tagMember
}

// ask is one action that an operation needs.
type ask struct {
	action string
	needs  []need // each must be met; none: the action has no resource type
	keys   []inputKey
}

// need is one thing that an operation works on.
type need struct {
	names    []template                      // what it may be called by: more than one when the input does not tell its type
	model    *path                           // instead of names: a model's ID or ARN, behind which stand one or more resources
	optional bool                            // an input that does not name it does not need it
	pick     func(*exchange, *need) []string // chooses among names; nil: all
}

func newAccessPlan(s *api.Service, op *api.Operation) *accessPlan {
	p := &accessPlan{tags: tagMembers(s, op)}
	for i := range op.Access {
		a := &op.Access[i]
		p.asks = append(p.asks, ask{action: a.Action, needs: needsOf(s, op, a), keys: inputKeys(s, op, a)})
	}
	return p
}

// needsOf reads what an action of the operation works on.
func needsOf(s *api.Service, op *api.Operation, a *api.Access) []need {
	if hand, ok := namedByHand[s.Name+"."+op.Name]; ok {
		out := make([]need, len(hand))
		for i, h := range hand {
			out[i].optional, out[i].pick = h.optional, h.pick
			if h.model != "" {
				out[i].model = mustPath(s, op.Input, h.model)
			}
			for _, n := range h.names {
				out[i].names = append(out[i].names, mustTemplate(s, op.Input, n))
			}
		}
		return out
	}
	if id := pathOf(s, op.Input, "modelId"); id != nil && s.Name == "bedrock-runtime" {
		return []need{{model: id}}
	}
	var n need
	for _, r := range a.Resources {
		t := r.ARN
		switch {
		case t == "" && strings.HasPrefix(r.Type, "automated-reasoning-policy"):
			t = "automated-reasoning-policy/${policyArn}" // all these operations name it so
		case t == "":
			continue // not named by the input, such as the profile of a guardrail that is applied
		}
		n.names = append(n.names, mustTemplate(s, op.Input, t))
	}
	if len(n.names) == 0 {
		return nil
	}
	return []need{n}
}

// permissions are the questions for Access i of the operation.
func (p *accessPlan) permissions(x *exchange, i int) []*Permission {
	a := &p.asks[i]
	all := x.question(a.action)
	all.Every = true
	p.requestKeys(x, all.Conditions)
	for _, k := range a.keys {
		if v := k.value(x); v != "" {
			all.Conditions[k.key] = []string{v}
		}
	}
	out := []*Permission{all}
	for j := range a.needs {
		n := &a.needs[j]
		if n.model != nil {
			for _, id := range n.model.values(x.in) {
				r := x.modelResources(id)
				all.Resources = append(all.Resources, r...)
				if x.rt.service.Name == "bedrock-runtime" {
					modelKeys(r, all.Conditions)
				}
			}
			continue
		}
		names := n.resources(x)
		if len(n.names) == 1 || len(names) == 1 {
			all.Resources = append(all.Resources, names...)
			continue
		}
		one := *all
		one.Resources, one.Every = names, false
		out = append(out, &one)
	}
	switch {
	case len(all.Resources) > 0:
	case len(out) > 1:
		return out[1:]
	default:
		all.Resources = []string{"*"}
	}
	return out
}

// resources are the ARNs that the need may be called by, each once.
func (n *need) resources(x *exchange) []string {
	if n.pick != nil {
		return n.pick(x, n)
	}
	var out []string
	for i := range n.names {
		for _, arn := range n.names[i].expand(x, n.optional || len(n.names) > 1) {
			if !slices.Contains(out, arn) {
				out = append(out, arn)
			}
		}
	}
	return out
}

// modelResources names what stands behind a model's ID.
func (x *exchange) modelResources(id string) []string {
	switch {
	case x.h.ModelResources != nil:
		return x.h.ModelResources(x.ctx, id)
	case strings.HasPrefix(id, "arn:"):
		return []string{id}
	}
	return []string{"arn:" + x.c.Partition + ":bedrock:" + x.c.Region + "::foundation-model/" + id}
}

// authorise asks for everything that the operation needs.
func (x *exchange) authorise() error {
	if x.h.Authorizer == nil || x.h.Authorizer.Unrestricted(x.id.Caller) {
		return nil
	}
	if x.id.Bearer {
		p := x.question("bedrock:CallWithBearerToken")
		p.Resources = []string{"*"}
		if x.id.BearerType != "" {
			p.Conditions["bedrock:BearerTokenType"] = []string{x.id.BearerType}
		}
		if err := x.h.Authorizer.Authorize(x.ctx, p); err != nil {
			return err
		}
	}
	for i := range x.rt.plan.asks {
		for _, p := range x.rt.plan.permissions(x, i) {
			if err := x.h.Authorizer.Authorize(x.ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
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
