package arn

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in      string
		want    ARN
		typ, id string
	}{
		{"arn:aws:bedrock:us-east-1:123456789012:guardrail/abc", ARN{"aws", "bedrock", "us-east-1", "123456789012", "guardrail/abc"}, "guardrail", "abc"},
		{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1", ARN{"aws", "bedrock", "us-east-1", "", "foundation-model/anthropic.claude-v2:1"}, "foundation-model", "anthropic.claude-v2:1"},
		{"arn:aws:bedrock:us-east-1:1:agent-alias/A/B", ARN{"aws", "bedrock", "us-east-1", "1", "agent-alias/A/B"}, "agent-alias", "A/B"},
		{"arn:aws-cn:lambda:cn-north-1:123456789012:function:f:7", ARN{"aws-cn", "lambda", "cn-north-1", "123456789012", "function:f:7"}, "function", "f:7"},
		{"arn:aws:s3:::bucket", ARN{"aws", "s3", "", "", "bucket"}, "", "bucket"},
		{"arn:aws:s3:::bucket/a:b", ARN{"aws", "s3", "", "", "bucket/a:b"}, "bucket", "a:b"},
		{"arn:aws:iam::123456789012:root", ARN{"aws", "iam", "", "123456789012", "root"}, "", "root"},
		{"arn:::::", ARN{}, "", ""},
	} {
		got, err := Parse(c.in)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.in, got, err, c.want)
			continue
		}
		if got.String() != c.in {
			t.Errorf("String() = %q, want %q", got.String(), c.in)
		}
		if typ, id := got.Split(); typ != c.typ || id != c.id {
			t.Errorf("%q splits into (%q, %q), want (%q, %q)", c.in, typ, id, c.typ, c.id)
		}
		if !Is(c.in) {
			t.Errorf("Is(%q) is false", c.in)
		}
	}
	for _, in := range []string{"", "arn", "arn:", "arn:aws:s3::bucket", "ARN:aws:s3:::b", "urn:aws:s3:::b", "arn:aws:s3:::" + strings.Repeat("x", maxLength)} {
		if _, err := Parse(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%.30q) = %v, want ErrSyntax", in, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for in, good := range map[string]bool{
		"arn:aws:bedrock:us-east-1:123456789012:agent/X":     true,
		"arn:aws:bedrock:us-east-1:aws:prompt/X":             true,
		"arn:aws:iam::aws:policy/AdministratorAccess":        true,
		"arn:aws-us-gov:s3:us-gov-west-1:123456789012:x":     true,
		"arn:aws-cn:s3:::b":                                  true,
		"arn:aws-cn:s3:us-east-1::b":                         false,
		"arn:aws:s3:cn-north-1::b":                           false,
		"arn:gcp:s3:::b":                                     false,
		"arn:aws:S3:::b":                                     false,
		"arn:aws::::b":                                       false,
		"arn:aws:s3:::":                                      false,
		"arn:aws:s3:::a\x00b":                                false,
		"arn:aws:bedrock:us-east-1:12345678901:agent/X":      false,
		"arn:aws:bedrock:us-east-1:12345678901a:agent/X":     false,
		"arn:aws:bedrock:useast1:123456789012:agent/X":       false,
		"arn:aws:bedrock:us-east-:123456789012:agent/X":      false,
		"arn:aws:bedrock:US-east-1:123456789012:agent/X":     false,
		"arn:aws:bedrock:us-east-1a:123456789012:agent/X":    false,
		"arn:aws:bedrock:mx-central-1:123456789012:agent/X":  true,
		"arn:aws:bedrock:us-east-1 :123456789012:agent/X":    false,
		"arn:aws:bedrock:us--east-1:123456789012:agent/X":    false,
		"arn:aws:bedrock:ap-southeast-12:123456789012:x/Y:1": true,
	} {
		a, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Validate(); (err == nil) != good {
			t.Errorf("Validate(%q) = %v, want good=%v", in, err, good)
		}
	}
}

func TestNewPicksThePartitionOfTheRegion(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1":     "arn:aws:bedrock:us-east-1:123456789012:agent/A",
		"cn-north-1":    "arn:aws-cn:bedrock:cn-north-1:123456789012:agent/A",
		"us-gov-west-1": "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:agent/A",
	} {
		if got := New("bedrock", region, "123456789012", "agent/A").String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:bedrock:us-east-1:123456789012:guardrail/abc")
	f.Add("arn:aws:s3:::bucket/a:b")
	f.Add("arn:::::")
	f.Add("arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		if !Is(s) {
			t.Fatalf("Parse took %q, Is refuses it", s)
		}
		if a.String() != s {
			t.Fatalf("%q came back as %q", s, a.String())
		}
		if typ, id := a.Split(); typ != "" && !strings.HasPrefix(a.Resource, typ) || !strings.HasSuffix(a.Resource, id) {
			t.Fatalf("%q split into %q and %q", a.Resource, typ, id)
		}
		if a.Validate() == nil && (a.Resource == "" || a.Service == "") {
			t.Fatalf("%q is valid without service or resource", s)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("arn:aws:bedrock:us-east-1:123456789012:guardrail/abc"); err != nil {
			b.Fatal(err)
		}
	}
}
