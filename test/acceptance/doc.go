// Package acceptance runs scripts of commands as a person types them: the AWS
// CLI and the outcrop command, against a built server.
//
//	testdata/script/*.txtar ──▶ exec aws …      ──▶ HTTP ──▶ outcrop (started by the script's serve)
//	                            exec outcrop …
//
// A script has a home folder of its own with nothing in it. Its further commands:
//
//	serve [-engine …] [FLAGS]   start a server; AWS variables of `outcrop env` are set
//	stop                        SIGTERM it; it must end with status 0
//	json FILE|stdout PATH WANT  the member at a dotted path (a[0].b) is WANT
//
// Floor: tests.
package acceptance
