package chunk

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/sentences"
)

// sentenceEnds appends the places where sentences of a text end, the last one its
// own end. White space behind a sentence belongs to it.
func sentenceEnds(text string, out []int) []int {
	it := sentences.FromString(text)
	start := 0
	for it.Next() {
		end := it.End()
		// An opening bracket belongs to what it opens.
		for end > start {
			r, n := utf8.DecodeLastRuneInString(text[start:end])
			if r < 0x2018 || !unicode.In(r, unicode.Ps, unicode.Pi) || end-n <= start {
				break
			}
			end -= n
		}
		if end < len(text) && joins(text[start:end], text[end:]) {
			continue
		}
		out = append(out, end)
		start = end
	}
	if n := len(out); n == 0 || out[n-1] != len(text) {
		out = append(out, len(text))
	}
	return out
}

// joins reports whether what looks like the end of a sentence is none: an
// abbreviation, an initial, an ordinal.
func joins(sentence, next string) bool {
	s := strings.TrimRightFunc(sentence, unicode.IsSpace)
	if (strings.HasSuffix(s, "」") || strings.HasSuffix(s, "』")) && (strings.HasPrefix(next, "と") || strings.HasPrefix(next, "って")) {
		return true // 「…。」と言った
	}
	if len(s) == 0 || s[len(s)-1] != '.' || strings.HasSuffix(sentence, "\n") {
		return false
	}
	body := s[:len(s)-1]
	i := len(body)
	for i > 0 {
		r, n := utf8.DecodeLastRuneInString(body[:i])
		if unicode.IsSpace(r) || strings.ContainsRune("([{\"'“‘«„", r) {
			break
		}
		i -= n
	}
	word := body[i:]
	if word == "" || len(word) > 16 {
		return false
	}
	first, _ := utf8.DecodeRuneInString(next)
	// An initial: "J. Smith", "z. B. so".
	if r, n := utf8.DecodeRuneInString(word); n == len(word) && unicode.IsLetter(r) {
		return word != "I" && (!unicode.IsUpper(r) || initial(body[:i], next))
	}
	// An ordinal before a month or a noun: "3. Mai", and "No. 5".
	digits := strings.Trim(word, "0123456789") == ""
	if digits && len(word) <= 2 && i == 0 {
		return true // "1. First": an item of a list
	}
	if digits && len(word) <= 2 {
		after, _, _ := strings.Cut(next, " ")
		return months[strings.ToLower(strings.Trim(after, ".,;:"))] || unicode.IsLower(first)
	}
	if strings.Contains(word, ".") { // "e.g", "U.S", "z.B"
		parts := strings.Split(word, ".")
		short := true
		for _, p := range parts {
			short = short && utf8.RuneCountInString(p) <= 2
		}
		if short {
			lower := strings.ToLower(word)
			if lower == "p.m" || lower == "a.m" || strings.HasSuffix(lower, "etc") || unicode.IsUpper([]rune(word)[0]) {
				return !unicode.IsUpper(first) // "at 5 p.m. We left", "in the U.S. The"
			}
			return true
		}
	}
	return abbreviations[strings.ToLower(word)]
}

// initial reports whether a single capital between these texts is that of a name:
// "Plan B. The" ends a sentence, "met J. R. Smith" does not.
func initial(before, next string) bool {
	first, n := utf8.DecodeRuneInString(next)
	if strings.HasPrefix(next[n:], ".") {
		return true
	}
	word, _, _ := strings.Cut(next, " ")
	if starters[strings.Trim(word, ",:;")] || !unicode.IsLetter(first) {
		return false
	}
	before = strings.TrimRightFunc(before, unicode.IsSpace)
	i := strings.LastIndexFunc(before, unicode.IsSpace) + 1
	return !lettered[strings.ToLower(strings.Trim(before[i:], "(\"“'"))]
}

// starters begin a sentence rather than a name.
var starters = set("The This That These Those It He She We They You There Here In On At As A An And But Or If When While However For From Its His Her Their Our Is Are Was")

// lettered things have a capital for a number.
var lettered = set("plan vitamin type group class grade option appendix annex section part phase point figure table step hepatitis model case column row site line stage unit exhibit schedule")

func set(words string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		out[w] = true
	}
	return out
}

// months of languages that write "3. Mai".
var months = set(`januar jänner februar märz april mai juni juli august september oktober november dezember
jan feb mär apr jun jul aug sep sept okt nov dez
januari februari maart mei augustus december tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta
heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta ledna února března dubna května června července
srpna září října listopadu prosince január február marec apríl máj jún júl október március április május június
július szeptember marts maj mars juin jahrhundert jahrhunderts století`)

// abbreviations that do not end a sentence, without their dot, of languages that
// write them with one.
var abbreviations = set(`
mr mrs ms mx dr prof rev fr sr jr st ste gen col lt maj capt cmdr sgt cpl hon gov sen rep pres amb esq messrs mmes
vs no nos vol vols ed eds fig figs ch chap sec sect art arts pp pg para paras approx appt apt dept dist div est ext
inc ltd co corp bros mfg intl natl assn ave blvd rd hwy bldg rm ste tel univ dept min max avg misc ca cf viz ibid op al
ref refs eq eqs thm lem def prop cor
nr str bzw usw evtl ggf inkl exkl zzgl vgl bspw abs abb tab kap hrsg verl aufl bd bde jh jhd jg hr fr frl dipl ing
mag phil med jur habil geb gest verh led rd ca sog insb allg ehem betr bez gem lt mind höchst max mio mrd tsd std sek
mme mlle mgr me dr pr st ste av bd boul env éd etc chap fig réf vol art al cf
sra srta sres dra dn dña ud uds vd vds núm pág págs ej admón avda izq dcha tel aprox máx mín art cap
dott dottssa sig sigg sigra avv ing arch geom rag spett egr gent pag pagg cap art fig vol tel num
sr sra srta dr dra eng arq prof profa av pág págs núm ex fig cap art tel
dhr mevr mw drs ir ing mr prof dr bijv blz enz nr nrs resp tel vgl zgn
hr fr frk dr prof nr kl ca evt bl osv mv jf jfr pga dvs ifm
herr fru bl nr kl ca resp s.k t.ex m.m
hr nro esim ks ns mm yms ym puh os
mgr inż hab dr prof ul al pl os np itd itp tzw zob por nr tel wg ok godz min mln mld tys ks św
mudr judr rndr phdr ing bc mgr doc prof dr čj č str tzv tj např atd apod resp nám ul tel mj
doc dr ing mgr bc napr atď resp ul č str
dr prof id ifj özv u tel kb stb ill pl old sz
г гг ул д кв корп стр пер пл пр им св тов проф акад доц инж др пр т.е т.д т.п т.к см ср рис табл гл тыс млн млрд руб коп тел
κ κα κος δρ καθ αρ σελ βλ π.χ κ.λπ κ.ά
dr prof doç av sn sk cad bul mah apt no tel vb vs bkz
tp ths ts gs pgs ông bà
`)
