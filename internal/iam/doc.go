// Package iam holds who may call: accounts, users, access keys, sessions and
// bearer keys, and decides what a principal may do.
//
//	IdentityStore (records, version) ── LoadAll ──▶ Snapshot ◀── Credential(id)  every request, one map read
//	        ▲                                         ▲ swapped whole
//	        └── Apply(expect version, changes) ── CreateUser, CreateAccessKey, CreateSession …
//	        └── Version, each second ────── Run ──────┘  what other replicas have written
//
// A Snapshot never changes; a write makes the next one and swaps it, so the own
// process sees its writes at once and other replicas within a second. The first
// start makes the account, its root user without a key, and the user admin with
// AdministratorAccess and one access key.
//
// Authorize allows what AdministratorAccess and the root user may do, which is
// all; evaluating other policies is not built, so every other principal is
// denied, in AWS's words.
//
// Floor 2. It verifies no signature (sigv4 does), speaks no protocol (the IAM
// and STS faces do) and never writes a secret to a log.
package iam
