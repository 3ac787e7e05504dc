// Package sigv4 answers who sent a request: it verifies AWS Signature
// Version 4 in all forms that clients of Bedrock and its neighbours use, and
// Bedrock's bearer API keys. It also signs, for tests, for calls to other
// endpoints and for streams.
//
//	Authorization header ┐                    ┌ Keys.Lookup (secret, principal)
//	X-Amz-… in the query ┼→ parse → request ──┤                                   ┌ Result
//	bedrock-api-key-…    ┘                    └ canonical → string to sign → HMAC ┤   └ Body, Events: what follows the head
//	ABSK… ──────────────────────────────────── Keys.Lookup (hash of the key) ─────┘
//
// Payloads: the hash of bytes at hand; a signed hash checked while the body is
// read; UNSIGNED-PAYLOAD; aws-chunked bodies signed chunk by chunk, with or
// without trailers, or unsigned with trailers; event streams signed frame by
// frame.
//
// Every failure is an *Error with one Reason of a closed list; it unwraps to
// the *apierr.Error for the JSON services and names code and status for the
// query protocol and S3.
//
// Floor 3; the server joins Keys with the credentials of iam. It never
// authorises, never reads a body by itself, never logs, and puts neither a
// secret nor a computed signature into an error: a caller would only have to
// send it back.
package sigv4
