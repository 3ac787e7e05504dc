package iam

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// pageSize is IAM's when MaxItems is not given.
const pageSize = 100

// page cuts the next page out of a list. key names an item and never changes
// while it lives; the list is sorted by it here, so that what is made or removed
// between two pages moves nothing else. The marker names the last item given.
func page[T any](items []T, marker *string, size *int, key func(T) string) (out []T, more *bool, next *string, err error) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	if marker != nil {
		last, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil {
			return nil, nil, nil, apierr.New(apierr.Validation, "Invalid Marker.")
		}
		from, found := slices.BinarySearchFunc(items, string(last), func(x T, k string) int { return strings.Compare(key(x), k) })
		if found {
			from++
		}
		items = items[from:]
	}
	n := pageSize
	if size != nil {
		n = *size
	}
	if n >= len(items) {
		return items, new(false), nil, nil
	}
	return items[:n], new(true), new(base64.RawURLEncoding.EncodeToString([]byte(key(items[n-1])))), nil
}

// under keeps what has a path under the prefix.
func under[T any](items []T, prefix *string, path func(T) string) []T {
	if prefix == nil {
		return items
	}
	return slices.DeleteFunc(items, func(x T) bool { return !strings.HasPrefix(path(x), *prefix) })
}

// each converts a list. An empty one stays a list, so that clients find it.
func each[T, U any](items []T, f func(T) U) []U {
	out := make([]U, 0, len(items))
	for _, x := range items {
		out = append(out, f(x))
	}
	return out
}
