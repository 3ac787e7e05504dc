// Package secretsmanager is the Secrets Manager face: it speaks the service's API
// over the house's secrets.
//
//	neighbour ── *secretsmanager.GetSecretValueInput ──▶ Face ── Caller ──▶ secret.Service
//
// The service asks for permissions itself, by identities and the secret's own
// policy, so the frame asks nothing (Authorize).
//
// Entrance floor. It keeps no state and decides nothing.
package secretsmanager
