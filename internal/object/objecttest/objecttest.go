package objecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// Options name what a server behind an adapter is known not to do. Each is a
// written exception: the adapter's own test says for which server and why.
type Options struct {
	NoConditionalCopy bool // conditions of a copy are ignored
	AnyToken          bool // a listing token that nobody gave is taken as a key
	LatePart          bool // a part of an upload that has ended meets another error than NoSuchUpload
	UnsortedUploads   bool // uploads are listed as they were started, in one page
}

var serial atomic.Int64

// Run checks the store that open returns; open is called once a case.
func Run(t *testing.T, open func(*testing.T) object.Store, o Options) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"a bucket is made once, found, and removed when empty", buckets},
		{"buckets of other accounts and regions are other buckets", namespaces},
		{"an object comes back as it was put", roundTrip},
		{"what is missing is named", missing},
		{"bad arguments are refused", invalid},
		{"any key is a key", strangeKeys},
		{"ranges", ranges},
		{"listing agrees with a plain sorted list", listing},
		{"a conditional put checks and writes in one step", conditions},
		{"one of many first writers wins", firstWriter},
		{"a refused or broken put leaves what was there", brokenPut},
		{"an open content is not touched by later writes", openContent},
		{"readers see whole objects", wholeObjects},
		{"delete", deletes},
		{"copy", copies},
		{"tags", tagging},
		{"an upload becomes one object", upload},
		{"faults of an upload leave it as it was", uploadFaults},
		{"uploads and parts are listed in pages", uploadListing},
		{"a cancelled put leaves nothing", cancelled},
		{"sums that a reader knows are kept with the object", furtherSums},
		{"a closed store says so", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fixture{Store: open(t), t: t, o: o}
			f.b = f.bucket()
			c.run(t, f)
		})
	}
}

type fixture struct {
	object.Store
	t *testing.T
	o Options
	b object.Bucket
}

func (f *fixture) bucket() object.Bucket {
	f.t.Helper()
	b := object.Bucket{Account: "123456789012", Region: "us-east-1", Name: fmt.Sprintf("bucket-%d", serial.Add(1))}
	f.ok(f.CreateBucket(f.t.Context(), b))
	return b
}

func (f *fixture) at(key string) object.Address { return object.Address{Bucket: f.b, Key: key} }

func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%v", err)
	}
}

func (f *fixture) is(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("error = %v, want %v", err, want)
	}
}

func (f *fixture) put(key, content string) object.Info {
	f.t.Helper()
	i, err := f.Put(f.t.Context(), f.at(key), strings.NewReader(content), object.PutOptions{})
	f.ok(err)
	return i
}

func (f *fixture) get(a object.Address, r object.Range) (object.Info, []byte) {
	f.t.Helper()
	c, err := f.Get(f.t.Context(), a, r)
	f.ok(err)
	b, err := io.ReadAll(c.Body)
	f.ok(errors.Join(err, c.Body.Close()))
	if int64(len(b)) != c.Length {
		f.t.Errorf("Length = %d, content has %d", c.Length, len(b))
	}
	return c.Info, b
}

func (f *fixture) has(key, want string) {
	f.t.Helper()
	if _, b := f.get(f.at(key), object.Range{}); string(b) != want {
		f.t.Errorf("content of %q = %.60q (%d bytes), want %.60q (%d)", key, b, len(b), want, len(want))
	}
}

