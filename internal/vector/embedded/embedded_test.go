package embedded

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, dir := range benchFolders {
			_ = os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// sealer is the store's own, which kms takes the place of in the product.
func sealer(t testing.TB) vector.Sealer {
	t.Helper()
	s, err := store.NewLocalSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, c Config) *Store {
	t.Helper()
	if c.Sealer == nil {
		c.Sealer = sealer(t)
	}
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func define(dim int) vector.Definition {
	return vector.Definition{Name: vector.Name{Account: "123456789012", Region: "us-east-1", ID: "KB1"}, Dimension: dim, Metric: vector.Cosine, Model: "m"}
}

func create(t testing.TB, s *Store, d vector.Definition) *Index {
	t.Helper()
	x, err := s.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x.(*Index)
}

func TestConformance(t *testing.T) {
	vectortest.Run(t, func(t *testing.T, _ vector.Definition) vectortest.Place {
		dir := t.TempDir()
		return func(t *testing.T) vector.Store {
			s, err := New(Config{Dir: dir, Sealer: sealer(t)})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

// switched is a sealer whose customer key can be turned off, and that counts who asks.
type switched struct {
	vector.Sealer
	off   bool
	opens int
}

var errOff = errors.New("the key is disabled")

func (s *switched) Seal(ctx context.Context, keyARN string, aad, plain []byte) ([]byte, error) {
	if keyARN != "" && s.off {
		return nil, errOff
	}
	return s.Sealer.Seal(ctx, "", append([]byte(keyARN), aad...), plain)
}

func (s *switched) Open(ctx context.Context, keyARN string, aad, sealed []byte) ([]byte, error) {
	s.opens++
	if keyARN != "" && s.off {
		return nil, errOff
	}
	return s.Sealer.Open(ctx, "", append([]byte(keyARN), aad...), sealed)
}
