package s3

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestAnUploadInParts(t *testing.T) {
	h := open(t, options{minPart: 1000})
	h.bucket(t, "things")
	c := h.root()
	for _, a := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA256"} {
		key := "big" + string(a)
		up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: new("things"), Key: &key, ContentType: new("x/y"), Metadata: map[string]string{"m": "1"}, Tagging: new("t=1"), ChecksumAlgorithm: a})
		if err != nil {
			t.Fatal(err)
		}
		data := random(5000, 3)
		var parts []types.CompletedPart
		for n := range int32(3) {
			piece := data[n*2000 : min((n+1)*2000, 5000)]
			p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: new("things"), Key: &key, UploadId: up.UploadId, PartNumber: new(n + 1), Body: bytes.NewReader(piece), ChecksumAlgorithm: a})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{PartNumber: new(n + 1), ETag: p.ETag, ChecksumCRC32: p.ChecksumCRC32, ChecksumCRC32C: p.ChecksumCRC32C, ChecksumCRC64NVME: p.ChecksumCRC64NVME, ChecksumSHA256: p.ChecksumSHA256})
		}
		l, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: new("things"), Key: &key, UploadId: up.UploadId, MaxParts: new(int32(2))})
		if err != nil || len(l.Parts) != 2 || !*l.IsTruncated || *l.NextPartNumberMarker != "2" || *l.Parts[1].Size != 2000 {
			t.Errorf("parts: %+v, %v", l, err)
		}
		if got := h.send(t, true, "HEAD", "/things/"+key, ""); got.status != 404 {
			t.Errorf("an upload is seen before it is complete: %d", got.status)
		}
		in := &s3.CompleteMultipartUploadInput{Bucket: new("things"), Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}
		done, err := c.CompleteMultipartUpload(t.Context(), in)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		again, err := c.CompleteMultipartUpload(t.Context(), in) // a retry whose first answer was lost
		if err != nil || *again.ETag != *done.ETag {
			t.Errorf("again: %+v, %v", again, err)
		}
		got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: &key, ChecksumMode: "ENABLED"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil || !bytes.Equal(b, data) || !strings.HasSuffix(*got.ETag, `-3"`) || *got.ContentType != "x/y" || got.Metadata["m"] != "1" || *got.TagCount != 1 {
			t.Errorf("%s: %d bytes, %+v, %v", a, len(b), got, err)
		}
		sums := map[types.ChecksumAlgorithm]string{"": aws.ToString(got.ChecksumCRC64NVME), "CRC32": aws.ToString(got.ChecksumCRC32), "CRC32C": aws.ToString(got.ChecksumCRC32C), "CRC64NVME": aws.ToString(got.ChecksumCRC64NVME), "SHA256": aws.ToString(got.ChecksumSHA256)}
		composite := a != "" && a != "CRC64NVME"
		if s := sums[a]; s == "" || strings.HasSuffix(s, "-3") != composite {
			t.Errorf("%q: checksum %q", a, s)
		}
		part, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: &key, PartNumber: new(int32(3))})
		if err != nil {
			t.Fatal(err)
		}
		b, _ = io.ReadAll(part.Body)
		part.Body.Close()
		if !bytes.Equal(b, data[4000:]) || *part.PartsCount != 3 || *part.ContentRange != "bytes 4000-4999/5000" {
			t.Errorf("part 3: %d bytes, %+v", len(b), part)
		}
		if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: &key, PartNumber: new(int32(4))}); codeOf(err) != "InvalidPartNumber" {
			t.Errorf("part 4: %v", err)
		}
		attrs, err := c.GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{Bucket: new("things"), Key: &key, ObjectAttributes: []types.ObjectAttributes{"ETag", "ObjectSize", "ObjectParts", "Checksum"}})
		if err != nil || *attrs.ObjectSize != 5000 || *attrs.ObjectParts.TotalPartsCount != 3 || composite && len(attrs.ObjectParts.Parts) != 3 {
			t.Errorf("attributes: %+v, %v", attrs, err)
		}
	}
}

