package model

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// Skip is a constraint for which no request was made.
type Skip struct {
	Service, Shape, Constraint, Why string
}

// Broken yields, for every operation, one request for every constraint of every
// structure that its input reaches, with that constraint broken. A structure that is
// reached on several ways is taken on the shortest. skipped, which may be nil,
// learns of the constraints that could not be broken.
func Broken(svc *api.Service, skipped func(Skip)) iter.Seq[Case] {
	if skipped == nil {
		skipped = func(Skip) {}
	}
	return func(yield func(Case) bool) {
		b := newBuilder(svc)
		for i := range svc.Operations {
			br := breaker{builder: b, op: &svc.Operations[i], yield: yield, skipped: skipped, seen: map[*api.Shape]bool{}}
			br.run()
			if br.stopped {
				return
			}
		}
	}
}

// breaker walks the input of one operation, breadth first.
type breaker struct {
	*builder
	op      *api.Operation
	yield   func(Case) bool
	stopped bool
	skipped func(Skip)
	seen    map[*api.Shape]bool
	queue   []place
}

// place is a part of the input.
type place struct {
	id   api.ShapeID
	hops []hop
	path string // as in messages
	in   api.Location
	// container is the path of the list or map whose element a scalar is, and word
	// how a message calls such elements.
	container, word string
}

func (p place) to(h hop) []hop { return append(slices.Clip(slices.Clone(p.hops)), h) }

func (br *breaker) run() {
	if br.op.Input == api.NoShape {
		return
	}
	br.queue = []place{{id: br.op.Input}}
	for len(br.queue) > 0 && !br.stopped {
		p := br.queue[0]
		br.queue = br.queue[1:]
		br.visit(p)
	}
}

// emit yields the request that holds leaf at the place.
func (br *breaker) emit(p place, what string, leaf any, want apierr.Kind, says string) {
	if br.stopped {
		return
	}
	at := p.path
	if p.container != "" && strings.HasPrefix(says, "Member must") && leaf != raw("null") {
		at, says = p.container, p.word+" must satisfy constraint: ["
	}
	name := strings.TrimSpace(p.path + " " + what)
	c := br.request(br.op, name, br.input(br.op, 0, p.hops, leaf))
	c.Want, c.At, c.Says = want, at, says
	br.stopped = !br.yield(c)
}

func (br *breaker) skip(sh *api.Shape, constraint, why string) {
	br.skipped(Skip{br.svc.Name, sh.Name, constraint, why})
}

// wrong is JSON of another type than the shape's.
func wrong(k api.Kind) any {
	switch k {
	case api.String, api.Blob, api.Boolean:
		return raw("12345")
	case api.Integer, api.Long, api.Float, api.Double:
		return "many"
	case api.Structure, api.Union, api.Map, api.List:
		return "text"
	case api.Timestamp:
		return raw("true")
	}
	return nil // any JSON is a document
}

// visit breaks what stands at the place, and queues its parts.
func (br *breaker) visit(p place) {
	sh := br.shape(p.id)
	if p.path != "" {
		br.types(p, sh)
	}
	switch sh.Kind {
	case api.Structure, api.Union:
		br.structure(p, sh)
	case api.List, api.Map:
		br.container(p, sh)
	default:
		br.scalarAt(p, sh)
	}
}

func (br *breaker) types(p place, sh *api.Shape) {
	payloadBlob := sh.Kind == api.Blob && len(p.hops) == 1 && br.shape(br.op.Input).Payload-1 == p.hops[0].member
	switch {
	case payloadBlob, p.in == api.Label || p.in == api.Header:
	case p.in == api.Query:
		switch sh.Kind {
		case api.Integer, api.Long, api.Boolean, api.Timestamp, api.Float, api.Double:
			br.emit(p, "of wrong type", "zzz", apierr.Serialization, "")
		}
	default:
		if leaf := wrong(sh.Kind); leaf != nil {
			br.emit(p, "of wrong type", leaf, apierr.Serialization, "")
		}
		if sh.Kind == api.Integer || sh.Kind == api.Long {
			br.emit(p, "with a fraction", raw("1.5"), apierr.Serialization, "")
			br.emit(p, "too big for its type", raw("99999999999999999999"), apierr.Serialization, "")
		}
		if sh.Kind == api.Blob {
			br.emit(p, "not base64", "?", apierr.Serialization, "")
		}
	}
}

