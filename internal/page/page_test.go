package page

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
)

func TestClamp(t *testing.T) {
	for in, want := range map[int]int{-1: Default, 0: Default, 1: 1, 10: 10, Max: Max, Max + 1: Max} {
		if got := Clamp(in); got != want {
			t.Errorf("Clamp(%d) = %d, want %d", in, got, want)
		}
		if got := Size(new(int32(in))); got != want {
			t.Errorf("Size(%d) = %d, want %d", in, got, want)
		}
	}
	if Size(nil) != Default {
		t.Error("a size that is left out is not the default")
	}
}

func signer(t testing.TB, b byte) Signer {
	t.Helper()
	s, err := NewSigner(bytes.Repeat([]byte{b}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSigner(t *testing.T) {
	s := signer(t, 1)
	token := s.Seal([]byte("binding"), []byte("payload"))
	if got, err := s.Open([]byte("binding"), token); err != nil || string(got) != "payload" {
		t.Fatalf("opened %q, %v", got, err)
	}
	// Moving a byte between binding and payload must not give the same sum.
	moved := s.Seal([]byte("bindingp"), []byte("ayload"))
	for name, c := range map[string]struct {
		s       Signer
		binding string
		token   string
	}{
		"another key":     {signer(t, 2), "binding", token},
		"another binding": {s, "bindinG", token},
		"moved byte":      {s, "binding", moved},
		"zero signer":     {Signer{}, "binding", token},
		"empty":           {s, "binding", ""},
		"cut":             {s, "binding", token[:len(token)-2]},
		"a line end":      {s, "binding", token + "\n"},
		"not base64":      {s, "binding", "%%%"},
	} {
		if got, err := c.s.Open([]byte(c.binding), c.token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: opened %q, %v", name, got, err)
		}
	}
	if _, err := NewSigner(nil); err == nil {
		t.Error("a signer without a key was made")
	}
}

func FuzzOpen(f *testing.F) {
	s := signer(f, 1)
	good := s.Seal([]byte("b"), []byte(`{"v":"1","i":"x"}`))
	f.Add(good)
	f.Add("")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 33)))
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := s.Open([]byte("b"), token); err == nil && token != good {
			t.Errorf("forged token %q gives %q", token, got)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := signer(b, 1)
	token := s.Seal([]byte("binding"), []byte("payload"))
	for b.Loop() {
		if _, err := s.Open([]byte("binding"), token); err != nil {
			b.Fatal(err)
		}
	}
}
