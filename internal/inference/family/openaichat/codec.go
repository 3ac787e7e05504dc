package openaichat

import (
	"fmt"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Codec serves one dialect of the format.
type Codec struct {
	dialect  *Dialect
	body     *family.Schema
	converse *family.Schema
}

var _ family.Codec = (*Codec)(nil)

// New returns the codec of a dialect, which must not change afterwards.
func New(d *Dialect) *Codec {
	return &Codec{dialect: d, body: d.NewSchema(), converse: d.ConverseSchema()}
}

// Plain is the dialect of providers without peculiarities.
func Plain() *Dialect {
	return &Dialect{Key: "openai-chat", Temperature: 0.7, TopP: 1, MaxTokens: 2048, MaxOutput: 131_072}
}

// Name returns the family's key.
func (c *Codec) Name() string { return c.dialect.Key }

// Streams reports that the format streams.
func (c *Codec) Streams(family.Model) bool { return true }

// Decode reads a body.
func (c *Codec) Decode(m family.Model, body []byte) (*family.Call, error) {
	v, err := family.Parse(body)
	if err != nil {
		return nil, err
	}
	return c.DecodeValue(m, &v)
}

// DecodeValue reads a body that is already a tree.
func (c *Codec) DecodeValue(m family.Model, v *family.Value) (*family.Call, error) {
	if err := c.body.Check(v); err != nil {
		return nil, err
	}
	return c.dialect.Decode(m, v)
}

// Encode writes the answer.
func (c *Codec) Encode(call *family.Call, out *family.Output) ([]byte, error) {
	return c.dialect.Encode(call, out)
}

// Stream returns the encoder of chunks.
func (c *Codec) Stream(call *family.Call) family.StreamEncoder { return c.dialect.Stream(call) }

// Converse fills the defaults and takes the extra fields.
func (c *Codec) Converse(r *engine.Request, fields family.Value, m family.Model) error {
	if fields.Kind != family.Absent {
		if err := c.converse.Check(&fields); err != nil {
			return err
		}
	}
	return c.dialect.Converse(r, &fields, m)
}

// TooLong is the text for an input that does not fit.
func (c *Codec) TooLong(_ family.Model, limit, got int) string {
	if limit > 0 && got > 0 {
		return fmt.Sprintf("This model's maximum context length is %d tokens. However, your request has %d input tokens. Please reduce the length of the input messages.", limit, got)
	}
	return "Input is too long for requested model."
}
