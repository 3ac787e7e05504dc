package wire

import "encoding/json"

// Piece is a token's text: a string, or bytes where it is no valid UTF-8.
type Piece string

// UnmarshalJSON implements json.Unmarshaler.
func (p *Piece) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*p = Piece(s)
		return nil
	}
	var n []int
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	raw := make([]byte, len(n))
	for i, v := range n {
		raw[i] = byte(v)
	}
	*p = Piece(raw)
	return nil
}
