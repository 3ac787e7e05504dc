package s3

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

var _ object.Store = (*Store)(nil)

// Config says which endpoint.
type Config struct {
	Client *sdk.Client // endpoint, credentials, Region and path style are set by the caller
	// Name is the real bucket of a namespace; default: the namespace's own name, for
	// an endpoint that holds one account's buckets of one Region.
	Name     func(object.Bucket) string
	PartSize int // bytes a call keeps in memory; default 8 MiB, at least object.MinPartSize
}

// Store is an object.Store over S3.
type Store struct {
	cfg    Config
	closed atomic.Bool
}

// Open returns a store; it sends nothing yet.
func Open(cfg Config) (*Store, error) {
	if cfg.Client == nil {
		return nil, errors.New("object s3: no client given")
	}
	if cfg.Name == nil {
		cfg.Name = func(b object.Bucket) string { return b.Name }
	}
	cfg.PartSize = max(cmp.Or(cfg.PartSize, 8<<20), object.MinPartSize)
	return &Store{cfg: cfg}, nil
}

// Close makes later calls answer ErrClosed. The client belongs to the caller.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

func (s *Store) ready(b object.Bucket) (*string, error) {
	if s.closed.Load() {
		return nil, object.ErrClosed
	}
	if err := b.Check(); err != nil {
		return nil, err
	}
	return aws.String(s.cfg.Name(b)), nil
}

func (s *Store) address(a object.Address) (bucket, key *string, err error) {
	if err := a.Check(); err != nil {
		return nil, nil, err
	}
	bucket, err = s.ready(a.Bucket)
	return bucket, aws.String(a.Key), err
}

// Probe checks that the server honours conditional puts, without which two writers
// could both win. It writes one object of a few bytes into b and deletes it.
func (s *Store) Probe(ctx context.Context, b object.Bucket) error {
	a := object.Address{Bucket: b, Key: ".outcrop-probe"}
	if _, err := s.Put(ctx, a, strings.NewReader("probe"), object.PutOptions{}); err != nil {
		return fmt.Errorf("probe object store: %w", err)
	}
	_, err := s.Put(ctx, a, strings.NewReader("probe"), object.PutOptions{If: object.If{Absent: true}})
	if e := s.Delete(ctx, a, object.If{}); e != nil {
		return fmt.Errorf("probe object store: %w", e)
	}
	if !errors.Is(err, object.ErrPrecondition) {
		return errors.New("the object store's S3 endpoint ignores If-None-Match on PutObject; Outcrop needs it, use another endpoint or a folder")
	}
	return nil
}

// codes of S3's errors and what they mean here; noKey is what a missing thing is
// when the answer has no body to say it (HEAD).
func failed(doing string, noKey, err error) error {
	if err == nil {
		return nil
	}
	wrap := func(kind error) error { return fmt.Errorf("%s: %w: %w", doing, kind, err) }
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		switch e.ErrorCode() {
		case "NoSuchKey":
			return wrap(object.ErrNotFound)
		case "NoSuchBucket":
			return wrap(object.ErrNoBucket)
		case "NoSuchUpload":
			return wrap(object.ErrNoUpload)
		case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AllAccessDisabled":
			return wrap(object.ErrDenied)
		case "NotFound":
			return wrap(noKey)
		case "BucketAlreadyExists", "BucketAlreadyOwnedByYou":
			return wrap(object.ErrExists)
		case "BucketNotEmpty":
			return wrap(object.ErrNotEmpty)
		case "PreconditionFailed", "ConditionalRequestConflict":
			return wrap(object.ErrPrecondition)
		case "InvalidRange":
			return wrap(object.ErrRange)
		case "InvalidPart", "InvalidPartOrder":
			return wrap(object.ErrPart)
		case "EntityTooSmall":
			return wrap(object.ErrTooSmall)
		case "InvalidArgument", "KeyTooLongError", "InvalidTag", "InvalidBucketName", "EntityTooLarge", "MetadataTooLarge":
			return wrap(object.ErrInvalid)
		}
	}
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		switch e.HTTPStatusCode() {
		case 401, 403:
			return wrap(object.ErrDenied)
		case 404:
			return wrap(noKey)
		case 412:
			return wrap(object.ErrPrecondition)
		case 416:
			return wrap(object.ErrRange)
		case 507:
			return wrap(object.ErrFull)
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return wrap(object.ErrIO)
}

