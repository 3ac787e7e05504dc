package iam

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/arn"
)

// Defaults of Config.
const (
	DefaultAccount = "123456789012"
	AdminUser      = "admin"

	// PollInterval is how often Run looks for what other replicas have written.
	PollInterval = time.Second
)

// Limits of AWS's account quotas that hold here.
const (
	maxAccessKeys = 2
	maxBearerKeys = 2

	minSession = 15 * time.Minute
	maxSession = 36 * time.Hour
)

// Config configures an Identity. Store is required.
type Config struct {
	Store   IdentityStore
	Account string           // the account that exists from the first start; DefaultAccount when empty
	Region  string           // whose partition ARNs are in; aws when empty
	Now     func() time.Time // wall clock; time.Now when nil
	Random  io.Reader        // of keys; crypto/rand when nil
	Logger  *slog.Logger     // discards when nil
}

// Identity is the identities of this server: read through snapshots, written
// through its methods. It is safe for concurrent use.
type Identity struct {
	store     IdentityStore
	account   string
	partition string
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger

	current atomic.Pointer[Snapshot]
	write   sync.Mutex // one writer of this process at a time
	uses    uses
}

// New loads the identities and, when the account is not there, makes it with the
// user admin, AdministratorAccess and one access key.
func New(ctx context.Context, c Config) (*Identity, error) {
	if c.Store == nil {
		return nil, errors.New("iam: Config.Store is nil")
	}
	i := &Identity{
		store: c.Store, account: cmp.Or(c.Account, DefaultAccount), partition: arn.Partition(c.Region),
		now: c.Now, random: c.Random, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
	}
	if !arn.IsAccount(i.account) {
		return nil, fmt.Errorf("%w: account %q, want twelve digits", ErrInvalid, i.account)
	}
	if i.now == nil {
		i.now = time.Now
	}
	if i.random == nil {
		i.random = rand.Reader
	}
	if err := i.load(ctx); err != nil {
		return nil, err
	}
	if err := i.bootstrap(ctx); err != nil {
		return nil, fmt.Errorf("make the first account: %w", err)
	}
	return i, nil
}

// Snapshot returns the identities of this moment.
func (i *Identity) Snapshot() *Snapshot { return i.current.Load() }

// Credential is Snapshot().Credential.
func (i *Identity) Credential(id string) (Credential, bool) { return i.current.Load().Credential(id) }

// AdminKey returns the oldest active key of the user admin; false when an
// administrator has removed user or key.
func (i *Identity) AdminKey() (AccessKey, bool) {
	for _, k := range i.current.Load().AccessKeys(i.account, AdminUser) {
		if k.Active {
			return k, true
		}
	}
	return AccessKey{}, false
}

// AdministratorAccess is the ARN of the managed policy that allows all.
func (i *Identity) AdministratorAccess() string { return administratorAccess(i.partition) }

func administratorAccess(partition string) string {
	return arn.ARN{Partition: partition, Service: "iam", Account: "aws", Resource: "policy/AdministratorAccess"}.String()
}

// Run polls the store's version each PollInterval and loads what has changed,
// until ctx ends. A poll that fails is logged, and the next one tries again: the
// identities known so far stay good. Now and then it writes when keys were used.
func (i *Identity) Run(ctx context.Context) error {
	t := time.NewTicker(PollInterval)
	defer t.Stop()
	defer i.flushLast(ctx)
	failing := false
	flushed := i.now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := i.Refresh(ctx)
		if now := i.now(); err == nil && now.Sub(flushed) >= useFlush {
			flushed = now
			err = i.FlushUses(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failing {
			i.log.LogAttrs(ctx, slog.LevelError, "identities cannot be refreshed", slog.Any("error", err))
		}
		failing = err != nil
	}
}

// Refresh loads the identities when the store's version is another.
func (i *Identity) Refresh(ctx context.Context) error {
	v, err := i.store.Version(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the identities: %w", err)
	}
	if v == i.current.Load().Version {
		return nil
	}
	i.write.Lock()
	defer i.write.Unlock()
	return i.load(ctx)
}

func (i *Identity) load(ctx context.Context) error {
	v, records, err := i.store.LoadAll(ctx)
	if err != nil {
		return fmt.Errorf("load identities: %w", err)
	}
	s, err := newSnapshot(i.partition, v, records)
	if err != nil {
		return fmt.Errorf("load identities: %w", err)
	}
	i.current.Store(s)
	return nil
}

// update runs change on the newest snapshot and applies what it returns; it
// begins again when another replica wrote first.
func (i *Identity) update(ctx context.Context, change func(*Snapshot) ([]Record, error)) error {
	i.write.Lock()
	defer i.write.Unlock()
	const attempts = 10
	for range attempts {
		s := i.current.Load()
		changes, err := change(s)
		if err != nil || len(changes) == 0 {
			return err
		}
		v, err := i.store.Apply(ctx, s.Version, changes)
		if errors.Is(err, ErrStale) {
			if err := i.load(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("write identities: %w", err)
		}
		next, err := s.next(v, changes)
		if err != nil {
			return fmt.Errorf("BUG: what was written cannot be read: %w", err)
		}
		i.current.Store(next)
		return nil
	}
	return fmt.Errorf("write identities: %w %d times", ErrStale, attempts)
}

func (i *Identity) bootstrap(ctx context.Context) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(i.account); ok {
			return nil, nil
		}
		a := Account{ID: i.account, Created: i.time()}
		u, err := i.newUser(i.account, AdminUser, "/", []string{i.AdministratorAccess()})
		if err != nil {
			return nil, err
		}
		k, err := i.newAccessKey(u)
		if err != nil {
			return nil, err
		}
		return []Record{a.record(), u.record(), k.record()}, nil
	})
}

