// Package jail tries to get out of internal/sandbox.
//
//	probe NAME ──┬── in the jail:   every attempt must fail, the machine stays as it was
//	             └── beside it:     the same attempt must work, where that harms nobody,
//	                                so that a probe that can only fail is found out
//
// A probe is this test binary, started again. Targets are the test's own: files of a
// temporary folder, listeners on loopback, its own processes. The whole table runs
// as the user who runs the tests and, when that is root, once more as nobody.
package jail
