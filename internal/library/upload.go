package library

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
)

// Uploaded counts what an Upload did.
type Uploaded struct {
	Files, Sent, Removed int
	// Skipped are files that no reader knows or that are too large, by their names.
	Skipped []string
}

// Upload makes a bucket hold what a folder holds: the files that can be read, and
// metadata files beside them. Hidden files and links are left out. step, if set, is
// called with how many of all have been looked at.
func (l *Library) Upload(ctx context.Context, b *Base, folder fs.FS, step func(done, all int)) (*Uploaded, error) {
	have, err := l.objects(ctx, b.Bucket)
	if err != nil {
		return nil, fmt.Errorf("list the bucket %s: %w", b.Bucket, err)
	}
	var out Uploaded
	var names []string
	err = fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		_, meta := parse.MetadataFor(name)
		if _, ok := parse.FormatOf(name); !ok && !meta || info.Size() > parse.MaxFile {
			out.Skipped = append(out.Skipped, name)
			return nil
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Files = len(names)
	for i, name := range names {
		data, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		sum := md5.Sum(data)
		if have[name] != hex.EncodeToString(sum[:]) {
			_, err := l.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.Bucket, Key: &name, Body: bytes.NewReader(data)})
			if err != nil {
				return nil, fmt.Errorf("upload %s: %w", name, err)
			}
			out.Sent++
		}
		delete(have, name)
		if step != nil {
			step(i+1, len(names))
		}
	}
	if err := l.remove(ctx, b.Bucket, have); err != nil {
		return nil, fmt.Errorf("remove what is gone from %s: %w", b.Bucket, err)
	}
	out.Removed = len(have)
	return &out, nil
}

// objects are the keys of a bucket with their ETags.
func (l *Library) objects(ctx context.Context, bucket string) (map[string]string, error) {
	have := make(map[string]string)
	pages := s3.NewListObjectsV2Paginator(l.s3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range p.Contents {
			have[*o.Key] = strings.Trim(aws.ToString(o.ETag), `"`)
		}
	}
	return have, nil
}

func (l *Library) remove(ctx context.Context, bucket string, keys map[string]string) error {
	const most = 1000 // of one request
	list := make([]types.ObjectIdentifier, 0, min(len(keys), most))
	send := func() error {
		if len(list) == 0 {
			return nil
		}
		out, err := l.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: list, Quiet: aws.Bool(true)}})
		if err != nil {
			return err
		}
		list = list[:0]
		for _, e := range out.Errors {
			err = errors.Join(err, fmt.Errorf("%s: %s", aws.ToString(e.Key), aws.ToString(e.Message)))
		}
		return err
	}
	for key := range keys {
		list = append(list, types.ObjectIdentifier{Key: &key})
		if len(list) == most {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return send()
}