// CreateBucket implements object.Store.
func (s *Store) CreateBucket(ctx context.Context, b object.Bucket) error {
	name, err := s.ready(b)
	if err != nil {
		return err
	}
	// us-east-1 answers 200 for a bucket that the caller owns already.
	if err := s.HeadBucket(ctx, b); err == nil {
		return object.ErrExists
	}
	in := &sdk.CreateBucketInput{Bucket: name}
	if region := s.cfg.Client.Options().Region; region != "us-east-1" && region != "" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err = s.cfg.Client.CreateBucket(ctx, in)
	return failed("create bucket", object.ErrNoBucket, err)
}

// DeleteBucket implements object.Store.
func (s *Store) DeleteBucket(ctx context.Context, b object.Bucket) error {
	name, err := s.ready(b)
	if err != nil {
		return err
	}
	// S3 drops unfinished uploads with the bucket; the port does not.
	ups, err := s.cfg.Client.ListMultipartUploads(ctx, &sdk.ListMultipartUploadsInput{Bucket: name, MaxUploads: aws.Int32(1)})
	if err != nil {
		return failed("delete bucket", object.ErrNoBucket, err)
	}
	if len(ups.Uploads) > 0 {
		return object.ErrNotEmpty
	}
	_, err = s.cfg.Client.DeleteBucket(ctx, &sdk.DeleteBucketInput{Bucket: name})
	return failed("delete bucket", object.ErrNoBucket, err)
}

// HeadBucket implements object.Store.
func (s *Store) HeadBucket(ctx context.Context, b object.Bucket) error {
	name, err := s.ready(b)
	if err != nil {
		return err
	}
	_, err = s.cfg.Client.HeadBucket(ctx, &sdk.HeadBucketInput{Bucket: name})
	return failed("head bucket", object.ErrNoBucket, err)
}

func (s *Store) conditions(c object.If) (match, none *string) {
	if c.Absent {
		none = aws.String("*")
	}
	if c.Match != "" && c.Match != "*" {
		match = aws.String(`"` + c.Match + `"`)
	} else if c.Match == "*" {
		match = aws.String("*")
	}
	return match, none
}

// systemPrefix begins the names of metadata that are object.Attributes.System at
// the endpoint. A user's own name that begins so gets another dot, which no system
// name has.
const systemPrefix = "outcrop."

func metadata(a *object.Attributes) map[string]string {
	if len(a.System) == 0 && !hasSystemName(a.User) {
		return a.User
	}
	all := make(map[string]string, len(a.User)+len(a.System))
	for k, v := range a.User {
		if strings.HasPrefix(k, systemPrefix) {
			k = systemPrefix + "." + strings.TrimPrefix(k, systemPrefix)
		}
		all[k] = v
	}
	for k, v := range a.System {
		all[systemPrefix+k] = v
	}
	return all
}

func hasSystemName(user map[string]string) bool {
	for k := range user {
		if strings.HasPrefix(k, systemPrefix) {
			return true
		}
	}
	return false
}

