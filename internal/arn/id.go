package arn

import "crypto/rand"

const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// NewID returns a new id of a resource of bedrock-agent: ten capital letters and digits,
// at random.
func NewID() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = capitals[int(b[i])%len(capitals)]
	}
	return string(b)
}
