package embedded

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

const (
	dataKeyLen = 32
	nonceLen   = 12
	tagLen     = 16
)

// keyAAD binds a data key to its index.
func keyAAD(n vector.Name) []byte {
	return vector.Bind("vector index", n.Account, n.Region, n.ID)
}

// vault seals and opens the blocks of one index with its data key.
type vault struct {
	aead cipher.AEAD
	name vector.Name
}

// unlock opens the data key, in the name of whoever ctx speaks for.
func unlock(ctx context.Context, s vector.Sealer, n vector.Name, keyARN string, wrapped []byte) (*vault, error) {
	key, err := s.Open(ctx, keyARN, keyAAD(n), wrapped)
	if err != nil {
		return nil, fmt.Errorf("open the data key of index %s: %w", n, err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: the data key: %w", vector.ErrCorrupt, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("%w: the data key: %w", vector.ErrCorrupt, err)
	}
	return &vault{aead, n}, nil
}

// Kinds of blocks; they are part of what a block is bound to.
const (
	bodyBlock    = "body"
	columnsBlock = "columns"
	vectorsBlock = "vectors"
	termsBlock   = "terms"
)

// aad binds a block to its place: the id of a chunk, or a part of a document.
func (v *vault) aad(kind, owner string, part int) []byte {
	return vector.Bind(kind, v.name.Account, v.name.Region, v.name.ID, owner, strconv.Itoa(part))
}

// seal makes nonce | ciphertext | tag.
func (v *vault) seal(plain []byte, kind, owner string, part int) []byte {
	out := make([]byte, nonceLen, nonceLen+len(plain)+tagLen)
	_, _ = rand.Read(out) // crypto/rand never fails
	return v.aead.Seal(out, out, plain, v.aad(kind, owner, part))
}

// open answers the plain block, in buf if it fits there.
func (v *vault) open(buf, sealed []byte, kind, owner string, part int) ([]byte, error) {
	if len(sealed) < nonceLen+tagLen {
		return nil, fmt.Errorf("%w: a %s block is cut off", vector.ErrCorrupt, kind)
	}
	plain, err := v.aead.Open(buf[:0], sealed[:nonceLen], sealed[nonceLen:], v.aad(kind, owner, part))
	if err != nil {
		return nil, fmt.Errorf("%w: a %s block does not open", vector.ErrCorrupt, kind)
	}
	return plain, nil
}

var errBlock = errors.New("a block does not hold what it should")
