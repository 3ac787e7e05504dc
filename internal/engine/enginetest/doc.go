// Package enginetest is the contract of engine.Engine as a test suite.
//
//	adapter's test ── Run(t, open) ──▶ one subtest for each sentence of the contract
//
// Floor 1, for tests only. It knows no adapter: what an engine cannot do it says
// in its Subject, and then the suite demands the proper refusal instead.
package enginetest