func (i *Identity) time() time.Time { return i.now().UTC().Truncate(time.Microsecond) }

var (
	namePattern = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	pathText    = regexp.MustCompile(`^/([\x21-\x7E]*/)?$`)
)

// isPath counts the length apart, for the reason at tagText.
func isPath(s string) bool { return len(s) <= 512 && pathText.MatchString(s) }

func (i *Identity) newUser(account, name, path string, policies []string) (User, error) {
	path = cmp.Or(path, "/")
	if !namePattern.MatchString(name) {
		return User{}, fmt.Errorf("%w: user name %q", ErrInvalid, name)
	}
	if !isPath(path) {
		return User{}, fmt.Errorf("%w: path %q", ErrInvalid, path)
	}
	id, err := newUniqueID(i.random, prefixUser)
	if err != nil {
		return User{}, err
	}
	return User{Account: account, Name: name, Path: path, UserID: id, Created: i.time(), Policies: slices.Clone(policies)}, nil
}

func (i *Identity) newAccessKey(u User) (AccessKey, error) {
	id, err := newKeyID(i.random, prefixAccessKey, u.Account)
	if err != nil {
		return AccessKey{}, err
	}
	secret, err := newSecret(i.random)
	if err != nil {
		return AccessKey{}, err
	}
	return AccessKey{ID: id, Secret: secret, Account: u.Account, User: u.Name, Active: true, Created: i.time()}, nil
}

// EnsureAccount makes an account without users when it is not there.
func (i *Identity) EnsureAccount(ctx context.Context, id string) error {
	if !arn.IsAccount(id) {
		return fmt.Errorf("%w: account %q, want twelve digits", ErrInvalid, id)
	}
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(id); ok {
			return nil, nil
		}
		return []Record{Account{ID: id, Created: i.time()}.record()}, nil
	})
}

// CreateUser makes a user; an empty path is "/". Policies are ARNs of managed
// policies to attach.
func (i *Identity) CreateUser(ctx context.Context, account, name, path string, policies ...string) (User, error) {
	u, err := i.newUser(account, name, path, policies)
	if err != nil {
		return User{}, err
	}
	err = i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(account); !ok {
			return nil, fmt.Errorf("%w: account %s", ErrNotFound, account)
		}
		if _, ok := s.User(account, name); ok {
			return nil, fmt.Errorf("%w: user %s", ErrExists, name)
		}
		for _, arn := range policies {
			if err := s.attachable(account, arn); err != nil {
				return nil, err
			}
		}
		return []Record{u.record()}, nil
	})
	if err != nil {
		return User{}, err
	}
	return u, nil
}

