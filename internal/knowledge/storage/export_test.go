package storage

import (
	"maps"
	"slices"
)

// OpenPools are the tables of the pools that are open.
func (i *Indexes) OpenPools() []string {
	i.pools.mu.Lock()
	defer i.pools.mu.Unlock()
	var out []string
	for k := range maps.Keys(i.pools.open) {
		out = append(out, k.Name)
	}
	slices.Sort(out)
	return out
}
