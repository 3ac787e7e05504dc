// Package contract is the text between an agent and its model: prompts made of
// templates, and answers read back.
//
//	plan.Prompt + Values ── Render ──▶ system, messages, the whole text for the trace
//	model's text ── Orchestration, PreProcessing, Knowledge, PostProcessing ──▶ Parsed
//	model's text ── Event ──▶ the agent's parser function ── Read ──▶ Parsed
//
// A template that places $tools$ or $functions$ gets the tools as text and its answers
// are read by the parsers here; any other gets the conversation as messages and leaves
// the tools to the engine. Templates are text with Human: and Assistant: turns, or the
// JSON of a request in Messages form. They are taken apart before anything is filled
// in, so what is filled in is never read as part of the template.
//
// Floor 4, part of agent. It calls nothing, and decides nothing but what a text means.
package contract
