package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Local seals what has no customer key, the keys of this package among it.
type Local interface {
	store.Sealer
	store.KeyIdentifier
}

// Sealer is the store's sealer. Without a customer key it is Local; with one it is
// an envelope, a data key of its own for each record:
//
//	2 | length, encryption context | length, wrapped data key | AES-256-GCM ciphertext and tag
//
// The data key encrypts once, so its nonce is zero. All that stands before the
// ciphertext is authenticated with it, and so is the row that the record belongs to.
//
// Who asks is the caller of the running request, checked as AWS checks it for its
// own services (kms:GenerateDataKey to seal, kms:Decrypt to open, kms:ViaService
// set), or whom As put into the context. Where nobody asks, nothing is allowed.
type Sealer struct {
	local    Local
	contexts map[string]func(Row) map[string]string
	service  atomic.Pointer[Service]
}

var (
	_ store.Sealer        = (*Sealer)(nil)
	_ store.KeyIdentifier = (*Sealer)(nil)
)

const envelopeFormat = 2

// Row is what a sealed record of the store's resource table belongs to.
type Row struct{ Account, Region, Kind, Parent, ID, Version string }

// ARN names a bedrock resource of the row's account and Region.
func (r Row) ARN(resource string) string {
	return arn.New("bedrock", r.Region, r.Account, resource).String()
}

// Contexts are the encryption contexts that the documentation gives to records, by
// kind. The records of an agent carry its ARN; what is not here carries none.
func Contexts() map[string]func(Row) map[string]string {
	own := func(r Row) map[string]string { return map[string]string{AgentContextKey: r.ARN("agent/" + r.ID)} }
	inside := func(r Row) map[string]string { return map[string]string{AgentContextKey: r.ARN("agent/" + r.Parent)} }
	return map[string]func(Row) map[string]string{
		"agent": own, "agent-alias": inside, "agent-action-group": inside, "agent-knowledge-base": inside, "agent-collaborator": inside, "agent-package": inside, "agent-memory": inside,
	}
}

// AgentContextKey is the one key of the encryption context of an agent's records
// and sessions; its value is the agent's ARN.
const AgentContextKey = "aws:bedrock:arn"

// NewSealer makes a sealer that opens what Local sealed, and nothing else until
// Use. contexts may be nil: no record has an encryption context by itself.
func NewSealer(local Local, contexts map[string]func(Row) map[string]string) *Sealer {
	return &Sealer{local: local, contexts: contexts}
}

// Use gives the sealer its key service, which needs the store and so comes after it.
func (s *Sealer) Use(service *Service) { s.service.Store(service) }

// KeyID names the local root key.
func (s *Sealer) KeyID() string { return s.local.KeyID() }

// Asking says in whose name records are sealed and opened.
type Asking struct {
	Caller
	// Else is asked for where the key does not allow Caller: a service that may use the
	// key itself, or for whoever called it.
	Else *Caller
	// Context is the encryption context of what is sealed, instead of the row's.
	Context map[string]string
	// House passes over permissions: the work of the house itself, for which nobody
	// asks. A key that is disabled or gone refuses all the same.
	House bool
}

type askingKey struct{}

// As returns ctx in which records are sealed and opened in a's name: a job's role,
// a service that reads for its caller.
func As(ctx context.Context, a Asking) context.Context { return context.WithValue(ctx, askingKey{}, a) }

// Within returns ctx in which records are sealed and opened in the same name, with
// another encryption context.
func Within(ctx context.Context, encryption map[string]string) context.Context {
	a, _ := ctx.Value(askingKey{}).(Asking)
	a.Context = encryption
	return As(ctx, a)
}

