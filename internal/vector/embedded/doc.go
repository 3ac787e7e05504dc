// Package embedded is the built-in retrieval index: a SQLite file for each
// knowledge base, and in memory what a search scans.
//
//	Replace ─ analyse, seal ─▶ index.db (WAL, synchronous=FULL) ─ fsync ─▶ answer
//	                              │ change sequence
//	Search ── follow ◀────────────┘
//	   │ filter: typed columns ─▶ bitmap of candidates
//	   ├ similarity   below 50,000 candidates: every one, in int8
//	   │              above: Hamming distance of sign bits ─▶ the best few hundred
//	   │              both: the best again in 16 bits, which is exact for ranking
//	   ├ words        BM25 over postings in memory
//	   └ fuse ─▶ bodies of the hits from index.db
//
// The file is the truth and memory a cache that is built by the first search and
// then follows the file's change sequence, so every opener, in this process or after
// a restart, sees every commit, whole. Words are loaded by the first hybrid search.
//
//	folder/account/region/id/index.db    meta, document, segment, chunk, terms, removed
//
// A segment is up to 512 chunks of one document: the vectors in float32, the
// attributes as columns, and the terms (as hashes, so that no analysis is repeated),
// each sealed as a block. A chunk's row is its id and its sealed body. All blocks of
// an index are sealed with its data key (AES-256-GCM, a random nonce each, good for
// 2³² blocks), which lies in meta sealed by the Sealer and is opened again by every
// operation: a disabled key stops the next search.
//
// Two stages are used only where they were measured to find 97 % of what an exact
// scan finds: sign bits serve the vectors of most models and fail on others. The
// measurement runs in the background when an index has outgrown the exact scan, and
// until it has ended every search is exact.
//
// Floor 1. It never answers a write before the fsync, never writes a clear byte of a
// chunk, and never shares a half-written change.
package embedded
