// Package interpreter runs the Python that an agent's model writes
// (AMAZON.CodeInterpreter), in a jail.
//
//	turn ── Execute(code, files) ──▶ files of the session (sealed rows) ─┐
//	                                                                     ▼ stdin: request, tar
//	                                   jail: host's python3, run.py ── child: the code, in /tmp/work
//	turn ◀── output, error, new files ── stdout: report, tar ────────────┘
//	                                        └──▶ files of the session
//
// Each run is a process of its own, so variables do not live on; files do, for the
// session's life. Nothing of a run touches the machine's disk: files go in and out
// through pipes, the jail's folders are memory, and what is kept is sealed like every
// record of its agent, by the customer key where the agent has one. What the code
// prints last as an expression is shown as in a notebook, and figures that it has
// drawn with matplotlib and not saved are saved, where the host has matplotlib;
// nothing is ever installed.
//
// It fails closed: without a jail, or without Python, the code is not run and the
// answer says why. There is no network in the jail, and no way to ask for one.
//
// Floor 4, part of agent. It trusts nothing that comes out of a jail: names and sizes
// are checked as if a stranger had sent them, for one has.
package interpreter
