package gguf

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	var buf bytes.Buffer
	meta := []Pair{
		{"general.architecture", "llama"},
		{"llama.block_count", uint32(2)},
		{"llama.context_length", uint32(4096)},
		{"llama.embedding_length", uint32(64)},
		{"llama.attention.head_count", uint32(4)},
		{"llama.attention.head_count_kv", []int32{1, 2}},
		{"flag", true},
		{"f", float32(1.5)},
		{"tokens", []string{"a", "b"}},
	}
	data := []float32{1, -2, 0.5, 65504, 1e-8, 3}
	fill := func(w *Numbers) error {
		for _, f := range data {
			w.Put(f)
		}
		return nil
	}
	err := Write(&buf, meta, []Source{
		{Name: "x", Shape: []uint64{3, 2}, Type: F16, Fill: fill},
		{Name: "y", Shape: []uint64{6}, Type: F32, Fill: fill},
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := Read(bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if h.Arch() != "llama" || h.Context() != 4096 || h.Dimension() != 64 || h.Meta["flag"] != true || h.Meta["f"] != 1.5 {
		t.Errorf("metadata: %v", h.Meta)
	}
	// layers 2 × kv heads 2 × (16+16) × 2 bytes × 10 tokens
	if got, want := h.KVBytes(10), int64(2*2*32*2*10); got != want {
		t.Errorf("KVBytes = %d, want %d", got, want)
	}
	want := []Tensor{{Name: "x", Shape: []uint64{3, 2}, Type: 1}, {Name: "y", Shape: []uint64{6}, Offset: 32}}
	if d := cmp.Diff(want, h.Tensors); d != "" {
		t.Error(d)
	}
	tail := buf.Bytes()[buf.Len()-32:] // y, padded
	if got := math.Float32frombits(binary.LittleEndian.Uint32(tail[4:])); got != -2 {
		t.Errorf("y[1] = %v", got)
	}
}

func TestATensorOfTheWrongLengthIsRefused(t *testing.T) {
	err := Write(&bytes.Buffer{}, nil, []Source{{Name: "x", Shape: []uint64{3}, Fill: func(w *Numbers) error { w.Put(1); return nil }}})
	if err == nil {
		t.Fatal("no error")
	}
}

func TestHalfPrecisionRoundsLikeIEEE(t *testing.T) {
	for _, c := range []struct {
		in   float32
		want uint16
	}{
		{0, 0}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65520, 0x7c00}, {1e10, 0x7c00},
		{5.9604645e-8, 0x0001}, {2.9802322e-8, 0x0000}, {6.1035156e-5, 0x0400}, {6.097555e-5, 0x03ff},
		{1.0009765625, 0x3c01}, {1.00048828125, 0x3c00}, {1.00146484375, 0x3c02}, {0.333251953125, 0x3555},
	} {
		if got := halfBits(c.in); got != c.want {
			t.Errorf("halfBits(%v) = %#04x, want %#04x", c.in, got, c.want)
		}
	}
	for h := range 1 << 16 {
		f := halfFloat(uint16(h))
		if f != f {
			continue
		}
		if got := halfBits(f); got != uint16(h) {
			t.Fatalf("%#04x → %v → %#04x", h, f, got)
		}
	}
}

func TestAFileCutAnywhereIsAFormatError(t *testing.T) {
	var buf bytes.Buffer
	if err := Write(&buf, []Pair{{"general.architecture", "bert"}, {"l", []string{"aa", "b"}}, {"n", []int32{1, 2}}},
		[]Source{{Name: "x", Shape: []uint64{2}, Fill: func(w *Numbers) error { w.Put(1); w.Put(2); return nil }}}); err != nil {
		t.Fatal(err)
	}
	whole := buf.Len() - 32
	for n := range whole - alignment {
		if _, err := Read(bytes.NewReader(buf.Bytes()[:n])); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	var buf bytes.Buffer
	_ = Write(&buf, []Pair{{"general.architecture", "bert"}, {"l", []string{"aa", "b"}}, {"n", []int32{1, 2}}},
		[]Source{{Name: "x", Shape: []uint64{1}, Fill: func(w *Numbers) error { w.Put(1); return nil }}})
	f.Add(buf.Bytes())
	f.Add([]byte("GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := Read(bytes.NewReader(b)); err == nil {
			h.KVBytes(10)
		}
	})
}

func FuzzOpenSafetensors(f *testing.F) {
	f.Add(safetensors(map[string][]uint64{"x": {2, 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := OpenSafetensors(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for n := range s.tensors {
			_ = s.Each(n, func(float32) {})
		}
	})
}

// safetensors makes a file of f32 tensors with the given shapes; element i of
// each is i/8.
func safetensors(shapes map[string][]uint64) []byte {
	table := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for name, shape := range shapes {
		n := uint64(1)
		for _, d := range shape {
			n *= d
		}
		start := len(data)
		for i := range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i)/8))
		}
		table[name] = map[string]any{"dtype": "F32", "shape": shape, "data_offsets": [2]int{start, len(data)}}
	}
	head, _ := json.Marshal(table)
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(out, head...), data...)
}

