package schema

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	build "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

func TestFunctionsAreReadInBothForms(t *testing.T) {
	want := []plan.Action{
		{Function: "getWeather", Description: "weather of a place", Confirm: true, Parameters: []plan.Parameter{{Name: "day", Type: "integer"}, {Name: "place", Type: "string", Description: "a town", Required: true}}},
		{Function: "a-b"},
	}
	got, err := Functions("g", &build.FunctionSchema{Functions: []build.Function{
		{Name: "getWeather", Description: new("weather of a place"), RequireConfirmation: build.RequireConfirmationEnabled, Parameters: map[string]build.ParameterDetail{
			"place": {Type: build.TypeString, Description: new("a town"), Required: new(true)}, "day": {Type: build.TypeInteger},
		}},
		{Name: "a-b", RequireConfirmation: build.RequireConfirmationDisabled},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got, err = RuntimeFunctions("g", &runtime.FunctionSchema{Functions: []runtime.FunctionDefinition{
		{Name: "getWeather", Description: new("weather of a place"), RequireConfirmation: runtime.RequireConfirmationEnabled, Parameters: map[string]runtime.ParameterDetail{
			"place": {Type: runtime.ParameterTypeString, Description: new("a town"), Required: new(true)}, "day": {Type: runtime.ParameterTypeInteger},
		}},
		{Name: "a-b"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEveryProblemOfAFunctionSchemaIsNamed(t *testing.T) {
	_, err := Functions("a__b", &build.FunctionSchema{Functions: []build.Function{
		{Name: ""},
		{Name: "x__y"},
		{Name: "é", Description: new(strings.Repeat("d", 1201)), RequireConfirmation: "MAYBE"},
		{Name: "f", Parameters: map[string]build.ParameterDetail{"p": {}, "q q": {Type: "object", Description: new(strings.Repeat("d", 501))}}},
		{Name: "f"},
	}})
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.Validation {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"attribute actionGroupName contains `__`",
		"attribute functions.[0].name is missing",
		"attribute functions.[x__y].name contains `__`",
		"attribute functions.[é].name is not a name of",
		"attribute functions.[é].description is longer than 1200 characters",
		"attribute functions.[é].requireConfirmation is 'MAYBE', not ENABLED or DISABLED",
		"attribute functions.[f].parameters.p.type is missing",
		"attribute functions.[f].parameters.q q is not a name of",
		"attribute functions.[f].parameters.q q.type is 'object', not one of",
		"attribute functions.[f].parameters.q q.description is longer than 500 characters",
		"attribute functions.[f].name is repeated",
	} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("%q is not in %s", want, e.Message)
		}
	}
	for _, in := range []*build.FunctionSchema{nil, {}} {
		if _, err := Functions("g", in); err == nil || !strings.Contains(err.Error(), "attribute functions is missing") {
			t.Errorf("got %v", err)
		}
	}
}

func TestFunctionsHaveQuotas(t *testing.T) {
	many := &runtime.FunctionSchema{}
	for i := range MaxOperations {
		many.Functions = append(many.Functions, runtime.FunctionDefinition{Name: "f" + index(i), Parameters: map[string]runtime.ParameterDetail{}})
	}
	for i := range MaxParameters {
		many.Functions[0].Parameters["p"+index(i)] = runtime.ParameterDetail{Type: runtime.ParameterTypeString}
	}
	if _, err := RuntimeFunctions("g", many); err != nil {
		t.Fatal(err)
	}
	many.Functions[0].Parameters["more"] = runtime.ParameterDetail{Type: runtime.ParameterTypeString}
	if _, err := RuntimeFunctions("g", many); apierr.KindOf(err) != apierr.ServiceQuotaExceeded {
		t.Errorf("parameters: got %v", err)
	}
	delete(many.Functions[0].Parameters, "more")
	many.Functions = append(many.Functions, runtime.FunctionDefinition{Name: "more"})
	if _, err := RuntimeFunctions("g", many); apierr.KindOf(err) != apierr.ServiceQuotaExceeded {
		t.Errorf("functions: got %v", err)
	}
}

// Whatever a function schema holds is refused, or becomes actions that can be offered,
// and both services read it alike.
func FuzzFunctions(f *testing.F) {
	f.Add([]byte(`{"Functions":[{"Name":"getWeather","Description":"weather","RequireConfirmation":"ENABLED","Parameters":{"place":{"Type":"string","Required":true},"day":{"Type":"integer"}}}]}`))
	f.Add([]byte(`{"Functions":[{"Name":"a"},{"Name":"a"},{"Name":"a__b","Parameters":{"":{},"x":{"Type":"object"}}}]}`))
	f.Add([]byte(`{"Functions":[{"Name":"f","Parameters":{"a":{"Type":"array"},"b":{"Type":"array"},"c":{"Type":"array"},"d":{"Type":"array"},"e":{"Type":"array"},"f":{"Type":"array"}}}]}`))
	f.Add([]byte(`{"Functions":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var built build.FunctionSchema
		var inline runtime.FunctionSchema
		if json.Unmarshal(b, &built) != nil || json.Unmarshal(b, &inline) != nil {
			return
		}
		got, err := Functions("g", &built)
		same, serr := RuntimeFunctions("g", &inline)
		if d := cmp.Diff(got, same); d != "" {
			t.Fatalf("the services read it differently: %s", d)
		}
		if err != nil {
			if k := apierr.KindOf(err); k != apierr.Validation && k != apierr.ServiceQuotaExceeded || got != nil || serr == nil || serr.Error() != err.Error() {
				t.Fatalf("got %v, %v; for inline agents %v", got, err, serr)
			}
			return
		}
		if len(got) == 0 || len(got) > MaxOperations {
			t.Fatalf("%d actions", len(got))
		}
		seen := map[string]bool{}
		for i := range got {
			a := &got[i]
			if seen[a.Function] || !nameForm.MatchString(a.Function) || strings.Contains(a.Function, "__") || len(a.Parameters) > MaxParameters {
				t.Fatalf("got %+v", a)
			}
			seen[a.Function] = true
			last := ""
			for _, p := range a.Parameters {
				if p.Name <= last || !kinds[p.Type] || p.Type == "object" {
					t.Fatalf("got %+v after %q", p, last)
				}
				last = p.Name
			}
		}
	})
}