func random(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func buckets(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.ok(f.HeadBucket(ctx, f.b))
	f.is(f.CreateBucket(ctx, f.b), object.ErrExists)
	f.put("k", "v")
	f.is(f.DeleteBucket(ctx, f.b), object.ErrNotEmpty)
	f.ok(f.Delete(ctx, f.at("k"), object.If{}))
	f.ok(f.DeleteBucket(ctx, f.b))
	f.is(f.HeadBucket(ctx, f.b), object.ErrNoBucket)
	f.is(f.DeleteBucket(ctx, f.b), object.ErrNoBucket)
	f.ok(f.CreateBucket(ctx, f.b))
}

func namespaces(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.put("k", "mine")
	for _, b := range []object.Bucket{
		{Account: "210987654321", Region: f.b.Region, Name: f.b.Name},
		{Account: f.b.Account, Region: "eu-west-1", Name: f.b.Name},
	} {
		a := object.Address{Bucket: b, Key: "k"}
		f.is(f.HeadBucket(ctx, b), object.ErrNoBucket)
		f.ok(f.CreateBucket(ctx, b))
		_, err := f.Head(ctx, a)
		f.is(err, object.ErrNotFound)
		_, err = f.Put(ctx, a, strings.NewReader("theirs"), object.PutOptions{})
		f.ok(err)
	}
	f.has("k", "mine")
}

func roundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, n := range []int{0, 1, 1000, 32 << 10, 32<<10 + 1, 1<<20 + 1, 9 << 20} {
		data := random(n, byte(n))
		h := object.NewHasher()
		_, _ = h.Write(data)
		attrs := object.Attributes{
			ContentType: "text/x-rock; charset=utf-8", ContentEncoding: "gzip", ContentDisposition: `attachment; filename="a b"`,
			ContentLanguage: "ko", CacheControl: "no-cache", User: map[string]string{"colour": "grey", "hard-ness": "6 of 10", "outcrop.x": "theirs"},
			System: map[string]string{"x": "ours", "sum": "SHA1 abc="},
		}
		key := fmt.Sprintf("n/%d", n)
		var seen object.Sums
		info, err := f.Put(ctx, f.at(key), iotest.HalfReader(bytes.NewReader(data)), object.PutOptions{
			Attributes: attrs,
			Verify: func(size int64, s object.Sums) error {
				if size != int64(n) {
					t.Errorf("Verify got size %d, want %d", size, n)
				}
				seen = s
				return nil
			},
		})
		f.ok(err)
		if seen != h.Sums() {
			t.Errorf("%d bytes: Verify got %+v, want %+v", n, seen, h.Sums())
		}
		if n <= 1<<20 && info.ETag != h.Sums().MD5 {
			t.Errorf("%d bytes: etag %q, want the MD5 %q", n, info.ETag, h.Sums().MD5)
		}
		head, err := f.Head(ctx, f.at(key))
		f.ok(err)
		got, body := f.get(f.at(key), object.Range{})
		if !bytes.Equal(body, data) {
			t.Errorf("%d bytes come back as other %d", n, len(body))
		}
		for what, i := range map[string]object.Info{"put": info, "head": head, "get": got} {
			if i.Key != key || i.Size != int64(n) || i.ETag != info.ETag || i.Modified.IsZero() {
				t.Errorf("%s answers %+v", what, i)
			}
			if d := cmp.Diff(attrs, i.Attributes); d != "" {
				t.Errorf("%s: attributes (-want +got):\n%s", what, d)
			}
			for _, p := range [][2]string{
				{i.Sums.SHA256, h.Sums().SHA256}, {i.Sums.CRC32, h.Sums().CRC32},
				{i.Sums.CRC32C, h.Sums().CRC32C}, {i.Sums.CRC64NVME, h.Sums().CRC64NVME},
			} {
				if p[0] != "" && p[0] != p[1] {
					t.Errorf("%s of %d bytes: sum %s, want %s or unknown", what, n, p[0], p[1])
				}
			}
		}
	}
	f.put("n/1", "second")
	f.has("n/1", "second")
	head, err := f.Head(ctx, f.at("n/1"))
	f.ok(err)
	if len(head.Attributes.User) != 0 || head.Attributes.ContentEncoding != "" {
		t.Errorf("attributes of the first object stayed: %+v", head.Attributes)
	}
}

