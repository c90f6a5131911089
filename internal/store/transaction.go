package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// pool is a set of connections with the statements that are prepared on them.
type pool struct {
	*sql.DB
	prepared map[string]*sql.Stmt // by their text; not changed after prepare
}

// prepare readies the statements. They are closed with the pool.
func (p *pool) prepare(ctx context.Context, statements []string) error {
	p.prepared = make(map[string]*sql.Stmt, len(statements))
	for _, text := range statements {
		statement, err := p.PrepareContext(ctx, text) //nolint:sqlclosecheck // Close closes it
		if err != nil {
			return fmt.Errorf("prepare %q: %w", text, err)
		}
		p.prepared[text] = statement
	}
	return nil
}

// Close closes the statements and the connections.
func (p *pool) Close() error {
	var errs []error
	for _, statement := range p.prepared {
		errs = append(errs, statement.Close())
	}
	return errors.Join(append(errs, p.DB.Close())...)
}

// transaction is one transaction with the statements of its pool.
type transaction struct {
	tx   *sql.Tx
	pool *pool
}

func (p *pool) begin(ctx context.Context, o *sql.TxOptions) (*transaction, error) {
	tx, err := p.BeginTx(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	return &transaction{tx: tx, pool: p}, nil
}

func (t *transaction) statement(ctx context.Context, text string) *sql.Stmt {
	prepared, ok := t.pool.prepared[text]
	if !ok {
		// A statement that queries.go does not list is a mistake of this
		// package, which every test that comes by here would meet.
		panic("store: a statement was not prepared: " + text)
	}
	return t.tx.StmtContext(ctx, prepared)
}

// exec runs a statement and says how many rows it has changed.
func (t *transaction) exec(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := t.statement(ctx, text).ExecContext(ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row runs a statement that gives at most one row; Scan tells sql.ErrNoRows.
func (t *transaction) row(ctx context.Context, text string, args ...any) *sql.Row {
	return t.statement(ctx, text).QueryRowContext(ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
}

// all reads every row that a statement gives, so that nothing stays open.
func all[T any](ctx context.Context, t *transaction, targets func(*T) []any, text string, args ...any) (list []T, err error) {
	found, err := t.statement(ctx, text).QueryContext(ctx, args...) //nolint:sqlclosecheck // the end of the transaction closes it
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var one T
		if err := found.Scan(targets(&one)...); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, found.Err()
}

// write runs f in a transaction of its own. When f fails, or panics, nothing
// of it is stored. f must not write by any other way than the transaction: it
// would wait for itself.
func (s *Store) write(ctx context.Context, f func(t *transaction) error) error {
	if s.writer == nil {
		return ErrReadOnly
	}
	t, err := s.writer.begin(ctx, nil)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			// The first error is the one to tell; after a failed rollback the
			// connection is thrown away, which rolls back too.
			_ = t.tx.Rollback()
		}
	}()
	if err := f(t); err != nil {
		return err
	}
	done = true
	if err := t.tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// read runs f on one unchanging view of the database.
func (s *Store) read(ctx context.Context, f func(t *transaction) error) error {
	t, err := s.reader.begin(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	// There is nothing to keep, whatever happened.
	defer func() { _ = t.tx.Rollback() }()
	return f(t)
}
