package analyse

import (
	"strings"
	"unicode"

	snowball "github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/arabic"
	"github.com/blevesearch/snowballstem/danish"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/finnish"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/hungarian"
	"github.com/blevesearch/snowballstem/irish"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/norwegian"
	"github.com/blevesearch/snowballstem/portuguese"
	"github.com/blevesearch/snowballstem/romanian"
	"github.com/blevesearch/snowballstem/russian"
	"github.com/blevesearch/snowballstem/spanish"
	"github.com/blevesearch/snowballstem/swedish"
	"github.com/blevesearch/snowballstem/tamil"
	"github.com/blevesearch/snowballstem/turkish"
)

// language is how the words of a language become terms.
type language struct {
	script *unicode.RangeTable
	// snowball is the stemmer, nil for none.
	snowball func(*snowball.Env) bool
	// stop are the words that say nothing.
	stop map[string]struct{}
	// elides: l'eau is eau.
	elides bool
}

// plain keeps every word.
var plain = &language{}

func (l *language) stem(w string) string {
	if l.elides {
		if head, rest, ok := strings.Cut(w, "'"); ok && rest != "" && len(head) <= 6 {
			w = rest
		}
	}
	if _, stop := l.stop[w]; stop {
		return ""
	}
	if l.snowball == nil {
		return w
	}
	e := snowball.NewEnv(w)
	l.snowball(e)
	if stem := e.Current(); stem != "" {
		return stem
	}
	return w
}

func set(list string) map[string]struct{} {
	out := make(map[string]struct{})
	for _, w := range strings.Fields(list) {
		out[w] = struct{}{}
	}
	return out
}

// languages by name. The lists of stop words are short on purpose: a word that is
// common but not listed weighs little in BM25 anyway, a word that is listed can never
// be found.
var languages = map[string]*language{
	"english": {script: unicode.Latin, snowball: english.Stem, stop: set(`a an and are as at be been but by can did do does
		for from had has have he her his how i if in into is it its me my no nor not of on or our she so such than that the their
		them then there these they this those to too was we were what when where which who whom why will with would you your`)},
	"german": {script: unicode.Latin, snowball: german.Stem, stop: set(`aber als am an auch auf aus bei bin bis da das dass dem den
		der des die du durch ein eine einem einen einer eines er es für hat haben ich ihr im in ist ja kann mit nach nicht noch nur
		oder sein sich sie sind so über um und uns unter von vor war was wenn wer werden wie wir wird zu zum zur`)},
	"french": {script: unicode.Latin, snowball: french.Stem, elides: true, stop: set(`à au aux avec c ce ces dans de des du elle
		elles en est et eu été il ils je la le les leur leurs lui ma mais me mes mon même ne nos notre nous on ou où par pas pour qu que qui
		sa se ses son sont sur ta te tes ton tu un une vos votre vous y`)},
	"spanish": {script: unicode.Latin, snowball: spanish.Stem, stop: set(`a al algo como con de del desde donde el ella ellos en
		entre era es esta este esto está están ha han hasta hay la las le les lo los me mi muy más no nos o para pero por porque que qué se
		ser si sin sobre son su sus también te tiene tu un una uno y ya yo`)},
	"italian": {script: unicode.Latin, snowball: italian.Stem, elides: true, stop: set(`a ai al alla alle anche che chi ci come con
		da dai dal dalla dei del della delle di e ed era gli ha hanno ho i il in io la le lei lo loro lui ma mi ne nei nel nella non o per
		più quale questa questo se si sono su sua sul sulla suo tra tu un una uno vi è`)},
	"portuguese": {script: unicode.Latin, snowball: portuguese.Stem, stop: set(`a ao aos as com como da das de do dos e ela ele em
		entre era essa esse esta este eu foi há isso já la lhe mais mas me meu na nas nem no nos não o os ou para pela pelo por qual quando
		que quem se sem ser seu sua são também te tem um uma você à às é`)},
	"dutch": {script: unicode.Latin, snowball: dutch.Stem, stop: set(`aan als bij dan dat de der deze die dit door een en er had
		heb heeft het hij hoe hun ik in is je kan maar me met mijn na naar niet nog nu of om onder ook op over te tot u uit uw van veel voor
		waar was wat we wel werd wie wij worden wordt ze zei zich zij zijn zo zou`)},
	"swedish": {script: unicode.Latin, snowball: swedish.Stem, stop: set(`alla att av blev de dem den denna deras det detta du där
		efter eller en er ett från för ha hade han har hon hur här i inte jag kan man med men min mot mycket när och om på sedan sig sin som
		så till under upp ut vad var vi vid vilken är över`)},
	"danish": {script: unicode.Latin, snowball: danish.Stem, stop: set(`af alle at blev blive da de dem den denne der deres det dette
		dig din du efter eller en end er et for fra ham han har havde hun hvad hvis hvor i ikke ind jeg jo kan man med mig min mod når og
		også om op os på sig sin skal som så til ud under var vi vil være`)},
	"norwegian": {script: unicode.Latin, snowball: norwegian.Stem, stop: set(`alle at av ble de dem den denne der deres det dette du
		eller en er et etter for fra ha hadde han har hun hva hvor i ikke jeg kan man med meg men min mot når og også om opp oss på seg sin
		skal som så til under ut var ved vi vil være`)},
	"finnish": {script: unicode.Latin, snowball: finnish.Stem, stop: set(`ei en ette että he hän ja jo joka jos kanssa koska kuin kun
		me mikä minä mutta myös ne niin nyt ole oli on ovat se sekä sen siitä sinä tai te tämä vaan`)},
	"hungarian": {script: unicode.Latin, snowball: hungarian.Stem, stop: set(`a az egy el és ez ha hogy is ki le lesz már meg mert mi
		mint nem ő s sem van volt`)},
	"irish": {script: unicode.Latin, snowball: irish.Stem, stop: set(`a ag agus an ar as atá ba chun de do faoi go i is le mar na ná
		ní níl nó ó sa se sé sí tá um`)},
	"romanian": {script: unicode.Latin, snowball: romanian.Stem, stop: set(`a al ale am ar are au ca care ce cu cum de din după e ea
		ei el este eu fi fost în în la le lui mai mi ne nu o pe pentru prin sa se sunt și un unei unui`)},
	"turkish": {script: unicode.Latin, snowball: turkish.Stem, stop: set(`ama bir biz bu çok da daha de değil en gibi hem her için ile
		ise ki kim mi mu mü ne o olan olarak on onu sen siz şu var ve veya ya`)},
	"none": {script: unicode.Latin},
	"russian": {script: unicode.Cyrillic, snowball: russian.Stem, stop: set(`а без бы был была были было в вам вас во вот все вы где да для до
		его ее если есть еще же за и из или им их к как ко когда кто ли мне мы на не него нее нет ни но о об он она они от по под при с со
		так то только ты у уже чем что это я`)},
	"arabic": {script: unicode.Arabic, snowball: arabic.Stem, stop: set(`أن إلى التي الذي عن على في كان كانت لا ما من هذا هذه هو هي و`)},
	"tamil":  {script: unicode.Tamil, snowball: tamil.Stem},
}
