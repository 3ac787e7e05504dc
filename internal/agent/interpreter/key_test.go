package interpreter

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/kms/kmstest"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
	"github.com/outcrop-dev/outcrop/internal/store"
)

const agentARN = "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001"

// vault is an Interpreter whose store has a key service, and a customer key that may
// be used for one agent's records alone.
type vault struct {
	*Interpreter
	dir   string
	store *store.Store
	keys  *kms.Service
	admin kms.Caller
	key   string
	ctx   context.Context
	runs  int
}

func openVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{dir: t.TempDir()}
	h := kmstest.Open(t, v.dir, nil)
	v.store, v.keys, v.admin = h.Store, h.Keys, h.Admin("us-east-1")
	k, err := v.keys.CreateKey(t.Context(), v.admin, kms.CreateKeyInput{Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:aws:bedrock:arn":"` + agentARN + `"}}},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + iam.DefaultAccount + `:user/admin"},"Action":["kms:Create*","kms:Put*","kms:Enable*","kms:Disable*","kms:Describe*"],"Resource":"*"}]}`})
	if err != nil {
		t.Fatal(err)
	}
	v.key, v.ctx = k.ARN(), call.With(t.Context(), &call.Call{Account: iam.DefaultAccount, Region: "us-east-1", Service: "bedrock-agent-runtime", Caller: v.admin.Principal})
	v.Interpreter = New(Config{Store: v.store, Start: func(ctx context.Context, s sandbox.Spec) (*sandbox.Process, error) {
		v.runs++
		return sandbox.Start(ctx, s)
	}})
	return v
}

// The files of an agent with a customer key are sealed by that key, in the agent's
// encryption context: without it nothing is run, and no byte of them can be read.
func TestFilesAreSealedByTheAgentsKey(t *testing.T) {
	v := openVault(t)
	const canary = "zebra-crossing-at-midnight"
	c := code("print(open('in.txt').read())", turn.File{Name: "in.txt", Type: "text/plain", Data: []byte(canary)})
	c.Agent, c.Key = agentARN, v.key
	execute := func() (*turn.Outcome, error) { return v.Execute(v.ctx, c) }
	if o, err := execute(); err != nil || !strings.Contains(o.Output, canary) {
		t.Fatalf("%v %+v", err, o)
	}
	c.Files = nil
	if o, err := execute(); err != nil || !strings.Contains(o.Output, canary) {
		t.Fatalf("the file does not live on: %v %+v", err, o)
	}
	err := v.store.View(t.Context(), func(tx *store.Tx) error {
		rec, err := folders.Head(tx, keyOf(c.Account, c.Region, c.Session))
		if err == nil && rec.KeyARN != v.key {
			t.Errorf("the files are sealed by %q", rec.KeyARN)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := holding(t, v.dir, canary); len(found) > 0 {
		t.Errorf("the text of a file stands in %v", found)
	}

	if err := v.keys.SetEnabled(t.Context(), v.admin, v.key, false); err != nil {
		t.Fatal(err)
	}
	ran := v.runs
	if _, err := execute(); apierr.KindOf(err) != apierr.AccessDenied || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("a disabled key: %v", err)
	}
	if v.runs != ran {
		t.Error("code was run over files that could not be opened")
	}
	if err := v.keys.SetEnabled(t.Context(), v.admin, v.key, true); err != nil {
		t.Fatal(err)
	}
	if o, err := execute(); err != nil || !strings.Contains(o.Output, canary) {
		t.Errorf("enabled again: %v %+v", err, o)
	}

	// The key's policy knows this agent's context alone.
	other := c
	other.Agent, other.Session = "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00002", "B/B/s"
	other.Text = "open('out.txt', 'w').write('x')"
	if _, err := v.Execute(v.ctx, other); apierr.KindOf(err) != apierr.AccessDenied {
		t.Errorf("in the context of another agent: %v", err)
	}

	// A key that the agent was given later seals what was there before.
	later := code("open('late.txt', 'w').write('" + canary + "')")
	later.Session, later.Agent = "C/B/s", agentARN
	if _, err := v.Execute(v.ctx, later); err != nil {
		t.Fatal(err)
	}
	later.Key, later.Text = v.key, "print(1)"
	if _, err := v.Execute(v.ctx, later); err != nil {
		t.Fatal(err)
	}
	if err := v.keys.SetEnabled(t.Context(), v.admin, v.key, false); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Execute(v.ctx, later); apierr.KindOf(err) != apierr.AccessDenied {
		t.Errorf("a key that came later: %v", err)
	}
	// A session is swept and forgotten without its key.
	if err := v.store.Update(t.Context(), func(tx *store.Tx) error { return Forget(tx, later.Account, later.Region, later.Session) }); err != nil {
		t.Error(err)
	}
}

// holding are the files below dir that hold a text.
func holding(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
