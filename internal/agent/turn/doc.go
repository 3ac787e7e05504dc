// Package turn runs one turn of an agent: it asks the model, does what the model
// decides, and tells what happened while it happens.
//
//	agent (InvokeAgent) ── Input ──▶ Runner.Run ──▶ pre-processing ─▶ orchestration ⟲ ─▶ post-processing ──▶ Sink
//	                                                                  │        ▲
//	                     conversation.Turn ◀─ intent, result ─ action, query, collaborator
//
// Orchestration is one loop of two moves. A model step turns the conversation so far
// into an answer with calls in it; then each call that has no result yet gets one. So
// a turn that was interrupted between any two moves goes on by asking which calls of
// the last answer are open (progress). That is also how a return of control, a
// confirmation and a question to the user wait for the next request.
//
// What changes the world (a Lambda function, a collaborator, code) is committed as an
// intent before and with its result after. Trace events leave when the thing that
// they tell has begun or has happened, never before. A client that has gone stops the
// turn after the running call; it goes on when the same request comes again.
//
// A template that places the tools in its own text gets them there and its answers
// are read by parsers; any other gets the tools of the engine. Prompts grow at their
// end only: instruction and tools stand first, so that each step finds the one before
// in the engine's prefix cache.
//
// Floor 4, part of agent. It reads no definition of an agent but its Plan, decides no
// permissions itself and keeps nothing between turns.
package turn
