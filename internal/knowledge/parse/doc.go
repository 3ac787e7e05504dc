// Package parse turns a stranger's file into text: plain text, Markdown, HTML,
// Word (.docx, .doc), CSV, Excel (.xlsx, .xls) and PDF become one Document of
// blocks that know their place in the text and, where the file tells, their page.
//
//	Parser.Parse(ctx, Input) ── checks name, size, emptiness
//	   │  frames over a pipe
//	   ▼
//	a child in the jail of internal/sandbox (this binary again, Main): no network,
//	no files, 512 MiB, 60 s a document
//	   └─ sniff the bytes ─▶ reader of that format ─▶ Document or *Error with a Reason
//
// The bytes decide the format, the name only what the bytes leave open (text is
// text: CSV, Markdown, HTML?). Whatever happens inside the child — a panic, a
// loop, a bomb, the end of its memory — becomes an Error with one Reason of a
// closed list; the parser itself goes on. Where the kernel has no jail, nothing is
// parsed and the reason says so (NoJail).
//
// A child may serve several documents of one Scope (a knowledge base), never
// documents of two. It is thrown away after a failure that it did not foresee.
//
// The metadata files beside documents (<name>.metadata.json) and the metadata of
// CSV files are read here too (metadata.go); they are small and JSON, so they
// need no child.
//
// What was chosen, and why. PDF has its own reader in the folder pdf: the library
// first meant panics on a fourth of damaged files, inflates an object stream again
// for every object in it, and has no glyph widths for composite fonts, which two
// columns need. Sheets have their own reader on the same guarded zip as Word, so
// that .xls and .xlsx show numbers and dates alike and a limit on memory can be
// kept. HTML is walked as a tree, because blocks are wanted and not Markdown.
//
// Floor 4, a folder of the room knowledge. It knows no AWS type, stores nothing,
// and never parses a file in the server's own process.
package parse
