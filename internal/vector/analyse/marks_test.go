package analyse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMarks(t *testing.T) {
	a, err := New("")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text, question, want string }{
		{"stems, not letters", "The claims were filed; a claim is open, claimant or not.", "open claim", "The [claims] were filed; a [claim] is [open], claimant or not."},
		{"stop words are no marks", "the order of the day", "the order", "the [order] of the day"},
		{"numbers", "Order 7781-X shipped", "7781", "Order [7781]-X shipped"},
		{"case and width", "ＡＢＣ and abc", "Abc", "[ＡＢＣ] and [abc]"},
		{"Japanese bigrams join", "東京都の天気は晴れ", "東京都", "[東京都]の天気は晴れ"},
		{"Korean with a particle", "서울에서 부산까지", "부산", "서울에서 [부산]까지"},
		{"one Han character", "山と川", "山", "[山]と川"},
		{"a script beside another", "Tokyoの天気", "天気", "Tokyoの[天気]"},
		{"nothing in common", "nothing here", "zebra", "nothing here"},
		{"a question of stop words", "the and of", "the", "the and of"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			at := 0
			for _, s := range a.Marks(tc.text, tc.question) {
				b.WriteString(tc.text[at:s.Start] + "[" + tc.text[s.Start:s.End] + "]")
				at = s.End
			}
			b.WriteString(tc.text[at:])
			if diff := cmp.Diff(tc.want, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzMarks(f *testing.F) {
	f.Add("東京 tokyo \xff 부산", "부산 tokyo")
	a, err := New("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, question string) {
		at := 0
		for _, s := range a.Marks(text, question) {
			if s.Start < at || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("span %v after %d in %d bytes", s, at, len(text))
			}
			at = s.End
		}
	})
}
