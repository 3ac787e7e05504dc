// Package storetest holds every database adapter to the contract of store, and
// gives other packages' tests a store to work on.
//
//	Run(t, open)      the conformance suite, the same on SQLite and PostgreSQL
//	Checked(t, d)     a Driver that fails the test when the contract is broken
//	New(t)            a fresh SQLite store in a temporary folder
//	StartPostgres(t)  a private PostgreSQL server for the length of a test
//
// Floor 1, for tests only. Nothing of the product imports it.
package storetest
