package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outcrop-dev/outcrop/internal/engine"
	"github.com/outcrop-dev/outcrop/internal/engine/install"
	"github.com/outcrop-dev/outcrop/internal/engine/llamacpp"
	"github.com/outcrop-dev/outcrop/internal/engine/weights"
)

//go:embed raw.py
var rawScript string

// rawEngine is the same engine program as a user would start it, without the adapter.
type rawEngine struct {
	http   *http.Client
	socket string
	stop   context.CancelFunc
	ended  chan error
}

// startRaw starts it on a socket in dir and waits until it answers.
func startRaw(ctx context.Context, dir string, slots, width int) (*rawEngine, error) {
	program, err := install.Find(ctx, install.Config{})
	if err != nil {
		return nil, err
	}
	cache, err := weights.DefaultDir(os.Getenv)
	if err != nil {
		return nil, err
	}
	model := filepath.Join(cache, "models", embeddingModel+".gguf")
	r := &rawEngine{socket: filepath.Join(dir, "raw.sock"), ended: make(chan error, 1)}
	var d net.Dialer
	r.http = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", r.socket) },
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 2 * time.Second, DisableCompression: true,
	}}
	_ = os.Remove(r.socket) // one that was killed leaves it behind
	command := llamacpp.Command{Path: program.Path, Env: []string{"OMP_WAIT_POLICY=passive"}}
	if program.Form == install.Wheel {
		line, err := json.Marshal(map[string]any{"lib": program.Lib, "model": model, "socket": r.socket, "slots": slots, "width": width})
		if err != nil {
			return nil, err
		}
		command.Args, command.Input = []string{"-I", "-u", "-c", rawScript}, append(line, '\n')
	} else {
		command.Args = []string{"--model", model, "--host", r.socket, "--embeddings", "--no-webui",
			"--parallel", fmt.Sprint(slots), "--ctx-size", fmt.Sprint(512 * slots), "--ubatch-size", fmt.Sprint(width), "--batch-size", fmt.Sprint(max(2048, width))}
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	go func() {
		r.ended <- (&llamacpp.Runner{Command: command, Logger: slog.New(slog.DiscardHandler)}).Run(run)
	}()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if _, err := r.embed(ctx, []string{"ready"}); err == nil {
			return r, nil
		} else if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("the engine alone does not answer: %w", err), r.close())
		}
		select {
		case err := <-r.ended:
			stop()
			return nil, fmt.Errorf("the engine alone ended: %w", err)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), r.close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *rawEngine) close() error {
	r.stop()
	r.http.CloseIdleConnections()
	return <-r.ended
}

func (r *rawEngine) embed(ctx context.Context, texts []string) ([][]float32, error) {
	body, err := json.Marshal(map[string]any{"input": texts, "encoding_format": "float"})
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v1/embeddings", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	resp, err := r.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the engine alone answered %s: %s", resp.Status, strings.TrimSpace(string(b[:min(len(b), 300)])))
	}
	var out struct {
		Data []struct {
			Index     int
			Embedding []float32
		}
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, err
	}
	if len(out.Data) != len(texts) {
		return nil, fmt.Errorf("the engine alone made %d vectors of %d texts", len(out.Data), len(texts))
	}
	vectors := make([][]float32, len(texts))
	for _, d := range out.Data {
		vectors[d.Index] = d.Embedding
	}
	return vectors, nil
}

// embedAll sends texts in batches, several at a time.
func (r *rawEngine) embedAll(ctx context.Context, texts []string, batch, lanes int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lanes)
	for at := 0; at < len(texts); at += batch {
		part := texts[at:min(at+batch, len(texts))]
		g.Go(func() error { _, err := r.embed(ctx, part); return err })
	}
	return g.Wait()
}

// path is a way of calling an engine.
type path struct {
	name         string
	batch, lanes int
	run          func(ctx context.Context, texts []string, batch, lanes int) error

	texts     int
	took, cpu time.Duration
}

func (p *path) String() string {
	s := fmt.Sprintf("%.1f texts/s", float64(p.texts)/p.took.Seconds())
	if p.cpu > 0 {
		s += fmt.Sprintf(" (%.1f ms of processor each)", float64(p.cpu.Microseconds())/1000/float64(p.texts))
	}
	return s
}

// measureThroughput embeds the same texts by the adapter and by the engine alone, in
// short turns in changing order, so that what else the machine does meets all alike.
func measureThroughput(ctx context.Context, t *table, e engine.Engine, texts []string, rounds int) error {
	dir, err := os.MkdirTemp("", "outcrop-raw-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	raw, err := startRaw(ctx, dir, 8, 512)
	if err != nil {
		return err
	}
	defer func() { _ = raw.close() }()
	byAdapter := func(ctx context.Context, texts []string, batch, lanes int) error {
		return embedBatches(ctx, e, texts, batch, lanes, nil)
	}
	// The same texts must give the same vectors, or the times say nothing.
	alone, err := raw.embed(ctx, texts[:8])
	if err != nil {
		return err
	}
	least := float32(1)
	err = embedBatches(ctx, e, texts[:8], 8, 1, func(_ int, v [][]float32) {
		for i := range v {
			least = min(least, dot(v[i], alone[i]))
		}
	})
	if err != nil {
		return err
	}
	t.row("least cosine of the adapter's and the engine's vectors of 8 texts", fmt.Sprintf("%.5f", least), "the engine alone", "≥ 0.999", least >= 0.999)

	paths := []*path{
		{name: "adapter", batch: batchTexts, lanes: embedders, run: byAdapter},
		{name: "adapter", batch: 16, lanes: 2, run: byAdapter},
		{name: "adapter", batch: 16, lanes: 1, run: byAdapter},
		{name: "engine alone", batch: batchTexts, lanes: embedders, run: raw.embedAll},
		{name: "engine alone", batch: 16, lanes: 2, run: raw.embedAll},
		{name: "engine alone", batch: 16, lanes: 1, run: raw.embedAll},
	}
	order := rand.New(rand.NewPCG(4, 2))
	for range rounds {
		for _, i := range order.Perm(len(paths)) {
			p := paths[i]
			cpu, begin := childrenCPU(), time.Now()
			if err := p.run(ctx, texts, p.batch, p.lanes); err != nil {
				return fmt.Errorf("%s, %d texts a call: %w", p.name, p.batch, err)
			}
			p.took += time.Since(begin)
			p.cpu += childrenCPU() - cpu
			p.texts += len(texts)
		}
	}
	way, best := paths[0], paths[3]
	for _, p := range paths[3:] {
		if p.took < best.took {
			best = p
		}
	}
	for _, p := range paths {
		t.row(fmt.Sprintf("%s, %d texts a call, calls at once: %d", p.name, p.batch, p.lanes), p.String(), "-", "", true)
	}
	ratio := best.took.Seconds() / way.took.Seconds()
	t.row("the adapter as ingestion calls it", percent(ratio), fmt.Sprintf("the best of the engine alone: %d texts a call, %d at once", best.batch, best.lanes), "≥ 90 %", ratio >= 0.9)
	return nil
}
