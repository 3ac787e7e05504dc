// Package gate holds back the head of a stream until its first event, so that what fails
// before it is a plain HTTP error; but not for longer than a while, because clients give
// up on a silent connection (docs/decisions/0005).
//
//	New(after, open) ── Enter, before each event ──▶ open, once ◀── the timer, when nothing came
//	                    Close, at the end: nobody but the caller writes after it
//
// Floor 0. It writes nothing itself and knows no protocol.
package gate
