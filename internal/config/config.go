package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is what a person can set. The tag "help" is the text of --help; the
// name of the flag is the YAML key, that of the variable OUTCROP_ and the key in
// capitals with underscores.
type Config struct {
	Listen         string `yaml:"listen" help:"address to listen on; port 0 takes a free one"`
	Data           string `yaml:"data" help:"folder for everything that must survive (default: a folder of the user)"`
	Store          string `yaml:"store" help:"where state lives: sqlite, or a postgres:// URL (default: sqlite in the data folder)"`
	Objects        string `yaml:"objects" help:"where objects live: dir, or s3://PREFIX for an external S3 configured by the AWS environment (default: a folder in the data folder)"`
	RootKey        string `yaml:"root-key" help:"where the key of all data is kept: data (in the data folder), file:PATH, passphrase (OUTCROP_PASSPHRASE, or asked for) or keyring; another place than now moves it (default: where it is)"`
	Account        string `yaml:"account" help:"AWS account id of the resources"`
	Region         string `yaml:"region" help:"Region of requests that name none"`
	Auth           string `yaml:"auth" help:"sigv4, or off to accept everybody as the administrator (loopback only)"`
	TLS            string `yaml:"tls" help:"off, auto for a generated certificate, or CERT.pem,KEY.pem"`
	Ports          bool   `yaml:"port-per-service" help:"also serve each of the four services on a port of its own, counted up from the main one"`
	Profile        string `yaml:"quotas" help:"throttle profile: off, or guide for the quotas of the user guide"`
	Access         string `yaml:"model-access" help:"granted, or locked so that models must be requested first"`
	Lenient        bool   `yaml:"lenient-model-ids" help:"also invoke bare ids that AWS offers through inference profiles alone, and profiles of other geographies"`
	GuideOnly      bool   `yaml:"guide-models-only" help:"list only the models of the March 2024 user guide"`
	ModelUnits     int    `yaml:"model-units" help:"model units of provisioned throughput that an account may have without a commitment"`
	CommittedUnits int    `yaml:"committed-model-units" help:"model units of provisioned throughput that an account may have with a commitment"`
	Lifecycle      bool   `yaml:"model-lifecycle" help:"retire models at their end-of-life dates"`
	Now            string `yaml:"now" help:"start the service clock at this RFC 3339 time, for life-cycle tests"`
	LogLevel       string `yaml:"log-level" help:"debug, info, warn or error"`
	LogFormat      string `yaml:"log-format" help:"text or json"`

	Neighbours map[string]string `yaml:"neighbour" help:"hand another AWS service to an endpoint, as 's3=http://127.0.0.1:9000'; may be repeated"`

	Transition time.Duration `yaml:"transition" help:"how long transitional states such as CREATING last"`
	Grace      time.Duration `yaml:"grace" help:"how long a stop waits for running calls"`
	MaxBody    int64         `yaml:"max-body" help:"largest request body in bytes"`

	UnsafeLocalCode  bool              `yaml:"unsafe-local-code" help:"run Lambda functions and readers of documents without a jail: only where none can be made and all code is your own"`
	LambdaNetwork    string            `yaml:"lambda-network" help:"what Lambda functions reach besides this server: none, or host for all that this machine reaches"`
	LambdaRetryDelay time.Duration     `yaml:"lambda-retry-delay" help:"wait before a Lambda event is tried again after a function error; twice as long before the third attempt"`
	Functions        map[string]string `yaml:"function" form:"FUNCTION=URL" help:"serve Lambda functions (a name or ARN, with * at its end for many) from elsewhere, as 'weather=http://127.0.0.1:3000/hook' (POST with the event, the answer is the function's) or 'team-*=lambda+http://127.0.0.1:3001' (an endpoint that has Lambda's Invoke; so has a URL that ends in /2015-03-31); may be repeated"`

	Clusters     map[string]string `yaml:"cluster" form:"ARN=URL" help:"where the PostgreSQL of a knowledge base of the type RDS is, by the cluster's ARN, as 'arn:aws:rds:us-east-1:123456789012:cluster:docs=postgres://127.0.0.1:5432'; user, password and database come with the knowledge base; may be repeated"`
	VectorMemory int64             `yaml:"vector-memory" help:"bytes that the built-in indexes of knowledge bases may take in memory (default: 4 GiB)"`

	Engine         string            `yaml:"engine" help:"auto, script, script:FILE, or the URL of an OpenAI-compatible endpoint"`
	EngineKey      string            `yaml:"engine-key" help:"API key for the engine endpoint"`
	ImageEngine    string            `yaml:"image-engine" help:"URL of an OpenAI-images or stable-diffusion.cpp endpoint"`
	ChatModel      string            `yaml:"chat-model" help:"local chat model (default: the best that fits and can be had)"`
	EmbeddingModel string            `yaml:"embedding-model" help:"local embedding model"`
	Aliases        map[string]string `yaml:"alias" help:"AWS id or glob to local model, as 'anthropic.*=qwen3-4b'; may be repeated"`
	Offline        bool              `yaml:"offline" help:"fetch nothing; use what is in the cache"`
	Cache          string            `yaml:"cache" help:"folder for engines and models (default: the user's cache folder)"`
	Threads        int               `yaml:"threads" help:"threads of the engine (default: all cores)"`
	Parallel       int               `yaml:"parallel" help:"requests a model answers side by side"`
	Context        int               `yaml:"context" help:"context length in tokens per request"`
	Memory         int64             `yaml:"memory" help:"bytes that loaded models may use together (default: from the free memory)"`
	IdleUnload     time.Duration     `yaml:"idle-unload" help:"unload a model that nobody used for this long"`
	RequestTimeout time.Duration     `yaml:"request-timeout" help:"longest time for one generation"`
}

