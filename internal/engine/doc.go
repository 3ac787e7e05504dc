// Package engine is the port to whatever answers with a model: it owns the
// neutral form of inference that every other package speaks.
//
//	room (inference, agent, knowledge …) ── Request ──▶ Engine ── Delta … Result ──▶ room
//	                                                      │
//	                    llamacpp (supervised child) · openai (remote endpoint) · script (deterministic)
//
// Floor 1. It never sees wire types of any AWS service, never decides which AWS
// model id maps to which local model (the catalogue does), and never invents an
// answer: an adapter that cannot do what is asked returns an *Error.
package engine