func missing(t *testing.T, f *fixture) {
	ctx := t.Context()
	none := object.Address{Bucket: object.Bucket{Account: "123456789012", Region: "us-east-1", Name: "no-such-bucket-here"}, Key: "k"}
	for _, a := range []struct {
		object.Address
		want error
	}{{f.at("k"), object.ErrNotFound}, {none, object.ErrNoBucket}} {
		_, err := f.Head(ctx, a.Address)
		if !errors.Is(err, object.ErrNotFound) && !errors.Is(err, object.ErrNoBucket) {
			t.Errorf("Head = %v", err) // HEAD has no body to tell the two apart
		}
		_, err = f.Get(ctx, a.Address, object.Range{})
		f.is(err, a.want)
		_, err = f.Tags(ctx, a.Address)
		f.is(err, a.want)
		f.is(f.SetTags(ctx, a.Address, map[string]string{"a": "b"}), a.want)
		_, err = f.Copy(ctx, a.Address, f.at("copy"), object.CopyOptions{})
		f.is(err, a.want)
	}
	_, err := f.Put(ctx, none, strings.NewReader("x"), object.PutOptions{})
	f.is(err, object.ErrNoBucket)
	_, err = f.List(ctx, none.Bucket, object.ListOptions{})
	f.is(err, object.ErrNoBucket)
	f.is(f.Delete(ctx, none, object.If{}), object.ErrNoBucket)
	_, err = f.StartUpload(ctx, none, object.Attributes{}, nil)
	f.is(err, object.ErrNoBucket)
}

func invalid(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, a := range []object.Address{
		f.at(""), f.at(strings.Repeat("k", object.MaxKey+1)), f.at("\xff"),
		{Bucket: object.Bucket{Account: "1", Region: "r"}, Key: "k"}, {Key: "k"},
		{Bucket: object.Bucket{Account: "1", Region: "r", Name: "a\nb"}, Key: "k"},
	} {
		_, err := f.Put(ctx, a, strings.NewReader("x"), object.PutOptions{})
		f.is(err, object.ErrInvalid)
		_, err = f.Get(ctx, a, object.Range{})
		f.is(err, object.ErrInvalid)
		_, err = f.Head(ctx, a)
		f.is(err, object.ErrInvalid)
		f.is(f.Delete(ctx, a, object.If{}), object.ErrInvalid)
		_, err = f.Copy(ctx, a, f.at("x"), object.CopyOptions{})
		f.is(err, object.ErrInvalid)
		_, err = f.StartUpload(ctx, a, object.Attributes{}, nil)
		f.is(err, object.ErrInvalid)
	}
	many := map[string]string{}
	for i := range object.MaxTags + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for _, o := range []object.PutOptions{
		{Tags: many},
		{Tags: map[string]string{"": "v"}},
		{Attributes: object.Attributes{User: map[string]string{"a": strings.Repeat("x", 3000)}}},
		{Attributes: object.Attributes{System: map[string]string{"a.b": "x"}}},
		{Attributes: object.Attributes{ContentType: "a\r\nSet-Cookie: b"}},
	} {
		_, err := f.Put(ctx, f.at("k"), strings.NewReader("x"), o)
		f.is(err, object.ErrInvalid)
	}
	u, err := f.StartUpload(ctx, f.at("k"), object.Attributes{}, nil)
	f.ok(err)
	for _, n := range []int{0, -1, object.MaxPart + 1} {
		_, err := f.PutPart(ctx, u, n, strings.NewReader("x"), nil)
		f.is(err, object.ErrInvalid)
	}
	_, err = f.CompleteUpload(ctx, u, nil, object.If{})
	f.is(err, object.ErrInvalid)
	f.ok(f.AbortUpload(ctx, u))
	if !f.o.AnyToken {
		_, err = f.List(ctx, f.b, object.ListOptions{Token: "not a token!"})
		f.is(err, object.ErrInvalid)
	}
}

