// Package logs keeps log groups, streams and events: the log service behind the
// CloudWatch Logs face, and the place where functions log.
//
//	face ── Put ──▶ checked · sealed ──▶ queue ──▶ one writer ──▶ one transaction ──▶ answer
//	lambda ─ Sink.Log ─▶ sealed ────────▶   │        as soon as somebody waits, else every
//	                                        │        200 ms or 1,000 events
//	face ── Get · Filter ◀── opened ◀── table log_event (account, region, group, stream, at)
//
// Every message is sealed, with the key that its group had when it came; the key's
// ARN stands before the sealed bytes, so a group may change its key. Events are
// deleted when the retention of their group is over (Sweep), and are not shown any
// more before that.
//
// Floor 2, above iam and kms. It speaks no protocol, decides nothing about
// permissions, and evaluates metric filters for nobody: they are kept and can be
// tried out.
package logs
