package objecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/object"
)

func upload(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.put("k", "before")
	attrs := object.Attributes{ContentType: "text/plain", User: map[string]string{"a": "b"}, System: map[string]string{"s": "1"}}
	u, err := f.StartUpload(ctx, f.at("k"), attrs, map[string]string{"t": "1"})
	f.ok(err)
	under, err := f.HeadUpload(ctx, u)
	f.ok(err)
	if under.Key != "k" || under.ID != u.ID || under.Attributes.ContentType != "" && cmp.Diff(attrs, under.Attributes) != "" {
		t.Errorf("the upload under way is %+v", under)
	}
	pieces := [][]byte{random(object.MinPartSize, 1), random(object.MinPartSize+3, 2), random(1000, 3), random(7, 4)}
	numbers := []int{1, 4, 10_000, 9}
	var parts []object.Part
	for i, n := range numbers {
		p, err := f.PutPart(ctx, u, n, bytes.NewReader(pieces[i]), nil)
		f.ok(err)
		if p.Number != n || p.Size != int64(len(pieces[i])) || p.ETag == "" {
			t.Errorf("part = %+v", p)
		}
		parts = append(parts, p)
	}
	// A part is replaced; another is left out of the object.
	pieces[0] = random(object.MinPartSize+1, 5)
	parts[0], err = f.PutPart(ctx, u, 1, bytes.NewReader(pieces[0]), nil)
	f.ok(err)
	f.has("k", "before")

	info, err := f.CompleteUpload(ctx, u, []object.PartRef{{Number: 1, ETag: parts[0].ETag}, {Number: 4, ETag: parts[1].ETag}, {Number: 10_000, ETag: parts[2].ETag}}, object.If{})
	f.ok(err)
	whole := slicesConcat(pieces[0], pieces[1], pieces[2])
	if !strings.HasSuffix(info.ETag, "-3") || info.Size != int64(len(whole)) {
		t.Errorf("completed = %+v", info)
	}
	head, err := f.Head(ctx, f.at("k"))
	f.ok(err)
	if d := cmp.Diff(attrs, head.Attributes); d != "" || head.ETag != info.ETag {
		t.Errorf("attributes (-want +got):\n%s etag %q, want %q", d, head.ETag, info.ETag)
	}
	h := object.NewHasher()
	_, _ = h.Write(whole)
	if head.Sums.CRC64NVME != "" && head.Sums.CRC64NVME != h.Sums().CRC64NVME {
		t.Errorf("crc64 of the whole = %s, want %s", head.Sums.CRC64NVME, h.Sums().CRC64NVME)
	}
	if _, b := f.get(f.at("k"), object.Range{}); !bytes.Equal(b, whole) {
		t.Errorf("content has %d bytes, want %d", len(b), len(whole))
	}
	edge := int64(len(pieces[0]))
	for _, r := range []object.Range{{Offset: edge - 5, Length: 10}, {Offset: edge, Length: 1}, {Offset: -1001, Length: 2}, {Offset: edge - 1}} {
		off, n, err := r.Resolve(int64(len(whole)))
		f.ok(err)
		if _, b := f.get(f.at("k"), r); !bytes.Equal(b, whole[off:off+n]) {
			t.Errorf("%+v across parts is wrong", r)
		}
	}
	tags, err := f.Tags(ctx, f.at("k"))
	f.ok(err)
	if tags["t"] != "1" {
		t.Errorf("tags = %v", tags)
	}
	_, err = f.Copy(ctx, f.at("k"), f.at("copy"), object.CopyOptions{})
	f.ok(err)
	f.ok(f.Delete(ctx, f.at("k"), object.If{}))
	if _, b := f.get(f.at("copy"), object.Range{}); !bytes.Equal(b, whole) {
		t.Errorf("copy has %d bytes, want %d", len(b), len(whole))
	}
	if _, err = f.PutPart(ctx, u, 2, strings.NewReader("late"), nil); err == nil || (!f.o.LatePart && !errors.Is(err, object.ErrNoUpload)) {
		t.Errorf("part of an ended upload: %v", err)
	}
	f.is(f.AbortUpload(ctx, u), object.ErrNoUpload)
}

func slicesConcat(s ...[]byte) []byte { return bytes.Join(s, nil) }

