package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/agent/prompt"
	"github.com/outcrop-dev/outcrop/internal/agent/turn"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

// memoryHouse is an agent that remembers, with a model that a test scripts.
type memoryHouse struct {
	*agent.Memories
	store    *store.Store
	sessions *conversation.Sessions
	ctx      context.Context
	plan     *plan.Plan

	mu      sync.Mutex
	now     time.Time
	asked   []string // prompts
	answer  func(n int, prompt string) (string, error)
	denied  error
	parsed  []byte // event of the parser function
	parsing string // its answer
	there   bool   // the alias
}

func openMemory(t *testing.T) *memoryHouse {
	t.Helper()
	h := &memoryHouse{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), there: true}
	h.ctx = call.With(t.Context(), &call.Call{Account: "123456789012", Region: "us-east-1"})
	h.plan = &plan.Plan{
		AgentID: "AGENT00001", Name: "a", ARN: "arn:aws:bedrock:us-east-1:123456789012:agent/AGENT00001", Model: "m", Memory: &plan.Memory{Days: 30, Recent: 2}, Prompts: prompt.Defaults("m"),
	}
	h.answer = func(n int, _ string) (string, error) {
		return fmt.Sprintf(`<summary><topic name="claims">summary %d</topic></summary>`, n), nil
	}
	h.store = storetest.NewAt(t, h.clock)
	h.Memories = agent.NewMemories(agent.MemoryConfig{Store: h.store, Aliases: h, Models: h, Roles: h, Functions: h, Now: h.clock, Piece: 400})
	h.sessions = conversation.New(conversation.Config{Store: h.store, Ended: h.Ended})
	kind := agent.MemoryJobs(func() *agent.Memories { return h.Memories })
	kind.Backoff = func(int) time.Duration { return time.Millisecond }
	kind.MaxAttempts = 3
	r, err := job.New(job.Config{Store: h.store, Kinds: []job.Kind{kind}, Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *memoryHouse) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *memoryHouse) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// Invocable implements agent.Aliases.
func (h *memoryHouse) Invocable(_ context.Context, agentID, aliasID string) (*turn.Alias, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if agentID != h.plan.AgentID || !h.there {
		return nil, apierr.New(apierr.ResourceNotFound, "no such agent")
	}
	return &turn.Alias{ID: aliasID, Version: "1", Plan: h.plan}, nil
}

// Generate implements turn.Models.
func (h *memoryHouse) Generate(ctx context.Context, model string, r *engine.Request, _ func(engine.Delta) error) (*engine.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := call.From(ctx); model != "m" || c.Account != "123456789012" || c.Region != "us-east-1" || r.Temperature == nil || r.MaxTokens != 2048 {
		return nil, fmt.Errorf("asked %s for %+v with %+v", model, c, r.Sampling)
	}
	text := r.System
	for _, m := range r.Messages {
		text += m.Parts[0].Text
	}
	h.asked = append(h.asked, text)
	out, err := h.answer(len(h.asked), text)
	if err != nil {
		return nil, err
	}
	return &engine.Result{Parts: []engine.Part{{Text: out}}}, nil
}

// Model implements turn.Roles.
func (h *memoryHouse) Model(context.Context, string, string, string, bool) error { return h.denied }

// Allow implements turn.Roles.
func (h *memoryHouse) Allow(context.Context, string, string, string, string) error { return nil }

// Call implements turn.Functions.
func (h *memoryHouse) Call(_ context.Context, _, _ string, payload []byte) ([]byte, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parsed = payload
	return []byte(h.parsing), false, nil
}

func (h *memoryHouse) key(session string) conversation.Key {
	return conversation.Key{Account: "123456789012", Region: "us-east-1", Owner: h.plan.AgentID, Alias: "ALIAS00001", ID: session}
}

