package rag

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/vector/analyse"
	"golang.org/x/text/unicode/norm"
)

// A passage supports a sentence when all numbers and names of the sentence stand in
// it, and its terms, weighted by how rare they are among the passages that the model
// was shown, are mostly there: of all terms, and of those that the question did not
// bring. The second keeps an answer that repeats the question and adds one made-up
// word from looking supported.
const (
	needAll    = 0.5
	needNovel  = 0.6
	needNumber = 0.5 // in place of needNovel, where the sentence has numbers: all of them fit
	needSame   = 0.8 // of all terms, where the sentence adds none to the question
	// Words of up to three letters that no passage has count less: most join others, and
	// the analyser knows those of one language only.
	shortWord = 0.35
	// Passages that say it nearly as well as the best are named too, at most so many.
	margin        = 0.1
	maxReferences = 3
)

// evidence is what a model was shown, in the form that sentences are checked against.
type evidence struct {
	terms    *analyse.Analyser
	passages []proof
	weight   map[string]float64
	absent   float64 // weight of a term that no passage has
	asked    map[string]bool
}

// proof is one passage.
type proof struct {
	terms   map[string]bool
	numbers map[string]bool
	dates   map[string]bool // those that stand with others in one word: 1987-03-12, 3/12
	words   []string        // in lower case, sorted
}

func newEvidence(a *analyse.Analyser, question string, results []api.KnowledgeBaseRetrievalResult) *evidence {
	e := &evidence{terms: a, weight: map[string]float64{}, asked: map[string]bool{}, passages: make([]proof, len(results))}
	for i := range results {
		// The name of a document and its attributes are often what says whom it is
		// about.
		e.passages[i] = prove(a, textOf(&results[i])+"\n"+about(&results[i]))
		for t := range e.passages[i].terms {
			e.weight[t]++
		}
	}
	rarity := func(df float64) float64 { return math.Log(1 + float64(len(results)+1)/(df+0.5)) }
	for t, df := range e.weight {
		e.weight[t] = rarity(df)
	}
	e.absent = rarity(0)
	for _, t := range a.Words(question) {
		e.asked[t] = true
	}
	return e
}

func prove(a *analyse.Analyser, text string) proof {
	terms := a.Words(text)
	p := proof{terms: make(map[string]bool, len(terms)), numbers: map[string]bool{}, dates: map[string]bool{}}
	for _, t := range terms {
		p.terms[t] = true
	}
	for _, w := range split(text) {
		lower := strings.ToLower(w.text)
		p.words = append(p.words, lower)
		if n := spelled[lower]; n != "" {
			p.numbers[n] = true
		}
		for _, n := range w.numbers {
			for _, v := range variants(n) {
				p.numbers[v] = true
				if len(w.numbers) > 1 {
					p.dates[v] = true
				}
			}
		}
	}
	slices.Sort(p.words)
	p.words = slices.Compact(p.words)
	return p
}

// textOf is the text of a result.
func textOf(r *api.KnowledgeBaseRetrievalResult) string {
	if r.Content != nil && r.Content.Text != nil {
		return *r.Content.Text
	}
	return ""
}

// about is what a result says besides its text: the name of its document and the
// strings of its attributes, but none of those that the house adds.
func about(r *api.KnowledgeBaseRetrievalResult) string {
	var b strings.Builder
	b.WriteString(sourceName(r))
	for key, raw := range r.Metadata {
		if strings.HasPrefix(key, "x-amz-") {
			continue
		}
		var v string
		if json.Unmarshal(raw, &v) == nil {
			b.WriteByte('\n')
			b.WriteString(v)
		}
	}
	return b.String()
}

// claim is a sentence with what must be found of it.
type claim struct {
	terms   []string
	numbers []string
	names   []string // in lower case
}

func (e *evidence) claim(sentence string) claim {
	var c claim
	first := true
	for _, w := range split(sentence) {
		if w.bracketed && len(w.numbers) == 1 && w.numbers[0] == w.text {
			continue // [1] names a passage
		}
		if w.item {
			continue // "2." at the head of a sentence
		}
		switch r, _ := utf8.DecodeRuneInString(w.text); {
		case len(w.numbers) > 0:
			c.numbers = append(c.numbers, w.numbers...)
			if w.text != w.numbers[0] && latin(w.text) { // AB-12: a code counts letter by letter
				c.names = append(c.names, strings.ToLower(w.text))
			}
		case unicode.IsUpper(r) && !first && !common[strings.ToLower(w.text)]:
			c.names = append(c.names, strings.ToLower(w.text))
		}
		first = w.stop
	}
	c.terms = e.terms.Words(sentence)
	slices.Sort(c.terms)
	c.terms = slices.Compact(c.terms)
	return c
}

