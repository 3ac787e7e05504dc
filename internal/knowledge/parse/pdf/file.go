package pdf

import (
	"bytes"
	"fmt"
)

// place says where an object lies: at a byte, or as the n-th of an object stream.
type place struct {
	at     int
	in     int // number of the object stream; 0 for none
	gen    int
	absent bool
}

// file is an opened PDF.
type file struct {
	b        []byte
	places   map[int]place
	trailer  dict
	crypt    *crypt
	cache    map[int]any
	streams  map[int][]byte // object streams, unpacked
	heads    map[int][]int  // their objects: number, offset …
	loading  map[int]bool
	unpacked int
	ops      int
	rebuilt  bool
	fonts    map[int]*font // by number of the object
}

// open finds the objects of a file.
func open(b []byte) (*file, error) {
	if i := bytes.Index(b[:min(len(b), 1024)], []byte("%PDF-")); i > 0 {
		b = b[i:] // offsets count from the head
	}
	f := &file{b: b, fonts: map[int]*font{}}
	f.reset()
	ok := f.attempt(f.readXrefs) && f.attempt(func() { f.catalog() })
	if !ok || f.catalog() == nil {
		f.reset()
		f.rebuild()
		if f.catalog() == nil && !f.findCatalog() {
			return nil, ErrDamaged
		}
	}
	if enc := f.dict(f.trailer["Encrypt"]); enc != nil {
		c, err := f.newCrypt(enc)
		if err != nil {
			return nil, err
		}
		f.crypt = c
		if r, ok := f.trailer["Encrypt"].(ref); ok {
			c.skip = r.num
		}
		// What was read before the key was there is wrong.
		f.cache, f.streams, f.heads = map[int]any{}, map[int][]byte{}, map[int][]int{}
	}
	return f, nil
}

func (f *file) reset() {
	f.places, f.trailer = map[int]place{}, dict{}
	f.cache, f.streams, f.heads, f.loading = map[int]any{}, map[int][]byte{}, map[int][]int{}, map[int]bool{}
}

// attempt runs what may meet nonsense.
func (f *file) attempt(do func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			if p == ErrTooMuch { //nolint:errorlint // the panic's own value
				panic(p)
			}
			ok = false
		}
	}()
	do()
	return true
}

func (f *file) catalog() dict {
	c := f.dict(f.trailer["Root"])
	if c == nil || f.dict(c["Pages"]) == nil {
		return nil
	}
	return c
}

// readXrefs follows the chain of cross references from the end.
func (f *file) readXrefs() {
	tail := f.b[max(0, len(f.b)-2048):]
	i := bytes.LastIndex(tail, []byte("startxref"))
	if i < 0 {
		panic("no startxref")
	}
	l := &lexer{b: tail, at: i + len("startxref")}
	at, ok := l.object().(float64)
	if !ok {
		panic("no startxref")
	}
	seen := map[int]bool{}
	for next := int(at); next > 0 || len(seen) == 0; {
		if seen[next] || next < 0 || next >= len(f.b) || len(seen) > 4096 {
			break
		}
		seen[next] = true
		t := f.readXref(next)
		for k, v := range t {
			if _, have := f.trailer[k]; !have {
				f.trailer[k] = v
			}
		}
		if x, ok := t["XRefStm"].(float64); ok && int(x) > 0 && int(x) < len(f.b) && !seen[int(x)] {
			seen[int(x)] = true
			f.attempt(func() { f.readXref(int(x)) })
		}
		prev, ok := t["Prev"].(float64)
		if !ok {
			return
		}
		next = int(prev)
	}
}

// readXref reads one section, as a table or as a stream.
func (f *file) readXref(at int) dict {
	l := &lexer{b: f.b, at: at, refs: true}
	if l.object() == word("xref") {
		return f.readTable(l)
	}
	l.at = at
	_, obj := f.indirect(l, nil)
	s, ok := obj.(*stream)
	if !ok {
		panic("no cross references here")
	}
	f.readXrefStream(s)
	return s.dict
}

func (f *file) readTable(l *lexer) dict {
	for {
		switch x := l.object().(type) {
		case float64:
			first := int(x)
			n, ok := l.object().(float64)
			if !ok || n < 0 || n > maxObjects {
				panic("bad section")
			}
			for i := range int(n) {
				at, ok1 := l.object().(float64)
				gen, ok2 := l.object().(float64)
				kind, ok3 := l.object().(word)
				if !ok1 || !ok2 || !ok3 {
					panic("bad entry")
				}
				num := first + i
				if _, have := f.places[num]; !have {
					f.places[num] = place{at: int(at), gen: int(gen), absent: kind != "n"}
				}
			}
		case word:
			if x != "trailer" {
				panic("no trailer")
			}
			t, ok := l.object().(dict)
			if !ok {
				panic("no trailer")
			}
			return t
		default:
			panic("no trailer")
		}
	}
}

