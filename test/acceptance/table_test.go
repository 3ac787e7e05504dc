package acceptance

import (
	"sync"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// table finds the server of a script again; scripts run side by side.
type table struct {
	mu sync.Mutex
	by map[string]*outcroptest.Server
}

func newTable() *table { return &table{by: map[string]*outcroptest.Server{}} }

func (t *table) put(key string, s *outcroptest.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.by[key] = s
}

func (t *table) take(key string) *outcroptest.Server {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.by[key]
	delete(t.by, key)
	return s
}