func metadataOf(all map[string]string) (user, system map[string]string) {
	if !hasSystemName(all) {
		return all, nil
	}
	for k, v := range all {
		rest, ours := strings.CutPrefix(k, systemPrefix)
		name, users := strings.CutPrefix(rest, ".")
		into := &user
		switch {
		case ours && users:
			k = systemPrefix + name
		case ours:
			into, k = &system, rest
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[k] = v
	}
	return user, system
}

func tagging(tags map[string]string) *string {
	if len(tags) == 0 {
		return nil
	}
	q := url.Values{}
	for k, v := range tags {
		q.Set(k, v)
	}
	return aws.String(q.Encode())
}

// Put implements object.Store.
func (s *Store) Put(ctx context.Context, a object.Address, r io.Reader, o object.PutOptions) (object.Info, error) {
	if err := errors.Join(a.Check(), o.Attributes.Check(), object.CheckTags(o.Tags)); err != nil {
		return object.Info{}, err
	}
	bucket, key, err := s.address(a)
	if err != nil {
		return object.Info{}, err
	}
	// A bucket must be named before the content is used up.
	buf := make([]byte, 0, 64<<10)
	buf, more, err := fill(ctx, buf, r, s.cfg.PartSize)
	if err != nil {
		return object.Info{}, err
	}
	if more {
		return s.putLong(ctx, a, buf, r, o)
	}
	h := object.NewHasher()
	_, _ = h.Write(buf)
	sums := h.Sums().Further(r)
	if o.Verify != nil {
		if err := o.Verify(h.Size(), sums); err != nil {
			return object.Info{}, err
		}
	}
	match, none := s.conditions(o.If)
	out, err := s.cfg.Client.PutObject(ctx, &sdk.PutObjectInput{
		Bucket: bucket, Key: key, Body: bytes.NewReader(buf), ContentLength: aws.Int64(int64(len(buf))),
		ChecksumSHA256: aws.String(b64(sums.SHA256)), ContentMD5: aws.String(b64(sums.MD5)),
		ContentType: optional.Of(o.Attributes.ContentType), ContentEncoding: optional.Of(o.Attributes.ContentEncoding),
		ContentDisposition: optional.Of(o.Attributes.ContentDisposition), ContentLanguage: optional.Of(o.Attributes.ContentLanguage),
		CacheControl: optional.Of(o.Attributes.CacheControl), Metadata: metadata(&o.Attributes),
		Tagging: tagging(o.Tags), IfMatch: match, IfNoneMatch: none,
	})
	if err != nil {
		return object.Info{}, failed("put object", object.ErrNotFound, err)
	}
	info, err := s.Head(ctx, a)
	etag := unquote(out.ETag)
	if err != nil || info.ETag != etag {
		// Replaced or deleted meanwhile: describe what was put all the same.
		info = object.Info{Modified: time.Now().UTC()}
	}
	info.Key, info.Size, info.ETag, info.Sums, info.Attributes, info.TagCount = a.Key, int64(len(buf)), etag, sums, o.Attributes, len(o.Tags)
	return info, nil
}

// fill reads until buf has n bytes; more says that there was at least one beyond,
// which is then in buf as well.
func fill(ctx context.Context, buf []byte, r io.Reader, n int) (_ []byte, more bool, err error) {
	for len(buf) <= n {
		if err := ctx.Err(); err != nil {
			return buf, false, context.Cause(ctx)
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, min(max(len(buf), 1), n+1-len(buf)))
		}
		m, err := r.Read(buf[len(buf):min(cap(buf), n+1)])
		buf = buf[:len(buf)+m]
		if err == io.EOF {
			return buf, len(buf) > n, nil
		}
		if err != nil {
			return buf, false, err
		}
	}
	return buf, true, nil
}

// putLong is a put of more than a part: an upload that is completed once Verify
// has seen all of it.
func (s *Store) putLong(ctx context.Context, a object.Address, buf []byte, r io.Reader, o object.PutOptions) (info object.Info, err error) {
	u, err := s.StartUpload(ctx, a, o.Attributes, o.Tags)
	if err != nil {
		return object.Info{}, err
	}
	defer func() {
		if err != nil {
			// Also after a cancel: a part that nobody completes costs room for ever.
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer stop()
			if e := s.AbortUpload(end, u); e != nil && !errors.Is(e, object.ErrNoUpload) {
				err = errors.Join(err, e)
			}
		}
	}()
	var (
		h     = object.NewHasher()
		parts []object.PartRef
		size  int64
	)
	for more := true; more || len(buf) > 0; {
		n := min(len(buf), s.cfg.PartSize)
		_, _ = h.Write(buf[:n])
		p, err := s.sendPart(ctx, u, len(parts)+1, buf[:n], object.Sums{})
		if err != nil {
			return object.Info{}, err
		}
		parts, size = append(parts, object.PartRef{Number: p.Number, ETag: p.ETag}), size+int64(n)
		rest := copy(buf, buf[n:])
		buf = buf[:rest]
		if more {
			if buf, more, err = fill(ctx, buf, r, s.cfg.PartSize); err != nil {
				return object.Info{}, err
			}
		}
	}
	sums := h.Sums().Further(r)
	if o.Verify != nil {
		if err := o.Verify(size, sums); err != nil {
			return object.Info{}, err
		}
	}
	info, err = s.CompleteUpload(ctx, u, parts, o.If)
	if err != nil {
		return object.Info{}, err
	}
	info.Size, info.Sums, info.Attributes, info.TagCount = size, sums, o.Attributes, len(o.Tags)
	return info, nil
}

func b64(hexed string) string {
	b, err := hex.DecodeString(hexed)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}

// unb64 turns S3's form of a sum of the whole object into the port's; composite
// sums ("…-3") are of the parts' sums and thus unknown here.
func unb64(p *string) string {
	b, err := base64.StdEncoding.DecodeString(aws.ToString(p))
	if err != nil {
		return ""
	}
	return hex.EncodeToString(b)
}

func unquote(p *string) string { return strings.Trim(aws.ToString(p), `"`) }

func sums(kind types.ChecksumType, crc32, crc32c, nvme, sha *string) object.Sums {
	if kind == types.ChecksumTypeComposite {
		return object.Sums{}
	}
	return object.Sums{CRC32: unb64(crc32), CRC32C: unb64(crc32c), CRC64NVME: unb64(nvme), SHA256: unb64(sha)}
}

