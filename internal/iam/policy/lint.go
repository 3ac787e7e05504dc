package policy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./actiongen iam-definition.json

// actionTable is made by actiongen.
//
//go:embed actions.txt
var actionTable string

// catalogue is what the linter knows of a service: by action, in lower case, its
// name and resource types; by type its ARN with variables as wildcards.
type catalogue struct {
	actions map[string]knownAction
	types   map[string]string
}

type knownAction struct {
	name  string
	types []string // none: the resource must be *
}

var catalogues = sync.OnceValue(func() map[string]*catalogue {
	out := map[string]*catalogue{}
	var c *catalogue
	for line := range strings.Lines(actionTable) {
		f := strings.Fields(line)
		switch f[0] {
		case "service":
			c = &catalogue{map[string]knownAction{}, map[string]string{}}
			out[f[1]] = c
		case "type":
			c.types[f[1]] = wildARN(f[2])
		case "action":
			c.actions[strings.ToLower(f[1])] = knownAction{f[1], f[2:]}
		}
	}
	return out
})

// wildARN makes a wildcard of each ${Variable}.
func wildARN(s string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteByte('*')
		_, s, _ = strings.Cut(rest, "}")
	}
}

// Warning is something in a document that is allowed and probably not meant.
type Warning struct {
	Statement int
	Text      string
}

// setKeys have several values, so that a condition without a set operator on
// them hardly ever holds.
var setKeys = []string{"aws:tagkeys", "aws:calledvia", "sts:transitivetagkeys", "aws-marketplace:productid", "kms:encryptioncontextkeys"}

// Lint names actions that do not exist, pairs of action and resource that can
// never meet, and what else is allowed but does nothing. Documents are never
// refused for it: they may know more than this version does.
func Lint(p *Policy) []Warning {
	var out []Warning
	for i := range p.Statements {
		s := &p.Statements[i]
		warn := func(format string, args ...any) { out = append(out, Warning{i, fmt.Sprintf(format, args...)}) }
		for _, a := range slices.Concat(s.Action, s.NotAction) {
			lintAction(a, s, p.Kind, warn)
		}
		for _, r := range slices.Concat(s.Resource, s.NotResource) {
			parts := splitARN(r)
			if p.Version == Version2008 && strings.Contains(r, "${") {
				warn("%s: variables are plain text in version %s", r, Version2008)
			} else if len(parts) == 6 && strings.Contains(strings.Join(parts[:5], ":"), "${") {
				warn("%s: a variable before the fifth colon is plain text", r)
			}
		}
		if s.NotPrincipal != nil && s.Effect == Allow {
			warn("NotPrincipal with Allow grants to everybody else, anonymous callers among them")
		}
		for _, c := range s.Condition {
			o, _ := parseOperator(c.Operator)
			switch {
			case len(c.Values) == 0:
				warn("%s %s: no value is listed, so none matches", c.Operator, c.Key)
			case o.set == single && o.base != null && slices.Contains(setKeys, strings.ToLower(c.Key)):
				warn("%s %s: the key has several values; use ForAnyValue: or ForAllValues:", c.Operator, c.Key)
			case o.set == forAll && s.Effect == Allow && !o.negated && !p.mentions(i, c.Key):
				warn("%s %s: holds when the request has no such key; add Null %s: false if it must", c.Operator, c.Key, c.Key)
			case p.Version == Version2008 && slices.ContainsFunc(c.Values, func(v string) bool { return strings.Contains(v, "${") }):
				warn("%s %s: variables are plain text in version %s", c.Operator, c.Key, Version2008)
			}
		}
	}
	return out
}

// mentions reports whether the statement has a Null condition on the key.
func (p *Policy) mentions(statement int, key string) bool {
	return slices.ContainsFunc(p.Statements[statement].Condition, func(c Condition) bool {
		return c.Operator == "Null" && strings.EqualFold(c.Key, key)
	})
}

func lintAction(a string, s *Statement, kind Kind, warn func(string, ...any)) {
	vendor, name, ok := strings.Cut(strings.ToLower(a), ":")
	c := catalogues()[vendor]
	if !ok || c == nil || name == "*" {
		return // everything, or a service that we do not know
	}
	g := newGlob(name, wildcards)
	var hits []knownAction
	for l, k := range c.actions {
		if m, _ := g.match(l, nil); m {
			hits = append(hits, k)
		}
	}
	if len(hits) == 0 {
		warn("%s: there is no such action", a)
		return
	}
	if s.Resource == nil || kind == Trust || slices.ContainsFunc(s.Resource, isAll) || slices.Contains(s.NotAction, a) {
		return
	}
	for _, k := range hits {
		for _, t := range k.types {
			template, known := c.types[t]
			if !known || slices.ContainsFunc(s.Resource, func(r string) bool { return meet(template, r) }) {
				return
			}
		}
	}
	if !slices.ContainsFunc(hits, func(k knownAction) bool { return len(k.types) > 0 }) {
		warn("%s: works on no resource, so Resource must be *", a)
		return
	}
	types := slices.Clone(hits[0].types)
	if len(hits) == 1 {
		warn("%s: works on %s, which no Resource here names", a, strings.Join(types, ", "))
		return
	}
	warn("%s: works on nothing that a Resource here names", a)
}

// meet reports whether an ARN could match both patterns.
func meet(template, resource string) bool {
	t, r := splitARN(wildARN(template)), splitARN(wildARN(resource))
	for len(r) < 6 {
		r = append(r, "*")
	}
	if len(t) != 6 {
		return true
	}
	for i := range t {
		if !overlap(t[i], r[i]) {
			return false
		}
	}
	return true
}

// overlap reports whether a text could match both patterns: a walk over the
// table of their prefixes.
func overlap(a, b string) bool {
	row := make([]bool, len(b)+1)
	next := make([]bool, len(b)+1)
	row[0] = true
	for j := range b {
		row[j+1] = row[j] && b[j] == '*'
	}
	for i := range a {
		next[0] = row[0] && a[i] == '*'
		for j := range b {
			switch {
			case a[i] == '*' || b[j] == '*':
				next[j+1] = next[j] || row[j+1] || row[j]
			case a[i] == '?' || b[j] == '?' || a[i] == b[j]:
				next[j+1] = row[j]
			default:
				next[j+1] = false
			}
		}
		row, next = next, row
	}
	return row[len(b)]
}
