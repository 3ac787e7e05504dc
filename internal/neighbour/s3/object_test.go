package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// codeOf is the code that the SDK read from an answer.
func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func random(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func TestAnObjectComesBackAsItWasPut(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	c := h.root()
	for _, key := range []string{"a", "../x", "a//b", "/lead", "a b/+&$@=:,!*'()~/한국어", "dir/", "%2F", ".", "..", "?q=1&versionId=7"} {
		data := random(100_000, 1)
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: new("things"), Key: &key, Body: bytes.NewReader(data), ContentType: new("text/x"), CacheControl: new("no-store"), ContentDisposition: new("inline"),
			ContentEncoding: new("gzip"), ContentLanguage: new("de"), Metadata: map[string]string{"Who": "me"}, Tagging: new("k=v&x=%20y"), StorageClass: types.StorageClassStandardIa,
			ServerSideEncryption: types.ServerSideEncryptionAes256,
		})
		if err != nil {
			t.Fatalf("put %q: %v", key, err)
		}
		got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: new("things"), Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatalf("get %q: %v", key, err)
		}
		b, err := io.ReadAll(got.Body) // the SDK holds it against the checksum
		got.Body.Close()
		if err != nil || !bytes.Equal(b, data) {
			t.Fatalf("get %q: %d bytes, %v", key, len(b), err)
		}
		sum := md5.Sum(data)
		if want := fmt.Sprintf(`"%x"`, sum); *got.ETag != want {
			t.Errorf("etag %s, want %s", *got.ETag, want)
		}
		if aws.ToString(got.ContentType) != "text/x" || aws.ToString(got.CacheControl) != "no-store" || aws.ToString(got.ContentDisposition) != "inline" ||
			aws.ToString(got.ContentEncoding) != "gzip" || aws.ToString(got.ContentLanguage) != "de" || got.StorageClass != "STANDARD_IA" ||
			got.ServerSideEncryption != "AES256" || aws.ToInt32(got.TagCount) != 2 || got.ChecksumCRC32 == nil {
			t.Errorf("%q came back as %v", key, got.ResultMetadata)
		}
		if diff := cmp.Diff(map[string]string{"who": "me"}, got.Metadata); diff != "" {
			t.Error(diff)
		}
		tags, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: new("things"), Key: &key})
		if err != nil || len(tags.TagSet) != 2 || *tags.TagSet[1].Value != " y" {
			t.Errorf("tags %v, %v", tags, err)
		}
	}
}