func asking(ctx context.Context, region string) Asking {
	a, _ := ctx.Value(askingKey{}).(Asking)
	if a.Principal == nil && a.Service == "" && !a.House {
		via := a.Via
		a.Caller = CallerOf(ctx)
		a.Via = via
		if via == "" { // the service that was called uses the key for its caller
			name := call.From(ctx).Service
			if name == "" || strings.HasPrefix(name, "bedrock") {
				name = "bedrock"
			}
			a.Via = name + "." + region + ".amazonaws.com"
		}
	}
	a.Region = region
	if a.Else != nil {
		other := *a.Else
		other.Region = region
		a.Else = &other
	}
	return a
}

// Seal seals plain for the row that aad names.
func (s *Sealer) Seal(ctx context.Context, keyARN string, aad, plain []byte) ([]byte, error) {
	if keyARN == "" {
		return s.local.Seal(ctx, keyARN, aad, plain)
	}
	service, at, err := s.customer(keyARN)
	if err != nil {
		return nil, err
	}
	a := asking(ctx, at.Region)
	u := Use{Key: keyARN, Context: a.Context}
	if u.Context == nil {
		u.Context = s.contextOf(aad)
	}
	dk, err := service.dataKey(ctx, a, u)
	if err != nil {
		return nil, refuse(err)
	}
	defer clear(dk.Plain)
	aead, err := dataCipher(dk.Plain)
	if err != nil {
		return nil, err
	}
	enc := appendContext(nil, u.Context)
	out := make([]byte, 1, 1+2*binary.MaxVarintLen32+len(enc)+len(dk.Ciphertext)+len(plain)+aead.Overhead())
	out[0] = envelopeFormat
	out = append(binary.AppendUvarint(out, uint64(len(enc))), enc...)
	out = append(binary.AppendUvarint(out, uint64(len(dk.Ciphertext))), dk.Ciphertext...)
	//nolint:gosec // the key is fresh for this record and seals nothing else, so a fixed nonce is never met twice
	return aead.Seal(out, make([]byte, aead.NonceSize()), plain, bound(out, aad)), nil
}

// Open opens what Seal made for the same row.
func (s *Sealer) Open(ctx context.Context, keyARN string, aad, sealed []byte) ([]byte, error) {
	if keyARN == "" {
		return s.local.Open(ctx, keyARN, aad, sealed)
	}
	service, at, err := s.customer(keyARN)
	if err != nil {
		return nil, err
	}
	enc, wrapped, head, rest, ok := cutEnvelope(sealed)
	if !ok {
		return nil, errDamaged
	}
	d, err := service.unwrap(ctx, asking(ctx, at.Region), Use{Key: keyARN, Context: enc}, wrapped)
	if err != nil {
		return nil, refuse(err)
	}
	defer clear(d)
	aead, err := dataCipher(d)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), rest, bound(head, aad))
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

var errDamaged = errors.New("sealed body is damaged or belongs to another row")

func (s *Sealer) customer(keyARN string) (*Service, arn.ARN, error) {
	service := s.service.Load()
	if service == nil {
		return nil, arn.ARN{}, fmt.Errorf("%w: the key service has not started, so %s cannot be used", store.ErrSealed, keyARN)
	}
	at, err := arn.Parse(keyARN)
	if err != nil {
		return nil, arn.ARN{}, fmt.Errorf("%w: %w", store.ErrSealed, err)
	}
	return service, at, nil
}

// refuse makes ErrSealed of what KMS refuses, and leaves damage what it is.
func refuse(err error) error {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		if e.Kind == InvalidCiphertext || e.Kind == IncorrectKey {
			return errDamaged
		}
		return fmt.Errorf("%w: %w", store.ErrSealed, err)
	}
	return err
}

// Failure words what a store answered about a resource: the refusal of a key, then as
// store.Failure does. What was worded where it arose passes, as does what is no answer
// about a resource.
func Failure(err error, missing, busy string) error {
	if r := Refusal(err); r != nil {
		return r
	}
	if _, ok := errors.AsType[*apierr.Error](err); ok {
		return err
	}
	if e := store.Failure(err, missing, busy); e != nil {
		return e
	}
	return err
}

// Public words the refusal of a key; other errors pass.
func Public(err error) error {
	if r := Refusal(err); r != nil {
		return r
	}
	return err
}

