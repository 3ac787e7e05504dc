package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// stepRow is the body of a step.
type stepRow struct {
	Blocks []block `json:"blocks"`
}

// block is a text or an image.
type block struct {
	Text   *string `json:"text,omitempty"`
	Format string  `json:"format,omitempty"` // of an image
	Bytes  []byte  `json:"bytes,omitempty"`
	URI    string  `json:"uri,omitempty"` // of an image in S3
}

// CreateInvocation begins an invocation in an active session. An id that the session
// has already is a conflict, which frameworks take for "it is there".
func (s *Sessions) CreateInvocation(ctx context.Context, in *runtime.CreateInvocationInput) (*runtime.CreateInvocationOutput, error) {
	c := call.From(ctx)
	var rec store.Record[invocationRow]
	err := s.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		session, err := s.active(tx, c, in.SessionIdentifier)
		if err != nil {
			return err
		}
		k := key(c)
		k.Parent, k.ID = session.ID, newID()
		if in.InvocationId != nil {
			k.ID = *in.InvocationId
		}
		var row invocationRow
		if in.Description != nil {
			row.Description = *in.Description
		}
		rec, err = invocations.Create(tx, k, row, store.Columns{KeyARN: session.KeyARN})
		if errors.Is(err, store.ErrExists) {
			return apierr.Wrap(apierr.Conflict, err, "The invocation %s exists already in the session %s.", k.ID, session.ID)
		}
		if err != nil {
			return err
		}
		return touch(tx, session.Key)
	})
	if err != nil {
		return nil, failure(err)
	}
	return &runtime.CreateInvocationOutput{CreatedAt: rec.Created, InvocationId: rec.ID, SessionId: rec.Parent}, nil
}

// ListInvocations lists the invocations of a session, the newest first.
func (s *Sessions) ListInvocations(ctx context.Context, in *runtime.ListInvocationsInput) (*runtime.ListInvocationsOutput, error) {
	c := call.From(ctx)
	var l store.Page[invocationRow]
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) error {
		session, err := s.find(tx, c, in.SessionIdentifier, false)
		if err != nil {
			return err
		}
		l, err = invocations.List(tx, query(c, session.ID, in.MaxResults, in.NextToken))
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &runtime.ListInvocationsOutput{InvocationSummaries: []runtime.InvocationSummary{}, NextToken: optional.Of(l.Next)}
	for i := range l.Records {
		rec := &l.Records[i]
		out.InvocationSummaries = append(out.InvocationSummaries, runtime.InvocationSummary{CreatedAt: rec.Created, InvocationId: rec.ID, SessionId: rec.Parent})
	}
	return out, nil
}

// invocation makes sure that a session has an invocation.
func invocation(tx *store.Tx, session store.Key, id string) error {
	_, err := invocations.Head(tx, store.Key{Account: session.Account, Region: session.Region, Parent: session.ID, ID: id})
	if errors.Is(err, store.ErrNotFound) {
		return apierr.New(apierr.ResourceNotFound, "The invocation %s was not found in the session %s.", id, session.ID)
	}
	return err
}

// PutInvocationStep adds a step. The same step under the same id again, as a client
// sends it that heard no answer, is no second one; another step under that id is a
// conflict.
func (s *Sessions) PutInvocationStep(ctx context.Context, in *runtime.PutInvocationStepInput) (*runtime.PutInvocationStepOutput, error) {
	row, err := s.row(in.Payload)
	if err != nil {
		return nil, err
	}
	c := call.From(ctx)
	at := in.InvocationStepTime.UTC().Format(time.RFC3339Nano)
	var id string
	err = s.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		session, err := s.active(tx, c, in.SessionIdentifier)
		if err != nil {
			return err
		}
		if err := invocation(tx, session.Key, in.InvocationIdentifier); err != nil {
			return err
		}
		k := key(c)
		k.Parent, k.ID = session.ID, newID()
		if in.InvocationStepId != nil {
			k.ID = *in.InvocationStepId
			old, err := steps.Get(tx, k)
			if err == nil {
				id = k.ID
				return same(&old, row, in.InvocationIdentifier, at)
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		n, err := steps.Count(tx, store.Query{Account: c.Account, Region: c.Region, Parent: session.ID})
		if err != nil {
			return err
		}
		if n >= s.cfg.Steps {
			return apierr.New(apierr.ServiceQuotaExceeded, "The session %s has %d steps, the most that a session may have. Create a new session.", session.ID, n)
		}
		rec, err := steps.Create(tx, k, *row, store.Columns{KeyARN: session.KeyARN, Target: in.InvocationIdentifier, Source: at})
		if err != nil {
			return err
		}
		id = rec.ID
		return touch(tx, session.Key)
	})
	if err != nil {
		return nil, failure(err)
	}
	return &runtime.PutInvocationStepOutput{InvocationStepId: id}, nil
}

// same refuses a step under the id of another one.
func same(old *store.Record[stepRow], row *stepRow, invocation, at string) error {
	a, err := json.Marshal(old.Body)
	if err != nil {
		return err
	}
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	if old.Target == invocation && old.Source == at && bytes.Equal(a, b) {
		return nil
	}
	return apierr.New(apierr.Conflict, "The step %s exists already in the session with other content.", old.ID)
}

