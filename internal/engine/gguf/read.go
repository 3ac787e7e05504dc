package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Magic begins every GGUF file.
const Magic = "GGUF"

// ErrFormat means that the bytes are not a GGUF file this package understands.
var ErrFormat = errors.New("not a valid GGUF file")

// The value types of the format.
const (
	typeUint8 uint32 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// Bounds that no honest file reaches; a hostile one must not make us allocate.
const (
	maxString   = 8 << 20 // chat templates are tens of kilobytes
	maxPairs    = 1 << 16
	maxTensors  = 1 << 18
	maxKept     = 4096 // longer arrays (vocabularies) are passed over
	maxDims     = 8
	maxArrayLen = 1 << 28
)

// Array stands for a metadata array. Values is nil for arrays longer than a few
// thousand elements, whose contents Read passes over.
type Array struct {
	Len    int
	Values []any
}

// Tensor describes one tensor.
type Tensor struct {
	Name   string
	Shape  []uint64 // innermost first
	Type   uint32   // of ggml: 0 is f32, 1 is f16, others are quantised
	Offset uint64   // from the start of the tensor data
}

// Header is everything in front of the tensor data.
type Header struct {
	Version uint32
	Meta    map[string]any // integers as int64 or uint64, floats as float64, bool, string, Array
	Tensors []Tensor
	Size    int64 // of the whole file; 0 when unknown
}

// ReadFile reads the header of the file at path.
func ReadFile(path string) (*Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, err := Read(f)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil {
		h.Size = st.Size()
	}
	return h, nil
}

// Read reads a header. Only little-endian files of versions 2 and 3 are known.
func Read(r io.Reader) (*Header, error) {
	d := &reader{r: bufio.NewReaderSize(r, 1<<16)}
	var magic [4]byte
	d.bytes(magic[:])
	if d.err == nil && string(magic[:]) != Magic {
		return nil, fmt.Errorf("%w: it begins with %q", ErrFormat, magic[:])
	}
	h := &Header{Version: d.u32(), Meta: map[string]any{}}
	if d.err == nil && h.Version != 2 && h.Version != 3 {
		return nil, fmt.Errorf("%w: version %d", ErrFormat, h.Version)
	}
	tensors, pairs := d.u64(), d.u64()
	if d.err == nil && (tensors > maxTensors || pairs > maxPairs) {
		return nil, fmt.Errorf("%w: %d tensors and %d keys", ErrFormat, tensors, pairs)
	}
	for range pairs {
		if d.err != nil {
			break
		}
		key := d.str()
		h.Meta[key] = d.value(d.u32(), 0)
	}
	for range tensors {
		if d.err != nil {
			break
		}
		t := Tensor{Name: d.str()}
		dims := d.u32()
		if dims > maxDims {
			return nil, fmt.Errorf("%w: tensor %q has %d dimensions", ErrFormat, t.Name, dims)
		}
		for range dims {
			t.Shape = append(t.Shape, d.u64())
		}
		t.Type, t.Offset = d.u32(), d.u64()
		h.Tensors = append(h.Tensors, t)
	}
	if d.err != nil {
		if errors.Is(d.err, io.EOF) || errors.Is(d.err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: it ends within its header", ErrFormat)
		}
		return nil, d.err
	}
	return h, nil
}

type reader struct {
	r   *bufio.Reader
	err error
	buf [8]byte
}

func (d *reader) bytes(p []byte) {
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, p)
	}
	if d.err != nil {
		clear(p)
	}
}

func (d *reader) u32() uint32 { d.bytes(d.buf[:4]); return binary.LittleEndian.Uint32(d.buf[:4]) }
func (d *reader) u64() uint64 { d.bytes(d.buf[:8]); return binary.LittleEndian.Uint64(d.buf[:8]) }

func (d *reader) length() uint64 {
	n := d.u64()
	if d.err == nil && n > maxString {
		d.err = fmt.Errorf("%w: a string of %d bytes", ErrFormat, n)
	}
	if d.err != nil {
		return 0
	}
	return n
}

func (d *reader) str() string {
	n := d.length()
	if n == 0 {
		return ""
	}
	// Grow with what really arrives: the stated length is a stranger's word.
	var out []byte
	for n > 0 && d.err == nil {
		k := min(n, 64<<10)
		start := len(out)
		out = append(out, make([]byte, k)...)
		d.bytes(out[start:])
		n -= k
	}
	return string(out)
}

func (d *reader) skip(n uint64) {
	if d.err == nil {
		_, d.err = io.CopyN(io.Discard, d.r, int64(n))
	}
}

func width(t uint32) uint64 {
	switch t {
	case typeUint8, typeInt8, typeBool:
		return 1
	case typeUint16, typeInt16:
		return 2
	case typeUint32, typeInt32, typeFloat32:
		return 4
	case typeUint64, typeInt64, typeFloat64:
		return 8
	}
	return 0
}

