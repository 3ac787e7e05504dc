// Package library makes a folder of files a knowledge base, over the wire, as any
// program with an SDK would.
//
//	Make    bucket, role, knowledge base, data source: found by their names, or made
//	Upload  folder ─▶ bucket: new and changed files; what is gone goes
//	Sync    StartIngestionJob, then its statistics while they move, until it ends
//	Search  Retrieve
//
// Entrance floor. It imports no room but the list of formats that can be read.
package library
