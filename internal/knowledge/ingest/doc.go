// Package ingest brings documents into knowledge bases: by the sync of a data source
// (an ingestion job) and one by one (IngestKnowledgeBaseDocuments).
//
//	StartIngestionJob ─▶ row of the job + job.Job, one transaction
//	                        │
//	  list the bucket ─ pair with metadata ─ compare with the rows ─▶ what changed
//	                        │ tasks
//	  read, parse, cut, transform (several at once) ─▶ embed (batches across documents)
//	                        │ filled documents
//	  vector.Index.Replace, one a document ─▶ Checkpoint: rows + statistics, some together
//	                        │
//	  what the bucket no longer has ─▶ vector.Index.Delete, rows
//
// A document has a row. What must be known of all of them at once stands in its clear
// columns: the state, the version that was tried last (a hash of etags and strategy)
// and the job that tried it; the address is in the sealed body, and the row's id is a
// hash of it.
//
// What happens to a document is counted in the transaction that writes its row, so
// each is counted once however often the process dies. The version is committed with
// the chunks in the index: a job that comes again finds what it had done there, writes
// the row, and embeds nothing twice. It lists the bucket from the beginning, because a
// listing is cheap and numberOfDocumentsScanned is then the count of one whole walk.
//
// To find what is gone, the walk keeps 16 bytes of each id it saw (1.6 MB for 100,000
// objects) and the rows are read against them afterwards. A generation mark in the
// rows would rewrite each of them, with its fsync, in a sync without any change; a
// merge of sorted pages would need rows in the order of their keys, which their opaque
// ids are not. Everything else is bounded: pages of 1,000 objects, a metadata file
// that waits for its document or the reverse (at most as many as a key has letters,
// see pairs), a few documents in each step, and a budget of bytes over all of them.
//
// Statistics, where the guide is silent. A file that cannot be read counts as scanned
// and as failed, and is tried again at the next sync; what was indexed of its former
// content stays. A metadata file that appears, changes or goes with or without its
// document counts as modified, except beside a document that is new. A document that
// goes without ever having been indexed is not counted as deleted. Where a document
// and its metadata both changed, both are counted. One job of a knowledge base runs at
// a time, and documents that are given directly wait for a sync of their data source
// and the reverse (turn).
//
// Nothing is left on disk but rows, the index, and what a custom transformation needs:
// its files in the intermediate bucket, which belong to the user and are not removed,
// because the service role of the guide has no right to. Documents are held in memory
// only. Content given inline is kept sealed, under the data source's or the knowledge
// base's key, until it is indexed.
//
// Everything is done as the service role of the knowledge base, which is taken anew at
// each use; when it is gone, the job fails and says so.
//
// Floor 4, a folder of the room knowledge. It parses no document in this process, cuts
// none, and never answers that a document is indexed before the index has it on disk.
package ingest
