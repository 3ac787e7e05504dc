package gateway

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

const levelError = slog.LevelError

// levelOf says how loudly a failure with a cause is logged: what the caller did
// wrong is no error of the server.
func levelOf(e *apierr.Error) slog.Level {
	switch e.Kind {
	case apierr.InternalServer, apierr.ServiceUnavailable, apierr.ModelError, apierr.ModelStreamError, apierr.BadGateway:
		return slog.LevelError
	case apierr.ModelTimeout, apierr.ModelNotReady, apierr.DependencyFailed:
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}

func (x *exchange) attrs(err error) []slog.Attr {
	return []slog.Attr{
		slog.String("request_id", x.c.RequestID), slog.String("operation", x.c.Operation),
		slog.String("account", x.c.Account), slog.String("region", x.c.Region), slog.String("error", err.Error()),
	}
}

// panicked turns a panic into an internal error and logs the stack.
func (x *exchange) panicked(p any) error {
	if p == any(http.ErrAbortHandler) {
		panic(p)
	}
	return fmt.Errorf("BUG: %s panicked: %v\n%s", x.c.Operation, p, debug.Stack())
}

func sourceIP(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}
