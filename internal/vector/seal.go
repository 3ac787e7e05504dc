package vector

import (
	"context"
	"encoding/binary"
)

// Sealer is the envelope-encryption hook, of the same shape as the store's: keyARN
// is empty for the house's own key, else the customer key that must wrap the bytes;
// aad binds them to their place. Seal must not be deterministic.
//
// An index has one data key, made at Create and kept sealed beside the data. Every
// operation opens it again, in the name of whoever ctx speaks for, so a key that is
// disabled or refused stops the next operation, also where memory holds the data.
type Sealer interface {
	Seal(ctx context.Context, keyARN string, aad, plain []byte) ([]byte, error)
	Open(ctx context.Context, keyARN string, aad, sealed []byte) ([]byte, error)
}

// Bind joins parts with their lengths into additional data for a Sealer, so that no
// two lists give the same bytes.
func Bind(parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p) + binary.MaxVarintLen32
	}
	out := make([]byte, 0, n)
	for _, p := range parts {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
