package sigv4

import "testing"

func TestCanonicalQuery(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"tagKeys=b&tagKeys=a":   "tagKeys=a&tagKeys=b",
		"b=1&a=2&a=1&B=0":       "B=0&a=1&a=2&b=1",
		"a&b=":                  "a=&b=",
		"a=b=c":                 "a=b%3Dc",
		"a=b+c%2Fd/e":           "a=b%20c%2Fd%2Fe",
		"a=%e1%88%b4&a=%zz&b=%": "a=%25zz&a=%E1%88%B4&b=%25",
		"&&a=1&":                "a=1",
		"a-b=1&a=2":             "a=2&a-b=1",
		"a=1&a%20=2":            "a=1&a%20=2",
		"X-Amz-Signature=1":     "",
	} {
		q := &request{form: FormQuery, query: in}
		if got := string((&scratch{}).appendQuery(nil, q, false)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestCanonicalPath(t *testing.T) {
	for _, c := range []struct{ service, in, plain, normalized string }{
		{"bedrock", "", "/", "/"},
		{"bedrock", "/", "/", "/"},
		{"bedrock", "/model/a%3Ab%2Fc/invoke", "/model/a%253Ab%252Fc/invoke", "/model/a%253Ab%252Fc/invoke"},
		{"bedrock", "/a//b/./../c/", "/a//b/./../c/", "/a/c/"},
		{"bedrock", "/a/..", "/a/..", "/"},
		{"bedrock", "/../../x", "/../../x", "/x"},
		{"bedrock", "/ሴ/a b", "/%E1%88%B4/a%20b", "/%E1%88%B4/a%20b"},
		{"s3", "/b/a//./../c+%2B%20%2f", "/b/a//./../c%2B%2B%20/", "/b/a//./../c%2B%2B%20/"},
		{"s3", "/b/%zz", "/b/%25zz", "/b/%25zz"},
	} {
		for normalize, want := range map[bool]string{false: c.plain, true: c.normalized} {
			q := &request{Scope: Scope{Service: c.service}, path: c.in}
			if got := string((&scratch{}).appendPath(nil, q, normalize)); got != want {
				t.Errorf("%s %q (normalize %v) became %q, want %q", c.service, c.in, normalize, got, want)
			}
			if c.service != "s3" && (c.plain != c.normalized) != normalizable(c.in) && c.in != "" {
				t.Errorf("normalizable(%q) is %v", c.in, normalizable(c.in))
			}
		}
	}
}

func TestCanonicalHeaderValues(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " ": "", "a": "a", "  a   b  ": "a b", "a\t b": "a b", `"a   b"`: `"a b"`, "a ": "a", "\ta": "a",
	} {
		if got := string(appendTrimmed([]byte("x: "), in)); got != "x: "+want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