// UpdateUser gives a user another name or path; "" leaves one as it is. The keys
// go along.
func (i *Identity) UpdateUser(ctx context.Context, account, name, newName, newPath string) error {
	if newName != "" && !namePattern.MatchString(newName) {
		return fmt.Errorf("%w: user name %q", ErrInvalid, newName)
	}
	if newPath != "" && !isPath(newPath) {
		return fmt.Errorf("%w: path %q", ErrInvalid, newPath)
	}
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		u, ok := s.User(account, name)
		if !ok {
			return nil, fmt.Errorf("%w: user %s", ErrNotFound, name)
		}
		old := u
		u.Name, u.Path = cmp.Or(newName, u.Name), cmp.Or(newPath, u.Path)
		if u.Name == old.Name {
			return []Record{u.record()}, nil
		}
		if _, taken := s.User(account, u.Name); taken && !strings.EqualFold(u.Name, old.Name) {
			return nil, fmt.Errorf("%w: user %s", ErrExists, u.Name)
		}
		changes := []Record{deletion(old.record()), u.record()}
		for _, k := range s.AccessKeys(account, old.Name) {
			k.User = u.Name
			changes = append(changes, k.record())
		}
		for _, k := range s.BearerKeys(account, old.Name) {
			k.User = u.Name
			changes = append(changes, k.record())
		}
		return changes, nil
	})
}

// DeleteUser removes a user; ErrInUse while it has keys or policies or is in a
// group.
func (i *Identity) DeleteUser(ctx context.Context, account, name string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		u, ok := s.User(account, name)
		if !ok {
			return nil, fmt.Errorf("%w: user %s", ErrNotFound, name)
		}
		if len(s.AccessKeys(account, name)) > 0 || len(s.BearerKeys(account, name)) > 0 {
			return nil, fmt.Errorf("%w: Cannot delete entity, must delete access keys first.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
		}
		if err := deletable(u.Policies, u.Inline); err != nil {
			return nil, err
		}
		if len(u.Groups) > 0 {
			return nil, fmt.Errorf("%w: Cannot delete entity, must remove users from group first.", ErrInUse) //nolint:revive,staticcheck // AWS's sentence
		}
		return []Record{deletion(u.record())}, nil
	})
}

// AttachUserPolicy is AttachPolicy for a user.
func (i *Identity) AttachUserPolicy(ctx context.Context, account, user, policyARN string) error {
	return i.AttachPolicy(ctx, Holder{UserHolder, account, user}, policyARN)
}

// DetachUserPolicy is DetachPolicy for a user.
func (i *Identity) DetachUserPolicy(ctx context.Context, account, user, policyARN string) error {
	return i.DetachPolicy(ctx, Holder{UserHolder, account, user}, policyARN)
}

// CreateAccessKey makes a key for a user, who may have two.
func (i *Identity) CreateAccessKey(ctx context.Context, account, user string) (AccessKey, error) {
	var k AccessKey
	err := i.update(ctx, func(s *Snapshot) ([]Record, error) {
		u, ok := s.User(account, user)
		if !ok {
			return nil, fmt.Errorf("%w: user %s", ErrNotFound, user)
		}
		if n := len(s.AccessKeys(account, user)); n >= maxAccessKeys {
			return nil, fmt.Errorf("%w: user %s has %d access keys", ErrLimit, user, n)
		}
		var err error
		if k, err = i.newAccessKey(u); err != nil {
			return nil, err
		}
		return []Record{k.record()}, nil
	})
	if err != nil {
		return AccessKey{}, err
	}
	return k, nil
}

// SetAccessKeyActive switches a key on or off.
func (i *Identity) SetAccessKeyActive(ctx context.Context, id string, active bool) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		k, ok := s.AccessKey(id)
		if !ok {
			return nil, fmt.Errorf("%w: access key %s", ErrNotFound, id)
		}
		k.Active = active
		return []Record{k.record()}, nil
	})
}

// DeleteAccessKey removes a key.
func (i *Identity) DeleteAccessKey(ctx context.Context, id string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		k, ok := s.AccessKey(id)
		if !ok {
			return nil, fmt.Errorf("%w: access key %s", ErrNotFound, id)
		}
		return []Record{deletion(k.record())}, nil
	})
}

// CreateBearerKey makes a long-term Bedrock API key for a user, who may have
// two; zero expires means never. The token is shown this once.
func (i *Identity) CreateBearerKey(ctx context.Context, account, user string, expires time.Time) (BearerKey, Secret, error) {
	var k BearerKey
	var token Secret
	err := i.update(ctx, func(s *Snapshot) ([]Record, error) {
		u, ok := s.User(account, user)
		if !ok {
			return nil, fmt.Errorf("%w: user %s", ErrNotFound, user)
		}
		if n := len(s.BearerKeys(account, user)); n >= maxBearerKeys {
			return nil, fmt.Errorf("%w: user %s has %d bearer keys", ErrLimit, user, n)
		}
		id, t, sum, err := newBearer(i.random, account)
		if err != nil {
			return nil, err
		}
		k, token = BearerKey{ID: id, TokenSHA256: sum, Account: account, User: u.Name, Active: true, Created: i.time(), Expires: expires}, t
		return []Record{k.record()}, nil
	})
	if err != nil {
		return BearerKey{}, "", err
	}
	return k, token, nil
}