func (f *file) readXrefStream(s *stream) {
	data := f.unpack(s)
	w, ok := f.resolve(s.dict["W"]).(array)
	if !ok || len(w) < 3 {
		panic("no widths")
	}
	var width [3]int
	for i := range width {
		v, _ := w[i].(float64)
		if width[i] = int(v); width[i] < 0 || width[i] > 8 {
			panic("bad width")
		}
	}
	size := width[0] + width[1] + width[2]
	if size == 0 {
		panic("no widths")
	}
	index, ok := f.resolve(s.dict["Index"]).(array)
	if !ok {
		index = array{0.0, s.dict["Size"]}
	}
	for i := 0; i+1 < len(index); i += 2 {
		first, _ := index[i].(float64)
		n, _ := index[i+1].(float64)
		for num := int(first); num < int(first+n) && len(data) >= size; num++ {
			var v [3]int
			at := 0
			for k := range v {
				for range width[k] {
					v[k] = v[k]<<8 | int(data[at])
					at++
				}
			}
			data = data[size:]
			if width[0] == 0 {
				v[0] = 1
			}
			if _, have := f.places[num]; have || len(f.places) > maxObjects {
				continue
			}
			switch v[0] {
			case 0:
				f.places[num] = place{absent: true}
			case 1:
				f.places[num] = place{at: v[1], gen: v[2]}
			case 2:
				f.places[num] = place{at: v[2], in: v[1]}
			}
		}
	}
}

// rebuild finds objects by their heads, "12 0 obj", where the references are lost.
func (f *file) rebuild() {
	f.rebuilt = true
	b := f.b
	for i := 0; ; {
		j := bytes.Index(b[i:], []byte("obj"))
		if j < 0 {
			break
		}
		at := i + j
		i = at + 3
		if at > 3 && string(b[at-3:at]) == "end" {
			continue
		}
		k := at
		num, gen, start, ok := headBefore(b, k)
		if !ok || len(f.places) > maxObjects {
			continue
		}
		f.places[num] = place{at: start, gen: gen} // the last one counts
	}
	for i := 0; ; {
		j := bytes.Index(b[i:], []byte("trailer"))
		if j < 0 {
			break
		}
		i += j + len("trailer")
		f.attempt(func() {
			l := &lexer{b: b, at: i, refs: true}
			if t, ok := l.object().(dict); ok {
				for k, v := range t {
					f.trailer[k] = v
				}
			}
		})
	}
	// Objects within object streams, and the trailers of cross reference streams.
	for num, p := range f.places {
		if p.in != 0 {
			continue
		}
		head := b[p.at:min(len(b), p.at+512)]
		if e := bytes.Index(head, []byte("stream")); e >= 0 {
			head = head[:e]
		}
		switch {
		case bytes.Contains(head, []byte("/XRef")):
			f.attempt(func() {
				if s, ok := f.object(num).(*stream); ok {
					for _, k := range []name{"Root", "Encrypt", "ID", "Info"} {
						if v, ok := s.dict[k]; ok && f.trailer[k] == nil {
							f.trailer[k] = v
						}
					}
				}
			})
		}
	}
	if f.trailer["Encrypt"] == nil {
		f.rebuildStreams()
	}
}

// rebuildStreams enters what lies in object streams.
func (f *file) rebuildStreams() {
	var found []int
	for num, p := range f.places {
		head := f.b[p.at:min(len(f.b), p.at+512)]
		if p.in == 0 && bytes.Contains(head, []byte("/ObjStm")) {
			found = append(found, num)
		}
	}
	for _, num := range found {
		f.attempt(func() {
			head := f.objectStream(num)
			for i := 0; i+1 < len(head); i += 2 {
				if _, have := f.places[head[i]]; !have {
					f.places[head[i]] = place{at: i / 2, in: num}
				}
			}
		})
	}
}

// headBefore reads "num gen " that ends at a byte.
func headBefore(b []byte, at int) (num, gen, start int, ok bool) {
	digits := func(end int) (v, start int, ok bool) {
		i := end
		for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' && end-i < 10 {
			i--
		}
		for _, c := range b[i:end] {
			v = v*10 + int(c-'0')
		}
		return v, i, i < end
	}
	blanks := func(end int) int {
		for end > 0 && space(b[end-1]) && at-end < 32 {
			end--
		}
		return end
	}
	gen, i, ok := digits(blanks(at))
	if !ok {
		return 0, 0, 0, false
	}
	j := blanks(i)
	if j == i {
		return 0, 0, 0, false
	}
	num, start, ok = digits(j)
	return num, gen, start, ok
}

// findCatalog looks through all objects for the root that no trailer names.
func (f *file) findCatalog() bool {
	for num := range f.places {
		found := false
		f.attempt(func() {
			if d := f.dict(ref{num: num}); d != nil && d["Type"] == name("Catalog") && f.dict(d["Pages"]) != nil {
				f.trailer["Root"] = ref{num: num}
				found = true
			}
		})
		if found {
			return true
		}
	}
	return false
}

