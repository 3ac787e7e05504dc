package knowledge

import (
	"errors"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// errEdited: what a decision rests on was changed before it could be written.
var errEdited = fmt.Errorf("knowledge: %w", store.ErrConflict)

// TextMissing is how AWS begins its answer to any id of bedrock-agent that is not there.
const TextMissing = "Failed to retrieve resource because it doesn't exist. Retry the request with a different resource identifier."

// failure turns what the store answers into what the wire knows.
func failure(err error) error {
	return kms.Failure(err, TextMissing, "The knowledge base is being changed by another request. Try again.")
}

// taken words a name that another one has; other errors pass.
func taken(err error, what, name string) error {
	if errors.Is(err, store.ErrExists) {
		return apierr.Wrap(apierr.Conflict, err, "%s with name %s already exists.", what, name)
	}
	return err
}

func beyond(what string, most int) error {
	return apierr.New(apierr.ServiceQuotaExceeded, "The quota of %d %s is reached. Delete one first.", most, what)
}

// invalid is a ValidationException that names the member.
func invalid(field, format string, args ...any) error {
	e := apierr.New(apierr.Validation, format, args...)
	e.Detail.Fields = []apierr.Field{{Name: field, Message: e.Message}}
	return e
}

// unsupported refuses what Outcrop does not serve.
func unsupported(field, what string) error {
	return invalid(field, "%s is not supported by Outcrop.", what)
}

func token(c *call.Call, operation string, value *string) store.Token {
	return store.Token{Account: c.Account, Region: c.Region, Operation: operation, Value: optional.Value(value)}
}
