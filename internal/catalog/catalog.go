package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// An Engine tells which local models there are. engine.Engine is one.
type Engine interface {
	Models(ctx context.Context) ([]engine.Info, error)
}

// Alias maps AWS ids to a local model. Of those that match, the one with the most
// letters in its pattern wins, so an exact id comes before any pattern and
// anthropic.claude-3-* before anthropic.*; of equals, the first.
type Alias struct {
	// Pattern is a glob over the base id (anthropic.claude-3-*) or over the id
	// as it was called (us.*).
	Pattern string `json:"pattern" yaml:"pattern"`
	Local   string `json:"local" yaml:"local"` // name of the local model
	// Fallback names local models that take over, in order, when Local fails.
	Fallback []string `json:"fallback" yaml:"fallback"`
}

// State overrides the dates of a model's life cycle.
type State string

// The states of a model's life cycle.
const (
	Active    State = "ACTIVE"
	LegacyNow State = "LEGACY"
	EndOfLife State = "EOL"
)

// Config says what a catalogue is made of. Only Engine is required.
type Config struct {
	Engine Engine
	// Store keeps access, use cases and application profiles. Without one the
	// catalogue resolves and lists, and the operations that keep state answer
	// ServiceUnavailable.
	Store *store.Store
	// Now is the service clock; nil means time.Now.
	Now Clock
	Log *slog.Logger
	// NewID makes the id of an application profile: twelve lower-case letters
	// and digits. Nil means random ones.
	NewID func() string
	// Transition is how long access stays pending after an agreement was made,
	// and honoured after it was deleted; 0 means 100 ms.
	Transition time.Duration
	// Locked starts every model without access, as an AWS account once did.
	// Otherwise every model is granted until its agreement is deleted.
	Locked bool
	// LifeCycle lets models become Legacy and end on their dates. Off, all are
	// active for ever: a local model does not end when AWS's does.
	LifeCycle bool
	// States overrides single models, whether LifeCycle is on or off.
	States map[string]State
	// Lenient invokes a bare id that AWS offers through profiles alone, and takes
	// a profile of another geography. Off, both are refused as AWS refuses them.
	Lenient bool
	// StrictRegions refuses models in Regions where the guide says they are not.
	StrictRegions bool
	// GuideOnly leaves only the models of the March 2024 guide.
	GuideOnly bool
	// Models are a user's own entries; one with the id of ours replaces it.
	Models []Model
	// Rules are a user's own; they are tried before ours.
	Rules   []Rule
	Aliases []Alias
	Owners  []Owner
	// Authorize checks a permission that an operation needs besides its own:
	// aws-marketplace:Subscribe and Unsubscribe for models that are sold there.
	// conditions are context keys. Nil allows everything.
	Authorize func(ctx context.Context, action, resource string, conditions map[string][]string) error
	// Refresh is how long a listing of the engine's models is trusted; 0 means 1 s.
	Refresh time.Duration
}

// Catalog is the room. It is safe for concurrent use.
type Catalog struct {
	engine     Engine
	store      *store.Store
	now        Clock
	log        *slog.Logger
	newID      func() string
	transition time.Duration
	locked     bool
	lifeCycle  bool
	states     map[string]State
	lenient    bool
	strict     bool
	rules      []Rule
	aliases    []Alias
	owners     []Owner
	refresh    time.Duration
	authorize  func(ctx context.Context, action, resource string, conditions map[string][]string) error

	listed []*entry          // in the order of lists, variants after their base
	byID   map[string]*entry // listed or not

	local   atomic.Pointer[locals]
	reading sync.Mutex // held while the engine is asked
	access  accessCache

	mu    sync.RWMutex
	found map[foundKey]found // targets of ids that were resolved before
	ruled map[string]*entry  // entries that rules made
}

var _ Resolver = (*Catalog)(nil)

// maxFound bounds the memory of resolved and of ruled ids: what strangers call
// must not grow the process.
const maxFound = 4096

type foundKey struct{ account, region, id string }

type found struct {
	target *Target
	entry  *entry
	of     *locals // listing of local models that the target was made from
}

// locals is one listing of the engine's models.
type locals struct {
	models []engine.Info
	byName map[string]engine.Info
	at     time.Time // by the wall clock
}

