package iam

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestUsesOfKeysAreWrittenAndSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &MemoryStore{}
		i := open(t, s)
		k, _ := i.AdminKey()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- i.Run(ctx) }()
		i.Used("AKIAQQQQQQQQQQQQQQQQ", "s3", "us-east-1") // nobody's
		i.Used(k.ID, "bedrock", "us-east-1")
		first := i.LastUse(k)
		if first.At.IsZero() || first.Service != "bedrock" {
			t.Fatalf("%+v", first)
		}
		before := i.Snapshot().Version
		time.Sleep(30 * time.Second)
		i.Used(k.ID, "bedrock", "us-east-1")
		if u := i.LastUse(k); u != first {
			t.Errorf("half a minute later: %+v", u)
		}
		i.Used(k.ID, "iam", "us-east-1")
		if u := i.LastUse(k); u.Service != "iam" || !u.At.After(first.At) {
			t.Errorf("for another service: %+v", u)
		}
		if i.Snapshot().Version != before {
			t.Error("a use was written at once")
		}
		// A replica knows after the next round of writing.
		time.Sleep(useFlush + 2*PollInterval)
		synctest.Wait()
		if i.Snapshot().Version != before+1 {
			t.Errorf("%d writes of two uses, want one", i.Snapshot().Version-before)
		}
		other := open(t, s)
		k, _ = other.AdminKey()
		if u := other.LastUse(k); u.Service != "iam" {
			t.Errorf("a replica says %+v", u)
		}
		// What is left is written at the end.
		i.Used(k.ID, "sts", "eu-west-1")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		k, _ = open(t, s).AdminKey()
		if k.LastUse.Service != "sts" || k.LastUse.Region != "eu-west-1" {
			t.Errorf("after a restart %+v", k.LastUse)
		}
		// A key that is gone is forgotten.
		i.Used(k.ID, "kms", "eu-west-1")
		if err := i.DeleteAccessKey(t.Context(), k.ID); err != nil {
			t.Fatal(err)
		}
		if err := i.FlushUses(t.Context()); err != nil {
			t.Error(err)
		}
		if _, ok := i.uses.keys.Load(k.ID); ok {
			t.Error("the use of a deleted key is kept")
		}
	})
}

func BenchmarkUsed(b *testing.B) {
	i := open(b, &MemoryStore{})
	k, _ := i.AdminKey()
	for b.Loop() {
		i.Used(k.ID, "bedrock", "us-east-1")
	}
}
