package lambda

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// maxZip is the largest zip that is taken, from a request or from S3.
const maxZip = fn.MaxUnzipped

// Code keeps the zips of functions in an object store, in a bucket that S3 cannot
// name: its names have three characters or more.
type Code struct{ Objects object.Store }

var _ fn.Archive = Code{}

func codeBucket(account, region string) object.Bucket {
	return object.Bucket{Account: account, Region: region, Name: "fn"}
}

// put stores a zip under its content's hash and says what it is.
func (c Code) put(ctx context.Context, t target, zip []byte) (fn.Code, error) {
	sum := sha256.Sum256(zip)
	a := object.Address{Bucket: codeBucket(t.account, t.region), Key: t.name + "/" + hex.EncodeToString(sum[:])}
	code := fn.Code{SHA256: base64.StdEncoding.EncodeToString(sum[:]), Size: int64(len(zip)), Location: t.account + "/" + t.region + "/" + a.Key}
	_, err := c.Objects.Put(ctx, a, bytes.NewReader(zip), object.PutOptions{})
	if errors.Is(err, object.ErrNoBucket) {
		if err = c.Objects.CreateBucket(ctx, a.Bucket); err == nil || errors.Is(err, object.ErrExists) {
			_, err = c.Objects.Put(ctx, a, bytes.NewReader(zip), object.PutOptions{})
		}
	}
	if err != nil {
		return fn.Code{}, fmt.Errorf("store the code of %s: %w", t.name, err)
	}
	return code, nil
}

func addressOf(location string) (object.Address, error) {
	p := strings.SplitN(location, "/", 3)
	if len(p) != 3 {
		return object.Address{}, fmt.Errorf("BUG: code lies at %q", location)
	}
	return object.Address{Bucket: codeBucket(p[0], p[1]), Key: p[2]}, nil
}

// Open implements fn.Archive.
func (c Code) Open(ctx context.Context, code fn.Code) (fn.Zip, error) {
	b, err := c.read(ctx, code)
	if err != nil {
		return nil, err
	}
	return fn.BytesZip(b), nil
}

func (c Code) read(ctx context.Context, code fn.Code) ([]byte, error) {
	a, err := addressOf(code.Location)
	if err != nil {
		return nil, err
	}
	return readObject(ctx, c.Objects, a)
}

func readObject(ctx context.Context, s object.Store, a object.Address) ([]byte, error) {
	content, err := s.Get(ctx, a, object.Range{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Body.Close() }() // only read
	if content.Length > maxZip {
		return nil, fmt.Errorf("%d bytes: %w", content.Length, errTooLarge)
	}
	return io.ReadAll(content.Body)
}

var errTooLarge = errors.New("the archive is larger than Lambda takes")

// sweep removes the zips of a function that keep does not name.
func (c Code) sweep(ctx context.Context, t target, keep map[string]bool) error {
	b := codeBucket(t.account, t.region)
	for o := (object.ListOptions{Prefix: t.name + "/"}); ; {
		page, err := c.Objects.List(ctx, b, o)
		if err != nil {
			return fmt.Errorf("list the code of %s: %w", t.name, err)
		}
		for i := range page.Objects {
			key := page.Objects[i].Key
			if keep[t.account+"/"+t.region+"/"+key] {
				continue
			}
			if err := c.Objects.Delete(ctx, object.Address{Bucket: b, Key: key}, object.If{}); err != nil {
				return fmt.Errorf("remove code of %s: %w", t.name, err)
			}
		}
		if o.Token = page.Next; o.Token == "" {
			return nil
		}
	}
}
