// Package server builds the whole house from a config and runs it: the only
// package that names every adapter, engine, family and room.
//
//	config ─▶ store · objects · engine ─▶ identity ─▶ rooms ─▶ front desks ─▶ gateway ─▶ listeners
//	          started in this order, ended in the reverse one (see parts in server.go)
//
// Entrance floor. It holds no rule of Bedrock.
package server