func TestRangesAndConditionsOfReading(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	put := h.send(t, true, "PUT", "/things/k", "0123456789")
	h.send(t, true, "PUT", "/things/empty", "")
	etag := put.header.Get("ETag")
	old, future := "Mon, 02 Jan 2006 15:04:05 GMT", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		key, name, value string
		status           int
		code, body, rng  string
	}{
		{"k", "Range", "bytes=2-4", 206, "", "234", "bytes 2-4/10"},
		{"k", "Range", "bytes=7-", 206, "", "789", "bytes 7-9/10"},
		{"k", "Range", "bytes=0-", 206, "", "0123456789", "bytes 0-9/10"},
		{"k", "Range", "bytes=-3", 206, "", "789", "bytes 7-9/10"},
		{"k", "Range", "bytes=-300", 206, "", "0123456789", "bytes 0-9/10"},
		{"k", "Range", "bytes=8-99", 206, "", "89", "bytes 8-9/10"},
		{"k", "Range", "bytes=10-", 416, "InvalidRange", "", ""},
		{"k", "Range", "bytes=-0", 416, "InvalidRange", "", ""},
		{"k", "Range", "bytes=5-2", 200, "", "0123456789", ""},
		{"k", "Range", "bytes=0-1,3-4", 200, "", "0123456789", ""},
		{"k", "Range", "lines=0-1", 200, "", "0123456789", ""},
		{"empty", "Range", "bytes=0-", 416, "InvalidRange", "", ""},
		{"empty", "Range", "bytes=-1", 416, "InvalidRange", "", ""},
		{"k", "If-Match", etag, 200, "", "0123456789", ""},
		{"k", "If-Match", `"x", ` + etag, 200, "", "0123456789", ""},
		{"k", "If-Match", "*", 200, "", "0123456789", ""},
		{"k", "If-Match", `"x"`, 412, "PreconditionFailed", "", ""},
		{"k", "If-None-Match", etag, 304, "", "", ""},
		{"k", "If-None-Match", `"x"`, 200, "", "0123456789", ""},
		{"k", "If-Modified-Since", old, 200, "", "0123456789", ""},
		{"k", "If-Modified-Since", future, 304, "", "", ""},
		{"k", "If-Unmodified-Since", old, 412, "PreconditionFailed", "", ""},
		{"k", "If-Unmodified-Since", future, 200, "", "0123456789", ""},
		{"k", "If-Unmodified-Since", "yesterday", 200, "", "0123456789", ""},
	} {
		got := h.send(t, true, "GET", "/things/"+c.key, "", c.name, c.value)
		if got.status != c.status || got.code() != c.code || c.code == "" && got.body != c.body || got.header.Get("Content-Range") != c.rng {
			t.Errorf("%s: %s: %d %q %q, want %d %q %q", c.name, c.value, got.status, got.body, got.header.Get("Content-Range"), c.status, c.body, c.rng)
		}
		if c.status == 304 && got.header.Get("Etag") != etag {
			t.Errorf("%s: %s: not modified without an ETag", c.name, c.value)
		}
		head := h.send(t, true, "HEAD", "/things/"+c.key, "", c.name, c.value)
		if head.status != c.status || head.body != "" {
			t.Errorf("head with %s: %s: %d %q", c.name, c.value, head.status, head.body)
		}
	}
	// An ETag that matches wins over a time that does not, and the other way round.
	if got := h.send(t, true, "GET", "/things/k", "", "If-Match", etag, "If-Unmodified-Since", old); got.status != 200 {
		t.Errorf("If-Match with an old If-Unmodified-Since: %d", got.status)
	}
	if got := h.send(t, true, "GET", "/things/k", "", "If-None-Match", `"x"`, "If-Modified-Since", future); got.status != 200 {
		t.Errorf("If-None-Match with a future If-Modified-Since: %d", got.status)
	}
	over := h.send(t, true, "GET", "/things/k?response-content-type=a%2Fb&response-content-disposition=x&response-expires=never", "")
	if over.header.Get("Content-Type") != "a/b" || over.header.Get("Content-Disposition") != "x" || over.header.Get("Expires") != "never" {
		t.Errorf("overrides: %v", over.header)
	}
}

func TestConditionsOfWriting(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	for _, c := range []struct {
		method, key, name, value string
		status                   int
	}{
		{"PUT", "k", "If-Match", `"x"`, 404},
		{"PUT", "k", "If-None-Match", "*", 200},
		{"PUT", "k", "If-None-Match", "*", 412},
		{"PUT", "k", "If-Match", `"x"`, 412},
		{"PUT", "k", "If-Match", `"900150983cd24fb0d6963f7d28e17f72"`, 200},
		{"PUT", "k", "If-None-Match", `"x"`, 501},
		{"DELETE", "k", "If-Match", `"x"`, 412},
		{"DELETE", "k", "If-Match", `"900150983cd24fb0d6963f7d28e17f72"`, 204},
		{"DELETE", "k", "If-Match", `"900150983cd24fb0d6963f7d28e17f72"`, 404},
		{"DELETE", "k", "", "", 204},
	} {
		body := ""
		if c.method == "PUT" {
			body = "abc"
		}
		headers := []string{c.name, c.value}
		if c.name == "" {
			headers = nil
		}
		if got := h.send(t, true, c.method, "/things/"+c.key, body, headers...); got.status != c.status {
			t.Errorf("%s with %s: %s: %d %s, want %d", c.method, c.name, c.value, got.status, got.body, c.status)
		}
	}
}

