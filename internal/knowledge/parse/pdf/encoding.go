package pdf

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/encoding/charmap"
)

//go:embed glyphs.txt
var glyphText string

// glyphNames maps names of glyphs to what they mean.
var glyphNames = sync.OnceValue(func() map[string]string {
	out := make(map[string]string, 4400)
	for line := range strings.Lines(glyphText) {
		n, codes, ok := strings.Cut(strings.TrimSpace(line), ";")
		if !ok || n == "" || n[0] == '#' {
			continue
		}
		var b strings.Builder
		for c := range strings.FieldsSeq(codes) {
			if v, err := strconv.ParseUint(c, 16, 32); err == nil {
				b.WriteRune(rune(v))
			}
		}
		out[n] = b.String()
	}
	// Names of TeX's fonts.
	for n, s := range map[string]string{
		"ff": "ff", "fi": "fi", "fl": "fl", "ffi": "ffi", "ffl": "ffl", "visiblespace": " ", "nbspace": " ", "sfthyphen": "-", "dblbracketleft": "⟦",
		"dblbracketright": "⟧", "square": "□", "lessequal": "≤", "greaterequal": "≥", "arrownortheast": "↗", "arrowsoutheast": "↘", "epsilon1": "ϵ",
		"rho1": "ϱ", "theta1": "ϑ", "phi1": "φ", "sigma1": "ς", "mapsto": "↦", "element": "∈", "owner": "∋", "equivalence": "≡", "similarequal": "≃",
		"angbracketleft": "⟨", "angbracketright": "⟩", "bar": "|", "bardbl": "‖", "backslash": "\\", "period1": ".", "dotlessj": "ȷ", "cwm": "", "follows": "≻", "precedes": "≺",
	} {
		if out[n] == "" || n[0] == 'f' && s == n { // the list has one character for two
			out[n] = s
		}
	}
	return out
})

// glyphName tells what a glyph of a name means: "A", "uni0041", "u1F600",
// "A.small", "f_i". The empty string is unknown.
func glyphName(n string) string {
	if s, ok := glyphNames()[n]; ok {
		return s
	}
	if base, _, ok := strings.Cut(n, "."); ok && base != "" {
		return glyphName(base)
	}
	if strings.Contains(n, "_") && len(n) < 64 {
		var b strings.Builder
		for part := range strings.SplitSeq(n, "_") {
			if part == "" {
				return ""
			}
			b.WriteString(glyphName(part))
		}
		return b.String()
	}
	if hex, ok := strings.CutPrefix(n, "uni"); ok && len(hex) >= 4 {
		var b strings.Builder
		for ; len(hex) >= 4; hex = hex[4:] {
			v, err := strconv.ParseUint(hex[:4], 16, 32)
			if err != nil {
				return ""
			}
			b.WriteRune(rune(v))
		}
		return b.String()
	}
	if hex, ok := strings.CutPrefix(n, "u"); ok && len(hex) >= 4 && len(hex) <= 6 {
		if v, err := strconv.ParseUint(hex, 16, 32); err == nil {
			return string(rune(v))
		}
	}
	return ""
}

// standardHigh is the upper half of Adobe's standard encoding from 0xa1 on.
const standardHigh = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\x00–†‡·\x00¶•‚„”»…‰\x00¿\x00`´ˆ˜¯˘˙¨\x00˚¸\x00˝˛ˇ—\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Æ\x00ª\x00\x00\x00\x00ŁØŒº\x00\x00\x00\x00\x00æ\x00\x00\x00ı\x00\x00łøœß"

// symbolLow and symbolHigh are the encoding of the font Symbol from space, and from
// 0xa0, on.
const (
	symbolLow  = " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_\x00αβχδεφγηιϕκλµνοπθρστυϖωξψζ{|}∼"
	symbolHigh = "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…\x00\x00↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"
)

type table [256]string

func (t *table) fill(from int, chars string) {
	for _, r := range chars {
		if from > 255 {
			return
		}
		if r != 0 {
			t[from] = string(r)
		} else {
			t[from] = ""
		}
		from++
	}
}

func charmapTable(m *charmap.Charmap) *table {
	var t table
	for i := 32; i < 256; i++ {
		if r := m.DecodeByte(byte(i)); r != '\ufffd' && r >= ' ' {
			t[i] = string(r)
		}
	}
	return &t
}

var encodings = sync.OnceValue(func() map[name]*table {
	win := charmapTable(charmap.Windows1252)
	win[0x7f], win[0xad] = "•", "-"
	mac := charmapTable(charmap.Macintosh)
	var std table
	copy(std[:], win[:0x7f])
	std['\''], std['`'] = "’", "‘"
	std.fill(0xa1, standardHigh)
	var sym table
	sym.fill(0x20, symbolLow)
	sym.fill(0xa0, symbolHigh)
	return map[name]*table{"WinAnsiEncoding": win, "MacRomanEncoding": mac, "StandardEncoding": &std, "Symbol": &sym}
})
