package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// A ciphertext is
//
//	format 1 (1) | key id (16) | material id (32) | salt (24) | AES-256-GCM ciphertext and tag
//
// The cipher's key and nonce are HKDF-SHA256 (RFC 5869) of the material with the
// salt, so that no pair of key and nonce comes twice however much a key encrypts.
// Everything before the ciphertext, and the encryption context in canonical form,
// is authenticated with it.
const (
	blobFormat   = 1
	keyIDLen     = 16
	materialLen  = 32
	saltLen      = 24
	blobHead     = 1 + keyIDLen + materialLen + saltLen
	blobOverhead = blobHead + 16
	// maxBlob is the largest CiphertextBlob of the service model.
	maxBlob  = 6144
	blobInfo = "outcrop kms blob v1"
)

// blob is a ciphertext taken apart; its parts share the ciphertext's memory.
type blob struct {
	key      [keyIDLen]byte
	material [materialLen]byte
	head     []byte // all before the sealed bytes
	sealed   []byte
}

// errBlob is every failure to read or open a ciphertext.
var errBlob = errors.New("kms: not a ciphertext of ours, or altered")

func parseBlob(b []byte) (blob, error) {
	if len(b) < blobOverhead || len(b) > maxBlob || b[0] != blobFormat {
		return blob{}, errBlob
	}
	return blob{
		key: [keyIDLen]byte(b[1:]), material: [materialLen]byte(b[1+keyIDLen:]),
		head: b[:blobHead:blobHead], sealed: b[blobHead:],
	}, nil
}

// sealBlob encrypts plain with a material of key id.
func sealBlob(random io.Reader, id [keyIDLen]byte, m *Material, context map[string]string, plain []byte) ([]byte, error) {
	out := make([]byte, blobHead, blobOverhead+len(plain))
	out[0] = blobFormat
	copy(out[1:], id[:])
	copy(out[1+keyIDLen:], m.raw[:])
	if _, err := io.ReadFull(random, out[1+keyIDLen+materialLen:]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	aead, nonce, err := blobCipher(m, out[1+keyIDLen+materialLen:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce, plain, appendContext(out[:blobHead:blobHead], context)), nil
}

func openBlob(b *blob, m *Material, context map[string]string) ([]byte, error) {
	aead, nonce, err := blobCipher(m, b.head[1+keyIDLen+materialLen:])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, b.sealed, appendContext(b.head, context))
	if err != nil {
		return nil, errBlob
	}
	return plain, nil
}

func blobCipher(m *Material, salt []byte) (cipher.AEAD, []byte, error) {
	key, err := hkdf.Key(sha256.New, m.Key, salt, blobInfo, 32+12)
	if err != nil {
		return nil, nil, fmt.Errorf("derive message key: %w", err)
	}
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		return nil, nil, fmt.Errorf("derive message key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, fmt.Errorf("derive message key: %w", err)
	}
	return aead, key[32:], nil
}

// appendContext appends an encryption context in canonical form: pairs in the
// order of their keys, each text with its length, so that no two contexts give the
// same bytes. An empty context is no context.
func appendContext(out []byte, context map[string]string) []byte {
	for _, k := range slices.Sorted(maps.Keys(context)) {
		out = binary.AppendUvarint(out, uint64(len(k)))
		out = append(out, k...)
		out = binary.AppendUvarint(out, uint64(len(context[k])))
		out = append(out, context[k]...)
	}
	return out
}

// readContext reads what appendContext wrote. That it is canonical need not be
// looked at: whoever reads it authenticates the bytes as they stand.
func readContext(b []byte) (map[string]string, bool) {
	var out map[string]string
	for len(b) > 0 {
		k, rest, ok := cutText(b)
		if !ok {
			return nil, false
		}
		v, rest, ok := cutText(rest)
		if !ok {
			return nil, false
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k], b = v, rest
	}
	return out, true
}

func cutText(b []byte) (string, []byte, bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return "", nil, false
	}
	return string(b[w : w+int(n)]), b[w+int(n):], true
}

// keyBytes turns a key id, a UUID, to its 16 bytes.
func keyBytes(id string) (out [keyIDLen]byte, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return out, false
	}
	n, err := hex.Decode(out[:], []byte(id[:8]+id[9:13]+id[14:18]+id[19:23]+id[24:]))
	return out, err == nil && n == keyIDLen
}

func keyText(b [keyIDLen]byte) string {
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
