// Package secret keeps secrets and their versions: the service behind the Secrets
// Manager face, and where knowledge bases find the credentials of a vector store.
//
//	face, room ── Value ──▶ may the caller? secret's policy, identity ──▶ row of the version ──▶ opened with its key
//	              Put  ──▶ new version · AWSCURRENT moves, AWSPREVIOUS follows
//
// A secret is one record with everything but the values; each version is a record
// of its own, sealed with the key that the secret had when it came. A customer key
// is asked in the caller's name, through secretsmanager, with the encryption
// context SecretARN and SecretVersionId.
//
// Floor 2, above iam and kms. It speaks no protocol, writes no value to a log, and
// rotates nothing.
package secret