// support answers the passages that say what the sentence says, the best first.
func (e *evidence) support(sentence string) []int {
	c := e.claim(sentence)
	if found := e.whole(c); len(found) > 0 || len(c.terms) == 0 {
		return found
	}
	return e.clauses(sentence)
}

// whole looks for passages that each support all of the claim.
func (e *evidence) whole(c claim) []int {
	if len(c.terms) == 0 && len(c.numbers) == 0 {
		return nil
	}
	type scored struct {
		at    int
		score float64
	}
	var found []scored
	for i := range e.passages {
		if score, ok := e.score(&e.passages[i], c); ok {
			found = append(found, scored{i, score})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	var out []int
	for _, s := range found {
		if len(out) == maxReferences || s.score < found[0].score-margin {
			break
		}
		out = append(out, s.at)
	}
	return out
}

func (e *evidence) score(p *proof, c claim) (score float64, ok bool) {
	for _, n := range c.numbers {
		if !slices.ContainsFunc(variants(n), func(v string) bool { return p.numbers[v] }) {
			return 0, false
		}
	}
	for _, n := range c.names {
		if !e.names(p, n) {
			return 0, false
		}
	}
	var all, held, novel, heldNovel float64
	for _, t := range c.terms {
		w, known := e.weight[t]
		switch {
		case !known && len(t) <= 3 && t[0] >= 'a' && t[0] <= 'z':
			w = e.absent * shortWord
		case !known:
			w = e.absent
		}
		// Numbers have been found to fit, in whatever form.
		has := p.terms[t] || p.terms[units[t]] || t[0] >= '0' && t[0] <= '9'
		all += w
		if has {
			held += w
		}
		if !e.asked[t] {
			novel += w
			if has {
				heldNovel += w
			}
		}
	}
	need := needNovel
	if len(c.numbers) > 0 {
		need = needNumber
	}
	switch {
	case all == 0:
		return 1, true // nothing but numbers, and all are there
	case novel == 0:
		return held / all, held/all >= needSame
	}
	return held / all, held/all >= needAll && heldNovel/novel >= need
}

// names reports whether a passage names it, in this form or another one of the word.
func (e *evidence) names(p *proof, name string) bool {
	if _, ok := slices.BinarySearch(p.words, name); ok {
		return true
	}
	if month := months[name]; month != "" && p.dates[month] {
		return true
	}
	for _, t := range e.terms.Words(name) {
		if p.terms[t] {
			return true
		}
	}
	// Other endings: a name of at least six letters may differ in its last two.
	if n := utf8.RuneCountInString(name); n >= 6 && latin(name) && strings.IndexFunc(name, unicode.IsDigit) < 0 {
		root := name
		for range 2 {
			_, size := utf8.DecodeLastRuneInString(root)
			root = root[:len(root)-size]
		}
		i, _ := slices.BinarySearch(p.words, root)
		return i < len(p.words) && strings.HasPrefix(p.words[i], root) && utf8.RuneCountInString(p.words[i]) <= n+2
	}
	return false
}

// clauses checks a sentence that joins what several passages say. Each clause must
// name something and say something of it, and one passage must support it whole;
// otherwise "X, 30 kg" would be proven by one passage about X and one about 30 kg.
func (e *evidence) clauses(sentence string) []int {
	parts := splitClauses(sentence)
	if len(parts) < 2 {
		return nil
	}
	var out []int
	for _, part := range parts {
		// The head of a clause is no head of a sentence: its capitals are names.
		c := e.claim("and " + part)
		named := len(c.names) > 0
		says := len(c.numbers) > 0
		for _, t := range c.terms {
			says = says || !e.asked[t]
		}
		if !named || !says || len(c.terms)+len(c.numbers) < 2 {
			return nil
		}
		found := e.whole(c)
		if len(found) == 0 {
			return nil
		}
		if !slices.Contains(out, found[0]) {
			out = append(out, found[0])
		}
	}
	if len(out) > maxReferences {
		return nil
	}
	return out
}

var joints = []string{"; ", " and ", " while ", " whereas ", " but ", ", und ", " und ", " et ", " y ", "；"}

func splitClauses(s string) []string {
	parts := []string{s}
	for _, j := range joints {
		var next []string
		for _, p := range parts {
			for _, q := range strings.Split(p, j) {
				if q = strings.TrimSpace(q); q != "" {
					next = append(next, q)
				}
			}
		}
		parts = next
	}
	return parts
}

// word is a run of letters and digits of a sentence.
type word struct {
	text      string
	numbers   []string // that stand in it
	bracketed bool     // "[1]", "(1)"
	item      bool     // a number that counts an item
	stop      bool     // a colon or the like follows, after which a capital is no name
}

// split cuts a text into words. A number keeps its points and commas, a code its
// hyphens.
func split(text string) []word {
	text = norm.NFKC.String(text)
	var out []word
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			if len(out) > 0 && (r == ':' || r == '"' || r == '“' || r == '\n' || r == '•') {
				out[len(out)-1].stop = true
			}
			i += n
			continue
		}
		from := i
		for i < len(text) {
			r, n := utf8.DecodeRuneInString(text[i:])
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
				after, _ := utf8.DecodeRuneInString(text[i+n:])
				before, _ := utf8.DecodeLastRuneInString(text[:i])
				inNumber := (r == '.' || r == ',') && unicode.IsDigit(before) && unicode.IsDigit(after)
				inCode := (r == '-' || r == '_' || r == '/') && (unicode.IsLetter(before) || unicode.IsDigit(before)) && unicode.IsDigit(after)
				if !inNumber && !inCode {
					break
				}
			}
			i += n
		}
		w := word{text: text[from:i]}
		w.numbers = numbersIn(w.text)
		if i < len(text) && from > 0 && len(w.numbers) == 1 {
			w.bracketed = text[from-1] == '[' && text[i] == ']' || text[from-1] == '(' && text[i] == ')'
		}
		w.item = len(out) == 0 && len(w.text) <= 2 && len(w.numbers) == 1 && w.numbers[0] == w.text && i < len(text) && (text[i] == '.' || text[i] == ')')
		// A possessive s is no part of a name.
		if rest := text[i:]; strings.HasPrefix(rest, "'s") || strings.HasPrefix(rest, "’s") {
			_, q := utf8.DecodeRuneInString(rest)
			i += q + 1
		}
		out = append(out, w)
	}
	return out
}

