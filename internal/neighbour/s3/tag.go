package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/object"
)

type tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

type tagDocument struct {
	XMLName xml.Name `xml:"Tagging"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

const maxBucketTags = 50

// checkTags holds tags against S3's limits.
func checkTags(tags []tag, most int) error {
	if len(tags) > most {
		if most == object.MaxTags {
			return say(errBadRequest, "Object tags cannot be greater than 10")
		}
		return say(errBadRequest, "Bucket tag count cannot be greater than "+itoa(most))
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > 128 || !utf8.ValidString(t.Key) || strings.ContainsFunc(t.Key, notInTags):
			return fail(errInvalidTag, "TagKey", t.Key)
		case utf8.RuneCountInString(t.Value) > 256 || !utf8.ValidString(t.Value) || strings.ContainsFunc(t.Value, notInTags):
			return say(errInvalidTag, "The TagValue you have provided is invalid", "TagKey", t.Key, "TagValue", t.Value)
		case seen[t.Key]:
			return say(errInvalidTag, "Cannot provide multiple Tags with the same key", "TagKey", t.Key)
		case strings.HasPrefix(t.Key, "aws:"):
			return say(errInvalidTag, "System tags cannot be added/updated by requester", "TagKey", t.Key)
		}
		seen[t.Key] = true
	}
	return nil
}

// notInTags are characters that S3 takes neither in names nor in values of tags.
func notInTags(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// headerTags reads x-amz-tagging, k=v&k=v in URL form.
func headerTags(v string) (map[string]string, error) {
	if v == "" {
		return nil, nil
	}
	bad := say(errInvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", "ArgumentName", "x-amz-tagging", "ArgumentValue", v)
	q, err := url.ParseQuery(v)
	if err != nil {
		return nil, bad
	}
	var list []tag
	for k, vs := range q {
		if len(vs) > 1 {
			return nil, bad
		}
		list = append(list, tag{k, vs[0]})
	}
	if err := checkTags(list, object.MaxTags); err != nil {
		return nil, err
	}
	return tagMap(list), nil
}

func tagMap(list []tag) map[string]string {
	m := make(map[string]string, len(list))
	for _, t := range list {
		m[t.Key] = t.Value
	}
	return m
}

func (d *document) tagging(list []tag) {
	d.begin("Tagging", true)
	d.begin("TagSet", false)
	for _, t := range list {
		d.begin("Tag", false)
		d.text("Key", t.Key)
		d.text("Value", t.Value)
		d.end("Tag")
	}
	d.end("TagSet")
	d.end("Tagging")
}

func (x *request) getTags() error {
	tags, err := x.f.objects.Tags(x.ctx, x.address())
	if err != nil {
		return x.missing(err)
	}
	list := make([]tag, 0, len(tags))
	for k, v := range tags {
		list = append(list, tag{k, v})
	}
	slices.SortFunc(list, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	var d document
	d.tagging(list)
	return x.answer(&d)
}

func (x *request) putTags() error {
	c, err := read[tagDocument](x, maxDocument)
	if err != nil {
		return err
	}
	if err := checkTags(c.Tags, object.MaxTags); err != nil {
		return err
	}
	// Asked again, now that the tags are known: the first question was without them.
	if !x.free(x.bucket) {
		keys := map[string][]string{}
		x.tagKeys(keys, x.address())
		requestTags(keys, tagMap(c.Tags))
		if err := x.may(x.bucket, "s3:PutObjectTagging", x.arn(x.name, x.key), keys); err != nil {
			return err
		}
	}
	if err := x.f.objects.SetTags(x.ctx, x.address(), tagMap(c.Tags)); err != nil {
		return x.missing(err)
	}
	return x.empty(http.StatusOK)
}

func (x *request) deleteTags() error {
	if err := x.f.objects.SetTags(x.ctx, x.address(), nil); err != nil {
		return x.missing(err)
	}
	return x.empty(http.StatusNoContent)
}

func (x *request) getBucketTags() error {
	if len(x.bucket.Tags) == 0 {
		return fail(errNoSuchTags, "BucketName", x.name)
	}
	var d document
	d.tagging(x.bucket.Tags)
	return x.answer(&d)
}

func (x *request) putBucketTags() error {
	c, err := read[tagDocument](x, maxDocument)
	if err != nil {
		return err
	}
	if err := checkTags(c.Tags, maxBucketTags); err != nil {
		return err
	}
	return x.put(http.StatusNoContent, func(s *settings) { s.Tags = c.Tags })
}

func (x *request) deleteBucketTags() error {
	return x.put(http.StatusNoContent, func(s *settings) { s.Tags = nil })
}
