package pdf

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Distances in sizes of the letters.
const (
	spaceGap   = 0.17 // letters further apart are two words
	segmentGap = 1.15 // words further apart are not one segment
	spacedGap  = 2.4  // unless a space was written: a justified line of a narrow column
)

// segment is a run of letters on one line without a wide gap: a line of a column,
// or a cell of a table.
type segment struct {
	x0, x1, y, size float64 // y is the base line
	text            strings.Builder
	last            rune
	letters, bold   int
	vertical        bool
}

func (s *segment) top() float64    { return s.y + 0.75*s.size }
func (s *segment) bottom() float64 { return s.y - 0.22*s.size }

// sameLine reports whether two segments stand beside each other: their heights
// overlap by half of the smaller one. So a raised note belongs to its line.
func sameLine(a, b *segment) bool {
	over := min(a.top(), b.top()) - max(a.bottom(), b.bottom())
	return over > 0.5*0.97*min(a.size, b.size)
}

// segments joins letters. They mostly come in reading order within a line, so each
// is first held against the segment of the one before.
func segments(glyphs []glyph) []*segment {
	var out []*segment
	var now *segment
	for i := range glyphs {
		g := &glyphs[i]
		blank := strings.TrimSpace(g.text) == ""
		if blank && g.x1-g.x0 < 0.07*g.size && !g.vertical {
			continue // a space that its line takes back
		}
		if now != nil && !g.vertical && !now.vertical {
			gap := g.x0 - now.x1
			same := abs(g.y-now.y) < 0.35*max(now.size, g.size) && g.size < now.size*1.8 && now.size < g.size*1.8
			most := segmentGap
			if now.last == ' ' {
				most = spacedGap
			}
			if same && gap > -0.35*g.size && gap < most*max(g.size, now.size) {
				if blank {
					now.blank()
					if g.x1 > now.x1 && gap < 0.5*g.size {
						now.x1 = min(g.x1, now.x1+0.6*g.size)
					}
					continue
				}
				if gap > spaceGap*g.size && !(gap < 0.9*g.size && ideograph(now.last) && firstIdeograph(g.text)) {
					now.blank()
				}
				now.add(g)
				continue
			}
			// The same letter again, a hair beside: bold as poor programs make it.
			if same && gap < 0 && len(g.text) == 1 && rune(g.text[0]) == now.last && g.x0 > now.x1-(g.x1-g.x0)*1.3 {
				continue
			}
		}
		if now != nil && g.vertical && now.vertical && abs(g.x0-now.x0) < 0.3*g.size && now.y-g.y > 0 && now.y-g.y < 2.2*g.size {
			now.text.WriteString(g.text)
			now.y = g.y
			now.letters++
			continue
		}
		if blank {
			continue
		}
		now = &segment{x0: g.x0, x1: g.x1, y: g.y, size: g.size, vertical: g.vertical}
		now.add(g)
		out = append(out, now)
	}
	return joinSegments(out)
}

func abs(f float64) float64 { return max(f, -f) }

func firstIdeograph(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return ideograph(r)
}

func (s *segment) blank() {
	if s.last != ' ' && s.last != 0 {
		s.text.WriteByte(' ')
		s.last = ' '
	}
}

func (s *segment) add(g *glyph) {
	s.text.WriteString(g.text)
	s.last, _ = utf8.DecodeLastRuneInString(g.text)
	s.x0, s.x1 = min(s.x0, g.x0), max(s.x1, g.x1)
	if g.size > s.size { // the line is as high as its highest letter
		s.size, s.y = g.size, g.y
	}
	s.letters++
	if g.bold {
		s.bold++
	}
}

