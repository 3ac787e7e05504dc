package gate

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestALateTimerFindsTheGateClosed(t *testing.T) {
	opened := false
	g := New(time.Hour, func() error { opened = true; return nil })
	if g.Close() {
		t.Error("it was never opened")
	}
	g.late()
	if opened {
		t.Error("opened after its end")
	}
}

func TestAPanicOfTheTimerIsAnError(t *testing.T) {
	g := New(time.Hour, func() error { panic("no") })
	g.late()
	if err := g.Enter(); err == nil || !strings.Contains(err.Error(), "BUG: opening a stream panicked: no") {
		t.Errorf("got %v", err)
	}
	g.Close()
}

func TestTheHeadIsSentOnceAndNotTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Duration
		start := time.Now()
		g := New(5*time.Second, func() error { sent = append(sent, time.Since(start)); return nil })
		time.Sleep(7 * time.Second)
		synctest.Wait()
		for range 2 {
			if err := g.Enter(); err != nil {
				t.Error(err)
			}
		}
		if len(sent) != 1 || sent[0] != 5*time.Second || !g.Close() {
			t.Errorf("sent after %v", sent)
		}
		quick := New(5*time.Second, func() error { sent = append(sent, 0); return nil })
		if err := quick.Enter(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(sent) != 2 || !quick.Close() {
			t.Errorf("sent %d times", len(sent))
		}
	})
}
