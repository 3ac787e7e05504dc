// Package llamacpp is the engine that runs models on this machine: it supervises
// one child of llama.cpp's HTTP server for each model in use.
//
//	Request ─▶ loader (policy: which models are up, memory, back-off, idle) ─▶ queue (fair between accounts)
//	             │                                                              │
//	             ▼                                                              ▼
//	           Runner (mechanism: one child, one run)  ◀─Unix socket, key─  client ─▶ /apply-template, /completion, …
//
// A child never outlives the server, and is never restarted by its Runner: the
// loader decides. Text and constrained tool calls go through one path, the
// model's own template and then a completion; chat completions serve native
// tool calls and images.
//
// Floor 1. It never sees AWS ids but for show, never installs anything unless
// its configuration allows it, and never reports more than the child counted.
package llamacpp
