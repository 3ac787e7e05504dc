package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	acct    = "123456789012"
	other   = "999999999999"
	alice   = "arn:aws:iam::123456789012:user/alice"
	roleARN = "arn:aws:iam::123456789012:role/R"
	sesARN  = "arn:aws:sts::123456789012:assumed-role/R/s"
)

func mustParse(t testing.TB, kind Kind, doc string) *Policy {
	t.Helper()
	p, err := Parse(doc, kind)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	return p
}

// doc wraps statements into a document.
func doc(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestParseTakesWhatTheLanguageAllows(t *testing.T) {
	for name, c := range map[string]struct {
		kind Kind
		doc  string
	}{
		"one statement as an object": {Identity, `{"Version":"2012-10-17","Statement":{"Sid":"DenyInference","Effect":"Deny","Action":["bedrock:InvokeModel"],"Resource":"arn:aws:bedrock:*::foundation-model/x"}}`},
		"no version":                 {Identity, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
		"empty sids":                 {Trust, doc(`{"Sid":"","Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}`, `{"Sid":"","Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}`)},
		"a sid with spaces":          {Resource, doc(`{"Sid":"Allow access","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`)},
		"numbers and booleans":       {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"NumericLessThan":{"s3:max-keys":10},"Bool":{"aws:SecureTransport":true}}}`)},
		"any partition":              {Identity, doc(`{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"arn:*:kms:*:*:*"}`)},
		"a short ARN":                {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:*"}`)},
		"a value without end":        {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringLike":{"s3:prefix":["","home/${aws:username}/*"]}}}`)},
		"an empty list of values":    {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:username":[]}}}`)},
		"unique ID":                  {Trust, doc(`{"Effect":"Allow","Principal":{"AWS":["AIDAJQABLZS4A3QDU576Q","123456789012"]},"Action":"sts:AssumeRole"}`)},
	} {
		p, err := Parse(c.doc, c.kind)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := Parse(p.Canonical(), c.kind)
		if err != nil || again.Canonical() != p.Canonical() {
			t.Errorf("%s: canonical form %s: %v", name, p.Canonical(), err)
		}
	}
}

func TestParseNamesThePlace(t *testing.T) {
	const ok = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	for name, c := range map[string]struct {
		kind Kind
		doc  string
		want string
	}{
		"no JSON":               {Identity, `{"Version"`, "ends too early"},
		"empty":                 {Identity, ` `, "empty"},
		"a list":                {Identity, `[]`, "not a JSON object"},
		"something behind":      {Identity, doc(ok) + "x", "follows"},
		"encoded twice":         {Identity, `"{\"Version\":\"2012-10-17\"}"`, "encoded twice"},
		"percent-encoded":       {Identity, `%7B%22Version%22%3A%222012-10-17%22%7D`, "no JSON"},
		"duplicate":             {Identity, `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[` + ok + `]}`, "twice. (at Version"},
		"duplicate below":       {Identity, doc(`{"Effect":"Allow","Effect":"Deny","Action":"s3:*","Resource":"*"}`), "twice. (at Statement[0].Effect"},
		"unknown element":       {Identity, `{"Version":"2012-10-17","Statements":[]}`, "no such element. (at Statements"},
		"lower case element":    {Identity, doc(`{"effect":"Allow","Action":"s3:*","Resource":"*"}`), "no such element. (at Statement[0].effect"},
		"version":               {Identity, `{"Version":"2025-01-01","Statement":[` + ok + `]}`, "neither 2012-10-17"},
		"no statement":          {Identity, `{"Version":"2012-10-17"}`, "Statement is missing"},
		"empty statement":       {Identity, doc(), "There is no statement"},
		"effect":                {Identity, doc(`{"Effect":"allow","Action":"s3:*","Resource":"*"}`), "neither Allow nor Deny. (at Statement[0].Effect"},
		"no effect":             {Identity, doc(`{"Action":"s3:*","Resource":"*"}`), "Missing required field Effect"},
		"no action":             {Identity, doc(`{"Effect":"Allow","Resource":"*"}`), "must contain actions"},
		"no resource":           {Identity, doc(`{"Effect":"Allow","Action":"s3:*"}`), "must contain resources"},
		"both":                  {Identity, doc(`{"Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*"}`), "not both"},
		"principal":             {Identity, doc(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), "should not specify a principal"},
		"trust with resource":   {Trust, doc(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), "Has prohibited field Resource"},
		"trust without anybody": {Trust, doc(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), "Missing required field Principal"},
		"no vendor":             {Identity, doc(`{"Effect":"Allow","Action":["s3:*","GetObject"],"Resource":"*"}`), "prefaced by a vendor, e.g., iam, sdb, ec2, etc. (at Statement[0].Action[1]"},
		"wild vendor":           {Identity, doc(`{"Effect":"Allow","Action":"s*:Get","Resource":"*"}`), "Vendor s* is not valid"},
		"a broken action":       {Identity, doc(`{"Effect":"Allow","Action":"bedrock>DeleteAgent","Resource":"*"}`), "prefaced by a vendor"},
		"no ARN":                {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"b/k"}`), `Resource b/k must be in ARN format or "*".`},
		"short ARN":             {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:b"}`), "failed legacy parsing"},
		"partition":             {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:gcp:s3:::b"}`), `Partition "gcp" is not valid for resource "arn:gcp:s3:::b".`},
		"sid":                   {Identity, doc(`{"Sid":"a b","Effect":"Allow","Action":"s3:*","Resource":"*"}`), "must be alpha-numeric"},
		"sid twice":             {Identity, doc(`{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}`, `{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}`), "must be unique. (at Statement[1].Sid"},
		"operator":              {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEqual":{"aws:a":"b"}}}`), "Invalid Condition type : StringEqual."},
		"Null if exists":        {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"NullIfExists":{"aws:a":"true"}}}`), "Invalid Condition type : NullIfExists."},
		"key without vendor":    {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"a":"b"}}}`), "prefaced by a vendor"},
		"number":                {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"NumericEquals":{"aws:a":"ten"}}}`), `"ten" is not a number. (at Statement[0].Condition.NumericEquals.aws:a`},
		"date":                  {Identity, doc(ok, `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"DateLessThan":{"aws:a":"tomorrow"}}}`), "is not a date. (at Statement[1].Condition"},
		"address":               {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}}`), "not an address"},
		"bool":                  {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:a":"yes"}}}`), "neither true nor false"},
		"value null":            {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:a":null}}}`), "a string, a number or a boolean"},
		"wild principal":        {Trust, doc(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/*"},"Action":"sts:AssumeRole"}`), `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/*"`},
		"principal kind":        {Trust, doc(`{"Effect":"Allow","Principal":{"Aws":"*"},"Action":"sts:AssumeRole"}`), `Invalid principal in policy: "AWS"`},
		"too long":              {Session, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::` + strings.Repeat("a", 2040) + `"}`), "Cannot exceed quota for PolicySize: 2048"},
		"not Latin-1":           {Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::안"}`), "Latin-1"},
		"deep":                  {Identity, strings.Repeat(`{"a":`, 12) + "1" + strings.Repeat("}", 12), "nested too deeply"},
	} {
		_, err := Parse(c.doc, c.kind)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	big := doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}` + strings.Repeat(" ", 20000))
	if _, err := Parse(big, Session); err != nil {
		t.Error("white space counts: ", err)
	}
}

func user(action, resource string, keys map[string][]string) *Request {
	return &Request{Caller: Caller{Kind: User, Account: acct, ARN: alice}, Action: action, Resource: resource, Keys: keys}
}

func keys(kv ...string) map[string][]string {
	m := map[string][]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = append(m[kv[i]], kv[i+1])
	}
	return m
}

func TestStatements(t *testing.T) {
	const object = "arn:aws:s3:::b/k"
	for name, c := range map[string]struct {
		statement string
		action    string
		resource  string
		keys      map[string][]string
		want      bool
	}{
		"another case":                  {`"Action":"KMS:dECRYPT","Resource":"*"`, "kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/k", nil, true},
		"wild action":                   {`"Action":"bedrock:Get*","Resource":"*"`, "bedrock:GetAgent", "*", nil, true},
		"one character":                 {`"Action":"bedrock:Get?gent","Resource":"*"`, "bedrock:GetAgent", "*", nil, true},
		"other action":                  {`"Action":"bedrock:Get*","Resource":"*"`, "bedrock:InvokeModel", "*", nil, false},
		"other vendor":                  {`"Action":"s3:Get*","Resource":"*"`, "bedrock:GetAgent", "*", nil, false},
		"not action":                    {`"NotAction":"iam:*","Resource":"*"`, "bedrock:GetAgent", "*", nil, true},
		"not action, hit":               {`"NotAction":"iam:*","Resource":"*"`, "iam:GetUser", "*", nil, false},
		"no resource type, named":       {`"Action":"bedrock:*","Resource":"arn:aws:bedrock:*:*:*"`, "bedrock:ListAgents", "*", nil, false},
		"no resource at all":            {`"Action":"bedrock:*","Resource":"*"`, "bedrock:ListAgents", "", nil, true},
		"not over colons":               {`"Action":"s3:*","Resource":"arn:aws:*:b/k*"`, "s3:GetObject", object, nil, false},
		"over slashes":                  {`"Action":"s3:*","Resource":"arn:aws:s3:::b*"`, "s3:GetObject", "arn:aws:s3:::b/a/b:c", nil, true},
		"missing parts":                 {`"Action":"s3:*","Resource":"arn:aws:s3:*"`, "s3:GetObject", object, nil, true},
		"resource is exact in its case": {`"Action":"s3:*","Resource":"arn:aws:s3:::B/k"`, "s3:GetObject", object, nil, false},
		"not resource":                  {`"Action":"s3:*","NotResource":"arn:aws:s3:::c/*"`, "s3:GetObject", object, nil, true},
		"not resource, hit":             {`"Action":"s3:*","NotResource":"arn:aws:s3:::b/*"`, "s3:GetObject", object, nil, false},
		"variable":                      {`"Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"`, "s3:GetObject", object, keys("AWS:UserName", "k"), true},
		"variable without value":        {`"Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"`, "s3:GetObject", object, nil, false},
		"variable with default":         {`"Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username, 'k'}"`, "s3:GetObject", object, nil, true},
		"not resource without value":    {`"Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:username}"`, "s3:GetObject", object, nil, false},
		"variable holds a star":         {`"Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"`, "s3:GetObject", object, keys("aws:username", "*"), false},
		"escaped star":                  {`"Action":"s3:*","Resource":"arn:aws:s3:::b/${*}"`, "s3:GetObject", object, nil, false},
		"escaped star, literal":         {`"Action":"s3:*","Resource":"arn:aws:s3:::b/${*}${?}${$}"`, "s3:GetObject", "arn:aws:s3:::b/*?$", nil, true},
		"variable before fifth colon":   {`"Action":"s3:*","Resource":"arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:q"`, "s3:GetObject", "arn:aws:sqs:us-east-1:123456789012:q", keys("aws:PrincipalAccount", acct), false},
		"own user only": {`"Action":["iam:GetUser"],"Resource":["arn:aws:iam::*:user/${aws:username}"]`, "iam:GetUser",
			alice, keys("aws:username", "alice"), true},
		"own user only, other": {`"Action":["iam:GetUser"],"Resource":["arn:aws:iam::*:user/${aws:username}"]`, "iam:GetUser",
			"arn:aws:iam::123456789012:user/bob", keys("aws:username", "alice"), false},
		"conditions are all":  {`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:a":["x","y"],"aws:b":"z"}}`, "s3:GetObject", object, keys("aws:a", "y", "aws:b", "z"), true},
		"one condition fails": {`"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:a":["x","y"],"aws:b":"z"}}`, "s3:GetObject", object, keys("aws:a", "y", "aws:b", "q"), false},
	} {
		p := mustParse(t, Identity, doc(`{"Effect":"Allow",`+c.statement+`}`))
		d := Evaluate(user(c.action, c.resource, c.keys), &Sets{Identity: []*Policy{p}})
		if d.Allowed != c.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// Variables are text in the older version.
	p := mustParse(t, Identity, `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"}}`)
	for resource, want := range map[string]bool{object: false, "arn:aws:s3:::b/${aws:username}": true} {
		if d := Evaluate(user("s3:GetObject", resource, keys("aws:username", "k")), &Sets{Identity: []*Policy{p}}); d.Allowed != want {
			t.Errorf("2008: %s %+v", resource, d)
		}
	}
}

func TestConditions(t *testing.T) {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		op, key, values string
		have            []string
		want            bool
	}{
		{"StringEquals", "a:k", `["x","y"]`, []string{"y"}, true},
		{"StringEquals", "A:K", `"x"`, []string{"x"}, true},
		{"StringEquals", "a:k", `"x"`, []string{"X"}, false},
		{"StringEquals", "a:k", `"x*"`, []string{"xy"}, false},
		{"StringEquals", "a:k", `"x"`, nil, false},
		{"StringEquals", "a:k", `["x","y"]`, []string{"x", "y"}, false},
		{"StringEquals", "a:k", `[]`, []string{"x"}, false},
		{"StringNotEquals", "a:k", `[]`, []string{"x"}, true},
		{"StringNotEquals", "a:k", `["x","y"]`, []string{"y"}, false},
		{"StringNotEquals", "a:k", `["x","y"]`, []string{"z"}, true},
		{"StringNotEquals", "a:k", `"x"`, nil, true},
		{"StringNotEquals", "a:k", `"${a:none}"`, []string{"x"}, false},
		{"StringNotEquals", "a:k", `"${a:none, 'q'}"`, []string{"x"}, true},
		{"ForAnyValue:StringEquals", "a:k", `"${a:k}"`, []string{"x", "y"}, false},
		{"ForAnyValue:StringEquals", "a:k", `"${a:k}"`, []string{"x"}, true},
		{"StringEqualsIgnoreCase", "a:k", `"X"`, []string{"x"}, true},
		{"StringNotEqualsIgnoreCase", "a:k", `"X"`, []string{"x"}, false},
		{"StringLike", "a:k", `"x?z*"`, []string{"xyz"}, true},
		{"StringLike", "a:k", `"x${*}"`, []string{"xy"}, false},
		{"StringNotLike", "a:k", `"x*"`, []string{"y"}, true},
		{"StringEqualsIfExists", "a:k", `"x"`, nil, true},
		{"StringEqualsIfExists", "a:k", `"x"`, []string{"y"}, false},
		{"ForAllValues:StringEquals", "a:k", `["x","y"]`, []string{"x", "y"}, true},
		{"ForAllValues:StringEquals", "a:k", `["x","y"]`, []string{"x", "z"}, false},
		{"ForAllValues:StringEquals", "a:k", `["x"]`, nil, true},
		{"ForAnyValue:StringEquals", "a:k", `["x"]`, []string{"z", "x"}, true},
		{"ForAnyValue:StringEquals", "a:k", `["x"]`, []string{"z"}, false},
		{"ForAnyValue:StringEquals", "a:k", `["x"]`, nil, false},
		{"ForAnyValue:StringEqualsIfExists", "a:k", `["x"]`, nil, true},
		{"ForAnyValue:StringNotEquals", "a:k", `["x"]`, []string{"x", "y"}, true},
		{"ForAnyValue:StringNotEquals", "a:k", `["x"]`, nil, false},
		{"ForAllValues:StringNotEquals", "a:k", `["x"]`, []string{"x", "y"}, false},
		{"NumericEquals", "a:k", `10`, []string{"10.0"}, true},
		{"NumericNotEquals", "a:k", `10`, []string{"11"}, true},
		{"NumericNotEquals", "a:k", `10`, []string{"ten"}, false},
		{"NumericLessThan", "a:k", `"10"`, []string{"9.5"}, true},
		{"NumericLessThan", "a:k", `"10"`, []string{"10"}, false},
		{"NumericLessThanEquals", "a:k", `"10"`, []string{"10"}, true},
		{"NumericGreaterThan", "a:k", `-1`, []string{"0"}, true},
		{"NumericGreaterThanEquals", "a:k", `5`, []string{"4"}, false},
		{"DateEquals", "a:k", `"2026-11-25T12:00:00Z"`, []string{"1795608000"}, true},
		{"DateNotEquals", "a:k", `"2026-11-25"`, []string{"2026-11-25T00:00:00Z"}, false},
		{"DateGreaterThan", "aws:CurrentTime", `"2026-11-25T13:59:59+02:00"`, nil, true},
		{"DateLessThan", "aws:CurrentTime", `"2026-11-25T12:00:00Z"`, nil, false},
		{"DateLessThanEquals", "aws:EpochTime", `"2026-11-25T12:00:00Z"`, nil, true},
		{"DateGreaterThanEquals", "a:k", `"2026"`, []string{"2026-01-01"}, true},
		{"Bool", "a:k", `true`, []string{"True"}, true},
		{"Bool", "a:k", `"false"`, nil, false},
		{"BoolIfExists", "a:k", `"false"`, nil, true},
		{"BinaryEquals", "a:k", `"QUJD"`, []string{"QUJD"}, true},
		{"BinaryEquals", "a:k", `"QUJD"`, []string{"QUJE"}, false},
		{"IpAddress", "a:k", `["10.0.0.0/8","2001:db8::/32"]`, []string{"10.1.2.3"}, true},
		{"IpAddress", "a:k", `["10.0.0.0/8","2001:db8::/32"]`, []string{"2001:DB8::1"}, true},
		{"IpAddress", "a:k", `"10.0.0.0/8"`, []string{"::ffff:10.1.2.3"}, true},
		{"IpAddress", "a:k", `"10.0.0.1"`, []string{"10.0.0.2"}, false},
		{"NotIpAddress", "a:k", `"10.0.0.1"`, []string{"10.0.0.2"}, true},
		{"NotIpAddress", "a:k", `"10.0.0.1"`, []string{"localhost"}, false},
		{"ArnEquals", "aws:SourceArn", `"arn:aws:bedrock:us-east-1:123456789012:agent/*"`, []string{"arn:aws:bedrock:us-east-1:123456789012:agent/A/B"}, true},
		{"ArnLike", "AWS:SourceArn", `"arn:aws:bedrock:*:123456789012:*"`, []string{"arn:aws:bedrock:us-east-1:123456789012:agent/A"}, true},
		{"ArnLike", "aws:SourceArn", `"arn:aws:*:agent/A"`, []string{"arn:aws:bedrock:us-east-1:123456789012:agent/A"}, false},
		{"ArnNotEquals", "aws:SourceArn", `"arn:aws:s3:::b"`, []string{"arn:aws:s3:::c"}, true},
		{"ArnNotLike", "aws:SourceArn", `"arn:aws:s3:::*"`, []string{"arn:aws:s3:::c"}, false},
		{"Null", "a:k", `true`, nil, true},
		{"Null", "a:k", `"false"`, []string{"x"}, true},
		{"Null", "a:k", `"true"`, []string{"x"}, false},
	} {
		p := mustParse(t, Identity, doc(fmt.Sprintf(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{%q:%s}}}`, c.op, c.key, c.values)))
		r := user("s3:GetObject", "*", map[string][]string{c.key: c.have})
		r.Time = at
		if c.have == nil {
			r.Keys = nil
		}
		if d := Evaluate(r, &Sets{Identity: []*Policy{p}}); d.Allowed != c.want {
			t.Errorf("%s %s %s with %v: %+v", c.op, c.key, c.values, c.have, d)
		}
	}
}

// TestWhoMayWithWhichSets is the order of evaluation: every row is a caller, what
// the sets say of it, and the answer.
func TestWhoMayWithWhichSets(t *testing.T) {
	yes := mustParse(t, Identity, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`))
	no := mustParse(t, Identity, doc(`{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`))
	never := mustParse(t, Identity, doc(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`))
	grants := func(principal string) []*Policy {
		return []*Policy{mustParse(t, Resource, doc(`{"Effect":"Allow","Principal":`+principal+`,"Action":"s3:*","Resource":"*"}`))}
	}
	denies := func(element, principal string) []*Policy {
		return []*Policy{mustParse(t, Resource, doc(`{"Effect":"Deny",`+element+`:`+principal+`,"Action":"s3:*","Resource":"*"}`))}
	}
	ids := func(ps ...*Policy) []*Policy { return ps }
	u := Caller{Kind: User, Account: acct, ARN: alice, UniqueID: "AIDAJQABLZS4A3QDU576Q"}
	s := Caller{Kind: RoleSession, Account: acct, ARN: sesARN, RoleARN: roleARN}
	root := Caller{Kind: Root, Account: acct, ARN: "arn:aws:iam::123456789012:root"}
	service := Caller{Kind: Service, Service: "bedrock.amazonaws.com"}
	const (
		byUser    = `{"AWS":"arn:aws:iam::123456789012:user/alice"}`
		byAccount = `{"AWS":"arn:aws:iam::123456789012:root"}`
		byRole    = `{"AWS":"arn:aws:iam::123456789012:role/R"}`
		bySession = `{"AWS":"arn:aws:sts::123456789012:assumed-role/R/s"}`
	)
	for _, c := range []struct {
		name   string
		who    Caller
		owner  string
		sets   Sets
		want   bool
		reason Reason
	}{
		{"nothing", u, acct, Sets{}, false, NoIdentityAllows},
		{"identity", u, acct, Sets{Identity: ids(no, yes)}, true, AllowedByIdentity},
		{"deny wins", u, acct, Sets{Identity: ids(yes, never), Resource: grants(byUser)}, false, ExplicitDeny},
		{"boundary", u, acct, Sets{Identity: ids(yes), Boundary: no}, false, NoBoundaryAllows},
		{"boundary alone grants nothing", u, acct, Sets{Boundary: yes}, false, NoIdentityAllows},
		{"boundary and identity", u, acct, Sets{Identity: ids(yes), Boundary: yes}, true, AllowedByIdentity},
		{"boundary denies", u, acct, Sets{Resource: grants(byUser), Boundary: never}, false, ExplicitDeny},
		{"session policy", s, acct, Sets{Identity: ids(yes), Session: ids(no)}, false, NoSessionAllows},
		{"session policies together", s, acct, Sets{Identity: ids(yes), Session: ids(no, yes)}, true, AllowedByIdentity},
		{"session policy grants nothing", s, acct, Sets{Session: ids(yes)}, false, NoIdentityAllows},
		{"resource names the user", u, acct, Sets{Resource: grants(byUser)}, true, AllowedByResource},
		{"by unique ID", u, acct, Sets{Resource: grants(`{"AWS":"AIDAJQABLZS4A3QDU576Q"}`)}, true, AllowedByResource},
		{"resource names the user, boundary does not narrow", u, acct, Sets{Resource: grants(byUser), Boundary: no}, true, AllowedByResource},
		{"resource names the account only", u, acct, Sets{Resource: grants(byAccount)}, false, NoIdentityAllows},
		{"the account and identity", u, acct, Sets{Resource: grants(byAccount), Identity: ids(yes)}, true, AllowedByIdentity},
		{"anybody", u, acct, Sets{Resource: grants(`"*"`)}, true, AllowedByResource},
		{"anybody as AWS", u, acct, Sets{Resource: grants(`{"AWS":"*"}`)}, true, AllowedByResource},
		{"another user", u, acct, Sets{Resource: grants(`{"AWS":"arn:aws:iam::123456789012:user/bob"}`)}, false, NoIdentityAllows},
		{"resource names the role", s, acct, Sets{Resource: grants(byRole)}, true, AllowedByResource},
		{"resource names the role, boundary narrows", s, acct, Sets{Resource: grants(byRole), Boundary: no}, false, NoIdentityAllows},
		{"resource names the role, session policy narrows", s, acct, Sets{Resource: grants(byRole), Session: ids(no)}, false, NoIdentityAllows},
		{"resource names the session, boundary does not narrow", s, acct, Sets{Resource: grants(bySession), Boundary: no}, true, AllowedByResource},
		{"resource names the session, session policy does not narrow", s, acct, Sets{Resource: grants(bySession), Session: ids(no)}, true, AllowedByResource},
		{"session policy denies all the same", s, acct, Sets{Resource: grants(bySession), Session: ids(never)}, false, ExplicitDeny},
		{"anybody, session policy narrows", s, acct, Sets{Resource: grants(`"*"`), Session: ids(no)}, false, NoIdentityAllows},
		{"other account, identity only", u, other, Sets{Identity: ids(yes)}, false, NoResourceAllows},
		{"other account, resource only", u, other, Sets{Resource: grants(byUser)}, false, NoIdentityAllows},
		{"other account, both", u, other, Sets{Identity: ids(yes), Resource: grants(byAccount)}, true, AllowedByIdentity},
		{"other account, both, boundary", u, other, Sets{Identity: ids(yes), Resource: grants(byUser), Boundary: no}, false, NoBoundaryAllows},
		{"root", root, acct, Sets{Boundary: no}, true, AllowedAsRoot},
		{"root of another account", root, other, Sets{}, false, NoResourceAllows},
		{"root denied by the resource", root, acct, Sets{Resource: denies(`"Principal"`, `"*"`)}, false, ExplicitDeny},
		{"service", service, acct, Sets{Resource: grants(`{"Service":"bedrock.amazonaws.com"}`)}, true, AllowedByResource},
		{"another service", service, acct, Sets{Resource: grants(`{"Service":"lambda.amazonaws.com"}`)}, false, NothingAllowsHere},
		{"anonymous", Caller{}, acct, Sets{Resource: grants(`"*"`)}, true, AllowedByResource},
		{"anonymous, account", Caller{}, acct, Sets{Resource: grants(byAccount)}, false, NothingAllowsHere},
		{"trust does not name the account", u, acct, Sets{Identity: ids(yes), Resource: grants(byRole), ResourceRules: true}, false, NoResourceAllows},
		{"trust names the account", u, acct, Sets{Identity: ids(yes), Resource: grants(byAccount), ResourceRules: true}, true, AllowedByIdentity},
		{"trust names the account, identity does not allow", u, acct, Sets{Identity: ids(no), Resource: grants(byAccount), ResourceRules: true}, false, NoIdentityAllows},
		{"deny everybody but: user alone is not enough", u, acct, Sets{Identity: ids(yes), Resource: denies(`"NotPrincipal"`, byUser)}, false, ExplicitDeny},
		{"deny everybody but: user and account", u, acct, Sets{Identity: ids(yes), Resource: denies(`"NotPrincipal"`, `{"AWS":["arn:aws:iam::123456789012:user/alice","123456789012"]}`)}, true, AllowedByIdentity},
		{"deny everybody but: account alone", u, acct, Sets{Identity: ids(yes), Resource: denies(`"NotPrincipal"`, byAccount)}, false, ExplicitDeny},
		{"deny everybody but: session without role", s, acct, Sets{Identity: ids(yes), Resource: denies(`"NotPrincipal"`, `{"AWS":["arn:aws:sts::123456789012:assumed-role/R/s","123456789012"]}`)}, false, ExplicitDeny},
		{"deny everybody but: session, role and account", s, acct, Sets{Identity: ids(yes), Resource: denies(`"NotPrincipal"`, `{"AWS":["arn:aws:sts::123456789012:assumed-role/R/s","arn:aws:iam::123456789012:role/R","123456789012"]}`)}, true, AllowedByIdentity},
		{"deny everybody but: a boundary voids it", u, acct, Sets{Identity: ids(yes), Boundary: yes, Resource: denies(`"NotPrincipal"`, `{"AWS":["arn:aws:iam::123456789012:user/alice","123456789012"]}`)}, false, ExplicitDeny},
		{"deny everybody but: service", service, acct, Sets{Resource: append(denies(`"NotPrincipal"`, `{"Service":"bedrock.amazonaws.com"}`), grants(`"*"`)...)}, true, AllowedByResource},
	} {
		r := &Request{Caller: c.who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", ResourceAccount: c.owner}
		d := Evaluate(r, &c.sets)
		if d.Allowed != c.want || d.Reason != c.reason {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, d.Allowed, d.Reason, c.want, c.reason)
		}
		e, steps := Explain(r, &c.sets)
		if e != d {
			t.Errorf("%s: explained as %+v, decided as %+v", c.name, e, d)
		}
		for _, s := range steps {
			if s.Matched == (s.Why != "" && !strings.HasPrefix(s.Why, "names the account")) {
				t.Errorf("%s: %+v", c.name, s)
			}
		}
	}
}

func TestUnrestricted(t *testing.T) {
	all := mustParse(t, Identity, doc(`{"Effect":"Allow","Action":"*","Resource":"*"}`))
	for name, c := range map[string]struct {
		ps   []*Policy
		want bool
	}{
		"none":      {nil, false},
		"all":       {[]*Policy{all}, true},
		"and deny":  {[]*Policy{all, mustParse(t, Identity, doc(`{"Effect":"Deny","Action":"iam:*","Resource":"*"}`))}, false},
		"condition": {[]*Policy{mustParse(t, Identity, doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"a:b":"true"}}}`))}, false},
		"service":   {[]*Policy{mustParse(t, Identity, doc(`{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}`))}, false},
	} {
		if got := Unrestricted(c.ps); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestOneOperatorLessIsRefused takes one operator away at a time: its documents
// must then be refused, so that none can go missing silently.
func TestOneOperatorLessIsRefused(t *testing.T) {
	for _, name := range Operators() {
		saved := operators[name]
		delete(operators, name)
		_, err := Parse(doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+name+`":{"a:b":[]}}}`), Identity)
		operators[name] = saved
		if err == nil {
			t.Errorf("%s is taken without being known", name)
		}
		if _, err := Parse(doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+name+`":{"a:b":[]}}}`), Identity); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tenPolicies are ten documents of twenty statements, none of which allows but
// the last of all.
func tenPolicies(t testing.TB) []*Policy {
	var out []*Policy
	for i := range 10 {
		var st []string
		for j := range 20 {
			effect, team := "Allow", "other"
			if j%5 == 4 {
				effect = "Deny"
			}
			if i == 9 && j == 19 {
				effect, team = "Allow", "red"
			}
			st = append(st, fmt.Sprintf(`{"Sid":"S%dx%d","Effect":%q,"Action":["bedrock:Get*","bedrock:InvokeModel*","bedrock:List*"],"Resource":["arn:aws:bedrock:*:*:agent/*","arn:aws:bedrock:us-east-1::foundation-model/anthropic.*"],"Condition":{"StringEquals":{"aws:ResourceTag/team":%q},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}}`, i, j, effect, team))
		}
		p, err := Parse(doc(st...), Resource)
		if err != nil {
			// A policy of this size is larger than IAM's limit: the figure is about
			// statements, so the principal that Resource needs is put in.
			for k := range st {
				st[k] = strings.Replace(st[k], `"Action"`, `"Principal":"*","Action"`, 1)
			}
			if p, err = Parse(doc(st...), Resource); err != nil {
				t.Fatal(err)
			}
		}
		for k := range p.program {
			p.program[k].principals = nil
		}
		out = append(out, p)
	}
	return out
}

func BenchmarkTenPoliciesOfTwentyStatements(b *testing.B) {
	sets := &Sets{Identity: tenPolicies(b)}
	r := user("bedrock:InvokeModel", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude", keys("aws:ResourceTag/team", "red", "aws:SourceIp", "10.0.0.1",
		"aws:UserAgent", "x", "aws:RequestedRegion", "us-east-1", "aws:PrincipalArn", alice, "aws:userid", "AIDA", "aws:PrincipalAccount", acct))
	b.ReportAllocs()
	for b.Loop() {
		if d := Evaluate(r, sets); !d.Allowed || d.By.Statement != 19 {
			b.Fatal(d)
		}
	}
}

func BenchmarkOneStatement(b *testing.B) {
	sets := &Sets{Identity: []*Policy{mustParse(b, Identity, doc(`{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}`))}}
	r := user("bedrock:InvokeModel", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude", nil)
	b.ReportAllocs()
	for b.Loop() {
		if !Evaluate(r, sets).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	d := doc(`{"Effect":"Allow","Action":["bedrock:Get*","bedrock:InvokeModel*"],"Resource":"arn:aws:bedrock:*:*:agent/*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(d, Identity); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(doc(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username, 'x'}/*"}`), byte(1))
	f.Add(doc(`{"Sid":"a","Effect":"Deny","NotPrincipal":{"AWS":["*"],"Service":"a.b"},"NotAction":["s3:Get?"],"NotResource":"*","Condition":{"ForAllValues:StringLikeIfExists":{"a:b":["${*}",1,true]}}}`), byte(2))
	f.Add(doc(`{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole","Condition":{"IpAddress":{"aws:SourceIp":"::ffff:10.0.0.0/104"},"DateLessThan":{"a:b":"2026"}}}`), byte(3))
	f.Add(`"{}"`, byte(4))
	f.Fuzz(func(t *testing.T, document string, kind byte) {
		k := Kind(kind%5 + 1)
		p, err := Parse(document, k)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		c := p.Canonical()
		if !json.Valid([]byte(c)) {
			t.Fatalf("no JSON: %s", c)
		}
		again, err := Parse(c, k)
		if err != nil {
			if se := new(SyntaxError); errors.As(err, &se) && (se.Size || strings.Contains(se.Message, "Latin-1")) {
				return // escapes may be shorter than what they stand for
			}
			t.Fatalf("%v\n%s\n%s", err, document, c)
		}
		if again.Canonical() != c {
			t.Fatalf("%s\nbecame %s", c, again.Canonical())
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	f.Add("Allow", "s3:*", "arn:aws:s3:::b/${a:k}/*", "StringLike", "a:k", "x*${a:k}", "xx", "s3:GetObject", "arn:aws:s3:::b/xx/y")
	f.Add("Deny", "*", "*", "ForAnyValue:IpAddress", "aws:SourceIp", "10.0.0.0/8", "10.1.1.1", "a:b", "")
	f.Add("Allow", "a:?*?", "arn:*:*:*:*:?*a*?", "DateLessThanIfExists", "a:k", "2026-11-25", "1", "a:bbb", "arn:aws:s3:::éa*b")
	f.Fuzz(func(t *testing.T, effect, action, resource, op, key, value, have, ask, on string) {
		statement := map[string]any{"Effect": effect, "Action": action, "Resource": resource, "Principal": "*", "Condition": map[string]any{op: map[string]any{key: value}}}
		b, err := json.Marshal(map[string]any{"Version": Version2012, "Statement": statement})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(string(b), Resource)
		if err != nil {
			return
		}
		r := user(ask, on, map[string][]string{key: {have}})
		d, steps := Explain(r, &Sets{Resource: []*Policy{p}})
		if len(steps) != 1 || d.Allowed && effect != "Allow" || d.Reason == ExplicitDeny && effect != "Deny" || d.Allowed && !steps[0].Matched {
			t.Fatalf("%+v %+v", d, steps)
		}
	})
}
