package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// Step is one line of a table.
type Step[S, E ~string] struct {
	From S
	On   E
	To   S
}

// Table is the life cycle of one resource. It is safe for concurrent use.
type Table[S, E ~string] struct {
	name    string
	initial S
	steps   []Step[S, E]
	next    map[S]map[E]S
	states  []S
}

// New makes a table. It panics when the table contradicts itself (two steps of one
// state and event) or holds a state that nothing leads to: a table is written by
// the program and not by a user.
func New[S, E ~string](name string, initial S, steps []Step[S, E]) *Table[S, E] {
	t := &Table[S, E]{name: name, initial: initial, steps: slices.Clone(steps), next: map[S]map[E]S{}, states: []S{initial}}
	for _, s := range steps {
		if _, twice := t.next[s.From][s.On]; twice {
			panic(fmt.Sprintf("BUG: life cycle %s has two steps from %s on %s", name, s.From, s.On))
		}
		if t.next[s.From] == nil {
			t.next[s.From] = map[E]S{}
		}
		t.next[s.From][s.On] = s.To
	}
	// Breadth first from the initial state: the order of States is the order of life.
	for i := 0; i < len(t.states); i++ {
		for _, s := range steps {
			if s.From == t.states[i] && !slices.Contains(t.states, s.To) {
				t.states = append(t.states, s.To)
			}
		}
	}
	for _, s := range steps {
		if !slices.Contains(t.states, s.From) {
			panic(fmt.Sprintf("BUG: life cycle %s never reaches %s", name, s.From))
		}
	}
	return t
}

// Error is an event that a state does not take.
type Error struct{ Name, State, Event string }

func (e *Error) Error() string {
	return fmt.Sprintf("%s in state %s does not take %s", e.Name, e.State, e.Event)
}

// Next answers the state that follows, or *Error.
func (t *Table[S, E]) Next(state S, event E) (S, error) {
	to, ok := t.next[state][event]
	if !ok {
		return state, &Error{Name: t.name, State: string(state), Event: string(event)}
	}
	return to, nil
}

// Can reports whether a state takes an event.
func (t *Table[S, E]) Can(state S, event E) bool {
	_, ok := t.next[state][event]
	return ok
}

// Initial is the state in which a resource is born.
func (t *Table[S, E]) Initial() S { return t.initial }

// Final reports whether nothing leads out of a state.
func (t *Table[S, E]) Final(state S) bool { return len(t.next[state]) == 0 }

// States are all states, the initial one first.
func (t *Table[S, E]) States() []S { return slices.Clone(t.states) }

// Mermaid draws the table as a Mermaid state diagram.
func (t *Table[S, E]) Mermaid() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stateDiagram-v2\n    [*] --> %s\n", t.initial)
	for _, s := range t.steps {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", s.From, s.To, s.On)
	}
	for _, s := range t.states {
		if t.Final(s) {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	return b.String()
}
