// Package jurassic is the codec of AI21's Jurassic-2.
//
//	{"prompt": …, "countPenalty": {"scale": 0.2}} ──▶ one request ──▶ {"completions": [{"data": {"text": …}}]}
//
// Floor 4, part of the inference room. It never streams, as the family does not,
// and keeps nothing between calls.
package jurassic
