package iam

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Failures of the operations here. Faces translate them into their protocol's
// names (NoSuchEntity, EntityAlreadyExists, LimitExceeded).
var (
	ErrNotFound = errors.New("no such identity")
	ErrExists   = errors.New("identity exists already")
	ErrLimit    = errors.New("limit of the identity is reached")
	ErrInvalid  = errors.New("not a valid identity")
	ErrInUse    = errors.New("identity is in use")

	// ErrStale is what IdentityStore.Apply answers when another writer came first.
	ErrStale = errors.New("identities have changed meanwhile")
)

// RecordKind names a kind of record.
type RecordKind string

// The kinds of records.
const (
	AccountRecord   RecordKind = "iam-account"
	UserRecord      RecordKind = "iam-user"
	AccessKeyRecord RecordKind = "iam-access-key"
	SessionRecord   RecordKind = "iam-session"
	BearerKeyRecord RecordKind = "iam-bearer-key"
	GroupRecord     RecordKind = "iam-group"
	RoleRecord      RecordKind = "iam-role"
	PolicyRecord    RecordKind = "iam-policy"
)

// RecordKinds lists all kinds, for stores that load them one by one.
func RecordKinds() []RecordKind {
	return []RecordKind{AccountRecord, UserRecord, AccessKeyRecord, SessionRecord, BearerKeyRecord, GroupRecord, RoleRecord, PolicyRecord}
}

// Record is one identity as it is kept. Body is JSON and may hold secrets.
type Record struct {
	Kind    RecordKind
	Account string
	ID      string
	Body    []byte // nil in a change means delete
}

// IdentityStore keeps the records and one version that rises with every change
// of any of them.
type IdentityStore interface {
	// LoadAll returns all records and their version, of one instant.
	LoadAll(ctx context.Context) (version int64, records []Record, err error)
	// Version returns the version alone; it is asked each second.
	Version(ctx context.Context) (int64, error)
	// Apply writes the changes and raises the version, all or nothing. When the
	// version is not expect it changes nothing and answers ErrStale.
	Apply(ctx context.Context, expect int64, changes []Record) (version int64, err error)
}

// Account is one AWS account.
type Account struct {
	ID      string
	Created time.Time
}

// User is an IAM user.
type User struct {
	Account string
	Name    string // unique in the account, whatever the case
	Path    string // "/" or "/a/b/"
	UserID  string // AIDA…
	Created time.Time
	// Policies are the ARNs of attached managed policies, Inline the documents of
	// inline ones by name, Boundary the ARN of the permissions boundary.
	Policies []string          `json:",omitempty"`
	Inline   map[string]string `json:",omitempty"`
	Boundary string            `json:",omitempty"`
	Groups   []string          `json:",omitempty"` // names, in the order of joining
	Tags     map[string]string `json:",omitempty"`
}

// Group is a set of users that share policies.
type Group struct {
	Account  string
	Name     string
	Path     string
	GroupID  string // AGPA…
	Created  time.Time
	Policies []string          `json:",omitempty"`
	Inline   map[string]string `json:",omitempty"`
}

// Role is what users, services and other roles may become for a while.
type Role struct {
	Account     string
	Name        string
	Path        string
	RoleID      string // AROA…
	Description string `json:",omitempty"`
	Created     time.Time
	MaxSession  time.Duration     // of its sessions, an hour to twelve
	Trust       string            // document that says who may
	Trusted     map[string]string `json:",omitempty"` // unique IDs of the users and roles that Trust named when it was written
	Policies    []string          `json:",omitempty"`
	Inline      map[string]string `json:",omitempty"`
	Boundary    string            `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
}

// ManagedPolicy is a policy with a name of its own and up to five versions.
type ManagedPolicy struct {
	Account     string // "aws" for those that AWS ships
	Name        string
	Path        string
	PolicyID    string // ANPA…
	Description string `json:",omitempty"`
	Created     time.Time
	Updated     time.Time
	Default     string            // ID of the version that is in force
	Made        int               // versions made so far: numbers are not used again
	Versions    []PolicyVersion   // oldest first
	Tags        map[string]string `json:",omitempty"`
}

// PolicyVersion is one version; it never changes.
type PolicyVersion struct {
	ID       string // v1, v2 …
	Document string
	Created  time.Time
}

// Version returns a version by ID, the one in force for "".
func (m *ManagedPolicy) Version(id string) (PolicyVersion, bool) {
	for _, v := range m.Versions {
		if v.ID == id || id == "" && v.ID == m.Default {
			return v, true
		}
	}
	return PolicyVersion{}, false
}

// AccessKey is a long-term key of a user.
type AccessKey struct {
	ID      string // AKIA and 16 characters
	Secret  Secret // 40 characters
	Account string
	User    string
	Active  bool
	Created time.Time
	LastUse KeyUse `json:",omitzero"` // as it was last written; Identity.LastUse knows better
}

// Session is a temporary key. Its token is kept as a hash.
type Session struct {
	AccessKeyID string // ASIA and 16 characters
	Secret      Secret
	TokenSHA256 [32]byte
	Account     string
	Principal   Principal // of the moment in which the session began
	Created     time.Time
	Expires     time.Time
}

// BearerKey is a long-term Bedrock API key. It is kept as a hash.
type BearerKey struct {
	ID          string // NAME-at-ACCOUNT, what the key says in clear
	TokenSHA256 [32]byte
	Account     string
	User        string
	Active      bool
	Created     time.Time
	Expires     time.Time // zero: never
}

func (a Account) record() Record   { return encode(AccountRecord, a.ID, a.ID, a) }
func (u User) record() Record      { return encode(UserRecord, u.Account, u.Name, u) }
func (k AccessKey) record() Record { return encode(AccessKeyRecord, k.Account, k.ID, k) }
func (s Session) record() Record   { return encode(SessionRecord, s.Account, s.AccessKeyID, s) }
func (k BearerKey) record() Record { return encode(BearerKeyRecord, k.Account, k.ID, k) }
func (g Group) record() Record     { return encode(GroupRecord, g.Account, g.Name, g) }
func (r Role) record() Record      { return encode(RoleRecord, r.Account, r.Name, r) }

func (m ManagedPolicy) record() Record { return encode(PolicyRecord, m.Account, m.Name, m) }

// LogValue names the key and leaves its secret out: a JSON log handler would
// print what JSON must carry to the store.
func (k AccessKey) LogValue() slog.Value { return slog.StringValue(k.ID) }

// LogValue names the key and leaves its secret out.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.AccessKeyID) }

// LogValue names the key and leaves the hash of its token out.
func (k BearerKey) LogValue() slog.Value { return slog.StringValue(k.ID) }

func encode(kind RecordKind, account, id string, v any) Record {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("BUG: encode %s %s: %v", kind, id, err)) // plain structs of ours
	}
	return Record{Kind: kind, Account: account, ID: id, Body: b}
}

func deletion(r Record) Record { r.Body = nil; return r }

// recordKey orders and identifies records.
type recordKey struct {
	kind        RecordKind
	account, id string
}

func (r Record) key() recordKey { return recordKey{r.Kind, r.Account, r.ID} }

func compareRecords(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Account, b.Account), cmp.Compare(a.ID, b.ID))
}