// Head implements object.Store.
func (s *Store) Head(ctx context.Context, a object.Address) (object.Info, error) {
	bucket, key, err := s.address(a)
	if err != nil {
		return object.Info{}, err
	}
	h, err := s.cfg.Client.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return object.Info{}, failed("head object", object.ErrNotFound, err)
	}
	user, system := metadataOf(h.Metadata)
	return object.Info{
		Key: a.Key, Size: aws.ToInt64(h.ContentLength), ETag: unquote(h.ETag), Modified: aws.ToTime(h.LastModified).UTC(),
		Sums: sums(h.ChecksumType, h.ChecksumCRC32, h.ChecksumCRC32C, h.ChecksumCRC64NVME, h.ChecksumSHA256),
		Attributes: object.Attributes{
			ContentType: aws.ToString(h.ContentType), ContentEncoding: aws.ToString(h.ContentEncoding),
			ContentDisposition: aws.ToString(h.ContentDisposition), ContentLanguage: aws.ToString(h.ContentLanguage),
			CacheControl: aws.ToString(h.CacheControl), User: user, System: system,
		},
		TagCount: int(aws.ToInt32(h.TagCount)),
	}, nil
}

// Get implements object.Store.
func (s *Store) Get(ctx context.Context, a object.Address, r object.Range) (*object.Content, error) {
	bucket, key, err := s.address(a)
	if err != nil {
		return nil, err
	}
	if r.Length < 0 {
		return nil, object.ErrInvalid
	}
	in := &sdk.GetObjectInput{Bucket: bucket, Key: key}
	switch {
	case r == (object.Range{}):
	case r.Offset < 0 && r.Length == 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d", r.Offset))
	case r.Offset < 0:
		// HTTP has no "k bytes, n before the end": the size must be known first, and
		// the ETag pins that it is still the same object.
		h, err := s.Head(ctx, a)
		if err != nil {
			return nil, err
		}
		off, n, err := r.Resolve(h.Size)
		if err != nil {
			return nil, err
		}
		in.Range, in.IfMatch = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1)), aws.String(`"`+h.ETag+`"`)
	case r.Length == 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.Offset))
	default:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1))
	}
	out, err := s.cfg.Client.GetObject(ctx, in)
	if err != nil {
		return nil, failed("get object", object.ErrNotFound, err)
	}
	user, system := metadataOf(out.Metadata)
	c := &object.Content{
		Info: object.Info{
			Key: a.Key, Size: aws.ToInt64(out.ContentLength), ETag: unquote(out.ETag), Modified: aws.ToTime(out.LastModified).UTC(),
			Attributes: object.Attributes{
				ContentType: aws.ToString(out.ContentType), ContentEncoding: aws.ToString(out.ContentEncoding),
				ContentDisposition: aws.ToString(out.ContentDisposition), ContentLanguage: aws.ToString(out.ContentLanguage),
				CacheControl: aws.ToString(out.CacheControl), User: user, System: system,
			},
			TagCount: int(aws.ToInt32(out.TagCount)),
		},
		Length: aws.ToInt64(out.ContentLength), Body: out.Body,
	}
	if in.Range == nil {
		c.Info.Sums = sums(out.ChecksumType, out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA256)
		return c, nil
	}
	var first, last, size int64
	if _, err := fmt.Sscanf(aws.ToString(out.ContentRange), "bytes %d-%d/%d", &first, &last, &size); err != nil {
		if r.Offset <= 0 && c.Length == c.Info.Size && out.ContentRange == nil {
			return c, nil // the server sent all, which was asked for or more
		}
		return nil, errors.Join(fmt.Errorf("get object: %w: Content-Range %q", object.ErrIO, aws.ToString(out.ContentRange)), out.Body.Close())
	}
	c.Info.Size, c.Offset, c.Length = size, first, last-first+1
	return c, nil
}

// Delete implements object.Store.
func (s *Store) Delete(ctx context.Context, a object.Address, c object.If) error {
	bucket, key, err := s.address(a)
	if err != nil {
		return err
	}
	match, _ := s.conditions(c)
	_, err = s.cfg.Client.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: match})
	err = failed("delete object", object.ErrNotFound, err)
	if match == nil && errors.Is(err, object.ErrNotFound) {
		return nil
	}
	return err
}

