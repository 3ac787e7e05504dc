package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
	"github.com/outcrop-dev/outcrop/internal/engine/weights"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
	"github.com/outcrop-dev/outcrop/internal/server"
)

const modelsUsage = `usage: outcrop models list [--aws]    local models, and with --aws which AWS ids they answer
       outcrop models pull NAME       fetch a model into the cache
       outcrop models rm NAME         remove it from the cache
       outcrop models alias           how to map AWS ids to local models
       outcrop models test NAME       load a model and let it answer once`

func models(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		args = []string{"list"}
	}
	verb := args[0]
	fs := e.flags("models " + verb)
	aws := fs.Bool("aws", false, "list AWS model ids with the local model that answers each")
	asJSON := fs.Bool("json", false, "print JSON")
	offline := fs.Bool("offline", e.getenv("OUTCROP_OFFLINE") != "", "fetch nothing")
	if err := fs.Parse(args[1:]); err != nil {
		return usageError{err}
	}
	s, err := weights.New(weights.Config{Dir: cacheDir(e), Offline: *offline, Progress: progress(e)})
	if err != nil {
		return err
	}
	switch name := fs.Arg(0); verb {
	case "list":
		if *aws {
			return listAWS(ctx, e, *asJSON)
		}
		return listLocal(e, s, *asJSON)
	case "alias":
		fmt.Fprint(e.stdout, "An alias maps an AWS id or a glob over ids to a local model:\n\n"+
			"  outcrop serve --alias 'anthropic.*=qwen2.5-coder-1.5b' --alias 'amazon.titan-embed-*=all-minilm-l6-v2'\n\n"+
			"or in the file of --config:\n\n  alias:\n    anthropic.*: qwen2.5-coder-1.5b\n\n`outcrop models list` shows the local names.\n")
		return nil
	case "pull", "rm", "test":
		if name == "" {
			return usage("name a model; `outcrop models list` shows them")
		}
		switch verb {
		case "pull":
			l, err := s.Pull(ctx, name)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s is in %s (%s, SHA-256 %s)\n", name, l.Path, l.Source, l.Sum)
			return nil
		case "rm":
			return s.Remove(ctx, name)
		}
		return testModel(ctx, e, name, *offline)
	}
	return usage("%s", modelsUsage)
}

func cacheDir(e *env) string {
	if d := e.getenv("OUTCROP_CACHE"); d != "" {
		return d
	}
	return config.DefaultCache()
}

func progress(e *env) fetch.Progress {
	if e.terminal == nil {
		return nil
	}
	return fetch.NewProgress(e.terminal)
}

