package openai

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/openai/wire"
)

// Config of an endpoint.
type Config struct {
	// BaseURL is the root of the API, such as http://127.0.0.1:8000/v1.
	BaseURL string
	APIKey  string
	Header  http.Header // added to every request
	// Names as the endpoint knows them; "" takes what it lists.
	ChatModel      string
	EmbeddingModel string
	RerankModel    string
	// Tools says how its chat models call tools: native or none. The zero value
	// is native; OpenAI's dialect has no grammar to constrain with.
	Tools    engine.ToolMode
	NoTools  bool
	Vision   bool // its chat models see images
	Thinking bool // its chat models can reason, switched by enable_thinking

	Images *Images // where images are painted; nil paints nothing

	Connect      time.Duration // time to connect; default 5 s
	StallTimeout time.Duration // longest silence within an answer; default 5 min
	ModelsTTL    time.Duration // how long the list of models is believed; default 1 min
	HTTP         *http.Client
	Logger       *slog.Logger
	Now          func() time.Time
}

// Engine asks one endpoint.
type Engine struct {
	cfg  Config
	base string
	http *http.Client

	mu     sync.Mutex
	listed []listed
	until  time.Time
}

var _ engine.Engine = (*Engine)(nil)

// New makes an engine. It asks no network yet.
func New(cfg Config) (*Engine, error) {
	u, err := url.Parse(cfg.BaseURL)
	if cfg.BaseURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("engine endpoint %q: want a URL such as http://127.0.0.1:8000/v1", cfg.BaseURL)
	}
	if cfg.BaseURL == "" && cfg.Images == nil {
		return nil, errors.New("engine endpoint: no URL")
	}
	if cfg.Images != nil {
		if err := cfg.Images.check(); err != nil {
			return nil, err
		}
	}
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, 5*time.Minute)
	cfg.ModelsTTL = cmp.Or(cfg.ModelsTTL, time.Minute)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)).With("engine", "openai")
	if cfg.Tools == "" && !cfg.NoTools {
		cfg.Tools = engine.ToolsNative
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{cfg: cfg, base: strings.TrimRight(cfg.BaseURL, "/"), http: cfg.HTTP}
	if e.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: cmp.Or(cfg.Connect, 5*time.Second)}).DialContext
		t.MaxIdleConnsPerHost = 64
		e.http = &http.Client{Transport: t}
	}
	return e, nil
}

// Close implements engine.Engine; the endpoint is not ours to stop.
func (e *Engine) Close() error {
	e.http.CloseIdleConnections()
	return nil
}

type listed struct {
	ID      string `json:"id"`
	OwnedBy string `json:"owned_by"`
	MaxLen  int    `json:"max_model_len"` // vLLM
	Meta    *struct {
		Context int `json:"n_ctx"`
		Train   int `json:"n_ctx_train"`
		Embed   int `json:"n_embd"`
	} `json:"meta"` // llama-server
}

