package acceptance

import (
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// agentsProgram runs a program about agents on a server of its own, whose model follows
// the rules of agents_walk.yaml.
func agentsProgram(t *testing.T, name string) {
	t.Helper()
	t.Parallel()
	rules, err := filepath.Abs(filepath.Join("testdata", "agents_walk.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	program(t, outcroptest.Start(t, "--engine", "script:"+rules), name)
}

// The published walk-through of an agent that returns control to its caller.
func TestAnAgentReturnsControlToTheProgramThatCalledIt(t *testing.T) {
	agentsProgram(t, "agents_control.py")
}

// The checks of what clients of agents rely on: instants, tokens, pieces of text,
// connections, events and answers of functions, limits, routes and Regions.
func TestWhatClientsOfAgentsRelyOn(t *testing.T) { agentsProgram(t, "agents_wire.py") }

// A supervisor and a router of the same two agents.
func TestAgentsWorkTogether(t *testing.T) { agentsProgram(t, "agents_team.py") }
