package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/outcrop-dev/outcrop/internal/knowledge/chunk"
	"github.com/outcrop-dev/outcrop/internal/knowledge/parse"
)

// passage is a chunk of a section.
type passage struct {
	ID      string
	Page    string // package and path
	Section int    // over the whole corpus
	Text    string
}

// question is a title whose section's passages are the right answers.
type question struct {
	Text    string
	Section int
}

// library is the real text of a run.
type library struct {
	Passages  []passage
	Sections  int
	Questions []question // known items: titles of the shelves that are asked
	HeldOut   []string   // passages that no index holds
}

// aboutTokens guesses tokens without the engine, so that the cut is the same on every
// machine: four letters each.
func aboutTokens(_ context.Context, texts []string) ([]int, error) {
	n := make([]int, len(texts))
	for i, t := range texts {
		n[i] = (utf8.RuneCountInString(t) + 3) / 4
	}
	return n, nil
}

const (
	chunkTokens = 128 // the house's fixed-size chunks, of about so many tokens
	heldOut     = 600
)

// readLibrary cuts all pages into passages with the house's chunker. A title is never
// part of a passage; where the section repeats its own title word for word, that is
// taken out, too.
func readLibrary(ctx context.Context, dir string) (*library, error) {
	all, err := pages(dir)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no page of any package in %s", dir)
	}
	l := &library{}
	seen := map[string]bool{}
	titles := map[string]int{}
	var asked []question
	for _, p := range all {
		f, err := os.Open(p.file)
		if err != nil {
			return nil, err
		}
		sections, err := readSections(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p.path, err)
		}
		for _, s := range sections {
			n, err := l.add(ctx, p.shelf.Package+"/"+p.path, &s, seen)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				titles[strings.ToLower(s.Title)]++
			}
			if n > 0 && p.shelf.Asked && asksWell(s.Title) {
				asked = append(asked, question{s.Title, l.Sections - 1})
			}
		}
	}
	// A title that two sections have asks for neither.
	l.Questions = slices.DeleteFunc(asked, func(q question) bool { return titles[strings.ToLower(q.Text)] > 1 })
	l.holdOut()
	return l, nil
}

// add cuts one section; passages that stood in the corpus already are left out.
func (l *library) add(ctx context.Context, page string, s *section, seen map[string]bool) (int, error) {
	d := parse.Document{Format: parse.HTML}
	for _, b := range s.Blocks {
		if b = strings.TrimSpace(without(norm.NFC.String(strings.ToValidUTF8(b, "")), s.Title)); b == "" {
			continue
		}
		if d.Text != "" {
			d.Text += "\n\n"
		}
		d.Blocks = append(d.Blocks, parse.Block{Kind: parse.Paragraph, Start: len(d.Text), End: len(d.Text) + len(b)})
		d.Text += b
	}
	if utf8.RuneCountInString(d.Text) < 120 {
		return 0, nil
	}
	cutter := chunk.Splitter{Strategy: chunk.Strategy{Kind: chunk.FixedSize, FixedSize: &chunk.FixedSizeConfig{MaxTokens: chunkTokens, OverlapPercentage: 1}}, Tokens: chunk.Counted(aboutTokens)}
	r, err := cutter.Split(ctx, &d)
	if err != nil {
		return 0, fmt.Errorf("cut %s, %q: %w", page, s.Title, err)
	}
	n := 0
	for _, c := range r.Chunks {
		text := strings.TrimSpace(c.Text)
		if seen[text] || utf8.RuneCountInString(text) < 60 {
			continue
		}
		seen[text] = true
		l.Passages = append(l.Passages, passage{ID: fmt.Sprintf("p%06d", len(l.Passages)), Page: page, Section: l.Sections, Text: text})
		n++
	}
	if n > 0 {
		l.Sections++
	}
	return n, nil
}

// without takes a title out of a text, whatever its case.
func without(text, title string) string {
	if title == "" {
		return text
	}
	low, t := strings.ToLower(text), strings.ToLower(title)
	if len(low) != len(text) || len(t) < 8 {
		return text
	}
	var b strings.Builder
	for {
		i := strings.Index(low, t)
		if i < 0 {
			return b.String() + text
		}
		b.WriteString(text[:i])
		text, low = text[i+len(t):], low[i+len(t):]
	}
}

// asksWell says that a title is long enough to mean something alone.
func asksWell(title string) bool {
	words := strings.FieldsFunc(title, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	long := 0
	for _, w := range words {
		if len(w) > 3 {
			long++
		}
	}
	return len(words) >= 2 && len(words) <= 20 && long >= 2
}

// holdOut takes passages away that are asked and never indexed, from sections that
// keep others.
func (l *library) holdOut() {
	count := map[int]int{}
	for _, p := range l.Passages {
		count[p.Section]++
	}
	away := map[int]bool{}
	random := rand.New(rand.NewPCG(24, 6))
	for _, i := range random.Perm(len(l.Passages)) {
		if s := l.Passages[i].Section; len(away) < min(heldOut, len(l.Passages)/10) && count[s] > 1 {
			count[s]--
			away[i] = true
			l.HeldOut = append(l.HeldOut, l.Passages[i].Text)
		}
	}
	kept := l.Passages[:0:0]
	for i, p := range l.Passages {
		if !away[i] {
			kept = append(kept, p)
		}
	}
	l.Passages = kept
}
