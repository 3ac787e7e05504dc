package turn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	runtime "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// order is what a child process is told: one request, and where it is to die.
type order struct {
	Request string // text
	ID      string // invocation that is answered
	Kind    string // of the answer: confirm, result
	Die     string // point of Config.At, "" to live
}

// outcomeOf is what a child tells of its turn.
type outcomeOf struct {
	Answer, Invocation, Error string
	Asked                     int // requests to the model
}

// puppet runs one turn on the data folder of its parent, and dies where it is told to
// by SIGKILL.
func puppet(dir string) int {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv("OUTCROP_TEST_ORDER")), &o); err != nil {
		return fatal(err)
	}
	s, err := openStore(dir)
	if err != nil {
		return fatal(err)
	}
	w := newWorldOn(nil, s, "crash")
	w.plan.Groups = append(w.plan.Groups, plan.Group{Name: "ask", Signature: plan.UserInput})
	model := func(r *engine.Request) (*engine.Result, error) {
		last := r.Messages[len(r.Messages)-1]
		for _, p := range last.Parts {
			if p.ToolResult != nil && p.ToolResult.Name == askTool {
				return calls(toolRemind, `{"claimId":"`+p.ToolResult.Parts[0].Text+`","pendingDocuments":[]}`)(r)
			}
			if p.ToolResult != nil {
				return says("done: " + p.ToolResult.Parts[0].Text)(r)
			}
		}
		switch text := last.Parts[0].Text; text {
		case "pay":
			return calls(toolRefund, `{"amount":5}`)(r)
		case "weather":
			return calls(toolWeather, `{"location":"x"}`)(r)
		case "remind":
			return calls(askTool, `{"question":"Which claim?"}`)(r)
		default:
			return calls(toolRemind, `{"claimId":"`+text+`","pendingDocuments":[]}`)(r)
		}
	}
	for range 10 {
		w.replay(model)
	}
	w.lambda = func(_ context.Context, e *event) (any, error) {
		f, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		_, err = fmt.Fprintln(f, e.Function+e.APIPath)
		err = errors.Join(err, f.Sync(), f.Close())
		return replyTo(e, "acted"), err
	}
	c := w.config()
	c.NewID = nil
	c.At = func(point string) {
		if point == o.Die {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	w.runner = New(c)
	in := &Input{Text: o.Request}
	if o.ID != "" {
		in = &Input{InvocationID: o.ID}
		switch o.Kind {
		case "confirm":
			in.Results = results(runtime.InvocationResultMember{FunctionResult: &runtime.FunctionResult{ActionGroup: "billing", Function: new("refund"), ConfirmationState: "CONFIRM"}})
		case "result":
			in.Results = results(function("weather", "getWeather", "sunny"))
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	err = w.turnIn(ctx, in)
	out := outcomeOf{Answer: w.answer(), Asked: len(w.asked)}
	if len(w.returns) > 0 {
		out.Invocation = *w.returns[0].InvocationId
	}
	switch e, ok := errors.AsType[*apierr.Error](err); {
	case ok:
		out.Error = string(e.Kind)
	case errors.Is(err, conversation.ErrUnsure):
		out.Error = "unsure"
	case err != nil:
		return fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return fatal(err)
	}
	if err := s.Close(); err != nil {
		return fatal(err)
	}
	return 0
}

func fatal(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// play runs an order in a child.
func play(t *testing.T, dir string, o order) outcomeOf {
	t.Helper()
	js, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "OUTCROP_TEST_TURN="+dir, "OUTCROP_TEST_ORDER="+string(js))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if o.Die != "" {
		st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || !st.Signaled() || st.Signal() != syscall.SIGKILL {
			t.Fatalf("the child was to die at %s: %v %s %s", o.Die, err, out.String(), errs.String())
		}
		return outcomeOf{}
	}
	if err != nil {
		t.Fatalf("child: %v\n%s", err, errs.String())
	}
	var got outcomeOf
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("child said %q: %v", out.String(), err)
	}
	return got
}

func effects(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "effects"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

// A server that is killed at any point of a turn does a confirmed action at most
// once, and exactly once when its result was on disk.
func TestKilledTurnsGoOnOrFailAndActOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts child processes")
	}
	for _, c := range []struct {
		die     string
		effects int
		again   string // error of the same request after the restart
	}{
		{AtIntent, 0, "unsure"},
		{AtActed, 1, "unsure"},
		{AtResult, 1, ""},
		{AtFinished, 1, ""},
	} {
		for _, way := range []string{"confirm", "ask", "plain"} {
			if way == "plain" && c.die == AtFinished {
				continue // the request was answered on disk; asked again it is a new turn
			}
			t.Run(way+" killed at "+c.die, func(t *testing.T) {
				dir := t.TempDir()
				o := order{Request: "claim-7"}
				switch way {
				case "confirm":
					got := play(t, dir, order{Request: "pay"})
					if got.Invocation == "" {
						t.Fatalf("%+v", got)
					}
					o = order{ID: got.Invocation, Kind: "confirm"}
				case "ask":
					if got := play(t, dir, order{Request: "remind"}); got.Answer != "Which claim?" {
						t.Fatalf("%+v", got)
					}
					if c.die == AtFinished {
						return
					}
				}
				o.Die = c.die
				play(t, dir, o)
				if n := effects(t, dir); n != c.effects {
					t.Fatalf("%d effects before the restart, want %d", n, c.effects)
				}
				o.Die = ""
				got := play(t, dir, o)
				if got.Error != c.again || c.again == "" && got.Answer != "done: acted" {
					t.Fatalf("after the restart: %+v, want error %q", got, c.again)
				}
				if c.die == AtResult && got.Asked != 1 {
					t.Errorf("the model was asked %d times after the restart, want 1", got.Asked)
				}
				if n := effects(t, dir); n != c.effects {
					t.Fatalf("%d effects after the restart, want %d", n, c.effects)
				}
				if way == "confirm" { // however often it comes
					got := play(t, dir, o)
					if got.Error != c.again || effects(t, dir) != c.effects {
						t.Fatalf("third time: %+v, %d effects", got, effects(t, dir))
					}
				}
			})
		}
	}
}

// What waits for the caller or the user survives the death of the server.
func TestWaitingSurvivesAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts child processes")
	}
	dir := t.TempDir()
	got := play(t, dir, order{Request: "weather"})
	if got.Invocation == "" {
		t.Fatalf("%+v", got)
	}
	play(t, dir, order{ID: got.Invocation, Kind: "result", Die: AtFinished})
	if again := play(t, dir, order{ID: got.Invocation, Kind: "result"}); again.Answer != "done: sunny" || again.Asked != 0 {
		t.Fatalf("%+v", again)
	}
	play(t, dir, order{Request: "remind", Die: AtFinished}) // the question was on disk
	if got := play(t, dir, order{Request: "claim-9"}); got.Answer != "done: acted" || effects(t, dir) != 1 {
		t.Fatalf("%+v, %d effects", got, effects(t, dir))
	}
}
