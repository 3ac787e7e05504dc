// Package fetch brings files over HTTP into a folder and proves what arrived.
//
//	URL ──Range──▶ NAME.part ──SHA-256──▶ fsync ──rename──▶ NAME
//
// A download that was cut, by the network or by a kill, goes on from the bytes
// that are there. A lock file keeps two processes from writing one target.
// Progress is an interface: a bar on a terminal, plain lines elsewhere.
//
// Floor 1. It never keeps a file whose digest is not the expected one, and never
// decides where a file comes from.
package fetch
