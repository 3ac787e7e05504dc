package gguf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// ErrUnsupported means that a model is not of the BERT kind that can be
// converted.
var ErrUnsupported = errors.New("model cannot be converted")

type bertConfig struct {
	Type         string  `json:"model_type"`
	Hidden       uint32  `json:"hidden_size"`
	Feed         uint32  `json:"intermediate_size"`
	Heads        uint32  `json:"num_attention_heads"`
	Layers       uint32  `json:"num_hidden_layers"`
	Positions    uint32  `json:"max_position_embeddings"`
	TypeVocab    uint32  `json:"type_vocab_size"`
	Vocab        int     `json:"vocab_size"`
	Epsilon      float32 `json:"layer_norm_eps"`
	Activation   string  `json:"hidden_act"`
	PositionType string  `json:"position_embedding_type"`
}

// ConvertBERT writes the sentence encoder in dir (config.json, tokenizer.json,
// model.safetensors, and 1_Pooling/config.json when it is there) as GGUF for
// llama.cpp's bert architecture: 2-D block weights and the word table as f16,
// the rest as f32. Only lower-casing WordPiece encoders with absolute positions
// are known; others answer ErrUnsupported.
//
// The layout is llama.cpp's: tokens that begin a word carry U+2581 in front, the
// continuations lose their ##, so that one trie serves both.
func ConvertBERT(w io.Writer, dir fs.FS, name, licence string) error {
	var cfg bertConfig
	if err := readJSON(dir, "config.json", &cfg); err != nil {
		return err
	}
	switch {
	case cfg.Type != "bert":
		return fmt.Errorf("%w: model type %q is not bert", ErrUnsupported, cfg.Type)
	case cfg.Activation != "gelu" && cfg.Activation != "":
		return fmt.Errorf("%w: activation %q", ErrUnsupported, cfg.Activation)
	case cmp.Or(cfg.PositionType, "absolute") != "absolute":
		return fmt.Errorf("%w: %s positions", ErrUnsupported, cfg.PositionType)
	case cfg.Layers == 0 || cfg.Layers > 512 || cfg.Hidden == 0 || cfg.Heads == 0 || cfg.Positions == 0:
		return fmt.Errorf("%w: incomplete config.json", ErrUnsupported)
	}
	vocab, err := readWordPiece(dir)
	if err != nil {
		return err
	}
	if cfg.Vocab != 0 && cfg.Vocab != len(vocab.tokens) {
		return fmt.Errorf("%w: %d tokens in tokenizer.json, %d in config.json", ErrUnsupported, len(vocab.tokens), cfg.Vocab)
	}
	pooling, err := readPooling(dir)
	if err != nil {
		return err
	}

	f, err := dir.Open("model.safetensors")
	if err != nil {
		return err
	}
	defer f.Close()
	at, ok := f.(io.ReaderAt)
	if !ok {
		return fmt.Errorf("BUG: %T cannot be read at an offset", f)
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	weights, err := OpenSafetensors(at, st.Size())
	if err != nil {
		return err
	}
	tensors, err := bertTensors(weights, cfg)
	if err != nil {
		return err
	}
	meta := []Pair{
		{"general.architecture", "bert"},
		{"general.name", name},
		{"general.license", licence},
		{"general.file_type", uint32(1)}, // mostly f16
		{"bert.block_count", cfg.Layers},
		{"bert.context_length", cfg.Positions},
		{"bert.embedding_length", cfg.Hidden},
		{"bert.feed_forward_length", cfg.Feed},
		{"bert.attention.head_count", cfg.Heads},
		{"bert.attention.layer_norm_epsilon", cfg.Epsilon},
		{"bert.attention.causal", false},
		{"bert.pooling_type", pooling},
		{"tokenizer.ggml.model", "bert"},
		{"tokenizer.ggml.token_type_count", max(cfg.TypeVocab, 1)},
		{"tokenizer.ggml.tokens", vocab.tokens},
		{"tokenizer.ggml.token_type", vocab.types},
		{"tokenizer.ggml.bos_token_id", vocab.cls},
		{"tokenizer.ggml.eos_token_id", vocab.sep},
		{"tokenizer.ggml.cls_token_id", vocab.cls},
		{"tokenizer.ggml.seperator_token_id", vocab.sep}, // llama.cpp's spelling
		{"tokenizer.ggml.padding_token_id", vocab.pad},
		{"tokenizer.ggml.unknown_token_id", vocab.unk},
		{"tokenizer.ggml.mask_token_id", vocab.mask},
	}
	return Write(w, meta, tensors)
}

func readJSON(dir fs.FS, name string, into any) error {
	b, err := fs.ReadFile(dir, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

type wordPiece struct {
	tokens                   []string
	types                    []int32
	cls, sep, pad, unk, mask uint32
}

func readWordPiece(dir fs.FS) (*wordPiece, error) {
	var doc struct {
		Model struct {
			Type   string         `json:"type"`
			Prefix string         `json:"continuing_subword_prefix"`
			Vocab  map[string]int `json:"vocab"`
		} `json:"model"`
		Normalizer struct {
			Lowercase *bool `json:"lowercase"`
		} `json:"normalizer"`
		Added []struct {
			ID      int    `json:"id"`
			Content string `json:"content"`
			Special bool   `json:"special"`
		} `json:"added_tokens"`
	}
	if err := readJSON(dir, "tokenizer.json", &doc); err != nil {
		return nil, err
	}
	if doc.Model.Type != "WordPiece" && doc.Model.Type != "" {
		return nil, fmt.Errorf("%w: tokenizer %s is not WordPiece", ErrUnsupported, doc.Model.Type)
	}
	if low := doc.Normalizer.Lowercase; low != nil && !*low {
		return nil, fmt.Errorf("%w: the tokenizer keeps case", ErrUnsupported)
	}
	n := len(doc.Model.Vocab)
	w := &wordPiece{tokens: make([]string, n), types: make([]int32, n)}
	special := map[int]bool{}
	for _, a := range doc.Added {
		if a.Special {
			special[a.ID] = true
		}
	}
	prefix := cmp.Or(doc.Model.Prefix, "##")
	seen := 0
	for token, id := range doc.Model.Vocab {
		if id < 0 || id >= n || w.types[id] != 0 {
			return nil, fmt.Errorf("%w: token ids are not 0 … %d", ErrUnsupported, n-1)
		}
		seen++
		w.types[id] = 1 // normal
		switch rest, continues := strings.CutPrefix(token, prefix); {
		case special[id]:
			w.tokens[id], w.types[id] = token, 3 // control
		case continues:
			w.tokens[id] = rest
		default:
			w.tokens[id] = "\u2581" + token
		}
	}
	for name, id := range map[string]*uint32{"[CLS]": &w.cls, "[SEP]": &w.sep, "[PAD]": &w.pad, "[UNK]": &w.unk, "[MASK]": &w.mask} {
		i := slices.Index(w.tokens, name)
		if i < 0 {
			return nil, fmt.Errorf("%w: no token %s", ErrUnsupported, name)
		}
		*id = uint32(i)
	}
	return w, nil
}

func readPooling(dir fs.FS) (uint32, error) {
	var p struct {
		CLS  bool `json:"pooling_mode_cls_token"`
		Mean bool `json:"pooling_mode_mean_tokens"`
		Max  bool `json:"pooling_mode_max_tokens"`
	}
	err := readJSON(dir, "1_Pooling/config.json", &p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 1, nil
	case err != nil:
		return 0, err
	case p.Mean && !p.CLS && !p.Max:
		return 1, nil
	case p.CLS && !p.Mean && !p.Max:
		return 2, nil
	}
	return 0, fmt.Errorf("%w: pooling is neither mean nor CLS", ErrUnsupported)
}

// bertTensors maps the tensor names of transformers to those of llama.cpp.
func bertTensors(s *Safetensors, cfg bertConfig) ([]Source, error) {
	names := [][2]string{
		{"token_embd.weight", "embeddings.word_embeddings.weight"},
		{"position_embd.weight", "embeddings.position_embeddings.weight"},
		{"token_types.weight", "embeddings.token_type_embeddings.weight"},
		{"token_embd_norm.weight", "embeddings.LayerNorm.weight"},
		{"token_embd_norm.bias", "embeddings.LayerNorm.bias"},
	}
	for i := range cfg.Layers {
		for _, part := range [][2]string{
			{"attn_q", "attention.self.query"},
			{"attn_k", "attention.self.key"},
			{"attn_v", "attention.self.value"},
			{"attn_output", "attention.output.dense"},
			{"attn_output_norm", "attention.output.LayerNorm"},
			{"ffn_up", "intermediate.dense"},
			{"ffn_down", "output.dense"},
			{"layer_output_norm", "output.LayerNorm"},
		} {
			for _, kind := range []string{"weight", "bias"} {
				names = append(names, [2]string{
					fmt.Sprintf("blk.%d.%s.%s", i, part[0], kind),
					fmt.Sprintf("encoder.layer.%d.%s.%s", i, part[1], kind),
				})
			}
		}
	}
	var out []Source
	for _, n := range names {
		from := n[1]
		shape, ok := s.Shape(from)
		if !ok {
			from = "bert." + n[1] // some checkpoints keep the head's prefix
			if shape, ok = s.Shape(from); !ok {
				return nil, fmt.Errorf("%w: no tensor %s", ErrUnsupported, n[1])
			}
		}
		src := Source{Name: n[0], Shape: slices.Clone(shape), Type: F32}
		slices.Reverse(src.Shape)
		if len(shape) == 2 && (strings.HasPrefix(n[0], "blk.") || n[0] == "token_embd.weight") {
			src.Type = F16
		}
		src.Fill = func(w *Numbers) error { return s.Each(from, w.Put) }
		out = append(out, src)
	}
	return out, nil
}
