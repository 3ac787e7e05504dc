package sigv4

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Made by the Python package aws-bedrock-token-generator 1.1.0 with the suite's
// example credentials, without and with a session token.
const (
	madeByPython        = "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbiZYLUFtei1BbGdvcml0aG09QVdTNC1ITUFDLVNIQTI1NiZYLUFtei1DcmVkZW50aWFsPUFLSURFWEFNUExFJTJGMjAyNjExMjUlMkZ1cy13ZXN0LTIlMkZiZWRyb2NrJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjVUMDcyNDU5WiZYLUFtei1FeHBpcmVzPTQzMjAwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCZYLUFtei1TaWduYXR1cmU9NzY1YWU3ZTBiMjAzYTczODdkZWNhYTU0ZjU3MmNlY2U4OTQyMzRhOTA1ODVmNjY1NmIwOWJiNDllNmE0NGFkYSZWZXJzaW9uPTE="
	madeByPythonSession = "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2FsbFdpdGhCZWFyZXJUb2tlbiZYLUFtei1BbGdvcml0aG09QVdTNC1ITUFDLVNIQTI1NiZYLUFtei1DcmVkZW50aWFsPUFTSURFWEFNUExFJTJGMjAyNjExMjUlMkZ1cy13ZXN0LTIlMkZiZWRyb2NrJTJGYXdzNF9yZXF1ZXN0JlgtQW16LURhdGU9MjAyNjExMjVUMDcyNDU5WiZYLUFtei1FeHBpcmVzPTQzMjAwJlgtQW16LVNpZ25lZEhlYWRlcnM9aG9zdCZYLUFtei1TZWN1cml0eS1Ub2tlbj1BUW9EWVhkekVQVCUyRiUyRiUyRiUyRiUyRiUyRiUyRiUyRiUyRiUyRndFWEFNUExFdGM3NjRiTnJDOVNBUEJTTTIydyUyQnglM0QlM0QmWC1BbXotU2lnbmF0dXJlPWU5YTM2Y2FmN2MyZDI5ZWQzNDQyMjBhYzQxZWYwM2RiNWNhNWIzZTU2Njc0YjE1YmUyNTQ2ZjA0MTQ4ZjQ2NDQmVmVyc2lvbj0x"
)

func bearer(t testing.TB, key string) *http.Request {
	t.Helper()
	r := newTestRequest(t, "POST", "http://localhost:4566/model/m/converse", "{}")
	r.Header.Set("Authorization", "Bearer "+key)
	return served(t, r)
}