func TestWhatIsWrongWithAnUpload(t *testing.T) {
	h := open(t, options{minPart: 1000})
	h.bucket(t, "things")
	c := h.root()
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: new("things"), Key: new("k")})
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for n := range int32(2) {
		p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: new("things"), Key: new("k"), UploadId: up.UploadId, PartNumber: new(n + 1), Body: strings.NewReader("small")})
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, *p.ETag)
	}
	id := *up.UploadId
	part := func(n, etag string) string {
		return "<Part><PartNumber>" + n + "</PartNumber><ETag>" + etag + "</ETag></Part>"
	}
	for _, bad := range []struct{ id, body, code string }{
		{id, part("1", tags[0]) + part("2", tags[1]), "EntityTooSmall"},
		{id, part("2", tags[0]) + part("1", tags[1]), "InvalidPartOrder"},
		{id, part("1", `"900150983cd24fb0d6963f7d28e17f72"`), "InvalidPart"},
		{id, part("7", tags[0]), "InvalidPart"},
		{id, part("0", tags[0]), "InvalidArgument"},
		{id, part("1", ""), "MalformedXML"},
		{id, "", "MalformedXML"},
		{id, "<Part>", "MalformedXML"},
		{"nothing", part("1", `"900150983cd24fb0d6963f7d28e17f72"`), "NoSuchUpload"},
		{id, "<Part><PartNumber>1</PartNumber><ETag>" + tags[0] + "</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>", "InvalidPart"},
	} {
		got := h.send(t, true, "POST", "/things/k?uploadId="+bad.id, "<CompleteMultipartUpload>"+bad.body+"</CompleteMultipartUpload>")
		if got.code() != bad.code {
			t.Errorf("%s: %s, want %s", bad.body, got.body, bad.code)
		}
	}
	if got := h.send(t, true, "POST", "/things/k?uploadId="+id, "<CompleteMultipartUpload>"+part("1", tags[0])+"</CompleteMultipartUpload>", "x-amz-checksum-crc32", "AAAAAA=="); got.code() != "BadDigest" {
		t.Errorf("checksum of the whole: %s", got.body)
	}
	if got := h.send(t, true, "PUT", "/things/k?partNumber=10001&uploadId="+id, "x"); got.code() != "InvalidArgument" {
		t.Errorf("part 10001: %s", got.body)
	}
	if got := h.send(t, true, "PUT", "/things/k?partNumber=1&uploadId=nothing", "x"); got.code() != "NoSuchUpload" {
		t.Errorf("part of no upload: %s", got.body)
	}
	l, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: new("things")})
	if err != nil || len(l.Uploads) != 1 || *l.Uploads[0].UploadId != id {
		t.Errorf("uploads: %+v, %v", l, err)
	}
	if _, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: new("things"), Key: new("k"), UploadId: &id}); err != nil {
		t.Error(err)
	}
	if _, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: new("things"), Key: new("k"), UploadId: &id}); codeOf(err) != "NoSuchUpload" {
		t.Errorf("abort again: %v", err)
	}
	if _, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: new("things"), Key: new("k")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: new("things")}); err != nil {
		t.Errorf("removing a bucket with an upload: %v", err)
	}
}

func TestPartsCopiedFromObjects(t *testing.T) {
	h := open(t, options{minPart: 4})
	h.bucket(t, "things")
	h.send(t, true, "PUT", "/things/src", "0123456789")
	c := h.root()
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: new("things"), Key: new("k")})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for n, r := range []string{"bytes=2-7", ""} {
		in := &s3.UploadPartCopyInput{Bucket: new("things"), Key: new("k"), UploadId: up.UploadId, PartNumber: new(int32(n + 1)), CopySource: new("things/src")}
		if r != "" {
			in.CopySourceRange = &r
		}
		p, err := c.UploadPartCopy(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: new(int32(n + 1)), ETag: p.CopyPartResult.ETag})
	}
	if _, err := c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: new("things"), Key: new("k"), UploadId: up.UploadId, PartNumber: new(int32(3)), CopySource: new("things/src"), CopySourceRange: new("bytes=5-10")}); codeOf(err) != "InvalidArgument" {
		t.Errorf("a range beyond the end: %v", err)
	}
	if _, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: new("things"), Key: new("k"), UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
		t.Fatal(err)
	}
	if got := h.send(t, true, "GET", "/things/k", ""); got.body != "2345670123456789" {
		t.Errorf("%q", got.body)
	}
}

func TestUploadsAreListedPageByPage(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	c := h.root()
	var want []string
	for _, k := range []string{"a", "a", "b/1", "b/2", "c"} {
		up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: new("things"), Key: &k})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, *up.UploadId)
	}
	for limit := int32(1); limit < 4; limit++ {
		n, folds := 0, 0
		in := &s3.ListMultipartUploadsInput{Bucket: new("things"), MaxUploads: &limit, Delimiter: new("/")}
		for range 10 {
			p, err := c.ListMultipartUploads(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			n, folds = n+len(p.Uploads), folds+len(p.CommonPrefixes)
			if !*p.IsTruncated {
				break
			}
			in.KeyMarker, in.UploadIdMarker = p.NextKeyMarker, p.NextUploadIdMarker
		}
		if n != 3 || folds != 1 {
			t.Errorf("by %d: %d uploads and %d prefixes of %v", limit, n, folds, want)
		}
	}
}
