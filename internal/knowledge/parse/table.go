package parse

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode"
)

// maxHeader bounds a header that is repeated in every row.
const maxHeader = 64

// sheet writes the rows of one table. Under a header each row is
// "name: value; name: value", so that a chunk in the middle of a long table still
// says what its numbers are.
type sheet struct {
	b      *builder
	header []string
	first  []string // the first row, until the second shows that it is a header
	rows   int
}

// row takes the next row; empty ones are left out.
func (s *sheet) row(cells []string) {
	empty := true
	for i, c := range cells {
		cells[i] = strings.Join(strings.Fields(c), " ")
		empty = empty && cells[i] == ""
	}
	if empty {
		return
	}
	s.rows++
	switch {
	case s.rows == 1:
		s.first = append([]string(nil), cells...)
		return
	case s.rows == 2 && isHeader(s.first):
		s.header = s.first
	case s.rows == 2:
		s.write(s.first)
	}
	s.write(cells)
}

// end writes what is held back.
func (s *sheet) end() {
	if s.rows == 1 {
		s.write(s.first)
	}
	s.rows, s.first, s.header = 0, nil, nil
}

func (s *sheet) write(cells []string) {
	var out strings.Builder
	for i, c := range cells {
		if c == "" {
			continue
		}
		if out.Len() > 0 {
			if s.header != nil {
				out.WriteString("; ")
			} else {
				out.WriteString(" | ")
			}
		}
		if i < len(s.header) {
			out.WriteString(s.header[i])
			out.WriteString(": ")
		}
		out.WriteString(c)
	}
	s.b.add(TableRow, 0, out.String())
}

// isHeader guesses whether a first row names columns: short, all different, none
// empty but at the end, and each begins with a letter.
func isHeader(cells []string) bool {
	n := len(cells)
	for n > 0 && cells[n-1] == "" {
		n--
	}
	if n < 2 || n > maxHeader {
		return false
	}
	seen := map[string]bool{}
	for _, c := range cells[:n] {
		first := ' '
		for _, r := range c {
			first = r
			break
		}
		if c == "" || len(c) > 80 || seen[c] || !unicode.IsLetter(first) && first != '_' && first != '#' {
			return false
		}
		seen[c] = true
	}
	return true
}

// readCSV reads values parted by comma, semicolon, tab or bar, whichever the first
// lines agree on.
func readCSV(b *builder, text string, spec *RecordSpec) *Error {
	text = normalLines(text)
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = comma(text)
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.ReuseRecord = spec == nil
	s := sheet{b: b}
	var rows [][]string
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return damaged("its rows cannot be told apart")
		}
		if spec != nil {
			rows = append(rows, cells)
			continue
		}
		for i := range cells {
			cells[i] = clean(cells[i])
		}
		s.row(cells)
	}
	if spec != nil {
		var err *Error
		b.recs, err = b.records(rows, spec)
		return err
	}
	s.end()
	return nil
}

func comma(text string) rune {
	head := text[:min(len(text), 16<<10)]
	best, most := ',', 0
	for _, c := range []rune{',', '\t', ';', '|'} {
		var counts []int
		for line := range strings.Lines(head) {
			if strings.TrimSpace(line) == "" {
				continue
			}
			counts = append(counts, countOutside(line, c))
			if len(counts) == 10 {
				break
			}
		}
		same := 0
		for _, n := range counts {
			if n > 0 && n == counts[0] {
				same += 100 + n
			}
		}
		if same > most {
			best, most = c, same
		}
	}
	return best
}

// countOutside counts a character outside of quotes.
func countOutside(s string, c rune) int {
	n, quoted := 0, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == c && !quoted:
			n++
		}
	}
	return n
}
