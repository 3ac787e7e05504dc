package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var c Clock
		want := func(what string, d time.Duration) {
			t.Helper()
			if got := c.Now().Sub(start); got != d {
				t.Errorf("%s: %v after the start, want %v", what, got, d)
			}
		}
		want("zero value", 0)
		time.Sleep(time.Second)
		want("goes with the wall clock", time.Second)
		c.Advance(time.Hour)
		want("advanced", time.Hour+time.Second)
		c.Freeze()
		time.Sleep(time.Minute)
		want("frozen", time.Hour+time.Second)
		c.Advance(-time.Hour)
		want("frozen and moved", time.Second)
		c.Thaw()
		want("thawed", time.Second)
		time.Sleep(time.Second)
		want("goes on", 2*time.Second)
		c.Set(start.Add(24 * time.Hour))
		time.Sleep(time.Second)
		want("set", 24*time.Hour+time.Second)
		c.Thaw() // not frozen: nothing
		want("thawed twice", 24*time.Hour+time.Second)
		c.Reset()
		want("reset", time.Since(start))
		if c.Now().Location() != time.UTC {
			t.Error("not UTC")
		}
	})
}