// strange are keys that folders, URLs and shells would all take for something else.
var strange = []string{
	"a", "a/b", "a/", "a//b", "/a", "../x", "../../etc/passwd", ".", "..", "./a", "a/../b", "a b", "a+b", "a%2Fb", "%41", "a%00b",
	"김치/돌", "🪨", "e\u0301", "é", `back\slash`, `C:\x`, "con", "nul.txt", "quote'\"<&>", "q?x=1&y=2", "#frag", "a;b,c=d", "tab\tkey",
	"~", "-rf", "*", "$HOME", "index.db", "blobs", strings.Repeat("long/", 200) + "k", strings.Repeat("돌", 341), "x" + strings.Repeat("y", 1023),
}

func strangeKeys(t *testing.T, f *fixture) {
	for _, k := range strange {
		f.put(k, "content of "+k)
	}
	for _, k := range strange {
		f.has(k, "content of "+k)
	}
	p, err := f.List(t.Context(), f.b, object.ListOptions{})
	f.ok(err)
	var got []string
	for _, o := range p.Objects {
		got = append(got, o.Key)
	}
	if d := cmp.Diff(slices.Sorted(slices.Values(strange)), got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
	for _, k := range strange {
		f.ok(f.Delete(t.Context(), f.at(k), object.If{}))
		if _, err := f.Head(t.Context(), f.at(k)); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("%q after delete: %v", k, err)
		}
	}
}

func ranges(t *testing.T, f *fixture) {
	for _, n := range []int{10, 100_000, 2<<20 + 7} {
		data := random(n, 9)
		key := fmt.Sprint(n)
		f.put(key, string(data))
		for _, r := range []object.Range{
			{}, {Offset: 1}, {Offset: 3, Length: 4}, {Offset: int64(n) - 1}, {Offset: -3}, {Offset: -int64(n) * 2},
			{Offset: 0, Length: 1}, {Offset: 5, Length: int64(n)}, {Offset: int64(n) / 2, Length: int64(n) / 3},
		} {
			off, l, err := r.Resolve(int64(n))
			f.ok(err)
			c, err := f.Get(t.Context(), f.at(key), r)
			f.ok(err)
			b, err := io.ReadAll(c.Body)
			f.ok(errors.Join(err, c.Body.Close()))
			if c.Offset != off || c.Length != l || c.Info.Size != int64(n) || !bytes.Equal(b, data[off:off+l]) {
				t.Errorf("%+v of %d: offset %d, length %d, size %d, %d bytes", r, n, c.Offset, c.Length, c.Info.Size, len(b))
			}
		}
		for _, r := range []object.Range{{Offset: int64(n)}, {Offset: int64(n) + 5, Length: 1}} {
			_, err := f.Get(t.Context(), f.at(key), r)
			f.is(err, object.ErrRange)
		}
	}
	f.put("empty", "")
	_, err := f.Get(t.Context(), f.at("empty"), object.Range{Length: 1})
	f.is(err, object.ErrRange)
}

// want lists keys the plain way.
func want(keys []string, o object.ListOptions) (objects, prefixes []string) {
	for _, k := range slices.Sorted(slices.Values(keys)) {
		rest, ok := strings.CutPrefix(k, o.Prefix)
		if !ok || k <= o.After {
			continue
		}
		if i := strings.Index(rest, o.Delimiter); o.Delimiter != "" && i >= 0 {
			p := o.Prefix + rest[:i+len(o.Delimiter)]
			if !slices.Contains(prefixes, p) {
				prefixes = append(prefixes, p)
			}
			continue
		}
		objects = append(objects, k)
	}
	return objects, prefixes
}

