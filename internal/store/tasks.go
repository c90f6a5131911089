package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// applied is what effects came to.
type applied struct {
	// wake says that a task may be claimable now that was not before.
	wake bool
	// added are the keys of the tasks that will run because of the effects:
	// all but those with Once whose key was known.
	added []string
}

// apply stores effects inside the transaction of what they belong to.
func apply(ctx context.Context, t *transaction, e approval.Effects, now time.Time) (applied, error) {
	var done applied
	if e.Hold != nil {
		if err := one(ctx, t, holdTask, e.Hold.Key, e.Hold.Token, millis(now)); err != nil {
			return done, fmt.Errorf("hold task %s: %w", e.Hold.Key, err)
		}
	}
	if e.Finish != nil {
		var state, lane string
		err := t.row(ctx, finishTask, e.Finish.Key, e.Finish.Token, millis(now)).Scan(&state, &lane)
		if errors.Is(err, sql.ErrNoRows) {
			err = approval.ErrLost
		}
		if err != nil {
			return done, fmt.Errorf("finish task %s: %w", e.Finish.Key, err)
		}
		done.wake = state == "ready" || lane != ""
	}
	for _, key := range e.Cancel {
		if err := cancel(ctx, t, key, now); err != nil {
			return done, fmt.Errorf("cancel task %s: %w", key, err)
		}
	}
	for _, owed := range e.Tasks {
		added, err := add(ctx, t, owed, now)
		if err != nil {
			return done, fmt.Errorf("add task %s: %w", owed.Key, err)
		}
		if added {
			done.added, done.wake = append(done.added, owed.Key), true
		}
	}
	if err := appendRecords(ctx, t, e.Records, now); err != nil {
		return done, err
	}
	return done, nil
}

// one runs a statement that must meet one claimed task, and fails with
// approval.ErrLost when it met none.
func one(ctx context.Context, t *transaction, statement string, args ...any) error {
	n, err := t.exec(ctx, statement, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return approval.ErrLost
	}
	return nil
}

func add(ctx context.Context, t *transaction, owed approval.Task, now time.Time) (bool, error) {
	if owed.Key == "" || owed.Kind == "" {
		return false, errors.New("a task has a key and a kind")
	}
	runAt := owed.RunAt
	if runAt.IsZero() {
		runAt = now
	}
	var key string
	err := t.row(ctx, addTask, owed.Key, owed.Kind, owed.Request, owed.Lane, string(owed.Body), millis(runAt), flag(owed.Once)).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func cancel(ctx context.Context, t *transaction, key string, now time.Time) error {
	if _, err := t.exec(ctx, cancelTask, key); err != nil {
		return err
	}
	if _, err := t.exec(ctx, cancelOnceTask, key, millis(now)); err != nil {
		return err
	}
	_, err := t.exec(ctx, cancelAgain, key)
	return err
}

// Append writes records that belong to no stored request, and adds or
// finishes tasks with them.
func (s *Store) Append(ctx context.Context, e approval.Effects) error {
	_, err := s.AppendNew(ctx, e)
	return err
}

// AppendNew does what Append does and names the tasks that will run because
// of it: all but those with Once whose key was known. A Slack envelope that
// comes a second time shows in this. Its records are written in any case.
func (s *Store) AppendNew(ctx context.Context, e approval.Effects) ([]string, error) {
	var done applied
	err := s.write(ctx, func(t *transaction) (err error) {
		done, err = apply(ctx, t, e, time.Now())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("append to the database: %w", err)
	}
	s.after(done)
	return done.added, nil
}

// Claim takes the task of the given kinds that has been due longest and whose
// lane is free.
func (s *Store) Claim(ctx context.Context, kinds []string, lease time.Duration) (c approval.Claim, ok bool, err error) {
	if len(kinds) == 0 {
		return approval.Claim{}, false, nil
	}
	if lease < time.Millisecond {
		return approval.Claim{}, false, fmt.Errorf("claim a task: a lease of %v is none", lease)
	}
	now := time.Now()
	// A random token is new for each claim even when the task was deleted and
	// added again in between.
	args, err := withKinds(kinds, millis(now), rand.Int64N(math.MaxInt64)+1, millis(now.Add(lease))) //nolint:gosec // it tells claims apart and keeps no secret
	if err != nil {
		return approval.Claim{}, false, fmt.Errorf("claim a task: %w", err)
	}
	err = s.write(ctx, func(t *transaction) error {
		var runAt, once int64
		var body string
		err := t.row(ctx, claimTask, args...).Scan(
			&c.Key, &c.Kind, &c.Request, &c.Lane, &body, &runAt, &once, &c.Token, &c.Attempt)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		c.Body, c.RunAt, c.Once = raw(body), instant(runAt), once != 0
		return nil
	})
	if err != nil {
		return approval.Claim{}, false, fmt.Errorf("claim a task: %w", err)
	}
	return c, ok, nil
}

// Renew makes the lease end that long from now. A lease that is already over
// cannot be renewed: that is approval.ErrLost too.
func (s *Store) Renew(ctx context.Context, c approval.Claim, lease time.Duration) error {
	err := s.write(ctx, func(t *transaction) error {
		now := time.Now()
		return one(ctx, t, renewTask, c.Key, c.Token, millis(now), millis(now.Add(lease)))
	})
	if err != nil {
		return fmt.Errorf("renew the lease of task %s: %w", c.Key, err)
	}
	return nil
}

// Retry puts a claimed task back, due at that time. That it was added once
// more while it ran does not pull it forward.
func (s *Store) Retry(ctx context.Context, c approval.Claim, at time.Time, why string) error {
	err := s.write(ctx, func(t *transaction) error {
		return one(ctx, t, retryTask, c.Key, c.Token, millis(at), text(why))
	})
	if err != nil {
		return fmt.Errorf("put task %s back: %w", c.Key, err)
	}
	s.after(applied{wake: true})
	return nil
}

// NextDue is the earliest time at which a Claim could succeed if nothing
// happened until then. It may be past. A task whose lane is busy counts with
// the end of the lease that keeps it busy; the lane may become free before,
// which Added tells.
func (s *Store) NextDue(ctx context.Context, kinds []string) (at time.Time, ok bool, err error) {
	if len(kinds) == 0 {
		return time.Time{}, false, nil
	}
	args, err := withKinds(kinds, millis(time.Now()))
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find the next due task: %w", err)
	}
	due := int64(-1)
	err = s.read(ctx, func(t *transaction) error {
		return t.row(ctx, nextDue, args...).Scan(&due)
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find the next due task: %w", err)
	}
	if due < 0 {
		return time.Time{}, false, nil
	}
	return time.UnixMilli(due).UTC(), true, nil
}

// Added returns a channel that is closed when tasks were added, were put back
// or may be claimed because a lane became free, after the call.
func (s *Store) Added() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.added
}

// after tells whoever waits on Added. It is called once the transaction is on
// the disk.
func (s *Store) after(done applied) {
	if !done.wake {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.added)
	s.added = make(chan struct{})
}

// withKinds are the arguments of a statement that names maxKinds kinds last.
func withKinds(kinds []string, args ...any) ([]any, error) {
	if len(kinds) > maxKinds {
		return nil, fmt.Errorf("%d kinds of tasks at once, and at most %d are possible", len(kinds), maxKinds)
	}
	for i := range maxKinds {
		args = append(args, kinds[i%len(kinds)])
	}
	return args, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
