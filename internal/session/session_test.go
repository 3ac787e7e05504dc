package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

type house struct {
	*Sessions
	store *store.Store
	ctx   context.Context
	now   time.Time
}

func open(t *testing.T, c Config) *house {
	t.Helper()
	h := &house{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	h.ctx = in(t, "123456789012", "us-east-1")
	c.Now = func() time.Time { return h.now }
	h.store = storetest.NewAt(t, c.Now)
	c.Store = h.store
	h.Sessions = New(c)
	return h
}

func in(t *testing.T, account, region string) context.Context {
	return call.With(t.Context(), &call.Call{Account: account, Region: region})
}

func (h *house) create(t *testing.T) *runtime.CreateSessionOutput {
	t.Helper()
	out, err := h.CreateSession(h.ctx, &runtime.CreateSessionInput{SessionMetadata: map[string]string{"device": "mobile"}, Tags: map[string]string{"team": "rock"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *house) invocation(t *testing.T, session string) string {
	t.Helper()
	out, err := h.CreateInvocation(h.ctx, &runtime.CreateInvocationInput{SessionIdentifier: session, Description: new("weather")})
	if err != nil {
		t.Fatal(err)
	}
	return out.InvocationId
}

func (h *house) step(t *testing.T, session, invocation, text string) string {
	t.Helper()
	out, err := h.PutInvocationStep(h.ctx, step(session, invocation, text))
	if err != nil {
		t.Fatal(err)
	}
	return out.InvocationStepId
}

func step(session, invocation, text string) *runtime.PutInvocationStepInput {
	return &runtime.PutInvocationStepInput{
		SessionIdentifier: session, InvocationIdentifier: invocation, InvocationStepTime: time.Date(2026, 3, 1, 8, 59, 0, 123000, time.FixedZone("", 3600)),
		Payload: &runtime.InvocationStepPayload{ContentBlocks: []runtime.BedrockSessionContentBlock{{Text: &text}}},
	}
}

func (h *house) status(t *testing.T, session string) runtime.SessionStatus {
	t.Helper()
	out, err := h.GetSession(h.ctx, &runtime.GetSessionInput{SessionIdentifier: session})
	if err != nil {
		t.Fatal(err)
	}
	return out.SessionStatus
}

func wantKind(t *testing.T, err error, want apierr.Kind) {
	t.Helper()
	if got := apierr.KindOf(err); got != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

func TestTheLifeOfASession(t *testing.T) {
	h := open(t, Config{})
	s := h.create(t)
	if s.SessionStatus != runtime.SessionStatusActive || s.SessionArn != "arn:aws:bedrock:us-east-1:123456789012:session/"+s.SessionId || !s.CreatedAt.Equal(h.now) {
		t.Errorf("%+v", s)
	}
	h.now = h.now.Add(time.Minute)
	got, err := h.GetSession(h.ctx, &runtime.GetSessionInput{SessionIdentifier: s.SessionArn})
	if err != nil {
		t.Fatal(err)
	}
	want := &runtime.GetSessionOutput{
		CreatedAt: s.CreatedAt, LastUpdatedAt: s.CreatedAt, SessionArn: s.SessionArn, SessionId: s.SessionId, SessionStatus: runtime.SessionStatusActive, SessionMetadata: map[string]string{"device": "mobile"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	up, err := h.UpdateSession(h.ctx, &runtime.UpdateSessionInput{SessionIdentifier: s.SessionId, SessionMetadata: map[string]string{"os": "x"}})
	if err != nil || !up.LastUpdatedAt.Equal(h.now) || !up.CreatedAt.Equal(s.CreatedAt) {
		t.Errorf("%+v %v", up, err)
	}
	if got, err = h.GetSession(h.ctx, &runtime.GetSessionInput{SessionIdentifier: s.SessionId}); err != nil || cmp.Diff(map[string]string{"os": "x"}, got.SessionMetadata) != "" {
		t.Errorf("metadata is not replaced: %+v %v", got, err)
	}
	inv := h.invocation(t, s.SessionId)
	id := h.step(t, s.SessionArn, inv, "hello")
	_, err = h.DeleteSession(h.ctx, &runtime.DeleteSessionInput{SessionIdentifier: s.SessionId})
	wantKind(t, err, apierr.Conflict)

	for range 2 { // the second time changes nothing
		end, err := h.EndSession(h.ctx, &runtime.EndSessionInput{SessionIdentifier: s.SessionId})
		if err != nil || end.SessionStatus != runtime.SessionStatusEnded || end.SessionArn != s.SessionArn {
			t.Errorf("%+v %v", end, err)
		}
	}
	h.refused(t, s.SessionId, inv)
	read, err := h.GetInvocationStep(h.ctx, &runtime.GetInvocationStepInput{SessionIdentifier: s.SessionId, InvocationIdentifier: inv, InvocationStepId: id})
	if err != nil || *read.InvocationStep.Payload.ContentBlocks[0].Text != "hello" {
		t.Errorf("what ended cannot be read: %+v %v", read, err)
	}
	if _, err := h.DeleteSession(h.ctx, &runtime.DeleteSessionInput{SessionIdentifier: s.SessionArn}); err != nil {
		t.Fatal(err)
	}
	_, err = h.GetSession(h.ctx, &runtime.GetSessionInput{SessionIdentifier: s.SessionId})
	wantKind(t, err, apierr.ResourceNotFound)
	h.nothingLeft(t, s.SessionArn)
}

// refused expects that nothing can be added.
func (h *house) refused(t *testing.T, session, invocation string) {
	t.Helper()
	_, err := h.UpdateSession(h.ctx, &runtime.UpdateSessionInput{SessionIdentifier: session})
	wantKind(t, err, apierr.Conflict)
	_, err = h.CreateInvocation(h.ctx, &runtime.CreateInvocationInput{SessionIdentifier: session})
	wantKind(t, err, apierr.Conflict)
	_, err = h.PutInvocationStep(h.ctx, step(session, invocation, "more"))
	wantKind(t, err, apierr.Conflict)
}

func (h *house) nothingLeft(t *testing.T, name string) {
	t.Helper()
	err := h.store.View(t.Context(), func(tx *store.Tx) error {
		all := store.Query{Everywhere: true}
		a, err1 := sessions.Count(tx, all)
		b, err2 := invocations.Count(tx, all)
		c, err3 := steps.Count(tx, all)
		n, err4 := tx.CountTags(name)
		if a+b+c+n != 0 {
			t.Errorf("%d sessions, %d invocations, %d steps and %d tags are left", a, b, c, n)
		}
		return errors.Join(err1, err2, err3, err4)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIdleSessionsExpireAndOldOnesGo(t *testing.T) {
	h := open(t, Config{})
	s := h.create(t)
	h.now = h.now.Add(time.Hour - time.Second)
	inv := h.invocation(t, s.SessionId) // adding is a change
	h.now = h.now.Add(time.Hour - time.Second)
	if got := h.status(t, s.SessionId); got != runtime.SessionStatusActive {
		t.Errorf("%s before its time", got)
	}
	id := h.step(t, s.SessionId, inv, "x")
	h.now = h.now.Add(time.Hour)
	if got := h.status(t, s.SessionId); got != runtime.SessionStatusExpired {
		t.Errorf("%s after an hour", got)
	}
	h.refused(t, s.SessionId, inv)
	if _, err := h.GetInvocationStep(h.ctx, &runtime.GetInvocationStepInput{SessionIdentifier: s.SessionId, InvocationIdentifier: inv, InvocationStepId: id}); err != nil {
		t.Error(err)
	}
	if _, err := h.EndSession(h.ctx, &runtime.EndSessionInput{SessionIdentifier: s.SessionId}); err != nil || h.status(t, s.SessionId) != runtime.SessionStatusEnded {
		t.Error(err)
	}
	h.now = h.now.Add(30*24*time.Hour - time.Second)
	kept := h.create(t)
	if n, err := h.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("%d gone before their time: %v", n, err)
	}
	h.now = h.now.Add(time.Second)
	_, err := h.GetSession(h.ctx, &runtime.GetSessionInput{SessionIdentifier: s.SessionId})
	wantKind(t, err, apierr.ResourceNotFound)
	if l, err := h.ListSessions(h.ctx, &runtime.ListSessionsInput{}); err != nil || len(l.SessionSummaries) != 1 || l.SessionSummaries[0].SessionId != kept.SessionId {
		t.Errorf("%+v %v", l, err)
	}
	if n, err := h.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("%d gone: %v", n, err)
	}
	h.now = h.now.Add(31 * 24 * time.Hour)
	if n, err := h.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("%d gone: %v", n, err)
	}
	h.nothingLeft(t, s.SessionArn)
}

func TestStepsHoldTextAndImages(t *testing.T) {
	h := open(t, Config{StepBytes: 20})
	s := h.create(t)
	inv := h.invocation(t, s.SessionId)
	put := step(s.SessionId, inv, "a text")
	put.Payload.ContentBlocks = append(put.Payload.ContentBlocks,
		runtime.BedrockSessionContentBlock{Image: &runtime.ImageBlock{Format: runtime.ImageFormatPng, Source: &runtime.ImageSource{Bytes: []byte{0, 255, 1}}}},
		runtime.BedrockSessionContentBlock{Image: &runtime.ImageBlock{Format: runtime.ImageFormatJpeg, Source: &runtime.ImageSource{S3Location: &runtime.S3Location{Uri: "s3://bucket/key"}}}})
	put.InvocationStepId = new("01234567-89ab-cdef-0123-456789abcdef")
	for range 2 { // a client that heard no answer sends it again
		out, err := h.PutInvocationStep(h.ctx, put)
		if err != nil || out.InvocationStepId != *put.InvocationStepId {
			t.Fatalf("%+v %v", out, err)
		}
	}
	get := &runtime.GetInvocationStepInput{SessionIdentifier: s.SessionId, InvocationIdentifier: inv, InvocationStepId: *put.InvocationStepId}
	got, err := h.GetInvocationStep(h.ctx, get)
	if err != nil {
		t.Fatal(err)
	}
	want := &runtime.InvocationStep{InvocationId: inv, InvocationStepId: *put.InvocationStepId, InvocationStepTime: put.InvocationStepTime.UTC(), SessionId: s.SessionId, Payload: put.Payload}
	if d := cmp.Diff(want, got.InvocationStep); d != "" {
		t.Error(d)
	}
	put.Payload.ContentBlocks = put.Payload.ContentBlocks[:1]
	_, err = h.PutInvocationStep(h.ctx, put)
	wantKind(t, err, apierr.Conflict)
	_, err = h.PutInvocationStep(h.ctx, step(s.SessionId, inv, strings.Repeat("x", 21)))
	wantKind(t, err, apierr.ServiceQuotaExceeded)
	_, err = h.PutInvocationStep(h.ctx, step(s.SessionId, "00000000-89ab-cdef-0123-456789abcdef", "x"))
	wantKind(t, err, apierr.ResourceNotFound)
	other := h.invocation(t, s.SessionId)
	get.InvocationIdentifier = other
	_, err = h.GetInvocationStep(h.ctx, get)
	wantKind(t, err, apierr.ResourceNotFound)
	_, err = h.CreateInvocation(h.ctx, &runtime.CreateInvocationInput{SessionIdentifier: s.SessionId, InvocationId: &other})
	wantKind(t, err, apierr.Conflict)
}

func TestListsAreTheNewestFirstAndInPages(t *testing.T) {
	h := open(t, Config{Steps: 5})
	var ids []string
	for range 3 {
		ids = append([]string{h.create(t).SessionId}, ids...)
		h.now = h.now.Add(time.Second)
	}
	var got []string
	in := &runtime.ListSessionsInput{MaxResults: new(2)}
	for {
		l, err := h.ListSessions(h.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range l.SessionSummaries {
			got = append(got, s.SessionId)
		}
		if in.NextToken = l.NextToken; l.NextToken == nil {
			break
		}
	}
	if d := cmp.Diff(ids, got); d != "" {
		t.Error(d)
	}
	_, err := h.ListSessions(h.ctx, &runtime.ListSessionsInput{NextToken: new("nonsense")})
	wantKind(t, err, apierr.Validation)

	session := ids[0]
	a, b := h.invocation(t, session), ""
	h.now = h.now.Add(time.Second)
	b = h.invocation(t, session)
	invs, err := h.ListInvocations(h.ctx, &runtime.ListInvocationsInput{SessionIdentifier: session})
	if err != nil || len(invs.InvocationSummaries) != 2 || invs.InvocationSummaries[0].InvocationId != b || invs.InvocationSummaries[1].InvocationId != a {
		t.Errorf("%+v %v", invs, err)
	}
	var want []string
	for i := range 5 {
		inv := a
		if i%2 == 1 {
			inv = b
		}
		want = append([]string{h.step(t, session, inv, fmt.Sprint(i))}, want...)
		h.now = h.now.Add(time.Second)
	}
	_, err = h.PutInvocationStep(h.ctx, step(session, a, "one more"))
	wantKind(t, err, apierr.ServiceQuotaExceeded)
	for _, c := range []struct {
		invocation *string
		want       []string
	}{{nil, want}, {&a, []string{want[0], want[2], want[4]}}, {&b, []string{want[1], want[3]}}} {
		l, err := h.ListInvocationSteps(h.ctx, &runtime.ListInvocationStepsInput{SessionIdentifier: session, InvocationIdentifier: c.invocation})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range l.InvocationStepSummaries {
			got = append(got, s.InvocationStepId)
			if s.SessionId != session || s.InvocationStepTime.IsZero() {
				t.Errorf("%+v", s)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Error(d)
		}
	}
	// The last step, as the frameworks ask for it.
	l, err := h.ListInvocationSteps(h.ctx, &runtime.ListInvocationStepsInput{SessionIdentifier: session, InvocationIdentifier: &b, MaxResults: new(1)})
	if err != nil || len(l.InvocationStepSummaries) != 1 || l.InvocationStepSummaries[0].InvocationStepId != want[1] || l.NextToken == nil {
		t.Errorf("%+v %v", l, err)
	}
	_, err = h.ListInvocationSteps(h.ctx, &runtime.ListInvocationStepsInput{SessionIdentifier: session, InvocationIdentifier: new("00000000-89ab-cdef-0123-456789abcdef")})
	wantKind(t, err, apierr.ResourceNotFound)
}

func TestSessionsBelongToAnAccountAndARegion(t *testing.T) {
	h := open(t, Config{})
	s := h.create(t)
	for _, ctx := range []context.Context{in(t, "210987654321", "us-east-1"), in(t, "123456789012", "eu-west-1")} {
		for _, id := range []string{s.SessionId, s.SessionArn} {
			_, err := h.GetSession(ctx, &runtime.GetSessionInput{SessionIdentifier: id})
			wantKind(t, err, apierr.ResourceNotFound)
		}
		if there, err := h.Exists(ctx, s.SessionArn); there || err != nil {
			t.Error(there, err)
		}
		if l, err := h.ListSessions(ctx, &runtime.ListSessionsInput{}); err != nil || len(l.SessionSummaries) != 0 {
			t.Errorf("%+v %v", l, err)
		}
	}
	if there, err := h.Exists(h.ctx, s.SessionArn); !there || err != nil {
		t.Error(there, err)
	}
	_, err := h.CreateSession(h.ctx, &runtime.CreateSessionInput{Tags: map[string]string{"aws:x": "1"}})
	wantKind(t, err, apierr.Validation)
}

func TestManyStepsAtOnceKeepTheQuota(t *testing.T) {
	h := open(t, Config{Steps: 10})
	s := h.create(t)
	inv := h.invocation(t, s.SessionId)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 30 {
		wg.Go(func() {
			_, err := h.PutInvocationStep(h.ctx, step(s.SessionId, inv, fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			switch apierr.KindOf(err) {
			case "":
				made++
			case apierr.ServiceQuotaExceeded, apierr.Conflict:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l, err := h.ListInvocationSteps(h.ctx, &runtime.ListInvocationStepsInput{SessionIdentifier: s.SessionId})
	if err != nil || len(l.InvocationStepSummaries) != made || made == 0 || made > 10 {
		t.Errorf("%d of 10 steps, %d in the list: %v", made, len(l.InvocationStepSummaries), err)
	}
}
