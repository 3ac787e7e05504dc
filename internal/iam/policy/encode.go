package policy

import (
	"bytes"
	"encoding/json"
)

// Canonical returns the document in one spelling: elements in the language's
// order, statements and values always as lists, no white space. Two documents
// with the same canonical form mean the same.
func (p *Policy) Canonical() string {
	var w writer
	w.open('{')
	w.member("Version", p.Version)
	if p.ID != "" {
		w.member("Id", p.ID)
	}
	w.name("Statement")
	w.open('[')
	for i := range p.Statements {
		w.comma()
		w.statement(&p.Statements[i])
	}
	w.close(']')
	w.close('}')
	return w.String()
}

type writer struct {
	bytes.Buffer
	more bool // something stands before in this list or object
}

func (w *writer) open(c byte)  { w.WriteByte(c); w.more = false }
func (w *writer) close(c byte) { w.WriteByte(c); w.more = true }

func (w *writer) comma() {
	if w.more {
		w.WriteByte(',')
	}
	w.more = true
}

func (w *writer) text(s string) {
	e := json.NewEncoder(&w.Buffer)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("BUG: encode a string: " + err.Error())
	}
	w.Truncate(w.Len() - 1) // the encoder's line end
}

func (w *writer) name(s string) {
	w.comma()
	w.text(s)
	w.WriteByte(':')
}

func (w *writer) member(name, value string) {
	w.name(name)
	w.text(value)
}

func (w *writer) list(name string, values []string) {
	if values == nil {
		return
	}
	w.name(name)
	w.open('[')
	for _, v := range values {
		w.comma()
		w.text(v)
	}
	w.close(']')
}

func (w *writer) statement(s *Statement) {
	w.open('{')
	if s.Sid != "" {
		w.member("Sid", s.Sid)
	}
	w.member("Effect", string(s.Effect))
	w.principals("Principal", s.Principal)
	w.principals("NotPrincipal", s.NotPrincipal)
	w.list("Action", s.Action)
	w.list("NotAction", s.NotAction)
	w.list("Resource", s.Resource)
	w.list("NotResource", s.NotResource)
	if len(s.Condition) > 0 {
		w.name("Condition")
		w.open('{')
		for i, c := range s.Condition {
			if i > 0 && s.Condition[i-1].Operator == c.Operator {
				continue // written with the first of its operator
			}
			w.name(c.Operator)
			w.open('{')
			for _, d := range s.Condition[i:] {
				if d.Operator != c.Operator {
					break
				}
				w.list(d.Key, d.Values)
			}
			w.close('}')
		}
		w.close('}')
	}
	w.close('}')
}

func (w *writer) principals(name string, p *Principals) {
	if p == nil {
		return
	}
	if p.Any {
		w.member(name, "*")
		return
	}
	w.name(name)
	w.open('{')
	w.list("AWS", p.AWS)
	w.list("CanonicalUser", p.Canonical)
	w.list("Federated", p.Federated)
	w.list("Service", p.Service)
	w.close('}')
}
