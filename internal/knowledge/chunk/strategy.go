package chunk

import (
	"fmt"
)

// Kind is a chunking strategy, as the service names it; Default has no name there.
type Kind string

// The strategies.
const (
	Default      Kind = ""
	FixedSize    Kind = "FIXED_SIZE"
	None         Kind = "NONE"
	Hierarchical Kind = "HIERARCHICAL"
	Semantic     Kind = "SEMANTIC"
)

// Strategy is how documents of a data source are cut. The fields beside Kind are
// those of its configuration in the service; nil is an absent configuration.
type Strategy struct {
	Kind         Kind
	FixedSize    *FixedSizeConfig
	Hierarchical *HierarchicalConfig
	Semantic     *SemanticConfig
}

// FixedSizeConfig belongs to FixedSize.
type FixedSizeConfig struct {
	MaxTokens         int // 1 to 8192
	OverlapPercentage int // 1 to 99
}

// HierarchicalConfig belongs to Hierarchical: two layers, the larger chunk first.
type HierarchicalConfig struct {
	MaxTokens     []int // two, each 1 to 8192
	OverlapTokens int   // that neighbours of one layer share, from 1
}

// SemanticConfig belongs to Semantic.
type SemanticConfig struct {
	MaxTokens                     int // 1 to 8192
	BufferSize                    int // 0 or 1: sentences on each side
	BreakpointPercentileThreshold int // 50 to 99
}

const (
	defaultTokens = 300
	mostTokens    = 8192
)

// Invalid is a parameter that cannot be. Field is its path below
// chunkingConfiguration.
type Invalid struct {
	Field, Message string
}

func (e *Invalid) Error() string { return e.Message }

func invalid(field, format string, args ...any) error {
	return &Invalid{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Validate checks a strategy. limit is how many tokens the embedding model takes at
// once, 0 when unknown. The error is an *Invalid.
func Validate(s Strategy, limit int) error {
	configs := []struct {
		kind  Kind
		field string
		there bool
	}{
		{FixedSize, "fixedSizeChunkingConfiguration", s.FixedSize != nil},
		{Hierarchical, "hierarchicalChunkingConfiguration", s.Hierarchical != nil},
		{Semantic, "semanticChunkingConfiguration", s.Semantic != nil},
	}
	known := s.Kind == Default || s.Kind == None
	for _, c := range configs {
		known = known || c.kind == s.Kind
	}
	if !known {
		return invalid("chunkingStrategy", "The chunking strategy %q is unknown. Choose FIXED_SIZE, HIERARCHICAL, SEMANTIC or NONE.", string(s.Kind))
	}
	for _, c := range configs {
		switch {
		case c.kind == s.Kind && !c.there:
			return invalid(c.field, "The chunking strategy %s requires %s.", s.Kind, c.field)
		case c.kind != s.Kind && c.there:
			return invalid(c.field, "%s cannot be given with the chunking strategy %s.", c.field, kindName(s.Kind))
		}
	}
	switch s.Kind {
	case FixedSize:
		const at = "fixedSizeChunkingConfiguration."
		c := s.FixedSize
		if err := tokens(at+"maxTokens", c.MaxTokens, limit); err != nil {
			return err
		}
		return between(at+"overlapPercentage", c.OverlapPercentage, 1, 99)
	case Hierarchical:
		return validateHierarchical(s.Hierarchical, limit)
	case Semantic:
		const at = "semanticChunkingConfiguration."
		c := s.Semantic
		if err := tokens(at+"maxTokens", c.MaxTokens, limit); err != nil {
			return err
		}
		if err := between(at+"bufferSize", c.BufferSize, 0, 1); err != nil {
			return err
		}
		return between(at+"breakpointPercentileThreshold", c.BreakpointPercentileThreshold, 50, 99)
	case Default, None:
	}
	return nil
}

func validateHierarchical(c *HierarchicalConfig, limit int) error {
	const at = "hierarchicalChunkingConfiguration."
	if len(c.MaxTokens) != 2 {
		return invalid(at+"levelConfigurations", "%slevelConfigurations must have 2 levels, the parent first; it has %d.", at, len(c.MaxTokens))
	}
	for i, n := range c.MaxTokens {
		most := 0
		if i == 1 { // only the children are embedded
			most = limit
		}
		if err := tokens(fmt.Sprintf("%slevelConfigurations.%d.maxTokens", at, i), n, most); err != nil {
			return err
		}
	}
	parent, child := c.MaxTokens[0], c.MaxTokens[1]
	if child >= parent {
		return invalid(at+"levelConfigurations", "The child level's maxTokens (%d) must be smaller than the parent level's (%d).", child, parent)
	}
	if c.OverlapTokens < 1 {
		return invalid(at+"overlapTokens", "%soverlapTokens must be at least 1; it is %d.", at, c.OverlapTokens)
	}
	if c.OverlapTokens >= child {
		return invalid(at+"overlapTokens", "%soverlapTokens (%d) must be smaller than the child level's maxTokens (%d).", at, c.OverlapTokens, child)
	}
	return nil
}

func kindName(k Kind) string {
	if k == Default {
		return "of the default"
	}
	return string(k)
}

func between(field string, n, lo, hi int) error {
	if n < lo || n > hi {
		return invalid(field, "%s must be %d to %d; it is %d.", field, lo, hi, n)
	}
	return nil
}

func tokens(field string, n, limit int) error {
	if err := between(field, n, 1, mostTokens); err != nil {
		return err
	}
	if limit > 0 && n > limit {
		return invalid(field, "%s is %d, more than the %d tokens that the embedding model takes.", field, n, limit)
	}
	return nil
}
