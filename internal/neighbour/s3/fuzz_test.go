package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/object"
)

// FuzzXML reads what strangers send as documents: no panic, and what is accepted
// keeps the limits that the operations rely on.
func FuzzXML(f *testing.F) {
	for _, s := range []string{
		`<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key><VersionId>null</VersionId></Object></Delete>`,
		`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber><ETag>"900150983cd24fb0d6963f7d28e17f72"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>`,
		`<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>30</MaxAgeSeconds></CORSRule></CORSConfiguration>`,
		`<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
		`<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>`,
		`<!DOCTYPE x [<!ENTITY a "b">]><Delete>&a;</Delete>`, `<Delete><Object/>`, "\xff\xfe<", strings.Repeat("<a>", 1000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := decode[deleteDocument](b); err == nil && d.check() == nil && (len(d.Objects) == 0 || len(d.Objects) > maxDeleteKeys) {
			t.Errorf("%d keys were accepted", len(d.Objects))
		}
		if d, err := decode[completeDocument](b); err == nil {
			if refs, err := d.refs(); err == nil {
				if err := object.CheckParts(refs); err != nil {
					t.Errorf("parts %v: %v", refs, err)
				}
				for i := range d.Parts {
					_, _, _ = d.Parts[i].sum()
				}
				etagOf(refs)
			}
		}
		if d, err := decode[corsDocument](b); err == nil && d.check() == nil {
			for i := range d.Rules {
				d.Rules[i].covers("https://example.com", "GET", []string{"x-a"})
			}
		}
		if d, err := decode[tagDocument](b); err == nil && checkTags(d.Tags, object.MaxTags) == nil {
			if err := object.CheckTags(tagMap(d.Tags)); err != nil {
				t.Errorf("tags %v: %v", d.Tags, err)
			}
		}
		_, _ = decode[createConfiguration](b)
		_, _ = decode[blockDocument](b)
		_, _ = decode[ownershipDocument](b)
		_, _ = decode[encryptionDocument](b)
		_, _ = parsePolicy(string(b), "arn:aws:s3:::things")
		// What is answered is XML, whatever the text.
		var d document
		d.begin("Error", true)
		d.text("Message", string(b))
		d.end("Error")
		var back struct{ Message string }
		if err := xml.Unmarshal(d.b, &back); err != nil {
			t.Errorf("%q became %q: %v", b, d.b, err)
		} else if clean := strings.ReplaceAll(string(b), "\r", "\n"); utf8.Valid(b) && !strings.ContainsFunc(clean, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' || r >= 0xfffd && r <= 0xffff }) && strings.ReplaceAll(back.Message, "\r", "\n") != clean {
			t.Errorf("%q came back as %q", b, back.Message)
		}
	})
}

// FuzzPath reads hosts, paths, queries and headers.
func FuzzPath(f *testing.F) {
	for _, s := range [][4]string{
		{"things.localhost", "/a%2Fb//../c", "uploads&versionId=null", "bytes=0-1"}, {"s3.eu-west-1.amazonaws.com", "/s3/things/%F0%9F%98%80", "uploadId=1&partNumber=2", "bytes=-1"},
		{"[::1]:80", "//", "list-type=2", "bytes=9223372036854775807-9223372036854775808"}, {"", "", "%", "bytes=1-0"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	face := &Face{c: Config{Hosts: []string{"s3.localhost", "localhost"}, Prefix: "/s3"}}
	f.Fuzz(func(t *testing.T, host, path, query, rng string) {
		bucket, key, err := face.target(host, path)
		if err == nil {
			if len(key) > object.MaxKey || !utf8.ValidString(key) {
				t.Errorf("key %q", key)
			}
			if plausible(bucket) && key != "" {
				a := object.Address{Bucket: object.Bucket{Account: "123456789012", Region: "us-east-1", Name: bucket}, Key: key}
				if err := a.Check(); err != nil {
					t.Errorf("%q %q: %v", bucket, key, err)
				}
				escaped := "/" + bucket + "/" + queryEscape(key)
				if b, k, err := face.target("localhost", escaped); err != nil || b != bucket || k != key {
					t.Errorf("%q became %q %q %v", escaped, b, k, err)
				}
			}
		}
		face.byHost(host)
		face.cutPrefix(path)
		if q, err := url.ParseQuery(query); err == nil {
			for _, m := range []string{"GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "PATCH"} {
				if op, err := route(&http.Request{Method: m, Header: http.Header{}}, q, bucket != "", key != ""); err == nil && op.run == nil {
					t.Errorf("%s %s: %s does nothing", m, query, op.name)
				}
			}
		}
		if r, ok, err := readRange(rng); err == nil && ok {
			if off, n, err := r.Resolve(1000); err == nil && (off < 0 || n < 1 || off+n > 1000) {
				t.Errorf("%q: %d %d", rng, off, n)
			}
		} else if r != (object.Range{}) {
			t.Errorf("%q is no range and gave %v", rng, r)
		}
		_, _ = headerTags(query)
		remember(rng)
		_ = glob(rng, host)
		_ = unquote(rng)
	})
}
