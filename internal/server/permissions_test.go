package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// What a request brings and what a resource carries decides: tags of the request,
// tags of the resource, and the profile through which a model is called.
func TestConditionsOfRequestsAndResourcesDecide(t *testing.T) {
	s, err := Open(t.Context(), Options{Config: settings(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.identity.CreateUser(t.Context(), iam.DefaultAccount, "guest", "/"); err != nil {
		t.Fatal(err)
	}
	err = s.identity.PutInlinePolicy(t.Context(), iam.Holder{Kind: iam.UserHolder, Account: iam.DefaultAccount, Name: "guest"}, "p", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"bedrock:CreateInferenceProfile","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"rock"},"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}},
		{"Effect":"Allow","Action":["bedrock:GetInferenceProfile","bedrock:ListTagsForResource"],"Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"rock"}}},
		{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"*","Condition":{"ArnLike":{"bedrock:InferenceProfileArn":"arn:aws:bedrock:*:*:application-inference-profile/*"}}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := s.identity.CreateAccessKey(t.Context(), iam.DefaultAccount, "guest")
	if err != nil {
		t.Fatal(err)
	}
	admin, _ := s.identity.AdminKey()
	ask := func(k iam.AccessKey, method, path, body string) (int, string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		sigv4.Sign(r, sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret.Reveal()}, "us-east-1", "bedrock", time.Now(), sigv4.HashPayload([]byte(body)))
		w := httptest.NewRecorder()
		s.handlers[0].ServeHTTP(w, r)
		b, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(b)
	}
	profile := func(k iam.AccessKey, name, tags string) (int, string) {
		t.Helper()
		return ask(k, http.MethodPost, "/inference-profiles", `{"inferenceProfileName":"`+name+`","modelSource":{"copyFrom":"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"}`+tags+`}`)
	}
	arnOf := func(body string) string {
		t.Helper()
		_, rest, ok := strings.Cut(body, `"inferenceProfileArn":"`)
		if !ok {
			t.Fatalf("no ARN in %s", body)
		}
		arn, _, _ := strings.Cut(rest, `"`)
		return arn
	}
	for _, tc := range []struct {
		name, tags string
		want       int
	}{
		{"without the tag", "", 403},
		{"with another value", `,"tags":[{"key":"team","value":"sand"}]`, 403},
		{"with a key that is not allowed", `,"tags":[{"key":"team","value":"rock"},{"key":"x","value":"y"}]`, 403},
		{"with the tag", `,"tags":[{"key":"team","value":"rock"}]`, 201},
	} {
		if code, body := profile(guest, "g", tc.tags); code != tc.want {
			t.Errorf("create %s: got %d %s, want %d", tc.name, code, body, tc.want)
		}
	}
	_, rock := profile(admin, "a", `,"tags":[{"key":"team","value":"rock"}]`)
	_, sand := profile(admin, "b", `,"tags":[{"key":"team","value":"sand"}]`)
	for body, want := range map[string]int{rock: 200, sand: 403} {
		if code, got := ask(guest, http.MethodPost, "/listTagsForResource", `{"resourceARN":"`+arnOf(body)+`"}`); code != want {
			t.Errorf("tags of %s: got %d %s, want %d", arnOf(body), code, got, want)
		}
	}
	converse := func(id string) int {
		t.Helper()
		code, _ := ask(guest, http.MethodPost, "/model/"+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(id)+"/converse", `{"messages":[{"role":"user","content":[{"text":"hello"}]}]}`)
		return code
	}
	if got := converse(arnOf(rock)); got != 200 {
		t.Errorf("through a profile: got %d", got)
	}
	if got := converse("anthropic.claude-3-haiku-20240307-v1:0"); got != 403 {
		t.Errorf("without a profile: got %d, want 403", got)
	}
}
