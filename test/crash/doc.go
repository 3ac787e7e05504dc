// Package crash shows that what was acknowledged is still there.
//
//	test ── starts itself again as ──▶ writer: mixed writes, "begin" and "ack" lines on a pipe
//	  │                                   │
//	  │   SIGKILL at a failpoint,         ▼
//	  │   SIGKILL + power cut,      data folder (a disk, or powerfs)
//	  │   EIO, ENOSPC, EROFS              │
//	  └── model of the acks ──▶ checker ◀─┘   0 lost, 0 half-visible, integrity ok
//
// The power-cut rig must also find losses when sync is off: a check that cannot
// fail proves nothing.
//
// Ingestion is killed in the program itself, built with the tag failpoints: at every
// named point of a sync, and at moments between two calls of the embedding model.
//
// For tests only; the writer and the checker are this test binary under other roles.
package crash
