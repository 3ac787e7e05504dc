package constrain

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// ErrRefused is returned by [Parser.Write] and [Parser.Close] when the model
// repeats a call that has been answered already (see [Refused]). Nothing of that
// call was emitted. The engine drops the generation and runs it again with
// [Options.ForbidCalls]; text emitted before it stays.
var ErrRefused = errors.New("constrain: the call was answered already")

// Options steer [Grammar].
type Options struct {
	// ForbidCalls leaves plain text as the only alternative.
	ForbidCalls bool
	// ForceCalls leaves calls as the only alternative, as ToolAny does.
	ForceCalls bool
}

// Wanted reports whether req needs a grammar: it offers tools that the model may
// call, or asks for an answer after a schema.
func Wanted(req *engine.Request) bool {
	return callable(req) || len(req.ResultSchema) > 0
}

// callable reports whether the model may call a tool.
func callable(req *engine.Request) bool {
	return len(req.Tools) > 0 && req.ToolChoice.Mode != engine.ToolNever
}

// Refused reports whether call repeats, name and arguments compared as JSON
// values, a call that has a result already in the running turn, which begins
// after the last plain text of the user. Small models repeat a finished call for
// ever otherwise.
func Refused(req *engine.Request, call engine.ToolCall) bool {
	for _, done := range answered(req) {
		if done.Name == call.Name && sameJSON(done.Arguments, call.Arguments) {
			return true
		}
	}
	return false
}

// answered lists the calls of the running turn that have results. A user message
// that carries results continues the turn even when it holds text too.
func answered(req *engine.Request) []engine.ToolCall {
	start := 0
	for i := range req.Messages {
		m := &req.Messages[i]
		if m.Role != engine.User {
			continue
		}
		text, result := false, false
		for j := range m.Parts {
			p := &m.Parts[j]
			result = result || p.ToolResult != nil
			text = text || p.IsText() && strings.TrimSpace(p.Text) != ""
		}
		if text && !result {
			start = i
		}
	}
	var calls, done []engine.ToolCall
	for i := start; i < len(req.Messages); i++ {
		for j := range req.Messages[i].Parts {
			switch p := &req.Messages[i].Parts[j]; {
			case p.ToolCall != nil:
				calls = append(calls, *p.ToolCall)
			case p.ToolResult != nil:
				for k := range calls {
					if calls[k].ID == p.ToolResult.ID {
						done = append(done, calls[k])
					}
				}
			}
		}
	}
	return done
}

// sameJSON compares two JSON texts by value; texts that do not parse are compared
// as bytes.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if decode(a, &x) != nil || decode(b, &y) != nil {
		return bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b))
	}
	return reflect.DeepEqual(x, y)
}

func decode(raw json.RawMessage, v *any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		*v = map[string]any{}
		return nil
	}
	return json.Unmarshal(raw, v)
}
