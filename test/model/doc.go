// Package model turns the shape tables of the four services into requests: valid
// ones for every operation, and one for every constraint with just that constraint
// broken.
//
//	api.Service ──Valid──▶ least and full request of each operation
//	            ──Broken─▶ missing · too short · too long · pattern · enum · range ·
//	                       wrong type · no or two union members · null elements
//	                       (each with the exception and the text that must answer it)
//
// Nothing here is written per operation, so a regenerated model brings its own
// tests. Strings are made from the patterns themselves (text.go). The texts that an
// answer must hold are derived a second time here, on purpose not by the codec.
//
// Test code, above all floors. It never sends anything: tests of the codec and of
// the whole edge do.
package model