// indirect reads "num gen obj … endobj".
func (f *file) indirect(l *lexer, c *crypt) (ref, any) {
	num, ok1 := l.object().(float64)
	gen, ok2 := l.object().(float64)
	if !ok1 || !ok2 || l.object() != word("obj") {
		panic(fmt.Sprintf("no object at %d", l.at))
	}
	id := ref{int(num), int(gen)}
	if c != nil && id.num != c.skip {
		l.decrypt = func(s string) string { return c.text(id, s) }
	}
	obj := l.object()
	d, ok := obj.(dict)
	if !ok {
		return id, obj
	}
	l.decrypt = nil
	save := l.at
	if l.object() != word("stream") {
		l.at = save
		return id, obj
	}
	if l.at < len(l.b) && l.b[l.at] == '\r' {
		l.at++
	}
	if l.at < len(l.b) && l.b[l.at] == '\n' {
		l.at++
	}
	start := l.at
	size := -1
	if n, ok := f.resolve(d["Length"]).(float64); ok && n >= 0 && start+int(n) <= len(l.b) {
		size = int(n)
		after := &lexer{b: l.b, at: start + size}
		if after.object() != word("endstream") {
			size = -1
		}
	}
	if size < 0 { // the length is wrong: look for the end
		i := bytes.Index(l.b[start:], []byte("endstream"))
		if i < 0 {
			if i = bytes.Index(l.b[start:], []byte("endobj")); i < 0 {
				i = len(l.b) - start
			}
		}
		size = i
		for size > 0 && i-size < 2 && (l.b[start+size-1] == '\n' || l.b[start+size-1] == '\r') {
			size--
		}
	}
	l.at = start + size
	return id, &stream{dict: d, raw: l.b[start : start+size], id: id}
}

// object loads an object by number; nil when there is none.
func (f *file) object(num int) any {
	if o, ok := f.cache[num]; ok {
		return o
	}
	p, ok := f.places[num]
	if !ok || p.absent || f.loading[num] || len(f.loading) > maxDepth {
		return nil
	}
	f.loading[num] = true
	defer delete(f.loading, num)
	var obj any
	if p.in != 0 {
		head := f.objectStream(p.in)
		data := f.streams[p.in]
		at := -1
		if 2*p.at+1 < len(head) && head[2*p.at] == num {
			at = head[2*p.at+1]
		} else {
			for i := 0; i+1 < len(head); i += 2 {
				if head[i] == num {
					at = head[i+1]
				}
			}
		}
		if at >= 0 && at < len(data) {
			l := &lexer{b: data, at: at, refs: true}
			obj = l.object()
		}
	} else {
		if p.at < 0 || p.at >= len(f.b) {
			return nil
		}
		l := &lexer{b: f.b, at: p.at, refs: true}
		var id ref
		if !f.attempt(func() { id, obj = f.indirect(l, f.crypt) }) || id.num != num {
			// The table is wrong. A scan finds what is really there, once.
			if !f.rebuilt && len(f.loading) == 1 {
				f.repair()
				delete(f.loading, num)
				return f.object(num)
			}
			obj = nil
		}
	}
	switch obj.(type) {
	case word, end:
		obj = nil
	}
	f.cache[num] = obj
	return obj
}

// repair replaces places that proved wrong.
func (f *file) repair() {
	old, trailer := f.places, f.trailer
	f.places = map[int]place{}
	f.trailer = dict{}
	f.rebuild()
	for num, p := range old {
		if _, have := f.places[num]; !have && p.in != 0 {
			f.places[num] = p
		}
	}
	f.trailer = trailer
}

// objectStream unpacks an object stream and returns the numbers and offsets of its
// objects.
func (f *file) objectStream(num int) []int {
	if h, ok := f.heads[num]; ok {
		return h
	}
	f.heads[num] = nil
	s, ok := f.object(num).(*stream)
	if !ok {
		return nil
	}
	data := f.unpack(s)
	n, _ := f.resolve(s.dict["N"]).(float64)
	first, _ := f.resolve(s.dict["First"]).(float64)
	l := &lexer{b: data}
	var head []int
	for range int(min(max(n, 0), float64(len(data)))) {
		id, ok1 := l.object().(float64)
		off, ok2 := l.object().(float64)
		if !ok1 || !ok2 {
			break
		}
		head = append(head, int(id), int(first+off))
	}
	f.heads[num], f.streams[num] = head, data
	return head
}

// resolve follows references.
func (f *file) resolve(x any) any {
	for range 16 {
		r, ok := x.(ref)
		if !ok {
			return x
		}
		x = f.object(r.num)
	}
	return nil
}

func (f *file) dict(x any) dict {
	switch x := f.resolve(x).(type) {
	case dict:
		return x
	case *stream:
		return x.dict
	}
	return nil
}

func (f *file) array(x any) array {
	a, _ := f.resolve(x).(array)
	return a
}

func (f *file) name(x any) name {
	n, _ := f.resolve(x).(name)
	return n
}

func (f *file) number(x any, other float64) float64 {
	if n, ok := f.resolve(x).(float64); ok {
		return n
	}
	return other
}