// List implements object.Store.
func (s *Store) List(ctx context.Context, b object.Bucket, o object.ListOptions) (object.Page, error) {
	name, err := s.ready(b)
	if err != nil {
		return object.Page{}, err
	}
	if o.Limit <= 0 || o.Limit > object.MaxList {
		o.Limit = object.MaxList
	}
	in := &sdk.ListObjectsV2Input{
		Bucket: name, Prefix: optional.Of(o.Prefix), Delimiter: optional.Of(o.Delimiter), MaxKeys: aws.Int32(int32(o.Limit)),
		StartAfter: optional.Of(o.After), ContinuationToken: optional.Of(o.Token),
	}
	out, err := s.cfg.Client.ListObjectsV2(ctx, in)
	if err != nil {
		return object.Page{}, failed("list objects", object.ErrNoBucket, err)
	}
	var p object.Page
	for _, i := range out.Contents {
		p.Objects = append(p.Objects, object.Info{
			Key: aws.ToString(i.Key), Size: aws.ToInt64(i.Size), ETag: unquote(i.ETag), Modified: aws.ToTime(i.LastModified).UTC(),
		})
	}
	for _, c := range out.CommonPrefixes {
		p.Prefixes = append(p.Prefixes, aws.ToString(c.Prefix))
	}
	if aws.ToBool(out.IsTruncated) {
		p.Next = aws.ToString(out.NextContinuationToken)
	}
	return p, nil
}

// Copy implements object.Store.
func (s *Store) Copy(ctx context.Context, from, to object.Address, o object.CopyOptions) (object.Info, error) {
	if err := errors.Join(from.Check(), to.Check(), object.CheckTags(o.Tags)); err != nil {
		return object.Info{}, err
	}
	srcBucket, _, err := s.address(from)
	if err != nil {
		return object.Info{}, err
	}
	bucket, key, err := s.address(to)
	if err != nil {
		return object.Info{}, err
	}
	in := &sdk.CopyObjectInput{Bucket: bucket, Key: key, CopySource: aws.String(*srcBucket + "/" + escape(from.Key))}
	in.CopySourceIfMatch, _ = s.conditions(o.Source)
	in.IfMatch, in.IfNoneMatch = s.conditions(o.If)
	if o.Attributes != nil {
		if err := o.Attributes.Check(); err != nil {
			return object.Info{}, err
		}
		in.MetadataDirective = types.MetadataDirectiveReplace
		in.ContentType, in.ContentEncoding = optional.Of(o.Attributes.ContentType), optional.Of(o.Attributes.ContentEncoding)
		in.ContentDisposition, in.ContentLanguage = optional.Of(o.Attributes.ContentDisposition), optional.Of(o.Attributes.ContentLanguage)
		in.CacheControl, in.Metadata = optional.Of(o.Attributes.CacheControl), metadata(o.Attributes)
	}
	if o.Tags != nil {
		in.TaggingDirective, in.Tagging = types.TaggingDirectiveReplace, tagging(o.Tags)
	}
	if _, err := s.cfg.Client.CopyObject(ctx, in); err != nil {
		return object.Info{}, failed("copy object", object.ErrNotFound, err)
	}
	return s.Head(ctx, to)
}

// escape writes a key for the copy-source header: every byte but the unreserved
// ones and "/" as %XX. url.PathEscape would leave "+", which servers read as a space.
func escape(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.~/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Tags implements object.Store.
func (s *Store) Tags(ctx context.Context, a object.Address) (map[string]string, error) {
	bucket, key, err := s.address(a)
	if err != nil {
		return nil, err
	}
	out, err := s.cfg.Client.GetObjectTagging(ctx, &sdk.GetObjectTaggingInput{Bucket: bucket, Key: key})
	if err != nil {
		return nil, failed("get tags", object.ErrNotFound, err)
	}
	tags := map[string]string{}
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// SetTags implements object.Store.
func (s *Store) SetTags(ctx context.Context, a object.Address, tags map[string]string) error {
	if err := object.CheckTags(tags); err != nil {
		return err
	}
	bucket, key, err := s.address(a)
	if err != nil {
		return err
	}
	if len(tags) == 0 {
		// Deleting the tags of a missing object is no error in S3; here it is.
		if _, err := s.Tags(ctx, a); err != nil {
			return err
		}
		_, err = s.cfg.Client.DeleteObjectTagging(ctx, &sdk.DeleteObjectTaggingInput{Bucket: bucket, Key: key})
		return failed("delete tags", object.ErrNotFound, err)
	}
	set := &types.Tagging{}
	for k, v := range tags {
		set.TagSet = append(set.TagSet, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	_, err = s.cfg.Client.PutObjectTagging(ctx, &sdk.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: set})
	return failed("set tags", object.ErrNotFound, err)
}
