package s3

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// post is a form as a browser sends it. policy "" leaves the form unsigned.
func (h *house) post(t *testing.T, policy string, fields [][2]string, file string) answer {
	t.Helper()
	now := time.Now().UTC()
	day := now.Format("20060102")
	if policy != "" {
		encoded := base64.StdEncoding.EncodeToString([]byte(policy))
		k := []byte("AWS4" + h.admin.Secret.Reveal())
		for _, part := range []string{day, "us-east-1", "s3", "aws4_request", encoded} {
			m := hmac.New(sha256.New, k)
			m.Write([]byte(part))
			k = m.Sum(nil)
		}
		fields = append(fields, [][2]string{
			{"policy", encoded}, {"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-credential", h.admin.ID + "/" + day + "/us-east-1/s3/aws4_request"},
			{"x-amz-date", now.Format(signTime)}, {"x-amz-signature", hex.EncodeToString(k)},
		}...)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.CreateFormFile("file", "photo.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(p, file)
	_ = w.WriteField("after", "the file, and so not read")
	_ = w.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/things", &b)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Close = true
	return do(t, r)
}

// signedForm is a policy that allows the fields of every form here and the
// further conditions.
func signedForm(more ...string) string {
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"expiration":%q,"conditions":[%s]}`, at, strings.Join(append([]string{
		`{"bucket":"things"}`, `["starts-with","$key","in/"]`, `["starts-with","$x-amz-algorithm",""]`, `["starts-with","$x-amz-credential",""]`, `["starts-with","$x-amz-date",""]`,
	}, more...), ","))
}

func TestAFormBecomesAnObject(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	got := h.post(t, signedForm(`{"Content-Type":"image/png"}`, `["eq","$x-amz-meta-Colour","grey"]`, `["content-length-range",3,10]`, `{"success_action_status":"201"}`, `["starts-with","$tagging",""]`),
		[][2]string{{"key", "in/${filename}"}, {"Content-Type", "image/png"}, {"x-amz-meta-colour", "grey"}, {"success_action_status", "201"},
			{"tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"}, {"x-ignore-me", "1"}}, "hello")
	if got.status != http.StatusCreated || !strings.Contains(got.body, "<Key>in/photo.png</Key>") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	back := h.send(t, true, "GET", "/things/in/photo.png", "")
	if back.body != "hello" || back.header.Get("Content-Type") != "image/png" || back.header.Get("X-Amz-Meta-Colour") != "grey" || back.header.Get("X-Amz-Tagging-Count") != "1" {
		t.Errorf("%q %v", back.body, back.header)
	}
	got = h.post(t, signedForm(`["starts-with","$success_action_redirect","http://localhost/"]`), [][2]string{{"key", "in/b"}, {"success_action_redirect", "http://localhost/done?x=1"}}, "hello")
	if l := got.header.Get("Location"); got.status != http.StatusSeeOther || !strings.HasPrefix(l, "http://localhost/done?bucket=things&etag=") || !strings.Contains(l, "key=in%2Fb&x=1") {
		t.Errorf("%d to %s: %s", got.status, l, got.body)
	}
	if got = h.post(t, signedForm(), [][2]string{{"key", "in/c"}}, ""); got.status != http.StatusNoContent || got.header.Get("Etag") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAFormThatItsPolicyDoesNotAllowIsRefused(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	past := strings.Replace(signedForm(), time.Now().UTC().Format("2006"), "2001", 1)
	key := [2]string{"key", "in/k"}
	for _, c := range []struct {
		name, policy, file string
		fields             [][2]string
		code, text         string
	}{
		{"another key", signedForm(), "x", [][2]string{{"key", "out/k"}}, "AccessDenied", "Policy Condition failed: ["},
		{"a field too many", signedForm(), "x", [][2]string{key, {"x-amz-meta-a", "1"}}, "AccessDenied", "Extra input fields: x-amz-meta-a"},
		{"expired", past, "x", [][2]string{key}, "AccessDenied", "Policy expired"},
		{"no bucket named", strings.Replace(signedForm(), `{"bucket":"things"},`, "", 1), "x", [][2]string{key}, "AccessDenied", "Extra input fields: bucket"},
		{"another bucket", strings.Replace(signedForm(), "things", "others", 1), "x", [][2]string{key}, "AccessDenied", "Policy Condition failed"},
		{"too short", signedForm(`["content-length-range",3,5]`), "x", [][2]string{key}, "EntityTooSmall", ""},
		{"too long", signedForm(`["content-length-range",3,5]`), "123456", [][2]string{key}, "EntityTooLarge", ""},
		{"unsigned", "", "x", [][2]string{key}, "AccessDenied", ""},
		{"half signed", "", "x", [][2]string{key, {"policy", "e30="}}, "InvalidArgument", "x-amz-algorithm"},
		{"no key", signedForm(), "x", nil, "AccessDenied", "Policy Condition failed"},
		{"not JSON", "{", "x", [][2]string{key}, "InvalidPolicyDocument", "Invalid JSON"},
		{"an unknown condition", signedForm(`["matches","$key","x"]`), "x", [][2]string{key}, "InvalidPolicyDocument", "unknown operation"},
		{"another checksum", signedForm(`["starts-with","$x-amz-checksum-crc32",""]`), "x", [][2]string{key, {"x-amz-checksum-crc32", "AAAAAA=="}}, "BadDigest", ""},
	} {
		got := h.post(t, c.policy, c.fields, c.file)
		if got.code() != c.code || !strings.Contains(got.body, c.text) {
			t.Errorf("%s: %d %s, want %s %s", c.name, got.status, got.body, c.code, c.text)
		}
	}
	if got := h.send(t, true, "GET", "/things/in/k", ""); got.status != http.StatusNotFound {
		t.Errorf("a refused form left an object: %d", got.status)
	}
}

func TestAFormWithAnotherSignatureIsRefused(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	// What was signed is one policy, what is sent another.
	day := time.Now().UTC().Format("20060102")
	fields := [][2]string{{"key", "in/k"}, {"policy", base64.StdEncoding.EncodeToString([]byte(signedForm()))}, {"x-amz-algorithm", "AWS4-HMAC-SHA256"},
		{"x-amz-credential", h.admin.ID + "/" + day + "/us-east-1/s3/aws4_request"}, {"x-amz-date", time.Now().UTC().Format(signTime)}, {"x-amz-signature", strings.Repeat("0", 64)}}
	if got := h.post(t, "", fields, "x"); got.code() != "SignatureDoesNotMatch" {
		t.Errorf("%d %s", got.status, got.body)
	}
	fields[3][1] = "AKIAUNKNOWNUNKNOWN00/" + day + "/us-east-1/s3/aws4_request"
	if got := h.post(t, "", fields, "x"); got.code() != "InvalidAccessKeyId" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func FuzzPostPolicy(f *testing.F) {
	for _, s := range []string{signedForm(), signedForm(`["content-length-range",1,2]`), `{"expiration":"2030-01-01T00:00:00Z","conditions":[{"a":"b"}]}`, `{"expiration":1,"conditions":[]}`, `[]`, `{"conditions":null}`, ""} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(s)))
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		p, err := readPostPolicy(encoded)
		if err != nil {
			return
		}
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil || !json.Valid(b) {
			t.Fatalf("%q is read as a policy", encoded)
		}
		// No policy allows a field that it does not name.
		form := &form{fields: map[string]string{"x-amz-meta-odd\x00": "1"}, order: []string{"x-amz-meta-odd\x00"}}
		if p.check(form, "things", p.expires.Add(-time.Second)) == nil && !strings.Contains(string(b), "odd") {
			t.Fatalf("%s allows a field that it does not name", b)
		}
	})
}
