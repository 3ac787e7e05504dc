package gguf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrSafetensors means that the bytes are not a valid safetensors file.
var ErrSafetensors = errors.New("not a valid safetensors file")

const maxSafetensorsHeader = 64 << 20

// Safetensors gives access to the tensors of a safetensors file.
type Safetensors struct {
	r       io.ReaderAt
	data    int64 // offset of the tensor data
	tensors map[string]safetensor
}

type safetensor struct {
	Dtype   string    `json:"dtype"`
	Shape   []uint64  `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"`
}

// OpenSafetensors reads the table of a safetensors file of the given size.
func OpenSafetensors(r io.ReaderAt, size int64) (*Safetensors, error) {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSafetensors, err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > maxSafetensorsHeader || int64(n)+8 > size {
		return nil, fmt.Errorf("%w: header of %d bytes in a file of %d", ErrSafetensors, n, size)
	}
	raw := make([]byte, n)
	if _, err := r.ReadAt(raw, 8); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSafetensors, err)
	}
	var table map[string]json.RawMessage
	if err := json.Unmarshal(raw, &table); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSafetensors, err)
	}
	s := &Safetensors{r: r, data: 8 + int64(n), tensors: map[string]safetensor{}}
	for name, v := range table {
		if name == "__metadata__" {
			continue
		}
		var t safetensor
		if err := json.Unmarshal(v, &t); err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", ErrSafetensors, name, err)
		}
		width := uint64(8)
		switch t.Dtype {
		case "F32", "I32", "U32":
			width = 4
		case "F16", "BF16", "I16", "U16":
			width = 2
		case "I8", "U8", "BOOL":
			width = 1
		}
		elements := uint64(1)
		for _, d := range t.Shape {
			if d != 0 && elements > math.MaxInt64/8/d {
				return nil, fmt.Errorf("%w: tensor %q is too large", ErrSafetensors, name)
			}
			elements *= d
		}
		if t.Offsets[0] > t.Offsets[1] || t.Offsets[1] > uint64(size)-uint64(s.data) || t.Offsets[1]-t.Offsets[0] != elements*width {
			return nil, fmt.Errorf("%w: tensor %q lies outside the file or has another size than its shape", ErrSafetensors, name)
		}
		s.tensors[name] = t
	}
	return s, nil
}

// Shape returns the shape of a tensor, outermost first, and whether it exists.
func (s *Safetensors) Shape(name string) ([]uint64, bool) {
	t, ok := s.tensors[name]
	return t.Shape, ok
}

// Each calls put with every number of a tensor in order.
func (s *Safetensors) Each(name string, put func(float32)) error {
	t, ok := s.tensors[name]
	if !ok {
		return fmt.Errorf("%w: no tensor %q", ErrSafetensors, name)
	}
	var (
		width  int
		decode func([]byte) float32
	)
	switch t.Dtype {
	case "F32":
		width, decode = 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case "F16":
		width, decode = 2, func(b []byte) float32 { return halfFloat(binary.LittleEndian.Uint16(b)) }
	case "BF16":
		width, decode = 2, func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }
	default:
		return fmt.Errorf("%w: tensor %q holds %s, not floats", ErrSafetensors, name, t.Dtype)
	}
	buf := make([]byte, 64<<10)
	at, end := s.data+int64(t.Offsets[0]), s.data+int64(t.Offsets[1])
	for at < end {
		n := min(int64(len(buf)), end-at)
		if _, err := s.r.ReadAt(buf[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := int64(0); i+int64(width) <= n; i += int64(width) {
			put(decode(buf[i:]))
		}
		at += n
	}
	return nil
}
