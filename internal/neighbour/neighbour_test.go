package neighbour_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/kms"
	"github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func TestTheCallerIsNamedFromAnyRegion(t *testing.T) {
	h := open(t, nil)
	got := h.query(t, h.admin, "sts", "GetCallerIdentity", "Version", "2011-06-15")
	id := got.header.Get("X-Amzn-Requestid")
	u, _ := h.identity.Snapshot().User("123456789012", "admin")
	want := `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/admin</Arn><UserId>` + u.UserID +
		`</UserId></GetCallerIdentityResult><ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></GetCallerIdentityResponse>`
	if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "text/xml" {
		t.Errorf("%d %s\nwant %s", got.status, got.body, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Error(id)
	}
	o := h.observed(t, 1)[0]
	if o.Call.Service != "sts" || o.Call.Operation != "GetCallerIdentity" || o.Call.Region != "eu-west-3" || o.Status != 200 || !o.Accepted || o.BytesOut != len(want) || o.BytesIn == 0 || o.Error != nil {
		t.Errorf("%+v", o)
	}
	// The same by GET, presigned or not.
	if got := h.do(t, h.admin, "sts", http.MethodGet, "/?Action=GetCallerIdentity&Version=2011-06-15", "", nil); got.status != 200 || !strings.Contains(got.body, "user/admin") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestStrangersAreToldInTheProtocolsWords(t *testing.T) {
	h := open(t, nil)
	bad := sigv4.Credentials{AccessKeyID: h.admin.AccessKeyID, SecretAccessKey: "wrong"}
	unknown := sigv4.Credentials{AccessKeyID: "AKIAQQQQQQQQQQQQQQQQ", SecretAccessKey: "wrong"}
	for name, c := range map[string]struct {
		got    reply
		status int
		text   string
	}{
		"query, wrong secret": {h.query(t, bad, "iam", "ListUsers"), 403, "<Code>SignatureDoesNotMatch</Code>"},
		"query, unknown key":  {h.query(t, unknown, "iam", "ListUsers"), 403, "<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message>"},
		"json, wrong secret":  {h.do(t, bad, "kms", "POST", "/", "{}", map[string]string{"X-Amz-Target": "TrentService.ListKeys"}), 400, `{"__type":"InvalidSignatureException",`},
		"json, unknown key":   {h.do(t, unknown, "kms", "POST", "/", "{}", map[string]string{"X-Amz-Target": "TrentService.ListKeys"}), 400, `{"__type":"UnrecognizedClientException",`},
		"rest, unknown key":   {h.do(t, unknown, "lambda", "GET", "/2015-03-31/functions", "", nil), 403, `"message":"The security token`},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.text) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
	for _, o := range h.observed(t, 5) {
		if o.Accepted || o.Error == nil || o.Operation != nil {
			t.Errorf("%+v", o)
		}
	}
}

func TestWhatIsNotServedNamesTheHandOff(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["kms"] = keyFace{} })
	for name, c := range map[string]struct {
		got    reply
		status int
		code   string
		hint   string
	}{
		"query operation":  {h.query(t, h.admin, "iam", "CreateSAMLProvider"), 400, "<Code>InvalidAction</Code><Message>Could not find operation CreateSAMLProvider for version 2010-05-08", "--neighbour iam=URL"},
		"query, no action": {h.query(t, h.admin, "iam", ""), 400, "<Code>MissingAction</Code>", "Action"},
		"query version":    {h.query(t, h.admin, "iam", "ListUsers", "Version", "2000-01-01"), 400, "<Code>NoSuchVersion</Code>", ""},
		"query method":     {h.do(t, h.admin, "iam", "PUT", "/?Action=ListUsers", "", nil), 400, "<Code>InvalidHTTPMethod</Code>", ""},
		"json operation":   {h.do(t, h.admin, "kms", "POST", "/", "{}", map[string]string{"X-Amz-Target": "TrentService.Sign"}), 400, `"__type":"UnknownOperationException"`, "--neighbour kms=URL"},
		"json target":      {h.do(t, h.admin, "kms", "POST", "/", "{}", map[string]string{"X-Amz-Target": "Other.Sign"}), 400, `"__type":"UnknownOperationException"`, "TrentService"},
		"rest operation":   {h.do(t, h.admin, "lambda", "GET", "/2020-04-22/code-signing-configs", "", nil), 404, "Could not find operation GET /2020-04-22/code-signing-configs", "--neighbour lambda=URL"},
		"service":          {h.do(t, h.admin, "secretsmanager", "POST", "/", "{}", map[string]string{"X-Amz-Target": "secretsmanager.ListSecrets"}), 501, `"__type":"NotImplementedException"`, "--neighbour secretsmanager=URL"},
		"unbuilt":          {h.do(t, h.admin, "kms", "POST", "/", "{}", map[string]string{"X-Amz-Target": "TrentService.ListKeys"}), 501, `"__type":"NotImplementedException"`, "ListKeys"},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.code) || !strings.Contains(c.got.body, c.hint) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	h := open(t, nil)
	got := h.query(t, h.admin, "iam", "CreatePolicy", "PolicyName", "p", "PolicyDocument", strings.Repeat("x", 1<<20))
	if got.status != 413 || !strings.Contains(got.body, "RequestEntityTooLarge") {
		t.Errorf("%d %.200s", got.status, got.body)
	}
}

