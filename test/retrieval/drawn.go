package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/vector"
	"github.com/outcrop-dev/outcrop/internal/vector/embedded"
	"github.com/outcrop-dev/outcrop/internal/vector/vectortest"
)

const (
	perDocument = 100
	dimension   = 384
	hits        = 10
	never       = 1 << 30 // of ExactBelow: every search is exact
)

// drawn is an index of drawn vectors with text and attributes, as the statistics of
// real ones have it (vectortest.Cloud), and what is asked of it.
type drawn struct {
	dir       string
	chunks    int
	vectors   *flat // nil where it was not to be kept
	percent   []uint8
	questions [][]float32
	took      time.Duration // of the writes alone
	writes    times         // of each document
}

// one is the index that everything here measures.
func one(id string) vector.Definition {
	return vector.Definition{Name: vector.Name{Account: "000000000000", Region: "us-east-1", ID: id}, Dimension: dimension, Metric: vector.Cosine, Model: "bench"}
}

// openStore opens indexes in dir; exactBelow 0 is the product's own.
func openStore(dir string, exactBelow int) (*embedded.Store, error) {
	sealer, err := store.NewLocalSealer(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	return embedded.New(embedded.Config{Dir: dir, Sealer: sealer, ExactBelow: exactBelow})
}

// drawText draws words by Zipf's law over a made-up vocabulary.
func drawText(random *rand.Rand, z *rand.Zipf, words int) string {
	var b strings.Builder
	for range words {
		b.WriteString([...]string{"system", "docu", "index", "retriev", "config", "mod", "vect", "serv"}[random.IntN(8)])
		b.WriteString(strconv.FormatUint(z.Uint64(), 10))
		b.WriteByte(' ')
	}
	return b.String()
}

// draw writes the index and times the writes: each Replace is one document of a hundred
// chunks, analysed, sealed and fsynced before it answers.
func draw(ctx context.Context, dir string, chunks, words int, keep bool) (*drawn, error) {
	s, err := openStore(dir, 0)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	x, err := s.Create(ctx, one("drawn"))
	if err != nil {
		return nil, err
	}
	defer x.Close()
	d := &drawn{dir: dir, chunks: chunks}
	if keep {
		d.vectors = &flat{dim: dimension, data: make([]float32, 0, chunks*dimension)}
	}
	cloud := vectortest.NewCloud(dimension, min(2000, chunks/10), 1)
	random := rand.New(rand.NewPCG(1, 1))
	z := rand.NewZipf(random, 1.1, 5, 20_000)
	for doc := range chunks / perDocument {
		part := make([]vector.Chunk, perDocument)
		for i := range part {
			percent := uint8(random.IntN(100))
			part[i] = vector.Chunk{
				ID: strconv.Itoa(doc*perDocument + i), Ordinal: i, Text: drawText(random, z, words), Vector: cloud.Next(), Source: []byte(`{"page":1}`),
				Metadata: vector.Metadata{"percent": vector.NumberValue(float64(percent)), "source": vector.StringValue("s3://bucket/" + strconv.Itoa(doc))},
			}
			if keep {
				d.vectors.data = append(d.vectors.data, part[i].Vector...)
				d.percent = append(d.percent, percent)
			}
		}
		if len(d.questions) < 200 && doc%max(1, chunks/perDocument/200) == 0 {
			d.questions = append(d.questions, cloud.Near(part[random.IntN(perDocument)].Vector, 0.5))
		}
		begin := time.Now()
		if err := x.Replace(ctx, vector.Document{ID: strconv.Itoa(doc)}, part); err != nil {
			return nil, fmt.Errorf("write document %d: %w", doc, err)
		}
		d.writes = append(d.writes, time.Since(begin))
		d.took += d.writes[len(d.writes)-1]
	}
	return d, nil
}

// onePercent is the filter that one chunk of a hundred passes.
func onePercent() *vector.Filter {
	return &vector.Filter{Op: vector.LessThan, Key: "percent", Values: []vector.Value{vector.NumberValue(1)}}
}

// truth is what an exact scan finds.
func (d *drawn) truth(filter bool) (ids [][]string, took times) {
	var keep func(int) bool
	if filter {
		keep = func(row int) bool { return d.percent[row] < 1 }
	}
	for _, q := range d.questions {
		begin := time.Now()
		best := d.vectors.nearest(q, hits, keep)
		took = append(took, time.Since(begin))
		list := make([]string, len(best))
		for i, b := range best {
			list[i] = strconv.Itoa(b.row)
		}
		ids = append(ids, list)
	}
	return ids, took
}

// searchAll asks every question rounds times, after one that is not timed.
func searchAll(ctx context.Context, x vector.Index, questions [][]float32, q vector.Query, rounds int) (ids [][]string, took times, err error) {
	q.K = hits
	for round := range rounds + 1 {
		for _, v := range questions {
			q.Vector = v
			begin := time.Now()
			found, err := x.Search(ctx, q)
			if err != nil {
				return nil, nil, err
			}
			if round == 0 {
				list := make([]string, len(found))
				for i := range found {
					list[i] = found[i].Chunk.ID
				}
				ids = append(ids, list)
				continue
			}
			took = append(took, time.Since(begin))
		}
	}
	return ids, took, nil
}

// measured opens the index of dir, has its two-stage scan calibrated and hands it to f.
func measured(ctx context.Context, dir, id string, exactBelow int, f func(x *embedded.Index) error) error {
	s, err := openStore(dir, exactBelow)
	if err != nil {
		return err
	}
	defer s.Close()
	open, err := s.Open(ctx, one(id).Name)
	if err != nil {
		return err
	}
	defer open.Close()
	x, ok := open.(*embedded.Index)
	if !ok {
		return fmt.Errorf("the embedded store opened a %T", open)
	}
	if exactBelow != never {
		if _, _, err := x.Measure(ctx); err != nil {
			return err
		}
	}
	return f(x)
}
