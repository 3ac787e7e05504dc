package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/object/dir"
	"github.com/outcrop-dev/outcrop/internal/object/s3"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
)

// openDriver opens the database that the setting names.
func openDriver(ctx context.Context, c *config.Config) (store.Driver, error) {
	if c.Store == "sqlite" {
		return sqlite.Open(ctx, sqlite.Config{Dir: c.Data})
	}
	return postgres.Open(ctx, postgres.Config{DSN: c.Store})
}

// openObjects opens the object store that the setting names: a folder, or a
// bucket per namespace of the S3 that the AWS environment of this process
// configures. Such a bucket is called PREFIX-ACCOUNT-REGION-NAME.
func openObjects(ctx context.Context, c *config.Config, log *slog.Logger) (object.Store, error) {
	prefix, remote := strings.CutPrefix(c.Objects, "s3://")
	if !remote {
		return dir.Open(ctx, dir.Config{Dir: filepath.Join(c.Data, "objects"), Log: log})
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("--objects: read the AWS configuration of the external S3: %w", err)
	}
	client := awss3.NewFromConfig(aws, func(o *awss3.Options) { o.UsePathStyle = true })
	return s3.Open(s3.Config{Client: client, Name: func(b object.Bucket) string {
		return strings.TrimRight(prefix, "/") + "-" + b.Account + "-" + b.Region + "-" + b.Name
	}})
}
