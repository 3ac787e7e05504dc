package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
)

// Prefixes of unique IDs.
const (
	prefixAccessKey = "AKIA"
	prefixSession   = "ASIA"
	prefixUser      = "AIDA"
	prefixRole      = "AROA"
	prefixGroup     = "AGPA"
	prefixPolicy    = "ANPA"
	prefixBearer    = "ABSK"
)

// newKeyID makes an access key ID that names its account as AWS's do: ten bytes
// in base32, of which bits 1 to 40 are the account, so tools that read the
// account from a key find the right one.
func newKeyID(random io.Reader, prefix, account string) (string, error) {
	var b [10]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make an access key ID: %w", err)
	}
	n, err := strconv.ParseUint(account, 10, 40)
	if err != nil {
		return "", fmt.Errorf("%w: account %q", ErrInvalid, account)
	}
	n = 1<<47 | n<<7 | uint64(b[5])&0x7f
	for i := range 6 {
		b[i] = byte(n >> (8 * (5 - i)))
	}
	return prefix + base32.StdEncoding.EncodeToString(b[:]), nil
}

// AccountOf reads the account from an access key ID made by newKeyID or by AWS
// since 2019.
func AccountOf(accessKeyID string) (string, bool) {
	if len(accessKeyID) != 20 {
		return "", false
	}
	b, err := base32.StdEncoding.DecodeString(accessKeyID[4:])
	if err != nil {
		return "", false
	}
	var n uint64
	for _, c := range b[:6] {
		n = n<<8 | uint64(c)
	}
	if n&(1<<47) == 0 {
		return "", false
	}
	return fmt.Sprintf("%012d", n>>7&(1<<40-1)), true
}

// newUniqueID makes a unique ID with 17 characters after the prefix.
func newUniqueID(random io.Reader, prefix string) (string, error) {
	var b [11]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a unique ID: %w", err)
	}
	return prefix + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])[:17], nil
}

// newSecret makes a secret access key: 30 random bytes, 40 characters.
func newSecret(random io.Reader) (Secret, error) {
	var b [30]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return Secret(base64.StdEncoding.EncodeToString(b[:])), nil
}

// newToken makes a session token and its hash.
func newToken(random io.Reader) (Secret, [32]byte, error) {
	b := make([]byte, 192)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", [32]byte{}, fmt.Errorf("make a session token: %w", err)
	}
	t := base64.StdEncoding.EncodeToString(b)
	return Secret(t), sha256.Sum256([]byte(t)), nil
}

// newBearer makes a long-term bearer key: ABSK and base64 of ID:secret, where
// the ID is NAME-at-ACCOUNT.
func newBearer(random io.Reader, account string) (id string, token Secret, hash [32]byte, err error) {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	name := make([]byte, 8)
	if _, err := io.ReadFull(random, name); err != nil {
		return "", "", [32]byte{}, fmt.Errorf("make a bearer key: %w", err)
	}
	for i := range name {
		name[i] = letters[int(name[i])%len(letters)]
	}
	id = "BedrockAPIKey-" + string(name) + "-at-" + account
	token, hash, err = newBearerToken(random, id)
	return id, token, hash, err
}

// newBearerToken makes the text of a long-term bearer key and its hash.
func newBearerToken(random io.Reader, id string) (Secret, [32]byte, error) {
	b := make([]byte, 41)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", [32]byte{}, fmt.Errorf("make a bearer key: %w", err)
	}
	t := prefixBearer + base64.StdEncoding.EncodeToString([]byte(id+":"+base64.StdEncoding.EncodeToString(b)))
	return Secret(t), sha256.Sum256([]byte(t)), nil
}
