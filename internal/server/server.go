package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/build"
	"github.com/outcrop-dev/outcrop/internal/agent/interpreter"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/clock"
	"github.com/outcrop-dev/outcrop/internal/config"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/inference"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/ingest"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/metric"
	"github.com/outcrop-dev/outcrop/internal/quota"
	"github.com/outcrop-dev/outcrop/internal/server/access"
	"github.com/outcrop-dev/outcrop/internal/service"
	"github.com/outcrop-dev/outcrop/internal/session"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"
	"github.com/outcrop-dev/outcrop/internal/throughput"
	"github.com/outcrop-dev/outcrop/internal/trace"
)

// Options of Open.
type Options struct {
	Config   config.Config
	Log      io.Writer        // request log and messages for the operator; nil discards
	Terminal *os.File         // where downloads show their progress; nil shows nothing
	Root     store.RootConfig // how to get at the root key; Dir and Keep are Config's
	Fetch    bool             // fetch engine and models before serving, with progress, instead of at first use
}

// Server is a built house. Open, then Run once.
type Server struct {
	cfg         config.Config
	log         *slog.Logger
	logs        *logWriter
	clock       *clock.Clock
	store       *store.Store
	jobs        *job.Runner
	identity    *iam.Identity
	sealer      *kms.Sealer
	account     account
	functions   functions
	library     library
	sessions    *conversation.Sessions // of agents and of RetrieveAndGenerate
	kept        *session.Sessions      // of the Sessions API
	memories    *agent.Memories
	interpreter *interpreter.Interpreter
	engine      engine.Engine
	catalog     *catalog.Catalog
	throughput  *throughput.ProvisionedModels
	handlers    []*gateway.Handler
	listeners   []*listener
	conn        Connection
	ready       atomic.Bool
	tracer      *trace.Tracer  // nil when traces are off
	closers     []func() error // in the order of making; closed in the reverse one
}

// Open builds everything and takes the ports; it serves nothing yet. What was
// built before a failure is closed again.
func Open(ctx context.Context, o Options) (_ *Server, err error) {
	s := &Server{cfg: o.Config, clock: new(clock.Clock)}
	if o.Log == nil {
		o.Log = io.Discard
	}
	s.logs = newLogWriter(o.Log)
	s.log = slog.New(logHandler(s.logs, &s.cfg))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			_ = s.logs.flush()
		}
	}()
	for _, p := range parts {
		if err := p.make(s, ctx, &o); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return s, nil
}

// parts in the order in which they are made. Each may use those before it; Close
// goes the other way.
var parts = []struct {
	name string
	make func(*Server, context.Context, *Options) error
}{
	{"clock", (*Server).makeClock},
	{"data folder", (*Server).makeData},
	{"tracing", (*Server).makeTracing},
	{"store", (*Server).makeStore},
	{"jobs", (*Server).makeJobs},
	{"identities", (*Server).makeIdentity},
	{"keys, secrets and logs", (*Server).makeAccount},
	{"functions", (*Server).makeFunctions},
	{"indexes of knowledge bases", (*Server).makeVectors},
	{"engine", (*Server).makeEngine},
	{"catalogue", (*Server).makeCatalog},
	{"gateway", (*Server).makeGateway},
}

func logHandler(w io.Writer, c *config.Config) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked by config
	opt := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.NewJSONHandler(w, opt)
	}
	return slog.NewTextHandler(w, opt)
}

func (s *Server) makeClock(context.Context, *Options) error {
	if s.cfg.Now == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, s.cfg.Now)
	if err == nil {
		s.clock.Set(t)
	}
	return err
}

func (s *Server) makeData(context.Context, *Options) error {
	if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return err
	}
	return nil
}

func (s *Server) makeTracing(ctx context.Context, _ *Options) error {
	t, err := trace.Setup(ctx, trace.Config{Log: s.log})
	if err != nil || t == nil {
		return err
	}
	s.tracer = t
	s.closers = append(s.closers, func() error { return t.Shutdown(context.Background(), 3*time.Second) })
	return nil
}

