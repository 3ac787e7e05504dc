// Package script is an engine without a model: it answers by the rules of a YAML
// file, the same for ever, so that programs can be tested against it.
//
//	Request ── render ──▶ prompt tokens ── count, prefix cache ──▶ Usage
//	   └── rules, first match wins ──▶ reply ── template, cut, stop ──▶ Delta … Result
//	inputs ── hashed words ──▶ vectors ──▶ Embed, Rerank      prompt ── hash ──▶ PNG (Paint)
//
// The file:
//
//	rules:
//	  - model: "anthropic.*"                 # glob on the AWS id or the local name
//	    when: {system: RE, user: RE, tool_result: RE, turn: 2, tools: [getWeather]}
//	    reply: {text: "…", chunks: 7, delay: 20ms, gap: 5ms, stop_reason: end_turn}
//	  - when: {user: weather}
//	    reply: {tool_calls: [{name: getWeather, arguments: {city: Seattle}}]}
//	  - when: {user: overload}
//	    reply: {error: overloaded}           # timeout, overloaded, crash, not_ready, bad_output
//	default: {text: "You said: {{.User}}"}
//	embeddings: hashed
//	dimension: 384
//
// docs/script-engine.md says what each key means. A file that holds a key, an
// expression or a template that is not understood is refused at start with its
// line.
//
// Floor 1. It never starts a process or a goroutine, never reads the clock but
// for waiting and timing, and never obeys sampling parameters other than the
// length limit and the stop sequences.
package script
