package schema

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	build "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
)

// Quotas of an action group, AWS's of today.
const (
	MaxOperations = 11 // API operations or functions
	MaxParameters = 5  // of a function
)

// Lengths of the wire, in characters.
const (
	maxFunctionDescription  = 1200
	maxParameterDescription = 500
)

// nameForm is the wire's form of names; it has no two underscores in a row.
var nameForm = regexp.MustCompile(`^([0-9a-zA-Z][_-]?){1,100}$`)

// Functions reads the functions of a function schema for the action group of a name.
// Parameters stand in the order of their names: the wire has none. The error is an
// *apierr.Error: Validation with every problem, or ServiceQuotaExceeded.
func Functions(group string, s *build.FunctionSchema) ([]plan.Action, error) {
	if s == nil {
		s = &build.FunctionSchema{}
	}
	return readFunctions(group, s.Functions,
		func(f *build.Function) (string, *string, string, map[string]build.ParameterDetail) {
			return f.Name, f.Description, string(f.RequireConfirmation), f.Parameters
		},
		func(p build.ParameterDetail) (string, *string, *bool) {
			return string(p.Type), p.Description, p.Required
		})
}

// RuntimeFunctions is Functions for the action groups of inline agents.
func RuntimeFunctions(group string, s *runtime.FunctionSchema) ([]plan.Action, error) {
	if s == nil {
		s = &runtime.FunctionSchema{}
	}
	return readFunctions(group, s.Functions,
		func(f *runtime.FunctionDefinition) (string, *string, string, map[string]runtime.ParameterDetail) {
			return f.Name, f.Description, string(f.RequireConfirmation), f.Parameters
		},
		func(p runtime.ParameterDetail) (string, *string, *bool) {
			return string(p.Type), p.Description, p.Required
		})
}

// readFunctions reads the functions of either service, whose types say the same in
// names of their own.
func readFunctions[F, P any](
	group string, list []F,
	function func(*F) (name string, description *string, confirm string, parameters map[string]P),
	parameter func(P) (kind string, description *string, required *bool),
) ([]plan.Action, error) {
	f := newFunctions(group)
	for i := range list {
		name, description, confirm, parameters := function(&list[i])
		f.function(name, description, confirm)
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			kind, description, required := parameter(parameters[name])
			f.parameter(name, kind, description, required)
		}
	}
	return f.end()
}

// functions gathers those of a group.
type functions struct {
	problems
	group string
	out   []plan.Action
	names map[string]bool
	at    string // of the last function
}

func newFunctions(group string) *functions {
	f := &functions{group: group, names: map[string]bool{}}
	groupName(&f.problems, group)
	return f
}

func (f *functions) function(name string, description *string, confirm string) {
	a := plan.Action{Function: name}
	if description != nil {
		a.Description = *description
	}
	f.at = "functions.[" + clip(name) + "]"
	if name == "" {
		f.at = "functions.[" + index(len(f.out)) + "]"
	}
	f.name(f.at+".name", name)
	if name != "" && f.names[name] {
		f.add(f.at+".name", "is repeated")
	}
	f.names[name] = true
	f.length(f.at+".description", a.Description, maxFunctionDescription)
	a.Confirm = confirmation(&f.problems, f.at+".requireConfirmation", confirm)
	f.out = append(f.out, a)
}

// parameter adds one to the last function.
func (f *functions) parameter(name, kind string, description *string, required *bool) {
	p := plan.Parameter{Name: name, Type: kind, Required: required != nil && *required}
	if description != nil {
		p.Description = *description
	}
	at := f.at + ".parameters." + clip(name)
	f.name(at, name)
	switch {
	case kind == "":
		f.add(at+".type", "is missing")
	case !kinds[kind] || kind == "object":
		f.add(at+".type", "is %s, not one of array, boolean, integer, number, string", quoted(kind))
	}
	f.length(at+".description", p.Description, maxParameterDescription)
	a := &f.out[len(f.out)-1]
	a.Parameters = append(a.Parameters, p)
}

func (f *functions) name(at, name string) {
	switch {
	case name == "":
		f.add(at, "is missing")
	case strings.Contains(name, "__"):
		f.add(at, "contains `__`")
	case !nameForm.MatchString(name):
		f.add(at, "is not a name of letters and digits, each with a single `_` or `-` behind it at most")
	}
}

func (f *functions) length(at, text string, most int) {
	if utf8.RuneCountInString(text) > most {
		f.add(at, "is longer than %d characters", most)
	}
}

// end answers the actions, or all that is wrong with them.
func (f *functions) end() ([]plan.Action, error) {
	if len(f.out) == 0 {
		f.add("functions", "is missing")
	}
	if err := f.functions(f.group); err != nil {
		return nil, err
	}
	if n := len(f.out); n > MaxOperations {
		return nil, tooMany("functions", "the action group "+f.group, n, MaxOperations)
	}
	for i := range f.out {
		if n := len(f.out[i].Parameters); n > MaxParameters {
			return nil, tooMany("parameters", "the function "+f.out[i].Function, n, MaxParameters)
		}
	}
	return f.out, nil
}
