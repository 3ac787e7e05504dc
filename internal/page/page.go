package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Default and Max are the page sizes of a list when the caller names none, and at
// most: the service models allow maxResults from 1 to 1000.
const (
	Default = 100
	Max     = 1000
)

// Clamp answers the page size for a maxResults: Default for none, Max at most.
func Clamp(maxResults int) int {
	switch {
	case maxResults <= 0:
		return Default
	case maxResults > Max:
		return Max
	}
	return maxResults
}

// Size is Clamp for an optional member.
func Size(maxResults *int32) int {
	if maxResults == nil {
		return Default
	}
	return Clamp(int(*maxResults))
}

// Few is the page size of the lists of bedrock-agent, whose programs in the guide page by
// ten; the service model bounds what a caller may name.
func Few(maxResults *int) int {
	if maxResults == nil {
		return 10
	}
	return *maxResults
}

// KeySize is the length of a Signer's key in bytes.
const KeySize = 32

// ErrToken says that the token is forged, damaged or belongs to another query.
var ErrToken = errors.New("page: invalid token")

// Signer makes and checks page tokens. The zero Signer refuses every token.
//
//	token = base64url( version | payload | HMAC-SHA256(key, version, len(binding), binding, payload) )
type Signer struct{ key []byte }

const tokenVersion = 1

// NewSigner makes a signer of a key of KeySize bytes.
func NewSigner(key []byte) (Signer, error) {
	if len(key) != KeySize {
		return Signer{}, fmt.Errorf("page: key has %d bytes, want %d", len(key), KeySize)
	}
	return Signer{key: append([]byte(nil), key...)}, nil
}

// Seal makes a token of payload. binding names everything that must be the same
// when the token comes back: account, region, operation, filter.
func (s Signer) Seal(binding, payload []byte) string {
	if s.key == nil {
		panic("BUG: page.Signer without a key")
	}
	out := make([]byte, 0, 1+len(payload)+sha256.Size)
	out = append(out, tokenVersion)
	out = append(out, payload...)
	out = append(out, s.mac(binding, payload)...)
	return base64.RawURLEncoding.EncodeToString(out)
}

// Open checks a token against its binding and answers the payload, or ErrToken.
func (s Signer) Open(binding []byte, token string) ([]byte, error) {
	// The decoder skips line ends; a token has exactly one spelling.
	if strings.ContainsAny(token, "\r\n") {
		return nil, ErrToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || s.key == nil || len(raw) < 1+sha256.Size || raw[0] != tokenVersion {
		return nil, ErrToken
	}
	payload, sum := raw[1:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if !hmac.Equal(sum, s.mac(binding, payload)) {
		return nil, ErrToken
	}
	return payload, nil
}

func (s Signer) mac(binding, payload []byte) []byte {
	m := hmac.New(sha256.New, s.key)
	var head [9]byte
	head[0] = tokenVersion
	binary.BigEndian.PutUint64(head[1:], uint64(len(binding)))
	m.Write(head[:])
	m.Write(binding)
	m.Write(payload)
	return m.Sum(nil)
}