// joinSegments joins what belongs to one run but came in another order: letters
// drawn one font after the other, raised notes.
func joinSegments(in []*segment) []*segment {
	if len(in) > 20_000 { // a drawing made of letters
		return in
	}
	sort.SliceStable(in, func(i, j int) bool { return in[i].y > in[j].y })
	gone := make([]bool, len(in))
	for pass := 0; pass < 8; pass++ {
		changed := false
		for i, a := range in {
			if gone[i] || a.vertical {
				continue
			}
			// The nearest segment to the right on the same line.
			best, gap := -1, 0.0
			for dir := -1; dir <= 1; dir += 2 {
				for j, n := i+dir, 0; j >= 0 && j < len(in) && n < 200; j, n = j+dir, n+1 {
					b := in[j]
					if abs(a.y-b.y) > 1.2*max(a.size, b.size) {
						break
					}
					if gone[j] || b.vertical || !sameLine(a, b) || b.x0 < a.x0 {
						continue
					}
					g := b.x0 - a.x1
					if g > -0.6*min(a.size, b.size) && g < segmentGap*max(a.size, b.size) && (best < 0 || g < gap) {
						best, gap = j, g
					}
				}
			}
			if best < 0 {
				continue
			}
			b := in[best]
			if gap > spaceGap*min(a.size, b.size) {
				a.blank()
			}
			a.text.WriteString(b.text.String())
			a.last = b.last
			a.x1 = max(a.x1, b.x1)
			a.letters += b.letters
			a.bold += b.bold
			if b.size > a.size {
				a.size, a.y = b.size, b.y
			}
			gone[best] = true
			changed = true
		}
		if !changed {
			break
		}
	}
	out := in[:0]
	for i, s := range in {
		if !gone[i] {
			out = append(out, s)
		}
	}
	return out
}

// reading turns the text of a segment from the order of the page into that of the
// language: Arabic and Hebrew lie from right to left.
func reading(s string) string {
	right, letters := 0, 0
	for _, r := range s {
		if unicode.IsLetter(r) {
			letters++
			if r >= 0x590 && r <= 0x8ff || r >= 0xfb1d && r <= 0xfdff || r >= 0xfe70 && r <= 0xfeff {
				right++
			}
		}
	}
	if right*2 <= letters || right == 0 {
		return s
	}
	runes := []rune(s)
	slices.Reverse(runes)
	// Numbers and Latin words within keep their own direction.
	for i := 0; i < len(runes); {
		if !ltr(runes[i]) {
			i++
			continue
		}
		j := i
		for j < len(runes) && (ltr(runes[j]) || (runes[j] == ' ' || runes[j] == '.' || runes[j] == ',') && j+1 < len(runes) && ltr(runes[j+1])) {
			j++
		}
		slices.Reverse(runes[i:j])
		i = j
	}
	return norm.NFKC.String(string(runes))
}

func ltr(r rune) bool {
	return r < 0x590 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// order brings the segments of a page, or of a part of it, into reading order. Each
// group is one column's run, whose lines are read from the top.
func order(segs []*segment, depth int) [][]*segment {
	if len(segs) == 0 {
		return nil
	}
	cut, ok := gutter(segs)
	if !ok || depth > 6 {
		return [][]*segment{segs}
	}
	// Segments that cross the gutter part what is above from what is below.
	var out [][]*segment
	var left, right, across []*segment
	flushColumns := func() {
		out = append(out, order(left, depth+1)...)
		out = append(out, order(right, depth+1)...)
		left, right = nil, nil
	}
	flushAcross := func() {
		if len(across) > 0 {
			out = append(out, order(across, depth+1)...)
			across = nil
		}
	}
	sorted := slices.Clone(segs)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].y > sorted[j].y })
	crossed := map[*segment]bool{}
	for i, s := range sorted {
		if s.x0 < cut && s.x1 > cut {
			crossed[s] = true
			// What stands on the line of a crossing segment is part of it.
			for j := i - 1; j >= 0 && sorted[j].y-s.y < s.size; j-- {
				if sameLine(sorted[j], s) {
					crossed[sorted[j]] = true
				}
			}
			for j := i + 1; j < len(sorted) && s.y-sorted[j].y < s.size; j++ {
				if sameLine(sorted[j], s) {
					crossed[sorted[j]] = true
				}
			}
		}
	}
	for _, s := range sorted {
		switch {
		case crossed[s]:
			flushColumns()
			across = append(across, s)
		case s.x1 <= cut:
			flushAcross()
			left = append(left, s)
		default:
			flushAcross()
			right = append(right, s)
		}
	}
	flushColumns()
	flushAcross()
	return out
}

