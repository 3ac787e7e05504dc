// Package family turns the native body formats of the model families into the
// engine's neutral form and back.
//
//	InvokeModel body ──▶ Codec.Decode ──▶ Call{Generate | Embed | Rerank | Paint} ──▶ engine
//	native answer    ◀── Codec.Encode ◀── Output                                  ◀──
//	native chunks    ◀── Codec.Stream ◀── engine.Delta …
//	Converse fields  ──▶ Codec.Converse ──▶ the family's defaults, limits and extra fields
//
// One folder below this one holds one family; the list of them is made where the
// server is put together. What they share stands here: the Codec interface, the
// tree of a JSON body (Value) and the checker whose texts are those of the real
// service (Schema).
//
// Floor 4, part of the inference room. It never talks to an engine, never looks
// at HTTP, and never changes what a model said.
package family
