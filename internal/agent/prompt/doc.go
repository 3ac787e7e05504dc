// Package prompt is the text between an agent and its model: the built-in templates,
// prompts made of templates, the names of tools, and answers read back.
//
//	plan.Prompt + Values ── Render ──▶ system, messages, the whole text for the trace
//	plan.Plan ── NewBook ──▶ tools for the engine, their list as text, names back to actions
//	model's text ── Orchestration, PreProcessing, Knowledge, PostProcessing, Routing, Summary ──▶ Parsed
//	model's answer ── Raw, Event ──▶ the agent's parser function ── Read ──▶ Parsed
//
// A template is text with Human: and Assistant: turns, or the JSON of a request in
// Messages form. It is taken apart before anything is filled in, so what is filled in
// is never read as part of the template and needs no escaping.
//
// One rule decides who explains the tools: a template that places $tools$ or
// $functions$ gets them as text, and its answers are read by the parsers here (the
// text contract). Any other template leaves the tools to the engine, and the
// conversation goes to the model as messages with calls and results in them. The
// built-in templates are of the second kind for every model, because small local
// models call tools far better that way; Raw writes their answers in the form that
// the named model would have used, so that parser functions written for it work.
//
// What changes from step to step stands last (instruction, tools, history, question,
// scratchpad), so that each step finds the one before in the engine's prefix cache.
//
// Floor 4, part of agent. It calls nothing, keeps nothing, and decides nothing but
// what a text means.
package prompt