func uploadFaults(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.put("k", "before")
	u, err := f.StartUpload(ctx, f.at("k"), object.Attributes{}, nil)
	f.ok(err)
	put := func(n, size int) object.PartRef {
		t.Helper()
		p, err := f.PutPart(ctx, u, n, bytes.NewReader(random(size, byte(n))), nil)
		f.ok(err)
		return object.PartRef{Number: n, ETag: p.ETag}
	}
	one, two, three := put(1, object.MinPartSize), put(2, 1000), put(3, 1000)
	digest := errors.New("digest differs")
	_, err = f.PutPart(ctx, u, 3, strings.NewReader("x"), func(int64, object.Sums) error { return digest })
	f.is(err, digest)
	for _, c := range []struct {
		parts []object.PartRef
		want  error
	}{
		{[]object.PartRef{two, one}, object.ErrPart},
		{[]object.PartRef{one, one}, object.ErrPart},
		{[]object.PartRef{one, {Number: 7, ETag: one.ETag}}, object.ErrPart},
		{[]object.PartRef{one, {Number: 2, ETag: one.ETag}}, object.ErrPart},
		{[]object.PartRef{one, two, three}, object.ErrTooSmall},
	} {
		_, err := f.CompleteUpload(ctx, u, c.parts, object.If{})
		f.is(err, c.want)
	}
	f.has("k", "before")
	_, err = f.CompleteUpload(ctx, u, []object.PartRef{one, three}, object.If{Absent: true})
	f.is(err, object.ErrPrecondition)
	f.has("k", "before")
	_, err = f.CompleteUpload(ctx, u, []object.PartRef{one, three}, object.If{})
	f.ok(err)
	if _, b := f.get(f.at("k"), object.Range{Offset: object.MinPartSize}); !bytes.Equal(b, random(1000, 3)) {
		t.Error("the refused part replaced the stored one")
	}

	u, err = f.StartUpload(ctx, f.at("gone"), object.Attributes{}, nil)
	f.ok(err)
	put(1, 100)
	f.ok(f.AbortUpload(ctx, u))
	f.is(f.AbortUpload(ctx, u), object.ErrNoUpload)
	_, err = f.CompleteUpload(ctx, u, []object.PartRef{{Number: 1}}, object.If{})
	f.is(err, object.ErrNoUpload)
	_, _, err = f.ListParts(ctx, u, 0, 0)
	f.is(err, object.ErrNoUpload)
	_, err = f.HeadUpload(ctx, u)
	f.is(err, object.ErrNoUpload)
	_, err = f.Head(ctx, f.at("gone"))
	f.is(err, object.ErrNotFound)
}

func uploadListing(t *testing.T, f *fixture) {
	ctx := t.Context()
	var ids []string
	for _, k := range []string{"b", "a/1", "a/2", "돌", "z"} {
		u, err := f.StartUpload(ctx, f.at(k), object.Attributes{}, nil)
		f.ok(err)
		ids = append(ids, u.ID)
	}
	walk := func(prefix string, limit int) (keys []string) {
		t.Helper()
		var after object.UploadInfo
		for range 20 {
			page, more, err := f.ListUploads(ctx, f.b, prefix, after, limit)
			f.ok(err)
			for _, u := range page {
				keys = append(keys, u.Key)
				after = u
			}
			if !more {
				break
			}
		}
		if f.o.UnsortedUploads {
			slices.Sort(keys)
		}
		return keys
	}
	for _, limit := range []int{0, 1, 2} {
		if d := cmp.Diff([]string{"a/1", "a/2", "b", "z", "돌"}, walk("", limit)); d != "" {
			t.Errorf("uploads by %d (-want +got):\n%s", limit, d)
		}
		if d := cmp.Diff([]string{"a/1", "a/2"}, walk("a/", limit)); d != "" {
			t.Errorf("uploads below a/ by %d (-want +got):\n%s", limit, d)
		}
	}
	u := object.Upload{Address: f.at("b"), ID: ids[0]}
	for _, n := range []int{5, 1, 3, 2} {
		_, err := f.PutPart(ctx, u, n, strings.NewReader(fmt.Sprint("part ", n)), nil)
		f.ok(err)
	}
	for _, limit := range []int{0, 1, 3} {
		var got []int
		for after := 0; ; {
			parts, more, err := f.ListParts(ctx, u, after, limit)
			f.ok(err)
			for _, p := range parts {
				got, after = append(got, p.Number), p.Number
				if p.Size != 6 || p.ETag == "" || p.Modified.IsZero() {
					t.Errorf("part = %+v", p)
				}
			}
			if !more {
				break
			}
		}
		if d := cmp.Diff([]int{1, 2, 3, 5}, got); d != "" {
			t.Errorf("parts by %d (-want +got):\n%s", limit, d)
		}
	}
	f.is(f.DeleteBucket(ctx, f.b), object.ErrNotEmpty)
	if p, err := f.List(ctx, f.b, object.ListOptions{}); err != nil || len(p.Objects) != 0 {
		t.Errorf("unfinished uploads are listed as objects: %+v, %v", p, err)
	}
}

// stop is a reader that cancels its own put half way.
type stop struct {
	left   int
	cancel context.CancelFunc
}

func (s *stop) Read(p []byte) (int, error) {
	if s.left--; s.left == 0 {
		s.cancel()
	}
	if s.left < -1000 {
		return 0, io.EOF // a store that does not look would end here, and fail the test
	}
	return min(len(p), 16<<10), nil
}

func cancelled(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := f.Put(ctx, f.at("k"), &stop{left: 20, cancel: cancel}, object.PutOptions{})
	f.is(err, context.Canceled)
	_, err = f.Head(t.Context(), f.at("k"))
	f.is(err, object.ErrNotFound)
}

func closed(t *testing.T, f *fixture) {
	f.put("k", "v")
	f.ok(f.Close())
	_, err := f.Put(t.Context(), f.at("k"), strings.NewReader("w"), object.PutOptions{})
	f.is(err, object.ErrClosed)
	_, err = f.Get(t.Context(), f.at("k"), object.Range{})
	f.is(err, object.ErrClosed)
	_, err = f.Head(t.Context(), f.at("k"))
	f.is(err, object.ErrClosed)
	_, err = f.List(t.Context(), f.b, object.ListOptions{})
	f.is(err, object.ErrClosed)
	f.ok(f.Close())
}
