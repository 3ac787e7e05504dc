// Package agent is the room of agents: it invokes those that were built and those
// that come with the request.
//
//	InvokeAgent ── alias ──▶ plan ──┐
//	                                ├─▶ Runtime ── session (conversation) ──▶ turn.Runner ──▶ stream
//	InvokeInlineAgent ── request ──▶┘
//
// A session has one turn at a time. A request that names an invocation, and a try of
// one call that comes again, get the answer of the turn that they began, whatever has
// happened between.
//
// Floor 4. It never asks a model or a function itself (turn does) and keeps nothing
// of an inline agent but its session.
package agent
