package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
	"github.com/outcrop-dev/outcrop/internal/engine/weights/fetch"
)

const embeddingModel = "all-minilm-l6-v2"

// The way that ingestion goes to the engine; throughput.go measures it against others.
const (
	batchTexts = 64 // texts of one call
	embedders  = 2  // calls at once
)

func openEngine() (*llamacpp.Engine, error) {
	return llamacpp.New(llamacpp.Config{
		EmbeddingModel: embeddingModel, HealthFails: 120, // a machine that is busy otherwise must not spoil the run
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Progress: fetch.NewProgress(os.Stderr),
	})
}

// embedBatches embeds texts in batches, several at a time, and hands each batch on as
// it comes.
func embedBatches(ctx context.Context, e engine.Engine, texts []string, batch, lanes int, done func(at int, vectors [][]float32)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lanes)
	for at := 0; at < len(texts) && ctx.Err() == nil; at += batch {
		part := texts[at:min(at+batch, len(texts))]
		g.Go(func() error {
			r, err := e.Embed(ctx, &engine.EmbedRequest{Model: embeddingModel, Inputs: part})
			if err != nil {
				return fmt.Errorf("embed %d texts: %w", len(part), err)
			}
			if done != nil {
				done(at, r.Vectors)
			}
			return nil
		})
	}
	return g.Wait()
}

// vectorCache keeps vectors of texts in a file that is only ever appended to: the
// hash of the model and the text, and the numbers.
type vectorCache struct {
	file *os.File
	have map[[16]byte][]float32
	dim  int
	made int // by this run
}

func openCache(dir string, dim int) (*vectorCache, error) {
	f, err := os.OpenFile(filepath.Join(dir, embeddingModel+".vectors"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	c := &vectorCache{file: f, have: map[[16]byte][]float32{}, dim: dim}
	b, err := io.ReadAll(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read the kept vectors: %w", err)
	}
	size := 16 + 4*dim
	whole := len(b) / size * size // a run that was cut off leaves part of a row
	for at := 0; at < whole; at += size {
		v := make([]float32, dim)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[at+16+4*i:]))
		}
		c.have[[16]byte(b[at:at+16])] = v
	}
	if whole < len(b) {
		if err := f.Truncate(int64(whole)); err != nil {
			f.Close()
			return nil, err
		}
	}
	return c, nil
}

func cacheKey(model, text string) [16]byte {
	sum := sha256.Sum256([]byte(model + "\x00" + text))
	return [16]byte(sum[:16])
}

// embed answers the vectors of texts; model is the hash of the weights. Only what is
// not kept goes to the engine, opened by open.
func (c *vectorCache) embed(ctx context.Context, open func() (engine.Engine, error), model string, texts []string) ([][]float32, error) {
	var missing []string
	asked := map[[16]byte]bool{}
	for _, t := range texts {
		if k := cacheKey(model, t); c.have[k] == nil && !asked[k] {
			asked[k] = true
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		if err := c.fill(ctx, open, model, missing); err != nil {
			return nil, err
		}
	}
	out := make([][]float32, len(texts))
	for i, t := range texts {
		if out[i] = c.have[cacheKey(model, t)]; out[i] == nil {
			return nil, errors.New("a text has no vector")
		}
	}
	return out, nil
}

func (c *vectorCache) fill(ctx context.Context, open func() (engine.Engine, error), model string, missing []string) error {
	e, err := open()
	if err != nil {
		return err
	}
	type part struct {
		at      int
		vectors [][]float32
	}
	parts := make(chan part)
	failed := make(chan error, 1)
	go func() {
		defer close(parts)
		failed <- embedBatches(ctx, e, missing, batchTexts, embedders, func(at int, v [][]float32) { parts <- part{at, v} })
	}()
	begin, told, n := time.Now(), time.Now(), 0
	var broken error
	for p := range parts {
		for i, v := range p.vectors {
			if broken == nil {
				broken = c.keep(cacheKey(model, missing[p.at+i]), v)
			}
		}
		if n += len(p.vectors); time.Since(told) > 15*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "embedded %d of %d texts, %.0f a second\n", n, len(missing), float64(n)/time.Since(begin).Seconds())
		}
	}
	return errors.Join(<-failed, broken)
}

func (c *vectorCache) keep(k [16]byte, v []float32) error {
	if len(v) != c.dim {
		return fmt.Errorf("the engine made a vector of %d numbers, not %d", len(v), c.dim)
	}
	row := append(make([]byte, 0, 16+4*c.dim), k[:]...)
	for _, x := range v {
		row = binary.LittleEndian.AppendUint32(row, math.Float32bits(x))
	}
	if _, err := c.file.Write(row); err != nil {
		return fmt.Errorf("keep a vector: %w", err)
	}
	c.have[k] = v
	c.made++
	return nil
}

func (c *vectorCache) close() error { return c.file.Close() }

// modelHash names the weights that the vectors are made with.
func modelHash(ctx context.Context, e engine.Engine) (string, error) {
	list, err := e.Models(ctx)
	if err != nil {
		return "", err
	}
	for i := range list {
		if list[i].Name == embeddingModel && list[i].Hash != "" {
			return list[i].Hash, nil
		}
	}
	sum := sha256.Sum256([]byte(embeddingModel))
	return hex.EncodeToString(sum[:]), nil
}