// row checks a payload and writes it as it is stored.
func (s *Sessions) row(p *runtime.InvocationStepPayload) (*stepRow, error) {
	row := &stepRow{Blocks: make([]block, 0, len(p.ContentBlocks))}
	size := 0
	for i := range p.ContentBlocks {
		switch b := &p.ContentBlocks[i]; {
		case b.Text != nil:
			size += len(*b.Text)
			row.Blocks = append(row.Blocks, block{Text: b.Text})
		case b.Image != nil && b.Image.Source != nil && b.Image.Source.S3Location != nil:
			row.Blocks = append(row.Blocks, block{Format: string(b.Image.Format), URI: b.Image.Source.S3Location.Uri})
		case b.Image != nil && b.Image.Source != nil:
			size += len(b.Image.Source.Bytes)
			row.Blocks = append(row.Blocks, block{Format: string(b.Image.Format), Bytes: b.Image.Source.Bytes})
		default:
			return nil, apierr.New(apierr.Validation, "payload.contentBlocks[%d] holds neither text nor an image.", i)
		}
	}
	if size > s.cfg.StepBytes {
		return nil, apierr.New(apierr.ServiceQuotaExceeded, "The step has %d bytes; a step may have %d.", size, s.cfg.StepBytes)
	}
	return row, nil
}

// payload is what row was made of.
func (r *stepRow) payload() *runtime.InvocationStepPayload {
	p := &runtime.InvocationStepPayload{ContentBlocks: make([]runtime.BedrockSessionContentBlock, 0, len(r.Blocks))}
	for _, b := range r.Blocks {
		if b.Text != nil {
			p.ContentBlocks = append(p.ContentBlocks, runtime.BedrockSessionContentBlock{Text: b.Text})
			continue
		}
		image := &runtime.ImageBlock{Format: runtime.ImageFormat(b.Format), Source: &runtime.ImageSource{Bytes: b.Bytes}}
		if b.URI != "" {
			image.Source = &runtime.ImageSource{S3Location: &runtime.S3Location{Uri: b.URI}}
		}
		p.ContentBlocks = append(p.ContentBlocks, runtime.BedrockSessionContentBlock{Image: image})
	}
	return p
}

// GetInvocationStep reads a step.
func (s *Sessions) GetInvocationStep(ctx context.Context, in *runtime.GetInvocationStepInput) (*runtime.GetInvocationStepOutput, error) {
	c := call.From(ctx)
	var rec store.Record[stepRow]
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) error {
		session, err := s.find(tx, c, in.SessionIdentifier, false)
		if err != nil {
			return err
		}
		k := key(c)
		k.Parent, k.ID = session.ID, in.InvocationStepId
		rec, err = steps.Get(tx, k)
		if errors.Is(err, store.ErrNotFound) || err == nil && rec.Target != in.InvocationIdentifier {
			return apierr.New(apierr.ResourceNotFound, "The step %s was not found in the invocation %s.", in.InvocationStepId, in.InvocationIdentifier)
		}
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	at, err := time.Parse(time.RFC3339Nano, rec.Source)
	if err != nil {
		return nil, fmt.Errorf("time of step %s: %w", rec.ID, err)
	}
	return &runtime.GetInvocationStepOutput{InvocationStep: &runtime.InvocationStep{
		InvocationId: rec.Target, InvocationStepId: rec.ID, InvocationStepTime: at, Payload: rec.Body.payload(), SessionId: rec.Parent,
	}}, nil
}

// ListInvocationSteps lists the steps of a session, or of one invocation of it, the
// newest first.
func (s *Sessions) ListInvocationSteps(ctx context.Context, in *runtime.ListInvocationStepsInput) (*runtime.ListInvocationStepsOutput, error) {
	c := call.From(ctx)
	var l store.Page[stepRow]
	err := s.cfg.Store.View(ctx, func(tx *store.Tx) error {
		session, err := s.find(tx, c, in.SessionIdentifier, false)
		if err != nil {
			return err
		}
		q := query(c, session.ID, in.MaxResults, in.NextToken)
		if in.InvocationIdentifier != nil {
			if err := invocation(tx, session.Key, *in.InvocationIdentifier); err != nil {
				return err
			}
			q.Target = *in.InvocationIdentifier
		}
		l, err = steps.List(tx, q)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &runtime.ListInvocationStepsOutput{InvocationStepSummaries: []runtime.InvocationStepSummary{}, NextToken: optional.Of(l.Next)}
	for i := range l.Records {
		rec := &l.Records[i]
		at, err := time.Parse(time.RFC3339Nano, rec.Source)
		if err != nil {
			return nil, fmt.Errorf("time of step %s: %w", rec.ID, err)
		}
		out.InvocationStepSummaries = append(out.InvocationStepSummaries, runtime.InvocationStepSummary{
			InvocationId: rec.Target, InvocationStepId: rec.ID, InvocationStepTime: at, SessionId: rec.Parent,
		})
	}
	return out, nil
}
