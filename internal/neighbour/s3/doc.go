// Package s3 is the S3 face: buckets and objects over the object port, on the
// wire that SDKs, the AWS CLI, presigned URLs and browsers' forms speak.
//
//	request ─▶ target ─▶ authenticate ─▶ bucket row ─▶ authorise ─▶ operation ─▶ answer
//	             │            │               │            │             │
//	        host or path   sigv4, or      directory    iam + bucket   object.Store
//	                       nobody         (cached)     policy         (content streams)
//
// The wire is written by hand. Content is never gathered: a body is verified
// (signature, length, checksums in header or trailer) while the object store
// reads it, and becomes an object only after its last byte was found right.
//
// A bucket's name is unique in this server whatever the account; its row holds
// the owner, the Region it was made in, policy, CORS, tags, default encryption,
// public access block and ownership. Requests of any Region are served. New
// buckets block public access and do not know access control lists, as AWS's do;
// somebody without a signature gets in only after the block was taken off and by
// a bucket policy.
//
// What is accepted with less behind it than S3 has:
//
//   - AES256 is accepted and answered; content lies in the object store as that
//     store keeps it, which for a folder means whatever the disk does.
//   - Storage classes but the archives are remembered and answered; listings say
//     STANDARD, and all are kept alike.
//   - All ten checksums are checked and answered. Those that an object store does
//     not compute itself (SHA-1, SHA-512, XXHash) are kept by a folder; an object
//     store over another S3 (--objects s3://…) keeps them of single puts whose
//     header names them, and does not hold parts against their upload's algorithm.
//   - Versioning can be suspended, which changes nothing but the answer.
//   - What a bucket never has here (lifecycle, replication, website, locks, logging,
//     notification …) is answered as S3 answers for a bucket without it: absent.go.
//   - A browser's form counts until its policy ends, whatever x-amz-date it names.
//   - Presigned URLs are taken in signature version 4 and 2, headers in 4 only.
//   - s3:ExistingObjectTag is known for reading content and for tags only.
//
// What is left out and answers NotImplemented with the way to hand S3 on
// (--neighbour s3=URL): versioning (a bucket is unversioned; versionId is "null",
// ListObjectVersions shows each object once), KMS and customer keys for content,
// access points, archives, appending, metadata tables, rename, S3 Select, sessions
// of directory buckets, torrents, and setting acceleration, analytics, inventory,
// lifecycle, logging, metrics, notification, object lock, replication, request
// payment or a website. Access control lists answer the owner's full control; setting
// one answers AccessControlListNotSupported, as buckets do whose owner is enforced.
//
// Rooms do not come this way: Face is the bucket.Directory behind package bucket,
// which asks for the same permissions without the wire.
//
// Entrance floor, a Raw face of neighbour. It keeps no content and no identities.
package s3
