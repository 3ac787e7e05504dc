// Package pgvectortest starts a PostgreSQL that has the vector extension, for tests.
//
//	Start ─▶ a server of its own for the test, from a Python package of the package index
//
// Floor 1. It is imported by tests alone, and answers on Unix only.
package pgvectortest
