package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	lambdahttp "github.com/outcrop-dev/outcrop/internal/lambda/http"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// lambdaPath is the first part of the path of Lambda's operations: an address that
// ends in it is an endpoint and no hook.
const lambdaPath = "/2015-03-31"

// routes are the functions that --function serves from elsewhere, and with
// --neighbour lambda=URL all others too. The most exact pattern wins.
func (s *Server) routes() (*fn.Routes, error) {
	r := &fn.Routes{}
	for _, pattern := range slices.SortedFunc(mapKeys(s.cfg.Functions), moreExact) {
		to, endpoint, err := s.elsewhere(s.cfg.Functions[pattern])
		if err != nil {
			return nil, fmt.Errorf("--function %s: %w", pattern, err)
		}
		r.Routes = append(r.Routes, fn.Route{Pattern: pattern, To: to, Queues: endpoint})
		s.log.Info("functions are served elsewhere", "pattern", pattern, "as", map[bool]string{true: "a Lambda endpoint", false: "a hook"}[endpoint])
	}
	if target := s.cfg.Neighbours["lambda"]; target != "" {
		to, _, err := s.elsewhere("lambda+" + target)
		if err != nil {
			return nil, fmt.Errorf("--neighbour lambda: %w", err)
		}
		r.Routes = append(r.Routes, fn.Route{Pattern: "*", To: to, Queues: true})
	}
	return r, nil
}

// moreExact orders patterns: whole names first, then the longer beginnings.
func moreExact(a, b string) int {
	many := func(p string) int { return strings.Count(p, "*") }
	return cmp.Or(many(a)-many(b), len(b)-len(a), strings.Compare(a, b))
}

// elsewhere makes the invoker of an address, which --help and docs/lambda.md tell.
// Keys in it sign for an endpoint and are a hook's basic authentication; an
// endpoint without them is signed for with the administrator's.
func (s *Server) elsewhere(address string) (to fn.Invoker, endpoint bool, err error) {
	plain, endpoint := strings.CutPrefix(address, "lambda+")
	u, err := url.Parse(plain)
	if err != nil || u.Host == "" {
		return nil, false, errors.New("the URL cannot be read") // its text may hold a secret
	}
	if path := strings.TrimRight(u.Path, "/"); strings.HasSuffix(path, lambdaPath) {
		u.Path, endpoint = strings.TrimSuffix(path, lambdaPath), true
	}
	if u.Host == s.cfg.Listen {
		return nil, false, errors.New("it is the address of this server itself")
	}
	user := u.User
	u.User = nil
	if !endpoint {
		c := lambdahttp.HookConfig{URL: u.String()}
		if user != nil {
			secret, _ := user.Password()
			c.Header = map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+secret))}
		}
		to, err = lambdahttp.NewHook(c)
		return to, false, err
	}
	var own *sigv4.Credentials
	if secret, ok := user.Password(); ok {
		own = &sigv4.Credentials{AccessKeyID: user.Username(), SecretAccessKey: secret}
	} else if user != nil {
		return nil, false, errors.New("there is no secret beside the key")
	}
	to, err = lambdahttp.NewEndpoint(lambdahttp.EndpointConfig{URL: u.String(), Sign: func(_ context.Context, r *http.Request, hash string) error {
		keys := own
		if keys == nil {
			admin, ok := s.identity.AdminKey()
			if !ok {
				return errors.New("the address of the function holds no keys, and there is no administrator's key to sign with")
			}
			keys = &sigv4.Credentials{AccessKeyID: admin.ID, SecretAccessKey: admin.Secret.Reveal()}
		}
		sigv4.Sign(r, *keys, regionOf(r.URL, s.cfg.Region), "lambda", time.Now(), hash)
		return nil
	}})
	return to, true, err
}

// regionOf reads the Region out of the function's ARN in a call's path.
func regionOf(u *url.URL, otherwise string) string {
	_, name, _ := strings.Cut(u.Path, lambdaPath+"/functions/")
	if p := strings.Split(name, ":"); len(p) > 6 && p[3] != "" {
		return p[3]
	}
	return otherwise
}