// changeBearerKey runs change on a bearer key and writes it.
func (i *Identity) changeBearerKey(ctx context.Context, id string, change func(*BearerKey) error) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		k, ok := s.bearerKeys[id]
		if !ok {
			return nil, fmt.Errorf("%w: bearer key %s", ErrNotFound, id)
		}
		if err := change(&k); err != nil {
			return nil, err
		}
		return []Record{k.record()}, nil
	})
}

// SetBearerKeyActive switches a bearer key on or off.
func (i *Identity) SetBearerKeyActive(ctx context.Context, id string, active bool) error {
	return i.changeBearerKey(ctx, id, func(k *BearerKey) error { k.Active = active; return nil })
}

// ResetBearerKey gives a bearer key another token, which is shown this once; the old
// one is good for nothing any more. The key keeps its ID and its end.
func (i *Identity) ResetBearerKey(ctx context.Context, id string) (k BearerKey, token Secret, err error) {
	err = i.changeBearerKey(ctx, id, func(b *BearerKey) error {
		var err error
		token, b.TokenSHA256, err = newBearerToken(i.random, b.ID)
		k = *b
		return err
	})
	if err != nil {
		return BearerKey{}, "", err
	}
	return k, token, nil
}

// DeleteBearerKey removes a bearer key.
func (i *Identity) DeleteBearerKey(ctx context.Context, id string) error {
	return i.update(ctx, func(s *Snapshot) ([]Record, error) {
		k, ok := s.bearerKeys[id]
		if !ok {
			return nil, fmt.Errorf("%w: bearer key %s", ErrNotFound, id)
		}
		return []Record{deletion(k.record())}, nil
	})
}

// SessionCredentials is what a caller of STS gets.
type SessionCredentials struct {
	AccessKeyID string
	Secret      Secret
	Token       Secret
	Expires     time.Time
}

// LogValue names the key and leaves secret and token out.
func (c SessionCredentials) LogValue() slog.Value { return slog.StringValue(c.AccessKeyID) }

// CreateSession makes a temporary key for the principal, good for life (15
// minutes to 36 hours). Whether the principal may have one is the caller's
// question. Sessions that have ended are removed on the way.
func (i *Identity) CreateSession(ctx context.Context, p Principal, life time.Duration) (SessionCredentials, error) {
	if life < minSession || life > maxSession {
		return SessionCredentials{}, fmt.Errorf("%w: session of %v, want %v to %v", ErrInvalid, life, minSession, maxSession)
	}
	if p.Kind == KindRoot || p.ARN == "" {
		return SessionCredentials{}, fmt.Errorf("%w: %s cannot have a session", ErrInvalid, cmp.Or(p.ARN, "a principal without a name"))
	}
	id, err := newKeyID(i.random, prefixSession, p.Account)
	if err != nil {
		return SessionCredentials{}, err
	}
	secret, err := newSecret(i.random)
	if err != nil {
		return SessionCredentials{}, err
	}
	token, sum, err := newToken(i.random)
	if err != nil {
		return SessionCredentials{}, err
	}
	p.Tags, p.SessionPolicies = maps.Clone(p.Tags), slices.Clone(p.SessionPolicies)
	now := i.time()
	t := Session{AccessKeyID: id, Secret: secret, TokenSHA256: sum, Account: p.Account, Principal: p, Created: now, Expires: now.Add(life)}
	err = i.update(ctx, func(s *Snapshot) ([]Record, error) {
		if _, ok := s.Account(p.Account); !ok {
			return nil, fmt.Errorf("%w: account %s", ErrNotFound, p.Account)
		}
		changes := []Record{t.record()}
		for _, old := range s.sessions {
			// Ended sessions stay an hour, so that their users are told of the end
			// and not of an unknown key.
			if now.Sub(old.Expires) > time.Hour && len(changes) < 100 {
				changes = append(changes, deletion(old.record()))
			}
		}
		return changes, nil
	})
	if err != nil {
		return SessionCredentials{}, err
	}
	return SessionCredentials{AccessKeyID: id, Secret: secret, Token: token, Expires: t.Expires}, nil
}