// keyFace is a small KMS: enough to show what the frame does around a face.
type keyFace struct{ kms.Unimplemented }

func (keyFace) Encrypt(ctx context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	switch in.KeyId {
	case "panic":
		panic("oh")
	case "internal":
		return nil, errors.New("the secret reason")
	case "gone":
		return nil, apierr.New("NotFoundException", "Key 'arn:x' does not exist")
	}
	call.From(ctx).SetHeader("X-Extra", "1")
	return &kms.EncryptOutput{KeyId: &in.KeyId, CiphertextBlob: append([]byte("c:"), in.Plaintext...)}, nil
}

func (keyFace) EnableKey(context.Context, *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
	return &kms.EnableKeyOutput{}, nil
}

// Refine resolves the alias and tells the key's tag.
func (keyFace) Refine(_ context.Context, op *api.Operation, in any, types []string, p *gateway.Permission) {
	if e, ok := in.(*kms.EncryptInput); ok && e.KeyId == "alias/a" {
		p.Resources = []string{"arn:aws:kms:eu-west-3:123456789012:key/1234"}
		p.Conditions["kms:RequestAlias"] = []string{"alias/a"}
	}
}

func (h *house) json(t testing.TB, c sigv4.Credentials, op, body string) reply {
	t.Helper()
	return h.do(t, c, "kms", "POST", "/", body, map[string]string{"X-Amz-Target": "TrentService." + op, "Content-Type": "application/x-amz-json-1.1"})
}

