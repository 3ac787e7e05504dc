package pdf

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// font tells of each code what it shows and how wide.
type font struct {
	composite bool
	vertical  bool
	bold      bool
	scale     float64 // of widths to the size: 1/1000, or a Type 3 font's own
	simple    table
	widths    map[int]float64
	missing   float64
	unicode   *cmap
	codes     *cmap // of a composite font; nil is two bytes a code
	charset   encoding.Encoding
	utf16     bool
	gids      map[int]rune // of an embedded TrueType program
	cidToGid  []byte
}

// shown is one code's part of a text.
type shown struct {
	text  string
	width float64 // of the size
	space bool    // the one code that word spacing widens
	known bool    // the font says which letter this is
}

// font returns the font of a resource.
func (f *file) font(x any) *font {
	id := 0
	if r, ok := x.(ref); ok {
		id = r.num
		if ft, ok := f.fonts[id]; ok {
			return ft
		}
	}
	d := f.dict(x)
	if d == nil {
		return nil
	}
	ft := &font{scale: 0.001, widths: map[int]float64{}}
	f.attempt(func() { f.readFont(ft, d) })
	if id != 0 {
		f.fonts[id] = ft
	}
	return ft
}

func (f *file) readFont(ft *font, d dict) {
	base := string(f.name(d["BaseFont"]))
	if len(base) > 7 && base[6] == '+' {
		base = base[7:]
	}
	lower := strings.ToLower(base)
	ft.bold = strings.Contains(lower, "bold") || strings.Contains(lower, "black") || strings.Contains(lower, "heavy") || strings.HasPrefix(lower, "cmbx")
	if s, ok := f.resolve(d["ToUnicode"]).(*stream); ok {
		ft.unicode = readCMap(f.unpack(s))
	}
	if f.name(d["Subtype"]) == "Type0" {
		f.readComposite(ft, d)
		return
	}
	desc := f.dict(d["FontDescriptor"])
	ft.missing = f.number(desc["MissingWidth"], 0)
	if f.number(desc["FontWeight"], 400) >= 600 {
		ft.bold = true
	}
	first := int(f.number(d["FirstChar"], 0))
	ws := f.array(d["Widths"])
	for i, w := range ws {
		if i > 255 {
			break
		}
		ft.widths[first+i] = f.number(w, ft.missing)
	}
	if len(ws) == 0 {
		ft.standard(base)
	}
	if f.name(d["Subtype"]) == "Type3" {
		ft.scale = 0.001
		if m := f.array(d["FontMatrix"]); len(m) == 6 {
			if a := f.number(m[0], 0.001); a != 0 {
				ft.scale = max(a, -a)
			}
		}
	}
	f.readSimple(ft, d, desc, base)
}

// standard gives the widths of a font that the file need not carry.
func (ft *font) standard(base string) {
	like := "Helvetica"
	switch {
	case strings.Contains(base, "Courier"):
		ft.missing = 600
		return
	case strings.Contains(base, "Times"):
		like = "Times-Roman"
		switch {
		case ft.bold && strings.Contains(base, "Italic"):
			like = "Times-BoldItalic"
		case ft.bold:
			like = "Times-Bold"
		case strings.Contains(base, "Italic"):
			like = "Times-Italic"
		}
	case ft.bold:
		like = "Helvetica-Bold"
	}
	w := standardWidths[like]
	for i, v := range w {
		ft.widths[32+i] = float64(v)
	}
	if ft.missing == 0 {
		ft.missing = 556
	}
}

// readSimple finds what the 256 codes of a simple font mean.
func (f *file) readSimple(ft *font, d, desc dict, base string) {
	all := encodings()
	symbolic := int(f.number(desc["Flags"], 0))&4 != 0
	enc := f.resolve(d["Encoding"])
	start := all["StandardEncoding"]
	if f.name(d["Subtype"]) == "TrueType" {
		start = all["WinAnsiEncoding"]
	}
	switch {
	case strings.Contains(base, "Symbol") && desc["FontFile"] == nil:
		start = all["Symbol"]
	case base == "ZapfDingbats":
		start = &table{}
	}
	var own *table
	if t := f.builtin(desc); t != nil {
		own = t
	}
	switch e := enc.(type) {
	case name:
		if t := all[e]; t != nil {
			start, own = t, nil
		}
	case dict:
		if t := all[f.name(e["BaseEncoding"])]; t != nil {
			start, own = t, nil
		} else if symbolic && own == nil && f.name(d["Subtype"]) == "TrueType" {
			start = all["WinAnsiEncoding"]
		}
	}
	ft.simple = *start
	if own != nil {
		for i, s := range own {
			if s != "" {
				ft.simple[i] = s
			}
		}
	}
	if e, ok := enc.(dict); ok {
		code := 0
		for _, x := range f.array(e["Differences"]) {
			switch x := f.resolve(x).(type) {
			case float64:
				code = int(x)
			case name:
				if code >= 0 && code < 256 {
					s := glyphName(string(x))
					if s == "" && x != ".notdef" {
						s = numbered(string(x), code)
					}
					ft.simple[code] = s
				}
				code++
			}
		}
	}
}

// numbered reads names like "a65" or "g65" of fonts whose program lost the names,
// where the number is the code itself.
func numbered(n string, code int) string {
	i := strings.IndexAny(n, "0123456789")
	if i < 1 || i > 3 {
		return ""
	}
	if v, err := strconv.Atoi(n[i:]); err == nil && v == code && v >= 32 && v < 127 {
		return string(rune(v))
	}
	return ""
}

