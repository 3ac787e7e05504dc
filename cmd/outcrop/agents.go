package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/server"
	"github.com/outcrop-dev/outcrop/internal/tracetree"
)

const agentsUsage = `usage: outcrop agents list
       outcrop agents trace [FLAGS] AGENT [TEXT]   ask an agent, by name or id, and watch what it does
                                                   (without TEXT: a conversation, a line each)`

// agentsVerb works with the agents of a running server, over the wire like any
// other client.
func agentsVerb(ctx context.Context, e *env, args []string) error {
	what := "list"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		what, args = args[0], args[1:]
	}
	fs := e.flags("agents " + what)
	fs.Usage = func() { fmt.Fprintln(e.stderr, agentsUsage); fs.PrintDefaults() }
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder of the server")
	alias := fs.String("alias", "TSTALIASID", "id of the alias; the default is the prepared draft")
	session := fs.String("session", "", "id of the session to go on with (default: a new one)")
	whole := fs.Bool("whole", false, "print prompts and answers of the model uncut")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	client, err := connect(*data)
	if err != nil {
		return err
	}
	switch what {
	case "list":
		return listAgents(ctx, e, bedrockagent.NewFromConfig(client))
	case "trace":
		if fs.NArg() == 0 {
			return usage("name an agent\n%s", agentsUsage)
		}
		id, err := agentID(ctx, bedrockagent.NewFromConfig(client), fs.Arg(0))
		if err != nil {
			return err
		}
		t := tracer{
			e: e, client: bedrockagentruntime.NewFromConfig(client), agent: id, alias: *alias,
			session: cmp.Or(*session, "trace-"+rand.Text()[:12]), whole: *whole,
		}
		return t.run(ctx, strings.Join(fs.Args()[1:], " "))
	}
	return usage("%q is neither list nor trace\n%s", what, agentsUsage)
}

// connect is what an SDK needs to know of the server that runs on a data folder, the
// default one when empty.
func connect(data string) (aws.Config, error) {
	c, err := server.ReadConnection(cmp.Or(data, config.DefaultData()))
	if err != nil {
		return aws.Config{}, err
	}
	return awsConfig(c)
}

// awsConfig is what an SDK needs to know of a running server.
func awsConfig(c *server.Connection) (aws.Config, error) {
	cfg := aws.Config{
		Region: c.Region, BaseEndpoint: &c.Endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, ""),
	}
	if c.CABundle != "" {
		pem, err := os.ReadFile(c.CABundle) //nolint:gosec // written by the server into its own data folder
		if err != nil {
			return cfg, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return cfg, fmt.Errorf("%s holds no certificate", c.CABundle)
		}
		cfg.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	}
	return cfg, nil
}

func listAgents(ctx context.Context, e *env, client *bedrockagent.Client) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tSTATUS\tVERSION\tUPDATED")
	pages := bedrockagent.NewListAgentsPaginator(client, &bedrockagent.ListAgentsInput{})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, a := range p.AgentSummaries {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", aws.ToString(a.AgentId), aws.ToString(a.AgentName), a.AgentStatus, aws.ToString(a.LatestAgentVersion),
				aws.ToTime(a.UpdatedAt).Local().Format("2006-01-02 15:04:05"))
		}
	}
	return t.Flush()
}

// agentID finds an agent by name; what is no name is taken for an id.
func agentID(ctx context.Context, client *bedrockagent.Client, name string) (string, error) {
	pages := bedrockagent.NewListAgentsPaginator(client, &bedrockagent.ListAgentsInput{})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, a := range p.AgentSummaries {
			if aws.ToString(a.AgentName) == name {
				return aws.ToString(a.AgentId), nil
			}
		}
	}
	return name, nil
}

// tracer asks one agent in one session.
type tracer struct {
	e                     *env
	client                *bedrockagentruntime.Client
	agent, alias, session string
	whole                 bool
}

func (t *tracer) run(ctx context.Context, text string) error {
	if text != "" {
		return t.ask(ctx, text)
	}
	fmt.Fprintf(t.e.stdout, "session %s; an empty line ends it\n", t.session)
	lines := bufio.NewScanner(os.Stdin)
	for {
		fmt.Fprint(t.e.stdout, "> ")
		if !lines.Scan() || strings.TrimSpace(lines.Text()) == "" {
			return lines.Err()
		}
		if err := t.ask(ctx, lines.Text()); err != nil {
			fmt.Fprintln(t.e.stderr, err)
		}
	}
}

func (t *tracer) ask(ctx context.Context, text string) error {
	tree := tracetree.Tree{Out: t.e.stdout, Whole: t.whole}
	tree.Start()
	out, err := t.client.InvokeAgent(ctx, &bedrockagentruntime.InvokeAgentInput{
		AgentId: &t.agent, AgentAliasId: &t.alias, SessionId: &t.session, InputText: &text, EnableTrace: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	stream := out.GetStream()
	defer stream.Close()
	answered := false
	for ev := range stream.Events() {
		switch ev := ev.(type) {
		case *types.ResponseStreamMemberTrace:
			tree.Trace(&ev.Value)
		case *types.ResponseStreamMemberChunk:
			if !answered {
				fmt.Fprint(t.e.stdout, "< ")
				answered = true
			}
			fmt.Fprintf(t.e.stdout, "%s", ev.Value.Bytes)
		case *types.ResponseStreamMemberReturnControl:
			tree.Return(&ev.Value)
			answered = true
		case *types.ResponseStreamMemberFiles:
			for _, f := range ev.Value.Files {
				fmt.Fprintf(t.e.stdout, "[file %s, %s, %d bytes]\n", aws.ToString(f.Name), aws.ToString(f.Type), len(f.Bytes))
			}
		}
	}
	fmt.Fprintln(t.e.stdout)
	if err := stream.Err(); err != nil {
		return err
	}
	in, made, calls, actions := tree.Totals()
	fmt.Fprintf(t.e.stdout, "%d calls of the model, %d actions, %d tokens in, %d out\n", calls, actions, in, made)
	if !answered {
		return errors.New("the stream ended without an answer")
	}
	return nil
}