func (s *Server) makeStore(ctx context.Context, o *Options) error {
	driver, err := openDriver(ctx, &s.cfg) // takes the folder before anything is read in it
	if err != nil {
		return err
	}
	root := o.Root
	root.Dir, root.Keep = s.cfg.Data, s.cfg.RootKey
	local, err := store.OpenRoot(ctx, root)
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	s.sealer = kms.NewSealer(local, kms.Contexts())
	s.store, err = store.Open(ctx, store.Config{Driver: driver, Sealer: s.sealer, Now: s.clock.Now, Logger: s.log, Hot: conversation.Statements()})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.store.Close)
	return nil
}

// jobs are the kinds of durable work that rooms register.
var jobs []job.Kind

func (s *Server) makeJobs(context.Context, *Options) error {
	var err error
	s.jobs, err = job.New(job.Config{Store: s.store, Kinds: slices.Concat(jobs, []job.Kind{s.eventJobs(), s.memoryJobs()}, s.libraryJobs()), Logger: s.log})
	return err
}

func (s *Server) makeIdentity(ctx context.Context, _ *Options) error {
	var err error
	s.identity, err = iam.New(ctx, iam.Config{Store: iam.NewTable(s.store), Account: s.cfg.Account, Region: s.cfg.Region, Logger: s.log})
	return err
}

func (s *Server) makeEngine(ctx context.Context, o *Options) error {
	e, err := openEngine(ctx, &s.cfg, s.log, o)
	if err != nil {
		return err
	}
	s.engine = e
	s.closers = append(s.closers, e.Close)
	return nil
}

func (s *Server) makeCatalog(context.Context, *Options) error {
	c := catalog.Config{
		Engine: s.engine, Store: s.store, Now: s.clock.Now, Log: s.log, Transition: s.cfg.Transition,
		Locked: s.cfg.Access == "locked", LifeCycle: s.cfg.Lifecycle,
		Authorize: access.Permissions{Identity: s.identity, Tags: s.store}.Dependent,
		Lenient:   s.cfg.Lenient, GuideOnly: s.cfg.GuideOnly, Owners: s.modelOwners(),
	}
	for _, id := range slices.Sorted(mapKeys(s.cfg.Aliases)) {
		c.Aliases = append(c.Aliases, catalog.Alias{Pattern: id, Local: s.cfg.Aliases[id]})
	}
	var err error
	if s.catalog, err = catalog.New(c); err != nil {
		return err
	}
	s.throughput = throughput.New(throughput.Config{
		Store: s.store, Catalog: s.catalog, Now: s.clock.Now, Transition: s.cfg.Transition,
		Units: s.cfg.ModelUnits, CommittedUnits: s.cfg.CommittedUnits,
	})
	return nil
}

