package pdf

import (
	"math"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a block of a page is.
type Kind int

// The kinds.
const (
	Paragraph Kind = iota
	Heading
	ListItem
	TableRow
)

// Block is a part of a page, in reading order.
type Block struct {
	Kind  Kind
	Level int
	Text  string

	size  float64
	bold  bool
	lines int
	top   float64 // share of the page's height, 1 at the top
}

// line is what is read from left to right at one height of a column.
type line struct {
	segs   []*segment
	x0, x1 float64
	y      float64
	size   float64
	bold   bool
	text   string
	cells  int
}

// arrange turns the letters of a page into blocks.
func arrange(p *painter, height float64) []Block {
	angles := make([]int, 0, len(p.glyphs))
	for a := range p.glyphs {
		angles = append(angles, a)
	}
	// The direction of most letters first; stamps and side notes after.
	slices.SortFunc(angles, func(a, b int) int {
		if d := len(p.glyphs[b]) - len(p.glyphs[a]); d != 0 {
			return d
		}
		return a - b
	})
	var out []Block
	for n, a := range angles {
		segs := segments(p.glyphs[a])
		if n > 0 && len(angles) > 8 && len(p.glyphs[a]) < 8 {
			continue // letters along a curve
		}
		for _, group := range order(segs, 0) {
			out = append(out, blocks(lines(group), height)...)
		}
	}
	return out
}

// lines groups the segments of one column.
func lines(segs []*segment) []line {
	if len(segs) > 0 && segs[0].vertical {
		return verticalLines(segs)
	}
	sort.SliceStable(segs, func(i, j int) bool {
		if segs[i].y != segs[j].y {
			return segs[i].y > segs[j].y
		}
		return segs[i].x0 < segs[j].x0
	})
	var out []line
	for _, s := range segs {
		placed := false
		for i := len(out) - 1; i >= 0 && i >= len(out)-3; i-- {
			if sameLine(out[i].segs[0], s) {
				out[i].segs = append(out[i].segs, s)
				placed = true
				break
			}
		}
		if !placed {
			out = append(out, line{segs: []*segment{s}})
		}
	}
	for i := range out {
		out[i].finish()
	}
	return out
}

// verticalLines reads columns of upright writing from the right.
func verticalLines(segs []*segment) []line {
	sort.SliceStable(segs, func(i, j int) bool { return segs[i].x0 > segs[j].x0 })
	var out []line
	for _, s := range segs {
		l := line{segs: []*segment{s}}
		l.finish()
		l.y = -float64(len(out)) * s.size * 1.2
		l.x0, l.x1 = 0, 1
		out = append(out, l)
	}
	return out
}

func (l *line) finish() {
	slices.SortStableFunc(l.segs, func(a, b *segment) int {
		switch {
		case a.x0 < b.x0:
			return -1
		case a.x0 > b.x0:
			return 1
		}
		return 0
	})
	l.x0, l.x1, l.y = l.segs[0].x0, l.segs[0].x1, l.segs[0].y
	letters, bold, weight := 0, 0, 0.0
	texts := make([]string, 0, len(l.segs))
	for _, s := range l.segs {
		l.x0, l.x1 = min(l.x0, s.x0), max(l.x1, s.x1)
		letters += s.letters
		bold += s.bold
		weight += s.size * float64(s.letters)
		if t := strings.TrimSpace(reading(s.text.String())); t != "" {
			texts = append(texts, t)
		}
	}
	l.size = weight / float64(max(letters, 1))
	l.bold = bold*10 > letters*8
	l.cells = len(texts)
	if rightToLeft(texts) {
		slices.Reverse(texts)
	}
	l.text = strings.Join(texts, " ")
	l.segs = slices.Clip(l.segs)
}

func rightToLeft(texts []string) bool {
	for _, t := range texts {
		for _, r := range t {
			if r >= 0x590 && r <= 0x8ff {
				return true
			}
		}
	}
	return false
}

// row joins the cells of a line of a table.
func (l *line) row() string {
	var cells []string
	for _, s := range l.segs {
		if t := strings.TrimSpace(reading(s.text.String())); t != "" {
			cells = append(cells, t)
		}
	}
	return strings.Join(cells, " | ")
}

// blocks joins the lines of one column to paragraphs.
func blocks(ls []line, height float64) []Block {
	if len(ls) == 0 {
		return nil
	}
	// What a usual step from line to line is, and how wide the column.
	var steps []float64
	left, right := math.Inf(1), math.Inf(-1)
	for i, l := range ls {
		left, right = min(left, l.x0), max(right, l.x1)
		if i > 0 {
			if d := ls[i-1].y - l.y; d > 0.5*l.size && d < 3*l.size {
				steps = append(steps, d)
			}
		}
	}
	step := 0.0
	if len(steps) > 0 {
		sort.Float64s(steps)
		step = steps[len(steps)/4] // the usual one, not that between paragraphs
	}
	// Runs of lines with cells are rows.
	rows := make([]bool, len(ls))
	for i := range ls {
		if ls[i].cells < 2 {
			continue
		}
		near := i > 0 && ls[i-1].cells > 1 || i+1 < len(ls) && ls[i+1].cells > 1
		rows[i] = near
	}
	var out []Block
	var text strings.Builder
	var b Block
	flush := func() {
		if b.Text = strings.TrimSpace(text.String()); b.Text != "" {
			out = append(out, b)
		}
		text.Reset()
		b = Block{}
	}
	for i := range ls {
		l := &ls[i]
		if l.text == "" {
			continue
		}
		if rows[i] {
			flush()
			out = append(out, Block{Kind: TableRow, Text: l.row(), size: l.size, lines: 1, top: l.y / height})
			continue
		}
		if text.Len() > 0 && (i > 0 && rows[i-1] || parts(&ls[i-1], l, step, left, right)) {
			flush()
		}
		if text.Len() == 0 {
			b = Block{size: l.size, bold: l.bold, top: l.y / height}
			if item(l.text) {
				b.Kind, b.Level = ListItem, 1
			}
			text.WriteString(l.text)
		} else {
			join(&text, l.text)
			b.bold = b.bold && l.bold
		}
		b.lines++
	}
	flush()
	return out
}

// parts reports whether a new paragraph begins with a line.
func parts(before, l *line, step, left, right float64) bool {
	d := before.y - l.y
	if abs(before.size-l.size) > 0.13*max(before.size, l.size) || before.bold != l.bold && (before.x1-before.x0 < 0.8*(right-left) || l.bold) {
		return true
	}
	if d < 0 || d > 1.3*step+0.15*l.size && step > 0 || step == 0 && d > 2*l.size {
		return true
	}
	if item(l.text) {
		return true
	}
	// An indent after a line that is not full, or that ends a sentence.
	indent := l.x0 - before.x0
	if indent > 0.7*l.size && indent < 4*l.size && l.x0-left > 0.7*l.size && before.x0-left < 0.5*l.size {
		return true
	}
	// A short line that ends a sentence ends its paragraph.
	last, _ := utf8.DecodeLastRuneInString(before.text)
	return before.x1 < left+0.75*(right-left) && strings.ContainsRune(".:!?。！？", last)
}

// join appends a line, taking back what the type setter did at its end.
func join(b *strings.Builder, next string) {
	s := b.String()
	last, n := utf8.DecodeLastRuneInString(s)
	first, _ := utf8.DecodeRuneInString(next)
	switch {
	case (last == '-' || last == '\u00ad' || last == '‐') && len(s) > n && unicode.IsLower(first):
		if prev, _ := utf8.DecodeLastRuneInString(s[:len(s)-n]); unicode.IsLetter(prev) {
			// "state-of-the-" at the end of a line keeps its hyphen.
			word := s[strings.LastIndexAny(s[:len(s)-n], " \n")+1 : len(s)-n]
			if !strings.ContainsAny(word, "-‐") {
				b.Reset()
				b.WriteString(s[:len(s)-n])
			}
		}
	case ideograph(last) && ideograph(first):
	default:
		b.WriteByte(' ')
	}
	b.WriteString(next)
}

// ideograph tells of writing without spaces between words.
func ideograph(r rune) bool {
	return r >= 0x3001 && r <= 0x30ff || r >= 0x3400 && r <= 0x9fff || r >= 0xff00 && r <= 0xff60
}

// item reports whether a line begins an item of a list.
func item(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	if strings.ContainsRune("•◦▪▸‣●○■□–*·", r) && len(s) > n && (s[n] == ' ' || r == '•') {
		return true
	}
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits < 3 && digits+1 < len(s) && (s[digits] == '.' || s[digits] == ')') && s[digits+1] == ' ' {
		return true
	}
	return len(s) > 4 && s[0] == '(' && (s[2] == ')' && s[3] == ' ' || s[3] == ')' && s[4] == ' ')
}
