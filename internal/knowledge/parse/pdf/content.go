package pdf

import (
	"math"
	"unicode/utf16"
)

// matrix is [a b c d e f] of the format.
type matrix [6]float64

var identity = matrix{1, 0, 0, 1, 0, 0}

// mul applies m first, then n.
func (m matrix) mul(n matrix) matrix {
	return matrix{
		m[0]*n[0] + m[1]*n[2], m[0]*n[1] + m[1]*n[3],
		m[2]*n[0] + m[3]*n[2], m[2]*n[1] + m[3]*n[3],
		m[4]*n[0] + m[5]*n[2] + n[4], m[4]*n[1] + m[5]*n[3] + n[5],
	}
}

// glyph is one letter where it stands, in a frame in which its line runs to the
// right. Lengths are points.
type glyph struct {
	x0, x1, y, size float64
	text            string
	bold            bool
	vertical        bool
}

// state is what q saves and Q brings back.
type state struct {
	ctm                              matrix
	font                             *font
	size, char, word, scale, lead, y float64
}

// painter runs the content streams of one page.
type painter struct {
	f       *file
	st      state
	base    matrix // of the page
	saved   []state
	tm, tlm matrix
	glyphs  map[int][]glyph // by the angle of their lines, in degrees
	count   int
	unknown int // glyphs whose letter no one knows
	images  int
	forms   int
	actual  []actual
}

// actual is a marked part whose author says what it reads as.
type actual struct {
	text  string
	has   bool
	begun bool
}

// paint runs one stream with its resources.
func (p *painter) paint(data []byte, res dict) {
	l := &lexer{b: data}
	var args []any
	for {
		x := l.object()
		switch x := x.(type) {
		case end:
			return
		case word:
			if p.f.ops++; p.f.ops > maxOps {
				panic(ErrTooMuch)
			}
			if x == "BI" {
				p.images++
				skipImage(l)
			} else {
				p.operator(x, args, res)
			}
			args = args[:0]
		default:
			if len(args) < 64 {
				args = append(args, x)
			}
		}
	}
}

// skipImage passes over a picture that lies within the stream.
func skipImage(l *lexer) {
	for {
		switch x := l.object().(type) {
		case end:
			return
		case word:
			if x != "ID" {
				continue
			}
			for i := l.at; i+2 < len(l.b); i++ {
				if l.b[i+1] == 'E' && l.b[i+2] == 'I' && space(l.b[i]) && (i+3 == len(l.b) || space(l.b[i+3])) {
					l.at = i + 3
					return
				}
			}
			l.at = len(l.b)
			return
		}
	}
}

func num(args []any, i int) float64 {
	if i < 0 || i >= len(args) {
		return 0
	}
	v, _ := args[i].(float64)
	return v
}

func matrixOf(args []any) (matrix, bool) {
	var m matrix
	if len(args) < 6 {
		return m, false
	}
	for i := range m {
		v, ok := args[len(args)-6+i].(float64)
		if !ok {
			return m, false
		}
		m[i] = v
	}
	return m, true
}

func (p *painter) operator(op word, args []any, res dict) {
	f := p.f
	switch op {
	case "q":
		if len(p.saved) < 512 {
			p.saved = append(p.saved, p.st)
		}
	case "Q":
		if n := len(p.saved); n > 0 {
			p.st = p.saved[n-1]
			p.saved = p.saved[:n-1]
		}
	case "cm":
		if m, ok := matrixOf(args); ok {
			p.st.ctm = m.mul(p.st.ctm)
		}
	case "BT":
		p.tm, p.tlm = identity, identity
	case "Tc":
		p.st.char = num(args, 0)
	case "Tw":
		p.st.word = num(args, 0)
	case "Tz":
		p.st.scale = num(args, 0) / 100
	case "TL":
		p.st.lead = num(args, 0)
	case "Ts":
		p.st.y = num(args, 0)
	case "Tf":
		if len(args) >= 2 {
			n, _ := args[0].(name)
			p.st.font = f.font(f.dict(res["Font"])[n])
			p.st.size = num(args, 1)
		}
	case "gs":
		if len(args) > 0 {
			n, _ := args[0].(name)
			if a := f.array(f.dict(f.dict(res["ExtGState"])[n])["Font"]); len(a) == 2 {
				p.st.font, p.st.size = f.font(a[0]), f.number(a[1], 0)
			}
		}
	case "Td":
		p.move(num(args, 0), num(args, 1))
	case "TD":
		p.st.lead = -num(args, 1)
		p.move(num(args, 0), num(args, 1))
	case "Tm":
		if m, ok := matrixOf(args); ok {
			p.tm, p.tlm = m, m
		}
	case "T*":
		p.move(0, -p.st.lead)
	case "Tj":
		if len(args) > 0 {
			p.show(args[len(args)-1])
		}
	case "'":
		p.move(0, -p.st.lead)
		if len(args) > 0 {
			p.show(args[len(args)-1])
		}
	case "\"":
		p.st.word, p.st.char = num(args, 0), num(args, 1)
		p.move(0, -p.st.lead)
		if len(args) > 2 {
			p.show(args[2])
		}
	case "TJ":
		if len(args) == 0 {
			return
		}
		list, _ := args[len(args)-1].(array)
		for _, x := range list {
			if v, ok := x.(float64); ok {
				d := -v / 1000 * p.st.size
				if p.st.font != nil && p.st.font.vertical {
					p.tm = matrix{1, 0, 0, 1, 0, d}.mul(p.tm)
				} else {
					p.tm = matrix{1, 0, 0, 1, d * p.st.scale, 0}.mul(p.tm)
				}
				continue
			}
			p.show(x)
		}
	case "Do":
		if len(args) > 0 {
			n, _ := args[0].(name)
			p.object(f.dict(res["XObject"])[n], res)
		}
	case "BDC", "BMC":
		a := actual{}
		if op == "BDC" && len(args) >= 2 {
			props := f.dict(args[1])
			if n, ok := args[1].(name); ok {
				props = f.dict(f.dict(res["Properties"])[n])
			}
			if s, ok := f.resolve(props["ActualText"]).(str); ok {
				a.text, a.has = textString(string(s)), true
			}
		}
		if len(p.actual) < 512 {
			p.actual = append(p.actual, a)
		}
	case "EMC":
		if n := len(p.actual); n > 0 {
			p.actual = p.actual[:n-1]
		}
	}
}

