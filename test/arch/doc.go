// Package arch holds no code, only the rules of the house as a test: who may
// import whom, and that every package says what it is.
//
//	go list ./... ──▶ floors table ──▶ one failure per import that goes up or sideways
package arch
