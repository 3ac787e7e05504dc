package lifecycle

import "time"

// Timed is a state that holds until another follows by itself. It is computed from the
// instant at which it began, so that no restart strands a resource in a state that
// passes.
type Timed[S ~string] struct {
	Now   S         `json:"now"`
	Since time.Time `json:"since"`
	Then  S         `json:"then,omitempty"` // follows after the transition; "" when Now stays
}

// At is the state at an instant.
func (s Timed[S]) At(now time.Time, transition time.Duration) S {
	if s.Then != "" && now.Sub(s.Since) >= transition {
		return s.Then
	}
	return s.Now
}
