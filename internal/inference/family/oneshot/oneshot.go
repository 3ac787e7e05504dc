package oneshot

import (
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// Only is embedded by the codecs of families that neither stream nor converse.
type Only struct{}

// Streams reports that the family does not stream.
func (Only) Streams(family.Model) bool { return false }

// Stream returns nil: the family does not stream.
func (Only) Stream(*family.Call) family.StreamEncoder { return nil }

// Converse refuses: such a model holds no conversation.
func (Only) Converse(*engine.Request, family.Value, family.Model) error {
	return apierr.Wrap(apierr.Validation, family.ErrService,
		"This action doesn't support the model that you provided. Try again with a supported text or chat model.")
}

// TooLong is the text for an input that does not fit.
func (Only) TooLong(family.Model, int, int) string { return "Input is too long for requested model." }
