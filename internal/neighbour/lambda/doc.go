// Package lambda is the wire face of AWS Lambda: functions made, changed, called
// and removed with unchanged programs.
//
//	boto3, CLI, SDK ── restJson ── Face ──┬── Registry ── store.Kind  records, versions, aliases, policies
//	                                      ├── Code ────── object.Store  zips
//	                                      └── fn.Invoker ─ the runtime   Invoke
//	                                              │
//	                      Functions, Archive ─────┘  (Registry and Code again)
//
// The Registry and Code are also what the runtime asks: it finds a function by
// its ARN, alias and weights included, and opens its zip. Who may do something is
// decided from the caller's policies and the function's together (Authorize).
//
// Floor 3, beside the other faces. It runs no code, keeps no instances and queues
// no events: that is the port's side. It builds no layers, images, VPCs, file
// systems, code signing, dead-letter targets or event invoke settings, and says
// so when one is asked for.
package lambda
