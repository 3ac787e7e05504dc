package corpus

import (
	"fmt"
	"strings"
)

// Article is a text whose sentences are known.
type Article struct {
	ID       string
	Lang     string
	Title    string
	Sections []Section
	Columns  int // of the page, where there are pages
}

// Section is a heading and what stands below.
type Section struct {
	Heading string
	Paras   []string
	Items   []string
	Table   [][]string // the first row names the columns
}

// voices are sentences to fill paragraphs with, by language; %s is a word that is
// nowhere else.
var voices = map[string][]string{
	"en": {"The survey of %s began in spring, when the river was still high.", "Nobody had drawn a map of %s before, so every bend came as a surprise.", "Samples from %s were dried, weighed and sent to the laboratory in the valley.",
		"The result for %s differs from what the older reports had stated.", "Dr. Hall measured %s twice, at 9 a.m. and again at dusk."},
	"de": {"Die Vermessung von %s begann im Frühjahr, als der Fluss noch hoch stand.", "Niemand hatte zuvor eine Karte von %s gezeichnet, also überraschte jede Biegung.", "Proben aus %s wurden getrocknet, gewogen und ins Labor geschickt.", "Das Ergebnis für %s weicht z. B. von älteren Berichten ab."},
	"fr": {"Le relevé de %s a commencé au printemps, quand la rivière était encore haute.", "Personne n'avait dessiné de carte de %s auparavant.", "Les échantillons de %s ont été séchés, pesés et envoyés au laboratoire.", "Le résultat pour %s diffère des anciens rapports."},
	"ru": {"Съёмка участка %s началась весной, когда вода ещё стояла высоко.", "Никто раньше не составлял карту %s, и каждый поворот был неожиданным.", "Образцы из %s высушили, взвесили и отправили в лабораторию."},
	"ko": {"%s 지역의 조사는 강물이 아직 높던 봄에 시작되었습니다.", "이전에는 아무도 %s의 지도를 그리지 않았습니다.", "%s에서 채취한 시료는 말리고 무게를 잰 뒤 연구소로 보냈습니다."},
	"ja": {"%sの調査は川の水がまだ高い春に始まりました。", "それまで%sの地図を描いた人はいませんでした。", "%sの試料は乾かして重さを量り、研究所に送られました。"},
	"zh": {"%s的勘测在春天开始，当时河水仍然很高。", "以前没有人画过%s的地图。", "%s的样品经过干燥和称重后送往实验室。"},
}

// Languages in the order in which articles take turns.
var Languages = []string{"en", "de", "fr", "ru", "ko", "ja", "zh"}

// Marker is a word that stands in one place of the whole corpus.
func Marker(article, section, sentence int) string {
	const letters = "bcdfghklmnprstvz"
	n := article*1009 + section*101 + sentence*7 + 12345
	var b strings.Builder
	b.WriteByte('Q')
	for range 5 {
		b.WriteByte(letters[n%16])
		b.WriteByte("aeiou"[n%5])
		n = n*31%100003 + 17
	}
	return b.String()
}

// Articles returns n texts, always the same.
func Articles(n int) []Article {
	var out []Article
	for a := range n {
		lang := Languages[a%len(Languages)]
		art := Article{ID: fmt.Sprintf("article%02d-%s", a, lang), Lang: lang, Title: fmt.Sprintf("Report %d on %s", a, Marker(a, 99, 0)), Columns: 1}
		if a%2 == 1 {
			art.Columns = 2
		}
		voice := voices[lang]
		for s := range 3 {
			sec := Section{Heading: fmt.Sprintf("%d. Part %s", s+1, Marker(a, s, 50))}
			k := 0
			for range 2 + s {
				var p []string
				for range 4 {
					p = append(p, fmt.Sprintf(voice[k%len(voice)], Marker(a, s, k)))
					k++
				}
				sep := " "
				if lang == "ja" || lang == "zh" {
					sep = ""
				}
				sec.Paras = append(sec.Paras, strings.Join(p, sep))
			}
			for i := range 3 {
				sec.Items = append(sec.Items, fmt.Sprintf("Item %d of %s", i+1, Marker(a, s, 60+i)))
			}
			sec.Table = [][]string{{"Place", "Depth", "Rock"}}
			for i := range 4 {
				sec.Table = append(sec.Table, []string{Marker(a, s, 70+i), fmt.Sprint(10*i + s), []string{"slate", "chalk", "basalt", "granite"}[i]})
			}
			art.Sections = append(art.Sections, sec)
		}
		out = append(out, art)
	}
	return out
}

// Markers lists the known words of an article in the order of reading.
func (a *Article) Markers() []string {
	var out []string
	take := func(s string) {
		for i := 0; i+11 <= len(s); i++ {
			if s[i] == 'Q' && strings.Trim(s[i+1:i+11], "abcdefghijklmnoprstuvz") == "" {
				out = append(out, s[i:i+11])
			}
		}
	}
	for _, s := range a.Sections {
		take(s.Heading)
		for _, p := range s.Paras {
			take(p)
		}
		for _, p := range s.Items {
			take(p)
		}
		for _, r := range s.Table {
			take(strings.Join(r, " "))
		}
	}
	return out
}

// Table is a sheet with known cells.
type Table struct {
	ID   string
	Rows [][]string // the first row names the columns
}

// Tables returns n tables, always the same.
func Tables(n int) []Table {
	var out []Table
	for t := range n {
		tab := Table{ID: fmt.Sprintf("table%02d", t), Rows: [][]string{{"Station", "Date", "Level", "Share", "Remark"}}}
		for r := range 12 + 5*t {
			tab.Rows = append(tab.Rows, []string{
				Marker(500+t, r, 1), fmt.Sprintf("20%02d-%02d-%02d", 10+t%15, 1+r%12, 1+r%28), fmt.Sprintf("%d.%02d", r*t, r%100),
				fmt.Sprintf("%d%%", r%101), []string{"dry", "wet, and windy", "said \"fine\"", "물이 높음", "水位が高い", ""}[r%6],
			})
		}
		out = append(out, tab)
	}
	return out
}
