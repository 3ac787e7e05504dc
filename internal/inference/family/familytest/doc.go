// Package familytest is the test bench of family codecs: golden files, refusals
// and fuzzing, the same for all families.
//
//	testdata/NAME.txtar ─ model, request.json, result.json ─▶ codec ─▶ neutral.json, response.json, chunks.json
//
// Floor 4, part of the inference room, for tests only. It never judges what a
// codec should say: the golden files do.
package familytest
