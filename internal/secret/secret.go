package secret

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
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// The exceptions of the Secrets Manager model that this package answers, beside
// ResourceNotFound and AccessDenied.
const (
	DecryptionFailure apierr.Kind = "DecryptionFailure"
	EncryptionFailure apierr.Kind = "EncryptionFailure"
	InvalidParameter  apierr.Kind = "InvalidParameterException"
	InvalidRequest    apierr.Kind = "InvalidRequestException"
	LimitExceeded     apierr.Kind = "LimitExceededException"
	MalformedPolicy   apierr.Kind = "MalformedPolicyDocumentException"
	PublicPolicy      apierr.Kind = "PublicPolicyException"
	Exists            apierr.Kind = "ResourceExistsException"
)

// The stages that move by themselves.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
)

// Limits of AWS.
const (
	MinWindow = 7 // days of recovery
	MaxWindow = 30
	maxValue  = 65536 // bytes
	maxTags   = 50
	maxStages = 20
	// maxVersions is how many versions without a stage are kept.
	maxVersions = 100
)

const day = 24 * time.Hour

// Policies decides by the policies of secrets and identities.
type Policies interface {
	// Allow answers nil, or the denial in AWS's words.
	Allow(q *iam.Question) error
}

var _ Policies = (*iam.Identity)(nil)

// Config configures a Service. Store and Policies are required.
type Config struct {
	Store    *store.Store // its sealer must be kms's, or secrets take no key
	Policies Policies
	Keys     *kms.Service // nil: secrets take no key
	Random   io.Reader    // crypto/rand when nil
	Logger   *slog.Logger // discards when nil
}

// Service is the secret service. It is safe for concurrent use.
type Service struct {
	store    *store.Store
	policies Policies
	keys     *kms.Service
	random   io.Reader
	log      *slog.Logger
}

// New makes a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Policies == nil {
		return nil, errors.New("secret: Config.Store and Config.Policies are required")
	}
	s := &Service{store: c.Store, policies: c.Policies, keys: c.Keys, random: c.Random, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler))}
	if s.random == nil {
		s.random = rand.Reader
	}
	return s, nil
}

// Tag of a secret.
type Tag struct{ Key, Value string }

// body is a secret's record: all but the values.
type body struct {
	Description string              `json:",omitempty"`
	Type        string              `json:",omitempty"`
	Key         string              `json:",omitempty"` // ARN of the key of new versions
	Policy      string              `json:",omitempty"`
	Tags        []Tag               `json:",omitempty"`
	Stages      map[string]string   `json:",omitempty"` // stage → version
	Versions    map[string]*version `json:",omitempty"`
	Changed     time.Time
	Accessed    time.Time `json:",omitzero"` // to the day
	Deleted     time.Time `json:",omitzero"` // when it was deleted
	Due         time.Time `json:",omitzero"` // when it will be gone
}

// version is what is said of a version without opening it.
type version struct {
	Created  time.Time
	Accessed time.Time `json:",omitzero"`
	Key      string    `json:",omitempty"`
}

// Value is what a version holds: a text or bytes.
type Value struct {
	Text   *string `json:",omitempty"`
	Binary []byte  `json:",omitempty"`
}

// String hides the value; %v and slog print stars.
func (Value) String() string { return "***" }

// GoString hides the value.
func (Value) GoString() string { return "***" }

// LogValue hides the value.
func (Value) LogValue() slog.Value { return slog.StringValue("***") }

func (v Value) given() bool { return v.Text != nil || v.Binary != nil }

func (v Value) equal(o Value) bool {
	return (v.Text == nil) == (o.Text == nil) && (v.Text == nil || *v.Text == *o.Text) && string(v.Binary) == string(o.Binary)
}

func (v Value) check() error {
	switch {
	case v.Text != nil && v.Binary != nil:
		return apierr.New(InvalidParameter, "You can't specify both a binary secret value and a string secret value in the same secret.")
	case v.Text != nil && len(*v.Text) > maxValue, len(v.Binary) > maxValue:
		return apierr.New(InvalidParameter, "A secret value can have %d bytes.", maxValue)
	}
	return nil
}

