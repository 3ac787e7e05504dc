// Package kms is the KMS face: it speaks the service's API over the house's keys.
//
//	neighbour ── *kmsapi.EncryptInput ──▶ Face ── Caller, Use ──▶ kms.Service
//
// The service asks for permissions itself, by key policies, identities and grants,
// so the frame asks nothing (Authorize).
//
// Entrance floor. It keeps no state and decides nothing.
package kms
