package pdf

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Page is one page.
type Page struct {
	Blocks []Block
}

// Result is what a file says.
type Result struct {
	Title    string
	Language string
	Pages    []Page
	Images   int // pictures on all pages
	Unknown  int // letters that their fonts do not name
	Letters  int // letters that they do
}

// Read reads a file. It returns one of the errors of this package, or panics where
// damage goes beyond what is foreseen.
func Read(b []byte) (res *Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); ok && e == ErrTooMuch { //nolint:errorlint // the panic's own value
				res, err = nil, ErrTooMuch
				return
			}
			panic(p)
		}
	}()
	f, err := open(b)
	if err != nil {
		return nil, err
	}
	root := f.catalog()
	if root == nil {
		return nil, ErrDamaged
	}
	res = &Result{}
	if info := f.dict(f.trailer["Info"]); info != nil {
		if s, ok := f.resolve(info["Title"]).(str); ok {
			res.Title = title(textString(string(s)))
		}
	}
	if s, ok := f.resolve(root["Lang"]).(str); ok {
		lang, _, _ := strings.Cut(strings.ToLower(textString(string(s))), "-")
		if len(lang) == 2 || len(lang) == 3 {
			res.Language = lang
		}
	}
	pages := f.pages(root)
	if len(pages) == 0 {
		return nil, ErrDamaged
	}
	for _, p := range pages {
		res.Pages = append(res.Pages, f.page(p, res))
	}
	finish(res)
	return res, nil
}

// title leaves out what programs put there themselves.
func title(s string) string {
	s = strings.TrimSpace(s)
	lower := strings.ToLower(s)
	for _, junk := range []string{"untitled", "microsoft word", "microsoft powerpoint", "slide 1", "untitled document", "document1", "powerpoint presentation"} {
		if strings.HasPrefix(lower, junk) {
			return ""
		}
	}
	for _, ext := range []string{".doc", ".docx", ".indd", ".tex", ".dvi", ".qxd", ".pdf", ".rtf", ".odt"} {
		if strings.HasSuffix(lower, ext) {
			return ""
		}
	}
	return s
}

// pages walks the tree, or takes all pages there are when it is broken.
func (f *file) pages(root dict) []dict {
	var out []dict
	seen := map[int]bool{}
	var walk func(x any, inherited dict, depth int)
	walk = func(x any, inherited dict, depth int) {
		if r, ok := x.(ref); ok {
			if seen[r.num] {
				return
			}
			seen[r.num] = true
		}
		d := f.dict(x)
		if d == nil || depth > maxDepth || len(out) >= maxPages {
			return
		}
		own := dict{}
		for _, k := range []name{"Resources", "MediaBox", "CropBox", "Rotate"} { // what pages inherit
			if v, ok := d[k]; ok {
				own[k] = v
			} else if v, ok := inherited[k]; ok {
				own[k] = v
			}
		}
		if kids := f.array(d["Kids"]); kids != nil && f.name(d["Type"]) != "Page" {
			for _, k := range kids {
				walk(k, own, depth+1)
			}
			return
		}
		if f.name(d["Type"]) == "Pages" {
			return
		}
		own["Contents"], own["Annots"] = d["Contents"], d["Annots"]
		out = append(out, own)
	}
	walk(root["Pages"], dict{}, 0)
	if len(out) > 0 {
		return out
	}
	most := 0
	for num := range f.places {
		most = max(most, num)
	}
	for num := 0; num <= min(most, maxObjects) && len(out) < maxPages; num++ {
		f.attempt(func() {
			if d := f.dict(ref{num: num}); d != nil && d["Type"] == name("Page") {
				out = append(out, d)
			}
		})
	}
	return out
}

// page reads one page; damage on it costs what comes after the damage.
func (f *file) page(d dict, res *Result) Page {
	p := &painter{f: f, glyphs: map[int][]glyph{}}
	p.st = state{ctm: identity, scale: 1}
	box := f.box(d)
	rotate := int(f.number(d["Rotate"], 0))
	switch ((rotate % 360) + 360) % 360 {
	case 90:
		p.st.ctm = matrix{0, -1, 1, 0, -box[1], box[2]}
		box = [4]float64{0, 0, box[3] - box[1], box[2] - box[0]}
	case 180:
		p.st.ctm = matrix{-1, 0, 0, -1, box[2], box[3]}
	case 270:
		p.st.ctm = matrix{0, 1, -1, 0, box[3], -box[0]}
		box = [4]float64{0, 0, box[3] - box[1], box[2] - box[0]}
	default:
		p.st.ctm = matrix{1, 0, 0, 1, -box[0], -box[1]}
	}
	p.base = p.st.ctm
	resources := f.dict(d["Resources"])
	// The streams of a page are one; a cut may fall within an operator's arguments.
	var data []byte
	for _, x := range f.list(d["Contents"]) {
		f.attempt(func() {
			if s, ok := f.resolve(x).(*stream); ok {
				data = append(data, f.unpack(s)...)
				data = append(data, '\n')
			}
		})
	}
	f.attempt(func() { p.paint(data, resources) })
	f.attempt(func() { p.annotations(d) })
	res.Images += p.images
	res.Unknown += p.unknown
	res.Letters += p.count
	var out Page
	f.attempt(func() { out.Blocks = arrange(p, max(1, box[3]-box[1])) })
	return out
}

func (f *file) rectangle(x any) (b [4]float64, ok bool) {
	a := f.array(x)
	if len(a) != 4 {
		return b, false
	}
	for i := range b {
		b[i] = f.number(a[i], 0)
	}
	return [4]float64{min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])}, true
}

