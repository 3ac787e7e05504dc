// Package lambda is the wire face of AWS Lambda: functions made, changed, called
// and removed with unchanged programs.
//
//	boto3, CLI, SDK ── restJson ── Face ──┬── Registry ── store.Kind  records, versions, aliases, policies
//	                                      ├── Code ────── object.Store  zips
//	                                      └── fn.Invoker ─ the runtime   Invoke
//	                                              │
//	                      Functions, Archive ─────┘  (Registry and Code again)
//	job.Runner ── Events ──▶ fn.Invoker             what was accepted to run later
//
// The Registry and Code are also what the runtime asks: it finds a function by
// its ARN, alias and weights included, and opens its zip. Who may do something is
// decided from the caller's policies and the function's together (Authorize).
// Events is the durable queue of Event invocations, on the job table.
//
// Floor 5, beside the other faces. It runs no code and keeps no instances: that is
// the port's side. It builds no layers, images, VPCs, file systems, code signing,
// dead-letter targets or destinations of events, and says so when one is asked for.
package lambda
