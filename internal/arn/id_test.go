package arn

import (
	"regexp"
	"testing"
)

func TestNewID(t *testing.T) {
	form, seen := regexp.MustCompile(`^[A-Z0-9]{10}$`), map[string]bool{}
	for range 1000 {
		id := NewID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("%q, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}
