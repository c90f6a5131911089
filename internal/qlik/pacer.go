package qlik

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How much of a published limit is used. Rate and burst together never exceed
// the limit within any minute, although Qlik counts over five: another process
// with the same OAuth client may be working beside this one. Bulk work stays
// below four fifths of the limit and of the rate, so that a fifth is always
// left for people.
const (
	pacedRate  = 0.85
	pacedBurst = 0.15
	bulkShare  = 0.8
)

// pacer keeps the calls to one tenant under Qlik's rate limits, one lane a
// tier, and remembers for each lane until when Qlik wants to be left alone.
type pacer struct {
	mu    sync.Mutex // guards lanes
	lanes map[string]*lane
}

type lane struct {
	all  *rate.Limiter // every call
	bulk *rate.Limiter // bulk calls, before all

	mu    sync.Mutex // guards until
	until time.Time  // the end of the pause after a 429
}

func newPacer() *pacer { return &pacer{lanes: map[string]*lane{}} }

// busyError says that a call's turn comes after its deadline.
type busyError struct{ after time.Duration }

func (e *busyError) Error() string {
	if e.after > 0 {
		return fmt.Sprintf("the rate limit allows it in %s, which is too late", e.after.Round(time.Millisecond))
	}
	return "the rate limit allows it too late"
}

func (p *pacer) lane(op Operation) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[op.lane()]
	if l == nil {
		limit := float64(op.Tier.PerMinute)
		perSecond := rate.Limit(limit * pacedRate / time.Minute.Seconds())
		burst := limit * pacedBurst
		l = &lane{
			all:  rate.NewLimiter(perSecond, max(1, int(burst))),
			bulk: rate.NewLimiter(perSecond*bulkShare, max(1, int(burst*bulkShare))),
		}
		p.lanes[op.lane()] = l
	}
	return l
}

// wait returns when the call may be sent. It returns a *busyError at once when
// that would be after the context's deadline, and the context's cause when the
// context ends.
func (p *pacer) wait(ctx context.Context, op Operation, bulk bool) error {
	l := p.lane(op)
	// Those who wait for the end of a pause hold no turn meanwhile, so that
	// they do not all leave at once when it comes.
	if err := l.sitOut(ctx); err != nil {
		return err
	}
	if bulk {
		// Bulk calls queue among themselves, and only the first of them in
		// the queue of all, where people would have to wait behind it.
		if err := take(ctx, l.bulk); err != nil {
			return err
		}
	}
	if err := take(ctx, l.all); err != nil {
		return err
	}
	return l.sitOut(ctx) // one that began while waiting for the turn
}

// sitOut waits for the end of the lane's pause.
func (l *lane) sitOut(ctx context.Context) error {
	for {
		l.mu.Lock()
		rest := time.Until(l.until)
		l.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case rest <= 0:
			return nil
		case !fits(ctx, rest):
			return &busyError{after: rest}
		}
		if err := sleep(ctx, rest); err != nil {
			return err
		}
	}
}

// take takes one token. It is rate.Limiter.Wait, with an error that says how
// long the wait would have been.
func take(ctx context.Context, l *rate.Limiter) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r := l.Reserve()
	delay := r.Delay()
	if delay == 0 {
		return nil
	}
	if !fits(ctx, delay) {
		r.Cancel()
		return &busyError{after: delay}
	}
	if err := sleep(ctx, delay); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

// pause shuts the operation's lane for as long as a 429 says. A shorter pause
// does not end a longer one.
func (p *pacer) pause(op Operation, d time.Duration) {
	l := p.lane(op)
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.until) {
		l.until = until
	}
}
