// Package bucket is S3 without the wire: how rooms read and write what programs
// keep in buckets, in the name of a role, of a caller or of a service.
//
//	room ── Caller, s3://NAME/KEY ──▶ View ── Lookup ──▶ Directory: where it lies, whose it is, its policy
//	                                   │
//	                                   ├── may the caller? ──▶ Decider: iam with the bucket's policy
//	                                   └── content, pages ──▶ object.Store (a folder, or an S3 endpoint)
//
// A room makes its Caller once for a piece of work and hands it to each call:
//
//	role, err := identity.AssumeService(ctx, iam.AssumeServiceInput{…})   // service role of a job, an agent, a knowledge base
//	as := bucket.As(role)
//	as := bucket.AsService("bedrock.amazonaws.com", modelARN, account)    // what a bucket's policy grants to the service itself
//	at, err := bucket.ParseURI("s3://files/schemas/orders.yaml")
//	text, info, err := bucket.ReadAll(ctx, files, as, at, 2<<20)
//	for o, err := range bucket.All(ctx, files, as, folder) { … }
//
// Every call is authorised: s3:GetObject, s3:ListBucket, s3:PutObject (with
// s3:PutObjectTagging when tags come along), s3:DeleteObject, each with the
// bucket's policy, across accounts as AWS does, with aws:SourceArn and
// aws:SourceAccount for services. A caller that may not list a bucket is told
// that access is denied when a key is missing. Content and Info.ETag are of one
// version of the object.
//
// Errors: ErrDenied (with an *apierr.Error of kind AccessDenied for the caller
// below it), object.ErrNoBucket, object.ErrNotFound, object.ErrRange,
// object.ErrPrecondition, ErrTooLarge; anything else is a fault of the store. Which
// exception a room makes of them is the room's own.
//
// With --neighbour s3=URL the buckets are another endpoint's: the store is then an
// object/s3 over it and the directory is Elsewhere. The caller's own policies
// decide here, the bucket's policy and the endpoint's keys decide there, and what
// a service asks for itself is decided there alone.
//
// Floor 2, above iam. It keeps no state, starts nothing, speaks no protocol and
// never answers content before the permission was found.
package bucket
