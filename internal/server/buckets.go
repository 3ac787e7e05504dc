package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/outcrop-dev/outcrop/internal/bucket"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/object/s3"
)

// makeFiles opens what rooms read and write buckets through: this server's own,
// or those of the endpoint that --neighbour s3=URL names.
func (s *Server) makeFiles() error {
	c := bucket.Config{Objects: s.account.objects, Directory: s.account.buckets, Decider: s.identity}
	if s.cfg.Auth == "off" {
		c.Decider = nil
	}
	if target := s.cfg.Neighbours["s3"]; target != "" {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.Proxy = nil
		client, err := otherS3(target, s.cfg.Region, s.identity, transport)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() error { transport.CloseIdleConnections(); return nil })
		if c.Objects, err = s3.Open(s3.Config{Client: client}); err != nil {
			return err
		}
		c.Directory = bucket.Elsewhere{Account: s.cfg.Account, Region: s.cfg.Region}
	}
	var err error
	s.account.files, err = bucket.New(c)
	return err
}

// otherS3 is a client of another endpoint. It signs with the keys that the URL
// holds, or with the administrator's: an endpoint without keys of its own in the
// URL is one that knows ours (see neighbour's proxy).
func otherS3(target, region string, identity *iam.Identity, transport http.RoundTripper) (*awss3.Client, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return nil, errors.New("--neighbour s3: the URL cannot be read") // its text may hold a secret
	}
	var keys aws.CredentialsProviderFunc = func(context.Context) (aws.Credentials, error) {
		k, ok := identity.AdminKey()
		if !ok {
			return aws.Credentials{}, errors.New("--neighbour s3 names no keys, and there is no administrator's key to sign with")
		}
		return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret.Reveal()}, nil
	}
	if secret, ok := u.User.Password(); ok {
		fixed := aws.Credentials{AccessKeyID: u.User.Username(), SecretAccessKey: secret}
		keys = func(context.Context) (aws.Credentials, error) { return fixed, nil }
	}
	return awss3.New(awss3.Options{
		BaseEndpoint: aws.String(u.Scheme + "://" + u.Host), Region: region, UsePathStyle: true, Credentials: keys,
		HTTPClient: &http.Client{Transport: transport},
	}), nil
}
