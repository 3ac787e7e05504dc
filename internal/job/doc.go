// Package job runs durable background work on the store.
//
//	room: Enqueue(tx, Spec) ──commit──▶ table job ──▶ Runner: claim ▶ Kind.Run(ctx, Handle) ▶ finish
//	                                        ▲                          │
//	      Stop(tx, id) ─────────────────────┘     Checkpoint: cursor + records + room's rows,
//	                                              one transaction, under the fence
//
// A job is enqueued in the transaction that makes it necessary, and ends in the
// transaction that says so (Kind.Done). Work is at least once; records are exactly
// once, because each has a name and is written together with the cursor. A claim
// is a lease of 15 s, renewed every 5 s; each claim has a higher fence than the one
// before, and a write under an old fence is refused, so a process that was thought
// dead cannot speak for a job that has gone on without it. On SQLite the process
// owns all jobs and frees what its predecessor held at once.
//
// Floor 2. It never runs work inside a transaction, never reports a job completed
// that did not return nil, and knows nothing of what the work is.
package job
