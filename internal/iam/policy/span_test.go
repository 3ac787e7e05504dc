package policy

import "testing"

// The positions are those that AWS's own examples of its simulator show.
func TestWhereAStatementStands(t *testing.T) {
	const long = `{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "codecommit:ListRepositories",
            "Resource": "*",
            "Sid": "a"
        }
    ]
}`
	const line = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	for name, c := range map[string]struct {
		text       string
		n          int
		start, end Position
	}{
		"first":  {long, 0, Position{3, 19}, Position{9, 10}},
		"second": {`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}, {"Effect":"Deny","Action":"*","Resource":"*"}]}`, 1, Position{1, 62}, Position{1, 108}},
		"alone":  {line, 0, Position{1, 37}, Position{1, 83}},
		"none":   {line, 1, Position{}, Position{}},
	} {
		p, err := Parse(c.text, Identity)
		if err != nil {
			t.Fatal(name, err)
		}
		if start, end := (Source{Identity, p, c.n}).Span(); start != c.start || end != c.end {
			t.Errorf("%s: from %v to %v, want %v to %v", name, start, end, c.start, c.end)
		}
	}
}
