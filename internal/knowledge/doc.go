// Package knowledge is the room of knowledge bases: what they are, where their data
// comes from, and what all work on them shares.
//
//	CreateKnowledgeBase, CreateDataSource ─▶ rows ──▶ Base, Source
//	                                                    │
//	ingest    documents ─ parse ─ chunk ─ Embed ─▶ vector.Index ◀─ Indexes: embedded, S3 vectors, pgvector
//	retrieve  question ──────────────── Embed ─▶ Index.Search ─▶ results
//	rag       results ─▶ model ─▶ answer with citations
//
// A knowledge base keeps the hash and the dimension of the model that embedded it; a
// question that another model embedded is refused. Work on a knowledge base is done as
// its service role (Acting), never as whoever asked.
//
// Floor 4. It reads no document (parse does), cuts none (chunk does), and never opens
// an index that its rows do not name.
package knowledge
