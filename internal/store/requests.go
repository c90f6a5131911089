package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// CreateRequest stores a new request with its effects. An ID that is taken is
// ErrRequestExists.
func (s *Store) CreateRequest(ctx context.Context, r approval.Request, e approval.Effects) error {
	if r.ID == "" {
		return errors.New("create request: it has no ID")
	}
	w, err := encode(&r)
	if err != nil {
		return fmt.Errorf("create request %s: %w", r.ID, err)
	}
	var done applied
	err = s.write(ctx, func(t *transaction) error {
		n, err := t.exec(ctx, insertRequest, w.request.values()...)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrRequestExists
		}
		if err := putRows(ctx, t, r.ID, rows{}, w); err != nil {
			return err
		}
		done, err = apply(ctx, t, e, time.Now())
		return err
	})
	if err != nil {
		return fmt.Errorf("create request %s: %w", r.ID, err)
	}
	s.after(done)
	return nil
}

// Request reads one, or fails with approval.ErrNoRequest.
func (s *Store) Request(ctx context.Context, id string) (approval.Request, error) {
	var r approval.Request
	err := s.read(ctx, func(t *transaction) error {
		var w rows
		err := t.row(ctx, selectRequest, id).Scan(w.request.targets()...)
		if errors.Is(err, sql.ErrNoRows) {
			return approval.ErrNoRequest
		}
		if err != nil {
			return err
		}
		r, err = complete(ctx, t, w.request)
		return err
	})
	if err != nil {
		return approval.Request{}, fmt.Errorf("read request %s: %w", id, err)
	}
	return r, nil
}

// ChangeRequest reads the request under a lock, lets change work on it and
// stores it with the effects, its Revision one higher. change may read from
// the store, but a write from within it would wait for itself. What comes
// back is what a later Request reads.
func (s *Store) ChangeRequest(ctx context.Context, id string, change func(*approval.Request) (approval.Effects, error)) (approval.Request, error) {
	var (
		r         approval.Request
		done      applied
		changeErr error
	)
	err := s.write(ctx, func(t *transaction) error {
		var found requestRow
		err := t.row(ctx, lockRequest, id).Scan(found.targets()...)
		if errors.Is(err, sql.ErrNoRows) {
			return approval.ErrNoRequest
		}
		if err != nil {
			return err
		}
		revision := found.revision // already counted up
		found.revision--
		before, err := load(ctx, t, found)
		if err != nil {
			return err
		}
		if r, err = decode(before); err != nil {
			return err
		}
		var e approval.Effects
		if e, changeErr = change(&r); changeErr != nil {
			return changeErr
		}
		if r.ID != id {
			return fmt.Errorf("the change gave it another ID, %s", r.ID)
		}
		r.Revision = revision
		after, err := encode(&r)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, updateRequest, after.request.values()...); err != nil {
			return err
		}
		if err := putRows(ctx, t, id, before, after); err != nil {
			return err
		}
		done, err = apply(ctx, t, e, time.Now())
		return err
	})
	switch {
	case changeErr != nil:
		return approval.Request{}, changeErr
	case err != nil:
		return approval.Request{}, fmt.Errorf("change request %s: %w", id, err)
	}
	s.after(done)
	return r, nil
}

// OpenRequests are those that have not ended, oldest first.
func (s *Store) OpenRequests(ctx context.Context) ([]approval.Request, error) {
	list, err := s.requests(ctx, selectOpenRequests)
	if err != nil {
		return nil, fmt.Errorf("read open requests: %w", err)
	}
	return list, nil
}

// RecentRequests are the newest ones, newest first, at most limit.
func (s *Store) RecentRequests(ctx context.Context, limit int) ([]approval.Request, error) {
	if limit <= 0 {
		return nil, nil
	}
	list, err := s.requests(ctx, selectRecentRequests, limit)
	if err != nil {
		return nil, fmt.Errorf("read recent requests: %w", err)
	}
	return list, nil
}

func (s *Store) requests(ctx context.Context, query string, args ...any) ([]approval.Request, error) {
	var list []approval.Request
	err := s.read(ctx, func(t *transaction) error {
		found, err := all(ctx, t, func(w *requestRow) []any { return w.targets() }, query, args...)
		if err != nil {
			return err
		}
		for _, w := range found {
			r, err := complete(ctx, t, w)
			if err != nil {
				return fmt.Errorf("request %s: %w", w.id, err)
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}

// complete is the request of that row with all that belongs to it.
func complete(ctx context.Context, t *transaction, found requestRow) (approval.Request, error) {
	w, err := load(ctx, t, found)
	if err != nil {
		return approval.Request{}, err
	}
	return decode(w)
}

// load reads the other rows of a request.
func load(ctx context.Context, t *transaction, found requestRow) (rows, error) {
	w := rows{request: found}
	if err := t.row(ctx, selectBody, found.id).Scan(w.body.targets()...); err != nil {
		return rows{}, err
	}
	var err error
	if w.decisions, err = all(ctx, t, func(w *decisionRow) []any { return w.targets() }, selectDecisions, found.id); err != nil {
		return rows{}, err
	}
	if w.steps, err = all(ctx, t, func(w *stepRow) []any { return w.targets() }, selectSteps, found.id); err != nil {
		return rows{}, err
	}
	if w.cards, err = all(ctx, t, func(w *cardRow) []any { return w.targets() }, selectCards, found.id); err != nil {
		return rows{}, err
	}
	return w, nil
}

// putRows writes what of a request's other rows has changed.
func putRows(ctx context.Context, t *transaction, id string, before, after rows) error {
	if before.body != after.body {
		if _, err := t.exec(ctx, putBody, append([]any{id}, after.body.values()...)...); err != nil {
			return err
		}
	}
	if err := putList(ctx, t, id, putDecision, cutDecisions, before.decisions, after.decisions, (*decisionRow).values); err != nil {
		return err
	}
	if err := putList(ctx, t, id, putStep, cutSteps, before.steps, after.steps, (*stepRow).values); err != nil {
		return err
	}
	return putList(ctx, t, id, putCard, cutCards, before.cards, after.cards, (*cardRow).values)
}

func putList[T comparable](ctx context.Context, t *transaction, id, put, cut string, before, after []T, values func(*T) []any) error {
	for i := range after {
		if i < len(before) && before[i] == after[i] {
			continue
		}
		if _, err := t.exec(ctx, put, append([]any{id, i}, values(&after[i])...)...); err != nil {
			return err
		}
	}
	if len(after) < len(before) {
		if _, err := t.exec(ctx, cut, id, len(after)); err != nil {
			return err
		}
	}
	return nil
}
