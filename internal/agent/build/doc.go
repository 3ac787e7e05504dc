// Package build is the build time of agents: their drafts, what hangs on them, and
// the packages, versions and aliases by which they are invoked.
//
//	CreateAgent, action groups, associations ─▶ draft (rows that change)
//	                                              │ PrepareAgent, CreateAgentAlias
//	                                              ▼
//	                     package: a plan.Plan and what it was made of, addressed by content, never changed
//	                        ▲                      ▲
//	        TSTALIASID ─────┘      version 1, 2 …──┘◀── alias
//
//	Invocable, Alias ─▶ turn.Alias: what the run time invokes
//
// States that pass by themselves are computed from the time at which they began, so
// that no restart strands a row in CREATING. Every edit of a draft moves its agent's
// row too: a preparation that read an older draft notices.
//
// Floor 4, part of agent. It asks no model and calls no function; files in S3 and
// rights of roles come through ports.
package build
