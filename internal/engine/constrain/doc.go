// Package constrain makes any language model call tools: it turns the tools of a
// request into one grammar that the model's output cannot leave, and finds the
// calls in that output while it comes.
//
//	Request ── Grammar ──▶ GBNF ──▶ engine samples inside it ── text pieces ──▶ Parser ── Delta ──▶ caller
//	   └────── Rule ─────▶ appended to the system text                            │
//	   └────── Decide ◀─ probabilities of the first token: does the model mean to call?
//	   └────── Refused ◀─ a call that was answered already: again with ForbidCalls ┘
//
// A grammar's alternatives are a call in one of the three spellings that models
// use (bare JSON, a fenced JSON block, <tool_call> tags), its name fixed to an
// offered tool and its arguments after that tool's schema, or free text that
// cannot be mistaken for the beginning of a call. A feature of JSON Schema that a
// context-free grammar cannot express is loosened to the JSON type, never refused.
//
// Floor 1. It never talks to an engine, never validates arguments (the grammar
// has constrained them, the tool checks them) and never renders a prompt.
package constrain
