package kms_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms/kmstest"
	"github.com/outcrop-dev/outcrop/internal/logs"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	kmsface "github.com/outcrop-dev/outcrop/internal/neighbour/kms"
	logsface "github.com/outcrop-dev/outcrop/internal/neighbour/logs"
	"github.com/outcrop-dev/outcrop/internal/neighbour/secretsmanager"
	"github.com/outcrop-dev/outcrop/internal/neighbour/sts"
	"github.com/outcrop-dev/outcrop/internal/secret"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a gateway with the three faces over one store.
type house struct {
	*httptest.Server

	identity *iam.Identity
}

func open(t *testing.T) *house {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	k := kmstest.Open(t, t.TempDir(), nil)
	h := &house{identity: k.Identity}
	secrets, err := secret.New(secret.Config{Store: k.Store, Policies: h.identity, Keys: k.Keys})
	check(err)
	lines, err := logs.New(logs.Config{Store: k.Store, Sealer: k.Sealer, Keys: k.Keys})
	check(err)
	v, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: h.identity}})
	check(err)
	n, err := neighbour.New(neighbour.Config{
		Faces: map[string]any{
			"kms": &kmsface.Face{Keys: k.Keys}, "secretsmanager": &secretsmanager.Face{Secrets: secrets}, "logs": &logsface.Face{Logs: lines},
			"sts": &sts.Face{Identity: h.identity},
		},
		Authenticator: access.Signatures{Verifier: v}, Authorizer: access.Permissions{Identity: h.identity},
	})
	check(err)
	g := gateway.New(gateway.Config{Authenticator: access.Signatures{Verifier: v}, Neighbours: n})
	h.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		h.Close()
		for _, err := range []error{g.Stop(context.Background()), lines.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

// run runs a program with an unchanged boto3 that is pointed at the house.
func (h *house) run(t *testing.T, k iam.AccessKey, program ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), outcroptest.PythonWith(t, "boto3"), program...)
	cmd.Env = outcroptest.Client(h.URL, k.ID, k.Secret.Reveal(), "")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAProgramWithKeysSecretsAndLogs(t *testing.T) {
	h := open(t)
	k, _ := h.identity.AdminKey()
	h.run(t, k, "testdata/program.py")
}

// A user with little may do that little, whatever the protocol asks besides.
func TestPoliciesDecideOverTheWire(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	admin, _ := h.identity.AdminKey()
	h.run(t, admin, "-c", `
import boto3
k = boto3.client("kms"); l = boto3.client("logs"); s = boto3.client("secretsmanager")
k.create_alias(AliasName="alias/k", TargetKeyId=k.create_key()["KeyMetadata"]["KeyId"])
for g in "open", "closed":
    l.create_log_group(logGroupName=g); l.create_log_stream(logGroupName=g, logStreamName="s")
    s.create_secret(Name=g, SecretString="x")
`)
	if _, err := h.identity.CreateUser(ctx, iam.DefaultAccount, "u", "/"); err != nil {
		t.Fatal(err)
	}
	statements := []string{
		`{"Effect":"Allow","Action":["logs:PutLogEvents","logs:GetLogEvents"],"Resource":"arn:aws:logs:*:*:log-group:open:log-stream:s"}`,
		`{"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"arn:aws:logs:*:*:log-group:open:*"}`,
		`{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:a":"b"}}}`,
		`{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:*:*:secret:open-??????"}`,
	}
	document := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	if err := h.identity.PutInlinePolicy(ctx, iam.Holder{Kind: iam.UserHolder, Account: iam.DefaultAccount, Name: "u"}, "p", document); err != nil {
		t.Fatal(err)
	}
	k, err := h.identity.CreateAccessKey(ctx, iam.DefaultAccount, "u")
	if err != nil {
		t.Fatal(err)
	}
	h.run(t, k, "-c", fmt.Sprintf(`
import boto3, time
from botocore.exceptions import ClientError
k = boto3.client("kms"); l = boto3.client("logs"); s = boto3.client("secretsmanager")
account = %q
def refused(text, call, **kw):
    try: call(**kw)
    except ClientError as e:
        got = e.response["Error"]
        assert got["Code"] == "AccessDeniedException", got
        assert got["Message"] == text, (text, got)
        return
    raise AssertionError("not refused: " + text)
me = f"User: arn:aws:iam::{account}:user/u is not authorized to perform: "
why = lambda a: f" because no identity-based policy allows the {a} action"
ev = [{"timestamp": int(time.time()*1000), "message": "m"}]
l.put_log_events(logGroupName="open", logStreamName="s", logEvents=ev)
assert len(l.get_log_events(logGroupName="open", logStreamName="s")["events"]) == 1
assert len(l.get_log_events(logGroupIdentifier=f"arn:aws:logs:eu-west-3:{account}:log-group:open", logStreamName="s")["events"]) == 1
assert len(l.filter_log_events(logGroupIdentifier=f"arn:aws:logs:eu-west-3:{account}:log-group:open")["events"]) == 1
at = f"arn:aws:logs:eu-west-3:{account}:log-group:closed:log-stream:s"
refused(me + "logs:PutLogEvents on resource: " + at + why("logs:PutLogEvents"), l.put_log_events, logGroupName="closed", logStreamName="s", logEvents=ev)
at = f"arn:aws:logs:eu-west-3:{account}:log-group::log-stream:"
refused(me + "logs:DescribeLogGroups on resource: " + at + why("logs:DescribeLogGroups"), l.describe_log_groups)
k.encrypt(KeyId="alias/k", Plaintext=b"x", EncryptionContext={"a": "b"})
try: k.encrypt(KeyId="alias/k", Plaintext=b"x")
except ClientError as e: assert e.response["Error"]["Message"].startswith(me + "kms:Encrypt on resource: arn:aws:kms:eu-west-3:" + account + ":key/"), e
else: raise AssertionError("encrypted without the context")
refused(me + "kms:ListKeys" + why("kms:ListKeys"), k.list_keys)
assert s.get_secret_value(SecretId="open")["SecretString"] == "x"
try: s.get_secret_value(SecretId="closed")
except ClientError as e: assert e.response["Error"]["Code"] == "AccessDeniedException", e
else: raise AssertionError("read a closed secret")
`, iam.DefaultAccount))
}
