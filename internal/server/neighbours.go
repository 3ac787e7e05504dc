package server

import (
	"context"
	"net/http"

	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/logs"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	iamface "github.com/outcrop-dev/outcrop/internal/neighbour/iam"
	kmsface "github.com/outcrop-dev/outcrop/internal/neighbour/kms"
	logsface "github.com/outcrop-dev/outcrop/internal/neighbour/logs"
	s3face "github.com/outcrop-dev/outcrop/internal/neighbour/s3"
	vectorsface "github.com/outcrop-dev/outcrop/internal/neighbour/s3vectors"
	smface "github.com/outcrop-dev/outcrop/internal/neighbour/secretsmanager"
	stsface "github.com/outcrop-dev/outcrop/internal/neighbour/sts"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/secret"
	"github.com/outcrop-dev/outcrop/internal/server/access"
)

// account holds the services of an account that stand beside Bedrock.
type account struct {
	keys    *kms.Service
	secrets *secret.Service
	logs    *logs.Service
	objects object.Store
	buckets *s3face.Face
	files   bucket.Files // buckets as rooms use them
}

// makeAccount builds keys, secrets and logs. From here on the store seals records
// under customer keys.
func (s *Server) makeAccount(ctx context.Context, _ *Options) error {
	var err error
	if s.account.keys, err = kms.New(ctx, kms.Config{Store: s.store, Policies: s.identity, Now: s.clock.Now, Logger: s.log}); err != nil {
		return err
	}
	s.sealer.Use(s.account.keys)
	if s.account.secrets, err = secret.New(secret.Config{Store: s.store, Policies: s.identity, Keys: s.account.keys, Logger: s.log}); err != nil {
		return err
	}
	s.account.logs, err = logs.New(logs.Config{Store: s.store, Sealer: s.sealer, Keys: s.account.keys, Now: s.clock.Now, Logger: s.log})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.account.logs.Close)
	return s.makeBuckets(ctx)
}

// makeBuckets opens the objects and the buckets over them.
func (s *Server) makeBuckets(ctx context.Context) error {
	objects, err := openObjects(ctx, &s.cfg, s.log)
	if err != nil {
		return err
	}
	s.account.objects = objects
	s.closers = append(s.closers, objects.Close)
	c := s3face.Config{
		Objects: objects, Rows: s.store, Decider: s.identity, Keys: access.Keys{Identity: s.identity}, Now: s.clock.Now,
		Reserved: []string{"healthz", "readyz", "metrics", "console"},
	}
	if s.cfg.Auth == "off" {
		c.Decider, c.Keys = nil, nil
	}
	if s.account.buckets, err = s3face.New(c); err != nil {
		return err
	}
	return s.makeFiles()
}

// faces are the wire of those services, by the name in the credential scope.
func (s *Server) faces() map[string]any {
	return map[string]any{
		"s3":             s.account.buckets,
		"sts":            &stsface.Face{Identity: s.identity},
		"iam":            &iamface.Face{Identity: s.identity},
		"kms":            &kmsface.Face{Keys: s.account.keys},
		"secretsmanager": &smface.Face{Secrets: s.account.secrets},
		"logs":           &logsface.Face{Logs: s.account.logs},
		"lambda":         s.functions.face,
		"s3vectors":      &vectorsface.Face{Vectors: s.library.buckets},
	}
}

// neighbours completes the gateway's configuration with the services beside Bedrock.
func (s *Server) neighbours(c *gateway.Config) error {
	all, err := neighbour.New(neighbour.Config{
		Faces: s.faces(), Remote: s.cfg.Neighbours, Authenticator: c.Authenticator, Authorizer: c.Authorizer, Observers: c.Observers,
		Logger: s.log, Clock: s.clock.Now, Region: s.cfg.Region, MaxBody: s.cfg.MaxBody, Trace: c.Trace,
	})
	if err != nil {
		return err
	}
	c.Neighbours = all
	if s.cfg.Neighbours["s3"] == "" {
		c.Unscoped = func(r *http.Request) http.Handler {
			if s.account.buckets.Claims(r) {
				return all["s3"]
			}
			return nil
		}
	}
	return nil
}
