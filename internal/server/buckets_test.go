package server

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// TestRoomsReadBuckets writes over the wire and reads as a room does: from this
// server's own buckets, and from those of the server that --neighbour names.
func TestRoomsReadBuckets(t *testing.T) {
	hc := freshClient(t)
	conn, _, _ := start(t)
	c := awss3.New(awss3.Options{
		Region: conn.Region, BaseEndpoint: aws.String(conn.Endpoint), UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: hc,
		Credentials: credentials.NewStaticCredentialsProvider(conn.AccessKey, conn.SecretKey, ""),
	})
	if _, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("schemas")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("schemas"), Key: aws.String("a/b.yaml"), Body: strings.NewReader("openapi: 3")}); err != nil {
		t.Fatal(err)
	}
	at, err := bucket.ParseURI("s3://schemas/a/b.yaml")
	if err != nil {
		t.Fatal(err)
	}
	withKeys := strings.Replace(conn.Endpoint, "http://", "http://"+url.UserPassword(conn.AccessKey, conn.SecretKey).String()+"@", 1)
	s, err := Open(t.Context(), Options{Config: settings(t, "--neighbour", "s3="+withKeys)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	root, _ := s.identity.Snapshot().Root(s.cfg.Account)
	text, info, err := bucket.ReadAll(t.Context(), s.account.files, bucket.As(root), at, 100)
	if err != nil || string(text) != "openapi: 3" || info.ETag == "" || info.Modified.IsZero() {
		t.Errorf("elsewhere: %q, %+v, %v", text, info, err)
	}
	at.Bucket = "nowhere"
	if _, err := s.account.files.Stat(t.Context(), bucket.As(root), at); !errors.Is(err, object.ErrNotFound) && !errors.Is(err, object.ErrNoBucket) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	at.Bucket = "schemas"
	if _, err := s.account.files.Stat(t.Context(), bucket.As(&iam.Principal{Kind: iam.KindUser, Account: s.cfg.Account, Name: "gone"}), at); !errors.Is(err, bucket.ErrDenied) {
		t.Errorf("somebody without rights here: %v", err)
	}
}

func TestRoomsReadTheServersOwnBuckets(t *testing.T) {
	s, err := Open(t.Context(), Options{Config: settings(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	root, _ := s.identity.Snapshot().Root(s.cfg.Account)
	_, err = s.account.files.List(t.Context(), bucket.As(root), bucket.Location{Bucket: "nowhere"}, object.ListOptions{})
	if !errors.Is(err, object.ErrNoBucket) {
		t.Errorf("list of no bucket: %v", err)
	}
}
