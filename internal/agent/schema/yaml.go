package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxProperties = 1000     // anchors and tags, which nest by themselves
	maxPaths      = 64 << 20 // bytes of paths that the parser keeps, one for each value
)

// readYAML makes a tree of YAML. The parser is not ours and what it reads comes from
// strangers: a panic of it is an error of the document.
func readYAML(doc []byte, p *problems) (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, errors.New("the YAML cannot be read")
		}
	}()
	tokens := lexer.Tokenize(string(doc))
	if err := bounded(tokens); err != nil {
		return nil, err
	}
	f, err := parser.Parse(tokens, 0)
	if err != nil {
		if e, ok := errors.AsType[yaml.Error](err); ok {
			if t := e.GetToken(); t != nil && t.Position != nil {
				return nil, fmt.Errorf("the YAML cannot be read at line %d: %s", t.Position.Line, clip(e.GetMessage()))
			}
			return nil, fmt.Errorf("the YAML cannot be read: %s", clip(e.GetMessage()))
		}
		return nil, errors.New("the YAML cannot be read")
	}
	var bodies []ast.Node
	for _, d := range f.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, errors.New("the document is empty")
	case 1:
	default:
		return nil, errors.New("there is more than one document")
	}
	r := &yamlReader{p: p, anchors: map[string]ast.Node{}}
	return r.value(bodies[0])
}

// bounded refuses tokens that would make the parser recurse without end, or keep a
// long path for each of many values. It counts too much rather than too little.
func bounded(tokens token.Tokens) error {
	type level struct {
		column int // of a mapping or list in block style
		flow   bool
		size   int // of the key that stands open
		chain  int // keys since the last comma in flow style
	}
	var open []level
	var size, paths, properties int
	push := func(l level) { open = append(open, l); size += l.size }
	pop := func() { size -= open[len(open)-1].size; open = open[:len(open)-1] }
	for i, t := range tokens {
		flow := len(open) > 0 && open[len(open)-1].flow
		block := func(column, length int) {
			for len(open) > 0 && open[len(open)-1].column > column {
				pop()
			}
			if n := len(open) - 1; n >= 0 && open[n].column == column {
				if length > 0 {
					size += length - open[n].size
					open[n].size = length
				}
				return
			}
			push(level{column: column, size: length})
		}
		paths += size
		switch t.Type { //nolint:exhaustive // the rest nests nothing
		case token.SequenceStartType, token.MappingStartType:
			push(level{flow: true})
		case token.SequenceEndType, token.MappingEndType:
			for len(open) > 0 {
				last := open[len(open)-1].flow
				pop()
				if last {
					break
				}
			}
		case token.CollectEntryType:
			if flow {
				open[len(open)-1].chain = 0
			}
		case token.SequenceEntryType:
			if !flow {
				block(t.Position.Column, 0)
			}
		case token.MappingKeyType, token.MappingValueType:
			key := t
			if t.Type == token.MappingValueType && i > 0 {
				key = tokens[i-1]
			}
			if !flow {
				block(key.Position.Column, len(key.Value))
				break
			}
			l := &open[len(open)-1]
			size += len(key.Value) - l.size
			l.size = len(key.Value)
			if l.chain++; l.chain > 3 {
				return errors.New("the YAML cannot be read: a comma is missing between keys")
			}
		case token.AnchorType, token.TagType:
			if properties++; properties > maxProperties {
				return fmt.Errorf("the document holds more than %d anchors and tags", maxProperties)
			}
		}
		if len(open) > MaxNesting {
			return errNesting
		}
		if paths > maxPaths {
			return errors.New("the keys of the document are too long")
		}
	}
	return nil
}

// yamlReader makes a tree of a parsed document. An alias is read again where it
// stands, under the same bounds as all else.
type yamlReader struct {
	p       *problems
	path    []string
	values  int
	anchors map[string]ast.Node
}

func (r *yamlReader) value(n ast.Node) (any, error) {
	if r.values++; r.values > maxValues {
		return nil, errValues
	}
	if len(r.path) > MaxNesting {
		return nil, errNesting
	}
	switch n := n.(type) {
	case nil:
		return nil, nil
	case *ast.NullNode:
		return nil, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.IntegerNode:
		return json.Number(fmt.Sprint(n.Value)), nil
	case *ast.FloatNode:
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			return n.GetToken().Value, nil
		}
		return json.Number(strconv.FormatFloat(n.Value, 'g', -1, 64)), nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		return r.value(n.Value)
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		to, ok := r.anchors[name]
		if !ok {
			return nil, fmt.Errorf("the YAML cannot be read at line %d: there is no anchor %s", n.Start.Position.Line, clip(name))
		}
		r.path = append(r.path, "*"+name) // an anchor that holds its own alias ends at the bound of nesting
		v, err := r.value(to)
		r.path = r.path[:len(r.path)-1]
		return v, err
	case *ast.TagNode:
		return r.tagged(n)
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		r.path = append(r.path, "")
		for i, e := range n.Values {
			r.path[len(r.path)-1] = index(i)
			v, err := r.value(e)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		r.path = r.path[:len(r.path)-1]
		return list, nil
	case *ast.MappingNode:
		return r.mapping(n.Values)
	case *ast.MappingValueNode:
		return r.mapping([]*ast.MappingValueNode{n})
	default:
		return nil, fmt.Errorf("the YAML cannot be read: %s is not expected", n.Type())
	}
}

// tagged reads a value with a tag; of tags only !!str says something here.
func (r *yamlReader) tagged(n *ast.TagNode) (any, error) {
	v, err := r.value(n.Value)
	if err != nil || n.Start.Value != "!!str" {
		return v, err
	}
	switch v.(type) {
	case bool, json.Number, nil:
		if n.Value == nil {
			return "", nil
		}
		return n.Value.GetToken().Value, nil
	}
	return v, nil
}

func (r *yamlReader) mapping(list []*ast.MappingValueNode) (any, error) {
	o := newObject()
	var merged []*object
	r.path = append(r.path, "")
	for _, m := range list {
		key, merge := keyOf(m.Key)
		r.path[len(r.path)-1] = key
		v, err := r.value(m.Value)
		if err != nil {
			return nil, err
		}
		if merge {
			from, ok := v.([]any)
			if !ok {
				from = []any{v}
			}
			for _, f := range from {
				if base, ok := f.(*object); ok {
					merged = append(merged, base)
				}
			}
			continue
		}
		if _, twice := o.get(key); twice {
			r.p.add(joined(r.path), "is repeated")
		}
		o.set(key, v)
	}
	r.path = r.path[:len(r.path)-1]
	for _, base := range merged { // own keys win, then those of earlier ones
		for _, k := range base.keys {
			if _, own := o.get(k); own {
				continue
			}
			if r.values++; r.values > maxValues {
				return nil, errValues
			}
			o.set(k, base.vals[k])
		}
	}
	return o, nil
}

// keyOf is a key as text: 200 and "200" are the same.
func keyOf(k ast.Node) (key string, merge bool) {
	switch n := k.(type) {
	case *ast.MergeKeyNode:
		return "<<", true
	case *ast.MappingKeyNode:
		return keyOf(n.Value)
	case *ast.AnchorNode:
		return keyOf(n.Value)
	case *ast.TagNode:
		return keyOf(n.Value)
	case *ast.StringNode:
		return n.Value, false
	case *ast.LiteralNode:
		return n.Value.Value, false
	case nil:
		return "", false
	}
	return strings.TrimSpace(k.GetToken().Value), false
}
