// Package optional is how members that may be left out are read and written: they are
// pointers on the wire, values inside.
//
//	*string ── Value ──▶ "" when left out ── Of ──▶ nil, which is not written
//
// Floor 0. It knows no type of its own, and nothing of JSON.
package optional
