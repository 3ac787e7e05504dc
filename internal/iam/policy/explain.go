package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Step is what one statement said to a request.
type Step struct {
	Source

	Effect  Effect
	Matched bool
	Why     string // of a statement that did not match: "the action is another", "StringEquals aws:username: …"
}

// Explain is Evaluate with what each statement said, in the order of the sets.
func Explain(r *Request, s *Sets) (Decision, []Step) {
	e := newEvaluator(r, s)
	var steps []Step
	each := func(kind Kind, p *Policy) {
		if p == nil {
			return
		}
		for i := range p.program {
			st, g, failed := e.test(&p.program[i])
			steps = append(steps, Step{Source{kind, p, i}, p.Statements[i].Effect, st == matched, e.why(kind, st, g, failed)})
		}
	}
	for _, p := range s.Identity {
		each(Identity, p)
	}
	for _, p := range s.Resource {
		each(Resource, p)
	}
	each(Boundary, s.Boundary)
	for _, p := range s.Session {
		each(Session, p)
	}
	return Evaluate(r, s), steps
}

func (e *evaluator) why(kind Kind, st step, g grant, failed *condition) string {
	switch st {
	case otherPrincipal:
		return "the principal is another"
	case otherAction:
		return "the action is another"
	case otherResource:
		return "the resource is another"
	case unresolvedResource:
		return "a variable in the resource has no value"
	case otherCondition:
		values := e.lookup(failed.key)
		if len(values) == 0 {
			return fmt.Sprintf("%s %s: the request has no such key", failed.name(), failed.key)
		}
		return fmt.Sprintf("%s %s: the request says %s", failed.name(), failed.key, strings.Join(values, ", "))
	case matched:
	}
	if kind == Resource && g == byAccount {
		return "names the account: identity-based policies must allow it too"
	}
	return ""
}

// name spells the operator.
func (o operator) name() string {
	var s string
	for name, x := range operators {
		if x.base == o.base && x.negated == o.negated && (s == "" || name > s) {
			s = name
		}
	}
	switch o.set {
	case forAny:
		s = "ForAnyValue:" + s
	case forAll:
		s = "ForAllValues:" + s
	case single:
	}
	if o.ifExists {
		s += "IfExists"
	}
	return s
}

// Position is a place in a document. Line and Column count from one, Column in
// characters.
type Position struct{ Line, Column int }

// Span is where the statement stands in its document, as IAM's simulator counts: from
// behind the bracket, comma or colon before it to behind its closing brace. It is zero
// for no statement.
func (s Source) Span() (start, end Position) {
	if s.Policy == nil || s.Statement >= len(s.Policy.spans) {
		return Position{}, Position{}
	}
	text, span := s.Policy.text, s.Policy.spans[s.Statement]
	before := strings.TrimRight(text[:span[0]], " \t\r\n")
	return positionOf(text, len(before)), positionOf(text, span[1])
}

func positionOf(text string, offset int) Position {
	before := text[:offset]
	line := strings.LastIndexByte(before, '\n') + 1
	return Position{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[line:]) + 1}
}

// String names the statement: policy kind, Sid or number.
func (s Source) String() string {
	if s.Policy == nil {
		return "no statement"
	}
	if sid := s.Policy.Statements[s.Statement].Sid; sid != "" {
		return fmt.Sprintf("statement %s of the %s", sid, s.Kind)
	}
	return fmt.Sprintf("statement %d of the %s", s.Statement+1, s.Kind)
}
