package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Tx is one transaction. It belongs to the function it was given to and to one
// goroutine.
type Tx struct {
	// Now is the one instant of this transaction by the service clock, UTC, in
	// whole microseconds. Life cycles and TTLs use it; leases use Clock.
	Now time.Time

	ctx      context.Context //nolint:containedctx // a Tx lives exactly as long as the Update or View that the context was given to
	store    *Store
	raw      *sql.Tx
	ready    *prepared
	readOnly bool
	scrub    bool
	after    []func()
}

// Context is the context of the Update or View that this transaction runs in.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Store is the store this transaction belongs to.
func (tx *Tx) Store() *Store { return tx.store }

// Dialect answers the database's few differences, for SQL of a table of one's own.
func (tx *Tx) Dialect() Dialect { return tx.store.dialect }

// OnCommit registers f to run once, in this goroutine, after the commit. It does
// not run when the transaction fails, and once only when it had to be repeated.
func (tx *Tx) OnCommit(f func()) { tx.after = append(tx.after, f) }

// Publish wakes the subscribers of topic after the commit (Store.Subscribe).
func (tx *Tx) Publish(topic string) { tx.OnCommit(func() { tx.store.publish(topic) }) }

// Exec runs a statement of the caller's own tables, with '?' placeholders, and
// answers the number of rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if tx.raw == nil {
		return 0, errTxOver
	}
	if tx.readOnly {
		return 0, fmt.Errorf("%w: write inside View", ErrReadOnly)
	}
	var res sql.Result
	var err error
	if st, ok := (*tx.ready)[query]; ok {
		res, err = tx.raw.StmtContext(tx.ctx, st).ExecContext(tx.ctx, args...) //nolint:sqlclosecheck // the transaction's end closes it
	} else {
		res, err = tx.raw.ExecContext(tx.ctx, tx.store.dialect.Rebind(query), args...)
	}
	if err != nil {
		return 0, tx.store.driver.Translate(err)
	}
	n, err := res.RowsAffected()
	return n, tx.store.driver.Translate(err)
}

// Query runs a query with '?' placeholders and calls scan for each row. An error
// of scan ends it and comes back as it is. The rows are closed before Query
// returns, so a transaction never holds two open results.
func (tx *Tx) Query(query string, args []any, scan func(row Row) error) error {
	if tx.raw == nil {
		return errTxOver
	}
	var rows *sql.Rows
	var err error
	if st, ok := (*tx.ready)[query]; ok {
		rows, err = tx.raw.StmtContext(tx.ctx, st).QueryContext(tx.ctx, args...) //nolint:sqlclosecheck // the transaction's end closes it
	} else {
		rows, err = tx.raw.QueryContext(tx.ctx, tx.store.dialect.Rebind(query), args...)
	}
	if err != nil {
		return tx.store.driver.Translate(err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return tx.store.driver.Translate(rows.Err())
}

// QueryRow runs a query of at most one row and scans it into dest; no row is
// ErrNotFound. Statements that write and answer (RETURNING) go through it too.
func (tx *Tx) QueryRow(query string, args []any, dest ...any) error {
	if tx.raw == nil {
		return errTxOver
	}
	var row *sql.Row
	if st, ok := (*tx.ready)[query]; ok {
		row = tx.raw.StmtContext(tx.ctx, st).QueryRowContext(tx.ctx, args...) //nolint:sqlclosecheck // the transaction's end closes it
	} else {
		row = tx.raw.QueryRowContext(tx.ctx, tx.store.dialect.Rebind(query), args...)
	}
	err := row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return tx.store.driver.Translate(err)
}

// Row is one row of a result.
type Row interface{ Scan(dest ...any) error }

// Clock is the clock that all processes on this database share, in microseconds
// since 1970: the database's own where it has one, else the process's wall clock.
// Leases are measured with it, never with Now.
func (tx *Tx) Clock() (int64, error) {
	if tx.store.dialect.Clock == "" {
		return tx.store.wall().UnixMicro(), nil
	}
	var us int64
	if err := tx.QueryRow(tx.store.dialect.Clock, nil, &us); err != nil {
		return 0, fmt.Errorf("read the database clock: %w", err)
	}
	return us, nil
}

// Seal seals plain bytes for a table of one's own. identity names the row they
// belong to: bytes copied to another row do not open.
func (tx *Tx) Seal(keyARN string, identity []string, plain []byte) ([]byte, error) {
	return tx.store.sealer.Seal(tx.ctx, keyARN, bind(identity...), plain)
}

// Unseal opens what Seal made; ErrSealed when the key refuses.
func (tx *Tx) Unseal(keyARN string, identity []string, sealed []byte) ([]byte, error) {
	return tx.store.sealer.Open(tx.ctx, keyARN, bind(identity...), sealed)
}

var errTxOver = errors.New("BUG: store.Tx used after its function returned")

// micros and instant turn times to the store's form, microseconds since 1970, and back.
func micros(t time.Time) int64   { return t.UnixMicro() }
func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }
