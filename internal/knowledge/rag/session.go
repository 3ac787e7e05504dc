package rag

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Owner is whose the sessions are in package conversation.
const Owner = "retrieve-and-generate"

// How much of a session later turns are told.
const (
	keptTurns  = 5
	keptAnswer = 1000 // characters of an answer
)

// state is what a session carries from turn to turn.
type state struct {
	Type  string `json:"type"`
	Base  string `json:"base,omitempty"`
	Key   string `json:"key,omitempty"`
	Turns []past `json:"turns"`
}

// past is a turn that was.
type past struct {
	Question string `json:"question"` // stand-alone
	Answer   string `json:"answer"`   // "" where there was none
}

// record is what an attempt that comes again is answered.
type record struct {
	Text      string         `json:"text"`
	Citations []api.Citation `json:"citations,omitempty"`
	Broken    bool           `json:"broken,omitempty"` // the stream ended before the answer did
}

// newID makes the id of a session. Of a client's attempt it is made the same again,
// so that the retry of a first request finds what the first try began.
func newID(at *call.Call) string {
	var b [16]byte
	if at.Attempt == "" {
		rand.Read(b[:])
	} else {
		sum := sha256.Sum256([]byte(strings.Join([]string{Owner, at.Account, at.Region, at.Principal, at.UserID, at.Attempt}, "\x00")))
		copy(b[:], sum[:])
	}
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8: made as its maker likes
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// turn is one turn of a session in the hands of a request.
type turn struct {
	*conversation.Turn
	id    string
	state state
	known bool // the client came with the id
	leave func()
}

// sealing is ctx in which a session is sealed and opened: by Bedrock itself, as the
// guide's policy for the key of a session has it, or for the caller where
// the key does not let Bedrock. So a key works with the policy of the guide, and with
// the one that it gets when it is made, which speaks of callers only.
func sealing(ctx context.Context) context.Context {
	at, caller := call.From(ctx), kms.CallerOf(ctx)
	caller.Via = "bedrock." + at.Region + ".amazonaws.com"
	return kms.As(ctx, kms.Asking{Caller: kms.Caller{Service: "bedrock.amazonaws.com", Account: at.Account, Region: at.Region}, Else: &caller})
}

// begin begins a turn, or answers the record of an attempt that was answered before.
func (o *Operations) begin(ctx context.Context, q *request, t *task) (*turn, *record, error) {
	ctx = sealing(ctx)
	at := call.From(ctx)
	s := &turn{known: optional.Value(q.id) != "", id: optional.Value(q.id)}
	if !s.known {
		s.id = newID(at)
	}
	sum := sha256.Sum256([]byte(t.question))
	opening := conversation.Opening{
		Key: conversation.Key{Account: at.Account, Region: at.Region, Owner: Owner, ID: s.id}, KeyARN: t.keyARN, TTL: o.cfg.Idle,
		Request: "text " + hex.EncodeToString(sum[:]), Call: at.Attempt, History: 1, // what was said is in the state
	}
	var answered []byte
	var err error
	if s.Turn, answered, s.leave, err = o.cfg.Sessions.Enter(ctx, opening); err != nil {
		return nil, nil, sessionFault(err, s.id)
	}
	if s.Turn == nil {
		s.leave()
		r := new(record)
		if err := json.Unmarshal(answered, r); err != nil {
			return nil, nil, fmt.Errorf("read the record of a turn of session %s: %w", s.id, err)
		}
		return s, r, nil
	}
	if err := s.check(t); err != nil {
		o.abandon(ctx, s)
		return nil, nil, err
	}
	if t.keyARN != "" && s.Session.Fresh {
		// A key that cannot be used is found out before a model has worked.
		n, err := s.Intent(ctx, []byte("begin"))
		if err == nil {
			err = s.Result(ctx, n, []byte("begun"))
		}
		if err != nil {
			o.abandon(ctx, s)
			return nil, nil, sessionFault(err, s.id)
		}
	}
	return s, nil, nil
}

// check refuses a session that the service did not make, or not for this.
func (s *turn) check(t *task) error {
	kind, base := string(api.RetrieveAndGenerateTypeExternalSources), ""
	if t.base != nil {
		kind, base = string(api.RetrieveAndGenerateTypeKnowledgeBase), t.base.ID
	}
	if s.known && s.Session.State == nil {
		return invalid(textUnknownSession, s.id)
	}
	if s.Session.State == nil {
		s.state = state{Type: kind, Base: base, Key: t.keyARN}
		return nil
	}
	if err := json.Unmarshal(s.Session.State, &s.state); err != nil {
		return fmt.Errorf("read session %s: %w", s.id, err)
	}
	switch {
	case s.state.Type != kind:
		return invalid("Session %s is one of type %s. Start a new session for another type.", s.id, s.state.Type)
	case s.state.Base != base:
		return invalid("Session %s belongs to knowledge base %s. Start a new session for another one.", s.id, s.state.Base)
	case t.keyARN != "" && t.keyARN != s.state.Key:
		return invalid("Session %s was started with another sessionConfiguration.kmsKeyArn. It cannot be changed.", s.id)
	}
	return nil
}

// finish commits the turn. Its record is what a retry is answered.
func (o *Operations) finish(ctx context.Context, s *turn, question string, said *said, broken bool) error {
	p := past{Question: question, Answer: said.whole.String()}
	if said.refused {
		p.Answer = ""
	}
	if n := 0; utf8.RuneCountInString(p.Answer) > keptAnswer {
		for i := range p.Answer {
			if n++; n > keptAnswer {
				p.Answer = p.Answer[:i]
				break
			}
		}
	}
	s.state.Turns = append(s.state.Turns, p)
	if n := len(s.state.Turns); n > keptTurns {
		s.state.Turns = s.state.Turns[n-keptTurns:]
	}
	after, err := json.Marshal(&s.state)
	if err != nil {
		return fmt.Errorf("write session %s: %w", s.id, err)
	}
	rec, err := json.Marshal(&record{Text: said.whole.String(), Citations: said.cites, Broken: broken})
	if err != nil {
		return fmt.Errorf("write a turn of session %s: %w", s.id, err)
	}
	if err := s.Finish(sealing(ctx), after, rec); err != nil {
		return sessionFault(err, s.id)
	}
	s.leave()
	return nil
}

// abandon leaves a turn that failed: a session without a finished turn goes.
func (o *Operations) abandon(ctx context.Context, s *turn) {
	ctx = sealing(context.WithoutCancel(ctx))
	defer s.leave()
	err := s.Close(ctx)
	if err == nil && s.Session.State == nil {
		err = o.cfg.Sessions.End(ctx, s.Session.Key)
	}
	if err != nil && !errors.Is(err, conversation.ErrLost) {
		o.cfg.Log.WarnContext(ctx, "a turn was not left in order", "session", s.id, "error", err)
	}
}
