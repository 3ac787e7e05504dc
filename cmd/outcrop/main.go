// Command outcrop is Amazon Bedrock on this machine.
//
// Each verb is a file of this package; main only chooses among them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/sandbox"
)

// verb is one thing the command does.
type verb struct {
	name, summary string
	run           func(ctx context.Context, e *env, args []string) error
}

// verbs in the order of help; the first is the default.
func verbs() []verb {
	return []verb{
		{"serve", "run the server (what happens without a verb)", serve},
		{"demo", "start a server for a moment and show what it does, over the wire", runDemo},
		{"env", "print the variables that point AWS programs at the server", printEnv},
		{"agents", "list agents, ask one and watch what it does", agentsVerb},
		{"kb", "make a folder a knowledge base, and search it", kbVerb},
		{"lambda", "list Lambda functions and show what they log", lambdaVerb},
		{"models", "list, pull, remove and test local models", models},
		{"engine", "show or install the engine that runs models", engineVerb},
		{"doctor", "check this machine and say what to do", runDoctor},
		{"credentials", "list, make and remove keys of users", credentialsVerb},
		{"policy", "explain what the policies of a principal say of an action", policyVerb},
		{"root-key", "say where the key of all data is kept, or keep it elsewhere", rootKey},
		{"operations", "print the operations of Bedrock and which are built", operations},
		{"backup", "copy the data of a server into an archive folder", backup},
		{"restore", "make a data folder from a backup", restore},
		{"version", "print the version", version},
	}
}

// env is what a verb sees of the world, so that tests can give it another one.
type env struct {
	stdout, stderr io.Writer
	terminal       *os.File // where progress is shown; nil in tests
	getenv         func(string) string
}

func main() {
	if sandbox.Main() || parse.Main() { // a stage of a jail and a reader of documents are this same program
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &env{os.Stdout, os.Stderr, os.Stderr, os.Getenv}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs one verb and returns the exit status: 0 done, 1 failed, 2 misused.
func run(ctx context.Context, e *env, args []string) int {
	name := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	} else if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		name = "help"
	}
	if name == "help" {
		help(e.stdout)
		return 0
	}
	for _, v := range verbs() {
		if v.name != name {
			continue
		}
		err := v.run(ctx, e, args)
		switch {
		case err == nil:
			return 0
		case errors.Is(err, flag.ErrHelp):
			return 0
		case errors.As(err, new(usageError)):
			fmt.Fprintf(e.stderr, "outcrop %s: %v\n", name, err)
			return 2
		}
		fmt.Fprintf(e.stderr, "outcrop %s: %v\n", name, err)
		return 1
	}
	fmt.Fprintf(e.stderr, "outcrop: there is no verb %q; see outcrop help\n", name)
	return 2
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// flags returns an empty flag set of a verb that reports its mistakes as usage errors.
func (e *env) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	return fs
}

func help(w io.Writer) {
	fmt.Fprint(w, "Outcrop is Amazon Bedrock on your own machine.\n\nUsage: outcrop [VERB] [FLAGS]\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, v := range verbs() {
		fmt.Fprintf(t, "  %s\t%s\n", v.name, v.summary)
	}
	_ = t.Flush()
	fmt.Fprint(w, "\noutcrop VERB --help lists the flags of a verb. Every flag of serve can also be a variable\n(OUTCROP_ and its name in capitals) or a line of a YAML file (--config).\n")
}
