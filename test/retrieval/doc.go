// Command retrieval measures the retrieval indexes of internal/vector and writes
// docs/benchmarks-retrieval.md.
//
//	drawn ── 100k and 1M vectors ──▶ speed, memory, writes   beside a float32 scan, sqlite-vec and pgvector
//	real ─── Debian's documents ──▶ engine ──▶ vectors, kept ──▶ recall of held-out questions, nDCG of section titles
//	engine ─ the same texts ──────▶ adapter beside the engine alone
//
// Each row of the page names what it is compared with in the same run; one that
// misses its bar makes the program end with 1. Packages are fetched with apt-get
// download, rivals with pip; both are kept beside the vectors in the cache folder, so
// that only a first run is long. Nothing of the texts is written to the page.
//
// A part that cannot be had, such as a rival that does not install, is named with the
// reason in its row. It is a program for developers, on Linux.
package main