func listing(t *testing.T, f *fixture) {
	var keys []string
	for i := range 150 {
		keys = append(keys, fmt.Sprintf("deep/%d/%03d", i%7, i))
	}
	keys = append(keys, "a", "a/b", "a/b/c", "a0", "b//c", "deep", "deep0", "z", "돌/a", "돌/b", "돌")
	for _, k := range keys {
		f.put(k, k)
	}
	for _, o := range []object.ListOptions{
		{}, {Prefix: "a"}, {Prefix: "a/"}, {Delimiter: "/"}, {Prefix: "deep/", Delimiter: "/"}, {Prefix: "deep/3/", Delimiter: "/"},
		{Prefix: "deep", Delimiter: "/"}, {After: "deep/3/"}, {After: "zz"}, {Prefix: "nothing"}, {Delimiter: "eep"},
		{Prefix: "돌", Delimiter: "/"}, {Prefix: "b", Delimiter: "//"}, {Prefix: "deep/", After: "deep/5/100"},
	} {
		objects, prefixes := want(keys, o)
		for _, limit := range []int{0, 1, 3, 50} {
			o.Limit = limit
			var gotO, gotP []string
			q, pages := o, 0
			for {
				p, err := f.List(t.Context(), f.b, q)
				f.ok(err)
				if n := len(p.Objects) + len(p.Prefixes); limit > 0 && n > limit {
					t.Fatalf("%+v: page of %d", q, n)
				}
				for _, i := range p.Objects {
					gotO = append(gotO, i.Key)
					if i.Size != int64(len(i.Key)) || i.ETag == "" || i.Modified.IsZero() {
						t.Fatalf("listed %+v", i)
					}
				}
				gotP = append(gotP, p.Prefixes...)
				if pages++; p.Next == "" || pages > 500 {
					break
				}
				q.Token = p.Next
			}
			if d := cmp.Diff(objects, gotO) + cmp.Diff(prefixes, gotP); d != "" {
				t.Errorf("%+v (-want +got):\n%s", o, d)
			}
			if limit == 1 && len(objects)+len(prefixes) > 20 {
				break // enough single steps
			}
		}
	}
}

func conditions(t *testing.T, f *fixture) {
	ctx := t.Context()
	try := func(c object.If, content string) (object.Info, error) {
		return f.Put(ctx, f.at("k"), strings.NewReader(content), object.PutOptions{If: c})
	}
	_, err := try(object.If{Match: "00000000000000000000000000000000"}, "no")
	f.is(err, object.ErrNotFound)
	first, err := try(object.If{Absent: true}, "first")
	f.ok(err)
	_, err = try(object.If{Absent: true}, "no")
	f.is(err, object.ErrPrecondition)
	_, err = try(object.If{Match: "00000000000000000000000000000000"}, "no")
	f.is(err, object.ErrPrecondition)
	f.has("k", "first")
	_, err = try(object.If{Match: first.ETag}, "second")
	f.ok(err)
	_, err = try(object.If{Match: first.ETag}, "no")
	f.is(err, object.ErrPrecondition)
	f.has("k", "second")
}

