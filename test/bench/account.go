package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// signed is the head of a request, ready for the wire.
func (s *server) signed(method, service, path string, header http.Header, hash string, length int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.addr+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	r.ContentLength = length
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	cred := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret}
	if err := signer.SignHTTP(context.Background(), cred, r, hash, service, "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, r.URL.RequestURI(), s.addr, length)
	if err := r.Header.WriteSubset(&b, map[string]bool{"Content-Length": true}); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// ask sends one signed request and reads its JSON answer into out, if any.
func (s *server) ask(method, service, path string, body []byte, out any) error {
	sum := sha256.Sum256(body)
	kind := "application/json"
	if service == "iam" {
		kind = "application/x-www-form-urlencoded"
	}
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+s.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	cred := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret}
	if err := signer.SignHTTP(context.Background(), cred, r, hex.EncodeToString(sum[:]), service, "us-east-1", time.Now()); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 || resp.Header.Get("X-Amz-Function-Error") != "" {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// each runs f in rounds of n and answers the median time of one call.
func each(n int, f func(i int) error) (time.Duration, error) {
	const rounds = 7
	var took []time.Duration
	for r := range rounds {
		start := time.Now()
		for i := range n {
			if err := f(r*n + i); err != nil {
				return 0, err
			}
		}
		took = append(took, time.Since(start)/time.Duration(n))
	}
	return median(took), nil
}

// measureDecisions times the two checks of every request, in this process: a
// decision over ten policies of twenty statements, of which the last allows, and
// the signature of different requests.
func measureDecisions(t *table) error {
	ctx := context.Background()
	const account = "123456789012"
	identity, err := iam.New(ctx, iam.Config{Store: &iam.MemoryStore{}, Account: account})
	if err != nil {
		return err
	}
	if _, err := identity.CreateUser(ctx, account, "bench", ""); err != nil {
		return err
	}
	key, err := identity.CreateAccessKey(ctx, account, "bench")
	if err != nil {
		return err
	}
	credential, _ := identity.Credential(key.ID)
	for p := range 10 {
		var statements []string
		for i := range 20 {
			// Like policies that people write: globs, conditions, one of them a near miss.
			resource := fmt.Sprintf("arn:aws:bedrock:*::foundation-model/vendor%d.model-%d*", p, i)
			if p == 9 && i == 19 {
				resource = "arn:aws:bedrock:*::foundation-model/anthropic.claude*"
			}
			statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":["bedrock:InvokeModel*","bedrock:Get*"],"Resource":%q,"Condition":{"StringEquals":{"aws:RequestedRegion":["us-east-1","us-west-2"]}}}`, resource))
		}
		doc := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
		m, err := identity.CreatePolicy(ctx, iam.PolicyInput{Account: account, Name: fmt.Sprintf("p%d", p), Document: doc})
		if err != nil {
			return fmt.Errorf("policy %d: %w", p, err)
		}
		if err := identity.AttachUserPolicy(ctx, account, "bench", identity.Snapshot().PolicyARN(m)); err != nil {
			return err
		}
	}
	keys := map[string][]string{"aws:SourceIp": {"127.0.0.1"}, "aws:UserAgent": {"bench"}, "aws:RequestedRegion": {"us-east-1"}}
	models := [...]string{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-4"}
	decide, err := each(20_000, func(i int) error {
		return identity.Authorize(ctx, credential.Principal, "bedrock:InvokeModel", models[i%len(models)], keys)
	})
	if err != nil {
		return fmt.Errorf("the last statement does not allow: %w", err)
	}
	if err := identity.Authorize(ctx, credential.Principal, "bedrock:InvokeModel", "arn:aws:bedrock:us-east-1::foundation-model/other", keys); err == nil {
		return fmt.Errorf("what no statement allows is allowed")
	}
	t.row("IAM: a decision over 10 policies of 20 statements", "", us(decide), "", "≤ 20 µs", decide <= 20*time.Microsecond)

	verifier, err := sigv4.New(sigv4.Config{Keys: oneKey{credential}})
	if err != nil {
		return err
	}
	const n = 2000
	reqs, bodies := make([]*http.Request, 7*n), make([][]byte, 7*n)
	signer := v4.NewSigner()
	for i := range reqs {
		bodies[i] = fmt.Appendf(nil, `{"messages":[{"role":"user","content":[{"text":"hello %d"}]}],"inferenceConfig":{"maxTokens":64}}`, i)
		r := httptest.NewRequest("POST", "http://127.0.0.1:4580/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse", bytes.NewReader(bodies[i]))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Amz-Sdk-Invocation-Id", fmt.Sprintf("%032x", i))
		sum := sha256.Sum256(bodies[i])
		if err := signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret.Reveal()}, r, hex.EncodeToString(sum[:]), "bedrock", "us-east-1", time.Now()); err != nil {
			return err
		}
		reqs[i] = r
	}
	verify, err := each(n, func(i int) error {
		_, err := verifier.Verify(reqs[i], sigv4.Payload{Bytes: bodies[i]})
		return err
	})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	reqs[0].Header.Set("Content-Type", "text/plain")
	if _, err := verifier.Verify(reqs[0], sigv4.Payload{Bytes: bodies[0]}); err == nil {
		return fmt.Errorf("a changed request passes")
	}
	t.row("SigV4: a request verified", "", us(verify), "", "≤ 20 µs", verify <= 20*time.Microsecond)
	return nil
}

type oneKey struct{ c iam.Credential }

func (k oneKey) Lookup(_ context.Context, id string) (sigv4.Key, error) {
	if id != k.c.ID {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{Secret: k.c.Secret.Reveal(), Principal: k.c.Principal}, nil
}

const handler = "def handler(event, context):\n    return {'n': event['n']}\n"

// measureLambda makes a function over the wire, as a program does, and calls it:
// warm, and with the first call after each change of its configuration, which
// ends its instances.
func measureLambda(t *table, s *server) error {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	form := url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"bench"}, "AssumeRolePolicyDocument": {trust}}
	if err := s.ask("POST", "iam", "/", []byte(form.Encode()), nil); err != nil {
		return err
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	w, err := z.Create("app.py")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, handler); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	const functions = "/2015-03-31/functions"
	body, err := json.Marshal(map[string]any{
		"FunctionName": "bench", "Runtime": "python3.12", "Handler": "app.handler", "Role": "arn:aws:iam::123456789012:role/bench",
		"Timeout": 30, "Code": map[string]any{"ZipFile": archive.Bytes()},
	})
	if err != nil {
		return err
	}
	if err := s.ask("POST", "lambda", functions, body, nil); err != nil {
		return err
	}
	call := func(n int) (time.Duration, error) {
		var got struct{ N int }
		start := time.Now()
		err := s.ask("POST", "lambda", functions+"/bench/invocations", fmt.Appendf(nil, `{"n":%d}`, n), &got)
		if err == nil && got.N != n {
			err = fmt.Errorf("the function answers %d to %d", got.N, n)
		}
		return time.Since(start), err
	}
	ready := func() error {
		for range 300 {
			var got struct{ State, LastUpdateStatus string }
			if err := s.ask("GET", "lambda", functions+"/bench/configuration", nil, &got); err != nil {
				return err
			}
			if got.State == "Active" && got.LastUpdateStatus == "Successful" {
				return nil
			}
			time.Sleep(20 * time.Millisecond)
		}
		return fmt.Errorf("the function does not become active")
	}
	if err := ready(); err != nil {
		return err
	}
	// What python3 names may be a script that looks for the real one.
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return fmt.Errorf("find the interpreter: %w", err)
	}
	var cold, alone []time.Duration
	for i := range 9 {
		env := fmt.Appendf(nil, `{"Environment":{"Variables":{"ROUND":"%d"}}}`, i)
		if err := s.ask("PUT", "lambda", functions+"/bench/configuration", env, nil); err != nil {
			return err
		}
		if err := ready(); err != nil {
			return err
		}
		start := time.Now()
		if err := exec.Command(strings.TrimSpace(string(python)), "-c", "pass").Run(); err != nil {
			return fmt.Errorf("start the interpreter: %w", err)
		}
		alone = append(alone, time.Since(start))
		took, err := call(i)
		if err != nil {
			return err
		}
		cold = append(cold, took)
	}
	var warm []time.Duration
	for i := range 2000 {
		took, err := call(i)
		if err != nil {
			return err
		}
		warm = append(warm, took)
	}
	t.row("Lambda: a warm call over the wire, p50", "", ms(median(warm)), "", "≤ 1 ms", median(warm) <= time.Millisecond)
	t.row("Lambda: the same, p99", "", ms(quantile(warm, 0.99)), "", "", true)
	over := median(cold) - median(alone)
	t.row("Lambda: a cold call, p50 of 9 (alone: python -c pass)", ms(median(alone)), ms(median(cold)), "added "+ms(over), "≤ 100 ms added", over <= 100*time.Millisecond)
	return nil
}

func us(d time.Duration) string { return fmt.Sprintf("%.2f µs", float64(d)/1e3) }
