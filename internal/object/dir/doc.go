// Package dir keeps objects in one folder of this machine.
//
//	content ──▶ blobs/RUN/NN/N   write, fsync file, fsync folder ──┐
//	   └─ ≤ 32 KiB ────────────────────────────────────────────────┼─▶ one transaction of
//	                                                               │   index.db ─▶ answered
//	old content ◀── unlinked after the commit, when no reader has it open ◀──┘
//
// What exists is what index.db (SQLite, WAL, synchronous=FULL) says; a blob without
// a row was never acknowledged and is swept at the next open. Keys live in rows, so
// they need no escaping, sort by bytes and cannot name a path; blobs are named by a
// counter. An upload's parts become the object's segments without being copied, and
// a copy of a large object is a hard link, for a blob never changes once written.
//
// Writers that meet share one commit: an answer is never given before the fsync it
// rests on, but one fsync may serve many answers.
//
// Floor 1. One process owns a folder. It never reads a whole object into memory.
package dir
