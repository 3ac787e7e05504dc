// Package s3 keeps objects in any endpoint that speaks Amazon S3.
//
//	Put ─▶ first 8 MiB in memory ─┬─ that was all ─▶ PutObject
//	                              └─ more ─▶ upload in parts ─▶ Verify ─▶ complete (or abort)
//
// Content is checked by Verify before anything can be seen, which is why a long Put
// is an upload, and why its ETag then ends in "-N". Conditions are sent to the
// server, which alone can check and write in one step; a server that ignores them
// is refused by Probe.
//
// Floor 1. It never spools to disk, holds at most one part a call in memory, and
// never retries what the SDK would not.
package s3
