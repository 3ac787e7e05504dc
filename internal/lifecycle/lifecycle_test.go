package lifecycle

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type state string

type event string

func door() *Table[state, event] {
	return New("door", state("CLOSED"), []Step[state, event]{
		{"CLOSED", "open", "OPEN"},
		{"OPEN", "close", "CLOSED"},
		{"CLOSED", "brick", "WALL"},
	})
}

func TestNext(t *testing.T) {
	d := door()
	for _, c := range []struct {
		from state
		on   event
		want state
	}{{"CLOSED", "open", "OPEN"}, {"OPEN", "close", "CLOSED"}, {"CLOSED", "brick", "WALL"}, {"OPEN", "brick", ""}, {"WALL", "open", ""}, {"NONE", "open", ""}} {
		got, err := d.Next(c.from, c.on)
		if c.want == "" {
			e, ok := errors.AsType[*Error](err)
			if !ok || got != c.from || d.Can(c.from, c.on) || *e != (Error{"door", string(c.from), string(c.on)}) {
				t.Errorf("%s on %s: %s, %v; want a refusal that leaves the state", c.from, c.on, got, err)
			}
			continue
		}
		if err != nil || got != c.want || !d.Can(c.from, c.on) {
			t.Errorf("%s on %s: %s, %v; want %s", c.from, c.on, got, err, c.want)
		}
	}
	if d.Final("OPEN") || !d.Final("WALL") || d.Initial() != "CLOSED" || !slices.Equal(d.States(), []state{"CLOSED", "OPEN", "WALL"}) {
		t.Errorf("states %v", d.States())
	}
}

func TestMermaid(t *testing.T) {
	want := `stateDiagram-v2
    [*] --> CLOSED
    CLOSED --> OPEN: open
    OPEN --> CLOSED: close
    CLOSED --> WALL: brick
    WALL --> [*]
`
	if d := cmp.Diff(want, door().Mermaid()); d != "" {
		t.Error(d)
	}
}

func TestContradictionsPanic(t *testing.T) {
	for name, steps := range map[string][]Step[state, event]{
		"two steps":   {{"A", "x", "B"}, {"A", "x", "C"}},
		"unreachable": {{"A", "x", "B"}, {"C", "x", "A"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			New("bad", "A", steps)
		})
	}
}
