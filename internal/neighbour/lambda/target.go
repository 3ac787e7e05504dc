package lambda

import (
	"context"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// The exceptions of Lambda's model that this face answers besides the common ones.
const (
	notFound     apierr.Kind = "ResourceNotFoundException"
	conflict     apierr.Kind = "ResourceConflictException"
	invalid      apierr.Kind = "InvalidParameterValueException"
	precondition apierr.Kind = "PreconditionFailedException"
	limit        apierr.Kind = "CodeStorageExceededException"
)

// target is the function that an operation names.
type target struct {
	account, region, name string
	qualifier             string // "" for none
}

// aim reads a function's name in any of its spellings: NAME, ACCOUNT:function:NAME,
// a whole ARN, each with or without a qualifier.
func aim(ctx context.Context, name string, qualifier *string) (target, error) {
	c := call.From(ctx)
	t := target{account: c.Account, region: c.Region}
	parts := strings.Split(name, ":")
	if rest, ok := strings.CutPrefix(name, "arn:"); ok {
		parts = strings.Split(rest, ":")
		if len(parts) < 6 || parts[1] != "lambda" || parts[4] != "function" {
			return t, apierr.New(invalid, "%s is not the ARN of a function", name)
		}
		if parts[2] != t.region {
			return t, apierr.New(notFound, "Functions from '%s' are not reachable in this region ('%s')", parts[2], t.region)
		}
		t.account, parts = parts[3], parts[5:]
	} else if i := len(parts); i >= 3 && parts[1] == "function" {
		t.account, parts = parts[0], parts[2:]
	} else if i >= 2 && parts[0] == "function" {
		parts = parts[1:]
	}
	t.name = parts[0]
	if len(parts) > 1 {
		t.qualifier = parts[1]
	}
	if q := optional.Value(qualifier); q != "" {
		if t.qualifier != "" && t.qualifier != q {
			return t, apierr.New(invalid, "The derived qualifier from the function name does not match the specified qualifier.")
		}
		t.qualifier = q
	}
	return t, nil
}

// unqualified is aim for operations on a function as a whole.
func unqualified(ctx context.Context, name string) (target, error) {
	t, err := aim(ctx, name, nil)
	if err == nil && t.qualifier != "" && t.qualifier != fn.LatestVersion {
		err = apierr.New(invalid, "This operation does not permit a function ARN with a version or an alias")
	}
	return t, err
}

func (t target) key() store.Key {
	return store.Key{Account: t.account, Region: t.region, ID: t.name}
}

// arn is the function's without the qualifier.
func (t target) arn() string {
	return "arn:aws:lambda:" + t.region + ":" + t.account + ":function:" + t.name
}

// qualified is the ARN as the operation named it.
func (t target) qualified() string {
	if t.qualifier == "" {
		return t.arn()
	}
	return t.arn() + ":" + t.qualifier
}

func (t target) missing() error {
	return apierr.New(notFound, "Function not found: %s", t.qualified())
}

// numbered reports whether a qualifier is the number of a version.
func numbered(q string) bool {
	for i := range len(q) {
		if q[i] < '0' || q[i] > '9' {
			return false
		}
	}
	return q != ""
}
