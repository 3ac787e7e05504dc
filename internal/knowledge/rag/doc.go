// Package rag answers questions from a knowledge base or from a document that comes
// with the request: RetrieveAndGenerate and its stream.
//
//	question ─ with history: model makes it stand alone, or splits it ─▶ queries
//	   │                                                                  │
//	session (conversation)                    Searcher, or the best passages of one document
//	   │                                                                  │ passages
//	   │                             template ─ one pass ─▶ prompt ─▶ model ─ pieces ─▶ format
//	   └─ turn ◀─ answer, citations ◀─ composer ◀─ sentences, each checked by evidence ◀┘
//
// What decides about a citation is whether a passage holds what the sentence says
// (evidence.go), never what the model claims: the sources that it names are read and
// dropped. One sentence is one citation; its span counts Unicode code points of the
// whole answer, the end included. A sentence without support has no citation.
//
// Made-up answers. Nothing found, and no model is asked: the answer is the refusal.
// Where no passage has all words of the question, the model is asked first, in one
// word, whether they answer it, and a plain no is the refusal (doubt.go). Then the
// text is held until its first supported sentence; with that it goes out, and what
// follows goes out as the model makes it. When the model says before that it cannot
// answer, or no sentence is supported at all, the answer is the refusal and the model
// is stopped. Both operations run through this one path, so that the stream says piece
// by piece what the other says at once, and nothing has to be withdrawn. A template
// without $output_format_instructions$ defines its own format: its text is passed as
// it is, unchecked, without citations.
//
// Sessions. The service makes the id; one that it did not make, or whose first turn
// never ended, is refused. A session belongs to one knowledge base, or to documents
// that come with requests, because its history tells what was found there; the model
// may change. An attempt of a client that comes again is answered the same.
//
// Prompts are never cut: one that the model cannot take is refused with both numbers.
//
// Floor 4, a folder of the room knowledge. It opens no index, holds no permissions of
// its own, and keeps nothing but sessions.
package rag
