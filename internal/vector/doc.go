// Package vector is the port to the retrieval indexes of knowledge bases: chunks
// of documents with their vectors, texts and attributes, found again by
// similarity, by words, and behind a filter.
//
//	ingestion ── Index.Replace(document, chunks) ──▶ one transaction, fsynced, then seen by searches
//	                                                    │
//	retrieval ── Index.Search(query) ──▶ filter ──▶ vectors ─┐
//	                                        └─────▶ words ───┴─ fuse ──▶ hits, best first, scores in [0,1]
//
// An index belongs to one knowledge base and holds documents; a document owns its
// chunks, and they come and go together. The filter decides before the best are
// chosen: if n chunks pass it, a search for n of them answers n. What a store
// cannot do it says in its Capabilities, and a query that asks for it is refused
// with an *UnsupportedError; nothing is fetched in excess and thrown away.
//
// The adapters are embedded (a SQLite file for each knowledge base, scanned in
// memory, sealed) and pgvector (a table of the user's PostgreSQL, in the clear);
// vectortest holds every one to this contract. analyse turns text into the terms
// of the word search.
//
// What stands in the clear on disk: the names of an index and its documents, the
// ids and versions the caller gives, counts and times. Where they would tell
// something, give opaque ones; the true name belongs into Chunk.Source, which is
// sealed with the text.
//
// Floor 1. It never calls a model, never reads a document's format, never knows
// the wire's types, and never decides who may ask.
package vector