func TestAFaceOfAwsJSON(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["kms"] = keyFace{} })
	body := func(key string) string {
		return `{"KeyId":"` + key + `","Plaintext":"` + base64.StdEncoding.EncodeToString([]byte("hi")) + `"}`
	}
	got := h.json(t, h.admin, "Encrypt", body("k"))
	if got.status != 200 || got.body != `{"CiphertextBlob":"YzpoaQ==","KeyId":"k"}` || got.header.Get("Content-Type") != "application/x-amz-json-1.1" || got.header.Get("X-Extra") != "1" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	for name, c := range map[string]struct {
		got    reply
		status int
		body   string
	}{
		"empty answer": {h.json(t, h.admin, "EnableKey", `{"KeyId":"k"}`), 200, ""},
		"modelled":     {h.json(t, h.admin, "Encrypt", body("gone")), 400, `{"__type":"NotFoundException","message":"Key 'arn:x' does not exist"}`},
		"constraint":   {h.json(t, h.admin, "Encrypt", body("")), 400, `{"__type":"ValidationException","message":"1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"}`},
		"no JSON":      {h.json(t, h.admin, "Encrypt", `{`), 400, `{"__type":"SerializationException","message":"Unexpected end of JSON text"}`},
		"unbuilt":      {h.json(t, h.admin, "ListKeys", ""), 501, `{"__type":"NotImplementedException","message":"ListKeys is not built yet in Outcrop; the table of operations in the README says what is. Start Outcrop with --neighbour kms=URL to hand the service to another endpoint."}`},
	} {
		if c.got.status != c.status || c.got.body != c.body {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
	for _, key := range []string{"panic", "internal"} {
		got := h.json(t, h.admin, "Encrypt", body(key))
		if got.status != 500 || strings.Contains(got.body, "secret") || strings.Contains(got.body, "oh") || !strings.Contains(got.body, got.header.Get("X-Amzn-Requestid")) {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

func TestQuestionsNameTheResource(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["kms"] = keyFace{} })
	one := h.user(t, "one", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"kms:Encrypt","Resource":"arn:aws:kms:eu-west-3:123456789012:key/1234","Condition":{"StringEquals":{"kms:RequestAlias":"alias/a"}}},
		{"Effect":"Allow","Action":"kms:CreateAlias","Resource":"arn:aws:kms:eu-west-3:123456789012:alias/a"}]}`)
	allowed := h.json(t, one, "Encrypt", `{"KeyId":"alias/a","Plaintext":"aGk="}`)
	if allowed.status != 200 {
		t.Errorf("%d %s", allowed.status, allowed.body)
	}
	for name, c := range map[string]struct {
		got  reply
		text string
	}{
		"another key":       {h.json(t, one, "Encrypt", `{"KeyId":"99","Plaintext":"aGk="}`), "kms:Encrypt on resource: arn:aws:kms:eu-west-3:123456789012:key/99 because no identity-based policy allows the kms:Encrypt action"},
		"both are needed":   {h.json(t, one, "CreateAlias", `{"AliasName":"alias/a","TargetKeyId":"77"}`), "kms:CreateAlias on resource: arn:aws:kms:eu-west-3:123456789012:key/77 "},
		"before validation": {h.json(t, one, "Encrypt", `{"KeyId":"99"}`), "not authorized"},
		"two actions":       {h.json(t, one, "ReEncrypt", `{"CiphertextBlob":"aGk=","SourceKeyId":"5","DestinationKeyId":"6"}`), "kms:ReEncryptFrom on resource: arn:aws:kms:eu-west-3:123456789012:key/5 "},
	} {
		if c.got.status != 400 || !strings.Contains(c.got.body, `"__type":"AccessDeniedException"`) || !strings.Contains(c.got.body, c.text) {
			t.Errorf("%s: %d %s", name, c.got.status, c.got.body)
		}
	}
}

// ruled is a face that decides by itself.
type ruled struct{ keyFace }

func (ruled) Authorize(_ context.Context, op *api.Operation, in any, p *gateway.Permission) error {
	if p.Action == "kms:Encrypt" && p.Resources[0] == "arn:aws:kms:eu-west-3:123456789012:key/closed" {
		return apierr.New(apierr.AccessDenied, "the key's policy says no to %s", op.Name)
	}
	return nil
}

func TestAFaceWithPoliciesOfItsOwnDecides(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["kms"] = ruled{} })
	nobody := h.user(t, "nobody", "")
	if got := h.json(t, nobody, "Encrypt", `{"KeyId":"open","Plaintext":"aGk="}`); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.json(t, h.admin, "Encrypt", `{"KeyId":"closed","Plaintext":"aGk="}`); got.status != 400 || !strings.Contains(got.body, "the key's policy says no to Encrypt") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestRequestTagsAreConditions(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["kms"] = keyFace{} })
	u := h.user(t, "tagger", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["kms:TagResource","iam:TagRole","iam:CreateRole"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"a"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}}`)
	const trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	if got := h.query(t, u, "iam", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust, "Tags.member.1.Key", "team", "Tags.member.1.Value", "a"); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.query(t, u, "iam", "CreateRole", "RoleName", "r2", "AssumeRolePolicyDocument", trust, "Tags.member.1.Key", "team", "Tags.member.1.Value", "b"); got.status != 403 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.json(t, u, "TagResource", `{"KeyId":"1","Tags":[{"TagKey":"team","TagValue":"a"}]}`); got.status != 501 { // allowed, and not built by this face
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := h.json(t, u, "TagResource", `{"KeyId":"1","Tags":[{"TagKey":"team","TagValue":"a"},{"TagKey":"x","TagValue":"a"}]}`); got.status != 400 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// functions is a small Lambda.
type functions struct{ lambda.Unimplemented }

func (functions) Invoke(_ context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	if in.FunctionName == "gone" {
		return nil, apierr.New("ResourceNotFoundException", "Function not found: gone")
	}
	return &lambda.InvokeOutput{StatusCode: new(200), Payload: append([]byte(in.FunctionName+" "+string(in.InvocationType)+" "), in.Payload...), ExecutedVersion: new("$LATEST")}, nil
}

func (functions) TagResource(context.Context, *lambda.TagResourceInput) (*lambda.TagResourceOutput, error) {
	return &lambda.TagResourceOutput{}, nil
}

func TestAFaceOfRestJSON(t *testing.T) {
	h := open(t, func(c *neighbour.Config) { c.Faces["lambda"] = functions{} })
	got := h.do(t, h.admin, "lambda", "POST", "/2015-03-31/functions/f/invocations", `{"a":1}`, map[string]string{"X-Amz-Invocation-Type": "RequestResponse"})
	if got.status != 200 || got.body != `f RequestResponse {"a":1}` || got.header.Get("X-Amz-Executed-Version") != "$LATEST" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := h.do(t, h.admin, "lambda", "POST", "/2015-03-31/functions/gone/invocations", "", nil); got.status != 404 || got.header.Get("X-Amzn-Errortype") != "ResourceNotFoundException" || !strings.Contains(got.body, `"Message":"Function not found: gone"`) {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := h.do(t, h.admin, "lambda", "POST", "/2015-03-31/functions/a%20b/invocations", "", nil); got.status != 400 || got.header.Get("X-Amzn-Errortype") != "ValidationException" || !strings.Contains(got.body, "Value 'a b' at 'functionName' failed to satisfy constraint") {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := h.do(t, h.admin, "lambda", "POST", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-3%3A123456789012%3Afunction%3Af", `{"Tags":{"a":"b"}}`, nil); got.status != 204 || got.body != "" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
}

func TestFacesAreCheckedAtStart(t *testing.T) {
	for name, faces := range map[string]map[string]any{"no API": {"kms": struct{}{}}, "no Raw": {"s3": struct{}{}}} {
		if _, err := neighbour.New(neighbour.Config{Authenticator: access.Signatures{}, Faces: faces}); err == nil || !strings.Contains(err.Error(), "BUG") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := neighbour.New(neighbour.Config{}); err == nil {
		t.Error("no authenticator")
	}
	for _, bad := range []string{"ftp://x", "http://", "http://h/path", "https://key@h", ":"} {
		if _, err := neighbour.New(neighbour.Config{Authenticator: access.Signatures{}, Remote: map[string]string{"s3": bad}}); err == nil {
			t.Error(bad)
		}
	}
}

func BenchmarkGetRole(b *testing.B) {
	h := open(b, nil)
	const trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	if got := h.query(b, h.admin, "iam", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trust); got.status != 200 {
		b.Fatal(got)
	}
	u := h.user(b, "u", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetRole","Resource":"arn:aws:iam::123456789012:role/r"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if got := h.query(b, u, "iam", "GetRole", "RoleName", "r"); got.status != 200 {
			b.Fatal(got)
		}
	}
}
