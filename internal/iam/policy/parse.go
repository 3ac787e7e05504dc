package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/arn"
)

// Parse reads and compiles a document. Errors are *SyntaxError.
func Parse(document string, kind Kind) (*Policy, error) {
	root, err := readDocument(document)
	if err != nil {
		return nil, err
	}
	if kind != Resource {
		for i, c := range document {
			// The characters that IAM's own parameter takes.
			if c > 0xff || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
				return nil, &SyntaxError{Message: "Syntax errors in policy. The document holds a character beyond Latin-1.", Offset: i}
			}
		}
	}
	if n, limit := weight(document), kind.max(); n > limit {
		return nil, &SyntaxError{Message: fmt.Sprintf("Cannot exceed quota for PolicySize: %d", limit), Offset: len(document), Size: true}
	}
	g := grammar{kind: kind}
	p, err := g.document(root)
	if err != nil {
		return nil, err
	}
	p.text = document
	p.program = make([]statement, len(p.Statements))
	for i := range p.Statements {
		var wrong *SyntaxError
		if p.program[i], wrong = compile(p, &p.Statements[i]); wrong != nil {
			wrong.Path = below(at("Statement", i), wrong.Path)
			wrong.Offset = g.offsets[i]
			return nil, wrong
		}
	}
	return p, nil
}

// grammar turns nodes into statements for one kind of policy.
type grammar struct {
	kind    Kind
	offsets []int // of the statements
}

var sidPattern = regexp.MustCompile(`^[0-9A-Za-z]*$`)

func (g *grammar) document(root node) (*Policy, error) {
	p := &Policy{Kind: g.kind, Version: Version2008}
	var statements *node
	for i := range root.members {
		m := &root.members[i]
		switch m.key {
		case "Version":
			if m.value.kind != isString || m.value.text != Version2012 && m.value.text != Version2008 {
				return nil, m.value.fail(m.key, "Syntax errors in policy. The version is neither 2012-10-17 nor 2008-10-17.")
			}
			p.Version = m.value.text
		case "Id":
			if m.value.kind != isString {
				return nil, m.value.fail(m.key, "Syntax errors in policy. Id is not a string.")
			}
			p.ID = m.value.text
		case "Statement":
			statements = &m.value
		default:
			return nil, m.value.fail(m.key, "Syntax errors in policy. A policy has no such element.")
		}
	}
	if statements == nil {
		return nil, root.fail("Statement", "Syntax errors in policy. The element Statement is missing.")
	}
	list := statements.list
	switch statements.kind {
	case isObject:
		list = []node{*statements}
	case isList:
		if len(list) == 0 {
			return nil, statements.fail("Statement", "Syntax errors in policy. There is no statement.")
		}
	default:
		return nil, statements.fail("Statement", "Syntax errors in policy. Statement is neither an object nor a list.")
	}
	sids := map[string]bool{}
	for i, n := range list {
		path := at("Statement", i)
		if n.kind != isObject {
			return nil, n.fail(path, "Syntax errors in policy. A statement is not an object.")
		}
		s, err := g.statement(n, path)
		if err != nil {
			return nil, err
		}
		if s.Sid != "" && sids[s.Sid] {
			return nil, n.fail(path+".Sid", "Statement IDs (SID) in a single policy must be unique.")
		}
		sids[s.Sid] = true
		p.Statements = append(p.Statements, s)
		g.offsets = append(g.offsets, n.offset)
		p.spans = append(p.spans, [2]int{n.offset, n.end})
	}
	return p, nil
}

