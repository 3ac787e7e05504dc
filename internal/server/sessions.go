package server

import (
	"github.com/outcrop-dev/outcrop/internal/session"
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
