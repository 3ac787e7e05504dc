package iam

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/arn"
)

// Snapshot is all identities at one version. It never changes.
type Snapshot struct {
	Version int64

	partition   string
	admin       string // ARN of AdministratorAccess
	accounts    map[string]Account
	users       map[userKey]User
	accessKeys  map[string]AccessKey
	sessions    map[string]Session
	bearerKeys  map[string]BearerKey
	credentials map[string]Credential // by access key ID and bearer key ID
}

type userKey struct{ account, name string } // name in lower case: names differ in more than case

func keyOf(account, name string) userKey { return userKey{account, strings.ToLower(name)} }

// Credential is what a key proves. Secret and TokenSHA256 are compared by
// sigv4; Principal is shared and must not be changed.
type Credential struct {
	ID          string
	Secret      Secret   // "" for bearer keys
	Temporary   bool     // a session's: the token must come along
	TokenSHA256 [32]byte // of the session token or of the whole bearer key
	Bearer      bool
	Expires     time.Time // zero: never
	Principal   *Principal
}

// LogValue names the key and leaves its secret out.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.ID) }

func newSnapshot(partition string, version int64, records []Record) (*Snapshot, error) {
	s := &Snapshot{
		partition: partition, admin: administratorAccess(partition), accounts: map[string]Account{}, users: map[userKey]User{},
		accessKeys: map[string]AccessKey{}, sessions: map[string]Session{}, bearerKeys: map[string]BearerKey{},
	}
	return s, s.apply(version, records)
}

// next returns the snapshot after the changes.
func (s *Snapshot) next(version int64, changes []Record) (*Snapshot, error) {
	n := &Snapshot{
		partition: s.partition, admin: s.admin, accounts: maps.Clone(s.accounts), users: maps.Clone(s.users),
		accessKeys: maps.Clone(s.accessKeys), sessions: maps.Clone(s.sessions), bearerKeys: maps.Clone(s.bearerKeys),
	}
	return n, n.apply(version, changes)
}

func (s *Snapshot) apply(version int64, records []Record) error {
	s.Version = version
	for _, r := range records {
		var err error
		switch r.Kind {
		case AccountRecord:
			err = put(s.accounts, r.ID, r.Body)
		case UserRecord:
			err = put(s.users, keyOf(r.Account, r.ID), r.Body)
		case AccessKeyRecord:
			err = put(s.accessKeys, r.ID, r.Body)
		case SessionRecord:
			err = put(s.sessions, r.ID, r.Body)
		case BearerKeyRecord:
			err = put(s.bearerKeys, r.ID, r.Body)
		default:
			err = fmt.Errorf("unknown kind %q", r.Kind)
		}
		if err != nil {
			return fmt.Errorf("read identity %s %s: %w", r.Kind, r.ID, err)
		}
	}
	s.derive()
	return nil
}

func put[K comparable, V any](m map[K]V, k K, body []byte) error {
	if body == nil {
		delete(m, k)
		return nil
	}
	var v V
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	m[k] = v
	return nil
}

// derive builds what requests read: a key whose user or account is gone, or that
// is not active, is no credential.
func (s *Snapshot) derive() {
	principals := make(map[userKey]*Principal, len(s.users))
	for k, u := range s.users {
		if _, ok := s.accounts[u.Account]; ok {
			principals[k] = &Principal{Kind: KindUser, Account: u.Account, ARN: s.UserARN(u), UserID: u.UserID, Name: u.Name, Tags: u.Tags}
		}
	}
	s.credentials = make(map[string]Credential, len(s.accessKeys)+len(s.sessions)+len(s.bearerKeys))
	for id, k := range s.accessKeys {
		if p := principals[keyOf(k.Account, k.User)]; p != nil && k.Active {
			s.credentials[id] = Credential{ID: id, Secret: k.Secret, Principal: p}
		}
	}
	for id, t := range s.sessions {
		p := &t.Principal
		if p.Kind == KindUser { // GetSessionToken: the user as it is now
			if p = principals[keyOf(t.Account, p.Name)]; p == nil || p.UserID != t.Principal.UserID {
				continue
			}
		}
		s.credentials[id] = Credential{ID: id, Secret: t.Secret, Temporary: true, TokenSHA256: t.TokenSHA256, Expires: t.Expires, Principal: p}
	}
	for id, k := range s.bearerKeys {
		if p := principals[keyOf(k.Account, k.User)]; p != nil && k.Active {
			s.credentials[id] = Credential{ID: id, Bearer: true, TokenSHA256: k.TokenSHA256, Expires: k.Expires, Principal: p}
		}
	}
}

// Credential returns the active key of that ID: an access key ID or the ID of a
// bearer key. Its end is not looked at.
func (s *Snapshot) Credential(id string) (Credential, bool) {
	c, ok := s.credentials[id]
	return c, ok
}

// Account returns an account.
func (s *Snapshot) Account(id string) (Account, bool) { a, ok := s.accounts[id]; return a, ok }

// User returns a user by name, in any case.
func (s *Snapshot) User(account, name string) (User, bool) {
	u, ok := s.users[keyOf(account, name)]
	return u, ok
}

// Users returns the users of an account, by name.
func (s *Snapshot) Users(account string) []User {
	var us []User
	for _, u := range s.users {
		if u.Account == account {
			us = append(us, u)
		}
	}
	slices.SortFunc(us, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return us
}

// AccessKey returns an access key, active or not.
func (s *Snapshot) AccessKey(id string) (AccessKey, bool) { k, ok := s.accessKeys[id]; return k, ok }

// AccessKeys returns a user's keys, oldest first.
func (s *Snapshot) AccessKeys(account, user string) []AccessKey {
	var ks []AccessKey
	for _, k := range s.accessKeys {
		if keyOf(k.Account, k.User) == keyOf(account, user) {
			ks = append(ks, k)
		}
	}
	slices.SortFunc(ks, func(a, b AccessKey) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return ks
}

// BearerKeys returns a user's bearer keys, oldest first.
func (s *Snapshot) BearerKeys(account, user string) []BearerKey {
	var ks []BearerKey
	for _, k := range s.bearerKeys {
		if keyOf(k.Account, k.User) == keyOf(account, user) {
			ks = append(ks, k)
		}
	}
	slices.SortFunc(ks, func(a, b BearerKey) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return ks
}

// UserARN is the user's name in policies.
func (s *Snapshot) UserARN(u User) string {
	return arn.ARN{Partition: s.partition, Service: "iam", Account: u.Account, Resource: "user" + u.Path + u.Name}.String()
}

// Root returns the root user of an account. It has no key; it stands in trust
// and resource policies, and for requests when authentication is off.
func (s *Snapshot) Root(account string) (*Principal, bool) {
	if _, ok := s.accounts[account]; !ok {
		return nil, false
	}
	return &Principal{Kind: KindRoot, Account: account, UserID: account,
		ARN: arn.ARN{Partition: s.partition, Service: "iam", Account: account, Resource: "root"}.String()}, true
}
