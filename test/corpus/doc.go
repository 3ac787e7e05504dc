// Package corpus makes the documents that reading is tested on: over two hundred
// files of all nine formats, written by the programs that people write them with,
// and damaged copies of them.
//
//	Articles, Tables ── text with known sentences, in seven languages
//	   ├─ written here:          txt md html csv
//	   └─ written by LibreOffice: docx doc pdf (one and two columns) xlsx xls
//	Damage(file, n) ── bits flipped, cut short, parts moved, lengths lied about
//	Bombs()         ── small files that unpack, nest or repeat without end
//
// Make needs LibreOffice's writer and calc (soffice); the test command installs
// them. Documents that Debian ships (/usr/share/doc) are read where they are.
//
// The package is for tests only.
package corpus
