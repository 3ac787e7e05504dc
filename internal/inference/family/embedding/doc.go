// Package embedding brings the vectors of a local model to the sizes and number
// types that the families promise. It is the one place where that happens, and it
// happens on the wire only: what a room stores are the engine's own vectors.
//
//	engine's vector ──Fit──▶ advertised size ──▶ floats, int8, packed bits …
//
// Floor 4, part of the inference room. It never changes the order of vectors and
// keeps nothing but the tables of its projection, which depend on sizes alone.
package embedding
