// Package nova is the codec of Amazon Nova's text models, whose body and stream
// look like Converse's.
//
//	{"messages": …, "inferenceConfig": …} ──▶ request.go ──▶ engine.Request
//	{"output": {"message": …}, "usage": …} ◀── answer.go ◀──
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package nova
