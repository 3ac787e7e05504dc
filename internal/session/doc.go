// Package session is the Sessions API: a store of conversations for frameworks that
// keep their own state, in three levels.
//
//	session ── invocation ── step: text and images
//	   │
//	ACTIVE ─ EndSession ▶ ENDED ─ DeleteSession ▶ gone
//	   └── idle for an hour ▶ EXPIRED ─ EndSession ▶ ENDED
//
// It has nothing to do with the sessions of InvokeAgent. A session that has ended or
// expired can be read but not added to. All that was put into it is sealed, with the
// customer key that it was made with if there is one; lists show what stands in clear
// and need no key. Lists are the newest first: the frameworks ask for one step and
// mean the last.
//
// Whether a session has expired is computed from its last change, so no timer has to
// run for it. What has not changed for the time of retention is removed by Run.
//
// Floor 4. It reads no image: one in S3 is kept as its address.
package session