func TestABodyThatIsNotWhatWasPromisedBecomesNoObject(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	wrongMD5 := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, c := range []struct {
		name    string
		code    string
		headers []string
	}{
		{"other md5", "BadDigest", []string{"Content-MD5", wrongMD5}},
		{"no md5", "InvalidDigest", []string{"Content-MD5", "abc"}},
		{"crc32", "BadDigest", []string{"x-amz-checksum-crc32", "AAAAAA=="}},
		{"crc32c", "BadDigest", []string{"x-amz-checksum-crc32c", "AAAAAA=="}},
		{"crc64", "BadDigest", []string{"x-amz-checksum-crc64nvme", "AAAAAAAAAAA="}},
		{"sha1", "BadDigest", []string{"x-amz-checksum-sha1", base64.StdEncoding.EncodeToString(make([]byte, 20))}},
		{"sha256", "BadDigest", []string{"x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(make([]byte, 32))}},
		{"short checksum", "InvalidRequest", []string{"x-amz-checksum-crc32", "AAA="}},
		{"two checksums", "InvalidRequest", []string{"x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-crc32c", "AAAAAA=="}},
		{"algorithm alone", "InvalidRequest", []string{"x-amz-sdk-checksum-algorithm", "CRC32"}},
		{"other payload hash", "XAmzContentSHA256Mismatch", []string{"x-amz-content-sha256", sigv4.HashPayload([]byte("other"))}},
		{"no payload hash", "XAmzContentSHA256Mismatch", []string{"x-amz-content-sha256", "zzz"}},
		{"kms", "NotImplemented", []string{"x-amz-server-side-encryption", "aws:kms"}},
		{"other encryption", "InvalidEncryptionAlgorithmError", []string{"x-amz-server-side-encryption", "rot13"}},
		{"customer key", "NotImplemented", []string{"x-amz-server-side-encryption-customer-algorithm", "AES256"}},
		{"acl", "AccessControlListNotSupported", []string{"x-amz-acl", "public-read"}},
		{"grant", "AccessControlListNotSupported", []string{"x-amz-grant-read", "id=1"}},
		{"class", "InvalidStorageClass", []string{"x-amz-storage-class", "COLD"}},
		{"archive", "NotImplemented", []string{"x-amz-storage-class", "GLACIER"}},
		{"eleven tags", "BadRequest", []string{"x-amz-tagging", "a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k="}},
		{"a tag twice", "InvalidArgument", []string{"x-amz-tagging", "a=1&a=2"}},
		{"metadata", "MetadataTooLarge", []string{"x-amz-meta-a", strings.Repeat("x", 2048)}},
		{"lock", "InvalidRequest", []string{"x-amz-object-lock-mode", "GOVERNANCE"}},
		{"sha512", "InvalidRequest", []string{"x-amz-checksum-sha512", "AAAA"}},
		{"no checksum of S3", "InvalidRequest", []string{"x-amz-checksum-adler", "AAAA"}},
		{"version", "NoSuchVersion", nil},
	} {
		path := "/things/k"
		if c.name == "version" {
			path += "?versionId=1"
		}
		got := h.send(t, true, "PUT", path, "hello", c.headers...)
		if got.code() != c.code {
			t.Errorf("%s: %d %s, want %s", c.name, got.status, got.body, c.code)
		}
		if c.code == "NotImplemented" && !strings.Contains(got.body, "--neighbour s3=URL") {
			t.Errorf("%s: the answer does not say how to hand S3 on: %s", c.name, got.body)
		}
		if head := h.send(t, true, "HEAD", "/things/k", ""); head.status != 404 {
			t.Fatalf("%s: the object is there (%d)", c.name, head.status)
		}
	}
}

func TestACutBodyBecomesNoObject(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	r, w := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), "PUT", h.url+"/things/cut", r)
	req.ContentLength = 200_000
	sigv4.Sign(req, sigv4.Credentials{AccessKeyID: h.admin.ID, SecretAccessKey: h.admin.Secret.Reveal()}, "us-east-1", "s3", time.Now(), sigv4.UnsignedPayload)
	go func() {
		_, _ = w.Write(random(150_000, 1))
		_ = w.CloseWithError(errors.New("cut"))
	}()
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Error("the client did not see its own error")
	}
	http.DefaultClient.CloseIdleConnections()
	if head := h.send(t, true, "HEAD", "/things/cut", ""); head.status != 404 {
		t.Errorf("half an object is there: %d", head.status)
	}
}

func TestChecksumsOfEveryAlgorithmComeBack(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	c := h.root()
	for _, a := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		key := string(a)
		put, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("things"), Key: &key, Body: strings.NewReader("hello"), ChecksumAlgorithm: a})
		if err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: new("things"), Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		of := map[types.ChecksumAlgorithm][2]*string{"CRC32": {put.ChecksumCRC32, head.ChecksumCRC32}, "CRC32C": {put.ChecksumCRC32C, head.ChecksumCRC32C},
			"CRC64NVME": {put.ChecksumCRC64NVME, head.ChecksumCRC64NVME}, "SHA1": {put.ChecksumSHA1, head.ChecksumSHA1}, "SHA256": {put.ChecksumSHA256, head.ChecksumSHA256}}[a]
		if of[0] == nil || of[1] == nil || *of[0] != *of[1] {
			t.Errorf("%s: put answered %v, head %v", a, aws.ToString(of[0]), aws.ToString(of[1]))
		}
	}
}

