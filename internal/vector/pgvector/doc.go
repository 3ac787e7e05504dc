// Package pgvector keeps an index in a table of the user's PostgreSQL that has the
// vector extension: what a knowledge base of the type RDS means.
//
//	Replace ── one transaction ──▶ table(id uuid, embedding vector(n), chunks text, metadata json, …)
//	Search  ── WHERE filter ORDER BY embedding <=> question LIMIT k
//
// The table is the user's: it must exist, with columns of the user's names, and is
// checked when the index is opened and never altered. Texts lie there in the clear,
// for the user's own queries; sealing the disk is the server's business. What this
// package needs beside them (document, ordinal, source) is in the metadata column;
// attributes are there too, or in a column of their own if one is named, and also in
// columns of their names where the table has such.
//
// With an hnsw or ivfflat index on the table the extension filters after the index
// and may come back with too few rows; such an answer is taken again without the
// index, so that n matching chunks are found if there are n.
//
// startsWith and hybrid searches are not offered, as they are not on the real
// service's Aurora.
//
// Floor 1. It never makes, alters or drops a table, and never fetches in excess.
package pgvector
