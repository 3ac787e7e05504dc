package inference

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
	"golang.org/x/text/unicode/norm"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// A text is tokenized in pieces of up to segment bytes, lanes of them at once: an
// engine answers a long text as one long list, which would be held several times over.
const (
	segment = 16 << 10
	lanes   = 4
)

// TokenEnds answers for each text the bytes at which its tokens end by the tokenizer
// of m: ascending, none beyond the text, always at the end of a letter. Marks that the
// model puts around a text are not among them. Where the engine has no tokenizer the
// ends are estimated, rather too many than too few; the log says so once, and the engine
// is not asked again.
func (rt *Runtime) TokenEnds(ctx context.Context, m EmbeddingModel, texts []string) ([][]int, error) {
	t, info, err := rt.weights(ctx, &m)
	if err != nil {
		return nil, err
	}
	type part struct {
		text, from, to int
		ends           []int
	}
	var parts []part
	for i, s := range texts {
		for from := 0; from < len(s); {
			to := from + segmentEnd(s[from:], segment)
			parts = append(parts, part{text: i, from: from, to: to})
			from = to
		}
	}
	work := func(ctx context.Context, p *part) error {
		s := texts[p.text][p.from:p.to]
		tokens, err := rt.engine.Tokenize(ctx, info.Name, s)
		if err != nil {
			return err
		}
		p.ends = tokenEnds(s, tokens)
		return nil
	}
	_, guess := rt.untokenized.Load(info.Name)
	if !guess {
		group, inner := errgroup.WithContext(ctx)
		group.SetLimit(lanes)
		for i := range parts {
			group.Go(func() error { return work(inner, &parts[i]) })
		}
		if err := group.Wait(); err != nil {
			e, ok := errors.AsType[*engine.Error](err)
			if !ok || e.Kind != engine.Unsupported {
				return nil, fault(err, plain, t, nil)
			}
			guess = true
			if _, known := rt.untokenized.LoadOrStore(info.Name, true); !known {
				rt.log.WarnContext(ctx, "the engine has no tokenizer for the embedding model: tokens are estimated until the server starts again",
					"model", m.ID, "local", info.Name, "err", err)
			}
		}
	}
	if guess {
		for i := range parts {
			p := &parts[i]
			p.ends = guessEnds(texts[p.text][p.from:p.to])
		}
	}
	out := make([][]int, len(texts))
	for _, p := range parts {
		for _, e := range p.ends {
			out[p.text] = append(out[p.text], p.from+e)
		}
	}
	return out, nil
}

// segmentEnd is where to cut a text that is longer than size: before the last
// space of its second half, a new line rather than another, so that no token lies
// across; else after the last letter that fits.
func segmentEnd(s string, size int) int {
	if len(s) <= size {
		return len(s)
	}
	for _, of := range []string{"\n", " \t\r"} {
		at := strings.LastIndexAny(s[size/2:size], of)
		if at < 0 {
			continue
		}
		for at += size / 2; at > size/4 && strings.IndexByte(" \t\r\n", s[at-1]) >= 0; at-- {
		}
		return at
	}
	at := size
	for at > size/2 && !utf8.RuneStart(s[at]) {
		at--
	}
	return at
}

// tokenEnds finds the ends of tokens in the text that they were made of. Where the
// tokens joined are the text, perhaps with a space put before it, ends are sums.
// Word pieces lose spaces, capitals and accents and stand as [UNK] for whole words:
// they are looked for in the text, and what cannot be found shares the bytes between
// what can.
func tokenEnds(text string, tokens []engine.Token) []int {
	if ends := joinedEnds(text, tokens); ends != nil {
		return ends
	}
	return foundEnds(text, tokens)
}

// joinedEnds is nil when the tokens joined are not the text.
func joinedEnds(text string, tokens []engine.Token) []int {
	total := 0
	for i := range tokens {
		total += len(tokens[i].Text)
	}
	extra := total - len(text)
	if extra != 0 && (extra != 1 || len(tokens) == 0 || !strings.HasPrefix(tokens[0].Text, " ")) {
		return nil
	}
	ends := make([]int, len(tokens))
	at := -extra
	for i := range tokens {
		piece := tokens[i].Text
		if i == 0 {
			piece = piece[extra:]
			at = 0
		}
		if at+len(piece) > len(text) || text[at:at+len(piece)] != piece {
			return nil
		}
		at += len(piece)
		ends[i] = at
	}
	for i, e := range ends { // tokens of single bytes end within a letter
		for e < len(text) && !utf8.RuneStart(text[e]) {
			e++
		}
		ends[i] = e
	}
	return ends
}

