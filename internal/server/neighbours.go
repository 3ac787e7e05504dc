package server

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/logs"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	iamface "github.com/outcrop-dev/outcrop/internal/neighbour/iam"
	kmsface "github.com/outcrop-dev/outcrop/internal/neighbour/kms"
	logsface "github.com/outcrop-dev/outcrop/internal/neighbour/logs"
	smface "github.com/outcrop-dev/outcrop/internal/neighbour/secretsmanager"
	stsface "github.com/outcrop-dev/outcrop/internal/neighbour/sts"
	"github.com/outcrop-dev/outcrop/internal/secret"
)

// account holds the services of an account that stand beside Bedrock.
type account struct {
	keys    *kms.Service
	secrets *secret.Service
	logs    *logs.Service
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
	return nil
}

// faces are the wire of those services, by the name in the credential scope.
func (s *Server) faces() map[string]any {
	return map[string]any{
		"sts":            &stsface.Face{Identity: s.identity},
		"iam":            &iamface.Face{Identity: s.identity},
		"kms":            &kmsface.Face{Keys: s.account.keys},
		"secretsmanager": &smface.Face{Secrets: s.account.secrets},
		"logs":           &logsface.Face{Logs: s.account.logs},
	}
}

// neighbours completes the gateway's configuration with the services beside Bedrock.
func (s *Server) neighbours(c *gateway.Config) error {
	all, err := neighbour.New(neighbour.Config{
		Faces: s.faces(), Remote: s.cfg.Neighbours, Authenticator: c.Authenticator, Authorizer: c.Authorizer, Observers: c.Observers,
		Logger: s.log, Clock: s.clock.Now, Region: s.cfg.Region, MaxBody: s.cfg.MaxBody, Trace: c.Trace,
	})
	c.Neighbours = all
	return err
}
