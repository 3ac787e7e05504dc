// Package store is the port to the state of Outcrop and the only way to write it.
//
//	room ── Kind[T].Create/Get/Put/List ──▶ Tx ──▶ Store.Update / Store.View ──▶ Driver
//	                     │                                                        │
//	             body ── Sealer (local root key, or a customer key)     sqlite · postgres
//
// Most resources are rows of one table, resource, keyed (account, region, kind,
// parent, id, version). What a list needs (name, status, times, a few ARNs)
// stands in clear columns; everything else is the body, JSON that is always
// sealed. Tags, references, idempotency tokens and jobs have tables of their own,
// and a package with queries of its own gets one by adding a migration in
// store/migration and using Tx.Query and Tx.Exec: SQL is written once, with '?'
// placeholders, in the subset both databases share.
//
// The promise: when Update returns nil, the change is on disk. When it returns an
// error nothing of it is visible, with one exception that no database avoids: an
// error of the commit itself (the disk failed, the process was told to stop) may
// leave the change in place.
//
// Floor 1. It never sees wire types, never decides what a caller may do, never
// keeps a data key, and never caches a row.
package store
