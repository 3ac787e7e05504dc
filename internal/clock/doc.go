// Package clock is the service clock: wall time plus an offset, or standing still.
// Life cycles and times to live are measured with it, so that a test or an operator
// can look at next year's model retirements today.
//
//	room, store.Tx.Now ──▶ Clock.Now ──▶ wall clock + offset | frozen instant
//
// Signatures and leases never use it: those are the wall clock's.
//
// Floor 0. It starts no timer and moves only when it is told to.
package clock
