package main

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/engine/install"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// checkJail says whether other people's code, such as Lambda functions, and other
// people's documents can be handled here. Everything else works without, so nothing of it is a problem.
func checkJail(ctx context.Context) []install.Finding {
	var out []install.Finding
	for _, part := range sandbox.Check(ctx) {
		f := install.Finding{Check: "jail: " + part.Part, Level: install.OK, Detail: part.Detail}
		switch part.State {
		case sandbox.OK:
			if f.Detail == "" {
				f.Detail = "there"
			}
		case sandbox.Weaker:
			f.Level = install.Warning
		case sandbox.Missing:
			f.Level, f.Fix = install.Warning, "until then Lambda functions, code interpreters and the reading of documents are refused, or run without a jail with --unsafe-local-code"
		}
		out = append(out, f)
	}
	return out
}
