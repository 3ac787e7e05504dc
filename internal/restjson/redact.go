package restjson

import (
	"fmt"
	"log/slog"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// maxRedacted bounds the text of one logged value in bytes.
const maxRedacted = 4096

// redacted renders only when a log handler asks for it.
type redacted struct {
	svc *api.Service
	id  api.ShapeID
	v   any
}

// Redact returns a view of v, a pointer to the Go struct of the shape, for logs:
// JSON in which hidden values are "***" and blobs only their size, cut after 4096
// bytes. Hidden is what the model calls sensitive, and besides that documents and
// free text (strings of more than 256 characters or without any limit, pattern or
// enumeration): the models do not call the text of a Converse message sensitive,
// and prompts do not belong in a log. Nothing is rendered until a handler asks.
func Redact(svc *api.Service, id api.ShapeID, v any) slog.LogValuer {
	return redacted{svc, id, v}
}

// LogValue renders the view.
func (r redacted) LogValue() slog.Value { return slog.StringValue(r.String()) }

// String renders the view, so that no formatting verb shows what is hidden.
func (r redacted) String() string {
	n, p, err := root(r.svc, r.id, r.v)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	e := encoder{redact: true}
	e.object(n, p, ^uint64(0))
	if len(e.buf) > maxRedacted {
		return string(e.buf[:maxRedacted]) + "..."
	}
	return string(e.buf)
}

var _ fmt.Stringer = redacted{}
