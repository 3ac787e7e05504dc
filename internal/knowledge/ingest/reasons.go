package ingest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of failureReasons.
const (
	maxReasons   = 2048
	maxReason    = 2048 // characters of one
	maxAddresses = 50_000
)

// Why files are left out. Each completes "Ignored 2 files as …"; the first is AWS's
// own wording (spec 9.6).
const (
	whyUnsupported = "their file format was not supported"
	whyTooLarge    = "they were larger than 50 MB"
	whyRemoved     = "they were removed while the job was running"
	whyDenied      = "the service role of the knowledge base may not read them"
)

// reasons gathers what went wrong, by reason, with the addresses of the files.
type reasons struct {
	groups map[string][]string
	kept   int
	more   map[string]int // beyond maxAddresses
}

// add notes a file. what is "files" or "metadata files".
func (r *reasons) add(what, why, address string) {
	key := what + " as " + why
	if r.groups == nil {
		r.groups, r.more = map[string][]string{}, map[string]int{}
	}
	if r.kept >= maxAddresses {
		r.more[key]++
		return
	}
	r.kept++
	r.groups[key] = append(r.groups[key], address)
}

// sentences words them: "Ignored 2 files as …. [Files: s3://a, s3://b]", as many of one
// reason as its addresses need, each within the limit, in a fixed order.
func (r *reasons) sentences() []string {
	type group struct {
		why       string
		addresses []string
		more      int
	}
	var all []group
	for why, a := range r.groups {
		slices.Sort(a)
		all = append(all, group{why, a, r.more[why]})
	}
	for why, n := range r.more {
		if r.groups[why] == nil {
			all = append(all, group{why, nil, n})
		}
	}
	slices.SortFunc(all, func(a, b group) int { return cmp.Compare(a.why, b.why) })
	var out []string
	for i, g := range all {
		// Every reason gets a sentence before one of them gets all that there are.
		room := max(1, (maxReasons-len(out))-2*(len(all)-i-1))
		for len(g.addresses) > 0 && room > 1 {
			text, n := sentence(g.why, g.addresses)
			out, g.addresses, room = append(out, text), g.addresses[n:], room-1
		}
		if left := len(g.addresses) + g.more; left > 0 && len(out) < maxReasons {
			out = append(out, cut(fmt.Sprintf("Ignored %d more %s.", left, g.why), maxReason))
		}
	}
	return out[:min(len(out), maxReasons)]
}

// sentence takes as many addresses as fit.
func sentence(why string, addresses []string) (text string, n int) {
	why = cut(why, maxReason/2)
	room := maxReason - utf8.RuneCountInString(fmt.Sprintf("Ignored %d %s. [Files: ]", len(addresses), why))
	for n < len(addresses) {
		need := utf8.RuneCountInString(addresses[n])
		if n > 0 {
			need += 2
		}
		if need > room && n > 0 {
			break
		}
		room -= need
		n++
	}
	return cut(fmt.Sprintf("Ignored %d %s. [Files: %s]", n, why, strings.Join(addresses[:n], ", ")), maxReason), n
}

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