// Refusal answers what a caller is told about a record that does not open or seal:
// AccessDenied with KMS's reason. It is nil for any other error.
func Refusal(err error) *apierr.Error {
	if !errors.Is(err, store.ErrSealed) {
		return nil
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return &apierr.Error{Kind: apierr.AccessDenied, Message: e.Message, Err: err}
	}
	return &apierr.Error{Kind: apierr.AccessDenied, Message: "The key of this resource cannot be used.", Err: err}
}

func dataCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher of a record: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make the cipher of a record: %w", err)
	}
	return aead, nil
}

// bound joins the head of an envelope and its row; the head tells its own length.
func bound(head, aad []byte) []byte {
	return append(append(make([]byte, 0, len(head)+len(aad)), head...), aad...)
}

func cutEnvelope(b []byte) (enc map[string]string, wrapped, head, rest []byte, ok bool) {
	if len(b) < 1 || b[0] != envelopeFormat {
		return nil, nil, nil, nil, false
	}
	text, after, ok := cutText(b[1:])
	if !ok {
		return nil, nil, nil, nil, false
	}
	if enc, ok = readContext([]byte(text)); !ok {
		return nil, nil, nil, nil, false
	}
	key, rest, ok := cutText(after)
	if !ok {
		return nil, nil, nil, nil, false
	}
	return enc, []byte(key), b[:len(b)-len(rest)], rest, true
}

// contextOf reads the row out of the store's additional data and answers the
// encryption context of its kind.
func (s *Sealer) contextOf(aad []byte) map[string]string {
	if s.contexts == nil {
		return nil
	}
	var parts [8]string
	n := 0
	for ; len(aad) > 0; n++ {
		var ok bool
		if n == len(parts) {
			return nil
		}
		if parts[n], aad, ok = cutText(aad); !ok {
			return nil
		}
	}
	if n != 7 || parts[0] != "resource" {
		return nil
	}
	r := Row{parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]}
	if f := s.contexts[r.Kind]; f != nil {
		return f(r)
	}
	return nil
}

func (s *Service) dataKey(ctx context.Context, a Asking, u Use) (DataKey, error) {
	if !a.House {
		dk, err := s.GenerateDataKey(ctx, a.Caller, u, 32, false)
		if a.Else != nil && apierr.KindOf(err) == apierr.AccessDenied {
			return s.GenerateDataKey(ctx, *a.Else, u, 32, false)
		}
		return dk, err
	}
	k, err := s.housed(u.Key, a.Region)
	if err != nil {
		return DataKey{}, err
	}
	out := DataKey{Key: k}
	if out.Plain, err = s.bytes(32); err != nil {
		return DataKey{}, err
	}
	out.Ciphertext, err = sealBlob(s.random, k.raw, k.current(), u.Context, out.Plain)
	return out, err
}

func (s *Service) unwrap(ctx context.Context, a Asking, u Use, wrapped []byte) ([]byte, error) {
	if !a.House {
		d, err := s.Decrypt(ctx, a.Caller, u, wrapped)
		if a.Else != nil && apierr.KindOf(err) == apierr.AccessDenied {
			d, err = s.Decrypt(ctx, *a.Else, u, wrapped)
		}
		return d.Plain, err
	}
	k, err := s.housed(u.Key, a.Region)
	if err != nil {
		return nil, err
	}
	b, err := parseBlob(wrapped)
	if err != nil || b.key != k.raw {
		return nil, badCiphertext()
	}
	m := k.material(b.material)
	if m == nil {
		return nil, badCiphertext()
	}
	plain, err := openBlob(&b, m, u.Context)
	if err != nil {
		return nil, badCiphertext()
	}
	return plain, nil
}

// housed finds a key for the house itself.
func (s *Service) housed(keyARN, region string) (*Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, err := s.state.find(Caller{Region: region}, keyARN, s.now())
	if err != nil {
		return nil, err
	}
	return k, k.usable()
}
