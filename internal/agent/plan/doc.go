// Package plan is what a turn needs to know of an agent, and nothing else.
//
//	agent (PrepareAgent, versions) ──▶ Plan ──▶ agent/turn
//	agent (InvokeInlineAgent)      ──▶ Plan ──┘
//
// A prepared package holds one Plan, written once, so versions and the test alias are
// pointers to plans. A plan holds no state of any conversation and no default that
// could change later: what the built-in templates say is written into it when it is
// made. A Cache keeps what its users have made of plans.
//
// Floor 4, part of agent. It imports no sibling and reads nothing.
package plan
