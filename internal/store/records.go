package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/audit"
)

// appendRecords seals entries after the head of the chain. The head's row is
// locked from here to the end of the transaction.
func appendRecords(ctx context.Context, t *transaction, entries []audit.Entry, now time.Time) error {
	if len(entries) == 0 {
		return nil
	}
	var head audit.Head
	if err := t.row(ctx, lockHead).Scan(&head.Seq, &head.Hash); err != nil {
		return fmt.Errorf("read the end of the audit record: %w", err)
	}
	for _, e := range entries {
		// What is sealed must be what is read back, or the chain breaks.
		e.Request, e.Tenant, e.Command = text(e.Request), text(e.Tenant), text(e.Command)
		e.Outcome, e.Detail = text(e.Outcome), text(e.Detail)
		r, err := audit.Seal(head, e, now)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, insertRecord, r.Seq, r.Time, r.Request, r.Event, r.Actor.Team, r.Actor.User,
			r.Tenant, r.Command, r.Outcome, r.Detail, r.Policy, r.Plan, r.Prev, r.Hash); err != nil {
			return fmt.Errorf("append audit record %d: %w", r.Seq, err)
		}
		head = r.Head()
	}
	if _, err := t.exec(ctx, moveHead, head.Seq, head.Hash); err != nil {
		return fmt.Errorf("move the end of the audit record: %w", err)
	}
	return nil
}

// RecordFilter says which audit records are wanted. The zero filter wants all.
type RecordFilter struct {
	Since time.Time // from then on
	Until time.Time // before then
	// Tenant and Request match in full.
	Tenant  string
	Request string
	// Text is looked for, in either case of A to Z, in the request, event,
	// user, tenant, command, outcome and detail.
	Text string
	// Last wants only so many of those that match, the newest.
	Last int
}

// recordPage is how many records are read at a time; nothing stays open
// between pages, so a slow reader holds nobody up.
const recordPage = 500

// Records walks the chain in its order, or those of its records that the
// filter wants. Records that are appended meanwhile are among them.
func (s *Store) Records(ctx context.Context, f RecordFilter) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		next, err := s.firstRecord(ctx, f)
		if err != nil {
			yield(audit.Record{}, fmt.Errorf("read the audit record: %w", err))
			return
		}
		for {
			page, err := s.records(ctx, f, next)
			if err != nil {
				yield(audit.Record{}, fmt.Errorf("read the audit record: %w", err))
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				next = r.Seq + 1
			}
			if len(page) < recordPage {
				return
			}
		}
	}
}

// firstRecord is the number from which on all that match are wanted.
func (s *Store) firstRecord(ctx context.Context, f RecordFilter) (seq int64, err error) {
	// A record whose number somebody made negative must not escape notice.
	seq = -1 << 63
	if f.Last <= 0 {
		return seq, nil
	}
	err = s.read(ctx, func(t *transaction) error {
		return t.row(ctx, selectLastRecords, f.args(seq, f.Last)...).Scan(&seq)
	})
	return seq, err
}

func (s *Store) records(ctx context.Context, f RecordFilter, from int64) ([]audit.Record, error) {
	var page []audit.Record
	err := s.read(ctx, func(t *transaction) (err error) {
		page, err = all(ctx, t, func(r *audit.Record) []any {
			return []any{
				&r.Seq, &r.Time, &r.Request, &r.Event, &r.Actor.Team, &r.Actor.User,
				&r.Tenant, &r.Command, &r.Outcome, &r.Detail, &r.Policy, &r.Plan, &r.Prev, &r.Hash,
			}
		}, selectRecords, f.args(from, recordPage)...)
		return err
	})
	return page, err
}

// args are those of recordMatches.
func (f RecordFilter) args(from int64, limit int) []any {
	var pattern string
	if f.Text != "" {
		pattern = "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Text) + "%"
	}
	return []any{from, recordTime(f.Since), recordTime(f.Until), f.Tenant, f.Request, pattern, limit}
}

func recordTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return audit.FormatTime(t)
}

// AuditHead is the end of the chain as the next record will continue it.
func (s *Store) AuditHead(ctx context.Context) (audit.Head, error) {
	var head audit.Head
	err := s.read(ctx, func(t *transaction) error {
		err := t.row(ctx, selectHead).Scan(&head.Seq, &head.Hash)
		if errors.Is(err, sql.ErrNoRows) {
			return errors.New("its row is gone")
		}
		return err
	})
	if err != nil {
		return audit.Head{}, fmt.Errorf("read the end of the audit record: %w", err)
	}
	return head, nil
}
