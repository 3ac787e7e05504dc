// Package call carries what the edge knows of the running request down to the
// rooms, and what the rooms want said beside the answer back up.
//
//	gateway ── With(ctx, *Call) ──▶ room: From(ctx).Account …
//	gateway ◀── Call.Headers(), Call.Served() ── room: From(ctx).SetHeader, SetServed
//
// Floor 0. It holds no input, no output and no rules.
package call