func listLocal(e *env, s *weights.Store, asJSON bool) error {
	list := s.List()
	if asJSON {
		return json.NewEncoder(e.stdout).Encode(list)
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tKIND\tSIZE\tCONTEXT\tTOOLS\tLICENCE\tCACHED")
	for _, m := range list {
		cached, size := "", "?"
		if m.Cached {
			cached = "yes"
		}
		if m.Size > 0 {
			size = fmt.Sprintf("%d MB", m.Size>>20)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.Name, m.Kind, size, m.Context, m.Tools, m.Licence, cached)
	}
	return t.Flush()
}

func listAWS(ctx context.Context, e *env, asJSON bool) error {
	c, err := config.Load(e.flags("models"), nil, e.getenv)
	if err != nil {
		return usageError{err}
	}
	eng, err := llamacpp.New(llamacpp.Config{CacheDir: cacheDir(e), ChatModel: c.ChatModel, EmbeddingModel: c.EmbeddingModel, Offline: c.Offline})
	if err != nil {
		return err
	}
	defer eng.Close()
	var aliases []catalog.Alias
	for p, l := range c.Aliases {
		aliases = append(aliases, catalog.Alias{Pattern: p, Local: l})
	}
	cat, err := catalog.New(catalog.Config{Engine: eng, Aliases: aliases})
	if err != nil {
		return err
	}
	list, err := cat.Describe(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(e.stdout).Encode(list)
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AWS ID\tKIND\tANSWERED BY")
	for _, d := range list {
		local := d.Local
		if local == "" {
			local = "nothing: " + d.Reason
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", d.ID, d.Kind, local)
	}
	return t.Flush()
}

// testModel loads a model and shows that it answers.
func testModel(ctx context.Context, e *env, name string, offline bool) error {
	eng, err := llamacpp.New(llamacpp.Config{CacheDir: cacheDir(e), ChatModel: name, Offline: offline, Progress: progress(e)})
	if err != nil {
		return err
	}
	defer eng.Close()
	start := time.Now()
	res, err := eng.Generate(ctx, &engine.Request{
		Model: name, Messages: []engine.Message{{Role: engine.User, Parts: []engine.Part{{Text: "Say hello in one short sentence."}}}},
		Sampling: engine.Sampling{MaxTokens: 40, Temperature: new(0.0)},
	}, func(d engine.Delta) error {
		_, err := fmt.Fprint(e.stdout, d.Text)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "\n%s: loaded and answered in %s; first token after %s, %d tokens in, %d out\n", res.Model,
		time.Since(start).Round(time.Millisecond), res.Timing.FirstToken.Round(time.Millisecond), res.Usage.Input, res.Usage.Output)
	return nil
}

func engineVerb(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		args = []string{"status"}
	}
	fs := e.flags("engine " + args[0])
	offline := fs.Bool("offline", e.getenv("OUTCROP_OFFLINE") != "", "fetch nothing")
	if err := fs.Parse(args[1:]); err != nil {
		return usageError{err}
	}
	cfg := install.Config{Dir: cacheDir(e), Offline: *offline, Progress: progress(e), Getenv: e.getenv}
	find := install.Find
	switch args[0] {
	case "status":
	case "install":
		find = install.Install
	default:
		return usage("usage: outcrop engine status|install")
	}
	p, err := find(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s %s at %s (found by %s)\n", p.Form, p.Version, p.Path, p.From)
	return nil
}

func runDoctor(ctx context.Context, e *env, args []string) error {
	fs := e.flags("doctor")
	offline := fs.Bool("offline", e.getenv("OUTCROP_OFFLINE") != "", "do not look at the network")
	data := fs.String("data", e.getenv("OUTCROP_DATA"), "data folder to look at")
	if err := fs.Parse(args); err != nil {
		return usageError{err}
	}
	if *data == "" {
		*data = config.DefaultData()
	}
	findings := install.Doctor(ctx, install.Config{Dir: cacheDir(e), Offline: *offline, Getenv: e.getenv})
	findings = append(findings, checkData(*data), checkServer(ctx, *data), checkOperations())
	findings = append(findings, checkJail(ctx)...)
	problems := 0
	for _, f := range findings {
		mark := map[install.Level]string{install.OK: "ok     ", install.Warning: "warning", install.Problem: "PROBLEM"}[f.Level]
		fmt.Fprintf(e.stdout, "%s  %s: %s\n", mark, f.Check, f.Detail)
		if f.Fix != "" {
			fmt.Fprintf(e.stdout, "         do: %s\n", f.Fix)
		}
		if f.Level == install.Problem {
			problems++
		}
	}
	if problems > 0 {
		return fmt.Errorf("%d problems", problems)
	}
	return nil
}

// checkOperations says how much of Bedrock is built.
func checkOperations() install.Finding {
	built, all := server.BuiltOperations()
	return install.Finding{Check: "operations", Level: install.OK, Detail: fmt.Sprintf("%d of %d are built, the others answer 501 (outcrop operations lists them)", built, all)}
}

// checkData tries the data folder by writing a file into it.
func checkData(dir string) install.Finding {
	f := install.Finding{Check: "data folder", Level: install.OK, Detail: dir}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		f.Detail += " (made at first start)"
		return f
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err == nil {
		_, err = probe.Write(make([]byte, 1<<20))
		if err == nil {
			err = probe.Sync()
		}
		probe.Close()
		os.Remove(probe.Name())
	}
	if err != nil {
		f.Level, f.Detail, f.Fix = install.Problem, err.Error(), "give "+dir+" some space and to this user, or choose another folder with --data"
	}
	return f
}

func checkServer(ctx context.Context, dir string) install.Finding {
	f := install.Finding{Check: "server", Level: install.OK}
	c, err := readConnection(dir)
	if err != nil {
		f.Detail = "none has run with this data folder"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Endpoint+"/readyz", nil)
	if err != nil {
		f.Level, f.Detail = install.Warning, err.Error()
		return f
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		f.Detail = "not running; it last ran on " + c.Endpoint
		return f
	}
	resp.Body.Close()
	f.Detail = "answers on " + c.Endpoint
	return f
}
