// Package migration brings a database to the schema of this program.
//
//	migration/sqlite/00001_state.sql      one folder a dialect, the same numbers in both,
//	migration/postgres/00001_state.sql    embedded, forward only
//
// A package with a table of its own adds the next number to both folders; files
// that have been released are never edited.
//
// Floor 1, part of store. It never goes back: a database that is newer than the
// program is refused as it stands.
package migration
