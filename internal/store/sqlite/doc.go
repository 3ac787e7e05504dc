// Package sqlite keeps the state in one SQLite file of the data folder, in pure Go.
//
//	data folder/  outcrop.lock   held by the one process that owns the folder
//	              state.db       the database, WAL mode, synchronous=FULL
//	              root.key       the root key (store.LocalSealer's)
//
//	write ──▶ one connection, BEGIN IMMEDIATE ──▶ WAL ──▶ fsync ──▶ answer
//	read  ──▶ a few query_only connections, each a snapshot
//
// Floor 1. It knows no table, never answers before the fsync, and never shares the
// folder with a second process that writes.
package sqlite
