// Package policy is the IAM policy language: documents are read strictly,
// compiled once, and evaluated as pure functions.
//
//	document ── Parse(kind) ──▶ *Policy (compiled, never changes)
//	                               │
//	Request{caller, action, ARN, keys} ── Evaluate(sets) ──▶ Decision: allowed or not, by which statement
//	                               └── Explain(sets) ──▶ the same, with what each statement said
//
// The order is AWS's: an explicit deny anywhere decides; a resource-based policy
// may grant by itself within its account; else identity-based policies, the
// boundary and the session's policies must all allow, and across accounts the
// resource-based policy too.
//
// Floor 2. It keeps no state, reads no clock and knows no identities: package
// iam hands it the policies that apply. Unknown operators and malformed values
// are refused by Parse, never passed over by Evaluate.
package policy
