// Package failpoint kills this very process at a named point of its work, so that
// tests can show what a sudden death there leaves behind.
//
//	OUTCROP_FAILPOINT=ingest.replaced:3  ──▶  SIGKILL at the third pass of that point
//
// Floor 0. A program has it only when it is built with the tag failpoints: nothing in
// the environment can end one that people run.
package failpoint
