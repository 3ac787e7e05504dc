package storetest

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/store"
)

// sentinels are the errors that a driver may translate to.
var sentinels = []error{
	store.ErrBusy, store.ErrReadOnly, store.ErrFull, store.ErrIO, store.ErrCorrupt, store.ErrExists, store.ErrClosed, store.ErrUnsupported,
}

// checked is a Driver that fails its test when the contract of store.Driver is
// broken: what Translate may answer, that a repeat is asked for only where the
// caller sees ErrBusy, that Close may come twice, and that no connection is left
// in use.
type checked struct {
	store.Driver
	t      testing.TB
	closed atomic.Bool
}

// Checked wraps a driver so that every use of it is checked.
func Checked(t testing.TB, d store.Driver) store.Driver { return &checked{Driver: d, t: t} }

func (c *checked) Translate(err error) error {
	out := c.Driver.Translate(err)
	if (err == nil) != (out == nil) {
		c.t.Errorf("Translate(%v) = %v", err, out)
		return out
	}
	if err == nil {
		return nil
	}
	if !errors.Is(out, err) && !errors.Is(err, out) {
		c.t.Errorf("Translate lost the cause: %v became %v", err, out)
	}
	if again := c.Driver.Translate(out); again.Error() != out.Error() {
		c.t.Errorf("Translate is not idempotent: %v became %v", out, again)
	}
	n := 0
	for _, s := range sentinels {
		if errors.Is(out, s) {
			n++
		}
	}
	if n > 1 {
		c.t.Errorf("Translate(%v) is %d sentinels at once", err, n)
	}
	return out
}

func (c *checked) Transient(err error) bool {
	again := c.Driver.Transient(err)
	if again && !errors.Is(c.Driver.Translate(err), store.ErrBusy) {
		c.t.Errorf("Transient(%v), but it translates to %v and not to ErrBusy", err, c.Driver.Translate(err))
	}
	return again
}

func (c *checked) Close() error {
	if !c.closed.Swap(true) {
		if n := c.Writer().Stats().InUse + c.Reader().Stats().InUse; n > 0 {
			c.t.Errorf("%d connections still in use at Close: a transaction was left open", n)
		}
	}
	err := c.Driver.Close()
	if again := c.Driver.Close(); (again == nil) != (err == nil) {
		c.t.Errorf("second Close: %v, first: %v", again, err)
	}
	return err
}
