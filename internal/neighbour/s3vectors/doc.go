// Package s3vectors is the S3 Vectors face: it speaks the service's API over the
// house's vector buckets.
//
//	neighbour ── *s3vectors.QueryVectorsInput ──▶ Face ── Caller ──▶ vectorbucket.Service
//
// The service asks for permissions itself, by identities and the bucket's own policy,
// so the frame asks nothing (Authorize).
//
// Entrance floor. It keeps no state and decides nothing.
package s3vectors
