// Package process runs functions on this machine: it unpacks their zip, starts
// the host's Python or Node (or the function's own bootstrap) in a jail, and
// speaks Lambda's Runtime API with it.
//
//	Invoke ── Functions ── find the version
//	   │
//	   ├─ instances ── a warm one, or start: unpack ▸ jail ▸ init (10 s at most)
//	   │                         │
//	   │   START                 ▼ in the jail
//	   ├─ event ────────▶ GET  …/invocation/next     the runtime: bootstrap.py,
//	   │                  POST …/invocation/ID/response      bootstrap.mjs or the
//	   ◀─ answer ────────      …/invocation/ID/error         function's bootstrap
//	   │                       …/init/error
//	   │   what it printed ── pipe ── log lines ── Sink, log tail
//	   └─ END, REPORT
//
// The Runtime API's sockets lie on the loopback of the jail and are accepted here,
// one server an instance, so that a function can speak for no other. An instance
// works on one event at a time, is kept for the next, and is let go when idle, when
// the function changes, when its credentials end, and after a time-out or an exit.
// A second socket there is the function's AWS_ENDPOINT_URL: its connections are
// joined here to those of Config.Dial, so a function needs to know neither where
// the server listens nor whether it speaks TLS.
//
// Floor 1: an adapter of the lambda port. It decides no permissions, stores no
// functions, queues no events (they come here as calls), and runs nothing outside a jail unless its operator asks for it.
package process
