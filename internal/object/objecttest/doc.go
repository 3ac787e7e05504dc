// Package objecttest holds the contract of object.Store as tests: every adapter runs
// the same suite.
//
//	adapter's test ─▶ Run(t, open) ─▶ one fresh bucket a case ─▶ the sentences of object.Store
//
// Floor 1, tests only. It asserts nothing that a real S3 would not keep.
package objecttest
