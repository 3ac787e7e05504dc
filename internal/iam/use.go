package iam

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// How exactly the last use of a key is known. AWS tells it to some minutes too.
const (
	useStep  = time.Minute     // a use this soon after the last one noted is not noted
	useFlush = 5 * time.Minute // notes are written to the store this often, and when Run ends
)

// KeyUse is when and where an access key last signed a request; the zero value is
// never.
type KeyUse struct {
	At      time.Time `json:",omitzero"`
	Service string    `json:",omitempty"` // of the signature's scope: bedrock
	Region  string    `json:",omitempty"`
}

// uses are the last uses of keys that the store may not know yet.
type uses struct {
	keys  sync.Map // access key ID → *atomic.Pointer[KeyUse]
	dirty atomic.Bool
}

// Used notes that an access key signed a request for a service in a Region. It is
// called for every request and mostly does nothing.
func (i *Identity) Used(accessKeyID, service, region string) {
	v, ok := i.uses.keys.Load(accessKeyID)
	if !ok {
		if _, known := i.current.Load().AccessKey(accessKeyID); !known {
			return // a session's or nobody's
		}
		v, _ = i.uses.keys.LoadOrStore(accessKeyID, new(atomic.Pointer[KeyUse]))
	}
	at := v.(*atomic.Pointer[KeyUse])
	now := i.now()
	if last := at.Load(); last != nil && now.Sub(last.At) < useStep && last.Service == service && last.Region == region {
		return
	}
	at.Store(&KeyUse{At: now.UTC().Truncate(time.Second), Service: service, Region: region})
	i.uses.dirty.Store(true)
}

// LastUse answers when a key was last used, here or as far as other replicas have
// written it.
func (i *Identity) LastUse(k AccessKey) KeyUse {
	if v, ok := i.uses.keys.Load(k.ID); ok {
		if u := v.(*atomic.Pointer[KeyUse]).Load(); u != nil && !u.At.Before(k.LastUse.At) {
			return *u
		}
	}
	return k.LastUse
}

// FlushUses writes the uses that were noted since the last time.
func (i *Identity) FlushUses(ctx context.Context) error {
	if !i.uses.dirty.Swap(false) {
		return nil
	}
	err := i.update(ctx, func(s *Snapshot) (changes []Record, _ error) {
		i.uses.keys.Range(func(id, v any) bool {
			k, ok := s.AccessKey(id.(string))
			if !ok {
				i.uses.keys.Delete(id)
				return true
			}
			if u := v.(*atomic.Pointer[KeyUse]).Load(); u != nil && u.At.After(k.LastUse.At) {
				k.LastUse = *u
				changes = append(changes, k.record())
			}
			return true
		})
		return changes, nil
	})
	if err != nil {
		i.uses.dirty.Store(true)
	}
	return err
}

// flushLast writes what is left when Run ends.
func (i *Identity) flushLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := i.FlushUses(ctx); err != nil {
		i.log.LogAttrs(ctx, slog.LevelWarn, "the last uses of access keys are not written", slog.Any("error", err))
	}
}
