package awsjson

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/kms"
	"github.com/outcrop-dev/outcrop/internal/api/logs"
	"github.com/outcrop-dev/outcrop/internal/api/secretsmanager"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

func fault(err error) *apierr.Error {
	e, _ := errors.AsType[*apierr.Error](err)
	return e
}

func TestTarget(t *testing.T) {
	for header, want := range map[string]string{"TrentService.Encrypt": "Encrypt", "TrentService.": "", "Other.Encrypt": "", "Encrypt": "", "": ""} {
		got, ok := Target(&kms.Service, header)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v", header, got, ok)
		}
	}
}

func TestRequestsAndAnswers(t *testing.T) {
	op := kms.Service.Operation("Encrypt")
	in, err := Decode(&kms.Service, op, []byte(`{"KeyId":"alias/a","Plaintext":"aGk=","EncryptionContext":{"k":"v"},"Unknown":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &kms.EncryptInput{KeyId: "alias/a", Plaintext: []byte("hi"), EncryptionContext: map[string]string{"k": "v"}}
	if d := cmp.Diff(want, in); d != "" {
		t.Error(d)
	}
	at := time.Date(2026, 11, 25, 8, 0, 0, 250e6, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want string
	}{{at, "1795593600.25"}, {at.Truncate(time.Second), "1795593600"}} {
		b, err := Encode(&kms.Service, kms.Service.Operation("ScheduleKeyDeletion"), &kms.ScheduleKeyDeletionOutput{KeyId: new("k"), DeletionDate: &c.at})
		if err != nil || string(b) != `{"DeletionDate":`+c.want+`,"KeyId":"k"}` {
			t.Errorf("%s %v", b, err)
		}
	}
	// An empty body is an empty object.
	if _, err := Decode(&kms.Service, kms.Service.Operation("ListKeys"), nil); err != nil {
		t.Error(err)
	}
}

func TestConstraintsAreNamed(t *testing.T) {
	_, err := Decode(&logs.Service, logs.Service.Operation("CreateLogGroup"), []byte(`{"logGroupName":"a b"}`))
	e := fault(err)
	if e == nil || e.Message != `1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+` {
		t.Fatal(err)
	}
	_, err = Decode(&kms.Service, kms.Service.Operation("Encrypt"), []byte(`{}`))
	e = fault(err)
	if e == nil || e.Message != "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; Value null at 'plaintext' failed to satisfy constraint: Member must not be null" {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	for kind, want := range map[apierr.Kind]Fault{
		"NotFoundException":     {"NotFoundException", 400, "m"},
		"NotFound":              {"NotFoundException", 400, "m"},
		"KMSInternalException":  {"KMSInternalException", 500, "m"},
		apierr.AccessDenied:     {"AccessDeniedException", 400, "m"},
		apierr.Validation:       {"ValidationException", 400, "m"},
		apierr.UnknownOperation: {"UnknownOperationException", 400, "m"},
		apierr.InternalServer:   {"InternalServerException", 500, "m"},
		apierr.NotImplemented:   {"NotImplementedException", 501, "m"},
	} {
		if got := FaultOf(&kms.Service, apierr.New(kind, "m")); got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
	if got := string(EncodeFault(Fault{"X", 400, `a "b"`})); got != `{"__type":"X","message":"a \"b\""}` {
		t.Error(got)
	}
}

// Found by fuzzing so far: nothing.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"KeyId":"a","Plaintext":"aGk=","Tags":[{"TagKey":"a","TagValue":"b"}]}`))
	f.Add([]byte(`{"logGroupName":"x","logEvents":[{"timestamp":1,"message":"m"}],"tags":{"a":"b"}}`))
	f.Add([]byte(`{"SecretId":"s","SecretString":"\ud800","ClientRequestToken":null}`))
	services := []*api.Service{&kms.Service, &logs.Service, &secretsmanager.Service}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, svc := range services {
			for i := range svc.Operations {
				op := &svc.Operations[i]
				in, err := Decode(svc, op, body)
				if err != nil {
					if apierr.KindOf(err) == apierr.InternalServer {
						t.Fatalf("%s: %v", op.Name, err)
					}
					if b := EncodeFault(FaultOf(svc, fault(err))); !json.Valid(b) {
						t.Fatalf("%s: %s", op.Name, b)
					}
				} else if in == nil {
					t.Fatal("neither input nor error")
				}
			}
		}
	})
}
