package s3vectors_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms/kmstest"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	kmsface "github.com/outcrop-dev/outcrop/internal/neighbour/kms"
	"github.com/outcrop-dev/outcrop/internal/neighbour/s3vectors"
	"github.com/outcrop-dev/outcrop/internal/neighbour/sts"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vectorbucket"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a gateway with the faces over real stores.
type house struct {
	*httptest.Server

	identity *iam.Identity
}

func open(t *testing.T) *house {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	k := kmstest.Open(t, dir, nil)
	h := &house{identity: k.Identity}
	vectors, err := embedded.New(embedded.Config{Dir: filepath.Join(dir, "vectors"), Sealer: k.Sealer})
	check(err)
	buckets, err := vectorbucket.New(ctx, vectorbucket.Config{Store: k.Store, Vectors: vectors, Policies: h.identity, Keys: true})
	check(err)
	v, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: h.identity}})
	check(err)
	n, err := neighbour.New(neighbour.Config{
		Faces:         map[string]any{"s3vectors": &s3vectors.Face{Vectors: buckets}, "kms": &kmsface.Face{Keys: k.Keys}, "sts": &sts.Face{Identity: h.identity}},
		Authenticator: access.Signatures{Verifier: v},
	})
	check(err)
	g := gateway.New(gateway.Config{Authenticator: access.Signatures{Verifier: v}, Neighbours: n})
	h.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		h.Close()
		for _, err := range []error{g.Stop(context.Background()), vectors.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

// run runs a program with an unchanged boto3 that is pointed at the house.
func (h *house) run(t *testing.T, k iam.AccessKey, program ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), outcroptest.PythonWith(t, "boto3"), program...)
	cmd.Env = outcroptest.Client(h.URL, k.ID, k.Secret.Reveal(), "")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return string(out)
}

func TestAProgramWithVectors(t *testing.T) {
	h := open(t)
	k, _ := h.identity.AdminKey()
	if _, err := os.ReadFile("testdata/program.py"); err != nil { // so that a change runs the test again
		t.Fatal(err)
	}
	h.run(t, k, "testdata/program.py")
}

// A user with little may do that little, over the wire.
func TestPoliciesDecideOverTheWire(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	if _, err := h.identity.CreateUser(ctx, iam.DefaultAccount, "u", "/"); err != nil {
		t.Fatal(err)
	}
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3vectors:CreateVectorBucket","s3vectors:GetVectorBucket"],"Resource":"arn:aws:s3vectors:eu-west-3:123456789012:bucket/mine-*"}]}`
	if err := h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: iam.DefaultAccount, Name: "u"}, "p", document); err != nil {
		t.Fatal(err)
	}
	k, err := h.identity.CreateAccessKey(ctx, iam.DefaultAccount, "u")
	if err != nil {
		t.Fatal(err)
	}
	out := h.run(t, k, "-c", `
import boto3
c = boto3.client("s3vectors")
c.create_vector_bucket(vectorBucketName="mine-1")
c.get_vector_bucket(vectorBucketName="mine-1")
for call, kw in [(c.create_vector_bucket, dict(vectorBucketName="yours")), (c.create_vector_bucket, dict(vectorBucketName="mine-2", tags={"a": "b"})),
                 (c.list_vector_buckets, {}), (c.get_vector_bucket, dict(vectorBucketName="not-there")), (c.delete_vector_bucket, dict(vectorBucketName="mine-1"))]:
    try:
        call(**kw)
        print("allowed", kw)
    except c.exceptions.AccessDeniedException as e:
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 403, e.response
        print(e.response["Error"]["Message"])
`)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 5 || strings.Contains(out, "allowed {") ||
		lines[0] != "User: arn:aws:iam::123456789012:user/u is not authorized to perform: s3vectors:CreateVectorBucket on resource: arn:aws:s3vectors:eu-west-3:123456789012:bucket/yours because no identity-based policy allows the s3vectors:CreateVectorBucket action" ||
		!strings.Contains(lines[1], "s3vectors:TagResource") {
		t.Error(out)
	}
}
