package pgvector

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// condition writes a filter as SQL. Keys and values are parameters always.
type condition struct {
	attributes string
	args       []any
}

func (c *condition) arg(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

// write answers a condition that is never NULL, so that NOT means the opposite. The
// CASEs keep PostgreSQL from casting a value of another type.
func (c *condition) write(f *vector.Filter) (string, error) {
	if f.Op == vector.AndAll || f.Op == vector.OrAll {
		word := " AND "
		if f.Op == vector.OrAll {
			word = " OR "
		}
		parts := make([]string, len(f.Of))
		for i := range f.Of {
			var err error
			if parts[i], err = c.write(&f.Of[i]); err != nil {
				return "", err
			}
		}
		return "(" + strings.Join(parts, word) + ")", nil
	}
	key := c.arg(f.Key) + "::text"
	value := "(" + c.attributes + " -> " + key + ")"
	switch f.Op {
	case vector.Equals, vector.NotEquals, vector.In, vector.NotIn:
		list, err := json.Marshal(append([]vector.Value{}, f.Values...))
		if err != nil {
			return "", fmt.Errorf("write the filter on %q: %w", f.Key, err)
		}
		// jsonb compares types first and numbers by value: 2024 = 2024.0.
		sql := "EXISTS (SELECT 1 FROM jsonb_array_elements(" + c.arg(string(list)) + "::jsonb) AS wanted(v) WHERE v = " + value + ")"
		if f.Op == vector.NotEquals || f.Op == vector.NotIn {
			return "NOT " + sql, nil
		}
		return sql, nil
	case vector.StringContains:
		text := c.arg(f.Values[0].Str()) + "::text"
		return "(CASE jsonb_typeof(" + value + ") WHEN 'string' THEN strpos(" + c.attributes + " ->> " + key + ", " + text + ") > 0" +
			" WHEN 'array' THEN EXISTS (SELECT 1 FROM jsonb_array_elements_text(" + value + ") AS member(v) WHERE strpos(v, " + text + ") > 0)" +
			" ELSE false END)", nil
	case vector.ListContains:
		return "(CASE jsonb_typeof(" + value + ") WHEN 'array' THEN " + value + " @> jsonb_build_array(" + c.arg(f.Values[0].Str()) + "::text) ELSE false END)", nil
	default:
		return c.compare(f, key, value)
	}
}

func (c *condition) compare(f *vector.Filter, key, value string) (string, error) {
	sign, ok := map[vector.Op]string{
		vector.LessThan: "<", vector.LessThanOrEquals: "<=", vector.GreaterThan: ">", vector.GreaterThanOrEquals: ">=",
	}[f.Op]
	if !ok {
		return "", &vector.UnsupportedError{Store: "PostgreSQL", What: "the filter operator " + string(f.Op)}
	}
	return "(CASE jsonb_typeof(" + value + ") WHEN 'number' THEN (" + c.attributes + " ->> " + key + ")::float8 " + sign + " " + c.arg(f.Values[0].Num()) + "::float8 ELSE false END)", nil
}
