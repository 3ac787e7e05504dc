package clock

import (
	"sync"
	"time"
)

// Clock is a settable clock. The zero Clock is the wall clock. It is safe for
// concurrent use; pass its Now method where a func() time.Time is wanted.
type Clock struct {
	// Wall is the clock underneath; nil means time.Now. Set it before first use.
	Wall func() time.Time

	mu     sync.Mutex
	offset time.Duration
	frozen time.Time
}

// Now is the service time, UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if !c.frozen.IsZero() {
		return c.frozen
	}
	return c.wall().Add(c.offset)
}

func (c *Clock) wall() time.Time {
	if c.Wall != nil {
		return c.Wall().UTC()
	}
	return time.Now().UTC()
}

// Set moves the clock to an instant, from where it goes on; a frozen clock stays
// frozen there.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(at)
}

func (c *Clock) set(at time.Time) {
	if !c.frozen.IsZero() {
		c.frozen = at.UTC()
		return
	}
	c.offset = at.Sub(c.wall())
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(c.now().Add(d))
}

// Freeze stops the clock where it is.
func (c *Clock) Freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = c.now().Round(0) // without the monotonic reading
}

// Thaw lets a frozen clock go on from where it stands.
func (c *Clock) Thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.frozen; !at.IsZero() {
		c.frozen = time.Time{}
		c.set(at)
	}
}

// Reset makes it the wall clock again.
func (c *Clock) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen, c.offset = time.Time{}, 0
}