func (d *reader) value(t uint32, depth int) any {
	switch t {
	case typeUint8:
		d.bytes(d.buf[:1])
		return uint64(d.buf[0])
	case typeInt8:
		d.bytes(d.buf[:1])
		return int64(int8(d.buf[0]))
	case typeUint16:
		d.bytes(d.buf[:2])
		return uint64(binary.LittleEndian.Uint16(d.buf[:2]))
	case typeInt16:
		d.bytes(d.buf[:2])
		return int64(int16(binary.LittleEndian.Uint16(d.buf[:2])))
	case typeUint32:
		return uint64(d.u32())
	case typeInt32:
		return int64(int32(d.u32()))
	case typeUint64:
		return d.u64()
	case typeInt64:
		return int64(d.u64())
	case typeFloat32:
		return float64(math.Float32frombits(d.u32()))
	case typeFloat64:
		return math.Float64frombits(d.u64())
	case typeBool:
		d.bytes(d.buf[:1])
		return d.buf[0] != 0
	case typeString:
		return d.str()
	case typeArray:
		return d.array(depth)
	}
	if d.err == nil {
		d.err = fmt.Errorf("%w: value type %d", ErrFormat, t)
	}
	return nil
}

func (d *reader) array(depth int) any {
	t, n := d.u32(), d.u64()
	if d.err != nil {
		return nil
	}
	if depth > 2 || n > maxArrayLen {
		d.err = fmt.Errorf("%w: an array of %d elements at depth %d", ErrFormat, n, depth)
		return nil
	}
	a := Array{Len: int(n)}
	if n <= maxKept && t != typeString {
		for range n {
			if d.err != nil {
				return nil
			}
			a.Values = append(a.Values, d.value(t, depth+1))
		}
		return a
	}
	if w := width(t); w > 0 {
		d.skip(n * w)
		return a
	}
	for range n {
		if d.err != nil {
			return nil
		}
		if t == typeString {
			d.skip(d.length())
		} else {
			d.value(t, depth+1)
		}
	}
	return a
}

// Arch is the model architecture, such as llama, qwen2 or bert.
func (h *Header) Arch() string { return h.String("general.architecture") }

// String returns a metadata string, "" when absent.
func (h *Header) String(key string) string {
	s, _ := h.Meta[key].(string)
	return s
}

// Int returns a metadata number, 0 when absent. Of an array (per-layer values)
// it returns the largest.
func (h *Header) Int(key string) int {
	switch v := h.Meta[key].(type) {
	case Array:
		most := 0
		for _, e := range v.Values {
			most = max(most, asInt(e))
		}
		return most
	default:
		return asInt(v)
	}
}

func asInt(v any) int {
	switch v := v.(type) {
	case uint64:
		return int(min(v, math.MaxInt32))
	case int64:
		return int(max(math.MinInt32, min(v, math.MaxInt32)))
	case float64:
		return int(max(math.MinInt32, min(v, math.MaxInt32)))
	}
	return 0
}

// Context is the longest context that the model was trained for; 0 when unknown.
func (h *Header) Context() int { return h.Int(h.Arch() + ".context_length") }

// Dimension is the width of the model's embeddings.
func (h *Header) Dimension() int { return h.Int(h.Arch() + ".embedding_length") }

// Pooling says how an embedding model joins its token vectors: 0 when the file
// does not tell (a generative model), else 1 mean, 2 CLS, 3 last, 4 rank.
func (h *Header) Pooling() int { return h.Int(h.Arch() + ".pooling_type") }

// HasChatTemplate reports whether the file carries a chat template.
func (h *Header) HasChatTemplate() bool { return h.String("tokenizer.chat_template") != "" }

// KVBytes estimates the key-value cache for tokens of context at 16 bits a
// value: two vectors of (kv heads × head size) for each layer and token.
// Encoders (BERT) keep none.
func (h *Header) KVBytes(tokens int) int64 {
	a := h.Arch()
	layers, heads := h.Int(a+".block_count"), h.Int(a+".attention.head_count")
	kvHeads := h.Int(a + ".attention.head_count_kv")
	if kvHeads == 0 {
		kvHeads = heads
	}
	if heads == 0 || layers == 0 || h.Encoder() {
		return 0
	}
	key, value := h.Int(a+".attention.key_length"), h.Int(a+".attention.value_length")
	if key == 0 {
		key = h.Dimension() / heads
	}
	if value == 0 {
		value = h.Dimension() / heads
	}
	return int64(layers) * int64(kvHeads) * int64(key+value) * 2 * int64(tokens)
}

// Encoder reports whether the model reads in both directions and so keeps no
// key-value cache.
func (h *Header) Encoder() bool {
	causal, ok := h.Meta[h.Arch()+".attention.causal"].(bool)
	return ok && !causal
}