// textString reads a text of the format that is not shown: a title, or what a
// marked part reads as.
func textString(s string) string {
	switch {
	case len(s) >= 2 && s[0] == 0xfe && s[1] == 0xff:
		return string(utf16.Decode(units(str(s[2:]))))
	case len(s) >= 2 && s[0] == 0xff && s[1] == 0xfe:
		var u []uint16
		for s = s[2:]; len(s) >= 2; s = s[2:] {
			u = append(u, uint16(s[1])<<8|uint16(s[0]))
		}
		return string(utf16.Decode(u))
	case len(s) >= 3 && s[:3] == "\xef\xbb\xbf":
		return s[3:]
	}
	win := encodings()["WinAnsiEncoding"]
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		out = append(out, win[s[i]]...)
	}
	return string(out)
}

func (p *painter) move(x, y float64) {
	p.tlm = matrix{1, 0, 0, 1, x, y}.mul(p.tlm)
	p.tm = p.tlm
}

// object paints a form; pictures are only counted.
func (p *painter) object(x any, res dict) {
	s, ok := p.f.resolve(x).(*stream)
	if !ok {
		return
	}
	if p.f.name(s.dict["Subtype"]) == "Image" {
		p.images++
		return
	}
	if p.f.name(s.dict["Subtype"]) != "Form" || p.forms >= 12 {
		return
	}
	save, tm, tlm, stack := p.st, p.tm, p.tlm, p.saved
	p.saved = nil
	p.forms++
	if m, ok := matrixOf(p.resolved(s.dict["Matrix"])); ok {
		p.st.ctm = m.mul(p.st.ctm)
	}
	if own := p.f.dict(s.dict["Resources"]); own != nil {
		res = own
	}
	p.paint(p.f.unpack(s), res)
	p.forms--
	p.st, p.tm, p.tlm, p.saved = save, tm, tlm, stack
}

func (p *painter) resolved(x any) []any {
	a := p.f.array(x)
	out := make([]any, len(a))
	for i := range a {
		out[i] = p.f.resolve(a[i])
	}
	return out
}

// show places the letters of a text.
func (p *painter) show(x any) {
	s, ok := x.(str)
	ft := p.st.font
	if !ok || ft == nil {
		return
	}
	st := &p.st
	var said *actual
	for i := range p.actual {
		if p.actual[i].has {
			said = &p.actual[i]
			break
		}
	}
	for text := string(s); text != ""; {
		g, n := ft.next(text)
		text = text[n:]
		m := matrix{st.size * st.scale, 0, 0, st.size, 0, st.y}.mul(p.tm).mul(st.ctm)
		advance := g.width*st.size + st.char
		if g.space {
			advance += st.word
		}
		t := g.text
		if said != nil {
			t = ""
			if !said.begun {
				said.begun, t = true, said.text
			}
		} else if !g.known {
			p.unknown++
			t = ""
		}
		if ft.vertical {
			p.place(m, 1, t, ft)
			p.tm = matrix{1, 0, 0, 1, 0, -(st.size + st.char)}.mul(p.tm)
			continue
		}
		w := g.width
		if st.size != 0 {
			// Spacing belongs to the letter, unless a program has used it to move
			// on: so wide, or between two letters only.
			if w = advance / st.size; st.char > 0.5*st.size || st.char > spaceGap*st.size && len(s) <= 2 {
				w -= st.char / st.size
			}
		}
		p.place(m, w, t, ft)
		p.tm = matrix{1, 0, 0, 1, advance * st.scale, 0}.mul(p.tm)
	}
}

// place files a glyph under the angle of its line.
func (p *painter) place(m matrix, width float64, text string, ft *font) {
	if text == "" {
		return
	}
	if p.count++; p.count > maxGlyphs {
		panic(ErrTooMuch)
	}
	dx, dy := m[0], m[1]
	length := math.Hypot(dx, dy)
	size := math.Hypot(m[2], m[3])
	if length == 0 || size == 0 || math.IsNaN(length+size+m[4]+m[5]) || math.IsInf(length+size+m[4]+m[5], 0) || length > 1e5 {
		return
	}
	angle := 0
	x, y := m[4], m[5]
	if math.Abs(dy) > 0.02*math.Abs(dx) || dx < 0 {
		a := math.Atan2(dy, dx)
		angle = int(math.Round(a*180/math.Pi)+360) % 360
		if angle != 0 {
			sin, cos := math.Sincos(-a)
			x, y = x*cos-y*sin, x*sin+y*cos
		}
	}
	// A font may be drawn small and its matrix large; the height of a letter is
	// what counts, not the sign.
	p.glyphs[angle] = append(p.glyphs[angle], glyph{x0: x, x1: x + width*length, y: y, size: size, text: text, bold: ft.bold, vertical: ft.vertical})
}
