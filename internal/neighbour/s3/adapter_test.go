package s3

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/object/objecttest"
	adapter "github.com/outcrop-dev/outcrop/internal/object/s3"
)

// TestTheFaceIsAnObjectStore holds the face, spoken to by the object store over
// S3, against the contract of object stores, with no exceptions: one Outcrop can
// keep the objects of another, and rooms read through --neighbour s3=URL.
func TestTheFaceIsAnObjectStore(t *testing.T) {
	objecttest.Run(t, func(t *testing.T) object.Store {
		h := open(t, options{minPart: object.MinPartSize})
		s, err := adapter.Open(adapter.Config{Client: h.root(), Name: func(b object.Bucket) string {
			return strings.ToLower(b.Account + "-" + b.Region + "-" + b.Name)
		}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, objecttest.Options{})
}
