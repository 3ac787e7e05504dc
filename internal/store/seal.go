package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Sealer is the envelope-encryption hook: every body passes through it on its way
// to the disk and back. keyARN is empty for the house's own key, else the ARN of
// the customer key that must wrap this record. aad binds the bytes to their row.
//
// Seal must not be deterministic. Open answers an error that wraps ErrSealed when
// the key is disabled, deleted or refused, and any other error for damaged bytes.
// A Sealer keeps no data keys between calls.
type Sealer interface {
	Seal(ctx context.Context, keyARN string, aad, plain []byte) ([]byte, error)
	Open(ctx context.Context, keyARN string, aad, sealed []byte) ([]byte, error)
}

// KeyIdentifier is a Sealer that can name its root key. The name is kept in the
// database, so that a data folder with the wrong root.key is refused at start and
// not at the first read.
type KeyIdentifier interface{ KeyID() string }

// RootKeyFile is the name of the local root key in the data folder.
const RootKeyFile = "root.key"

const (
	rootKeyLen  = 32
	saltLen     = 24
	keyIDLen    = 8
	sealFormat1 = 1
	sealHead    = 1 + keyIDLen + saltLen
	sealInfo    = "outcrop store body v1"
)

// LocalSealer seals with a root key that lies in a file of the data folder, mode
// 0600. Each blob has a key and nonce of its own, derived from the root key and 24
// random bytes by HKDF-SHA256 (RFC 5869), so no nonce is ever used twice under one
// key however many records are written; the cipher is AES-256-GCM.
//
//	blob = 1 | key id (8) | salt (24) | ciphertext and tag
//
// Customer keys (keyARN not empty) are not its business: it answers ErrSealed.
type LocalSealer struct {
	root [rootKeyLen]byte
	id   [keyIDLen]byte
}

var (
	_ Sealer        = (*LocalSealer)(nil)
	_ KeyIdentifier = (*LocalSealer)(nil)
)

// OpenLocalSealer reads dir/root.key and makes it if there is none. A key that
// others can read is refused, and one that is not kept in clear: see OpenRoot.
func OpenLocalSealer(dir string) (*LocalSealer, error) {
	return OpenRoot(context.Background(), RootConfig{Dir: dir})
}

// NewLocalSealer makes a sealer of a 32-byte root key.
func NewLocalSealer(root []byte) (*LocalSealer, error) {
	if len(root) != rootKeyLen {
		return nil, fmt.Errorf("root key has %d bytes, want %d", len(root), rootKeyLen)
	}
	s := &LocalSealer{root: [rootKeyLen]byte(root)}
	sum := sha256.Sum256(append([]byte("outcrop root key id\x00"), root...))
	s.id = [keyIDLen]byte(sum[:])
	return s, nil
}

// KeyID names the root key without telling it.
func (s *LocalSealer) KeyID() string { return hex.EncodeToString(s.id[:]) }

// Seal seals plain under a key of its own.
func (s *LocalSealer) Seal(_ context.Context, keyARN string, aad, plain []byte) ([]byte, error) {
	if keyARN != "" {
		return nil, fmt.Errorf("%w: no key service is configured for %s", ErrSealed, keyARN)
	}
	out := make([]byte, sealHead, sealHead+len(plain)+16)
	out[0] = sealFormat1
	copy(out[1:], s.id[:])
	_, _ = rand.Read(out[1+keyIDLen : sealHead]) // crypto/rand never fails
	aead, nonce, err := s.cipher(out[1+keyIDLen : sealHead])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce, plain, aad), nil
}

// Open opens what Seal made for the same aad.
func (s *LocalSealer) Open(_ context.Context, keyARN string, aad, sealed []byte) ([]byte, error) {
	if keyARN != "" {
		return nil, fmt.Errorf("%w: no key service is configured for %s", ErrSealed, keyARN)
	}
	if len(sealed) < sealHead || sealed[0] != sealFormat1 {
		return nil, errors.New("sealed body is damaged: unknown format")
	}
	if [keyIDLen]byte(sealed[1:]) != s.id {
		return nil, fmt.Errorf("%w: body was sealed with root key %x", ErrWrongKey, sealed[1:1+keyIDLen])
	}
	aead, nonce, err := s.cipher(sealed[1+keyIDLen : sealHead])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, sealed[sealHead:], aad)
	if err != nil {
		return nil, errors.New("sealed body is damaged or belongs to another row")
	}
	return plain, nil
}

func (s *LocalSealer) cipher(salt []byte) (cipher.AEAD, []byte, error) {
	key, err := hkdf.Key(sha256.New, s.root[:], salt, sealInfo, rootKeyLen+12)
	if err != nil {
		return nil, nil, fmt.Errorf("derive record key: %w", err)
	}
	block, err := aes.NewCipher(key[:rootKeyLen])
	if err != nil {
		return nil, nil, fmt.Errorf("derive record key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, fmt.Errorf("derive record key: %w", err)
	}
	return aead, key[rootKeyLen:], nil
}

// bind joins parts with their lengths, so that no two lists give the same bytes.
func bind(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p) + 2
	}
	out := make([]byte, 0, n)
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
