// Package iam holds who may call: accounts, users, groups, roles, managed
// policies, access keys, sessions and bearer keys, and decides what a principal
// may do.
//
//	IdentityStore (records, version) ── LoadAll ──▶ Snapshot ◀── Credential(id)  every request, one map read
//	        ▲                                         ▲    └──── Allow(question) ──▶ policy.Evaluate over compiled documents
//	        │                                         └ swapped whole
//	        └── Apply(expect version, changes) ── CreateUser, PutInlinePolicy, AssumeRole …
//	        └── Version, each second ────── Run ──────┘  what other replicas have written
//
// A Snapshot never changes; a write makes the next one and swaps it, so the own
// process sees its writes at once and other replicas within a second. Documents
// are compiled when they come in and kept from snapshot to snapshot. The first
// start makes the account, its root user without a key, and the user admin with
// AdministratorAccess and one access key.
//
// Services act through AssumeService: the role's trust policy decides under the
// keys of the resource acted for, and the principal that comes out is asked about
// like any other.
//
// Floor 2. It verifies no signature (sigv4 does), speaks no protocol (the IAM
// and STS faces do), holds no policies of resources (their rooms hand them in)
// and never writes a secret to a log.
package iam
