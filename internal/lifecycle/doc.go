// Package lifecycle holds life cycles as tables: a state and an event give a state.
//
//	var guardrail = lifecycle.New("guardrail", Creating, []lifecycle.Step[State, Event]{
//		{From: Creating, On: Made, To: Ready},
//		{From: Ready, On: Delete, To: Deleting},
//	})
//
// One table per resource stands next to its noun; the code asks it (Next), the docs
// draw it (Mermaid).
//
// Floor 0. It stores nothing, waits for nothing and starts nothing.
package lifecycle
