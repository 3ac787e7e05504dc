package model

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
)

// A value is what a request holds for a shape: object, list, text, blob or raw.
type (
	object []entry
	entry  struct {
		key string
		val any
	}
	list []any
	blob []byte
	raw  string // a number, boolean, document or anything wrong, as it stands in JSON
)

// A hop leads from a value to a part of it.
type hop struct {
	member int    // of a structure or union
	elem   bool   // first element of a list
	key    string // entry of a map
}

// builder makes values of the shapes of one service.
type builder struct {
	svc  *api.Service
	cost []int // least nesting of a value of each shape

	// Strings are dear to make and the same shapes come again and again.
	good map[*api.Shape]string
	bad  map[*api.Shape][]badText
}

func newBuilder(svc *api.Service) *builder {
	b := &builder{svc: svc, cost: make([]int, len(svc.Shapes)), good: map[*api.Shape]string{}, bad: map[*api.Shape][]badText{}}
	const unknown = 1 << 20
	for i := range b.cost {
		b.cost[i] = unknown
	}
	for changed := true; changed; {
		changed = false
		for i := range svc.Shapes {
			sh := &svc.Shapes[i]
			c := 0
			switch sh.Kind {
			case api.Structure:
				for _, m := range sh.Members {
					if m.Required {
						c = max(c, b.cost[m.Shape]+1)
					}
				}
			case api.Union:
				c = unknown
				for _, m := range sh.Members {
					c = min(c, b.cost[m.Shape]+1)
				}
			case api.List, api.Map:
				if sh.HasMin && sh.Min > 0 {
					c = b.cost[sh.Elem] + 1
				}
			}
			if c < b.cost[i] {
				b.cost[i], changed = c, true
			}
		}
	}
	return b
}

func (b *builder) shape(id api.ShapeID) *api.Shape { return &b.svc.Shapes[id] }

// build makes a valid value. Optional members are filled down to the depth rich.
// Along hops the parts exist; what they lead to is leaf instead.
func (b *builder) build(id api.ShapeID, rich int, hops []hop, leaf any) any {
	if len(hops) == 0 && leaf != nil {
		return leaf
	}
	sh := b.shape(id)
	switch sh.Kind {
	case api.Structure:
		var o object
		for i, m := range sh.Members {
			onPath := len(hops) > 0 && hops[0].member == i
			if !onPath && !m.Required && (rich <= 0 || b.cost[m.Shape] >= rich) {
				continue
			}
			var v any
			if onPath {
				if v = b.build(m.Shape, rich-1, hops[1:], leaf); v == absent {
					continue
				}
			} else {
				inner := rich - 1
				if m.In == api.Query {
					inner = max(inner, 2) // a list without elements leaves no trace in a query
				}
				v = b.build(m.Shape, inner, nil, nil)
			}
			o = append(o, entry{m.Wire, v})
		}
		return o
	case api.Union:
		if len(hops) > 0 {
			m := sh.Members[hops[0].member]
			return object{{m.Wire, b.build(m.Shape, rich-1, hops[1:], leaf)}}
		}
		m := b.cheapest(sh)[0]
		return object{{m.Wire, b.build(m.Shape, rich-1, nil, nil)}}
	case api.List:
		n := 0
		if sh.HasMin {
			n = int(sh.Min)
		}
		if n == 0 && (len(hops) > 0 || rich > b.cost[sh.Elem]) {
			n = 1
		}
		l := list{}
		for i := range n {
			if i == 0 && len(hops) > 0 {
				l = append(l, b.build(sh.Elem, rich-1, hops[1:], leaf))
			} else {
				l = append(l, b.build(sh.Elem, rich-1, nil, nil))
			}
		}
		return l
	case api.Map:
		n := 0
		if sh.HasMin {
			n = int(sh.Min)
		}
		if n == 0 && (len(hops) > 0 || rich > b.cost[sh.Elem]) {
			n = 1
		}
		o := object{}
		for i := range n {
			switch {
			case i == 0 && len(hops) > 0:
				o = append(o, entry{hops[0].key, b.build(sh.Elem, rich-1, hops[1:], leaf)})
			default:
				keys := b.keys(sh, n)
				if len(keys) < n {
					panic(fmt.Sprintf("BUG: no keys for %s", sh.Name))
				}
				o = append(o, entry{keys[i], b.build(sh.Elem, rich-1, nil, nil)})
			}
		}
		return o
	}
	return b.scalar(sh)
}

