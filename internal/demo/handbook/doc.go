// Package handbook is a small corpus with facts that are drawn at random: what an
// answer says of them can only come from the documents.
//
//	Draw ─▶ Handbook: files of a made-up firm, questions with the facts that answer
//	        them and the file that holds them, and a question that nothing answers
//
// Entrance floor. The demo and the suite of the real model use it.
package handbook
