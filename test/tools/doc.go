// Package tools measures how well an engine calls tools: thirty tasks, each with
// a checker, driven through the whole loop.
//
//	Case ── Make(random facts) ──▶ Task ── question ──▶ engine ── calls ──▶ task's tools ── facts ──▶ engine … text
//	                                                          └───── checker: names, arguments, facts in the text ─┘
//
// The facts that a tool answers are random in every run and stand nowhere in the
// prompt, so a right answer can only have come through the model's own output.
// Ten cases are held out: nobody looks at them while prompts or grammars are
// tuned.
//
// Floor: tests. It never ships, and never judges wording.
package tools
