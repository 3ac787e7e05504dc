package rag

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// The placeholders of prompt templates.
const (
	holdResults  = "$search_results$"
	holdQuery    = "$query$"
	holdFormat   = "$output_format_instructions$"
	holdTime     = "$current_time$"
	holdHistory  = "$conversation_history$"
	maxTemplate  = 4000 // characters, as the service model says
	maxTemplates = 256  // parsed ones that are kept
)

var placeholders = []string{holdResults, holdQuery, holdFormat, holdTime, holdHistory}

// template is a prompt cut at its placeholders: a piece is one, or plain text.
type template struct {
	pieces []string
	holds  map[string]bool
}

// parseTemplate cuts a template at the names of its parts. What stands between dollars and names
// none of them is text.
func parseTemplate(text string) *template {
	t := &template{holds: map[string]bool{}}
	from := 0
	for i := 0; i < len(text); {
		hold := ""
		if text[i] == '$' {
			for _, p := range placeholders {
				if strings.HasPrefix(text[i:], p) {
					hold = p
				}
			}
		}
		if hold == "" {
			i++
			continue
		}
		if from < i {
			t.pieces = append(t.pieces, text[from:i])
		}
		t.pieces = append(t.pieces, hold)
		t.holds[hold] = true
		i += len(hold)
		from = i
	}
	if from < len(text) {
		t.pieces = append(t.pieces, text[from:])
	}
	return t
}

// fill puts values in place of placeholders, in one pass: what is put in is never
// looked at again. A placeholder without a value stays.
func (t *template) fill(values map[string]string) string {
	n := 0
	for _, p := range t.pieces {
		if v, ok := values[p]; ok {
			n += len(v)
		} else {
			n += len(p)
		}
	}
	var b strings.Builder
	b.Grow(n)
	for _, p := range t.pieces {
		if v, ok := values[p]; ok {
			b.WriteString(v)
		} else {
			b.WriteString(p)
		}
	}
	return b.String()
}

// templates keeps parsed templates: programs send the same one with every request.
type templates struct {
	mu sync.RWMutex
	by map[string]*template
}

func (c *templates) get(text string) *template {
	c.mu.RLock()
	t := c.by[text]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	t = parseTemplate(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil || len(c.by) >= maxTemplates {
		c.by = map[string]*template{}
	}
	c.by[text] = t
	return t
}

// checked is get for a template of a request: one that lacks a placeholder is refused.
func (c *templates) checked(text, member string, needed ...string) (*template, error) {
	if n := utf8.RuneCountInString(text); n > maxTemplate {
		return nil, invalid("%s has %d characters; at most %d are allowed.", member, n, maxTemplate)
	}
	t := c.get(text)
	for _, p := range needed {
		if !t.holds[p] {
			return nil, invalid("%s lacks the placeholder %s, which is required for this model.", member, p)
		}
	}
	return t, nil
}

func invalid(format string, args ...any) error { return apierr.New(apierr.Validation, format, args...) }
