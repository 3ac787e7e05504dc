package plan

import (
	"strconv"
	"testing"
)

// What is used stays, however much else passes; what nobody uses goes.
func TestWhatIsUsedStays(t *testing.T) {
	var c Cache[string, *Plan]
	hot := &Plan{Name: "hot"}
	c.Put("hot", hot)
	for i := range 20 * cacheHalf {
		c.Put(strconv.Itoa(i), &Plan{})
		if p, ok := c.Get("hot"); !ok || p != hot {
			t.Fatalf("a plan in use is gone after %d others", i+1)
		}
		if n := len(c.young) + len(c.old); n > 2*cacheHalf {
			t.Fatalf("%d plans are kept", n)
		}
	}
	if _, ok := c.Get("0"); ok {
		t.Error("a plan that nobody used is kept")
	}
	if _, ok := c.Get(strconv.Itoa(20*cacheHalf - 1)); !ok {
		t.Error("the latest plan is gone")
	}
}