func (s *Server) makeGateway(ctx context.Context, _ *Options) error {
	admin, ok := s.identity.AdminKey()
	if !ok && s.cfg.Auth != "off" {
		s.log.Warn("the user admin has no active access key; outcrop env has none to print")
	}
	reg := metric.New(metric.Config{Process: true})
	limiter, err := quota.New(quota.Config{Profile: quota.Profile(s.cfg.Profile)})
	if err != nil {
		return err
	}
	auth, err := s.authenticator()
	if err != nil {
		return err
	}
	runtime := inference.New(inference.Config{Engine: s.engine, Resolver: s.catalog, Families: families(), Log: s.log})
	s.sessions = conversation.New(conversation.Config{Store: s.store, Ended: s.sessionEnded, Log: s.log})
	if err := s.makeLibrary(runtime); err != nil {
		return err
	}
	agents, kept := s.makeAgents(), s.makeKept()
	turns := s.makeTurns(runtime, agents)
	desks := []gateway.Desk{
		{Service: service.Models[0].Service, API: &service.Bedrock{
			FoundationModels: &catalog.FoundationModels{Catalog: s.catalog}, ModelAccess: &catalog.ModelAccess{Catalog: s.catalog},
			InferenceProfiles: &catalog.InferenceProfiles{Catalog: s.catalog},
			ProvisionedModels: s.throughput,
			ModelTags:         tag.New(tag.Config{Store: s.store, Owners: owners(s.catalog, s.throughput)}),
		}},
		{Service: service.Models[1].Service, API: &service.BedrockRuntime{Runtime: runtime}},
		{Service: service.Models[2].Service, API: &service.BedrockAgent{
			Agents: &build.Agents{Room: agents}, ActionGroups: &build.ActionGroups{Room: agents}, AgentAliases: &build.AgentAliases{Room: agents},
			AgentKnowledgeBases: &build.AgentKnowledgeBases{Room: agents}, AgentCollaborators: &build.AgentCollaborators{Room: agents},
			KnowledgeBases: &knowledge.KnowledgeBases{Room: s.library.bases}, DataSources: &knowledge.DataSources{Room: s.library.bases},
			IngestionJobs: &ingest.Jobs{Room: s.library.ingest}, Documents: &ingest.Documents{Room: s.library.ingest},
			AgentTags: tag.NewAgent(tag.Config{Store: s.store, Owners: append(agentOwners(agents), baseOwners(s.library.bases)...)}),
		}},
		{Service: service.Models[3].Service, API: &service.BedrockAgentRuntime{
			Runtime: turns, Memories: s.memories, Retrieval: &retrieve.Operations{Room: s.library.search}, Refusals: &retrieve.Refusals{Room: s.library.search},
			Answers: s.library.answers, Sessions: kept, SessionTags: tag.NewSession(tag.Config{Store: s.store, Owners: sessionOwners(kept)}),
		}},
	}
	for _, d := range desks {
		if room := service.Missing(d.API); room != "" {
			return fmt.Errorf("BUG: the desk of %s lacks %s", d.Service.Name, room)
		}
	}
	base := gateway.Config{
		Desks: desks, Authenticator: auth, Authorizer: access.Gate{Permissions: access.Permissions{Identity: s.identity, Tags: s.store}, Canonical: s.throughput.Canonical}, ModelResources: s.catalog.ResourceARNs, Logger: s.log, Clock: s.clock.Now,
		Region: s.cfg.Region, MaxBody: s.cfg.MaxBody,
		Observers: []func(*gateway.Observation){logRequest(s.log), countRequests(reg)},
		Pages:     s.pages(reg.Handler()),
	}
	if s.tracer != nil {
		base.Trace = s.tracer.Start
	}
	if limiter != nil {
		base.Throttle = throttle{limiter}
		base.Observers = append(base.Observers, throttle{limiter}.settle)
	}
	if err := s.neighbours(&base); err != nil {
		return err
	}
	tc, err := tlsConfig(s.cfg.TLS, s.cfg.Data, time.Now())
	if err != nil {
		return err
	}
	only := []string{""}
	if s.cfg.Ports {
		for _, m := range service.Models {
			only = append(only, m.Service.Name)
		}
	}
	for i, name := range only {
		c := base
		c.Only = name
		if err := s.open(ctx, i, gateway.New(c), tc); err != nil {
			return err
		}
	}
	s.conn = Connection{
		Endpoint: s.endpoint(s.listeners[0].Addr(), tc != nil), Region: s.cfg.Region, Account: s.cfg.Account,
		AccessKey: admin.ID, SecretKey: admin.Secret.Reveal(), PID: os.Getpid(),
	}
	if s.cfg.TLS == "auto" {
		s.conn.CABundle = filepath.Join(s.cfg.Data, "tls.crt")
	}
	return s.conn.write(s.cfg.Data)
}

func (s *Server) open(ctx context.Context, i int, h *gateway.Handler, tc *tls.Config) error {
	addr, err := nextPort(s.cfg.Listen, i)
	if err != nil {
		return err
	}
	l, err := listen(ctx, addr, tc)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	s.handlers = append(s.handlers, h)
	s.listeners = append(s.listeners, &listener{l, newHTTP(h, s.log)})
	return nil
}

