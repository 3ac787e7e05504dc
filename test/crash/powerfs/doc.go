// Package powerfs is a file system for tests that forgets, at a power cut, whatever
// was not fsynced, and that fails on demand.
//
//	process under test ──▶ kernel ──▶ powerfs: volatile image ──fsync──▶ durable image
//	                                                                        │
//	                          Cut: durable image, and maybe torn pages ─────┘──▶ next Mount
//
// The model is the strictest that POSIX allows: a file's bytes and size are durable
// by fsync of the file, its name by fsync of the folder. At a torn cut each 4 KiB
// page that was written and not fsynced survives with even odds, whole or only some
// of its 512-byte sectors, whatever was written before or after it.
//
// The process that serves the file system must not itself use files on it: a page
// fault on a mapped file would wait for a goroutine that cannot run. Writers and
// checkers are other processes.
//
// For tests, on Linux only; it needs /dev/fuse and the right to mount.
package powerfs
