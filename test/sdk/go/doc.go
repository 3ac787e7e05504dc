// Package gosdk runs the AWS SDK for Go against a built server: the programs of
// users, and checks of what the clients see.
//
//	go test ──▶ outcroptest.Start ──▶ outcrop ◀── aws-sdk-go-v2 clients of this process
//	   └─ programs/go/*, built and run ──▶ HTTP ──┘
//
// Floor: tests. It imports nothing of the house.
package gosdk
