// Package analyse turns text into the terms of a word search, the same way for
// documents and questions.
//
//	text ─ NFKC, lower case ─┬─ Han, Kana, Hangul runs ─▶ bigrams of characters
//	                         └─ the rest ─ words (UAX 29) ─ stop words ─ stem ─▶ 64-bit term
//
// The stem of a word is chosen by its script and the language of the index, never
// guessed from the text: a question of two words is too short to guess from, and a
// wrong guess would give it other terms than the document has. A language without a
// stemmer keeps its words as they are.
//
// East Asian text has no spaces (Chinese, Japanese) or sticks particles to the noun
// (Korean), so words fail there; every two neighbouring characters are a term
// instead. Single Han and Hangul characters are terms of documents too, so that a
// question of one character finds something; longer questions do not use them.
//
// Floor 1. It knows no index; a term is a hash, so that what is written down of it
// needs no dictionary.
package analyse
