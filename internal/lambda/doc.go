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
// An Event invocation ends at Routes: it is accepted by a Queue, a durable one
// that stands above, and comes back later as a call that somebody waits for. Retry
// is the plan by which it comes back again.
//
// Floor 1 (ports). It decides no permissions (the caller has asked iam before),
// keeps no function records (Functions finds them) and speaks no HTTP.
package lambda