var dupPut = regexp.MustCompile(`dup\s+(\d+)\s*/([^\s/]+)\s+put`)

// builtin reads the encoding that an embedded Type 1 program has of its own, which
// TeX's files rely on.
func (f *file) builtin(desc dict) *table {
	s, ok := f.resolve(desc["FontFile"]).(*stream)
	if !ok {
		return nil
	}
	clear := f.unpack(s)
	if n := int(f.number(s.dict["Length1"], 0)); n > 0 && n < len(clear) {
		clear = clear[:n]
	}
	var t table
	found := false
	for _, m := range dupPut.FindAllSubmatch(clear[:min(len(clear), 64<<10)], 512) {
		code, err := strconv.Atoi(string(m[1]))
		if err == nil && code < 256 {
			t[code] = glyphName(string(m[2]))
			found = true
		}
	}
	if !found {
		return nil
	}
	return &t
}

func (f *file) readComposite(ft *font, d dict) {
	ft.composite = true
	ft.missing = 1000
	enc := f.resolve(d["Encoding"])
	switch e := enc.(type) {
	case name:
		ft.vertical = strings.HasSuffix(string(e), "-V")
		ft.charset, ft.utf16 = known(e)
	case *stream:
		ft.codes = readCMap(f.unpack(e))
		ft.vertical = f.number(e.dict["WMode"], 0) == 1
		if len(ft.codes.spaces) == 0 {
			ft.codes = nil
		}
	}
	kids := f.array(d["DescendantFonts"])
	if len(kids) == 0 {
		return
	}
	k := f.dict(kids[0])
	ft.missing = f.number(k["DW"], 1000)
	desc := f.dict(k["FontDescriptor"])
	if f.number(desc["FontWeight"], 400) >= 600 {
		ft.bold = true
	}
	w := f.array(k["W"])
	for i := 0; i+1 < len(w) && len(ft.widths) < 1<<17; {
		first := int(f.number(w[i], 0))
		if list, ok := f.resolve(w[i+1]).(array); ok {
			for j, x := range list {
				ft.widths[first+j] = f.number(x, ft.missing)
			}
			i += 2
			continue
		}
		if i+2 >= len(w) {
			break
		}
		last, v := int(f.number(w[i+1], 0)), f.number(w[i+2], ft.missing)
		for c := first; c <= last && c-first < 1<<16; c++ {
			ft.widths[c] = v
		}
		i += 3
	}
	if ft.unicode == nil && ft.charset == nil && !ft.utf16 {
		if s, ok := f.resolve(desc["FontFile2"]).(*stream); ok {
			ft.gids = trueTypeLetters(f.unpack(s))
			if m, ok := f.resolve(k["CIDToGIDMap"]).(*stream); ok {
				ft.cidToGid = f.unpack(m)
			}
		}
	}
}

// next takes one code off a text.
func (ft *font) next(s string) (shown, int) {
	if !ft.composite {
		c := int(s[0])
		w, ok := ft.widths[c]
		if !ok {
			w = ft.missing
		}
		out := shown{width: w * ft.scale, space: c == 32}
		out.text, out.known = ft.meaning(c, ft.simple[c])
		return out, 1
	}
	code, n := 0, 2
	switch {
	case ft.codes != nil:
		code, n = ft.codes.next(s)
	case ft.charset != nil:
		if s[0] < 0x81 || len(s) < 2 {
			n = 1
		}
		for i := range n {
			code = code<<8 | int(s[i])
		}
	default:
		if len(s) < 2 {
			return shown{}, 1
		}
		code = int(s[0])<<8 | int(s[1])
	}
	cid := code
	if ft.codes != nil {
		cid = ft.codes.cid(code)
	}
	out := shown{space: n == 1 && code == 32}
	w, ok := ft.widths[cid]
	other := ""
	switch {
	case ft.utf16:
		if code < 0xd800 || code >= 0xe000 {
			other = string(rune(code))
		}
		w, ok = ft.missing, true
		if code < 0x250 {
			w = ft.missing / 2
		}
	case ft.charset != nil:
		if b, err := ft.charset.NewDecoder().String(s[:n]); err == nil {
			other = b
		}
		w, ok = ft.missing*float64(n)/2, true
	case ft.gids != nil:
		gid := cid
		if ft.cidToGid != nil {
			gid = 0
			if 2*cid+1 < len(ft.cidToGid) {
				gid = int(ft.cidToGid[2*cid])<<8 | int(ft.cidToGid[2*cid+1])
			}
		}
		if r := ft.gids[gid]; r != 0 {
			other = string(r)
		}
	}
	if !ok {
		w = ft.missing
	}
	out.width = w * ft.scale
	out.text, out.known = ft.meaning(code, other)
	return out, n
}

// meaning prefers what ToUnicode says, unless that is no letter at all.
func (ft *font) meaning(code int, other string) (string, bool) {
	if s, ok := ft.unicode.letter(code); ok && readable(s) {
		return s, true
	}
	if readable(other) {
		return other, true
	}
	return "", false
}

func readable(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0xe000 && r <= 0xf8ff || r >= 0xf0000 {
			return false
		}
	}
	return true
}