func numbersIn(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsDigit(r) {
			i += n
			continue
		}
		from := i
		for i < len(s) {
			r, n := utf8.DecodeRuneInString(s[i:])
			if !unicode.IsDigit(r) && !((r == '.' || r == ',') && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '9') {
				break
			}
			i += n
		}
		out = append(out, s[from:i])
	}
	return out
}

// variants are the ways to read a number: 1,200 is 1200 or 1.2, for what the comma
// means depends on the language.
func variants(n string) []string {
	plain := strings.TrimLeft(n, "0")
	if plain == "" || plain[0] == '.' || plain[0] == ',' {
		plain = "0" + plain
	}
	if !strings.ContainsAny(plain, ".,") {
		return []string{plain}
	}
	decimal := strings.ReplaceAll(plain, ",", ".")
	if strings.Count(decimal, ".") == 1 {
		if after := decimal[strings.IndexByte(decimal, '.')+1:]; len(after) != 3 {
			return []string{strings.TrimRight(strings.TrimRight(decimal, "0"), ".")}
		}
		return []string{strings.TrimRight(strings.TrimRight(decimal, "0"), "."), strings.ReplaceAll(decimal, ".", "")}
	}
	// Several points: groups of thousands with a fraction, or a version.
	joined := strings.NewReplacer(".", "", ",", "").Replace(plain)
	last := strings.LastIndexAny(plain, ".,")
	out := []string{plain, joined}
	if strings.ContainsRune(plain, '.') && strings.ContainsRune(plain, ',') {
		whole := strings.NewReplacer(".", "", ",", "").Replace(plain[:last])
		out = []string{strings.TrimRight(strings.TrimRight(whole+"."+plain[last+1:], "0"), ".")}
	}
	return out
}

func latin(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) || unicode.IsDigit(r)
}

// spelled are numbers that passages write as words.
var spelled = map[string]string{
	"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}

var months = map[string]string{
	"january": "1", "february": "2", "march": "3", "april": "4", "may": "5", "june": "6", "july": "7", "august": "8", "september": "9", "october": "10", "november": "11", "december": "12",
}

// units are names of units and how passages abbreviate them, both as terms.
var units = map[string]string{
	"kilogram": "kg", "gram": "g", "metr": "m", "meter": "m", "kilomet": "km", "kilometr": "km", "centimet": "cm", "millimet": "mm", "litr": "l", "liter": "l", "hour": "h", "minut": "min", "second": "s", "volt": "v", "watt": "w", "kilowatt": "kw",
}

// common are words with a capital that name nothing.
var common = map[string]bool{
	"i": true, "the": true, "a": true, "an": true, "it": true, "its": true, "this": true, "that": true, "these": true, "in": true, "on": true, "at": true, "yes": true, "no": true,
	"according": true, "based": true, "therefore": true, "however": true, "and": true, "or": true, "he": true, "she": true, "they": true, "we": true, "you": true,
}
