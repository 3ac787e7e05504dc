package main

import (
	"context"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
)

func serve(ctx context.Context, e *env, args []string) error {
	c, err := config.Load(e.flags("serve"), args, e.getenv)
	if err != nil {
		return usageError{err}
	}
	s, err := server.Open(ctx, server.Options{Config: c, Log: e.stderr, Terminal: e.terminal, Root: e.root()})
	if err != nil {
		return err
	}
	return s.Run(ctx, func(conn *server.Connection) {
		fmt.Fprintf(e.stdout, "outcrop ready on %s\n", conn.Endpoint)
	})
}
