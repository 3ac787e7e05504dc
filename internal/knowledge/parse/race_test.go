//go:build race

package parse

// raced: the race detector keeps shadow memory that a child of the allowed size has no
// room for. The tests of limits run without it, in a step of their own.
const raced = true
