package server

import (
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/interpreter"
	"github.com/outcrop-dev/outcrop/internal/conversation"
	"github.com/outcrop-dev/outcrop/internal/inference"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/session"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// makeKept builds the Sessions API, which keeps conversations for frameworks.
func (s *Server) makeKept() *session.Sessions {
	s.kept = session.New(session.Config{Store: s.store, Now: s.clock.Now, Log: s.log})
	return s.kept
}

// sessionOwners is the table of who keeps the resources of bedrock-agent-runtime that
// can be tagged.
func sessionOwners(s *session.Sessions) []tag.Owner {
	return []tag.Owner{{Type: "session", Exists: s.Exists}}
}

// makeAfterlife builds what outlives a turn: memories of sessions, and the files that
// code leaves.
func (s *Server) makeAfterlife(models *inference.Runtime, built agentParts) {
	s.memories = agent.NewMemories(agent.MemoryConfig{
		Store: s.store, Aliases: built, Models: models, Roles: agentRoles{s}, Functions: agentFunctions{s}, Now: s.clock.Now, Log: s.log,
	})
	s.interpreter = interpreter.New(interpreter.Config{Store: s.store, Log: s.log})
}

// sessionEnded is what happens when a session of an agent ends.
func (s *Server) sessionEnded(tx *store.Tx, e *conversation.Ended) error {
	if err := interpreter.Forget(tx, e.Account, e.Region, strings.Join([]string{e.Owner, e.Alias, e.ID}, "/")); err != nil {
		return err
	}
	return s.memories.Ended(tx, e)
}

// forgetAgent drops what was said with an agent, or with one alias of it.
func forgetAgent(tx *store.Tx, account, region, agentID, aliasID string) error {
	if err := conversation.Forget(tx, account, region, agentID, aliasID); err != nil {
		return err
	}
	return agent.ForgetMemory(tx, account, region, agentID, aliasID)
}

// memoryJobs is the work of summing sessions up.
func (s *Server) memoryJobs() job.Kind {
	return agent.MemoryJobs(func() *agent.Memories { return s.memories })
}