// gutter looks for a strip, from top to bottom, that many lines of prose on both
// sides keep free. Cells of tables keep strips free as well, but they are short
// and stand on the same lines: they are no columns.
func gutter(segs []*segment) (float64, bool) {
	if len(segs) < 8 {
		return 0, false
	}
	segs = slices.Clone(segs)
	sort.SliceStable(segs, func(i, j int) bool { return segs[i].y > segs[j].y })
	type edge struct {
		x     float64
		start bool
	}
	edges := make([]edge, 0, 2*len(segs))
	var sizes []float64
	for _, s := range segs {
		if s.vertical {
			return 0, false
		}
		edges = append(edges, edge{s.x0, true}, edge{s.x1, false})
		sizes = append(sizes, s.size)
	}
	sort.Slice(edges, func(i, j int) bool { return edges[i].x < edges[j].x })
	sort.Float64s(sizes)
	size := sizes[len(sizes)/2]
	best, score := 0.0, 0.0
	open, ended := 0, 0
	for i := 0; i+1 < len(edges); i++ {
		if edges[i].start {
			open++
		} else {
			open--
			ended++
		}
		width := edges[i+1].x - edges[i].x
		if edges[i].start || !edges[i+1].start || width <= 0 {
			// Only behind an end and before a start lies a strip worth a look.
			continue
		}
		begin := len(segs) - ended - open
		if ended < 4 || begin < 4 || open*4 > min(ended, begin)*3 {
			continue
		}
		if width < 0.5*size {
			continue
		}
		x := edges[i].x + width/2
		if s := float64(min(ended, begin)) - 2*float64(open) + min(width/size, 4); s > score && columns(segs, x, size) {
			best, score = x, s
		}
	}
	return best, score > 0
}

// columns reports whether what lies on both sides of x is prose side by side: lines
// of one segment that fill their column hold most of the text.
func columns(segs []*segment, x, size float64) bool {
	var l, r column
	l.lo, r.lo, l.bottom, r.bottom = 1e9, 1e9, 1e9, 1e9
	l.hi, r.hi, l.top, r.top = -1e9, -1e9, -1e9, -1e9
	for _, s := range segs {
		switch {
		case s.x1 <= x:
			l.add(s)
		case s.x0 >= x:
			r.add(s)
		}
	}
	// Side by side, not one below the other.
	over := min(l.top, r.top) - max(l.bottom, r.bottom)
	return over >= 0.4*min(l.top-l.bottom, r.top-r.bottom) && l.prose(size) && r.prose(size)
}

type column struct {
	segs                []*segment // from the top
	lo, hi, top, bottom float64
	width               float64 // of all segments
}

func (c *column) add(s *segment) {
	c.segs = append(c.segs, s)
	c.lo, c.hi = min(c.lo, s.x0), max(c.hi, s.x1)
	c.top, c.bottom = max(c.top, s.top()), min(c.bottom, s.bottom())
	c.width += s.x1 - s.x0
}

func (c *column) prose(size float64) bool {
	lines, width := 0, 0.0
	for i, s := range c.segs {
		alone := (i == 0 || !sameLine(c.segs[i-1], s)) && (i+1 == len(c.segs) || !sameLine(c.segs[i+1], s))
		if alone && s.x1-s.x0 > 0.6*(c.hi-c.lo) {
			lines++
			width += s.x1 - s.x0
		}
	}
	return lines >= 4 && width >= 0.55*c.width && width/float64(lines) > 9*size
}
