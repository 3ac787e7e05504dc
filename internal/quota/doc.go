// Package quota owns the limits of an account: how many requests and tokens a
// minute a model takes, and how many of each resource there may be.
//
//	gateway, inference ─ Admit(key, tokens) ─▶ bucket of (account, Region, quota) ─▶ nil │ ThrottlingException
//	                   ─ Settle(key, delta) ─▶ the same bucket, when the true count is known
//	rooms ─ Limit(name) ─▶ plain number
//
// The minor versions of a model share one bucket, and so do InvokeModel, Converse
// and their streams: the key has no operation. A window of one minute begins with
// the first request after the one before has ended; inside it the limit is exact,
// so request 101 of 100 is refused however the first hundred were spread. Tokens
// spent above the limit are owed to the next windows.
//
// With the profile off, Admit is one nil check. Else it is O(1): one shard's read
// lock, one bucket's lock, no lock that all requests meet.
//
// Floor 2. It never counts resources itself and never waits.
package quota
