// Package page holds what every paginated answer shares: the size of a page and
// the token that continues it.
//
//	list ── position ──▶ Signer.Seal ──▶ nextToken ──▶ caller ──▶ Signer.Open ──▶ position
//
// A token is opaque to the caller, bound to the query that gave it, and cannot be
// made by anyone without the key.
//
// Floor 0. It never reads a database and knows no operation.
package page
