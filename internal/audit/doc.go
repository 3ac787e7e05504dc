// Package audit owns the record of who asked for what, and its way to whoever
// keeps it.
//
//	gateway ─ Record ─▶ bounded queue ─▶ Run ─▶ sinks: Ring (event history), file, trail …
//	                        └ full: dropped and counted, never waited for
//
// A record has the fields of a CloudTrail event. What a request said is in it only
// by an allow list per operation, kept by the caller: names, ARNs, flags and
// counts, never bodies, prompts, retrieved text or secrets.
//
// Floor 2. It never blocks a request and promises no order between requests.
package audit
