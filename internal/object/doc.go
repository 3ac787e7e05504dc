// Package object is the port to stored bytes: it owns what a bucket, a key, an
// object, an upload and a checksum mean, for jobs and for the S3 face alike.
//
//	S3 face ─┐                     ┌─▶ dir  one folder: fsync, index, checksums
//	jobs ────┼─ Store (this port) ─┤
//	logs ────┘                     └─▶ s3   any S3 endpoint
//
// The port is small on purpose. Bucket policy, CORS, default encryption, the list
// of an account's buckets and read conditions belong to whoever stands on it: Get
// answers the Info before a byte of content is read, so If-None-Match and its kin
// are decided there, on the very version that would be sent.
//
// Floor 1. It never authorises, never speaks XML and never interprets a key as a
// path.
package object
