package analyse

import (
	"unicode"
	"unicode/utf8"
)

// firstEast is the first code point that east can know.
const firstEast = 0x1100

// family of East Asian writing; 0 is none. Han and Kana run together in Japanese.
type family uint8

const (
	han family = iota + 1
	kana
	hangul
)

func east(r rune) family {
	switch {
	case r >= 0xac00 && r <= 0xd7a3:
		return hangul
	case r == 'ー' || r >= 0x3041 && r <= 0x309f || r >= 0x30a1 && r <= 0x30fa || r >= 0x31f0 && r <= 0x31ff:
		return kana
	case r >= 0x4e00 && r <= 0x9fff || r == '々' || r == '〇':
		return han
	case unicode.Is(unicode.Han, r) && unicode.IsLetter(r):
		return han
	case unicode.Is(unicode.Hangul, r):
		return hangul
	default:
		return 0
	}
}

// eastRun is the length of the run at the start of text: Hangul, or Han and Kana.
func eastRun(text string) int {
	first, _ := utf8.DecodeRuneInString(text)
	korean := east(first) == hangul
	for i, r := range text {
		if f := east(r); f == 0 || (f == hangul) != korean {
			return i
		}
	}
	return len(text)
}

// bigrams yields every two neighbours of a run, and single characters: always those
// of a run of one, and of documents all but Kana.
func (s *scratch) bigrams(run string, yield func(string, bool)) {
	_, size := utf8.DecodeRuneInString(run)
	if size == len(run) {
		yield(run, false)
		return
	}
	for i := 0; i < len(run); {
		r, a := utf8.DecodeRuneInString(run[i:])
		if !s.question && east(r) != kana {
			yield(run[i:i+a], true)
		}
		if i+a < len(run) {
			_, b := utf8.DecodeRuneInString(run[i+a:])
			yield(run[i:i+a+b], false)
		}
		i += a
	}
}
