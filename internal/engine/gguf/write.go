package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// TensorType is the storage of a tensor's numbers.
type TensorType uint32

// The storages that this package writes.
const (
	F32 TensorType = 0
	F16 TensorType = 1
)

const alignment = 32

// Pair is one metadata entry. Value is one of bool, uint32, int32, uint64,
// float32, string, []string, []int32, []float32.
type Pair struct {
	Key   string
	Value any
}

// Source is one tensor to write. Fill is called once, in order, and must write
// exactly Elements numbers.
type Source struct {
	Name  string
	Shape []uint64 // innermost first
	Type  TensorType
	Fill  func(w *Numbers) error
}

// Elements counts the numbers of the tensor.
func (s *Source) Elements() uint64 {
	n := uint64(1)
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

func (s *Source) bytes() uint64 {
	if s.Type == F16 {
		return 2 * s.Elements()
	}
	return 4 * s.Elements()
}

// Write writes a version 3 file: metadata, tensor table, tensor data aligned to
// 32 bytes.
func Write(w io.Writer, meta []Pair, tensors []Source) error {
	e := &encoder{w: bufio.NewWriterSize(w, 1<<20)}
	e.raw([]byte(Magic))
	e.u32(3)
	e.u64(uint64(len(tensors)))
	e.u64(uint64(len(meta)))
	for _, p := range meta {
		e.str(p.Key)
		e.value(p.Value)
	}
	var offset uint64
	for i := range tensors {
		t := &tensors[i]
		e.str(t.Name)
		e.u32(uint32(len(t.Shape)))
		for _, d := range t.Shape {
			e.u64(d)
		}
		e.u32(uint32(t.Type))
		e.u64(offset)
		offset += (t.bytes() + alignment - 1) / alignment * alignment
	}
	e.pad()
	for i := range tensors {
		t := &tensors[i]
		n := &Numbers{e: e, half: t.Type == F16}
		if e.err == nil {
			if err := t.Fill(n); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
		}
		if e.err == nil && n.count != t.Elements() {
			return fmt.Errorf("tensor %s: %d numbers written, its shape holds %d", t.Name, n.count, t.Elements())
		}
		e.pad()
	}
	if e.err != nil {
		return e.err
	}
	return e.w.Flush()
}

// Numbers takes the numbers of one tensor.
type Numbers struct {
	e     *encoder
	half  bool
	count uint64
}

// Put appends one number, rounded to the tensor's storage.
func (n *Numbers) Put(f float32) {
	n.count++
	if n.half {
		n.e.u16(halfBits(f))
		return
	}
	n.e.u32(math.Float32bits(f))
}

type encoder struct {
	w   *bufio.Writer
	n   uint64
	err error
	buf [8]byte
}

func (e *encoder) raw(p []byte) {
	if e.err == nil {
		_, e.err = e.w.Write(p)
	}
	e.n += uint64(len(p))
}

func (e *encoder) u16(v uint16) { binary.LittleEndian.PutUint16(e.buf[:2], v); e.raw(e.buf[:2]) }
func (e *encoder) u32(v uint32) { binary.LittleEndian.PutUint32(e.buf[:4], v); e.raw(e.buf[:4]) }
func (e *encoder) u64(v uint64) { binary.LittleEndian.PutUint64(e.buf[:8], v); e.raw(e.buf[:8]) }
func (e *encoder) str(s string) { e.u64(uint64(len(s))); e.raw([]byte(s)) }

func (e *encoder) pad() {
	if rest := e.n % alignment; rest != 0 {
		e.raw(make([]byte, alignment-rest))
	}
}

func (e *encoder) value(v any) {
	switch v := v.(type) {
	case bool:
		e.u32(typeBool)
		b := byte(0)
		if v {
			b = 1
		}
		e.raw([]byte{b})
	case uint32:
		e.u32(typeUint32)
		e.u32(v)
	case int32:
		e.u32(typeInt32)
		e.u32(uint32(v))
	case uint64:
		e.u32(typeUint64)
		e.u64(v)
	case float32:
		e.u32(typeFloat32)
		e.u32(math.Float32bits(v))
	case string:
		e.u32(typeString)
		e.str(v)
	case []string:
		e.list(typeString, len(v))
		for _, s := range v {
			e.str(s)
		}
	case []int32:
		e.list(typeInt32, len(v))
		for _, n := range v {
			e.u32(uint32(n))
		}
	case []float32:
		e.list(typeFloat32, len(v))
		for _, f := range v {
			e.u32(math.Float32bits(f))
		}
	default:
		if e.err == nil {
			e.err = fmt.Errorf("BUG: metadata value of type %T", v)
		}
	}
}

func (e *encoder) list(t uint32, n int) {
	e.u32(typeArray)
	e.u32(t)
	e.u64(uint64(n))
}

// halfBits rounds to IEEE 754 binary16, ties to even; what is too large becomes
// infinity, what is too small a subnormal or zero.
func halfBits(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	exp := int32(b>>23&0xff) - 127 + 15
	frac := b & 0x7fffff
	switch {
	case b&0x7fffffff > 0x7f800000: // NaN
		return sign | 0x7e00
	case exp >= 31:
		return sign | 0x7c00
	case exp <= 0:
		if exp < -10 {
			return sign
		}
		frac |= 0x800000
		shift := uint32(14 - exp)
		half, rest, mid := frac>>shift, frac&(1<<shift-1), uint32(1)<<(shift-1)
		if rest > mid || rest == mid && half&1 == 1 {
			half++
		}
		return sign | uint16(half)
	}
	half := uint32(exp)<<10 | frac>>13
	if rest := frac & 0x1fff; rest > 0x1000 || rest == 0x1000 && half&1 == 1 {
		half++ // may carry into the exponent, which is right
	}
	return sign | uint16(half)
}

// halfFloat is the inverse of halfBits.
func halfFloat(h uint16) float32 {
	sign, exp, frac := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0:
		f := float32(frac) / (1 << 24)
		if sign != 0 {
			f = -f
		}
		return f
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp-15+127)<<23 | frac<<13)
}
