// Package kms keeps customer keys and works with them: the key service behind the
// KMS face, and the sealer behind the store.
//
//	face, room ── Encrypt · Decrypt · GenerateDataKey … ──▶ Service ── may the caller? key policy, identity, grants
//	                                                          │
//	store ── Seal · Open ──▶ Sealer ── "" ──▶ local root key  │ keys, aliases, grants in memory, as records in the store
//	                            └── a key's ARN ──────────────┘
//
// A key is one or more pieces of 256-bit material, the last of which encrypts;
// the records of keys are sealed with the local root key, which stands in the
// place of AWS's hardware. Ciphertexts name key and material and are bound to both
// and to the encryption context (blob.go). Every process holds all records in
// memory: sealing a record runs inside somebody else's transaction and must not
// begin another. A change is seen at once in its own process, and by other
// replicas within a second.
//
// Floor 2, above iam. It speaks no protocol, never writes material anywhere but
// into its sealed records, and keeps no data keys.
package kms
