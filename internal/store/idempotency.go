package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// TokenLife is how long a client token answers with its first result
// (decision 4 of docs/decisions: 24 hours).
const TokenLife = 24 * time.Hour

// Token is a client token of one operation.
type Token struct {
	Account, Region string
	// Operation is the wire name, so that one token may serve two operations.
	Operation string
	// Value is the caller's token; empty means the call has none.
	Value string
}

// Idempotent runs do once for a token. The first result is stored with the
// transaction that made it; a repeat within TokenLife answers that result without
// running do, and a repeat with another request is ErrTokenMismatch. request must
// encode to the same JSON each time, so leave the token itself out of it. A failed
// do stores nothing. Without a token do always runs.
func Idempotent[T any](tx *Tx, token Token, request any, do func() (T, error)) (T, error) {
	var zero T
	if token.Value == "" {
		return do()
	}
	plain, err := json.Marshal(request)
	if err != nil {
		return zero, fmt.Errorf("hash request of %s: %w", token.Operation, err)
	}
	sum := sha256.Sum256(plain)
	key := []any{token.Account, token.Region, token.Operation, token.Value}
	identity := []string{"idempotency", token.Account, token.Region, token.Operation, token.Value}

	var hash, sealed []byte
	var expires int64
	err = tx.QueryRow(`SELECT request_hash, response, expires FROM idempotency
		WHERE account = ? AND region = ? AND operation = ? AND token = ?`, key, &hash, &sealed, &expires)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return zero, fmt.Errorf("look up client token of %s: %w", token.Operation, err)
	case expires > micros(tx.Now):
		if !bytes.Equal(hash, sum[:]) {
			return zero, fmt.Errorf("%s: %w", token.Operation, ErrTokenMismatch)
		}
		b, err := tx.Unseal("", identity, sealed)
		if err != nil {
			return zero, fmt.Errorf("open stored result of %s: %w", token.Operation, err)
		}
		var out T
		if err := json.Unmarshal(b, &out); err != nil {
			return zero, fmt.Errorf("decode stored result of %s: %w", token.Operation, err)
		}
		return out, nil
	}

	out, err := do()
	if err != nil {
		return out, err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return zero, fmt.Errorf("encode result of %s: %w", token.Operation, err)
	}
	if sealed, err = tx.Seal("", identity, b); err != nil {
		return zero, fmt.Errorf("seal result of %s: %w", token.Operation, err)
	}
	_, err = tx.Exec(`INSERT INTO idempotency (account, region, operation, token, request_hash, response, expires)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, region, operation, token)
		DO UPDATE SET request_hash = excluded.request_hash, response = excluded.response, expires = excluded.expires`,
		append(key, sum[:], sealed, micros(tx.Now.Add(TokenLife)))...)
	if err != nil {
		return zero, fmt.Errorf("store result of %s: %w", token.Operation, err)
	}
	return out, nil
}

// SweepTokens removes expired client tokens, at most limit, and answers how many.
func (tx *Tx) SweepTokens(limit int) (int64, error) {
	n, err := tx.Exec(`DELETE FROM idempotency WHERE (account, region, operation, token) IN
		(SELECT account, region, operation, token FROM idempotency WHERE expires <= ? LIMIT ?)`, micros(tx.Now), limit)
	if err != nil {
		return 0, fmt.Errorf("sweep client tokens: %w", err)
	}
	return n, nil
}