// Default returns the settings of a server that was told nothing.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:4580", Store: "sqlite", Objects: "dir", Account: "123456789012", Region: "us-east-1",
		Auth: "sigv4", TLS: "off", Profile: "off", Access: "granted", ModelUnits: 2, LogLevel: "info", LogFormat: "text",
		Transition: 100 * time.Millisecond, Grace: 20 * time.Second, MaxBody: 32 << 20,
		LambdaNetwork: "none", LambdaRetryDelay: time.Minute, Engine: "auto", IdleUnload: 10 * time.Minute, RequestTimeout: 15 * time.Minute,
	}
}

// DefaultData returns the data folder of the user.
func DefaultData() string {
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "outcrop")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "outcrop-data"
	}
	return filepath.Join(home, ".local", "share", "outcrop")
}

// DefaultCache returns the folder for engines and models.
func DefaultCache() string {
	if d := os.Getenv("OUTCROP_CACHE"); d != "" {
		return d
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "outcrop-cache")
	}
	return filepath.Join(d, "outcrop")
}

var (
	account = regexp.MustCompile(`^\d{12}$`)
	region  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)

	functionPattern = regexp.MustCompile(`^(arn:aws[a-z-]*:lambda:[a-zA-Z0-9:_-]*|[a-zA-Z0-9_-]*)\*?$`)
)

// Check returns every setting that cannot be used, each with what would do.
func (c *Config) Check() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("--%s: %s", name, fmt.Sprintf(format, args...)))
	}
	oneOf := func(name, v string, allowed ...string) {
		if !slices.Contains(allowed, v) {
			bad(name, "%q is not one of %s", v, strings.Join(allowed, ", "))
		}
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		bad("listen", "%q is not HOST:PORT", c.Listen)
	}
	if !account.MatchString(c.Account) {
		bad("account", "%q is not an account id of twelve digits", c.Account)
	}
	if !region.MatchString(c.Region) {
		bad("region", "%q does not look like a Region such as us-east-1", c.Region)
	}
	if k := c.RootKey; k != "" && k != "data" && k != "passphrase" && k != "keyring" && (!strings.HasPrefix(k, "file:") || k == "file:") {
		bad("root-key", "%q is not data, file:PATH, passphrase or keyring", k)
	}
	oneOf("auth", c.Auth, "sigv4", "off")
	oneOf("quotas", c.Profile, "off", "guide")
	oneOf("model-access", c.Access, "granted", "locked")
	oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error")
	oneOf("log-format", c.LogFormat, "text", "json")
	oneOf("lambda-network", c.LambdaNetwork, "none", "host")
	for cluster, target := range c.Clusters {
		if u, err := url.Parse(target); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			bad("cluster", "the address of %s is not postgres://HOST:PORT", cluster) // its text may hold a secret
		}
	}
	for pattern, target := range c.Functions {
		if !functionPattern.MatchString(pattern) {
			bad("function", "%q is not a function's name or ARN, or the beginning of one with a * behind it", pattern)
		}
		u, err := url.Parse(strings.TrimPrefix(target, "lambda+"))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("function", "the address of %s is not http://…, https://…, lambda+http://… or lambda+https://…", pattern) // its text may hold a secret
		}
	}
	if c.Auth == "off" && err == nil && !Loopback(host) {
		bad("auth", "off is refused on %s: without authentication only a loopback address such as 127.0.0.1 may be served", c.Listen)
	}
	if c.TLS != "off" && c.TLS != "auto" && strings.Count(c.TLS, ",") != 1 {
		bad("tls", "%q is not off, auto or CERT.pem,KEY.pem", c.TLS)
	}
	if c.Store != "sqlite" && !strings.HasPrefix(c.Store, "postgres://") && !strings.HasPrefix(c.Store, "postgresql://") {
		bad("store", "%q is not sqlite or a postgres:// URL", c.Store)
	}
	if c.Objects != "dir" && !strings.HasPrefix(c.Objects, "s3://") {
		bad("objects", "%q is not dir or s3://PREFIX", c.Objects)
	}
	if e := c.Engine; e != "auto" && e != "script" && !strings.HasPrefix(e, "script:") && !strings.HasPrefix(e, "http://") && !strings.HasPrefix(e, "https://") {
		bad("engine", "%q is not auto, script, script:FILE or a URL", e)
	}
	if c.Now != "" {
		if _, err := time.Parse(time.RFC3339, c.Now); err != nil {
			bad("now", "%q is not a time such as 2024-03-01T00:00:00Z", c.Now)
		}
	}
	if c.MaxBody < 1<<10 {
		bad("max-body", "%d bytes are too few for any request", c.MaxBody)
	}
	return errors.Join(errs...)
}

// Loopback reports whether only this machine can reach a listener on host.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
