// Package js runs the AWS SDK for JavaScript, as npm installs it, against a built
// server: the programs of users, and checks of what the clients see.
//
//	go test ──▶ outcroptest.Start ──▶ outcrop ◀── HTTP/2 in clear text (HTTP/1.1 before version 3.798)
//	   └─ a folder of its own with programs/*.mjs, checks/*.mjs and node_modules ──▶ node ──┘
//
// Floor: tests. The JavaScript side knows nothing of Outcrop.
package js
