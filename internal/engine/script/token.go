package script

import (
	"hash/fnv"
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// vocabulary is the range of token ids.
const vocabulary = 1 << 20

// longestToken is how many characters of one run make a token: encoded data must
// not count as one word.
const longestToken = 16

// tokenize cuts text into words with the space before them, single characters of
// scripts that do not put spaces, and single signs. The tokens joined are text.
func tokenize(text string) []string {
	var out []string
	for start := 0; start < len(text); {
		i := start
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		if r == ' ' && i < len(text) {
			if next, m := utf8.DecodeRuneInString(text[i:]); next != ' ' && next != '\n' {
				r = next
				i += m
			}
		}
		if wordly(r) {
			for chars := 1; i < len(text) && chars < longestToken; chars++ {
				next, m := utf8.DecodeRuneInString(text[i:])
				if !wordly(next) {
					break
				}
				i += m
			}
		}
		out = append(out, text[start:i])
		start = i
	}
	return out
}

// wordly reports whether r joins its neighbours to a word.
func wordly(r rune) bool { return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !cjk(r) }

// cjk reports whether r belongs to a script that is written without spaces or, as
// Korean, glues its particles to words.
func cjk(r rune) bool {
	return r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

func hash64(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0})
	}
	// FNV's low bits follow the last byte closely; mix them (splitmix64's end).
	x := h.Sum64()
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func tokenID(s string) int { return int(hash64(s) % vocabulary) }

// tokens gives texts their ids.
func tokens(texts []string) []engine.Token {
	out := make([]engine.Token, len(texts))
	for i, s := range texts {
		out[i] = engine.Token{ID: tokenID(s), Text: s}
	}
	return out
}

// rivals are the texts of less likely tokens.
var rivals = []string{" the", " a", " of", ",", ".", " and", " to", " in", " is", " that", " it", " for", " on", " not", " was", " be", " as", " with", " are", "\n"}

// score gives each token a log probability that depends on it, its place and
// the seed, and n tokens beside it, itself first, that are less and less likely.
func score(list []engine.Token, n int, seed string) {
	for i := range list {
		t := &list[i]
		h := hash64(seed, t.Text, string(rune(i%0xd000)))
		t.Logprob = -float64(h%1000) / 1000 * 0.7 // probability 0.5 to 1
		left := 1 - math.Exp(t.Logprob)
		top := []engine.Token{{ID: t.ID, Text: t.Text, Logprob: t.Logprob}}
		for k := 0; len(top) < n && k < len(rivals); k++ {
			text := rivals[(int(h>>32)+k)%len(rivals)]
			if text == t.Text {
				continue
			}
			left /= 2
			top = append(top, engine.Token{ID: tokenID(text), Text: text, Logprob: math.Log(max(left, 1e-9))})
		}
		t.Top = top
	}
}