func (s *Server) authenticator() (gateway.Authenticator, error) {
	if s.cfg.Auth == "off" {
		s.log.Warn("authentication is off: everybody who reaches this port is the administrator")
		k, ok := s.identity.AdminKey()
		if ok {
			if c, ok := s.identity.Credential(k.ID); ok {
				return access.Everybody{Admin: c.Principal}, nil
			}
		}
		root, ok := s.identity.Snapshot().Root(s.cfg.Account)
		if !ok {
			return nil, fmt.Errorf("account %s is not there", s.cfg.Account)
		}
		return access.Everybody{Admin: root}, nil
	}
	v, err := sigv4.New(sigv4.Config{Keys: access.Keys{Identity: s.identity}})
	if err != nil {
		return nil, err
	}
	return access.Signatures{Verifier: v, Used: s.identity.Used}, nil
}

func (s *Server) endpoint(a net.Addr, tls bool) string {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	return scheme + "://" + a.String()
}

// pages are what the reserved paths answer. They need no signature: they say
// nothing about anybody's data.
func (s *Server) pages(metrics http.Handler) map[string]http.Handler {
	text := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	return map[string]http.Handler{
		"/healthz": text(http.StatusOK, "ok\n"),
		"/readyz": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.ready.Load() {
				text(http.StatusOK, "ready\n").ServeHTTP(w, r)
				return
			}
			text(http.StatusServiceUnavailable, "starting or stopping\n").ServeHTTP(w, r)
		}),
		"/metrics": metrics,
		codePath:   s.functions.code,
	}
}

// Run serves until ctx ends, then stops: no new connections, running calls get
// the grace period, streams that still run then end with an exception frame. It
// calls ready once it answers. It returns when everything it started has ended.
func (s *Server) Run(ctx context.Context, ready func(*Connection)) error {
	g, ctx := errgroup.WithContext(ctx)
	logs, stopLogs := context.WithCancel(context.Background())
	logged := make(chan error, 1)
	go func() { logged <- s.logs.Run(logs) }()
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return s.identity.Run(background) })
	g.Go(func() error { return s.account.keys.Run(background) })
	g.Go(func() error { return s.account.secrets.Run(background) })
	g.Go(func() error { return s.account.logs.Run(background) })
	g.Go(func() error { return s.kept.Run(background) })
	g.Go(func() error { return s.memories.Run(background) })
	g.Go(func() error { return s.interpreter.Run(background) })
	// Nobody asks when a session has expired: the house reads what it said.
	g.Go(func() error { return s.sessions.Run(kms.As(background, kms.Asking{House: true})) })
	// Nobody asks when a job goes on: it opens its own records.
	g.Go(func() error { return s.jobs.Run(kms.As(background, kms.Asking{House: true})) })
	for _, l := range s.listeners {
		g.Go(func() error {
			if err := l.http.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	s.ready.Store(true)
	s.log.Info("ready", "endpoint", s.conn.Endpoint, "data", s.cfg.Data, "account", s.cfg.Account)
	if ready != nil {
		ready(&s.conn)
	}
	g.Go(func() error {
		<-ctx.Done()
		defer stopBackground()
		s.ready.Store(false)
		s.log.Info("stopping", "grace", s.cfg.Grace)
		return s.stop()
	})
	err := g.Wait()
	err = errors.Join(err, s.close())
	stopLogs()
	return errors.Join(err, <-logged)
}

// stop ends the listeners and their work within the grace period.
func (s *Server) stop() error {
	grace, cancel := context.WithTimeout(context.Background(), s.cfg.Grace)
	defer cancel()
	g := new(errgroup.Group)
	for i, l := range s.listeners {
		g.Go(func() error {
			err := l.http.Shutdown(grace)
			// What still runs is cancelled, and has a moment to say so to its client.
			last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if stopped := s.handlers[i].Stop(last); stopped != nil {
				return fmt.Errorf("work did not end: %w", stopped)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				if err = l.http.Shutdown(last); err != nil {
					err = l.http.Close()
				}
			}
			return err
		})
	}
	return g.Wait()
}

func (s *Server) close() error {
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}
