package plan

import "sync"

// cacheHalf is how many things each half of a Cache holds.
const cacheHalf = 128

// Cache keeps what was made of plans: plans by their address, or what a turn needs by
// its plan. It has two halves: what is used goes into the young one; when that is full
// it becomes the old one, and what was left in the old one, unused since, is dropped.
// What it keeps is shared and must not be changed. The zero value is ready, for use by
// many goroutines.
type Cache[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]V
}

// Get returns what is kept under a key.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.add(key, v)
	}
	return v, ok
}

// Put keeps something under a key.
func (c *Cache[K, V]) Put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, v)
}

func (c *Cache[K, V]) add(key K, v V) {
	if c.young == nil || len(c.young) >= cacheHalf {
		c.young, c.old = make(map[K]V, cacheHalf), c.young
	}
	c.young[key] = v
}
