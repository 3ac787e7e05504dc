package commandr

import (
	"testing"

	"github.com/outcrop-dev/outcrop/internal/inference/family/familytest"
)

func TestGolden(t *testing.T) { familytest.Golden(t, Codec{}) }
