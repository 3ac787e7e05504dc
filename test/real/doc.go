// Package real shows that true models answer: chat, streams, embeddings and a tool
// call, through the built server and the Go SDK.
//
//	go test ──▶ outcroptest.Start ──▶ outcrop ──▶ llama.cpp child ──▶ weights in the user's cache
//	   └────── aws-sdk-go-v2 ──────────▶ (fetched from the package index when they are not there)
//
// It runs with OUTCROP_REAL_MODEL=1. The chat model is a very small one: what is
// looked at is the plumbing, never the wording.
//
// Floor: tests.
package real
