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
	groups      map[userKey]Group
	roles       map[userKey]Role
	policies    map[userKey]ManagedPolicy
	credentials map[string]Credential // by access key ID and bearer key ID

	shipped  map[string]ManagedPolicy // what AWS manages, by ARN; the same in all snapshots
	byARN    map[string]ManagedPolicy // what customers manage
	roleARNs map[string]userKey
	compiled *compiled
	access   map[string]*access // by unique ID of user or role
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
		groups: map[userKey]Group{}, roles: map[userKey]Role{}, policies: map[userKey]ManagedPolicy{},
		shipped: shippedPolicies(partition), compiled: &compiled{},
	}
	return s, s.apply(version, records)
}

// next returns the snapshot after the changes.
func (s *Snapshot) next(version int64, changes []Record) (*Snapshot, error) {
	n := &Snapshot{
		partition: s.partition, admin: s.admin, accounts: maps.Clone(s.accounts), users: maps.Clone(s.users),
		accessKeys: maps.Clone(s.accessKeys), sessions: maps.Clone(s.sessions), bearerKeys: maps.Clone(s.bearerKeys),
		groups: maps.Clone(s.groups), roles: maps.Clone(s.roles), policies: maps.Clone(s.policies),
		shipped: s.shipped, compiled: s.compiled,
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
		case GroupRecord:
			err = put(s.groups, keyOf(r.Account, r.ID), r.Body)
		case RoleRecord:
			err = put(s.roles, keyOf(r.Account, r.ID), r.Body)
		case PolicyRecord:
			err = put(s.policies, keyOf(r.Account, r.ID), r.Body)
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
	s.deriveAccess()
	principals := make(map[userKey]*Principal, len(s.users))
	byID := make(map[string]*Principal, len(s.users))
	for k, u := range s.users {
		if _, ok := s.accounts[u.Account]; ok {
			p := &Principal{Kind: KindUser, Account: u.Account, ARN: s.UserARN(u), UserID: u.UserID, Name: u.Name, Tags: u.Tags}
			s.learn(p)
			principals[k] = p
			byID[u.UserID] = p
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
			if p = byID[p.UserID]; p == nil {
				continue
			}
		} else {
			s.learn(p)
			p.facts.keys["aws:tokenissuetime"] = []string{t.Created.UTC().Format(time.RFC3339)}
		}
		s.credentials[id] = Credential{ID: id, Secret: t.Secret, Temporary: true, TokenSHA256: t.TokenSHA256, Expires: t.Expires, Principal: p}
	}
	for id, k := range s.bearerKeys {
		if p := principals[keyOf(k.Account, k.User)]; p != nil && k.Active {
			s.credentials[id] = Credential{ID: id, Bearer: true, TokenSHA256: k.TokenSHA256, Expires: k.Expires, Principal: p}
		}
	}
	s.compiled.sweep()
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
	p := &Principal{Kind: KindRoot, Account: account, UserID: account, ARN: s.iamARN(account, "root")}
	s.learn(p)
	return p, true
}

func (s *Snapshot) iamARN(account, resource string) string {
	return arn.ARN{Partition: s.partition, Service: "iam", Account: account, Resource: resource}.String()
}

// GroupARN is the group's name in messages.
func (s *Snapshot) GroupARN(g Group) string { return s.iamARN(g.Account, "group"+g.Path+g.Name) }

// RoleARN is the role's name in policies.
func (s *Snapshot) RoleARN(r Role) string { return s.iamARN(r.Account, "role"+r.Path+r.Name) }

// PolicyARN is the managed policy's name.
func (s *Snapshot) PolicyARN(m ManagedPolicy) string {
	return s.iamARN(m.Account, "policy"+m.Path+m.Name)
}

// SessionARN is the name of a role's session: its path is not in it.
func (s *Snapshot) SessionARN(r Role, session string) string {
	return arn.ARN{Partition: s.partition, Service: "sts", Account: r.Account, Resource: "assumed-role/" + r.Name + "/" + session}.String()
}

// Group returns a group by name, in any case.
func (s *Snapshot) Group(account, name string) (Group, bool) {
	g, ok := s.groups[keyOf(account, name)]
	return g, ok
}

// Groups returns the groups of an account, by name.
func (s *Snapshot) Groups(account string) []Group {
	return ofAccount(s.groups, account, func(g Group) string { return g.Name })
}

// Members returns the users of a group, by name.
func (s *Snapshot) Members(account, group string) []User {
	return slices.DeleteFunc(s.Users(account), func(u User) bool { return !containsFold(u.Groups, group) })
}

// Role returns a role by name, in any case.
func (s *Snapshot) Role(account, name string) (Role, bool) {
	r, ok := s.roles[keyOf(account, name)]
	return r, ok
}

// RoleByARN returns a role of any account; path and case must be right.
func (s *Snapshot) RoleByARN(arn string) (Role, bool) {
	k, ok := s.roleARNs[arn]
	return s.roles[k], ok
}

// Roles returns the roles of an account, by name.
func (s *Snapshot) Roles(account string) []Role {
	return ofAccount(s.roles, account, func(r Role) string { return r.Name })
}

// Policy returns a managed policy, a customer's or one that AWS ships, by ARN.
func (s *Snapshot) Policy(arn string) (ManagedPolicy, bool) {
	if m, ok := s.byARN[arn]; ok {
		return m, true
	}
	m, ok := s.shipped[arn]
	return m, ok
}

// Policies returns the customer managed policies of an account, by name; those
// that AWS ships for the account "aws".
func (s *Snapshot) Policies(account string) []ManagedPolicy {
	from := s.policies
	if account == "aws" {
		from = make(map[userKey]ManagedPolicy, len(s.shipped))
		for _, m := range s.shipped {
			from[keyOf("aws", m.Name)] = m
		}
	}
	return ofAccount(from, account, func(m ManagedPolicy) string { return m.Name })
}

// Holders returns who has the managed policy attached, and whose boundary it is.
func (s *Snapshot) Holders(account, policyARN string) (attached, bounded []Holder) {
	for _, u := range s.Users(account) {
		h := Holder{UserHolder, account, u.Name}
		if slices.Contains(u.Policies, policyARN) {
			attached = append(attached, h)
		}
		if u.Boundary == policyARN {
			bounded = append(bounded, h)
		}
	}
	for _, g := range s.Groups(account) {
		if slices.Contains(g.Policies, policyARN) {
			attached = append(attached, Holder{GroupHolder, account, g.Name})
		}
	}
	for _, r := range s.Roles(account) {
		h := Holder{RoleHolder, account, r.Name}
		if slices.Contains(r.Policies, policyARN) {
			attached = append(attached, h)
		}
		if r.Boundary == policyARN {
			bounded = append(bounded, h)
		}
	}
	return attached, bounded
}

func ofAccount[V any](m map[userKey]V, account string, name func(V) string) []V {
	var out []V
	for k, v := range m {
		if k.account == account {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b V) int {
		return strings.Compare(name(a), name(b))
	})
	return out
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}
