package ingest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// joined runs keys, in any order given, through pairs in byte order.
func joined(keys []string) (got []string, widest int) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	var p pairs
	emit := func(x pair) error {
		file, meta := "-", "-"
		if x.file != nil {
			file = x.file.Key
		}
		if x.metadata != nil {
			meta = x.metadata.Key
		}
		got = append(got, file+" "+meta)
		return nil
	}
	for _, k := range keys {
		_ = p.next(object.Info{Key: k, Size: 1}, emit)
		widest = max(widest, len(p.waiting))
	}
	_ = p.end(emit)
	slices.Sort(got)
	return got, widest
}

// naive pairs by looking everything up.
func naive(keys []string) (out []string) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	for _, k := range keys {
		if of, ok := parse.MetadataFor(k); ok {
			if _, meta := parse.MetadataFor(of); meta || !slices.Contains(keys, of) {
				out = append(out, "- "+k)
			}
			continue
		}
		if slices.Contains(keys, k+parse.MetadataSuffix) {
			out = append(out, k+" "+k+parse.MetadataSuffix)
		} else {
			out = append(out, k+" -")
		}
	}
	slices.Sort(out)
	return out
}

func TestPairsOfAListing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stem := rapid.SampledFrom([]string{"a", "a.txt", "a.txt-1", "a.txt b", "a.txt/x", "b", "a.txt.m", "a.txt.metadata", "a.txt.metadata.jsonx", "a!"})
		keys := rapid.SliceOf(rapid.Custom(func(t *rapid.T) string {
			k := stem.Draw(t, "stem") + rapid.SampledFrom([]string{"", "", "-", "+"}).Draw(t, "more")
			return k + strings.Repeat(parse.MetadataSuffix, rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "meta"))
		})).Draw(t, "keys")
		got, _ := joined(keys)
		if diff := cmp.Diff(naive(keys), got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestPairsHoldFewThatWait(t *testing.T) {
	var keys []string
	for i := range 5000 {
		k := fmt.Sprintf("report.pdf-%04d", i)
		keys = append(keys, k)
		if i%3 == 0 {
			keys = append(keys, k+parse.MetadataSuffix)
		}
	}
	keys = append(keys, "report.pdf", "report.pdf.metadata.json")
	got, widest := joined(keys)
	if len(got) != 5001 || widest > 2 {
		t.Errorf("%d pairs, up to %d waited", len(got), widest)
	}
}

func TestReasonsKeepTheirLimits(t *testing.T) {
	var r reasons
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 60_000 {
		r.add("files", whyUnsupported, fmt.Sprintf("s3://bucket/%s%d.exe", strings.Repeat("가", rnd.IntN(100)), i))
	}
	for i := range 3000 {
		r.add("files", fmt.Sprintf("they could not be read: reason %d", i), "s3://bucket/x")
	}
	r.add("files", strings.Repeat("z", 5000), strings.Repeat("y", 5000))
	all := r.sentences()
	if len(all) > maxReasons || len(all) < 500 {
		t.Errorf("%d sentences", len(all))
	}
	for _, s := range all {
		if utf8.RuneCountInString(s) > maxReason {
			t.Fatalf("%d characters", utf8.RuneCountInString(s))
		}
	}
	// Every file is counted somewhere, when the sentences suffice.
	r = reasons{}
	for i := range 5000 {
		r.add("files", whyUnsupported, fmt.Sprintf("s3://bucket/%d.exe", i))
	}
	total := 0
	for _, s := range r.sentences() {
		var n int
		if _, err := fmt.Sscanf(s, "Ignored %d files", &n); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 5000 {
		t.Errorf("%d files told of", total)
	}
}

func FuzzReasons(f *testing.F) {
	f.Add("why", "s3://b/k", 3)
	f.Fuzz(func(t *testing.T, why, address string, n int) {
		var r reasons
		for range min(max(n, 0), 200) {
			r.add("files", why, address)
		}
		for _, s := range r.sentences() {
			if utf8.RuneCountInString(s) > maxReason {
				t.Errorf("%d characters", utf8.RuneCountInString(s))
			}
		}
	})
}
