// Package python runs boto3 against a built server: the programs of users, and
// checks of what the clients see.
//
//	go test ──▶ outcroptest.Start ──▶ outcrop
//	   └─ python programs/*.py, checks/*.py ──▶ HTTP ──┘
//
// A check is a file of unittest that runs by itself too: point the AWS variables
// at a server (outcrop env) and start it.
//
// Floor: tests. The Python side knows nothing of Outcrop but its header and its
// metrics page.
package python