func (g *grammar) statement(n node, path string) (Statement, error) {
	var s Statement
	has := map[string]bool{}
	for i := range n.members {
		m := &n.members[i]
		here := below(path, m.key)
		var err error
		switch m.key {
		case "Sid":
			if m.value.kind != isString {
				return s, m.value.fail(here, "Syntax errors in policy. Sid is not a string.")
			}
			if s.Sid = m.value.text; g.kind != Resource && !sidPattern.MatchString(s.Sid) {
				return s, m.value.fail(here, "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
			}
		case "Effect":
			if s.Effect = Effect(m.value.text); m.value.kind != isString || s.Effect != Allow && s.Effect != Deny {
				return s, m.value.fail(here, "Syntax errors in policy. Effect is neither Allow nor Deny.")
			}
		case "Principal":
			s.Principal, err = g.principals(m.value, here)
		case "NotPrincipal":
			s.NotPrincipal, err = g.principals(m.value, here)
		case "Action":
			s.Action, err = texts(m.value, here, "Policy statement must contain actions.", checkAction)
		case "NotAction":
			s.NotAction, err = texts(m.value, here, "Policy statement must contain actions.", checkAction)
		case "Resource":
			s.Resource, err = texts(m.value, here, "Policy statement must contain resources.", g.checkResource)
		case "NotResource":
			s.NotResource, err = texts(m.value, here, "Policy statement must contain resources.", g.checkResource)
		case "Condition":
			s.Condition, err = conditions(m.value, here)
		default:
			return s, m.value.fail(here, "Syntax errors in policy. A statement has no such element.")
		}
		if err != nil {
			return s, err
		}
		has[m.key] = true
	}
	return s, g.complete(n, path, has)
}

// complete checks which elements stand together.
func (g *grammar) complete(n node, path string, has map[string]bool) error {
	for _, pair := range [][2]string{{"Principal", "NotPrincipal"}, {"Action", "NotAction"}, {"Resource", "NotResource"}} {
		if has[pair[0]] && has[pair[1]] {
			return n.fail(path, "Syntax errors in policy. A statement has "+pair[0]+" or "+pair[1]+", not both.")
		}
	}
	principal := has["Principal"] || has["NotPrincipal"]
	resource := has["Resource"] || has["NotResource"]
	switch {
	case !has["Effect"]:
		return n.fail(below(path, "Effect"), "Missing required field Effect")
	case !has["Action"] && !has["NotAction"]:
		return n.fail(below(path, "Action"), "Policy statement must contain actions.")
	}
	switch g.kind {
	case Identity, Boundary, Session:
		if principal {
			return n.fail(path, "Policy document should not specify a principal.")
		}
		if !resource {
			return n.fail(below(path, "Resource"), "Policy statement must contain resources.")
		}
	case Trust:
		if has["Resource"] {
			return n.fail(below(path, "Resource"), "Has prohibited field Resource")
		}
		if has["NotResource"] {
			return n.fail(below(path, "NotResource"), "Has prohibited field NotResource")
		}
		if !principal {
			return n.fail(below(path, "Principal"), "Missing required field Principal")
		}
	case Resource:
		if !principal {
			return n.fail(below(path, "Principal"), "Missing required field Principal")
		}
		if !resource {
			return n.fail(below(path, "Resource"), "Missing required field Resource")
		}
	}
	return nil
}

// texts reads a string or a list of strings.
func texts(n node, path, empty string, check func(string) string) ([]string, error) {
	list := n.list
	switch n.kind {
	case isString:
		list = []node{n}
	case isList:
	default:
		return nil, n.fail(path, "Syntax errors in policy. This is neither a string nor a list of strings.")
	}
	if len(list) == 0 {
		return nil, n.fail(path, empty)
	}
	out := make([]string, len(list))
	for i, v := range list {
		here := path
		if n.kind == isList {
			here = at(path, i)
		}
		if v.kind != isString {
			return nil, v.fail(here, "Syntax errors in policy. This is not a string.")
		}
		if check != nil {
			if msg := check(v.text); msg != "" {
				return nil, v.fail(here, msg)
			}
		}
		out[i] = v.text
	}
	return out, nil
}

var actionPattern = regexp.MustCompile(`^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$`)

func checkAction(a string) string {
	if a == "*" || a == "*:*" {
		return ""
	}
	vendor, name, ok := strings.Cut(a, ":")
	switch {
	case !ok:
		return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	case strings.ContainsAny(vendor, "*?") || vendor == "":
		return "Vendor " + vendor + " is not valid"
	case name == "" || !actionPattern.MatchString(a):
		return "Syntax errors in policy. " + a + " is no action."
	}
	return ""
}

func (g *grammar) checkResource(r string) string {
	if isAll(r) {
		return ""
	}
	if len(r) > 2048 {
		return "Syntax errors in policy. The resource is longer than 2048 characters."
	}
	part, _, _ := strings.Cut(r, ":")
	if part != "arn" {
		return "Resource " + r + " must be in ARN format or \"*\"."
	}
	parts := splitARN(r)
	if len(parts) < 6 && !strings.HasSuffix(r, "*") {
		return "The policy failed legacy parsing"
	}
	if len(parts) > 1 {
		switch p := parts[1]; {
		case p == arn.AWS || p == arn.AWSChina || p == arn.AWSGov || strings.ContainsAny(p, "*?"):
		default:
			return fmt.Sprintf("Partition %q is not valid for resource %q.", p, r)
		}
	}
	return ""
}

var (
	uniquePattern    = regexp.MustCompile(`^(AIDA|AROA|AKIA|ASIA|AGPA|ANPA)[A-Z0-9]{12,124}$`)
	servicePattern   = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	principalPattern = regexp.MustCompile(`^(root|user/.+|role/.+|assumed-role/[^/]+/[^/]+|federated-user/.+)$`)
)

func (g *grammar) principals(n node, path string) (*Principals, error) {
	if n.kind == isString {
		if n.text != "*" {
			return nil, n.fail(path, "Invalid principal in policy: "+n.text)
		}
		return &Principals{Any: true}, nil
	}
	if n.kind != isObject || len(n.members) == 0 {
		return nil, n.fail(path, "Syntax errors in policy. This is neither * nor an object.")
	}
	p := &Principals{}
	for _, m := range n.members {
		here := below(path, m.key)
		var to *[]string
		check := func(string) bool { return true }
		switch m.key {
		case "AWS":
			to, check = &p.AWS, isAWSPrincipal
		case "Service":
			to, check = &p.Service, servicePattern.MatchString
		case "Federated":
			to, check = &p.Federated, func(s string) bool { return s != "" && s != "*" }
		case "CanonicalUser":
			to, check = &p.Canonical, func(s string) bool { return s != "" && s != "*" && g.kind == Resource }
		default:
			return nil, m.value.fail(here, "Invalid principal in policy: "+quotedUpper(m.key))
		}
		list, err := texts(m.value, here, "Invalid principal in policy: "+quotedUpper(m.key), func(s string) string {
			if !check(s) {
				return "Invalid principal in policy: " + quotedUpper(m.key) + ":\"" + s + "\""
			}
			return ""
		})
		if err != nil {
			return nil, err
		}
		*to = list
	}
	return p, nil
}

func quotedUpper(s string) string { return "\"" + strings.ToUpper(s) + "\"" }

func isAWSPrincipal(s string) bool {
	if s == "*" || arn.IsAccount(s) || uniquePattern.MatchString(s) {
		return true
	}
	a, err := arn.Parse(s)
	return err == nil && (a.Service == "iam" || a.Service == "sts") && a.Region == "" && arn.IsAccount(a.Account) &&
		principalPattern.MatchString(a.Resource) && !strings.ContainsAny(s, "*?")
}

func conditions(n node, path string) ([]Condition, error) {
	if n.kind != isObject {
		return nil, n.fail(path, "Syntax errors in policy. Condition is not an object.")
	}
	var out []Condition
	for _, op := range n.members {
		here := below(path, op.key)
		if _, ok := parseOperator(op.key); !ok {
			return nil, op.value.fail(here, "Invalid Condition type : "+op.key+".")
		}
		if op.value.kind != isObject {
			return nil, op.value.fail(here, "Syntax errors in policy. This is not an object of keys.")
		}
		for _, k := range op.value.members {
			at := below(here, k.key)
			if vendor, name, ok := strings.Cut(k.key, ":"); !ok || vendor == "" || name == "" {
				return nil, k.value.fail(at, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
			values, err := scalars(k.value, at)
			if err != nil {
				return nil, err
			}
			out = append(out, Condition{op.key, k.key, values})
		}
	}
	return out, nil
}

// scalars reads one value or a list of them; numbers and booleans stand for
// their text, and no value at all matches nothing.
func scalars(n node, path string) ([]string, error) {
	list := n.list
	if n.kind != isList {
		list = []node{n}
	}
	out := make([]string, len(list))
	for i, v := range list {
		switch v.kind {
		case isString, isNumber, isBool:
			out[i] = v.text
		case isNull, isList, isObject:
			return nil, v.fail(path, "Syntax errors in policy. A value of a condition is a string, a number or a boolean.")
		}
	}
	return out, nil
}
