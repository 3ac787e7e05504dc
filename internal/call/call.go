package call

import (
	"context"
	"sync"
	"time"
)

// Call is one request as the edge sees it. The exported fields are set by the
// edge and never change while the call runs.
type Call struct {
	Account   string // twelve digits
	Region    string // from the signature's scope, or the configured default
	Partition string // aws
	Principal string // ARN of the caller
	UserID    string // unique id of the caller
	Caller    any    // the caller as identity knows them, for further checks of permission
	AccessKey string // ID of the key that signed, "" when none did
	Service   string // endpoint prefix: bedrock-runtime
	Operation string // Converse
	RequestID string
	SourceIP  string
	UserAgent string
	Attempt   string    // amz-sdk-invocation-id: the same for all tries of one call, "" when the client sends none
	Time      time.Time // when it arrived, of the service clock

	mu      sync.Mutex
	headers [][2]string
	served  Served
}

// Served says what an inference call used; metrics and logs take it from here.
type Served struct {
	Model        string // local name of the model that answered
	ModelID      string // id the caller used
	InputTokens  int
	OutputTokens int
	CacheRead    int
	CacheWrite   int
	Images       int
	FirstToken   time.Duration // 0 when nothing was streamed
	Latency      time.Duration
	Inference    bool // the call asked for inference at all
}

type key struct{}

// With returns ctx carrying c.
func With(ctx context.Context, c *Call) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns the call of ctx. Outside a request (a job, a test) it is an empty
// Call, never nil.
func From(ctx context.Context) *Call {
	if c, ok := ctx.Value(key{}).(*Call); ok {
		return c
	}
	return new(Call)
}

// ARN returns the ARN of a bedrock resource of the caller's account and Region:
// arn:aws:bedrock:REGION:ACCOUNT:resource.
func (c *Call) ARN(resource string) string {
	p := c.Partition
	if p == "" {
		p = "aws"
	}
	return "arn:" + p + ":bedrock:" + c.Region + ":" + c.Account + ":" + resource
}

// SetHeader adds a header to the answer that the service model does not know,
// such as X-Amzn-Bedrock-Input-Token-Count. It has no effect once the answer's
// head is sent.
func (c *Call) SetHeader(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.headers {
		if c.headers[i][0] == name {
			c.headers[i][1] = value
			return
		}
	}
	c.headers = append(c.headers, [2]string{name, value})
}

// Headers returns the headers set so far.
func (c *Call) Headers() [][2]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][2]string(nil), c.headers...)
}

// SetServed records what inference used.
func (c *Call) SetServed(s Served) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served = s
}

// Served returns what inference used.
func (c *Call) Served() Served {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.served
}
