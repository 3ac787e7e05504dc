// Package kmstest opens what the tests of rooms stand on whose records may be under a
// customer key.
//
//	identity ◀── keys ──▶ store (SQLite in a folder) ◀── sealer, which asks keys
//
// Floor 2, for tests only. It is put together as package server does, and adds nothing.
package kmstest
