package api

import "strings"

// Hand-written matchers for patterns that Go's regexp cannot compile. The
// generator refers to them by name; cmd/apigen/corrections.go says why.

// MatchS3ObjectURI matches s3://BUCKET/KEY with a bucket of 3 to 63 characters
// of [a-z0-9.-] that begins and ends in a letter or digit, and a key of 1 to
// 1024 characters without a line feed.
func MatchS3ObjectURI(s string) bool {
	rest, ok := strings.CutPrefix(s, "s3://")
	if !ok {
		return false
	}
	bucket, key, ok := strings.Cut(rest, "/")
	if !ok || len(bucket) < 3 || len(bucket) > 63 || key == "" || strings.Contains(key, "\n") {
		return false
	}
	for i := range len(bucket) {
		c := bucket[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || i == len(bucket)-1 || c != '.' && c != '-') {
			return false
		}
	}
	n := 0
	for range key {
		n++
	}
	return n <= 1024
}

// MatchOpenSearchIndexName matches an index name: lower-case letters, digits,
// '-', '_' and '.', beginning with a letter or digit.
func MatchOpenSearchIndexName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return s != ""
}