// talk has a session and ends it.
func (h *memoryHouse) talk(t *testing.T, session, memory string, inputs ...string) {
	t.Helper()
	for _, in := range inputs {
		tn, _, err := h.sessions.Begin(h.ctx, conversation.Opening{Key: h.key(session), TTL: time.Hour, Memory: memory, Request: in})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := json.Marshal(turn.Record{Input: in, Answer: "answer to " + in})
		if err != nil {
			t.Fatal(err)
		}
		if err := tn.Finish(h.ctx, nil, rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.sessions.End(h.ctx, h.key(session)); err != nil {
		t.Fatal(err)
	}
}

func (h *memoryHouse) get(t *testing.T, memory string) []*runtime.MemorySessionSummary {
	t.Helper()
	out, err := h.GetAgentMemory(h.ctx, &runtime.GetAgentMemoryInput{AgentId: h.plan.AgentID, AgentAliasId: "ALIAS00001", MemoryId: memory, MemoryType: runtime.MemoryTypeSessionSummary})
	if err != nil {
		t.Fatal(err)
	}
	var list []*runtime.MemorySessionSummary
	for _, m := range out.MemoryContents {
		list = append(list, m.SessionSummary)
	}
	return list
}

// settle waits until a memory has n summaries and no job is left.
func (h *memoryHouse) settle(t *testing.T, memory string, n int) []*runtime.MemorySessionSummary {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		left := 0
		err := h.store.View(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM job WHERE state NOT IN ('completed', 'discarded', 'cancelled')`, nil, &left)
		})
		if err != nil {
			t.Fatal(err)
		}
		got := h.get(t, memory)
		if left == 0 && len(got) == n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d summaries and %d jobs, want %d and none", len(got), left, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *memoryHouse) rows(t *testing.T) (n int) {
	t.Helper()
	err := h.store.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM resource WHERE kind = 'agent-memory'`, nil, &n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestASessionIsSummedUpWhenItEnds(t *testing.T) {
	h := openMemory(t)
	began := h.clock()
	h.talk(t, "s1", "user", "What of claim c-1?")
	got := h.settle(t, "user", 1)[0]
	want := &runtime.MemorySessionSummary{
		MemoryId: new("user"), SessionId: new("s1"), SummaryText: new("claims: summary 1"), SessionStartTime: new(began), SessionExpiryTime: new(began.AddDate(0, 0, 30)),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if p := h.asked[0]; !strings.Contains(p, "User: What of claim c-1?\nAssistant: answer to What of claim c-1?") || strings.Contains(p, "$") {
		t.Errorf("asked %s", p)
	}
	h.talk(t, "s0", "", "not to be remembered")
	for i := 2; i <= 4; i++ {
		h.pass(time.Minute)
		h.talk(t, fmt.Sprintf("s%d", i), "user", "x")
		h.settle(t, "user", i)
	}
	h.talk(t, "s1", "other", "x")
	h.settle(t, "other", 1)
	for recent, want := range map[int][]string{2: {"claims: summary 4", "claims: summary 3"}, 0: {"claims: summary 4", "claims: summary 3", "claims: summary 2", "claims: summary 1"}} {
		list, err := h.Recall(h.ctx, h.plan.AgentID, "ALIAS00001", "user", recent)
		if d := cmp.Diff(want, list); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}
	}
	if list, err := h.Recall(h.ctx, h.plan.AgentID, "ALIAS00002", "user", 2); len(list) != 0 || err != nil {
		t.Errorf("another alias remembers %q %v", list, err)
	}
	in := &runtime.GetAgentMemoryInput{AgentId: h.plan.AgentID, AgentAliasId: "ALIAS00001", MemoryId: "user", MemoryType: runtime.MemoryTypeSessionSummary, MaxItems: new(3)}
	var ids []string
	for {
		out, err := h.GetAgentMemory(h.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.MemoryContents {
			ids = append(ids, *m.SessionSummary.SessionId)
		}
		if in.NextToken = out.NextToken; out.NextToken == nil {
			break
		}
	}
	if d := cmp.Diff([]string{"s4", "s3", "s2", "s1"}, ids); d != "" {
		t.Error(d)
	}
}

func TestMemoriesAreDeletedAndForgotten(t *testing.T) {
	h := openMemory(t)
	for _, s := range []string{"s1", "s2", "s3"} {
		h.talk(t, s, "user", "x")
	}
	h.talk(t, "s4", "other", "x")
	h.settle(t, "user", 3)
	h.settle(t, "other", 1)
	del := func(memory, session *string) {
		t.Helper()
		if _, err := h.DeleteAgentMemory(h.ctx, &runtime.DeleteAgentMemoryInput{AgentId: h.plan.AgentID, AgentAliasId: "ALIAS00001", MemoryId: memory, SessionId: session}); err != nil {
			t.Fatal(err)
		}
	}
	del(new("user"), new("s2"))
	if got := h.get(t, "user"); len(got) != 2 {
		t.Errorf("%d left after one session was deleted", len(got))
	}
	del(new("user"), nil)
	if a, b := len(h.get(t, "user")), len(h.get(t, "other")); a != 0 || b != 1 {
		t.Errorf("%d and %d left", a, b)
	}
	del(nil, nil)
	if n := h.rows(t); n != 0 {
		t.Errorf("%d rows left", n)
	}
	// A summary that is still to come is deleted too.
	begun, let := make(chan bool), make(chan bool)
	h.answer = func(int, string) (string, error) {
		h.mu.Unlock()
		begun <- true
		<-let
		h.mu.Lock()
		return "late", nil
	}
	h.talk(t, "s5", "user", "x")
	<-begun
	del(new("user"), nil)
	close(let)
	h.settle(t, "user", 0)
	if n := h.rows(t); n != 0 {
		t.Errorf("%d rows left", n)
	}
	h.answer = func(int, string) (string, error) { return "again", nil }
	h.talk(t, "s6", "user", "x")
	h.settle(t, "user", 1)
	h.pass(30*24*time.Hour - time.Second)
	if n, err := h.Sweep(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
	h.pass(time.Second)
	if list, err := h.Recall(h.ctx, h.plan.AgentID, "ALIAS00001", "user", 2); len(list) != 0 || len(h.get(t, "user")) != 0 || err != nil {
		t.Errorf("after its days: %q %v", list, err)
	}
	if n, err := h.Sweep(t.Context()); n != 1 || err != nil || h.rows(t) != 0 {
		t.Error(n, err)
	}
	h.talk(t, "s7", "user", "x")
	h.settle(t, "user", 1)
	err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		return agent.ForgetMemory(tx, "123456789012", "us-east-1", h.plan.AgentID, "")
	})
	if n := h.rows(t); n != 0 || err != nil {
		t.Error(n, err)
	}
	_, err = h.GetAgentMemory(h.ctx, &runtime.GetAgentMemoryInput{AgentId: "NOAGENT000", AgentAliasId: "ALIAS00001", MemoryId: "user"})
	if apierr.KindOf(err) != apierr.ResourceNotFound {
		t.Error(err)
	}
}

func TestLongSessionsAreSummedUpPieceByPiece(t *testing.T) {
	h := openMemory(t)
	var inputs []string
	for i := range 4 {
		inputs = append(inputs, fmt.Sprintf("%d %s", i, strings.Repeat("x", 120)))
	}
	inputs = append(inputs, "4 "+strings.Repeat("long ", 400))
	h.talk(t, "s1", "user", inputs...)
	got := h.settle(t, "user", 1)[0]
	if len(h.asked) < 3 || *got.SummaryText != fmt.Sprintf("claims: summary %d", len(h.asked)) {
		t.Errorf("%d questions, %s", len(h.asked), *got.SummaryText)
	}
	for i, p := range h.asked {
		if (i > 0) != strings.Contains(p, fmt.Sprintf("claims: summary %d", i)) || len(p) > 1800 {
			t.Errorf("question %d, of %d bytes, does not know what was before: %s", i+1, len(p), p)
		}
	}
}

func TestWhatKeepsASummaryFromBeingMade(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*memoryHouse)
		asked  int
		left   int
	}{
		{"the model fails once", func(h *memoryHouse) {
			h.answer = func(n int, _ string) (string, error) {
				if n == 1 {
					return "", errors.New("busy")
				}
				return "fine", nil
			}
		}, 2, 1},
		{"the model always fails", func(h *memoryHouse) { h.answer = func(int, string) (string, error) { return "", errors.New("broken") } }, 3, 0},
		{"the role is denied", func(h *memoryHouse) { h.denied = apierr.New(apierr.AccessDenied, "no") }, 0, 0},
		{"the agent has no memory any more", func(h *memoryHouse) { h.plan.Memory = nil }, 0, 0},
		{"it keeps nothing", func(h *memoryHouse) { h.plan.Memory.Days = 0 }, 0, 0},
		{"the alias is gone", func(h *memoryHouse) { h.there = false }, 0, 0},
		{"the prompt is switched off", func(h *memoryHouse) { h.plan.Prompts[4].Enabled = false }, 0, 0},
		{"the model says nothing", func(h *memoryHouse) { h.answer = func(int, string) (string, error) { return " ", nil } }, 1, 0},
		{"the parser's answer is of no use", func(h *memoryHouse) { h.plan.Prompts[4].Parser, h.parsing = plan.Overridden, `{}` }, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := openMemory(t)
			c.change(h)
			h.talk(t, "s1", "user", "x")
			deadline := time.Now().Add(30 * time.Second)
			for {
				n, left := h.rows(t), 0
				err := h.store.View(t.Context(), func(tx *store.Tx) error {
					return tx.QueryRow(`SELECT COUNT(*) FROM job WHERE state NOT IN ('completed', 'discarded', 'cancelled')`, nil, &left)
				})
				if err != nil {
					t.Fatal(err)
				}
				if left == 0 {
					if n != c.left || len(h.asked) != c.asked {
						t.Errorf("%d rows and %d questions, want %d and %d", n, len(h.asked), c.left, c.asked)
					}
					return
				}
				if time.Now().After(deadline) {
					t.Fatal("the job does not end")
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

func TestAParserFunctionReadsSummaries(t *testing.T) {
	h := openMemory(t)
	h.plan.Prompts[4].Parser, h.plan.Parser = plan.Overridden, "arn:aws:lambda:us-east-1:123456789012:function:p"
	h.parsing = `{"messageVersion":"1.0","promptType":"MEMORY_SUMMARIZATION","topicwiseSummaries":[{"topic":"a","summary":"b"},{"topic":"c","summary":"d"}]}`
	h.talk(t, "s1", "user", "x")
	if got := h.settle(t, "user", 1)[0]; *got.SummaryText != "a: b\nc: d" {
		t.Error(*got.SummaryText)
	}
	var event struct {
		Raw  string `json:"invokeModelRawResponse"`
		Type string `json:"promptType"`
	}
	if err := json.Unmarshal(h.parsed, &event); err != nil || event.Type != "MEMORY_SUMMARIZATION" || !strings.Contains(event.Raw, `"type":"text"`) {
		t.Errorf("%s %v", h.parsed, err)
	}
}
