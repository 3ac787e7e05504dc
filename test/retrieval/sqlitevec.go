package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed sqlitevec.py
var sqliteVecScript string

// The Python packages of the rival: the extension, and an SQLite that loads extensions
// (the one of many Pythons does not).
var sqliteVecPackages = []string{"sqlite-vec==0.1.9", "apsw"}

// venv makes a Python environment with the packages in the cache folder, once, and
// answers its interpreter.
func venv(ctx context.Context, cache, name string, packages ...string) (string, error) {
	dir := filepath.Join(cache, name)
	python := filepath.Join(dir, "bin", "python")
	if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
		return python, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"python3", "-m", "venv", dir},
		append([]string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"}, packages...),
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", args[0], err, bytes.TrimSpace(out[max(0, len(out)-300):]))
		}
	}
	return python, os.WriteFile(filepath.Join(dir, "ready"), nil, 0o644)
}

// writeVectors is how the rival gets its rows: little-endian float32, one after another.
func writeVectors(path string, data []float32) error {
	b := make([]byte, 4*len(data))
	if _, err := binary.Encode(b, binary.LittleEndian, data); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// measureSQLiteVec searches the same vectors with sqlite-vec, in a process of its own.
func measureSQLiteVec(ctx context.Context, t *table, d *drawn, cache string, want, wantFew [][]string) error {
	python, err := venv(ctx, cache, "sqlite-vec", sqliteVecPackages...)
	if err != nil {
		t.row("sqlite-vec", "not installed: "+err.Error(), "-", "", true)
		return nil
	}
	dir, err := os.MkdirTemp("", "outcrop-retrieval-vec-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var questions []float32
	for _, q := range d.questions {
		questions = append(questions, q...)
	}
	if err := writeVectors(filepath.Join(dir, "rows"), d.vectors.data); err != nil {
		return err
	}
	if err := writeVectors(filepath.Join(dir, "questions"), questions); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "percent"), d.percent, 0o644); err != nil {
		return err
	}
	in, err := json.Marshal(map[string]any{"dir": dir, "dim": dimension, "k": hits})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, python, "-I", "-c", sqliteVecScript)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("sqlite-vec: %w", err)
	}
	var r struct {
		Version    string
		All, Few   [][]string
		Took, Less times // nanoseconds
		Build      time.Duration
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return err
	}
	t.row("sqlite-vec "+r.Version+", search, p50", r.Took.both(), "recall@10 "+percent(recall(want, r.All)), "", true)
	t.row("sqlite-vec, behind the filter (a metadata column), p50", r.Less.both(), "recall@10 "+percent(recall(wantFew, r.Few)), "", true)
	t.row("sqlite-vec, one transaction for all rows, no text", fmt.Sprintf("%.0f rows/s", float64(d.chunks)/r.Build.Seconds()), "-", "", true)
	return nil
}