var (
	secrets  = store.Kind[body]{Name: "secret"}
	versions = store.Kind[Value]{Name: "secret-version"}
)

// Secret is a secret without its values.
type Secret struct {
	ARN, Name, Description, Type string
	Key                          string // ARN of the customer key, or ""
	Policy                       string
	Tags                         []Tag
	// Stages are the stages of each version that has any.
	Stages                     map[string][]string
	Versions                   []Version // oldest first
	Created, Changed, Accessed time.Time
	Deleted, Due               time.Time // zero unless it waits for its end
}

// Version is what is said of a version without opening it.
type Version struct {
	ID                string
	Stages            []string
	Created, Accessed time.Time
	Key               string // ARN of the key that sealed it, or ""
}

func secretARN(account, region, id string) string {
	return arn.New("secretsmanager", region, account, "secret:"+id).String()
}

func of(r store.Record[body]) Secret {
	b := r.Body
	out := Secret{
		ARN: secretARN(r.Account, r.Region, r.ID), Name: r.Name, Description: b.Description, Type: b.Type, Key: b.Key, Policy: b.Policy,
		Tags: slices.Clone(b.Tags), Created: r.Created, Changed: b.Changed, Accessed: b.Accessed, Deleted: b.Deleted, Due: b.Due,
		Stages: map[string][]string{},
	}
	for _, stage := range slices.Sorted(maps.Keys(b.Stages)) {
		out.Stages[b.Stages[stage]] = append(out.Stages[b.Stages[stage]], stage)
	}
	for id, v := range b.Versions {
		out.Versions = append(out.Versions, Version{id, out.Stages[id], v.Created, v.Accessed, v.Key})
	}
	slices.SortFunc(out.Versions, func(a, b Version) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	return out
}

// ask puts a question about a secret; r is nil when there is none yet.
func (s *Service) ask(c kms.Caller, action, resource string, r *store.Record[body], cond map[string][]string) error {
	q := iam.Question{Principal: c.Principal, Action: action, Resource: resource, Owner: c.Account, Keys: map[string][]string{}}
	maps.Copy(q.Keys, c.Keys)
	maps.Copy(q.Keys, cond)
	if r != nil {
		q.Owner = r.Account
		q.Keys["secretsmanager:SecretId"] = []string{resource}
		for _, t := range r.Body.Tags {
			q.Keys["aws:ResourceTag/"+t.Key] = []string{t.Value}
			q.Keys["secretsmanager:ResourceTag/"+t.Key] = []string{t.Value}
		}
		if r.Body.Policy != "" {
			p, err := policy.Parse(r.Body.Policy, policy.Resource)
			if err != nil {
				return fmt.Errorf("read the policy of secret %s: %w", r.ID, err)
			}
			q.ResourcePolicies = []*policy.Policy{p}
		}
	}
	return s.policies.Allow(&q)
}

// find resolves a secret's name, ARN, or ARN without its ending, and asks for
// action on it. A caller who may not is not told whether it is there.
func (s *Service) find(tx *store.Tx, c kms.Caller, id, action string, cond map[string][]string) (store.Record[body], error) {
	r, err := lookup(tx, c, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	if err != nil {
		resource := id
		if !strings.HasPrefix(id, "arn:") {
			resource = secretARN(c.Account, c.Region, id)
		}
		if err := s.ask(c, action, resource, nil, cond); err != nil {
			return r, err
		}
		return r, notFound()
	}
	return r, s.ask(c, action, secretARN(r.Account, r.Region, r.ID), &r, cond)
}

func lookup(tx *store.Tx, c kms.Caller, id string) (store.Record[body], error) {
	at := store.Key{Account: c.Account, Region: c.Region}
	if !strings.HasPrefix(id, "arn:") {
		return alive(secrets.ByName(tx, at, id))(tx)
	}
	a, err := arn.Parse(id)
	rest, ok := strings.CutPrefix(a.Resource, "secret:")
	if err != nil || !ok || a.Service != "secretsmanager" || a.Region != c.Region {
		return store.Record[body]{}, store.ErrNotFound
	}
	at.Account, at.ID = a.Account, rest
	r, err := secrets.Get(tx, at)
	if errors.Is(err, store.ErrNotFound) {
		r, err = secrets.ByName(tx, at, rest)
	}
	return alive(r, err)(tx)
}

// alive passes over a secret whose time is over although no sweep has come by.
func alive(r store.Record[body], err error) func(*store.Tx) (store.Record[body], error) {
	return func(tx *store.Tx) (store.Record[body], error) {
		if err == nil && !r.Body.Due.IsZero() && !r.Body.Due.After(tx.Now) {
			return store.Record[body]{}, store.ErrNotFound
		}
		return r, err
	}
}

func notFound() error {
	return apierr.New(apierr.ResourceNotFound, "Secrets Manager can't find the specified secret.")
}

func marked(r *store.Record[body]) error {
	if r.Body.Due.IsZero() {
		return nil
	}
	return apierr.New(InvalidRequest, "You can't perform this operation on the secret because it was marked for deletion.")
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

// CreateInput describes a secret. Value may be empty: a secret without versions.
type CreateInput struct {
	Name, Description, Type string
	Key                     string // any spelling of a key
	Token                   string // id of the first version; made when empty
	Value                   Value
	Tags                    []Tag
}

// Create makes a secret and answers the id of its first version, "" without one.
// A second call with the same token and value answers the first's outcome.
func (s *Service) Create(ctx context.Context, c kms.Caller, in CreateInput) (Secret, string, error) {
	if !namePattern.MatchString(in.Name) {
		return Secret{}, "", apierr.New(InvalidParameter, "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if err := in.Value.check(); err != nil {
		return Secret{}, "", err
	}
	cond := tagConditions(in.Tags)
	cond["secretsmanager:Name"], cond["secretsmanager:Description"] = []string{in.Name}, []string{in.Description}
	if in.Key != "" {
		cond["secretsmanager:KmsKeyId"] = []string{in.Key}
	}
	random := make([]byte, 22)
	if _, err := io.ReadFull(s.random, random); err != nil {
		return Secret{}, "", fmt.Errorf("read random bytes: %w", err)
	}
	id := in.Name + "-" + letters(random[:6])
	if err := s.ask(c, "secretsmanager:CreateSecret", secretARN(c.Account, c.Region, in.Name), nil, cond); err != nil {
		return Secret{}, "", err
	}
	if len(in.Tags) > 0 {
		if err := s.ask(c, "secretsmanager:TagResource", secretARN(c.Account, c.Region, in.Name), nil, cond); err != nil {
			return Secret{}, "", err
		}
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return Secret{}, "", err
	}
	key, err := s.keyOf(ctx, c, in.Key)
	if err != nil {
		return Secret{}, "", err
	}
	token := cmp.Or(in.Token, uuid([16]byte(random[6:])))
	if !in.Value.given() {
		token = ""
	}
	var out store.Record[body]
	at := secretARN(c.Account, c.Region, id)
	err = s.store.Update(as(ctx, c, at, token), func(tx *store.Tx) error {
		old, err := secrets.ByName(tx, store.Key{Account: c.Account, Region: c.Region}, in.Name)
		switch {
		case err == nil && !old.Body.Due.IsZero() && !old.Body.Due.After(tx.Now):
			if err := drop(tx, old); err != nil {
				return err
			}
		case err == nil && !old.Body.Due.IsZero():
			return apierr.New(InvalidRequest, "You can't create this secret because a secret with this name is already scheduled for deletion.")
		case err == nil:
			if same(tx, &old, in.Token, in.Value) {
				out = old
				return nil
			}
			return apierr.New(Exists, "The operation failed because the secret %s already exists.", in.Name)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		b := body{Description: in.Description, Type: in.Type, Key: key, Tags: tags, Changed: tx.Now}
		out, err = secrets.Create(tx, store.Key{Account: c.Account, Region: c.Region, ID: id}, b, store.Columns{Name: in.Name})
		if err != nil || token == "" {
			return err
		}
		if err := add(tx, &out, token, in.Value, []string{Current}); err != nil {
			return err
		}
		out, err = secrets.Put(tx, out)
		return err
	})
	if err != nil {
		return Secret{}, "", public(err, EncryptionFailure)
	}
	return of(out), token, nil
}

// same reports whether token names a version with this value.
func same(tx *store.Tx, r *store.Record[body], token string, v Value) bool {
	if token == "" || r.Body.Versions[token] == nil {
		return false
	}
	have, err := versions.Get(tx, store.Key{Account: r.Account, Region: r.Region, Parent: r.ID, ID: token})
	return err == nil && have.Body.equal(v)
}

// keyOf resolves a key for new versions; AWS's managed key is the house's own.
func (s *Service) keyOf(ctx context.Context, c kms.Caller, name string) (string, error) {
	if name == "" || name == "alias/aws/secretsmanager" {
		return "", nil
	}
	if s.keys == nil {
		return "", apierr.New(InvalidParameter, "Secrets cannot have keys of their own here: the key service is not there.")
	}
	c.Via = via(c)
	k, err := s.keys.DescribeKey(ctx, c, name)
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		// Who may encrypt need not be allowed to describe; AWS asks for the former only.
		if e.Kind == apierr.AccessDenied && strings.HasPrefix(name, "arn:") && strings.Contains(name, ":key/") {
			return name, nil
		}
		return "", apierr.Wrap(EncryptionFailure, err, "Secrets Manager can't encrypt the protected secret text using the provided KMS key. %s", e.Message)
	}
	if err != nil {
		return "", err
	}
	return k.ARN(), nil
}

func via(c kms.Caller) string { return "secretsmanager." + c.Region + ".amazonaws.com" }

// as has the values of a secret sealed and opened in the caller's name.
func as(ctx context.Context, c kms.Caller, secret, version string) context.Context {
	c.Via = via(c)
	return kms.As(ctx, kms.Asking{Caller: c, Context: map[string]string{"SecretARN": secret, "SecretVersionId": version}})
}

// public turns what KMS refuses into Secrets Manager's errors.
func public(err error, failure apierr.Kind) error {
	if !errors.Is(err, store.ErrSealed) {
		return err
	}
	what := "encrypt"
	if failure == DecryptionFailure {
		what = "decrypt"
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if ok && e.Kind == apierr.AccessDenied {
		return apierr.Wrap(apierr.AccessDenied, err, "Access to KMS is not allowed")
	}
	text := "Secrets Manager can't " + what + " the protected secret text using the provided KMS key."
	if ok {
		text += " " + e.Message
	}
	return apierr.Wrap(failure, err, "%s", text)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func letters(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = alphabet[int(c)%len(alphabet)]
	}
	return string(out)
}

func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562, version 4
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func tagConditions(tags []Tag) map[string][]string {
	out := map[string][]string{}
	for _, t := range tags {
		out["aws:RequestTag/"+t.Key] = []string{t.Value}
		out["aws:TagKeys"] = append(out["aws:TagKeys"], t.Key)
	}
	return out
}

func mergeTags(have, more []Tag) ([]Tag, error) {
	out := slices.Clone(have)
	for _, t := range more {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, apierr.New(InvalidParameter, "Tag keys can't start with aws:.")
		}
		if i := slices.IndexFunc(out, func(h Tag) bool { return h.Key == t.Key }); i >= 0 {
			out[i] = t
			continue
		}
		out = append(out, t)
	}
	if len(out) > maxTags {
		return nil, apierr.New(InvalidParameter, "A secret can have %d tags.", maxTags)
	}
	slices.SortFunc(out, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}