func (br *breaker) structure(p place, sh *api.Shape) {
	if br.seen[sh] {
		return
	}
	br.seen[sh] = true
	if sh.Kind == api.Union {
		const says = "Member must have exactly one of the following members set: ["
		br.emit(p, "with an unknown member only", object{{"unheardOf", raw("{}")}}, apierr.Validation, says)
		br.emit(p, "without a member", object{}, apierr.Validation, says)
		if ms := br.cheapest(sh); len(ms) > 1 {
			br.emit(p, "with two members", object{
				{ms[0].Wire, br.build(ms[0].Shape, 0, nil, nil)},
				{ms[1].Wire, br.build(ms[1].Shape, 0, nil, nil)},
			}, apierr.Validation, says)
		}
	}
	for i, m := range sh.Members {
		part := place{id: m.Shape, hops: p.to(hop{member: i}), path: join(p.path, m.Name), in: p.in}
		if p.path == "" {
			part.in = m.In
		}
		if m.Required && m.In != api.Label {
			br.emit(part, "missing", absent, apierr.Validation, "Member must not be null")
			if part.in == api.Body && !(p.path == "" && sh.Payload-1 == i) {
				br.emit(part, "null", raw("null"), apierr.Validation, "Member must not be null")
			}
		}
		br.queue = append(br.queue, part)
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// container breaks the size of a list or map, and its elements.
func (br *breaker) container(p place, sh *api.Shape) {
	lo, hi := bounds(sh)
	if lo > 0 && p.in != api.Query {
		var few any = list{}
		if sh.Kind == api.Map {
			few = object{}
		}
		if sh.Kind == api.List {
			l := list{}
			for range lo - 1 {
				l = append(l, br.build(sh.Elem, 0, nil, nil))
			}
			few = l
		}
		br.emit(p, "too short", few, apierr.Validation, "Member must have length greater than or equal to "+strconv.Itoa(lo))
	}
	if sh.HasMax {
		br.tooMany(p, sh, hi)
	}
	inner := place{id: sh.Elem, path: p.path + ".1.member", container: p.path, word: "Member", in: p.in, hops: p.to(hop{elem: true})}
	if sh.Kind == api.Map {
		key := br.keys(sh, 1)[0]
		inner.hops, inner.path, inner.word = p.to(hop{key: key}), p.path+"."+key+".member", "Map value"
		br.mapKeys(p, sh)
	}
	switch br.shape(sh.Elem).Kind {
	case api.Structure, api.Union, api.List, api.Map, api.Document:
		inner.container = ""
	}
	if p.in == api.Body {
		br.emit(inner, "null", raw("null"), apierr.Validation, "Member must not be null")
	}
	br.queue = append(br.queue, inner)
}

func (br *breaker) tooMany(p place, sh *api.Shape, hi int) {
	if hi > 20000 {
		br.skip(sh, "max", "too large to send")
		return
	}
	says := "Member must have length less than or equal to " + strconv.Itoa(hi)
	if sh.Kind == api.List {
		l := list{}
		for range hi + 1 {
			l = append(l, br.build(sh.Elem, 0, nil, nil))
		}
		br.emit(p, "too long", l, apierr.Validation, says)
		return
	}
	keys := br.keys(sh, hi+1)
	if len(keys) <= hi {
		br.skip(sh, "max", "not enough keys")
		return
	}
	o := object{}
	for _, k := range keys {
		o = append(o, entry{k, br.build(sh.Elem, 0, nil, nil)})
	}
	br.emit(p, "too long", o, apierr.Validation, says)
}

// mapKeys breaks the constraints of the keys of a map.
func (br *breaker) mapKeys(p place, sh *api.Shape) {
	k := br.shape(sh.Key)
	for _, bad := range br.badTexts(k) {
		o := object{{bad.text, br.build(sh.Elem, 0, nil, nil)}}
		br.emit(p, "key "+bad.what, o, apierr.Validation, "Map keys must satisfy constraint: [")
	}
}

type badText struct{ what, text, says string }

// badTexts returns strings that break each constraint of a string shape.
func (br *breaker) badTexts(sh *api.Shape) []badText {
	if bad, ok := br.bad[sh]; ok {
		return bad
	}
	bad := br.makeBadTexts(sh)
	br.bad[sh] = bad
	return bad
}

func (br *breaker) makeBadTexts(sh *api.Shape) []badText {
	var bad []badText
	lo, hi := bounds(sh)
	if len(sh.Enum) > 0 {
		return append(bad, badText{"not in the enum", "unheard-of", "Member must satisfy enum value set: [" + strings.Join(sh.Enum, ", ") + "]"})
	}
	if lo > 0 {
		s, ok := text(sh.Pattern, lo-1, lo-1)
		if !ok {
			s = strings.Repeat("a", lo-1)
		}
		bad = append(bad, badText{"too short", s, "Member must have length greater than or equal to " + strconv.Itoa(lo)})
	}
	if sh.HasMax {
		s, ok := text(sh.Pattern, hi+1, hi+1)
		if !ok {
			s = strings.Repeat("a", hi+1)
		}
		bad = append(bad, badText{"too long", s, "Member must have length less than or equal to " + strconv.Itoa(hi)})
	}
	if sh.Pattern != nil {
		s, ok := mismatch(sh.Pattern, lo, hi)
		if ok {
			bad = append(bad, badText{"against its pattern", s, "Member must satisfy regular expression pattern: " + sh.Pattern.Source})
		} else {
			br.skip(sh, "pattern", "matches everything")
		}
	}
	return bad
}

func (br *breaker) scalarAt(p place, sh *api.Shape) {
	lo, hi := bounds(sh)
	switch sh.Kind {
	case api.String:
		for _, bad := range br.badTexts(sh) {
			if p.in == api.Header && (bad.text == "" || strings.ContainsAny(bad.text, "\n\x01") || strings.TrimSpace(bad.text) != bad.text) {
				br.skip(sh, bad.what, "cannot stand in a header")
				continue
			}
			br.emit(p, bad.what, bad.text, apierr.Validation, bad.says)
		}
	case api.Blob:
		if lo > 0 {
			if p.in == api.Body && len(p.hops) == 1 && br.shape(br.op.Input).Payload-1 == p.hops[0].member {
				br.skip(sh, "min", "an empty body is an absent one")
			} else {
				br.emit(p, "too short", blob(strings.Repeat("x", lo-1)), apierr.Validation, "Member must have length greater than or equal to "+strconv.Itoa(lo))
			}
		}
		if sh.HasMax {
			br.emit(p, "too long", blob(strings.Repeat("x", hi+1)), apierr.Validation, "Member must have length less than or equal to "+strconv.Itoa(hi))
		}
	case api.Integer, api.Long:
		limit := float64(math.MaxInt32)
		if sh.Kind == api.Long {
			limit = 1 << 53
		}
		if sh.HasMin && sh.Min > -limit {
			br.emit(p, "too small", raw(fmt.Sprintf("%.0f", sh.Min-1)), apierr.Validation, fmt.Sprintf("Member must have value greater than or equal to %.0f", sh.Min))
		}
		if sh.HasMax {
			if sh.Max >= limit {
				br.skip(sh, "max", "beyond its type")
			} else {
				br.emit(p, "too large", raw(fmt.Sprintf("%.0f", sh.Max+1)), apierr.Validation, fmt.Sprintf("Member must have value less than or equal to %.0f", sh.Max))
			}
		}
	case api.Float, api.Double:
		if sh.HasMin {
			br.emit(p, "too small", raw(strconv.FormatFloat(sh.Min-0.5, 'f', -1, 64)), apierr.Validation, "Member must have value greater than or equal to "+strconv.FormatFloat(sh.Min, 'f', -1, 64))
		}
		if sh.HasMax {
			br.emit(p, "too large", raw(strconv.FormatFloat(sh.Max+0.5, 'f', -1, 64)), apierr.Validation, "Member must have value less than or equal to "+strconv.FormatFloat(sh.Max, 'f', -1, 64))
		}
	}
}
