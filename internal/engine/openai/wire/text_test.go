package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestStopsDoNotDependOnHowTextIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alphabet := rapid.SampledFrom([]rune("abé"))
		text := string(rapid.SliceOfN(alphabet, 0, 30).Draw(t, "text"))
		stops := make([]string, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range stops {
			stops[i] = string(rapid.SliceOfN(alphabet, 1, 4).Draw(t, "stop"))
		}
		run := func(cut func() int) (string, string) {
			s := NewStops(stops)
			var out strings.Builder
			for rest := text; rest != ""; {
				n := min(len(rest), cut())
				out.WriteString(s.Write(rest[:n]))
				rest = rest[n:]
			}
			out.WriteString(s.Flush())
			return out.String(), s.Hit
		}
		whole, hit := run(func() int { return len(text) })
		pieces, hitToo := run(func() int { return rapid.IntRange(1, 3).Draw(t, "cut") })
		if whole != pieces || hit != hitToo {
			t.Fatalf("%q with %q: %q at once (stop %q), %q in pieces (stop %q)", text, stops, whole, hit, pieces, hitToo)
		}
		for _, s := range stops {
			if strings.Contains(whole, s) {
				t.Fatalf("%q holds %q", whole, s)
			}
		}
		if hit == "" && whole != text {
			t.Fatalf("%q became %q", text, whole)
		}
	})
}

func TestTextThatCannotBeAStopLeavesAtOnce(t *testing.T) {
	s := NewStops([]string{"END"})
	if got := s.Write("the "); got != "the " {
		t.Errorf("%q", got)
	}
	if got := s.Write("eE"); got != "e" {
		t.Errorf("%q", got)
	}
	if got := s.Write("x"); got != "Ex" {
		t.Errorf("%q", got)
	}
}

func TestRunesAreNeverTorn(t *testing.T) {
	const text = "né 😀 日本 \xff end\xf0\x9f"
	for cut := 1; cut < 5; cut++ {
		var r Runes
		var out strings.Builder
		for i := 0; i < len(text); i += cut {
			p := r.Write(text[i:min(i+cut, len(text))])
			if !utf8.ValidString(p) {
				t.Fatalf("%q", p)
			}
			out.WriteString(p)
		}
		out.WriteString(r.Flush())
		if want := "né 😀 日本 \uFFFD end\uFFFD"; out.String() != want {
			t.Errorf("cut %d: %q", cut, out.String())
		}
	}
}

func TestEventsAreReadHoweverTheyCome(t *testing.T) {
	long := strings.Repeat("x", 100000)
	stream := ": ping\r\n\r\ndata: one\r\n\r\nevent: e\ndata:two\n\nerror: three\n\ndata: " + long + "\n\ndata: cut"
	for _, r := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
		var got []string
		err := Events(r, func(b []byte) error { got = append(got, string(b)); return nil })
		if !errors.Is(err, io.EOF) || strings.Join(got, "|") != "one|two|three|"+long {
			t.Errorf("%v %.80q", err, got)
		}
	}
	if err := Events(strings.NewReader(stream), func([]byte) error { return ErrDone }); err != nil {
		t.Error(err)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("data: {\"a\":1}\n\ndata: [DONE]\n\n")
	f.Fuzz(func(_ *testing.T, s string) {
		_ = Events(strings.NewReader(s), func([]byte) error { return nil })
	})
}

func BenchmarkStops(b *testing.B) {
	s := NewStops([]string{"\nHuman:", "</answer>", "STOP"})
	b.ReportAllocs()
	for b.Loop() {
		s.Write(" token")
	}
}
