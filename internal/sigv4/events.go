package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// eventChain links the signatures of the frames of an event stream: each is
// computed over the one before, the first over the signature of the head.
type eventChain struct {
	secret, region, service string
	prev                    [32]byte
	day                     string
	key                     [32]byte
}

// next computes the signature of a frame: the header block holds :date alone.
func (c *eventChain) next(date time.Time, payload []byte) [32]byte {
	date = date.UTC()
	text := date.Format(timeFormat)
	if day := text[:len(dayFormat)]; day != c.day { // a stream may live past midnight
		c.day, c.key = day, signingKey(c.secret, day, c.region, c.service)
	}
	header := append(make([]byte, 0, 15), 5)
	header = append(header, ":date"...)
	header = append(header, 8) // timestamp
	header = binary.BigEndian.AppendUint64(header, uint64(date.UnixMilli()))
	h, p := sha256.Sum256(header), sha256.Sum256(payload)
	return (*bodyCheck)(nil).chunkSignature(c.key[:], "AWS4-HMAC-SHA256-PAYLOAD", text,
		c.day+"/"+c.region+"/"+c.service+"/"+terminator, c.prev, hex.EncodeToString(h[:]), hex.EncodeToString(p[:]))
}

// EventVerifier verifies the frames of an event stream that the client sends
// (InvokeModelWithBidirectionalStream), in their order. Each outer frame has
// the headers :date and :chunk-signature; its payload is the frame of the
// event, and empty in the last one. It is for one goroutine.
type EventVerifier struct {
	chain eventChain
	check bodyCheck
}

// Events returns the verifier of the request's frames; an error when the
// request did not announce signed events.
func (r *Result) Events() (*EventVerifier, error) {
	if r.Payload != streamingEvents {
		return nil, errors.New("sigv4: the request does not carry signed events")
	}
	c := r.body
	return &EventVerifier{check: c, chain: eventChain{secret: c.secret, region: c.region, service: c.service, prev: c.seed}}, nil
}

// Verify checks the next frame. After an error the chain is broken and every
// later frame fails.
func (v *EventVerifier) Verify(date time.Time, payload, signature []byte) error {
	now := v.check.now().UTC()
	if d := now.Sub(date); d > Skew {
		return v.check.fail(SignatureExpired, "Signature expired: %s is now earlier than %s (%s - 15 min.)", date.UTC().Format(timeFormat), now.Add(-Skew).Format(timeFormat), now.Format(timeFormat))
	} else if d < -Skew {
		return v.check.fail(SignatureNotYet, "Signature not yet current: %s is still later than %s (%s + 15 min.)", date.UTC().Format(timeFormat), now.Add(Skew).Format(timeFormat), now.Format(timeFormat))
	}
	want := v.chain.next(date, payload)
	if subtle.ConstantTimeCompare(want[:], signature) != 1 {
		return v.check.fail(ChunkMismatch, textMismatch)
	}
	v.chain.prev = want
	return nil
}

// EventSigner signs the frames of an event stream that we send.
type EventSigner struct{ chain eventChain }

// NewEventSigner continues from the signature of the head, which Sign returned.
func NewEventSigner(c Credentials, region, service string, seed [32]byte) *EventSigner {
	return &EventSigner{eventChain{secret: c.SecretAccessKey, region: region, service: service, prev: seed}}
}

// Sign returns the value of :chunk-signature for the next frame.
func (s *EventSigner) Sign(date time.Time, payload []byte) [32]byte {
	s.chain.prev = s.chain.next(date, payload)
	return s.chain.prev
}
