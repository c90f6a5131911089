package socket

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// backoff gives the waits after failures of one slot: doubling, with jitter.
// It is not safe for concurrent use.
type backoff struct {
	min, max, last time.Duration
}

// next returns the next wait: between half and all of a span that doubles each
// time up to max.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return b.last/2 + jitter(b.last/2)
}

// forget starts anew, after a healthy spell.
func (b *backoff) forget() { b.last = 0 }

// jitter returns a random duration from 0 to d.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d + 1)
}

// sleep waits for d and reports whether ctx is still open.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// pacer spaces the calls of Config.Open over all slots. In any span of time
// there are at most burst calls and one more for each whole interval in it.
type pacer struct {
	every time.Duration
	burst int

	mu sync.Mutex
	// next is when the bucket of saved-up calls would be full but one: a call
	// may be made from burst-1 intervals before it.
	next time.Time
	// held is the time before which no call is made at all.
	held time.Time
}

// hold forbids calls for d from now.
func (p *pacer) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.held) {
		p.held = until
	}
}

// take takes one call, or returns how long to wait before asking again.
func (p *pacer) take() (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	at := p.next.Add(-time.Duration(p.burst-1) * p.every)
	if p.held.After(at) {
		at = p.held
	}
	if d := at.Sub(now); d > 0 {
		return d, false
	}
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
	return 0, true
}

// wait takes one call as soon as there is one and reports whether ctx is still
// open. It asks again after each wait because a hold may have come meanwhile.
func (p *pacer) wait(ctx context.Context) bool {
	for {
		d, ok := p.take()
		if ok {
			return ctx.Err() == nil
		}
		if !sleep(ctx, d) {
			return false
		}
	}
}
