package iam

import (
	"errors"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	identity "github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
)

// names are IAM's words for the failures of the house service.
var names = []struct {
	err  error
	kind apierr.Kind
}{
	{identity.ErrNotFound, noSuchEntity},
	{identity.ErrExists, alreadyExists},
	{identity.ErrLimit, limitExceeded},
	{identity.ErrInUse, inConflict},
	{identity.ErrInvalid, invalidInput},
}

// fault gives a failure of the identities its name in IAM. The sentences after
// the sentinels are AWS's.
func fault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*apierr.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
		if e.Size {
			return apierr.New(limitExceeded, "%s", e.Message)
		}
		return apierr.New(malformed, "%s", e.Error())
	}
	for _, n := range names {
		if errors.Is(err, n.err) {
			text := err.Error()
			if _, after, ok := strings.Cut(text, n.err.Error()+": "); ok {
				text = after
			}
			return apierr.New(n.kind, "%s", text)
		}
	}
	return err
}
