package qlik

import (
	"context"
	"sync"
)

// keyLocks makes writers of one object wait for each other. Locks are channels
// so that waiting ends with the caller's context.
type keyLocks struct {
	mu   sync.Mutex // guards held
	held map[string]*keyLock
}

type keyLock struct {
	turn  chan struct{} // holds one value while locked
	users int           // holders and waiters; guarded by keyLocks.mu
}

// lock waits for the object's turn. An error is that of a write not sent.
func (c caller) lock(ctx context.Context, op Operation, key string) (unlock func(), err error) {
	if c.core == nil {
		return func() {}, nil // do will say what is wrong
	}
	if !c.bulk {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.core.timeout)
		defer cancel()
	}
	locks := &c.core.locks
	locks.mu.Lock()
	l := locks.held[key]
	if l == nil {
		l = &keyLock{turn: make(chan struct{}, 1)}
		locks.held[key] = l
	}
	l.users++
	locks.mu.Unlock()
	leave := func() {
		locks.mu.Lock()
		defer locks.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(locks.held, key)
		}
	}
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, c.core.refuse(op, context.Cause(ctx))
	}
}