func tinyBERT() fstest.MapFS {
	const hidden, feed, vocab = 4, 8, 7
	shapes := map[string][]uint64{
		"embeddings.word_embeddings.weight":       {vocab, hidden},
		"embeddings.position_embeddings.weight":   {16, hidden},
		"embeddings.token_type_embeddings.weight": {2, hidden},
		"embeddings.LayerNorm.weight":             {hidden},
		"embeddings.LayerNorm.bias":               {hidden},
	}
	for name, shape := range map[string][]uint64{
		"attention.self.query": {hidden, hidden}, "attention.self.key": {hidden, hidden}, "attention.self.value": {hidden, hidden},
		"attention.output.dense": {hidden, hidden}, "attention.output.LayerNorm": {hidden},
		"intermediate.dense": {feed, hidden}, "output.dense": {hidden, feed}, "output.LayerNorm": {hidden},
	} {
		shapes["encoder.layer.0."+name+".weight"] = shape
		shapes["encoder.layer.0."+name+".bias"] = shape[:1]
	}
	return fstest.MapFS{
		"config.json": {Data: []byte(`{"model_type":"bert","hidden_size":4,"intermediate_size":8,"num_attention_heads":2,"num_hidden_layers":1,"max_position_embeddings":16,"type_vocab_size":2,"vocab_size":7,"layer_norm_eps":1e-12,"hidden_act":"gelu"}`)},
		"tokenizer.json": {Data: []byte(`{"model":{"type":"WordPiece","continuing_subword_prefix":"##","vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"[MASK]":4,"rock":5,"##s":6}},
			"added_tokens":[{"id":0,"content":"[PAD]","special":true},{"id":1,"content":"[UNK]","special":true},{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true},{"id":4,"content":"[MASK]","special":true}]}`)},
		"1_Pooling/config.json": {Data: []byte(`{"pooling_mode_mean_tokens":true}`)},
		"model.safetensors":     {Data: safetensors(shapes)},
	}
}

func TestABertIsConverted(t *testing.T) {
	var buf bytes.Buffer
	if err := ConvertBERT(&buf, tinyBERT(), "tiny", "apache-2.0"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Encoder() || h.Pooling() != 1 || h.Context() != 16 || h.Dimension() != 4 || h.KVBytes(100) != 0 || h.Size != int64(buf.Len()) {
		t.Errorf("header: %+v", h.Meta)
	}
	types := map[string]string{}
	for _, x := range h.Tensors {
		types[x.Name] = fmt.Sprintf("%d%v", x.Type, x.Shape)
	}
	for name, want := range map[string]string{
		"token_embd.weight": "1[4 7]", "position_embd.weight": "0[4 16]", "blk.0.ffn_up.weight": "1[4 8]", "blk.0.ffn_up.bias": "0[8]", "token_types.weight": "0[4 2]",
	} {
		if types[name] != want {
			t.Errorf("%s is %s, want %s", name, types[name], want)
		}
	}
	if !bytes.Contains(buf.Bytes(), []byte("\x07\x00\x00\x00\x00\x00\x00\x00\u2581rock\x01\x00\x00\x00\x00\x00\x00\x00s")) {
		t.Error("the vocabulary is not spelt in llama.cpp's way")
	}
}

func TestWhatIsNoPlainBertIsRefused(t *testing.T) {
	for name, change := range map[string]func(fstest.MapFS){
		"other type":     func(m fstest.MapFS) { m["config.json"].Data = []byte(`{"model_type":"roberta"}`) },
		"cased":          func(m fstest.MapFS) { m["tokenizer.json"].Data = []byte(`{"normalizer":{"lowercase":false}}`) },
		"max pooling":    func(m fstest.MapFS) { m["1_Pooling/config.json"].Data = []byte(`{"pooling_mode_max_tokens":true}`) },
		"missing tensor": func(m fstest.MapFS) { m["model.safetensors"].Data = safetensors(map[string][]uint64{"x": {1}}) },
	} {
		m := tinyBERT()
		change(m)
		if err := ConvertBERT(&bytes.Buffer{}, m, "x", ""); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
