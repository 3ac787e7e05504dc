// Package sts is the face of the Security Token Service: who is calling, and keys
// that end.
//
//	neighbour frame ── *AssumeRoleInput ──▶ Face ── iam.Identity.AssumeRole, CreateSession
//
// GetCallerIdentity and GetSessionToken need no permission, as on AWS; AssumeRole
// is decided by the role's trust policy together with the caller's own policies,
// which package iam evaluates. There are no MFA devices: a request that names one
// is refused.
//
// Entrance floor. It keeps no state and decides nothing about permissions.
package sts
