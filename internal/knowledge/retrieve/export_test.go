package retrieve

import (
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/vector"
)

// FilterOf is filterOf for the tests.
func FilterOf(f *api.RetrievalFilter) (*vector.Filter, error) { return filterOf(f, "filter") }

// Lines is lines for the tests.
var Lines = lines