// absent, as a leaf, leaves the member out.
var absent any = struct{ absent bool }{true}

// cheapest returns the members of a union, those with the least nesting first.
func (b *builder) cheapest(sh *api.Shape) []api.Member {
	ms := slices.Clone(sh.Members)
	slices.SortStableFunc(ms, func(x, y api.Member) int { return b.cost[x.Shape] - b.cost[y.Shape] })
	return ms
}

// keys returns up to n different valid keys of a map.
func (b *builder) keys(sh *api.Shape, n int) []string {
	k := b.shape(sh.Key)
	if len(k.Enum) > 0 {
		return k.Enum[:min(n, len(k.Enum))]
	}
	lo, hi := bounds(k)
	base, ok := text(k.Pattern, max(lo, 1), hi)
	if !ok {
		panic(fmt.Sprintf("BUG: no key for %s", sh.Name))
	}
	keys := []string{base}
	for i := 0; len(keys) < n && i < 20*n+1000; i++ {
		num := strconv.Itoa(i)
		for _, s := range []string{base + num, "k" + num, "a" + strings.Repeat("a", max(0, lo-len(num)-1)) + num} {
			if len(s) >= lo && len(s) <= hi && (k.Pattern == nil || k.Pattern.MatchString(s)) && !slices.Contains(keys, s) {
				keys = append(keys, s)
				break
			}
		}
	}
	return keys
}

// bounds are the least and most code points, bytes or elements.
func bounds(sh *api.Shape) (lo, hi int) {
	hi = math.MaxInt32
	if sh.HasMin {
		lo = int(sh.Min)
	}
	if sh.HasMax {
		hi = int(sh.Max)
	}
	return lo, hi
}

// scalar makes a valid value without parts.
func (b *builder) scalar(sh *api.Shape) any {
	lo, hi := bounds(sh)
	switch sh.Kind {
	case api.String:
		if len(sh.Enum) > 0 {
			return sh.Enum[0]
		}
		if s, ok := b.good[sh]; ok {
			return s
		}
		s, ok := text(sh.Pattern, max(lo, min(1, hi)), hi)
		if !ok {
			if s, ok = text(sh.Pattern, lo, hi); !ok {
				panic(fmt.Sprintf("BUG: no text for %s of %s", sh.Name, b.svc.Name))
			}
		}
		b.good[sh] = s
		return s
	case api.Integer, api.Long:
		v := 1
		if sh.HasMin {
			v = max(v, lo)
		}
		if sh.HasMax {
			v = min(v, hi)
		}
		return raw(strconv.Itoa(v))
	case api.Float, api.Double:
		v := 0.5
		if sh.HasMin {
			v = max(v, sh.Min)
		}
		if sh.HasMax {
			v = min(v, sh.Max)
		}
		return raw(strconv.FormatFloat(v, 'g', -1, 64))
	case api.Boolean:
		return raw("true")
	case api.Blob:
		return blob(strings.Repeat("\xfe", max(1, lo)))
	case api.Timestamp:
		return "2026-01-31T12:00:00.25Z"
	case api.Document:
		return raw(`{"a":[1,2.50,"b"]}`)
	}
	panic("BUG: kind of " + sh.Name)
}

// appendJSON writes a value.
func appendJSON(buf []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		buf = append(buf, '{')
		for i, e := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = append(appendJSON(buf, e.key), ':')
			buf = appendJSON(buf, e.val)
		}
		return append(buf, '}')
	case list:
		buf = append(buf, '[')
		for i, e := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendJSON(buf, e)
		}
		return append(buf, ']')
	case string:
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return append(buf, b...)
	case blob:
		buf = append(buf, '"')
		buf = base64.StdEncoding.AppendEncode(buf, v)
		return append(buf, '"')
	case raw:
		return append(buf, v...)
	}
	panic(fmt.Sprintf("BUG: value %T", v))
}

// plain is the text of a scalar outside of a body.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case raw:
		return string(v)
	}
	panic(fmt.Sprintf("BUG: %T outside of a body", v))
}
