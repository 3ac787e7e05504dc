package kms

import (
	"context"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Use says with which key, and bound to what, a cryptographic operation works.
type Use struct {
	Key     string            // id, ARN or alias; may be "" to decrypt
	Context map[string]string // encryption context
	Tokens  []string          // grant tokens
	DryRun  bool              // check only: always answers an error
}

// enter finds the key of a cryptographic operation and checks permission and state.
func (s *Service) enter(c Caller, u *Use, action string, op Operation, cond map[string][]string) (*Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, err := s.state.find(c, u.Key, s.now())
	if err != nil {
		return nil, err
	}
	return k, s.admit(c, k, u, action, op, cond)
}

func (s *Service) admit(c Caller, k *Key, u *Use, action string, op Operation, cond map[string][]string) error {
	if err := s.tokens(u.Tokens); err != nil {
		return err
	}
	if err := s.allowKey(c, ask{action: action, key: k, op: op, context: u.Context, alias: u.Key, keys: cond}); err != nil {
		return err
	}
	return k.usable()
}

// Encrypt encrypts at most MaxEncrypt bytes.
func (s *Service) Encrypt(_ context.Context, c Caller, u Use, plain []byte) ([]byte, *Key, error) {
	if len(plain) > MaxEncrypt {
		return nil, nil, apierr.New(apierr.Validation, "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to %d", MaxEncrypt)
	}
	k, err := s.enter(c, &u, "kms:Encrypt", OpEncrypt, nil)
	if err != nil {
		return nil, nil, err
	}
	if u.DryRun {
		return nil, nil, dryRun()
	}
	b, err := sealBlob(s.random, k.raw, k.current(), u.Context, plain)
	return b, k, err
}

// Decrypted is the outcome of Decrypt.
type Decrypted struct {
	Plain    []byte
	Key      *Key
	Material string // id of the material that had encrypted
}

// Decrypt opens a ciphertext of any key and material. u.Key, when given, must be
// the key that made it.
func (s *Service) Decrypt(_ context.Context, c Caller, u Use, ciphertext []byte) (Decrypted, error) {
	return s.decrypt(c, u, ciphertext, "kms:Decrypt", OpDecrypt, nil)
}

func (s *Service) decrypt(c Caller, u Use, ciphertext []byte, action string, op Operation, cond map[string][]string) (Decrypted, error) {
	b, err := parseBlob(ciphertext)
	if err != nil && u.Key == "" {
		return Decrypted{}, badCiphertext()
	}
	k, refused := s.source(c, &u, &b, action, op, cond)
	switch {
	case refused != nil:
		return Decrypted{}, refused
	case err != nil:
		return Decrypted{}, badCiphertext()
	case k.raw != b.key:
		return Decrypted{}, wrongKey()
	case u.DryRun:
		return Decrypted{}, dryRun()
	}
	m := k.material(b.material)
	if m == nil {
		return Decrypted{}, badCiphertext()
	}
	plain, err := openBlob(&b, m, u.Context)
	if err != nil {
		return Decrypted{}, badCiphertext()
	}
	return Decrypted{plain, k, m.ID}, nil
}

// source finds the key of a ciphertext: the one the caller names, else the one the
// ciphertext names, in whatever account.
func (s *Service) source(c Caller, u *Use, b *blob, action string, op Operation, cond map[string][]string) (*Key, error) {
	if u.Key != "" {
		return s.enter(c, u, action, op, cond)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.state.keys[keyText(b.key)]
	if k == nil || k.Region() != c.Region || k.gone(s.now()) {
		return nil, foreignKey()
	}
	return k, s.admit(c, k, u, action, op, cond)
}

// DataKey is a key to encrypt with, outside of KMS.
type DataKey struct {
	Plain      []byte
	Ciphertext []byte
	Key        *Key
}

// GenerateDataKey makes a data key of n bytes, 1 to MaxDataKey. The plaintext of
// one made without is not handed out, which is another permission.
func (s *Service) GenerateDataKey(_ context.Context, c Caller, u Use, n int, without bool) (DataKey, error) {
	if n < 1 || n > MaxDataKey {
		return DataKey{}, apierr.New(apierr.Validation, "1 validation error detected: Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and %d", n, MaxDataKey)
	}
	action, op := "kms:GenerateDataKey", OpGenerateDataKey
	if without {
		action, op = "kms:GenerateDataKeyWithoutPlaintext", OpGenerateWithout
	}
	k, err := s.enter(c, &u, action, op, nil)
	if err != nil {
		return DataKey{}, err
	}
	if u.DryRun {
		return DataKey{}, dryRun()
	}
	out := DataKey{Key: k}
	if out.Plain, err = s.bytes(n); err != nil {
		return DataKey{}, err
	}
	if out.Ciphertext, err = sealBlob(s.random, k.raw, k.current(), u.Context, out.Plain); err != nil {
		return DataKey{}, err
	}
	if without {
		clear(out.Plain)
		out.Plain = nil
	}
	return out, nil
}

// ReEncrypted is the outcome of ReEncrypt.
type ReEncrypted struct {
	Ciphertext     []byte
	From, To       *Key
	SourceMaterial string
}

// ReEncrypt opens a ciphertext and encrypts the plaintext anew, without showing it.
func (s *Service) ReEncrypt(_ context.Context, c Caller, from Use, ciphertext []byte, to Use) (ReEncrypted, error) {
	b, err := parseBlob(ciphertext)
	if err != nil {
		return ReEncrypted{}, badCiphertext()
	}
	same := "false"
	s.mu.RLock()
	if k, err := s.state.find(c, to.Key, s.now()); err == nil && k.raw == b.key {
		same = "true"
	}
	s.mu.RUnlock()
	cond := map[string][]string{"kms:ReEncryptOnSameKey": {same}}
	dry := from.DryRun || to.DryRun
	from.DryRun = false
	d, err := s.decrypt(c, from, ciphertext, "kms:ReEncryptFrom", OpReEncryptFrom, cond)
	if err != nil {
		return ReEncrypted{}, err
	}
	defer clear(d.Plain)
	k, err := s.enter(c, &to, "kms:ReEncryptTo", OpReEncryptTo, cond)
	if err != nil {
		return ReEncrypted{}, err
	}
	if dry {
		return ReEncrypted{}, dryRun()
	}
	out, err := sealBlob(s.random, k.raw, k.current(), to.Context, d.Plain)
	return ReEncrypted{out, d.Key, k, d.Material}, err
}

// GenerateRandom answers n random bytes, 1 to 1024.
func (s *Service) GenerateRandom(_ context.Context, c Caller, n int) ([]byte, error) {
	if err := s.allowIdentity(c, "kms:GenerateRandom", "", nil); err != nil {
		return nil, err
	}
	if n < 1 || n > MaxDataKey {
		return nil, apierr.New(apierr.Validation, "1 validation error detected: Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and %d", n, MaxDataKey)
	}
	return s.bytes(n)
}
