package embedded

import (
	"math"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// column is one attribute over all rows: its type and a word of value. Equal strings
// and lists are kept once, so a predicate looks at each of them once.
type column struct {
	kind []vector.Kind // shorter than the rows: absent from there on
	val  []uint64      // bits of the number, truth, or place in strs or lists

	strs  []string
	str   map[string]uint64
	lists [][]string
	list  map[string]uint64
	bytes int64
}

// columns are the attributes of all rows, by key.
type columns map[string]*column

func (c columns) put(key string, from, run int, v vector.Value) {
	col := c[key]
	if col == nil {
		col = &column{str: map[string]uint64{}, list: map[string]uint64{}}
		c[key] = col
	}
	for pad := from - len(col.kind); pad > 0; pad-- {
		col.kind, col.val = append(col.kind, vector.None), append(col.val, 0)
	}
	word := col.word(v)
	for range run {
		col.kind, col.val = append(col.kind, v.Kind()), append(col.val, word)
	}
}

func (c *column) word(v vector.Value) uint64 {
	switch v.Kind() {
	case vector.String:
		at, ok := c.str[v.Str()]
		if !ok {
			at = uint64(len(c.strs))
			c.strs = append(c.strs, v.Str())
			c.str[v.Str()] = at
			c.bytes += int64(len(v.Str())) + 64
		}
		return at
	case vector.Number:
		return math.Float64bits(v.Num())
	case vector.Bool:
		if v.Bool() {
			return 1
		}
	case vector.List:
		key := string(appendValue(nil, v))
		at, ok := c.list[key]
		if !ok {
			at = uint64(len(c.lists))
			c.lists = append(c.lists, v.Strings())
			c.list[key] = at
			c.bytes += 2*int64(len(key)) + 96
		}
		return at
	case vector.None:
	}
	return 0
}

func (c columns) size() int64 {
	var n int64
	for k, col := range c {
		n += int64(len(k)) + 256 + 9*int64(cap(col.kind)) + col.bytes
	}
	return n
}

// match answers the rows of 0 … rows-1 that fulfil the filter; live is of no matter.
func (c columns) match(f *vector.Filter, rows int) bitmap {
	switch f.Op {
	case vector.AndAll:
		out := c.match(&f.Of[0], rows)
		for i := range f.Of[1:] {
			out.and(c.match(&f.Of[i+1], rows))
		}
		return out
	case vector.OrAll:
		out := c.match(&f.Of[0], rows)
		for i := range f.Of[1:] {
			out.or(c.match(&f.Of[i+1], rows))
		}
		return out
	case vector.Not:
		out := c.match(&f.Of[0], rows)
		out.flip(rows)
		return out
	default:
		return c[f.Key].match(f, rows)
	}
}

// verdicts of a leaf over what a column holds, so that a row costs one look.
type verdicts struct {
	truth   [2]bool
	strs    []bool
	lists   []bool
	numbers bool // a number can match
}

// match evaluates a leaf; a nil column is an attribute that no row has.
func (c *column) match(f *vector.Filter, rows int) bitmap {
	out := newBitmap(rows)
	none := f.MatchValue(vector.Value{})
	if c == nil {
		if none {
			out.fill(0, rows)
		}
		return out
	}
	v := c.verdicts(f)
	n := min(len(c.kind), rows)
	number := numberTest(f)
	kinds, vals := c.kind[:n], c.val[:n]
	for base := 0; base < n; base += 64 {
		var word uint64
		end := min(base+64, n)
		k, w := kinds[base:end], vals[base:end]
		for i := range k {
			var yes bool
			switch k[i] {
			case vector.None:
				yes = none
			case vector.String:
				yes = v.strs[w[i]]
			case vector.Number:
				yes = v.numbers && number(math.Float64frombits(w[i]))
			case vector.Bool:
				yes = v.truth[w[i]]
			case vector.List:
				yes = v.lists[w[i]]
			}
			if yes {
				word |= 1 << i
			}
		}
		out[base>>6] = word
	}
	if none {
		out.fill(n, rows)
	}
	return out
}

func (c *column) verdicts(f *vector.Filter) verdicts {
	v := verdicts{
		truth:   [2]bool{f.MatchValue(vector.BoolValue(false)), f.MatchValue(vector.BoolValue(true))},
		strs:    make([]bool, len(c.strs)),
		lists:   make([]bool, len(c.lists)),
		numbers: true,
	}
	switch f.Op {
	case vector.Equals, vector.In, vector.NotEquals, vector.NotIn:
		// The dictionary answers without a look at each string: a list of thousands of
		// values stays fast.
		differ := f.Op == vector.NotEquals || f.Op == vector.NotIn
		for i := range v.strs {
			v.strs[i] = differ
		}
		for _, want := range f.Values {
			if at, ok := c.str[want.Str()]; ok && want.Kind() == vector.String {
				v.strs[at] = !differ
			}
		}
	case vector.StartsWith, vector.StringContains:
		for i, s := range c.strs {
			v.strs[i] = f.MatchValue(vector.StringValue(s))
		}
		v.numbers = false
	default:
		v.numbers = f.Op != vector.ListContains
	}
	for i, l := range c.lists {
		v.lists[i] = f.MatchValue(vector.ListValue(l...))
	}
	return v
}

// numberTest is MatchValue for numbers without its detours.
func numberTest(f *vector.Filter) func(float64) bool {
	var want float64
	if len(f.Values) == 1 {
		want = f.Values[0].Num()
		if f.Values[0].Kind() != vector.Number {
			want = math.NaN() // equals nothing
		}
	}
	switch f.Op {
	case vector.LessThan:
		return func(x float64) bool { return x < want }
	case vector.LessThanOrEquals:
		return func(x float64) bool { return x <= want }
	case vector.GreaterThan:
		return func(x float64) bool { return x > want }
	case vector.GreaterThanOrEquals:
		return func(x float64) bool { return x >= want }
	case vector.Equals:
		return func(x float64) bool { return x == want }
	case vector.NotEquals:
		return func(x float64) bool { return x != want }
	default:
		set := make(map[float64]struct{}, len(f.Values))
		for _, v := range f.Values {
			if v.Kind() == vector.Number {
				set[v.Num()] = struct{}{}
			}
		}
		in := f.Op == vector.In
		return func(x float64) bool { _, ok := set[x]; return ok == in }
	}
}

// fill sets [from, to).
func (b bitmap) fill(from, to int) {
	for i := from; i < to; {
		if i&63 == 0 && to-i >= 64 {
			b[i>>6] = ^uint64(0)
			i += 64
			continue
		}
		b.set(i)
		i++
	}
}
