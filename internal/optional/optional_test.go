package optional_test

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/optional"
)

func TestMembersGoThereAndBack(t *testing.T) {
	if optional.Of("") != nil || optional.Of(0) != nil || optional.Value[string](nil) != "" {
		t.Error("what is left out is not the zero value")
	}
	for _, s := range []string{"a", " ", "0"} {
		if got := optional.Value(optional.Of(s)); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	v := "x"
	if p := optional.Of(v); p == &v {
		t.Error("the pointer is the caller's variable")
	}
}