// annotations paints what is filled into forms, and stamped or typed on the page.
func (p *painter) annotations(page dict) {
	f := p.f
	base := p.st
	if len(p.saved) > 0 { // a stream that lacks a Q
		base = p.saved[0]
	}
	base.ctm = p.base
	for i, x := range f.array(page["Annots"]) {
		if i > 10_000 {
			return
		}
		a := f.dict(x)
		switch f.name(a["Subtype"]) {
		case "Widget", "FreeText", "Stamp":
		default:
			continue
		}
		if int(f.number(a["F"], 0))&0x22 != 0 { // hidden, or not to be seen
			continue
		}
		look := f.resolve(f.dict(a["AP"])["N"])
		if states, ok := look.(dict); ok {
			look = f.resolve(states[f.name(a["AS"])])
		}
		s, ok := look.(*stream)
		rect, ok2 := f.rectangle(a["Rect"])
		box, ok3 := f.rectangle(f.dict(look)["BBox"])
		if !ok || !ok2 || !ok3 {
			continue
		}
		m, ok := matrixOf(p.resolved(s.dict["Matrix"]))
		if !ok {
			m = identity
		}
		// ISO 32000-1 12.5.5: the box, turned by its matrix, fills the rectangle.
		lo, hi := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
		for _, c := range [4][2]float64{{box[0], box[1]}, {box[0], box[3]}, {box[2], box[1]}, {box[2], box[3]}} {
			x, y := c[0]*m[0]+c[1]*m[2]+m[4], c[0]*m[1]+c[1]*m[3]+m[5]
			lo, hi = [2]float64{min(lo[0], x), min(lo[1], y)}, [2]float64{max(hi[0], x), max(hi[1], y)}
		}
		if hi[0]-lo[0] <= 0 || hi[1]-lo[1] <= 0 {
			continue
		}
		sx, sy := (rect[2]-rect[0])/(hi[0]-lo[0]), (rect[3]-rect[1])/(hi[1]-lo[1])
		p.st, p.saved = base, nil
		p.st.ctm = matrix{sx, 0, 0, sy, rect[0] - lo[0]*sx, rect[1] - lo[1]*sy}.mul(p.base)
		p.object(s, nil)
	}
}

func (f *file) box(d dict) [4]float64 {
	for _, k := range []name{"CropBox", "MediaBox"} {
		b, ok := f.rectangle(d[k])
		if !ok {
			continue
		}
		if b[2]-b[0] > 1 && b[3]-b[1] > 1 && b[2]-b[0] < 1e6 && b[3]-b[1] < 1e6 {
			return b
		}
	}
	return [4]float64{0, 0, 612, 792}
}

// finish does what needs all pages: running heads go, headings are told by size.
func finish(res *Result) {
	dropRunning(res)
	// The size of most letters is that of the text.
	weight := map[float64]int{}
	for _, p := range res.Pages {
		for _, b := range p.Blocks {
			weight[math.Round(b.size*2)/2] += len(b.Text)
		}
	}
	body, most := 0.0, 0
	for s, n := range weight {
		if n > most || n == most && s < body {
			body, most = s, n
		}
	}
	for i := range res.Pages {
		for j := range res.Pages[i].Blocks {
			b := &res.Pages[i].Blocks[j]
			if b.Kind == TableRow || utf8.RuneCountInString(b.Text) > 160 || b.lines > 4 || !lettered(b.Text) {
				continue
			}
			last, _ := utf8.DecodeLastRuneInString(b.Text)
			ends := strings.ContainsRune(".,;。", last)
			switch r := b.size / max(body, 1); {
			case r >= 1.6:
				b.Kind, b.Level = Heading, 1
			case r >= 1.3:
				b.Kind, b.Level = Heading, 2
			case r >= 1.12 && !ends:
				b.Kind, b.Level = Heading, 3
			case b.bold && !ends && r > 0.95 && len(b.Text) < 100 && b.lines < 3 && b.Kind != ListItem:
				b.Kind, b.Level = Heading, 4
			}
		}
	}
}

func lettered(s string) bool {
	return strings.ContainsFunc(s, unicode.IsLetter)
}

// dropRunning takes away lines at the edges that return on most pages, and bare
// page numbers.
func dropRunning(res *Result) {
	const edge = 2 // blocks at the top and at the bottom
	key := func(b *Block) string {
		if len(b.Text) > 160 || b.lines > 2 {
			return ""
		}
		return strings.Map(func(r rune) rune {
			switch {
			case unicode.IsDigit(r):
				return '#'
			case unicode.IsSpace(r):
				return -1
			}
			return unicode.ToLower(r)
		}, b.Text)
	}
	edges := func(p *Page, do func(i int, b *Block)) {
		n := len(p.Blocks)
		for i := range p.Blocks {
			b := &p.Blocks[i]
			if (i < edge || i >= n-edge) && (b.top > 0.9 || b.top < 0.1) {
				do(i, b)
			}
		}
	}
	seen := map[string]int{}
	for i := range res.Pages {
		here := map[string]bool{}
		edges(&res.Pages[i], func(_ int, b *Block) {
			if k := key(b); k != "" && !here[k] {
				here[k] = true
				seen[k]++
			}
		})
	}
	for i := range res.Pages {
		p := &res.Pages[i]
		drop := map[int]bool{}
		edges(p, func(i int, b *Block) {
			k := key(b)
			n := seen[k]
			number := k != "" && strings.Trim(k, "#-–—./pageof") == "" && strings.Contains(k, "#") && len(k) < 12
			if k != "" && (n >= 3 && n*3 >= len(res.Pages) || number && len(res.Pages) > 1) {
				drop[i] = true
			}
		})
		if len(drop) == 0 {
			continue
		}
		kept := p.Blocks[:0]
		for i, b := range p.Blocks {
			if !drop[i] {
				kept = append(kept, b)
			}
		}
		p.Blocks = kept
	}
}
