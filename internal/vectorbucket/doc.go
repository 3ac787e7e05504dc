// Package vectorbucket keeps S3 vector buckets, their indexes and the vectors in
// them: the service behind the S3 Vectors face, and the store of knowledge bases
// whose type is S3_VECTORS.
//
//	face ── PutVectors, QueryVectors … ─┐   may the caller? identity, bucket's policy, tags
//	                                    ├──▶ rows: bucket, index ──▶ vector/embedded
//	knowledge base ── Open ──▶ Index ───┘
//
// A bucket and an index are records; the vectors of an index are in an embedded index
// of its own, whose name is drawn anew for each, so that an index that was deleted and
// made again holds nothing. A vector is a document of one chunk with the same id: its
// Metadata are the filterable attributes, its Source is the whole metadata as it came.
// A knowledge base writes documents of many chunks into the same index; their chunks
// are listed, got, found and deleted by their ids like any other vector, with the
// metadata keys that Bedrock gives them (AMAZON_BEDROCK_TEXT, AMAZON_BEDROCK_METADATA).
//
// Filters are S3 Vectors' own JSON and become a vector.Filter (filter.go). A negation
// ($ne, $nin, $exists: false) is the opposite of its counterpart, so it matches vectors
// without the key.
//
// An index with a customer key is sealed with it, with the encryption context
// aws:s3vectors:arn; the key is asked for each operation in the caller's name.
//
// Deleting an index marks its record, drops the vectors and then the record: New takes
// up what a crash left between. CreateIndex makes the vectors' file first, so a crash
// there leaves an empty file that no record names.
//
// Floor 2, above iam and kms. It speaks no protocol, embeds nothing, and searches
// every candidate that the filter lets through: there is no approximation but the
// embedded index's own. Full-text search, index modes and throttling are not built.
package vectorbucket
