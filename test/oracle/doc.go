// Package oracle compares the policy evaluator with an independent one.
//
//	generated cases ──▶ internal/iam/policy ──▶ decision ─┐
//	              └──▶ node ask.mjs (iam-simulate) ──▶ decision ─┴─ equal, or an exception of EXCEPTIONS.md
//
// The oracle is a development dependency under its own licence (AGPL): the test
// installs it from the lock file into node_modules, which is neither committed
// nor shipped, and talks to it through a pipe. It stands beside all floors and
// is imported by nothing.
package oracle
