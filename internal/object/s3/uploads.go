package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// StartUpload implements object.Store.
func (s *Store) StartUpload(ctx context.Context, a object.Address, attrs object.Attributes, tags map[string]string) (object.Upload, error) {
	if err := errors.Join(a.Check(), attrs.Check(), object.CheckTags(tags)); err != nil {
		return object.Upload{}, err
	}
	bucket, key, err := s.address(a)
	if err != nil {
		return object.Upload{}, err
	}
	out, err := s.cfg.Client.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{
		Bucket: bucket, Key: key,
		ContentType: optional.Of(attrs.ContentType), ContentEncoding: optional.Of(attrs.ContentEncoding),
		ContentDisposition: optional.Of(attrs.ContentDisposition), ContentLanguage: optional.Of(attrs.ContentLanguage),
		CacheControl: optional.Of(attrs.CacheControl), Metadata: metadata(&attrs), Tagging: tagging(tags),
	})
	if err != nil {
		return object.Upload{}, failed("start upload", object.ErrNoBucket, err)
	}
	return object.Upload{Address: a, ID: aws.ToString(out.UploadId)}, nil
}

// PutPart implements object.Store. A part that Verify looks at must be here whole
// before it is sent, so a part is at most PartSize when verify is set, and is read
// into memory in any case: the SDK signs what it can read twice.
func (s *Store) PutPart(ctx context.Context, u object.Upload, n int, r io.Reader, verify func(int64, object.Sums) error) (object.Part, error) {
	if n < 1 || n > object.MaxPart {
		return object.Part{}, fmt.Errorf("%w: part number %d", object.ErrInvalid, n)
	}
	buf, more, err := fill(ctx, make([]byte, 0, 64<<10), r, max(s.cfg.PartSize, maxPartInMemory))
	if err != nil {
		return object.Part{}, err
	}
	if more {
		return object.Part{}, fmt.Errorf("%w: a part of more than %d MiB; send smaller parts to this store", object.ErrInvalid, maxPartInMemory>>20)
	}
	h := object.NewHasher()
	_, _ = h.Write(buf)
	sums := h.Sums().Further(r)
	if verify != nil {
		if err := verify(h.Size(), sums); err != nil {
			return object.Part{}, err
		}
	}
	return s.sendPart(ctx, u, n, buf, sums)
}

// maxPartInMemory bounds one call's memory; clients' parts are 8 to 64 MiB.
const maxPartInMemory = 128 << 20

func (s *Store) sendPart(ctx context.Context, u object.Upload, n int, data []byte, known object.Sums) (object.Part, error) {
	bucket, key, err := s.address(u.Address)
	if err != nil {
		return object.Part{}, err
	}
	out, err := s.cfg.Client.UploadPart(ctx, &sdk.UploadPartInput{
		Bucket: bucket, Key: key, UploadId: aws.String(u.ID), PartNumber: aws.Int32(int32(n)),
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
	})
	if err != nil {
		return object.Part{}, failed("put part", object.ErrNoUpload, err)
	}
	return object.Part{Number: n, Size: int64(len(data)), ETag: unquote(out.ETag), Sums: known, Modified: time.Now().UTC()}, nil
}

// ListParts implements object.Store.
func (s *Store) ListParts(ctx context.Context, u object.Upload, after, limit int) ([]object.Part, bool, error) {
	bucket, key, err := s.address(u.Address)
	if err != nil {
		return nil, false, err
	}
	if limit <= 0 || limit > object.MaxList {
		limit = object.MaxList
	}
	in := &sdk.ListPartsInput{Bucket: bucket, Key: key, UploadId: aws.String(u.ID), MaxParts: aws.Int32(int32(limit))}
	if after > 0 {
		in.PartNumberMarker = aws.String(strconv.Itoa(after))
	}
	out, err := s.cfg.Client.ListParts(ctx, in)
	if err != nil {
		return nil, false, failed("list parts", object.ErrNoUpload, err)
	}
	var parts []object.Part
	for _, p := range out.Parts {
		parts = append(parts, object.Part{
			Number: int(aws.ToInt32(p.PartNumber)), Size: aws.ToInt64(p.Size), ETag: unquote(p.ETag), Modified: aws.ToTime(p.LastModified).UTC(),
			Sums: sums("", p.ChecksumCRC32, p.ChecksumCRC32C, p.ChecksumCRC64NVME, p.ChecksumSHA256),
		})
	}
	return parts, aws.ToBool(out.IsTruncated), nil
}

