// Package install finds the program that runs models, and fetches one where
// there is none.
//
//	Find:    OUTCROP_LLAMA_SERVER → llama-server on PATH → CACHE/engine
//	Install: official llama.cpp release archive → xllamacpp wheel of the package index (needs python3 ≥ 3.10)
//	Doctor:  what is there, what is missing, and what to do about it
//
// Floor 1. It never runs pip, never changes anything outside the cache folder,
// and keeps nothing that did not start.
package install
