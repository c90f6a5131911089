package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Handler does one claimed task. It ends the claim itself, with
// approval.Effects.Finish in the transaction of what it brought about. A
// *LaterError puts the task back; approval.ErrLost means that it is somebody
// else's by now; any other error puts it back with a growing pause.
type Handler func(ctx context.Context, c approval.Claim) error

// LaterError asks for the task again at a time. It is no failure.
type LaterError struct {
	At  time.Time
	Why string
}

func (e *LaterError) Error() string {
	return fmt.Sprintf("later, at %s: %s", e.At.UTC().Format(time.RFC3339), e.Why)
}

// Later asks for the task again.
func Later(at time.Time, why string) error { return &LaterError{At: at, Why: why} }

// Line is a kind of task with its handler and how many may run side by side.
type Line struct {
	Kind   string
	Handle Handler
	Limit  int
}

// Workers take due tasks from the queue and hand them to their handlers.
type Workers struct {
	Queue  Queue
	Lines  []Line
	Logger *slog.Logger
	// Lease is how long a claim is good for without being renewed; it is
	// renewed at a third of that while its handler runs.
	Lease time.Duration
}

// How long tasks that failed wait, and how often the queue is asked when
// nothing tells of a new task.
const (
	firstPause = time.Second
	longPause  = time.Minute
	idlePoll   = time.Minute
)

// pause grows with the attempts, without jitter: tasks of one bot do not
// stampede a server that paces them anyway.
func pause(attempt int) time.Duration {
	d := firstPause
	for range min(attempt, 10) - 1 {
		d *= 2
	}
	return min(d, longPause)
}

// Run works until the context ends, then waits for the handlers in hand. They
// see the context end too; what they leave undone is taken up again later.
//
// One loop takes the tasks of all lines, so that news of a task costs one look
// at the queue and not one for each line: whoever told the news, such as an
// acknowledgement about to go out, is not to be held up by it.
func (w *Workers) Run(ctx context.Context) error {
	lines := make(map[string]Line, len(w.Lines))
	running := make(map[string]int, len(w.Lines)) // owned by this loop
	most := 0
	for _, l := range w.Lines {
		lines[l.Kind] = l
		most += l.Limit
	}
	ended := make(chan string, most) // the kinds of handlers that have ended
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		for range len(ended) {
			running[<-ended]--
		}
		var kinds []string
		for _, l := range w.Lines {
			if running[l.Kind] < l.Limit {
				kinds = append(kinds, l.Kind)
			}
		}
		// The channel is taken before the claim, so that a task added in
		// between wakes the loop at once.
		added := w.Queue.Added()
		if len(kinds) > 0 {
			c, ok, err := w.Queue.Claim(ctx, kinds, w.Lease)
			if err == nil && ok {
				running[c.Kind]++
				wg.Go(func() {
					defer func() { ended <- c.Kind }()
					w.handle(ctx, lines[c.Kind], c)
				})
				continue
			}
			if err != nil && ctx.Err() == nil {
				w.Logger.Error("cannot take a task", "op", "claim", "error", err)
			}
			w.wait(ctx, kinds, added, ended, running, err != nil)
			continue
		}
		w.wait(ctx, nil, nil, ended, running, false)
	}
	return nil
}

// wait sleeps until a task was added or becomes due, a handler has ended, or
// the context has. With no kinds there is room for nothing, and only the end of
// a handler matters.
func (w *Workers) wait(ctx context.Context, kinds []string, added <-chan struct{}, ended <-chan string, running map[string]int, failed bool) {
	d := idlePoll
	if failed {
		d = firstPause
	} else if len(kinds) > 0 {
		if at, ok, err := w.Queue.NextDue(ctx, kinds); err == nil && ok {
			d = min(d, max(time.Until(at), time.Millisecond))
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-added:
	case kind := <-ended:
		running[kind]--
	case <-t.C:
	}
}

// handle runs one handler under a renewed lease and puts the task back when
// it was not finished.
func (w *Workers) handle(ctx context.Context, line Line, c approval.Claim) {
	hctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.renew(hctx, cancel, c) })
	err := w.call(hctx, line, c)
	cancel()
	wg.Wait()
	if err == nil || errors.Is(err, approval.ErrLost) {
		return
	}
	log := w.Logger.With("op", line.Kind, "request", c.Request)
	at := time.Now().Add(pause(c.Attempt))
	why := "failed"
	var later *LaterError
	switch {
	case errors.As(err, &later):
		// A queue keeps whole milliseconds; a task must not come before its
		// time, or it would come again and again until then.
		at, why = later.At.Add(time.Millisecond-time.Nanosecond).Truncate(time.Millisecond), later.Why
	case ctx.Err() != nil:
		// Going down: the next start takes it up at once.
		at, why = time.Now(), "the bot was stopped"
	default:
		log.Error("task failed, will be tried again", "at", at, "error", err)
	}
	// The context may be over; the task must be put back all the same.
	back, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := w.Queue.Retry(back, c, at, why); err != nil && !errors.Is(err, approval.ErrLost) {
		log.Error("cannot put a task back; its lease will end", "error", err)
	}
}

// call runs the handler and turns a panic into an error.
func (w *Workers) call(ctx context.Context, line Line, c approval.Claim) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Logger.Error("a handler panicked", "op", line.Kind, "request", c.Request, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("handler of %s panicked", line.Kind)
		}
	}()
	return line.Handle(ctx, c)
}

// renew keeps the lease alive. When it is lost the handler's context ends.
func (w *Workers) renew(ctx context.Context, cancel context.CancelFunc, c approval.Claim) {
	t := time.NewTicker(w.Lease / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := w.Queue.Renew(ctx, c, w.Lease); errors.Is(err, approval.ErrLost) {
			w.Logger.Warn("lost a task to another worker", "op", c.Kind, "request", c.Request)
			cancel()
			return
		}
	}
}