func TestDeletingMany(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	c := h.root()
	var ids []types.ObjectIdentifier
	for i := range 40 {
		key := fmt.Sprintf("k%d<&>", i)
		h.send(t, true, "PUT", "/things/"+queryEscape(key), "x")
		ids = append(ids, types.ObjectIdentifier{Key: &key})
	}
	ids = append(ids, types.ObjectIdentifier{Key: new("absent")}, types.ObjectIdentifier{Key: new("k"), VersionId: new("7")})
	out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: new("things"), Delete: &types.Delete{Objects: ids}})
	if err != nil || len(out.Deleted) != 41 || len(out.Errors) != 1 || *out.Errors[0].Code != "NoSuchVersion" {
		t.Fatalf("%+v, %v", out, err)
	}
	if l, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: new("things")}); err != nil || len(l.Contents) != 0 {
		t.Errorf("left: %v, %v", l, err)
	}
	if got := h.send(t, true, "POST", "/things?delete", "<Delete><Object><Key>k</Key></Object></Delete>"); got.code() != "InvalidRequest" {
		t.Errorf("without a digest: %s", got.body)
	}
}

func TestListing(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	all := []string{"a", "b/1", "b/2", "b/3", "c d", "e/x/1", "e/y", "f\x01", "ü"}
	for _, k := range all {
		h.send(t, true, "PUT", "/things/"+queryEscape(k), "x")
	}
	c := h.root()
	for _, limit := range []int32{1, 2, 3, 1000} {
		for _, version := range []int{1, 2} {
			var keys, prefixes []string
			var marker, token *string
			for range 20 {
				if version == 1 {
					p, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: new("things"), Delimiter: new("/"), MaxKeys: &limit, Marker: marker, EncodingType: "url"})
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range p.Contents {
						keys = append(keys, *o.Key)
					}
					for _, o := range p.CommonPrefixes {
						prefixes = append(prefixes, *o.Prefix)
					}
					if marker = p.NextMarker; !*p.IsTruncated {
						break
					}
					unescaped := strings.NewReplacer("%20", " ", "%01", "\x01").Replace(*marker)
					marker = &unescaped
				} else {
					p, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: new("things"), Delimiter: new("/"), MaxKeys: &limit, ContinuationToken: token, EncodingType: "url"})
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range p.Contents {
						keys = append(keys, *o.Key)
					}
					for _, o := range p.CommonPrefixes {
						prefixes = append(prefixes, *o.Prefix)
					}
					if token = p.NextContinuationToken; !*p.IsTruncated {
						break
					}
				}
			}
			want, wantPrefixes := []string{"a", "c%20d", "f%01", "%C3%BC"}, []string{"b/", "e/"}
			if !slices.Equal(keys, want) || !slices.Equal(prefixes, wantPrefixes) {
				t.Errorf("v%d by %d: %q %q", version, limit, keys, prefixes)
			}
		}
	}
	for _, q := range []struct {
		query string
		want  string
	}{
		{"list-type=2&prefix=b/&start-after=b/1", "b/2 b/3"},
		{"list-type=2&max-keys=0", ""},
		{"prefix=e/&delimiter=/", "e/y"},
		{"marker=c", "c d e/x/1 e/y f� ü"},
		{"versions&prefix=b", "b/1 b/2 b/3"},
	} {
		got := h.send(t, true, "GET", "/things?"+q.query, "")
		var keys []string
		for i, part := range strings.Split(got.body, "<Key>") {
			if i > 0 {
				k, _, _ := strings.Cut(part, "</Key>")
				keys = append(keys, k)
			}
		}
		if s := strings.Join(keys, " "); s != q.want {
			t.Errorf("%s: %q, want %q", q.query, s, q.want)
		}
	}
	for query, code := range map[string]string{"max-keys=x": "InvalidArgument", "max-keys=-1": "InvalidArgument", "list-type=2&continuation-token=!": "InvalidArgument", "encoding-type=gzip": "InvalidArgument"} {
		if got := h.send(t, true, "GET", "/things?"+query, ""); got.code() != code {
			t.Errorf("%s: %s", query, got.body)
		}
	}
}