// CompleteUpload implements object.Store.
func (s *Store) CompleteUpload(ctx context.Context, u object.Upload, refs []object.PartRef, c object.If) (object.Info, error) {
	if err := object.CheckParts(refs); err != nil {
		return object.Info{}, err
	}
	bucket, key, err := s.address(u.Address)
	if err != nil {
		return object.Info{}, err
	}
	done := &types.CompletedMultipartUpload{}
	var etags map[int]string
	for _, r := range refs {
		if r.ETag == "" { // S3 wants them all
			if etags == nil {
				if etags, err = s.etags(ctx, u); err != nil {
					return object.Info{}, err
				}
			}
			r.ETag = etags[r.Number]
		}
		done.Parts = append(done.Parts, types.CompletedPart{
			PartNumber: aws.Int32(int32(r.Number)), ETag: aws.String(`"` + r.ETag + `"`),
		})
	}
	match, none := s.conditions(c)
	out, err := s.cfg.Client.CompleteMultipartUpload(ctx, &sdk.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: aws.String(u.ID), MultipartUpload: done, IfMatch: match, IfNoneMatch: none,
	})
	if err != nil {
		return object.Info{}, failed("complete upload", object.ErrNoUpload, err)
	}
	info, err := s.Head(ctx, u.Address)
	if err != nil || info.ETag != unquote(out.ETag) {
		info = object.Info{Key: u.Address.Key, Modified: time.Now().UTC()}
	}
	info.ETag = unquote(out.ETag)
	return info, nil
}

func (s *Store) etags(ctx context.Context, u object.Upload) (map[int]string, error) {
	all := map[int]string{}
	for after := 0; ; {
		parts, more, err := s.ListParts(ctx, u, after, 0)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			all[p.Number], after = p.ETag, p.Number
		}
		if !more {
			return all, nil
		}
	}
}

// HeadUpload implements object.Store. S3 tells neither the start nor the
// attributes of one upload.
func (s *Store) HeadUpload(ctx context.Context, u object.Upload) (object.UploadInfo, error) {
	if _, _, err := s.ListParts(ctx, u, 0, 1); err != nil {
		return object.UploadInfo{}, err
	}
	return object.UploadInfo{Key: u.Address.Key, ID: u.ID}, nil
}

// AbortUpload implements object.Store.
func (s *Store) AbortUpload(ctx context.Context, u object.Upload) error {
	bucket, key, err := s.address(u.Address)
	if err != nil {
		return err
	}
	_, err = s.cfg.Client.AbortMultipartUpload(ctx, &sdk.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: aws.String(u.ID)})
	return failed("abort upload", object.ErrNoUpload, err)
}

// ListUploads implements object.Store.
func (s *Store) ListUploads(ctx context.Context, b object.Bucket, prefix string, after object.UploadInfo, limit int) ([]object.UploadInfo, bool, error) {
	name, err := s.ready(b)
	if err != nil {
		return nil, false, err
	}
	if limit <= 0 || limit > object.MaxList {
		limit = object.MaxList
	}
	out, err := s.cfg.Client.ListMultipartUploads(ctx, &sdk.ListMultipartUploadsInput{
		Bucket: name, Prefix: optional.Of(prefix), MaxUploads: aws.Int32(int32(limit)),
		KeyMarker: optional.Of(after.Key), UploadIdMarker: optional.Of(after.ID),
	})
	if err != nil {
		return nil, false, failed("list uploads", object.ErrNoBucket, err)
	}
	var ups []object.UploadInfo
	for _, u := range out.Uploads {
		ups = append(ups, object.UploadInfo{Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId), Started: aws.ToTime(u.Initiated).UTC()})
	}
	return ups, aws.ToBool(out.IsTruncated), nil
}
