package parse

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// bom tells the encoding that a byte order mark names, and its length.
func bom(data []byte) (string, int) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "utf-8", 3
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")):
		return "utf-32le", 4
	case bytes.HasPrefix(data, []byte("\x00\x00\xfe\xff")):
		return "utf-32be", 4
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return "utf-16le", 2
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return "utf-16be", 2
	}
	return "", 0
}

// wide finds UTF-16 without a mark by its zero bytes: line breaks, spaces and
// digits have one on the same side in every language.
func wide(data []byte) string {
	head := data[:min(len(data), 4096)&^1]
	if len(head) < 4 {
		return ""
	}
	var even, odd, spaceLE, spaceBE int
	for i := 0; i < len(head); i += 2 {
		a, b := head[i], head[i+1]
		if a == 0 {
			even++
		}
		if b == 0 {
			odd++
		}
		if b == 0 && (a == ' ' || a == '\n' || a == '.') {
			spaceLE++
		}
		if a == 0 && (b == ' ' || b == '\n' || b == '.') {
			spaceBE++
		}
	}
	pairs := len(head) / 2
	switch {
	case even == 0 && (odd*3 > pairs && odd < pairs+1 || spaceLE*20 > pairs) && odd > 0:
		return "utf-16le"
	case odd == 0 && (even*3 > pairs || spaceBE*20 > pairs) && even > 0:
		return "utf-16be"
	}
	return ""
}

// decodeText turns the bytes of a text file into UTF-8, by its mark, as UTF-8 when
// it is, as UTF-16 when it must be, and else by the charset that makes most sense.
func decodeText(data []byte) string {
	if name, n := bom(data); n > 0 {
		return decodeUTF(name, data[n:])
	}
	if name := wide(data); name != "" {
		return decodeUTF(name, data)
	}
	if utf8.Valid(data) {
		return string(data)
	}
	// A few bad bytes in much good UTF-8 are damage, no other charset.
	if bad, multi := countUTF8(data); multi > 20*bad {
		return strings.ToValidUTF8(string(data), "\ufffd")
	}
	text, err := guessCharset(data).NewDecoder().Bytes(data)
	if err != nil {
		return strings.ToValidUTF8(string(data), "\ufffd")
	}
	return string(text)
}

func decodeUTF(name string, data []byte) string {
	var order binary.ByteOrder = binary.LittleEndian
	if strings.HasSuffix(name, "be") {
		order = binary.BigEndian
	}
	switch {
	case strings.HasPrefix(name, "utf-16"):
		return decodeUTF16(order, data)
	case strings.HasPrefix(name, "utf-32"):
		var b strings.Builder
		b.Grow(len(data) / 4)
		for ; len(data) >= 4; data = data[4:] {
			b.WriteRune(rune(order.Uint32(data) & 0x7fffffff)) // out of range becomes U+FFFD
		}
		return b.String()
	}
	return strings.ToValidUTF8(string(data), "\ufffd")
}

func decodeUTF16(order binary.ByteOrder, data []byte) string {
	var b strings.Builder
	b.Grow(len(data) * 3 / 4)
	for ; len(data) >= 2; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) && len(data) >= 4 {
			if both := utf16.DecodeRune(r, rune(order.Uint16(data[2:]))); both != utf8.RuneError {
				b.WriteRune(both)
				data = data[2:]
				continue
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// countUTF8 counts bytes that are no UTF-8, and characters of several bytes.
func countUTF8(data []byte) (bad, multi int) {
	for i := 0; i < len(data); {
		if data[i] < 0x80 {
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			multi++
		}
		i += n
	}
	return bad, multi
}

// guessCharset chooses by how much of the text comes out as the letters that its
// language uses most. The double-byte charsets of East Asia overlap, so the order
// matters: Korean and Japanese have letters of their own that Chinese text never
// shows in such a share.
func guessCharset(data []byte) encoding.Encoding {
	head := data[:min(len(data), 64<<10)]
	if i := bytes.LastIndexByte(head, '\n'); i > 0 && len(data) > len(head) {
		head = head[:i] // no character cut at the end
	}
	type tally struct{ hangul, kana, han, half, other, bad int }
	count := func(e encoding.Encoding) (t tally) {
		text, err := e.NewDecoder().Bytes(head)
		if err != nil {
			t.bad = len(head)
			return t
		}
		for _, r := range string(text) {
			switch {
			case r < 0x80:
			case r == utf8.RuneError || r < 0xa0 || r >= 0xe000 && r < 0xf900:
				t.bad++
			case r >= 0xac00 && r <= 0xd7a3:
				t.hangul++
			case r >= 0x3040 && r <= 0x30ff:
				t.kana++
			case r >= 0xff61 && r <= 0xff9f:
				t.half++
			case r >= 0x4e00 && r <= 0x9fff:
				t.han++
			case r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xff60:
			default:
				t.other++
			}
		}
		return t
	}
	few := func(n, of int) bool { return n*100 <= of }
	if t := count(korean.EUCKR); few(t.bad, t.hangul) && t.hangul*10 > 9*(t.hangul+t.han+t.kana+t.other) && t.hangul > 1 && leads(head, 0xb0, 0xc8)*10 > 7*t.hangul {
		return korean.EUCKR
	}
	if t := count(japanese.ShiftJIS); few(t.bad, t.kana+t.han) && t.kana*4 > t.han+t.half+t.other && t.kana > t.half*2 && t.kana > 1 {
		return japanese.ShiftJIS
	}
	if t := count(japanese.EUCJP); few(t.bad, t.kana+t.han) && t.kana*4 > t.han+t.half+t.other && t.kana > 1 {
		return japanese.EUCJP
	}
	if bytes.Contains(head, []byte("\x1b$B")) {
		if t := count(japanese.ISO2022JP); t.bad == 0 && t.kana > 0 {
			return japanese.ISO2022JP
		}
	}
	gb, big := count(simplifiedchinese.GB18030), count(traditionalchinese.Big5)
	gbCommon, bigCommon := leads(head, 0xb0, 0xd7), leads(head, 0xa4, 0xc6)
	if few(gb.bad, gb.han) && gb.han > 4*gb.other && gb.han > 1 && (gbCommon >= bigCommon || !few(big.bad, big.han)) {
		return simplifiedchinese.GB18030
	}
	if few(big.bad, big.han) && big.han > 4*big.other && big.han > 1 {
		return traditionalchinese.Big5
	}
	// One byte a letter: Cyrillic text is nearly all high letters in long runs,
	// the Latin languages have a few among ASCII ones.
	var high, runs, ascii int
	for i, c := range head {
		switch {
		case c >= 0xc0:
			high++
			if i > 0 && head[i-1] >= 0xc0 {
				runs++
			}
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			ascii++
		}
	}
	if runs*2 > high && high > ascii {
		return charmap.Windows1251
	}
	return charmap.Windows1252
}

// leads counts double-byte characters whose first byte lies in a range.
func leads(data []byte, lo, hi byte) int {
	n := 0
	for i := 0; i+1 < len(data); i++ {
		if data[i] >= 0x81 {
			if data[i] >= lo && data[i] <= hi {
				n++
			}
			i++
		}
	}
	return n
}
