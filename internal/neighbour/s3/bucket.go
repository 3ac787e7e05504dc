package s3

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/object"
)

const firstRegion = "us-east-1" // whose buckets have no location

type createConfiguration struct {
	XMLName  xml.Name `xml:"CreateBucketConfiguration"`
	Location string   `xml:"LocationConstraint"`
	Tags     []tag    `xml:"Tags>Tag"`
	Bucket   *struct {
		Type string `xml:"Type"`
	} `xml:"Bucket"`
}

func (x *request) createBucket() error {
	if !x.f.nameable(x.name) {
		return fail(errInvalidBucketName, "BucketName", x.name)
	}
	if x.caller == nil && x.f.c.Decider != nil {
		return fail(errAccessDenied)
	}
	if err := x.noACL(); err != nil {
		return err
	}
	if strings.EqualFold(x.R.Header.Get("X-Amz-Bucket-Object-Lock-Enabled"), "true") {
		return notBuilt("Object lock")
	}
	b, err := x.gather(maxDocument)
	if err != nil {
		return err
	}
	var c createConfiguration
	if len(b) > 0 {
		if c, err = decode[createConfiguration](b); err != nil {
			return err
		}
	}
	if c.Bucket != nil {
		return notBuilt("A directory bucket")
	}
	region, err := x.regionFor(c.Location)
	if err != nil {
		return err
	}
	s := settings{Ownership: enforced, Block: &block{true, true, true, true}, Tags: c.Tags}
	if v := x.R.Header.Get("X-Amz-Object-Ownership"); v != "" {
		if v != enforced {
			return notBuilt("Object ownership other than " + enforced)
		}
	}
	if err := checkTags(c.Tags, maxBucketTags); err != nil {
		return err
	}
	at := object.Bucket{Account: x.Call.Account, Region: region, Name: x.name}
	made, err := x.f.buckets.create(x.ctx, at, s)
	// S3 takes a second creation in its first Region for a success.
	if f, ok := err.(*fault); ok && f.name == errBucketOwned.name && made.Region == firstRegion && region == firstRegion { //nolint:errorlint // create's own
		err = nil
	}
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Location", "/"+x.name)
	h.Set("X-Amz-Bucket-Arn", x.arn(x.name, ""))
	return x.empty(http.StatusOK)
}

// regionFor is where a new bucket lies: where the request went, or what its body
// says, which must agree unless the request went to the first Region.
func (x *request) regionFor(location string) (string, error) {
	here := x.Call.Region
	switch {
	case location == "EU":
		location = "eu-west-1"
	case location != "" && !arn.IsRegion(location) || location == firstRegion:
		return "", fail(errInvalidLocation, "LocationConstraint", location)
	}
	switch {
	case here == firstRegion && location == "":
		return firstRegion, nil
	case here == firstRegion || here == location:
		return location, nil
	case location == "":
		return "", fail(errIllegalLocation)
	}
	return "", say(errIllegalLocation, "The "+location+" location constraint is incompatible for the region specific endpoint this request was sent to.")
}

func (x *request) headBucket() error {
	h := x.w.Header()
	h.Set("X-Amz-Bucket-Region", x.bucket.Region)
	h.Set("X-Amz-Bucket-Arn", x.arn(x.name, ""))
	h.Set("X-Amz-Access-Point-Alias", "false")
	h.Set("Content-Type", "application/xml")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

func (x *request) deleteBucket() error {
	if err := x.f.buckets.remove(x.ctx, x.bucket); err != nil {
		return err
	}
	return x.empty(http.StatusNoContent)
}

func (x *request) getLocation() error {
	var d document
	region := x.bucket.Region
	if region == firstRegion {
		region = ""
	}
	d.begin("LocationConstraint", true)
	d.b = append(d.b, region...)
	d.end("LocationConstraint")
	return x.answer(&d)
}

func (x *request) listBuckets() error {
	limit := 10_000
	if v := x.query.Get("max-buckets"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > limit {
			return say(errInvalidArgument, "Argument max-buckets must be an integer between 1 and 10000", "ArgumentName", "max-buckets", "ArgumentValue", v)
		}
		limit = n
	}
	after, err := base64.RawURLEncoding.DecodeString(x.query.Get("continuation-token"))
	if err != nil {
		return say(errInvalidArgument, "The continuation token provided is incorrect", "ArgumentName", "continuation-token")
	}
	all, err := x.f.buckets.of(x.ctx, x.Call.Account)
	if err != nil {
		return err
	}
	prefix, region := x.query.Get("prefix"), x.query.Get("bucket-region")
	var d document
	d.begin("ListAllMyBucketsResult", true)
	d.begin("Buckets", false)
	n, last, more := 0, "", false
	for i := range all {
		b := &all[i]
		if b.ID <= string(after) || !strings.HasPrefix(b.ID, prefix) || region != "" && b.Source != region {
			continue
		}
		if n == limit {
			more = true
			break
		}
		n, last = n+1, b.ID
		d.begin("Bucket", false)
		d.text("Name", b.ID)
		d.text("CreationDate", stamp(b.Created))
		d.text("BucketRegion", b.Source)
		d.end("Bucket")
	}
	d.end("Buckets")
	d.person("Owner", x.Call.Account)
	d.maybe("Prefix", prefix)
	if more {
		d.text("ContinuationToken", base64.RawURLEncoding.EncodeToString([]byte(last)))
	}
	d.end("ListAllMyBucketsResult")
	return x.answer(&d)
}
