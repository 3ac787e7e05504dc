// Package pdf reads the text of a PDF file in the order in which a person reads it.
//
//	Read(bytes) ── cross references, or a scan for objects where they are broken
//	   │            encryption with an empty password
//	   ├─ page tree ─▶ content streams ─▶ glyphs with place, size and letter
//	   │                 fonts: encodings, ToUnicode, widths, composite fonts
//	   └─ layout: glyphs ─▶ segments ─▶ columns ─▶ lines ─▶ paragraphs, headings, rows
//
// Spaces are found by distance, because TeX makes none; columns by gutters that
// many lines keep free, and wide lines (titles, figures) part what stands above
// from what stands below; lines that return on most pages at the edge are running
// heads and are dropped.
//
// It draws nothing, runs no script, follows no link, and opens no other file.
// Every loop is bounded by a count: objects, depth, bytes unpacked, operators. A
// damaged file gives the text of its whole pages or an error, and may panic in
// ways not foreseen, so it is called in a child only.
//
// glyphs.txt is derived from the Adobe Glyph List (BSD-3-Clause, its notice heads
// the file).
//
// Floor 4, a folder of the room knowledge. It imports the standard library and
// text encodings alone.
package pdf