func TestCopying(t *testing.T) {
	h := open(t, options{})
	h.bucket(t, "things")
	h.bucket(t, "others")
	c := h.root()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("things"), Key: new("a b+"), Body: strings.NewReader("hello"), Metadata: map[string]string{"m": "1"}, Tagging: new("t=1"), ContentType: new("x/y"), StorageClass: "STANDARD_IA"})
	if err != nil {
		t.Fatal(err)
	}
	copied, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("things/a%20b%2B")})
	if err != nil {
		t.Fatal(err)
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: new("others"), Key: new("c")})
	if err != nil || head.Metadata["m"] != "1" || *head.ContentType != "x/y" || *head.ETag != *copied.CopyObjectResult.ETag || aws.ToInt32(head.TagCount) != 1 || head.StorageClass != "" {
		t.Errorf("copy: %+v, %v", head, err)
	}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("/others/c"), MetadataDirective: "REPLACE", Metadata: map[string]string{"n": "2"}, TaggingDirective: "REPLACE", ChecksumAlgorithm: "SHA256"})
	if err != nil {
		t.Fatal(err)
	}
	head, err = c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: new("others"), Key: new("c"), ChecksumMode: "ENABLED"})
	if err != nil || head.Metadata["m"] != "" || head.Metadata["n"] != "2" || head.TagCount != nil || aws.ToString(head.ChecksumSHA256) == "" {
		t.Errorf("replaced: %+v, %v", head, err)
	}
	for _, bad := range []struct {
		code string
		in   s3.CopyObjectInput
	}{
		{"InvalidRequest", s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("others/c")}},
		{"NoSuchKey", s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("others/absent")}},
		{"NoSuchBucket", s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("absent/c")}},
		{"InvalidArgument", s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("absent")}},
		{"PreconditionFailed", s3.CopyObjectInput{Bucket: new("others"), Key: new("d"), CopySource: new("others/c"), CopySourceIfMatch: new("x")}},
		{"PreconditionFailed", s3.CopyObjectInput{Bucket: new("others"), Key: new("d"), CopySource: new("others/c"), CopySourceIfNoneMatch: copied.CopyObjectResult.ETag}},
		{"PreconditionFailed", s3.CopyObjectInput{Bucket: new("others"), Key: new("d"), CopySource: new("others/c"), CopySourceIfUnmodifiedSince: new(time.Unix(0, 0))}},
		{"PreconditionFailed", s3.CopyObjectInput{Bucket: new("others"), Key: new("c"), CopySource: new("things/a%20b%2B"), IfNoneMatch: new("*")}},
	} {
		if _, err := c.CopyObject(t.Context(), &bad.in); codeOf(err) != bad.code {
			t.Errorf("copy of %s: %v, want %s", *bad.in.CopySource, err, bad.code)
		}
	}
}

func TestUnsignedFramesAreTakenOff(t *testing.T) {
	h := open(t, options{open: true})
	h.bucket(t, "things")
	body := "5;chunk-signature=00\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
	head := []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding", "aws-chunked", "X-Amz-Decoded-Content-Length", "11", "X-Amz-Trailer", "x-amz-checksum-crc32"}
	if got := h.send(t, false, "PUT", "/things/k", body, head...); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := h.send(t, false, "GET", "/things/k", ""); got.body != "hello world" || got.header.Get("Content-Encoding") != "" {
		t.Errorf("%q %v", got.body, got.header)
	}
	for _, bad := range []string{body[:40], strings.Replace(body, "DUoRhQ", "DUoRhA", 1), strings.Replace(body, "6\r", "7\r", 1), strings.Replace(body, "x-amz-checksum-crc32:DUoRhQ==\r\n", "", 1)} {
		if got := h.send(t, false, "PUT", "/things/bad", bad, head...); got.status != 400 {
			t.Errorf("%q: %d %s", bad, got.status, got.body)
		}
	}
	if got := h.send(t, false, "HEAD", "/things/bad", ""); got.status != 404 {
		t.Errorf("a broken body became an object")
	}
}
