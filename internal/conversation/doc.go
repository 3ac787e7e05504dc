// Package conversation keeps the sessions of agents and of retrieve-and-generate:
// what was said, what is waiting for an answer, and how far a running turn has come.
//
//	room: Begin(key, request) ──▶ Turn ── Intent ─▶ (the world is changed) ─▶ Result ── … ── Finish
//	             │                  │                                                       │
//	   conversation (one row)   conversation_step                              conversation_turn
//
// A session has at most one running turn. The turn writes an intent before it does
// anything that cannot be undone and the result after it, each in a commit of its
// own. A turn whose process died, or that was stopped, goes on after its last
// result when the same request comes again; an intent without a result fails it for
// good, because nobody knows whether the thing was done. A request that is answered
// once (Opening.Once) is answered with the record of its turn ever after.
//
// The contents are opaque here and always sealed, with the owner's customer key if
// it has one. Nothing is kept in memory between turns. Sessions end when they were
// idle for their time to live or are told to; Config.Ended learns of it in the same
// transaction, before the rows are gone.
//
// On SQLite the process owns all turns, so a turn of another process is dead. On
// PostgreSQL a running turn holds a lease that it renews.
//
// Floor 2. It knows no agent and no model, and never calls anything itself.
package conversation
