package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/demo"
	"github.com/outcrop-dev/outcrop/internal/server"
)

// runDemo starts a server on a free loopback port with a temporary data folder,
// fetches what it needs, and then is an ordinary SDK client of it.
func runDemo(ctx context.Context, e *env, args []string) error {
	data, err := os.MkdirTemp("", "outcrop-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	c, err := config.Load(e.flags("demo"), append([]string{"--listen", "127.0.0.1:0", "--data", data, "--log-level", "warn"}, args...), e.getenv)
	if err != nil {
		return usageError{err}
	}
	start := time.Now()
	fmt.Fprintln(e.stdout, "Outcrop demo: real requests, answered by a real local model.")
	s, err := server.Open(ctx, server.Options{Config: c, Log: e.stderr, Terminal: e.terminal, Fetch: true})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready, done := make(chan *server.Connection, 1), make(chan error, 1)
	go func() { done <- s.Run(ctx, func(conn *server.Connection) { ready <- conn }) }()
	var result error
	select {
	case err := <-done:
		return errors.Join(errors.New("the server ended before it was ready"), err)
	case conn := <-ready:
		fmt.Fprintf(e.stdout, "server on %s, data in %s\n", conn.Endpoint, data)
		result = demo.Run(ctx, demo.Config{Endpoint: conn.Endpoint, AccessKey: conn.AccessKey, SecretKey: conn.SecretKey, Region: conn.Region, Out: e.stdout})
	}
	stop()
	if err := <-done; err != nil && result == nil {
		result = fmt.Errorf("stop the server: %w", err)
	}
	if result == nil {
		fmt.Fprintf(e.stdout, "\nDone in %s. Start your own with `outcrop serve`.\n", time.Since(start).Round(time.Second))
	}
	return result
}
