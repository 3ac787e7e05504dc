package pdf

import (
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"io"
)

// unpack undoes a stream's filters. What can be unpacked of a damaged stream is
// returned; pictures give nothing.
func (f *file) unpack(s *stream) []byte {
	data := s.raw
	if f.crypt != nil && s.id.num != f.crypt.skip && s.dict["Type"] != name("XRef") {
		data = f.crypt.stream(f, s, data)
	}
	filters := f.list(s.dict["Filter"], s.dict["F"])
	params := f.list(s.dict["DecodeParms"], s.dict["DP"])
	if len(filters) > 8 {
		panic(ErrTooMuch)
	}
	for i, x := range filters {
		var p dict
		if i < len(params) {
			p = f.dict(params[i])
		}
		switch f.name(x) {
		case "FlateDecode", "Fl":
			data = f.predict(f.inflate(data), p)
		case "LZWDecode", "LZW":
			data = f.predict(f.lzw(data, f.number(p["EarlyChange"], 1) != 0), p)
		case "ASCII85Decode", "A85":
			data = decode85(data)
		case "ASCIIHexDecode", "AHx":
			l := &lexer{b: append([]byte{'<'}, data...)}
			data = []byte(l.hex())
		case "RunLengthDecode", "RL":
			data = f.runs(data)
		case "Crypt":
		default:
			return nil
		}
	}
	return data
}

// list reads one thing or an array of things.
func (f *file) list(xs ...any) array {
	for _, x := range xs {
		switch x := f.resolve(x).(type) {
		case nil:
		case array:
			return x
		default:
			return array{x}
		}
	}
	return nil
}

// count adds to what the file has unpacked so far.
func (f *file) count(n int) {
	if f.unpacked += n; f.unpacked > maxUnpacked {
		panic(ErrTooMuch)
	}
}

func (f *file) inflate(data []byte) []byte {
	// The two bytes of zlib's head, and the sum at the end, are often wrong where
	// the data between them is right.
	body := data
	if len(body) > 2 && body[0]&0x0f == 8 && (int(body[0])<<8|int(body[1]))%31 == 0 {
		body = body[2:]
	}
	out := f.drain(flate.NewReader(bytes.NewReader(body)))
	if len(out) == 0 && len(data) > 2 && len(body) == len(data) {
		out = f.drain(flate.NewReader(bytes.NewReader(data[2:])))
	}
	return out
}

func (f *file) drain(r io.Reader) []byte {
	out, err := io.ReadAll(io.LimitReader(r, maxStream+1))
	if len(out) > maxStream {
		panic(ErrTooMuch)
	}
	_ = err // what came before the damage is used
	f.count(len(out))
	return out
}

func decode85(data []byte) []byte {
	if i := bytes.Index(data, []byte("~")); i >= 0 {
		data = data[:i]
	}
	data = bytes.TrimPrefix(bytes.TrimSpace(data), []byte("<~"))
	out, err := io.ReadAll(ascii85.NewDecoder(bytes.NewReader(data)))
	_ = err
	return out
}

func (f *file) runs(data []byte) []byte {
	var out []byte
	for i := 0; i < len(data); {
		n := int(data[i])
		i++
		switch {
		case n == 128:
			i = len(data)
		case n < 128:
			end := min(i+n+1, len(data))
			out = append(out, data[i:end]...)
			i = end
		case i < len(data):
			for range 257 - n {
				out = append(out, data[i])
			}
			i++
		}
		if len(out) > maxStream {
			panic(ErrTooMuch)
		}
	}
	f.count(len(out))
	return out
}

// lzw is the variant of TIFF and PDF: codes from the high bit down, grown one code
// early unless told otherwise.
func (f *file) lzw(data []byte, early bool) []byte {
	type entry struct {
		prev int
		last byte
		size int
	}
	table := make([]entry, 258, 4096)
	for i := range 256 {
		table[i] = entry{-1, byte(i), 1}
	}
	var out, text []byte
	expand := func(code int) []byte {
		n := table[code].size
		if cap(text) < n {
			text = make([]byte, n, 2*n)
		}
		text = text[:n]
		for i := n - 1; i >= 0 && code >= 0; i-- {
			text[i] = table[code].last
			code = table[code].prev
		}
		return text
	}
	width, prev, buf, bits := 9, -1, 0, 0
	shift := 0
	if early {
		shift = 1
	}
	for _, c := range data {
		buf = buf<<8 | int(c)
		bits += 8
		if bits < width {
			continue
		}
		bits -= width
		code := buf >> bits & (1<<width - 1)
		buf &= 1<<bits - 1
		switch {
		case code == 256:
			table, width, prev = table[:258], 9, -1
			continue
		case code == 257:
			f.count(len(out))
			return out
		case prev < 0:
			if code > 255 {
				f.count(len(out))
				return out
			}
			out = append(out, byte(code))
		case code < len(table):
			s := expand(code)
			out = append(out, s...)
			if len(table) < 4096 {
				table = append(table, entry{prev, s[0], table[prev].size + 1})
			}
		case code == len(table) && len(table) < 4096:
			s := expand(prev)
			table = append(table, entry{prev, s[0], table[prev].size + 1})
			out = append(out, s...)
			out = append(out, s[0])
		default:
			f.count(len(out))
			return out
		}
		prev = code
		if n := len(table) + shift; n >= 1<<width && width < 12 {
			width++
		}
		if len(out) > maxStream {
			panic(ErrTooMuch)
		}
	}
	f.count(len(out))
	return out
}

// predict undoes the differences that PNG and TIFF make before packing.
func (f *file) predict(data []byte, p dict) []byte {
	kind := int(f.number(p["Predictor"], 1))
	if kind < 2 || p == nil {
		return data
	}
	columns, colors, depth := int(f.number(p["Columns"], 1)), int(f.number(p["Colors"], 1)), int(f.number(p["BitsPerComponent"], 8))
	if columns < 1 || colors < 1 || depth < 1 || columns > 1<<20 || colors > 64 || depth > 32 {
		return nil
	}
	row, pixel := (columns*colors*depth+7)/8, max(1, colors*depth/8)
	if kind == 2 {
		if depth != 8 {
			return data
		}
		for at := 0; at+row <= len(data); at += row {
			for i := pixel; i < row; i++ {
				data[at+i] += data[at+i-pixel]
			}
		}
		return data
	}
	out := make([]byte, 0, len(data))
	before := make([]byte, row)
	for len(data) > 1 {
		filter := data[0]
		line := make([]byte, row)
		data = data[1+copy(line, data[1:]):]
		for i := range line {
			var left, corner byte
			if i >= pixel {
				left, corner = line[i-pixel], before[i-pixel]
			}
			switch filter {
			case 1:
				line[i] += left
			case 2:
				line[i] += before[i]
			case 3:
				line[i] += byte((int(left) + int(before[i])) / 2)
			case 4:
				line[i] += paeth(left, before[i], corner)
			}
		}
		out = append(out, line...)
		before = line
	}
	return out
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	abs := func(n int) int { return max(n, -n) }
	pa, pb, pc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}
