package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// What the model and the function take in turns that wait for them, as the fastest of
// real ones do.
const (
	thinking = 100 * time.Millisecond
	working  = 50 * time.Millisecond
)

// agentRules make a turn of two steps: a call of a function, then an answer. With a
// late claim model and function take their time, else they answer at once.
const agentRules = `rules:
  - when: {tool_result: "late"}
    reply: {text: "It is open.", delay: 100ms}
  - when: {tool_result: "open"}
    reply: {text: "It is open."}
  - when: {user: "late"}
    reply: {tool_calls: [{name: claims__look, arguments: {id: "late"}}], delay: 100ms}
  - when: {user: "claim"}
    reply: {tool_calls: [{name: claims__look, arguments: {id: "7"}}]}
`

// hook stands in the place of the function and counts its calls.
type hook struct{ calls atomic.Int64 }

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	state := "open"
	if bytes.Contains(body, []byte(`"late"`)) {
		state = "late"
		time.Sleep(working)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"messageVersion":"1.0","response":{"actionGroup":"claims","function":"look","functionResponse":{"responseBody":{"TEXT":{"body":"`+state+`"}}}}}`)
}

// measureAgents times turns of two steps with one function call over the wire. The
// script engine and the function answer at once, so nearly all of a turn is the
// server's own work: its steps, its commits, its stream.
func measureAgents(t *table, bin string) error {
	dir, err := os.MkdirTemp("", "outcrop-bench-agents-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte(agentRules), 0o600); err != nil {
		return err
	}
	h := new(hook)
	l, err := listenLoopback()
	if err != nil {
		return err
	}
	function := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = function.Serve(l) }()
	defer function.Close()
	s, err := startServer(bin, "script:"+rules, "--function", "claims=http://"+l.Addr().String()+"/")
	if err != nil {
		return err
	}
	defer s.stop()
	agent, err := s.makeAgent()
	if err != nil {
		return err
	}
	var one []time.Duration
	for i := range 200 {
		took, err := s.turn(agent, fmt.Sprintf("one-%d", i), "what about claim 7")
		if err != nil {
			return err
		}
		if i >= 20 {
			one = append(one, took)
		}
	}
	const clients, rounds = 100, 5
	crowd := func(name, question string) (all []time.Duration, took time.Duration, err error) {
		var mu sync.Mutex
		var errs []error
		before := h.calls.Load()
		start := time.Now()
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for r := range rounds {
					took, err := s.turn(agent, fmt.Sprintf("%s-%d-%d", name, c, r), question)
					mu.Lock()
					all, errs = append(all, took), append(errs, err)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		took = time.Since(start)
		if err := errors.Join(errs...); err != nil {
			return nil, 0, fmt.Errorf("concurrent turns: %w", err)
		}
		if n := h.calls.Load() - before; n != clients*rounds {
			return nil, 0, fmt.Errorf("%d turns called the function %d times", clients*rounds, n)
		}
		return all, took, nil
	}
	late, _, err := crowd("late", "what about late claim 8")
	if err != nil {
		return err
	}
	many, took, err := crowd("many", "what about claim 7")
	if err != nil {
		return err
	}
	// The house is warm now: what more sessions leave behind is theirs.
	warm, idle := s.rss(), 0
	for i := range 4 {
		more, _, err := crowd(fmt.Sprintf("idle-%d", i), "what about claim 7")
		if err != nil {
			return err
		}
		idle += len(more)
	}
	each := max(0, s.rss()-warm) / int64(idle)
	step := median(one) / 2
	t.row("agent: the server's part of a step, p50 (turn of two steps and a function)", "", ms(step), "", "≤ 5 ms", step <= 5*time.Millisecond)
	// The overhead is what a turn takes beyond its model and its function. Where those
	// take no time, 100 clients only measure how long a queue of 100 is.
	const waiting = 2*thinking + working
	over := quantile(late, 0.99) - waiting
	t.row(fmt.Sprintf("agent: 100 turns at once, model %v a step, function %v: p99 beyond these", thinking, working), ms(waiting), ms(quantile(late, 0.99)), "added "+ms(over), "< 50 ms added", over < 50*time.Millisecond)
	t.row("agent: 100 turns at once, model and function at once, p99 of a turn", "", ms(quantile(many, 0.99)), fmt.Sprintf("%.0f turns/s, none failed", clients*rounds/took.Seconds()), "", true)
	t.row(fmt.Sprintf("agent: memory that each of %d idle sessions leaves", idle), "", fmt.Sprintf("%.1f kB", float64(each)/1e3), "", "< 10 kB", each < 10_000)
	return s.stop()
}

// makeAgent makes a prepared agent with one function, and answers its id.
func (s *server) makeAgent() (string, error) {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel*","Resource":"*"}]}`
	for _, form := range []url.Values{
		{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"agents"}, "AssumeRolePolicyDocument": {trust}},
		{"Action": {"PutRolePolicy"}, "Version": {"2010-05-08"}, "RoleName": {"agents"}, "PolicyName": {"p"}, "PolicyDocument": {allow}},
	} {
		if err := s.ask("POST", "iam", "/", []byte(form.Encode()), nil); err != nil {
			return "", err
		}
	}
	var made struct {
		Agent struct{ AgentID, AgentStatus string }
	}
	body, err := json.Marshal(map[string]any{
		"agentName": "bench", "foundationModel": "anthropic.claude-3-haiku-20240307-v1:0", "agentResourceRoleArn": "arn:aws:iam::123456789012:role/agents",
		"instruction": "You look claims up with your function and say what it tells you about them.",
	})
	if err != nil {
		return "", err
	}
	if err := s.ask("PUT", "bedrock", "/agents/", body, &made); err != nil {
		return "", err
	}
	id := made.Agent.AgentID
	settle := func(want string) error {
		for range 200 {
			if err := s.ask("GET", "bedrock", "/agents/"+id+"/", nil, &made); err != nil {
				return err
			}
			if made.Agent.AgentStatus == want {
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		return fmt.Errorf("the agent is %s, not %s", made.Agent.AgentStatus, want)
	}
	if err := settle("NOT_PREPARED"); err != nil {
		return "", err
	}
	body, err = json.Marshal(map[string]any{
		"actionGroupName": "claims", "actionGroupExecutor": map[string]any{"lambda": "arn:aws:lambda:us-east-1:123456789012:function:claims"},
		"functionSchema": map[string]any{"functions": []any{map[string]any{
			"name": "look", "description": "Looks a claim up", "parameters": map[string]any{"id": map[string]any{"type": "string", "description": "of the claim", "required": true}},
		}}},
	})
	if err != nil {
		return "", err
	}
	if err := s.ask("PUT", "bedrock", "/agents/"+id+"/agentversions/DRAFT/actiongroups/", body, nil); err != nil {
		return "", err
	}
	if err := s.ask("POST", "bedrock", "/agents/"+id+"/", nil, nil); err != nil {
		return "", err
	}
	return id, settle("PREPARED")
}

var answer = []byte("SXQgaXMgb3Blbi4=") // It is open.

// turn asks the agent once and reads the whole stream.
func (s *server) turn(agent, session, question string) (time.Duration, error) {
	body := []byte(`{"inputText":"` + question + `"}`)
	sum := sha256.Sum256(body)
	r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+s.addr+"/agents/"+agent+"/agentAliases/TSTALIASID/sessions/"+session+"/text", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	cred := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), cred, r, hex.EncodeToString(sum[:]), "bedrock", "us-east-1", time.Now()); err != nil {
		return 0, err
	}
	start := time.Now()
	resp, err := turns.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	took := time.Since(start)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Contains(b, answer)) {
		err = fmt.Errorf("turn %s: %s: %q", session, resp.Status, b)
	}
	return took, err
}

// turns keeps a connection for each client.
var turns = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
