// Package vectortest holds every adapter of the vector port to its contract.
//
//	adapter's test ─▶ Run(t, place) ─▶ subtests by subject: life, documents, search, filters, words, concurrency
//
// It also draws what such tests need: vectors in clusters, as embeddings lie, and
// filters over attributes of mixed types.
//
// Floor 1, imported by tests only. It knows the port and no adapter.
package vectortest
