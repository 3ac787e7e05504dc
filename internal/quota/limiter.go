package quota

import (
	"fmt"
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Profile names a set of limits.
type Profile string

// The profiles.
const (
	Off   Profile = "off"   // nothing is throttled; the zero value means the same
	Guide Profile = "guide" // the numbers of the user guide, models.go
)

// Rate is what a minute allows; 0 means no limit.
type Rate struct {
	Requests int64 // a minute
	Tokens   int64 // a minute, input and output together
}

// Config chooses the limits.
type Config struct {
	Profile Profile
	// Overrides replace the profile's rate of a quota. Keys are what Group returns
	// ("anthropic.claude-v2"), or a prefix of it that ends in "*"; the longest wins.
	// They hold with the profile off as well. A zero Rate lifts the limit.
	Overrides map[string]Rate
	Now       func() time.Time // default time.Now; differences count, so it may be any clock
}

// Key is who asks for what.
type Key struct {
	Account, Region string
	Model           string // as the caller named it: id or ARN
}

// Limiter keeps the buckets of one process. A nil *Limiter throttles nothing.
type Limiter struct {
	now       func() time.Time
	rates     map[string]Rate
	prefixes  map[string]Rate
	guideText bool
	seed      maphash.Seed
	shards    [shards]shard
}

const (
	window = time.Minute
	shards = 64
	crowd  = 1024 // buckets in a shard that make it look for idle ones
)

type shard struct {
	mu      sync.RWMutex
	buckets map[Key]*bucket
}

// bucket counts one window. A rate never changes while the process runs.
type bucket struct {
	rate Rate

	mu       sync.Mutex
	start    time.Time // of the window; zero before the first request
	requests int64
	tokens   int64
}

// New returns a limiter, nil when nothing is limited.
func New(cfg Config) (*Limiter, error) {
	l := &Limiter{now: cfg.Now, rates: map[string]Rate{}, prefixes: map[string]Rate{}, seed: maphash.MakeSeed()}
	if l.now == nil {
		l.now = time.Now
	}
	switch cfg.Profile {
	case Off, "":
	case Guide:
		l.guideText = true
		for _, m := range models {
			for _, id := range m.groups {
				l.rates[id] = m.Rate
			}
		}
	default:
		return nil, fmt.Errorf("quota profile %q is unknown: use off or guide", cfg.Profile)
	}
	for name, r := range cfg.Overrides {
		if r.Requests < 0 || r.Tokens < 0 {
			return nil, fmt.Errorf("quota of %s is negative: use 0 for no limit", name)
		}
		if p, ok := strings.CutSuffix(name, "*"); ok {
			l.prefixes[p] = r
			maps.DeleteFunc(l.rates, func(id string, _ Rate) bool {
				_, named := cfg.Overrides[id]
				return strings.HasPrefix(id, p) && !named
			})
			continue
		}
		l.rates[name] = r
	}
	if len(l.rates)+len(l.prefixes) == 0 {
		return nil, nil //nolint:nilnil // a nil limiter is the zero-cost one
	}
	return l, nil
}

// Texts of the exception. The longer one is that of the service the guide
// describes; its two spaces are in the original.
const (
	manyRequests      = "Too many requests, please wait before trying again."
	manyRequestsGuide = "Too many requests, please wait before trying again. You have sent too many requests.  Wait before trying again."
	manyTokens        = "Too many tokens, please wait before trying again."
)

// Admit counts one request and the tokens it is known to need (0 when unknown), or
// returns a ThrottlingException and counts nothing.
func (l *Limiter) Admit(k Key, tokens int64) error {
	if l == nil {
		return nil
	}
	b := l.bucket(k)
	if b == nil {
		return nil
	}
	now := l.now()
	b.mu.Lock()
	b.roll(now)
	requests := b.rate.Requests > 0 && b.requests >= b.rate.Requests
	spent := b.rate.Tokens > 0 && (b.tokens >= b.rate.Tokens || b.tokens+tokens > b.rate.Tokens)
	if !requests && !spent {
		b.requests++
		b.tokens += tokens
	}
	b.mu.Unlock()
	switch {
	case requests && l.guideText:
		return apierr.New(apierr.Throttling, manyRequestsGuide)
	case requests:
		return apierr.New(apierr.Throttling, manyRequests)
	case spent:
		return apierr.New(apierr.Throttling, manyTokens)
	}
	return nil
}

// Settle corrects the tokens of an admitted request by delta: the true count less
// what Admit was given. It never refuses; what is above the limit is owed.
func (l *Limiter) Settle(k Key, delta int64) {
	if l == nil {
		return
	}
	b := l.bucket(k)
	if b == nil || b.rate.Tokens == 0 {
		return
	}
	now := l.now()
	b.mu.Lock()
	b.roll(now)
	b.tokens = max(0, b.tokens+delta)
	b.mu.Unlock()
}

// roll begins a new window when the last has ended. A clock that went back leaves
// the window as it is.
func (b *bucket) roll(now time.Time) {
	if b.start.IsZero() {
		b.start = now
		return
	}
	past := int64(now.Sub(b.start) / window)
	if past <= 0 {
		return
	}
	b.requests = 0
	if owed := b.rate.Tokens; owed > 0 {
		// past·limit may overflow after a long sleep; nobody owes that much.
		if past > b.tokens/owed {
			b.tokens = 0
		} else {
			b.tokens -= past * owed
		}
	}
	if b.tokens > 0 {
		b.start = b.start.Add(time.Duration(past) * window) // the debt keeps its pace
	} else {
		b.start = now
	}
}

// bucket returns the bucket of k, nil when k has no limit.
func (l *Limiter) bucket(k Key) *bucket {
	k.Model = Group(k.Model)
	s := &l.shards[maphash.Comparable(l.seed, k)%shards]
	s.mu.RLock()
	b, ok := s.buckets[k]
	s.mu.RUnlock()
	if ok {
		return b
	}
	rate := l.rate(k.Model)
	if rate == (Rate{}) {
		return nil // not remembered: names without a limit must not fill memory
	}
	// The caller's strings may be slices of a request's buffer.
	k = Key{strings.Clone(k.Account), strings.Clone(k.Region), strings.Clone(k.Model)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets[k]; ok {
		return b
	}
	if s.buckets == nil {
		s.buckets = map[Key]*bucket{}
	}
	if len(s.buckets) >= crowd {
		now := l.now()
		maps.DeleteFunc(s.buckets, func(_ Key, b *bucket) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.roll(now)
			return b.requests == 0 && b.tokens == 0
		})
	}
	b = &bucket{rate: rate}
	s.buckets[k] = b
	return b
}

func (l *Limiter) rate(group string) Rate {
	if r, ok := l.rates[group]; ok {
		return r
	}
	var (
		best  Rate
		bestN = -1
	)
	for p, r := range l.prefixes {
		if len(p) > bestN && strings.HasPrefix(group, p) {
			best, bestN = r, len(p)
		}
	}
	return best
}

// Group returns the name under which a model's quota is counted: its id without
// account, minor version and context length, so that "anthropic.claude-v2:1",
// "anthropic.claude-v2:0:18k" and the ARNs of both are "anthropic.claude-v2".
// A cross-Region profile ("us.…") has its own quota and keeps its prefix.
func Group(model string) string {
	if strings.HasPrefix(model, "arn:") {
		if i := strings.LastIndexByte(model, '/'); i >= 0 {
			model = model[i+1:]
		}
	}
	if i := strings.IndexByte(model, ':'); i >= 0 {
		model = model[:i]
	}
	return model
}
