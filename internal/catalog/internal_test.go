package catalog

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

type oneModel struct{}

func (oneModel) Models(context.Context) ([]engine.Info, error) {
	return []engine.Info{{Name: "m", Kind: engine.Chat}}, nil
}

func TestStrangersCannotGrowTheMemory(t *testing.T) {
	c, err := New(Config{Engine: oneModel{}, Store: storetest.New(t), Refresh: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c.access.rows = map[accessKey]cachedRow{}
	for i := range maxFound {
		c.access.rows[accessKey{model: fmt.Sprint(i)}] = cachedRow{}
	}
	ctx := call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"})
	keep := c.store
	c.store = nil // the database is not what this is about
	for i := range maxFound + 10 {
		if i == maxFound {
			c.store = keep
		}
		if _, err := c.Resolve(ctx, fmt.Sprintf("qwen.q-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.ruled); n > maxFound {
		t.Errorf("%d ids of rules are kept", n)
	}
	if n := len(c.found); n > maxFound {
		t.Errorf("%d targets are kept", n)
	}
	if n := len(c.access.rows); n > maxFound {
		t.Errorf("%d rows are kept", n)
	}
}

// A row that was read before a change and arrives after it must not be believed.
func TestAnOldRowDoesNotHideAChange(t *testing.T) {
	s := storetest.New(t)
	c, err := New(Config{Engine: oneModel{}, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	k := accessKey{"123456789012", "us-east-1", "meta.llama2-13b-chat-v1"}
	err = s.View(t.Context(), func(old *store.Tx) error {
		// This instant of the database ends before the change.
		if _, err := readAccess(old, k); err != nil {
			return err
		}
		c.access.mu.RLock()
		gen := c.access.gen
		c.access.mu.RUnlock()
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			return c.change(tx, k, ended, access{}, agreement{})
		})
		if err != nil {
			return err
		}
		c.access.mu.RLock()
		defer c.access.mu.RUnlock()
		if c.access.gen == gen {
			t.Error("a change leaves no mark for readers under way")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	row, err := c.access.get(t.Context(), s, k)
	if err != nil || row.status != ended {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*a", "ba", true}, {"*a", "ab", false}, {"*", "", true},
		{"a*b*c", "a1b2c", true}, {"a*b*c", "a1c2b", false}, {"a*a", "a", false}, {"a**b", "ab", true}, {"a.*", "aX", false}, {"", "", true}, {"", "a", false},
	} {
		if got := glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("glob(%q, %q) is %v", tt.pattern, tt.s, got)
		}
	}
}

// Each listed id would be read rightly by the rules too, so that an id that comes
// tomorrow is: family and kind agree.
func TestTablesAndRulesAgree(t *testing.T) {
	for _, m := range append(append([]Model{}, guideModels...), todaysModels...) {
		e, err := prepare(m)
		if err != nil {
			t.Fatal(err)
		}
		matched := false
		for _, r := range rules {
			if !glob(r.Pattern, m.ID) {
				continue
			}
			matched = true
			got, err := r.apply(m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.Family != e.Family || got.Kind != e.Kind {
				t.Errorf("%s is %s for %s in the table, %s for %s by rule %s", m.ID, e.Family, e.Kind, got.Family, got.Kind, r.Pattern)
			}
			break
		}
		if !matched {
			t.Errorf("no rule knows %s", m.ID)
		}
	}
}
