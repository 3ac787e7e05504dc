// Package outcroptest starts the built program for tests, and stands where a
// model would be.
//
//	test ── Start ──▶ outcrop serve (its own process, data folder and port) ◀── SDK, CLI
//	  │                        │ --engine URL
//	  └── Upstream ◀───────────┘  the test says each token itself
//
// The program under test is the one of OUTCROP_TEST_BIN, or is built once into a
// temporary folder. Everything that Start makes ends with the test.
//
// Floor: tests. It imports nothing of the house, and it never answers for the
// server: what it knows about it comes from its output, its pages and its verbs.
package outcroptest
