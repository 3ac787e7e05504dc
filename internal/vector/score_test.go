package vector_test

import (
	"errors"
	"math"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

func TestScores(t *testing.T) {
	for _, c := range []struct {
		m                vector.Metric
		similarity, want float64
	}{
		{vector.Cosine, 1, 1}, {vector.Cosine, 0, 0.5}, {vector.Cosine, -1, 0}, {vector.Cosine, 1.0000001, 1},
		{vector.Euclidean, 0, 1}, {vector.Euclidean, 1, 0.5}, {vector.Euclidean, 3, 0.25}, {vector.Euclidean, -1e-9, 1},
	} {
		if got := c.m.Score(c.similarity); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s %v scores %v, want %v", c.m, c.similarity, got, c.want)
		}
	}
}

func TestFusion(t *testing.T) {
	var f vector.Fusion
	for _, c := range []struct {
		name                       string
		score, chance, words, best float64
		want                       float64
	}{
		{"as good as it gets", 1, 0.6, 5, 5, 1},
		{"unrelated", 0.6, 0.6, 0, 5, 0},
		{"below chance is no less", 0.2, 0.6, 0, 5, 0},
		{"half by vector alone", 0.8, 0.6, 0, 5, 0.25},
		{"words alone", 0.6, 0.6, 5, 5, 0.5},
		{"more than each once is no more", 0.6, 0.6, 9, 5, 0.5},
		{"a question without words", 0.8, 0.6, 0, 0, 0.25},
		{"all is equal", 1, 1, 0, 0, 0},
	} {
		if got := f.Combine(c.score, c.chance, c.words, c.best); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	f.WordsWeight = 0.25
	if got := f.Combine(0.8, 0.6, 5, 5); math.Abs(got-(0.75*0.5+0.25)) > 1e-12 {
		t.Errorf("a quarter of words: %v", got)
	}
	for _, c := range []struct {
		v, w int
		want float64
	}{{1, 1, 1}, {1, 0, 0.75}, {0, 1, 0.25}, {0, 0, 0}, {2, 0, 0.75 * 61 / 62}} {
		if got := f.Ranks(c.v, c.w); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("ranks %d and %d: %v, want %v", c.v, c.w, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	good := vector.Name{Account: "123456789012", Region: "us-east-1", ID: "KB_1-x"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, part := range []string{"", ".", "..", "a/b", `a\b`, "a b", "ä", "x\x00", string(make([]byte, 65))} {
		for _, n := range []vector.Name{{part, "r", "i"}, {"a", part, "i"}, {"a", "r", part}} {
			if err := n.Check(); !errors.Is(err, vector.ErrInvalid) {
				t.Errorf("%q: %v", n, err)
			}
		}
	}
	for _, d := range []vector.Definition{{Name: good}, {Name: good, Dimension: vector.MaxDimension + 1}, {Name: good, Dimension: 3, Metric: "dot"}} {
		if err := d.Check(); !errors.Is(err, vector.ErrInvalid) {
			t.Errorf("%+v: %v", d, err)
		}
	}
}
