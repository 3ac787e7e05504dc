package main

import (
	"context"
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/service"
)

func operations(_ context.Context, e *env, args []string) error {
	fs := e.flags("operations")
	markdown := fs.Bool("markdown", false, "as the tables of the README")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	if *markdown {
		fmt.Fprint(e.stdout, server.OperationsMarkdown())
		return nil
	}
	for _, s := range server.Operations() {
		built := 0
		for _, o := range s.Operations {
			if o.State == service.Built {
				built++
			}
		}
		fmt.Fprintf(e.stdout, "%s: %d of %d built\n", s.Service, built, len(s.Operations))
		for _, o := range s.Operations {
			fmt.Fprintf(e.stdout, "  %-7s %s\n", o.State, o.Name)
		}
	}
	return nil
}
