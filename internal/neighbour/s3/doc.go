// Package s3 is the S3 face: buckets and objects over the object port, on the
// wire that SDKs, the AWS CLI and presigned URLs speak.
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
//   - The SHA-1 of a trailer is checked and answered once, and not remembered.
//   - The checksum algorithm that an upload was begun with is checked when it is
//     completed, not at each part, and parts are listed without checksums.
//   - Presigned URLs are taken in signature version 4 and 2, headers in 4 only.
//   - s3:ExistingObjectTag is known for reading content and for tags only.
//
// What is left out and answers NotImplemented with the way to hand S3 on
// (--neighbour s3=URL): versioning (a bucket is unversioned; versionId is "null",
// ListObjectVersions shows each object once), KMS and customer keys for content,
// SHA-1 in uploads, the checksums MD5, SHA-512 and XXHash, access points, acceleration, analytics, archives and
// RestoreObject, browser uploads by POST, inventory, lifecycle, logging,
// metadata tables, metrics, notification, object lock, replication,
// request payment, rename, S3 Select, sessions of directory buckets, torrents,
// website. Access control lists answer the owner's full control; setting one
// answers AccessControlListNotSupported, as buckets do whose owner is enforced.
//
// Entrance floor, a Raw face of neighbour. It keeps no content and no identities.
package s3
