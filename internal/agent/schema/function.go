package schema

import (
	"maps"
	"slices"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

// Quotas of an action group, AWS's of today.
const (
	MaxOperations = 11 // API operations or functions
	MaxParameters = 5  // of a function
)

// Functions reads the functions of a function schema for the action group of a name.
// Parameters stand in the order of their names: the wire has none. The lengths and
// characters of names and texts are those of the wire, which the gateway checks. The
// error is an *apierr.Error: Validation with every problem, or ServiceQuotaExceeded.
func Functions(group string, s *api.FunctionSchema) ([]plan.Action, error) {
	p := &problems{}
	groupName(p, group)
	if len(s.Functions) == 0 {
		p.add("functions", "is empty")
	}
	seen := map[string]bool{}
	out := make([]plan.Action, 0, len(s.Functions))
	for i := range s.Functions {
		f := &s.Functions[i]
		at := "functions.[" + clip(f.Name) + "]"
		if seen[f.Name] {
			p.add(at, "is repeated")
		}
		seen[f.Name] = true
		a := plan.Action{Function: f.Name, Confirm: confirmation(p, at+".requireConfirmation", string(f.RequireConfirmation))}
		if f.Description != nil {
			a.Description = *f.Description
		}
		for _, name := range slices.Sorted(maps.Keys(f.Parameters)) {
			in := f.Parameters[name]
			if !kinds[string(in.Type)] || in.Type == "object" {
				p.add(at+".parameters."+clip(name)+".type", "is %s, not one of array, boolean, integer, number, string", quoted(string(in.Type)))
			}
			param := plan.Parameter{Name: name, Type: string(in.Type), Required: in.Required != nil && *in.Required}
			if in.Description != nil {
				param.Description = *in.Description
			}
			a.Parameters = append(a.Parameters, param)
		}
		out = append(out, a)
	}
	if err := p.functions(group); err != nil {
		return nil, err
	}
	if len(out) > MaxOperations {
		return nil, tooMany("functions", "the action group "+group, len(out), MaxOperations)
	}
	for i := range out {
		if n := len(out[i].Parameters); n > MaxParameters {
			return nil, tooMany("parameters", "the function "+out[i].Function, n, MaxParameters)
		}
	}
	return out, nil
}