// New builds the catalogue. It fails when an entry, rule or alias of the
// configuration makes no sense, and says which.
func New(cfg Config) (*Catalog, error) {
	if cfg.Engine == nil {
		return nil, fmt.Errorf("catalogue: Config.Engine is required")
	}
	c := &Catalog{
		engine: cfg.Engine, store: cfg.Store, now: cfg.Now, newID: cfg.NewID,
		log:        cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)),
		transition: cmp.Or(cfg.Transition, 100*time.Millisecond),
		locked:     cfg.Locked, lifeCycle: cfg.LifeCycle, states: cfg.States,
		lenient: cfg.Lenient, strict: cfg.StrictRegions,
		aliases: slices.Clone(cfg.Aliases), owners: cfg.Owners, authorize: cfg.Authorize,
		refresh: cmp.Or(cfg.Refresh, time.Second),
		byID:    map[string]*entry{},
		found:   map[foundKey]found{},
		ruled:   map[string]*entry{},
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.newID == nil {
		c.newID = randomID
	}
	slices.SortStableFunc(c.aliases, func(a, b Alias) int { return cmp.Compare(letters(b.Pattern), letters(a.Pattern)) })
	if err := c.fill(cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// letters counts what a pattern pins down.
func letters(pattern string) int { return len(pattern) - strings.Count(pattern, "*") }

// fill builds the tables.
func (c *Catalog) fill(cfg Config) error {
	models := slices.Clone(guideModels)
	if !cfg.GuideOnly {
		models = append(models, todaysModels...)
		c.rules = append(slices.Clone(cfg.Rules), rules...)
	} else {
		c.rules = cfg.Rules
	}
	for _, m := range cfg.Models {
		if i := slices.IndexFunc(models, func(o Model) bool { return o.ID == m.ID }); i >= 0 {
			models[i] = m
			continue
		}
		if m.OnDemand == "" && m.Profiles == "" {
			m.OnDemand = "*" // a user who adds a model wants to call it
		}
		models = append(models, m)
	}
	for _, r := range cfg.Rules {
		if r.Pattern == "" || r.Family == "" {
			return fmt.Errorf("catalogue rule %q needs a pattern and a family", r.Pattern)
		}
	}
	for _, a := range cfg.Aliases {
		if a.Pattern == "" || a.Local == "" {
			return fmt.Errorf("model alias %q=%q needs both an AWS id (or pattern) and a local model", a.Pattern, a.Local)
		}
	}
	for id, s := range cfg.States {
		if s != Active && s != LegacyNow && s != EndOfLife {
			return fmt.Errorf("life cycle of %q: %q is none of ACTIVE, LEGACY, EOL", id, s)
		}
	}
	for _, m := range models {
		e, err := prepare(m)
		if err != nil {
			return err
		}
		all := []*entry{e}
		for _, t := range e.throughput {
			all = append(all, e.variant(t))
		}
		for _, v := range all {
			if old := c.byID[v.ID]; old != nil {
				return fmt.Errorf("catalogue entry %q stands twice", v.ID)
			}
			c.byID[v.ID] = v
			if !v.Unlisted {
				c.listed = append(c.listed, v)
			}
		}
	}
	// Lists go by provider, as AWS's do, and keep the table's order inside.
	slices.SortStableFunc(c.listed, func(a, b *entry) int { return strings.Compare(a.Provider, b.Provider) })
	return nil
}

// lookup finds the entry of a base id: listed first, then by rule. Nil when
// nothing fits.
func (c *Catalog) lookup(id string) *entry {
	if e := c.byID[id]; e != nil {
		return e
	}
	if !validID(id) {
		return nil
	}
	c.mu.RLock()
	e := c.ruled[id]
	c.mu.RUnlock()
	if e != nil {
		return e
	}
	for _, r := range c.rules {
		if !glob(r.Pattern, id) {
			continue
		}
		e, err := r.apply(id)
		if err != nil {
			c.log.Warn("a catalogue rule gives no usable model", "pattern", r.Pattern, "model", id, "error", err)
			return nil
		}
		c.mu.Lock()
		if len(c.ruled) >= maxFound {
			clear(c.ruled)
		}
		c.ruled[id] = e
		c.mu.Unlock()
		return e
	}
	return nil
}

// state is where a model stands in its life now.
func (c *Catalog) state(e *entry) State {
	if s, ok := c.states[e.ID]; ok {
		return s
	}
	if e.variantOf != nil {
		if s, ok := c.states[e.variantOf.ID]; ok {
			return s
		}
	}
	if !c.lifeCycle {
		return Active
	}
	now := c.now()
	switch {
	case !e.eol.IsZero() && !now.Before(e.eol):
		return EndOfLife
	case !e.legacy.IsZero() && !now.Before(e.legacy):
		return LegacyNow
	}
	return Active
}

// inRegion reports whether a model is offered in a Region.
func (c *Catalog) inRegion(e *entry, region string) bool {
	return !c.strict || len(e.regions) == 0 || slices.Contains(e.regions, region)
}

// models lists the engine's models, from memory when the last answer is fresh.
// While one caller asks again, the others go on with the old answer; so does
// everybody when the engine does not answer, because inference will say better
// what is wrong with it.
func (c *Catalog) models(ctx context.Context) (*locals, error) {
	old := c.local.Load()
	if old != nil {
		if time.Since(old.at) < c.refresh || !c.reading.TryLock() {
			return old, nil
		}
	} else {
		c.reading.Lock()
	}
	defer c.reading.Unlock()
	if now := c.local.Load(); now != nil && time.Since(now.at) < c.refresh {
		return now, nil
	}
	list, err := c.engine.Models(ctx)
	if err != nil {
		if old == nil {
			return nil, err
		}
		c.log.WarnContext(ctx, "the engine does not list its models; going on with what it said before", "error", err)
		list = old.models
	}
	l := &locals{models: list, byName: make(map[string]engine.Info, len(list)), at: time.Now()}
	for _, m := range list {
		l.byName[m.Name] = m
	}
	c.local.Store(l)
	return l, nil
}

// Refresh forgets what the engine said of its models; call it after a model was
// added or removed.
func (c *Catalog) Refresh() { c.local.Store(nil) }

func randomID() string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var raw [12]byte
	_, _ = rand.Read(raw[:]) // never fails
	for i, b := range raw {
		// 256 is no multiple of 36; the small bias does not matter for a name.
		raw[i] = letters[int(b)%len(letters)]
	}
	return string(raw[:])
}
