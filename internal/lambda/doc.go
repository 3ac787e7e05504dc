// Package lambda is the port behind which functions are called: what a function
// is, what calling one means, and what its answer looks like, in the terms of AWS
// Lambda's Invoke operation but without its wire.
//
//	agent, knowledge, flow …      internal/neighbour/lambda (the wire face)
//	          └───────────┬──────────────┘
//	                   Invoker
//	                      │
//	                   Routes ── by ARN ──┬── process.Runtime   code from a zip, jailed
//	                                      ├── http.Endpoint     another Lambda endpoint
//	                                      └── http.Hook         a plain URL in a function's place
//
// An Event invocation is accepted by a Queue and run later; Memory is the queue
// that lives as long as the process, the job table can stand in its place.
//
// Floor 1 (ports). It decides no permissions (the caller has asked iam before),
// keeps no function records (Functions finds them) and speaks no HTTP.
package lambda
