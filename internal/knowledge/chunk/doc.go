// Package chunk cuts a document's text into the pieces that are embedded, stored
// and found.
//
//	Validate(Strategy)            the parameters, before anything is cut
//	Splitter.Split(ctx, doc) ──▶  tokens of the whole text, once (Tokenizer)
//	   │                          marks: ends of words, sentences, blocks, by token
//	   └─ Default · FixedSize · None · Hierarchical · Semantic ──▶ []Chunk
//
// Counting is arithmetic after one tokenization: a mark knows how many tokens lie
// before it, so a chunk's size is a difference and its end a binary search. Every
// letter of the text is in some chunk, no chunk has more tokens than allowed, and a
// chunk is a substring of the text: Document.Text[Start:End].
//
// Sentences end by Unicode's rules (UAX #29), which know Japanese, Chinese and
// Hindi; abbreviations, initials and ordinals, which they do not know, are joined
// again. A heading is kept with what follows it.
//
// The exchange with a custom transformation function is here as well
// (transform.go): its files, written and checked. Calling it is the room's.
//
// Floor 4, a folder of the room knowledge; of the house it imports parse alone. It
// knows no engine: who counts and who embeds is given to it.
package chunk
