package vector

import "math"

// Score turns a Similarity into the score of a semantic search, in [0,1], as
// OpenSearch's k-NN does: (1 + cosine) / 2, and 1 / (1 + squared distance).
func (m Metric) Score(similarity float64) float64 {
	if m == Euclidean {
		return 1 / (1 + math.Max(similarity, 0))
	}
	return min(max((1+similarity)/2, 0), 1)
}

// Method says how a hybrid search joins similarity and words.
type Method string

// The methods. The empty one is Convex.
const (
	// Convex is a convex combination of two scores that are brought to one scale:
	//
	//	score = (1-w)·φv + w·φt
	//	φv = max(0, (s - μ) / (1 - μ))     s: score of the semantic search
	//	φt = min(1, bm25 / Σ idf(t))       t: terms of the question that any chunk has
	//
	// μ is the mean s of random pairs of this index, measured on it: models differ
	// much in what "unrelated" scores, and with it at zero both parts run from
	// "nothing in common" to "as good as it gets". The denominator of φt is the BM25
	// score of a chunk of average length that holds each term once.
	//
	// Source: S. Bruch, S. Gai, A. Ingber, "An Analysis of Fusion Functions for Hybrid
	// Retrieval", ACM TOIS 42(1), 2023: with theoretical bounds a convex combination
	// beats rank fusion and needs little tuning. Their lower bound of a cosine, -1, is
	// replaced by μ. Absolute scores also let a rare word of the question win, an
	// order number say, where ranks would drown it among many fair matches.
	Convex Method = "CONVEX"
	// RRF is reciprocal rank fusion: Σ weight / (60 + rank), divided by its largest
	// value, so that first in both lists scores 1 (Cormack, Clarke, Büttcher, SIGIR 2009).
	RRF Method = "RRF"
)

// rrfK is the constant of the paper.
const rrfK = 60

// DefaultWordsWeight is w where a query says nothing. A chunk that alone has a rare word
// of the question, of the share r of its words' weight, comes before others that are up
// to r·w/(1-w) more similar: r at 0.5, less than half of that at 0.3. That weight finds
// sections by their titles slightly better (docs/benchmarks-retrieval.md), but the
// literal order number of a question has to come first.
const DefaultWordsWeight = 0.5

// Fusion says how a hybrid search joins its two parts.
type Fusion struct {
	Method Method
	// WordsWeight is the weight of the words in (0,1]; 0 means DefaultWordsWeight.
	WordsWeight float64
}

func (f Fusion) check() error {
	switch {
	case f.Method != "" && f.Method != Convex && f.Method != RRF:
		return Invalid("fusion method %q", f.Method)
	case !(f.WordsWeight >= 0 && f.WordsWeight <= 1):
		return Invalid("weight %v of the words", f.WordsWeight)
	}
	return nil
}

func (f Fusion) weight() float64 {
	if f.WordsWeight == 0 {
		return DefaultWordsWeight
	}
	return f.WordsWeight
}

// Combine is Convex. chance is μ, best the denominator of φt (0 if the question has
// no terms).
func (f Fusion) Combine(score, chance, words, best float64) float64 {
	v, t := 0.0, 0.0
	if chance < 1 {
		v = min(max((score-chance)/(1-chance), 0), 1)
	}
	if best > 0 {
		t = min(words/best, 1)
	}
	w := f.weight()
	return (1-w)*v + w*t
}

// Ranks is RRF. Ranks begin at 1; 0 means that the chunk is not in that list.
func (f Fusion) Ranks(vector, words int) float64 {
	w := f.weight()
	part := func(weight float64, rank int) float64 {
		if rank == 0 {
			return 0
		}
		return weight * (rrfK + 1) / float64(rrfK+rank)
	}
	return part(1-w, vector) + part(w, words)
}