// glyph is a letter of a text without case and accents.
type glyph struct {
	r     rune
	end   int  // byte after it in the text
	first bool // it begins a word as BERT cuts words: at spaces, signs and Han
}

// glyphs are the letters of a text that a tokenizer of word pieces sees.
func glyphs(text string) []glyph {
	out := make([]glyph, 0, len(text))
	fresh := true
	var buf [32]byte
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		end := i + n
		switch {
		case unicode.IsSpace(r):
			fresh = true
		case r == utf8.RuneError || unicode.IsControl(r):
		case r < utf8.RuneSelf:
			alone := !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
			if r >= 'A' && r <= 'Z' {
				r += 'a' - 'A'
			}
			out = append(out, glyph{r, end, fresh || alone})
			fresh = alone
		default:
			alone := unicode.IsPunct(r) || unicode.Is(unicode.Han, r)
			for _, part := range string(norm.NFD.AppendString(buf[:0], text[i:end])) {
				// llama.cpp leaves the first consonant of a Korean syllable alone.
				if vowel := part >= 0x1160 && part <= 0x11ff; !vowel && !unicode.Is(unicode.Mn, part) {
					out = append(out, glyph{unicode.ToLower(part), end, fresh || alone})
					fresh, alone = unicode.IsPunct(r) || unicode.Is(unicode.Han, r), false
				}
			}
		}
		i = end
	}
	return out
}

// sought is how far ahead a token is looked for, in glyphs: some lines.
const sought = 400

// foundEnds looks for tokens in the text one after the other.
func foundEnds(text string, tokens []engine.Token) []int {
	all := glyphs(text)
	ends := make([]int, len(tokens))
	pos, open := 0, 0 // next glyph; first token without a place
	place := func(i, from int, piece []glyph) {
		spread(ends[open:i], all, pos, from)
		pos = from + len(piece)
		ends[i] = endOf(all, pos)
		open = i + 1
	}
	next := pieceGlyphs(tokens, 0)
	for i := range tokens {
		piece := next
		next = pieceGlyphs(tokens, i+1)
		if len(piece) == 0 {
			if open == i {
				place(i, pos, nil)
			}
			continue
		}
		if open == i && matches(all, pos, piece) {
			place(i, pos, piece)
			continue
		}
		for at := pos; open < i && at < min(len(all), pos+sought); at++ {
			// A short piece is soon found somewhere: the one after it must follow.
			if all[at].first && matches(all, at, piece) && (len(next) == 0 || at+len(piece) == len(all) || matches(all, at+len(piece), next)) {
				place(i, at, piece)
				break
			}
		}
	}
	spread(ends[open:], all, pos, len(all))
	return ends
}

// pieceGlyphs are the letters of a token, without the sign that it goes on a word.
func pieceGlyphs(tokens []engine.Token, i int) []glyph {
	if i >= len(tokens) {
		return nil
	}
	s := strings.ReplaceAll(tokens[i].Text, "▁", " ")
	if len(s) > 2 && s[:2] == "##" && s[2] != '#' {
		s = s[2:]
	}
	return glyphs(s)
}

func matches(all []glyph, at int, piece []glyph) bool {
	if at+len(piece) > len(all) {
		return false
	}
	for i := range piece {
		if all[at+i].r != piece[i].r {
			return false
		}
	}
	return true
}

// endOf is the byte after the glyph before pos.
func endOf(all []glyph, pos int) int {
	if pos == 0 {
		return 0
	}
	return all[pos-1].end
}

// spread gives tokens that were not found the glyphs from..to: a word each when they
// are as many, else equal shares.
func spread(ends []int, all []glyph, from, to int) {
	if len(ends) == 0 {
		return
	}
	count := 0
	for at := from; at < to; at++ {
		if at == from || all[at].first {
			count++
		}
	}
	if count == len(ends) {
		k := 0
		for at := from; at < to; at++ {
			if at+1 == to || all[at+1].first {
				ends[k] = all[at].end
				k++
			}
		}
		return
	}
	for k := range ends {
		ends[k] = endOf(all, from+(to-from)*(k+1)/len(ends))
	}
}

// guessed is how many letters of a word a guessed token has: tokenizers of English
// make about four letters one token, and fewer of other languages.
const guessed = 3

// guessEnds guesses where tokens end: signs and letters of scripts without spaces
// alone, and three letters of all others.
func guessEnds(text string) []int {
	var ends []int
	run := 0
	for _, g := range glyphs(text) {
		if len(ends) > 0 && ends[len(ends)-1] == g.end {
			continue // another part of the same letter
		}
		if len(ends) == 0 || g.first || run == guessed || g.r >= 0x1100 {
			ends = append(ends, g.end)
			run = 1
			continue
		}
		ends[len(ends)-1] = g.end
		run++
	}
	return ends
}
