package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

const lambdaUsage = `usage: outcrop lambda list                               functions of the account in the server's Region
       outcrop lambda logs NAME [-f] [--since 10m]       what a function has logged; -f goes on as it logs`

// lambdaVerb shows functions of a running server and what they log, over the wire
// like any other client.
func lambdaVerb(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usage("%s", lambdaUsage)
	}
	fs := e.flags("lambda " + args[0])
	fs.Usage = func() { fmt.Fprintln(e.stderr, lambdaUsage); fs.PrintDefaults() }
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	var l logTail
	if args[0] == "logs" {
		fs.BoolVar(&l.follow, "f", false, "go on as the function logs, until interrupted")
		fs.BoolVar(&l.follow, "follow", false, "the same as -f")
		fs.DurationVar(&l.since, "since", 10*time.Minute, "how far back to begin")
	}
	names, err := parseMixed(fs, args[1:])
	if err != nil {
		return usageError{err}
	}
	c, err := waitConnection(ctx, cmp.Or(*data, config.DefaultData()), 2*time.Second)
	if err != nil {
		return err
	}
	client, err := newWire(c)
	if err != nil {
		return err
	}
	switch {
	case args[0] == "list" && len(names) == 0:
		return client.listFunctions(ctx, e)
	case args[0] == "logs" && len(names) == 1:
		l.wire, l.e, l.every = client, e, 500*time.Millisecond
		return l.run(ctx, names[0])
	}
	return usage("%s", lambdaUsage)
}

// parseMixed parses flags that stand before, between and after other words, which
// it returns.
func parseMixed(fs *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
}

// wire is a client of a running server's restJson and awsJson operations.
type wire struct {
	conn   *server.Connection
	client *http.Client
}

func newWire(c *server.Connection) (wire, error) {
	cfg, err := awsConfig(c)
	if err != nil {
		return wire{}, err
	}
	w := wire{conn: c, client: http.DefaultClient}
	if own, ok := cfg.HTTPClient.(*http.Client); ok && own != nil {
		w.client = own
	}
	return w, nil
}

// refused is an error answer of the server.
type refused struct{ kind, message string }

func (r refused) Error() string { return strings.Trim(r.kind+": "+r.message, ": ") }

// call sends a request; target is the operation of awsJson, "" elsewhere.
func (w wire) call(ctx context.Context, service, method, path, target string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, w.conn.Endpoint+path, bytes.NewReader(body)) //nolint:gosec // the server is that of the person's own data folder, the path names a function of theirs
	if err != nil {
		return err
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	keys := sigv4.Credentials{AccessKeyID: w.conn.AccessKey, SecretAccessKey: w.conn.SecretKey}
	sigv4.Sign(r, keys, w.conn.Region, service, time.Now(), sigv4.HashPayload(body))
	resp, err := w.client.Do(r) //nolint:gosec // as above
	if err != nil {
		return fmt.Errorf("ask the server on %s: %w", w.conn.Endpoint, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		var f struct {
			Type    string `json:"__type"`
			Message string `json:"message"` // in any case
		}
		_ = json.Unmarshal(b, &f)
		kind, _, _ := strings.Cut(cmp.Or(resp.Header.Get("X-Amzn-Errortype"), f.Type, resp.Status), ":")
		return refused{kind[strings.LastIndexByte(kind, '#')+1:], f.Message}
	}
	return json.Unmarshal(b, out)
}

// functionConfig is what the verbs need of a function's configuration.
type functionConfig struct {
	FunctionName, Runtime, Handler, State, LastUpdateStatus, LastModified string
	MemorySize, Timeout                                                   int
	LoggingConfig                                                         struct{ LogGroup string }
}

func (w wire) listFunctions(ctx context.Context, e *env) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tRUNTIME\tHANDLER\tSTATE\tMEMORY\tTIMEOUT\tMODIFIED")
	for marker := ""; ; {
		var page struct {
			Functions  []functionConfig
			NextMarker string
		}
		q := ""
		if marker != "" {
			q = "?Marker=" + url.QueryEscape(marker)
		}
		if err := w.call(ctx, "lambda", http.MethodGet, "/2015-03-31/functions"+q, "", nil, &page); err != nil {
			return err
		}
		for _, f := range page.Functions {
			state := f.State
			if f.LastUpdateStatus != "" && f.LastUpdateStatus != "Successful" {
				state = f.LastUpdateStatus
			}
			when := f.LastModified
			if at, err := time.Parse("2006-01-02T15:04:05.000-0700", when); err == nil {
				when = at.Local().Format("2006-01-02 15:04:05")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d MB\t%d s\t%s\n", f.FunctionName, f.Runtime, f.Handler, state, f.MemorySize, f.Timeout, when)
		}
		if marker = page.NextMarker; marker == "" {
			return t.Flush()
		}
	}
}

// logTail prints the log of a function.
type logTail struct {
	wire
	e      *env
	follow bool
	since  time.Duration
	every  time.Duration // between looks

	seen map[string]int64 // ids of events that were printed, with their times
}

// lateness is how much later than its time an event may come to be readable: lines of
// several instances are written side by side.
const lateness = 5 * time.Second

func (l *logTail) run(ctx context.Context, name string) error {
	var f functionConfig
	if err := l.call(ctx, "lambda", http.MethodGet, "/2015-03-31/functions/"+url.PathEscape(name)+"/configuration", "", nil, &f); err != nil {
		return err
	}
	group := cmp.Or(f.LoggingConfig.LogGroup, "/aws/lambda/"+f.FunctionName)
	l.seen = map[string]int64{}
	from := time.Now().Add(-l.since).UnixMilli()
	for {
		last, err := l.print(ctx, group, from)
		var r refused
		switch {
		case errors.As(err, &r) && r.kind == "ResourceNotFoundException": // nothing was logged yet
			if !l.follow {
				fmt.Fprintf(l.e.stderr, "%s has logged nothing: there is no log group %s\n", name, group)
				return nil
			}
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case !l.follow:
			if len(l.seen) == 0 {
				fmt.Fprintf(l.e.stderr, "%s has logged nothing in the last %v; --since looks further back\n", name, l.since)
			}
			return nil
		}
		if edge := last - lateness.Milliseconds(); edge > from {
			from = edge
			for id, at := range l.seen {
				if at < from {
					delete(l.seen, id)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(l.every):
		}
	}
}

// print writes the events from a time on that were not written yet and returns
// the time of the last one.
func (l *logTail) print(ctx context.Context, group string, from int64) (last int64, err error) {
	in := map[string]any{"logGroupName": group, "startTime": from}
	for {
		var page struct {
			Events []struct {
				EventID   string `json:"eventId"`
				Timestamp int64  `json:"timestamp"`
				Message   string `json:"message"`
			} `json:"events"`
			NextToken string `json:"nextToken"`
		}
		if err := l.call(ctx, "logs", http.MethodPost, "/", "Logs_20140328.FilterLogEvents", in, &page); err != nil {
			return last, err
		}
		for _, v := range page.Events {
			last = max(last, v.Timestamp)
			if _, twice := l.seen[v.EventID]; twice {
				continue
			}
			l.seen[v.EventID] = v.Timestamp
			if _, err := fmt.Fprintf(l.e.stdout, "%s %s\n", time.UnixMilli(v.Timestamp).Local().Format("15:04:05.000"), strings.TrimRight(v.Message, "\n")); err != nil {
				return last, err
			}
		}
		if page.NextToken == "" {
			return last, nil
		}
		in["nextToken"] = page.NextToken
	}
}