func TestShortTermKeysOfAWSsOwnGenerator(t *testing.T) {
	made := time.Date(2026, 11, 25, 7, 24, 59, 0, time.UTC)
	keys := keyMap{
		"AKIDEXAMPLE": {Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Principal: "long"},
		"ASIDEXAMPLE": {Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Principal: "session", Temporary: true, TokenSHA256: HashToken("AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22w+x==")},
	}
	at := func(now time.Time, key string) (Result, error) {
		v, err := New(Config{Keys: keys, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return v.Verify(bearer(t, key), Payload{Bytes: []byte("{}")})
	}
	for key, who := range map[string]string{madeByPython: "long", madeByPythonSession: "session"} {
		for _, after := range []time.Duration{0, 12 * time.Hour} {
			res, err := at(made.Add(after), key)
			if err != nil {
				t.Fatal(err)
			}
			if res.Principal != who || res.Form != FormShortTerm || !res.Form.Bearer() || res.Region != "us-west-2" || res.Service != "bedrock" {
				t.Fatalf("%+v", res)
			}
		}
		if sc, ok := ScopeOf(bearer(t, key)); !ok || sc.Region != "us-west-2" || sc.Service != "bedrock" {
			t.Fatalf("ScopeOf: %+v %v", sc, ok)
		}
		_, err := at(made.Add(12*time.Hour+time.Second), key)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != BearerExpired || apierr.KindOf(err) != apierr.AccessDenied {
			t.Fatalf("after twelve hours: %v", err)
		}
		raw, err := base64.StdEncoding.DecodeString(key[len(shortTermPrefix):])
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string][2]string{
			"region":    {"us-west-2", "us-east-1"},
			"action":    {"CallWithBearerToken", "GetCallerIdentity"},
			"expiry":    {"Expires=43200", "Expires=43201"},
			"host":      {"bedrock.amazonaws.com", "sts.amazonaws.com"},
			"service":   {"%2Fbedrock%2F", "%2Fs3%2F"},
			"parameter": {"Action=", "More=1&Action="},
			"headers":   {"SignedHeaders=host", "SignedHeaders=host%3Bx"},
			"key":       {"DEXAMPLE", "DEXAMPLX"},
			"signature": {"Signature=", "Signature=0"},
		} {
			bad := strings.Replace(string(raw), change[0], change[1], 1)
			if bad == string(raw) {
				t.Fatalf("%s was not changed", name)
			}
			_, err := at(made, shortTermPrefix+base64.StdEncoding.EncodeToString([]byte(bad)))
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != BadBearer || e.Message != textBearer {
				t.Errorf("another %s: %v", name, err)
			}
		}
	}
}

func TestShortTermKeysOfOurOwn(t *testing.T) {
	v := verifierAt(t, noon)
	for _, c := range []Credentials{admin, guest} {
		res, err := v.Verify(bearer(t, NewShortTermKey(c, "eu-west-1", noon.Add(-time.Minute), time.Hour)), Payload{})
		if err != nil || res.Region != "eu-west-1" || res.AccessKeyID != c.AccessKeyID {
			t.Fatalf("%v %+v", err, res)
		}
	}
	// A key over an unsigned payload, as some generators make it.
	r := newTestRequest(t, "POST", "https://bedrock.amazonaws.com/?Action=CallWithBearerToken", "")
	u := Presign(r, admin, "us-east-1", "bedrock", noon, time.Hour, UnsignedPayload)
	key := shortTermPrefix + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(u, "https://")+"&Version=1"))
	if _, err := v.Verify(bearer(t, key), Payload{}); err != nil {
		t.Fatal(err)
	}
	// Presigned requests for other purposes, rightly signed, are no keys.
	for name, c := range map[string]struct {
		url, service string
		life         time.Duration
	}{
		"other host":     {"https://sts.amazonaws.com/?Action=CallWithBearerToken", "bedrock", time.Hour},
		"other action":   {"https://bedrock.amazonaws.com/?Action=GetCallerIdentity", "bedrock", time.Hour},
		"two actions":    {"https://bedrock.amazonaws.com/?Action=CallWithBearerToken&Action=X", "bedrock", time.Hour},
		"no action":      {"https://bedrock.amazonaws.com/?", "bedrock", time.Hour},
		"other service":  {"https://bedrock.amazonaws.com/?Action=CallWithBearerToken", "s3", time.Hour},
		"thirteen hours": {"https://bedrock.amazonaws.com/?Action=CallWithBearerToken", "bedrock", 13 * time.Hour},
		"other path":     {"https://bedrock.amazonaws.com/x?Action=CallWithBearerToken", "bedrock", time.Hour},
	} {
		r := newTestRequest(t, "POST", c.url, "")
		u := Presign(r, admin, "us-east-1", c.service, noon, c.life, emptySHA256)
		key := shortTermPrefix + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(u, "https://")+"&Version=1"))
		_, err := v.Verify(bearer(t, key), Payload{})
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != BadBearer {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The life of the session bounds the key's.
	if _, err := verifierAt(t, noon.Add(2*time.Hour)).Verify(bearer(t, NewShortTermKey(guest, "eu-west-1", noon, 12*time.Hour)), Payload{}); err == nil {
		t.Fatal("the key outlived its session")
	}
}

func TestLongTermKeys(t *testing.T) {
	res, err := verifierAt(t, noon).Verify(bearer(t, longTerm), Payload{})
	if err != nil || res.Principal != "bearer" || res.Form != FormLongTerm || res.AccessKeyID != "BedrockAPIKey-abcd-at-123456789012" || res.Region != "" || res.Service != "bedrock" {
		t.Fatalf("%v %+v", err, res)
	}
	if _, ok := ScopeOf(bearer(t, longTerm)); ok {
		t.Fatal("a long-term key has no scope")
	}
	_, err = verifierAt(t, noon.Add(time.Hour)).Verify(bearer(t, longTerm), Payload{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != BearerExpired {
		t.Fatal(err)
	}
	// A session whose token has the form of a bearer key is still a session.
	token := longTermPrefix + base64.StdEncoding.EncodeToString([]byte("ASIAFORGED:x"))
	forged, err := New(Config{Keys: keyMap{"ASIAFORGED": {Secret: "s", Temporary: true, TokenSHA256: HashToken(token)}}, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forged.Verify(bearer(t, token), Payload{}); err == nil {
		t.Fatal("a session token opened as a bearer key")
	}
	encode := func(s string) string { return longTermPrefix + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, key := range map[string]string{
		"other secret":       encode("BedrockAPIKey-abcd-at-123456789012:secrex"),
		"unknown":            encode("BedrockAPIKey-zzzz-at-123456789012:secret"),
		"no secret":          encode("BedrockAPIKey-abcd-at-123456789012:"),
		"an access key's id": encode(admin.AccessKeyID + ":" + admin.SecretAccessKey),
		"no base64":          "ABSK!!!!",
		"prefix alone":       "ABSK",
		"nothing":            "",
		"huge":               "ABSK" + strings.Repeat("A", maxBearer),
	} {
		_, err := verifierAt(t, noon).Verify(bearer(t, key), Payload{})
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != BadBearer || e.Message != textBearer {
			t.Errorf("%s: %v", name, err)
		}
	}
}
