package pgvector

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// managed is what the metadata column holds.
type managed struct {
	ID         string          `json:"id"`
	Document   string          `json:"document"`
	Version    string          `json:"version,omitempty"`
	Ordinal    int             `json:"ordinal"`
	Parent     string          `json:"parent,omitempty"`
	Source     json.RawMessage `json:"source,omitempty"`
	Attributes vector.Metadata `json:"attributes,omitempty"`
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// uuid is the primary key of a chunk: its id, or a hash of it in that form
// (RFC 9562, version 8).
func uuid(id string) string {
	if uuidForm.MatchString(id) {
		return id
	}
	h := sha256.Sum256([]byte("outcrop chunk\x00" + id))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	s := hex.EncodeToString(h[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Replace makes chunks the whole of the document. Writers of one document wait for
// each other.
func (x *Index) Replace(ctx context.Context, d vector.Document, chunks []vector.Chunk) error {
	if err := x.usable(); err != nil {
		return err
	}
	if err := vector.CheckReplace(x.Definition(), d, chunks); err != nil {
		return err
	}
	err := x.update(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, x.table+d.ID); err != nil {
			return err
		}
		if err := x.remove(ctx, tx, []string{d.ID}); err != nil {
			return err
		}
		return x.insert(ctx, tx, d, chunks)
	})
	if err != nil {
		return fmt.Errorf("write document %q: %w", d.ID, err)
	}
	return nil
}

// Delete removes documents.
func (x *Index) Delete(ctx context.Context, documents ...string) error {
	if err := x.usable(); err != nil {
		return err
	}
	if len(documents) == 0 {
		return nil
	}
	if err := x.update(ctx, func(tx *sql.Tx) error { return x.remove(ctx, tx, documents) }); err != nil {
		return fmt.Errorf("delete documents: %w", err)
	}
	return nil
}

func (x *Index) update(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := x.store.db.BeginTx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return translate(err)
	}
	return translate(tx.Commit())
}

func (x *Index) remove(ctx context.Context, tx *sql.Tx, documents []string) error {
	list, err := json.Marshal(documents)
	if err != nil {
		return err
	}
	//nolint:gosec // names are quoted
	_, err = tx.ExecContext(ctx, `DELETE FROM `+x.table+` WHERE `+x.managed("document")+` IN (SELECT jsonb_array_elements_text($1::jsonb))`, string(list))
	return err
}

// managed is the expression of a member of the metadata column.
func (x *Index) managed(member string) string {
	return `(` + quoteColumn(x.store.cfg.Metadata) + `::jsonb ->> '` + member + `')`
}

func (x *Index) insert(ctx context.Context, tx *sql.Tx, d vector.Document, chunks []vector.Chunk) error {
	if len(chunks) == 0 {
		return nil
	}
	c := x.store.cfg
	own := slices.Sorted(maps.Keys(x.own))
	columns := []string{c.PrimaryKey, c.Vector, c.Text, c.Metadata}
	places := []string{"$1::uuid", "$2::vector", "$3", "$4::json"}
	if c.CustomMetadata != "" {
		columns, places = append(columns, c.CustomMetadata), append(places, "$5::json")
	}
	for _, name := range own {
		columns = append(columns, name)
		places = append(places, "$"+strconv.Itoa(len(places)+1))
	}
	for i, name := range columns {
		columns[i] = quoteColumn(name)
	}
	//nolint:gosec // names are quoted
	insert, err := tx.PrepareContext(ctx, `INSERT INTO `+x.table+` (`+strings.Join(columns, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := range chunks {
		args, err := x.row(d, &chunks[i], own)
		if err != nil {
			return err
		}
		_, err = insert.ExecContext(ctx, args...)
		switch code(err) {
		case uniqueViolation:
			return vector.Invalid("the chunk id %q belongs to another document", chunks[i].ID)
		case notNullViolation:
			return vector.Invalid("a column of %s without a default must not be empty: %v", c.Table, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) row(d vector.Document, ch *vector.Chunk, own []string) ([]any, error) {
	if strings.ContainsRune(ch.Text, 0) {
		return nil, vector.Invalid("the text of chunk %q holds a NUL character", ch.ID)
	}
	m := managed{ch.ID, d.ID, d.Version, ch.Ordinal, ch.Parent, ch.Source, ch.Metadata}
	var attributes []byte
	if x.store.cfg.CustomMetadata != "" {
		m.Attributes = nil
		var err error
		if attributes, err = json.Marshal(ch.Metadata); err != nil {
			return nil, err
		}
		if ch.Metadata == nil {
			attributes = []byte("{}")
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	args := []any{uuid(ch.ID), format(ch.Vector), ch.Text, string(text)}
	if attributes != nil {
		args = append(args, string(attributes))
	}
	for _, name := range own {
		args = append(args, cell(x.own[name], ch.Metadata[name]))
	}
	return args, nil
}

// cell is an attribute for a column of that type, NULL where it does not fit.
func cell(kind string, v vector.Value) any {
	switch {
	case (kind == "text" || strings.HasPrefix(kind, "character varying")) && v.Kind() == vector.String:
		return v.Str()
	case kind == "boolean" && v.Kind() == vector.Bool:
		return v.Bool()
	case (kind == "double precision" || kind == "real" || strings.HasPrefix(kind, "numeric")) && v.Kind() == vector.Number:
		return v.Num()
	case (kind == "integer" || kind == "bigint" || kind == "smallint") && v.Kind() == vector.Number && v.Num() == float64(int32(v.Num())):
		return int64(v.Num())
	default:
		return nil
	}
}

// format writes a vector as the extension reads it, NULL for none.
func format(v []float32) any {
	if v == nil {
		return nil
	}
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return string(append(b, ']'))
}

var errForm = errors.New("not the text of a vector")

func parse(s string) ([]float32, error) {
	if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
		return nil, errForm
	}
	fields := strings.Split(s[1:len(s)-1], ",")
	v := make([]float32, len(fields))
	for i, f := range fields {
		x, err := strconv.ParseFloat(f, 32)
		if err != nil {
			return nil, errForm
		}
		v[i] = float32(x)
	}
	return v, nil
}
