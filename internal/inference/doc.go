// Package inference is the room where models are asked: InvokeModel and Converse,
// each whole or streamed, and CountTokens.
//
//	InvokeModel ─ body ─▶ family.Codec ─┐                        ┌─▶ family.Codec ─▶ body, chunks
//	                                    ├─▶ engine.Request ─▶ Engine
//	Converse ─ messages ─▶ message.go ──┘      (neutral)         └─▶ reply.go ─▶ message, events
//
// Both ways meet in the engine's neutral form, so the same words give the same
// answer whichever operation carries them. A catalog.Resolver says which local
// model answers for an id; the codec of its family knows the native body.
// Streams are never buffered: one event leaves for each delta of the engine.
//
// Floor 4. It keeps no state between calls, never chooses models itself and
// never answers in a model's place: what an engine cannot do is refused with the
// exception that the operation models (fault.go holds the one table).
package inference