// list returns what the endpoint lists, remembered for a while.
func (e *Engine) list(ctx context.Context) ([]listed, error) {
	if e.base == "" {
		return nil, nil
	}
	e.mu.Lock()
	if e.cfg.Now().Before(e.until) {
		defer e.mu.Unlock()
		return e.listed, nil
	}
	e.mu.Unlock()
	var doc struct {
		Data []listed `json:"data"`
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := e.call(ctx, http.MethodGet, "/models", nil, &doc); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listed, e.until = doc.Data, e.cfg.Now().Add(e.cfg.ModelsTTL)
	return e.listed, nil
}

var kindNames = []struct {
	kind engine.Kind
	name *regexp.Regexp
}{
	{engine.Reranker, regexp.MustCompile(`(?i)rerank`)},
	{engine.Embedding, regexp.MustCompile(`(?i)embed|minilm|(^|[/_-])(bge|gte|e5)[-_]`)},
	{engine.Image, regexp.MustCompile(`(?i)stable-diffusion|sdxl|flux|dall-e|gpt-image|qwen-image`)},
}

// kindOf guesses from the name: the dialect does not tell.
func (e *Engine) kindOf(id string) engine.Kind {
	switch id {
	case e.cfg.ChatModel:
		return engine.Chat
	case e.cfg.EmbeddingModel:
		return engine.Embedding
	case e.cfg.RerankModel:
		return engine.Reranker
	}
	for _, k := range kindNames {
		if k.name.MatchString(id) {
			return k.kind
		}
	}
	return engine.Chat
}

// Models implements engine.Engine.
func (e *Engine) Models(ctx context.Context) ([]engine.Info, error) {
	all, err := e.list(ctx)
	if err != nil && e.cfg.ChatModel == "" && e.cfg.EmbeddingModel == "" {
		return nil, err
	}
	var out []engine.Info
	add := func(id string, l *listed) {
		if id == "" || slices.ContainsFunc(out, func(i engine.Info) bool { return i.Name == id }) {
			return
		}
		info := engine.Info{Name: id, Kind: e.kindOf(id), Engine: "openai", Loaded: true}
		if l != nil {
			info.Context = l.MaxLen
			if l.Meta != nil {
				info.Context = cmp.Or(l.Meta.Context, l.Meta.Train, info.Context)
				if info.Kind == engine.Embedding {
					info.Dimension = l.Meta.Embed
				}
			}
		}
		if info.Kind == engine.Chat {
			info.Tools, info.Vision, info.Thinking = e.cfg.Tools, e.cfg.Vision, e.cfg.Thinking
		}
		out = append(out, info)
	}
	find := func(id string) *listed {
		for i := range all {
			if all[i].ID == id {
				return &all[i]
			}
		}
		return nil
	}
	for _, id := range []string{e.cfg.ChatModel, e.cfg.EmbeddingModel, e.cfg.RerankModel} {
		add(id, find(id))
	}
	// A chat model stands first, also when the endpoint lists another kind first.
	for _, chat := range []bool{true, false} {
		for i := range all {
			if (e.kindOf(all[i].ID) == engine.Chat) == chat {
				add(all[i].ID, &all[i])
			}
		}
	}
	if e.cfg.Images != nil {
		out = append(out, engine.Info{Name: e.cfg.Images.name(), Kind: engine.Image, Engine: "openai", Loaded: true})
	}
	return out, nil
}

// pick returns the model to name in a request.
func (e *Engine) pick(ctx context.Context, name string, kind engine.Kind, configured string) (string, error) {
	if name = cmp.Or(name, configured); name != "" {
		return name, nil
	}
	if e.base == "" {
		return "", &engine.Error{Kind: engine.Unavailable, Message: "no endpoint is configured for this kind of model"}
	}
	all, err := e.list(ctx)
	if err != nil {
		return "", err
	}
	for _, l := range all {
		if e.kindOf(l.ID) == kind {
			return l.ID, nil
		}
	}
	return "", &engine.Error{Kind: engine.NoModel, Message: fmt.Sprintf("the endpoint lists no %s model", kind), Hint: "name one in the configuration"}
}

// flavour is the program behind the endpoint as far as its list tells: vllm,
// llamacpp, library (Ollama) and others.
func (e *Engine) flavour(ctx context.Context) string {
	all, err := e.list(ctx)
	if err != nil || len(all) == 0 {
		return ""
	}
	return all[0].OwnedBy
}

// do sends a request; path is relative to the base unless it is a whole URL.
func (e *Engine) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("BUG: request to endpoint: %w", err)
		}
		body = bytes.NewReader(b)
	}
	target := path
	if strings.HasPrefix(path, "/") {
		target = e.base + path
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// A kept connection may have been closed by an endpoint that restarted. An
	// empty key is not sent, and lets the transport try once more on a new one:
	// nothing was answered, and generating again harms nobody.
	req.Header["X-Idempotency-Key"] = []string{}
	e.sign(req, e.cfg.APIKey)
	return e.send(req)
}

func (e *Engine) sign(req *http.Request, key string) {
	for k, v := range e.cfg.Header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "outcrop")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
}

func (e *Engine) send(req *http.Request) (*http.Response, error) {
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, refused(resp.StatusCode, b)
	}
	return resp, nil
}

