package s3

import (
	"encoding/base64"
	"encoding/hex"
	"hash/crc64"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// sumOf is a checksum as it stands on the wire, computed apart from the face.
func sumOf(a *algorithm, data string) string {
	if a.name == usual {
		b := crc64.New(crc64.MakeTable(0x9A6C9329AC4BC9B5))
		_, _ = b.Write([]byte(data))
		return base64.StdEncoding.EncodeToString(b.Sum(nil))
	}
	h, _ := a.hasher()
	_, _ = h.Write([]byte(data))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// The digests of "abc" as their inventors publish them: a wrong algorithm behind a
// name would agree with itself in every other test.
func TestChecksumsAreTheRightOnes(t *testing.T) {
	for name, want := range map[string]string{
		"MD5":    "900150983cd24fb0d6963f7d28e17f72",
		"SHA1":   "a9993e364706816aba3e25717850c26c9cd0d89d",
		"SHA256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"SHA512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"CRC32":  "352441c2", "CRC32C": "364b3fb7",
		"XXHASH64": "44bc2cf5ad770999", "XXHASH3": "78af5f94892f3950", "XXHASH128": "06b05ab6733a618578af5f94892f3950",
	} {
		b, _ := base64.StdEncoding.DecodeString(sumOf(algorithmOf(name), "abc"))
		if got := hex.EncodeToString(b); got != want {
			t.Errorf("%s of abc is %s, want %s", name, got, want)
		}
	}
}

func TestEveryChecksumIsCheckedKeptAndAnswered(t *testing.T) {
	h := open(t, options{minPart: 1})
	h.bucket(t, "things")
	for i := range algorithms {
		a := &algorithms[i]
		name := strings.ToLower(a.header)
		sum, other := sumOf(a, "hello"), sumOf(a, "other")
		if got := h.send(t, true, "PUT", "/things/k", "hello", name, other); got.code() != "BadDigest" {
			t.Errorf("%s of another text: %d %s", a.name, got.status, got.body)
		}
		put := h.send(t, true, "PUT", "/things/k", "hello", name, sum)
		head := h.send(t, true, "HEAD", "/things/k", "", "x-amz-checksum-mode", "ENABLED")
		if put.status != 200 || put.header.Get(a.header) != sum || head.header.Get(a.header) != sum || head.header.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("%s: put %d %v, head %v; want %s", a.name, put.status, put.header, head.header, sum)
		}
		// A copy is given the checksum that it is asked for, computed or carried over.
		cp := h.send(t, true, "PUT", "/things/copy", "", "x-amz-copy-source", "/things/k", "x-amz-checksum-algorithm", "SHA1")
		if want := "<ChecksumSHA1>" + sumOf(algorithmOf("SHA1"), "hello"); !strings.Contains(cp.body, want) {
			t.Errorf("copy of one with %s: %s, want %s", a.name, cp.body, want)
		}
	}
}

var uploadID = regexp.MustCompile(`<UploadId>([^<]+)`)

func TestTheChecksumOfAnUploadHoldsForItsParts(t *testing.T) {
	h := open(t, options{minPart: 1})
	h.bucket(t, "things")
	for i := range algorithms {
		a := &algorithms[i]
		kind := "COMPOSITE"
		if a.name == usual {
			kind = "FULL_OBJECT"
		}
		begun := h.send(t, true, "POST", "/things/k?uploads", "", "x-amz-checksum-algorithm", a.name)
		if begun.header.Get("X-Amz-Checksum-Type") != kind {
			t.Fatalf("%s: %d %v %s", a.name, begun.status, begun.header, begun.body)
		}
		at := "/things/k?uploadId=" + uploadID.FindStringSubmatch(begun.body)[1]
		other := algorithmOf("CRC32")
		if a == other {
			other = algorithmOf("SHA1")
		}
		if got := h.send(t, true, "PUT", at+"&partNumber=1", "one", strings.ToLower(other.header), sumOf(other, "one")); got.code() != "InvalidRequest" || !strings.Contains(got.body, "Checksum Type mismatch") {
			t.Errorf("%s: a part with another algorithm: %d %s", a.name, got.status, got.body)
		}
		if got := h.send(t, true, "PUT", at+"&partNumber=1", "one"); (got.status == 200) != (kind == "FULL_OBJECT") {
			t.Errorf("%s: a part without: %d %s", a.name, got.status, got.body)
		}
		var parts []object.Part
		doc := "<CompleteMultipartUpload>"
		for n, text := range []string{"one", "two"} {
			sum := sumOf(a, text)
			p := h.send(t, true, "PUT", at+"&partNumber="+itoa(n+1), text, strings.ToLower(a.header), sum)
			if p.status != 200 || p.header.Get(a.header) != sum {
				t.Fatalf("%s: part: %d %v %s", a.name, p.status, p.header, p.body)
			}
			var part object.Part
			*a.in(&part.Sums) = hexOf(sum, a.size)
			parts = append(parts, part)
			doc += "<Part><PartNumber>" + itoa(n+1) + "</PartNumber><ETag>" + p.header.Get("Etag") + "</ETag><Checksum" + a.name + ">" + sum + "</Checksum" + a.name + "></Part>"
		}
		doc += "</CompleteMultipartUpload>"
		if l := h.send(t, true, "GET", at, ""); !strings.Contains(l.body, "<ChecksumAlgorithm>"+a.name+"</ChecksumAlgorithm><ChecksumType>"+kind) || strings.Count(l.body, "<Checksum"+a.name+">") != 2 {
			t.Errorf("%s: parts: %s", a.name, l.body)
		}
		if l := h.send(t, true, "GET", "/things?uploads", ""); !strings.Contains(l.body, "<ChecksumAlgorithm>"+a.name) {
			t.Errorf("%s: uploads: %s", a.name, l.body)
		}
		wrong := strings.Replace(doc, sumOf(a, "two"), sumOf(a, "three"), 1)
		if got := h.send(t, true, "POST", at, wrong); got.code() != "InvalidPart" {
			t.Errorf("%s: a part's checksum is another: %d %s", a.name, got.status, got.body)
		}
		if got := h.send(t, true, "POST", at, strings.ReplaceAll(doc, "Checksum"+a.name, "Sum")); (got.code() == "InvalidRequest") != (kind == "COMPOSITE") {
			t.Errorf("%s: no checksums: %d %s", a.name, got.status, got.body)
		}
		if kind == "FULL_OBJECT" {
			continue // completed by the line above
		}
		want := a.composite(parts)
		done := h.send(t, true, "POST", at, doc)
		head := h.send(t, true, "HEAD", "/things/k", "", "x-amz-checksum-mode", "ENABLED")
		if !strings.Contains(done.body, "<Checksum"+a.name+">"+want+"<") || head.header.Get(a.header) != want || !strings.HasSuffix(want, "-2") {
			t.Errorf("%s: %s, head %v, want %s", a.name, done.body, head.header, want)
		}
	}
}

func TestAnUploadIsEndedByItsTime(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	up, err := h.root().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: new("things"), Key: new("k")})
	if err != nil {
		t.Fatal(err)
	}
	at := "/things/k?uploadId=" + *up.UploadId
	if got := h.send(t, true, "DELETE", at, "", "x-amz-if-match-initiated-time", "Mon, 02 Jan 2006 15:04:05 GMT"); got.code() != "PreconditionFailed" {
		t.Errorf("another time: %d %s", got.status, got.body)
	}
	list, err := h.root().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: new("things")})
	if err != nil || len(list.Uploads) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if got := h.send(t, true, "DELETE", at, "", "x-amz-if-match-initiated-time", list.Uploads[0].Initiated.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")); got.status != 204 {
		t.Errorf("its time: %d %s", got.status, got.body)
	}
}