func firstWriter(t *testing.T, f *fixture) {
	var (
		wg  sync.WaitGroup
		won atomic.Int32
	)
	for i := range 12 {
		wg.Go(func() {
			_, err := f.Put(t.Context(), f.at("lock"), strings.NewReader(fmt.Sprint(i)), object.PutOptions{If: object.If{Absent: true}})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, object.ErrPrecondition):
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d writers won", won.Load())
	}
}

func brokenPut(t *testing.T, f *fixture) {
	f.put("k", "kept")
	wire, digest := errors.New("wire gone"), errors.New("digest differs")
	for _, n := range []int{3, 100_000, 9 << 20} {
		r := io.MultiReader(bytes.NewReader(random(n, 1)), iotest.ErrReader(wire))
		_, err := f.Put(t.Context(), f.at("k"), r, object.PutOptions{})
		f.is(err, wire)
		_, err = f.Put(t.Context(), f.at("k"), bytes.NewReader(random(n, 2)), object.PutOptions{
			Verify: func(int64, object.Sums) error { return digest },
		})
		f.is(err, digest)
		f.has("k", "kept")
	}
	ups, _, err := f.ListUploads(t.Context(), f.b, "", object.UploadInfo{}, 0)
	f.ok(err)
	if len(ups) > 0 {
		t.Errorf("uploads left behind: %v", ups)
	}
}

func openContent(t *testing.T, f *fixture) {
	data := random(3<<20, 4)
	f.put("big", string(data))
	c, err := f.Get(t.Context(), f.at("big"), object.Range{})
	f.ok(err)
	head := make([]byte, 1000)
	_, err = io.ReadFull(c.Body, head)
	f.ok(err)
	f.put("big", "other")
	f.ok(f.Delete(t.Context(), f.at("big"), object.If{}))
	rest, err := io.ReadAll(c.Body)
	f.ok(errors.Join(err, c.Body.Close()))
	if !bytes.Equal(append(head, rest...), data) {
		t.Errorf("content changed under its reader (%d bytes)", len(rest))
	}
}

func wholeObjects(t *testing.T, f *fixture) {
	const size = 60_000
	write := func(i int) string { return strings.Repeat(string(rune('a'+i)), size) }
	f.put("k", write(0))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 15 {
				if _, err := f.Put(t.Context(), f.at("k"), strings.NewReader(write((w*15+i)%26)), object.PutOptions{}); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	done := make(chan int)
	go func() {
		reads := 0
		for ctx.Err() == nil {
			c, err := f.Get(t.Context(), f.at("k"), object.Range{})
			if err != nil {
				t.Errorf("get: %v", err)
				break
			}
			b, err := io.ReadAll(c.Body)
			_ = c.Body.Close()
			if err != nil || len(b) != size || strings.Trim(string(b), string(b[:1])) != "" {
				t.Errorf("half an object: %d bytes, %v", len(b), err)
			}
			h := object.NewHasher()
			_, _ = h.Write(b)
			if h.Sums().MD5 != c.Info.ETag {
				t.Error("content and etag are of two objects")
			}
			reads++
		}
		done <- reads
	}()
	wg.Wait()
	stop()
	if <-done == 0 {
		t.Error("nothing was read meanwhile")
	}
}

func deletes(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.ok(f.Delete(ctx, f.at("never"), object.If{}))
	i := f.put("k", "v")
	f.is(f.Delete(ctx, f.at("k"), object.If{Match: "00000000000000000000000000000000"}), object.ErrPrecondition)
	f.has("k", "v")
	f.ok(f.Delete(ctx, f.at("k"), object.If{Match: i.ETag}))
	_, err := f.Get(ctx, f.at("k"), object.Range{})
	f.is(err, object.ErrNotFound)
	f.is(f.Delete(ctx, f.at("k"), object.If{Match: i.ETag}), object.ErrNotFound)
}

func copies(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, n := range []int{0, 10, 200_000} {
		data := string(random(n, 7))
		attrs := object.Attributes{ContentType: "text/plain", User: map[string]string{"a": "b"}, System: map[string]string{"s": "1"}}
		src, err := f.Put(ctx, f.at("돌 src+%"), strings.NewReader(data), object.PutOptions{Attributes: attrs, Tags: map[string]string{"t": "1"}})
		f.ok(err)
		_, err = f.Copy(ctx, f.at("돌 src+%"), f.at("dst"), object.CopyOptions{})
		f.ok(err)
		f.has("dst", data)
		i, err := f.Head(ctx, f.at("dst"))
		f.ok(err)
		if d := cmp.Diff(attrs, i.Attributes); d != "" {
			t.Errorf("copied attributes (-want +got):\n%s", d)
		}
		tags, err := f.Tags(ctx, f.at("dst"))
		f.ok(err)
		if tags["t"] != "1" {
			t.Errorf("copied tags = %v", tags)
		}
		other := object.Attributes{ContentType: "image/png"}
		_, err = f.Copy(ctx, f.at("dst"), f.at("dst"), object.CopyOptions{Attributes: &other, Tags: map[string]string{"u": "2"}})
		f.ok(err)
		f.has("dst", data)
		i, err = f.Head(ctx, f.at("dst"))
		f.ok(err)
		if d := cmp.Diff(other, i.Attributes); d != "" {
			t.Errorf("replaced attributes (-want +got):\n%s", d)
		}
		tags, err = f.Tags(ctx, f.at("dst"))
		f.ok(err)
		if d := cmp.Diff(map[string]string{"u": "2"}, tags); d != "" {
			t.Errorf("replaced tags (-want +got):\n%s", d)
		}
		if !f.o.NoConditionalCopy {
			_, err = f.Copy(ctx, f.at("돌 src+%"), f.at("dst2"), object.CopyOptions{Source: object.If{Match: "00000000000000000000000000000000"}})
			f.is(err, object.ErrPrecondition)
		}
		_, err = f.Copy(ctx, f.at("돌 src+%"), f.at("dst2"), object.CopyOptions{Source: object.If{Match: src.ETag}})
		f.ok(err)
		if !f.o.NoConditionalCopy {
			_, err = f.Copy(ctx, f.at("돌 src+%"), f.at("dst"), object.CopyOptions{If: object.If{Absent: true}})
			f.is(err, object.ErrPrecondition)
		}
		b := f.bucket()
		_, err = f.Copy(ctx, f.at("dst2"), object.Address{Bucket: b, Key: "k"}, object.CopyOptions{})
		f.ok(err)
		for _, k := range []string{"돌 src+%", "dst", "dst2"} {
			f.ok(f.Delete(ctx, f.at(k), object.If{}))
		}
		if _, got := f.get(object.Address{Bucket: b, Key: "k"}, object.Range{}); string(got) != data {
			t.Errorf("copy died with its source: %d bytes of %d", len(got), n)
		}
	}
}

func tagging(t *testing.T, f *fixture) {
	ctx := t.Context()
	before, err := f.Put(ctx, f.at("k"), strings.NewReader("v"), object.PutOptions{Tags: map[string]string{"a b": "1+1=2 @ more", "돌": ""}})
	f.ok(err)
	check := func(want map[string]string) {
		t.Helper()
		got, err := f.Tags(ctx, f.at("k"))
		f.ok(err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("tags (-want +got):\n%s", d)
		}
		i, err := f.Head(ctx, f.at("k"))
		f.ok(err)
		if i.ETag != before.ETag || i.TagCount != len(want) {
			t.Errorf("head = %+v", i)
		}
	}
	check(map[string]string{"a b": "1+1=2 @ more", "돌": ""})
	next := map[string]string{"c": "3"}
	f.ok(f.SetTags(ctx, f.at("k"), maps.Clone(next)))
	check(next)
	f.has("k", "v")
	f.ok(f.SetTags(ctx, f.at("k"), nil))
	check(map[string]string{})
}

// knowing is content whose reader knows a sum that no store computes.
type knowing struct{ *strings.Reader }

func (k knowing) Further() object.Sums {
	if k.Len() > 0 {
		return object.Sums{SHA1: "asked too early"}
	}
	return object.Sums{SHA1: "5ba1", MD5: "a store computes this one itself"}
}

func furtherSums(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, size := range []int{10, 100_000} {
		data := strings.Repeat("x", size)
		h := object.NewHasher()
		_, _ = h.Write([]byte(data))
		want := h.Sums()
		want.SHA1 = "5ba1"
		var seen object.Sums
		info, err := f.Put(ctx, f.at("k"), knowing{strings.NewReader(data)}, object.PutOptions{Verify: func(_ int64, s object.Sums) error { seen = s; return nil }})
		f.ok(err)
		head, err := f.Head(ctx, f.at("k"))
		f.ok(err)
		if seen != want || info.Sums.SHA1 != "5ba1" || head.Sums.SHA1 != "" && head.Sums.SHA1 != "5ba1" {
			t.Errorf("Verify got %+v, Put answers %+v, Head %+v; want %+v", seen, info.Sums, head.Sums, want)
		}
		u, err := f.StartUpload(ctx, f.at("k"), object.Attributes{}, nil)
		f.ok(err)
		p, err := f.PutPart(ctx, u, 1, knowing{strings.NewReader(data)}, nil)
		f.ok(err)
		if p.Sums.SHA1 != "5ba1" || p.Sums.MD5 != want.MD5 {
			t.Errorf("part %+v", p)
		}
		f.ok(f.AbortUpload(ctx, u))
	}
}
