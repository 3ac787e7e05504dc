package catalog

import (
	"context"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// Description is a line of "outcrop models list": an AWS model and who answers
// for it now.
type Description struct {
	ID       string      `json:"id"`
	Provider string      `json:"provider"`
	Name     string      `json:"name"`
	Family   Family      `json:"family"`
	Kind     engine.Kind `json:"kind"`
	Local    string      `json:"local"`           // "" when nothing can serve it
	Chain    []string    `json:"chain,omitempty"` // local models that take over
	Reason   string      `json:"reason,omitempty"`
	Pattern  bool        `json:"pattern,omitempty"` // ID is a pattern for ids nobody has listed
}

// Describe says for each listed model, and for each pattern that unlisted ids
// fall under, which local model serves it now. Throughput ids are left out: they
// are served like their base.
func (c *Catalog) Describe(ctx context.Context) ([]Description, error) {
	l, err := c.models(ctx)
	if err != nil {
		return nil, err
	}
	var out []Description
	add := func(d Description, e *entry) {
		info, chain, err := c.choose(l, e.ID, e)
		if err != nil {
			d.Reason = err.Error()
		}
		d.Local, d.Chain = info.Name, chain
		out = append(out, d)
	}
	for _, e := range c.listed {
		if e.variantOf == nil {
			add(Description{ID: e.ID, Provider: e.Provider, Name: e.Name, Family: e.Family, Kind: e.Kind}, e)
		}
	}
	for _, r := range c.rules {
		e := &entry{Model: r.Model}
		e.ID = r.Pattern
		if e.Kind == "" {
			e.Kind = kindOf(r.Family, strings.Fields(r.Out))
		}
		add(Description{ID: r.Pattern, Family: r.Family, Kind: e.Kind, Pattern: true}, e)
	}
	return out, nil
}

// ThroughputOf answers the ids under which throughput of a base model is bought,
// and for such an id itself the one that it is. Nil for a model that has none.
func (c *Catalog) ThroughputOf(id string) []Throughput {
	e := c.lookup(id)
	switch {
	case e == nil:
		return nil
	case e.variantOf == nil:
		return e.throughput
	}
	for _, t := range e.variantOf.throughput {
		if t.ID == id {
			return []Throughput{t}
		}
	}
	return nil
}

// ProductIDs answers the marketplace product ids of models, by base id: what
// policies on aws-marketplace:Subscribe name.
func (c *Catalog) ProductIDs() map[string]string {
	out := map[string]string{}
	for _, e := range c.byID {
		if e.ProductID != "" && e.variantOf == nil {
			out[e.ID] = e.ProductID
		}
	}
	return out
}