// call sends a request and reads the whole answer.
func (e *Engine) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := e.do(ctx, method, path, in)
	if err != nil {
		return e.fail(ctx, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return e.fail(ctx, err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return &engine.Error{Kind: engine.BadOutput, Message: "the endpoint's answer cannot be read", Err: err}
	}
	return nil
}

var errStalled = errors.New("no data for too long")

// fail turns an error of a request into the port's.
func (e *Engine) fail(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return &engine.Error{Kind: engine.TimedOut, Message: fmt.Sprintf("the endpoint gave no answer for %s", e.cfg.StallTimeout), Err: err}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if x, ok := errors.AsType[*engine.Error](err); ok {
		return x
	}
	if x, ok := errors.AsType[*net.OpError](err); ok && x.Op == "dial" {
		return &engine.Error{Kind: engine.Unavailable, Message: "the model endpoint cannot be reached", Hint: "is it running, and is its URL right?", Err: err}
	}
	if x, ok := errors.AsType[*net.DNSError](err); ok {
		return &engine.Error{Kind: engine.Unavailable, Message: "the model endpoint's name cannot be resolved", Hint: "is its URL right?", Err: x}
	}
	if x, ok := errors.AsType[net.Error](err); ok && x.Timeout() {
		return &engine.Error{Kind: engine.TimedOut, Message: "the model endpoint did not answer in time", Err: err}
	}
	return &engine.Error{Kind: engine.Crashed, Message: "the endpoint cut the answer", Err: err}
}

var tooLong = []*regexp.Regexp{
	// Each names limit and size in this order, or the other way round when the
	// group names say so.
	regexp.MustCompile(`(?i)maximum (?:model )?context length (?:of|is) (?P<limit>\d+)(?:.*?(?:requested|resulted in|has|contains|passed)(?: a total of| about| at least)? (?P<got>\d+))?`),
	regexp.MustCompile(`(?i)\((?P<got>\d+)(?: tokens)?\).*?(?:exceeds?|longer than|greater than).*?\((?P<limit>\d+)`),
	regexp.MustCompile(`(?i)(?P<got>\d+) tokens.*?(?:exceeds?|longer than|greater than).*?(?P<limit>\d+)`),
	regexp.MustCompile(`(?i)input is too large to process|prompt is too long|context_length_exceeded|exceeds? the (?:available |maximum )?context`),
}

// refused reads an answer other than success.
func refused(status int, body []byte) *engine.Error {
	var doc struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	text := fmt.Sprintf("%.300s", bytes.TrimSpace(body))
	var typed struct {
		Type    string `json:"type"`
		Code    any    `json:"code"`
		Prompt  int    `json:"n_prompt_tokens"`
		Context int    `json:"n_ctx"`
	}
	if json.Unmarshal(body, &doc) == nil {
		switch {
		case len(doc.Error) > 0:
			text = wire.ErrorText(doc.Error)
			_ = json.Unmarshal(doc.Error, &typed) // a plain string has no type
		case doc.Message != "":
			text = doc.Message
		case len(doc.Detail) > 0:
			text = wire.ErrorText(doc.Detail)
		}
	}
	e := &engine.Error{Status: status, Message: text, Err: fmt.Errorf("endpoint answered %d: %s", status, text)}
	if status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusInternalServerError || status == http.StatusUnprocessableEntity {
		if typed.Type == "exceed_context_size_error" {
			e.Kind, e.Limit, e.Got = engine.TooLong, typed.Context, typed.Prompt
			return e
		}
		for _, re := range tooLong {
			m := re.FindStringSubmatch(text)
			if m == nil && typed.Code != "context_length_exceeded" {
				continue
			}
			e.Kind = engine.TooLong
			for i, name := range re.SubexpNames() {
				if m == nil || m[i] == "" || name == "" {
					continue
				}
				n, _ := strconv.Atoi(m[i])
				if name == "limit" {
					e.Limit = n
				} else {
					e.Got = n
				}
			}
			return e
		}
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Kind, e.Message, e.Hint = engine.Unavailable, "the model endpoint refuses our key", "set the endpoint's API key"
	case status == http.StatusNotFound:
		e.Kind, e.Hint = engine.NoModel, "is the model's name right, and does the URL end in /v1?"
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed:
		e.Kind = engine.Unsupported
	case status == http.StatusTooManyRequests:
		e.Kind, e.Message = engine.Overloaded, "the model endpoint is overloaded"
	case status == http.StatusServiceUnavailable:
		e.Kind, e.Message = engine.NotReady, "the model endpoint is not ready"
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		e.Kind, e.Message = engine.TimedOut, "the model endpoint timed out"
	case status == http.StatusBadGateway:
		e.Kind, e.Message = engine.Crashed, "the model endpoint's engine is gone"
	case status >= 500:
		e.Kind, e.Message = engine.BadOutput, "the model endpoint failed to answer"
	default:
		e.Kind = engine.BadRequest
	}
	return e
}
