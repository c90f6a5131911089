package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Loop holds the connections. Make it with [New] and call Run once.
type Loop struct {
	cfg  Config
	log  *slog.Logger
	pace pacer
	n    counters

	started  atomic.Bool
	draining atomic.Bool // take nothing more
	ready    chan struct{}
	readied  sync.Once

	running    atomic.Int64  // handlers under way
	inFlight   chan struct{} // one token for each of them; drain collects all
	overloaded atomic.Uint64 // how many envelopes were refused since one was last taken
	room       chan struct{} // one token for each connection open or being opened
	wg         sync.WaitGroup

	// mu guards what follows.
	mu             sync.Mutex
	conns          map[*connection]struct{}
	lastID         int64
	connecting     int // slots in connect
	dialling       int // those of them in the handshake
	lastHello      time.Time
	numConnections int
	ghosts         int
	problems       []string // of each slot; "" is none
	disconnects    map[string]uint64
	ends           map[string]uint64
	unknownTypes   map[string]struct{}
}

// New checks the configuration and opens nothing yet.
func New(cfg Config) (*Loop, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure the Socket Mode loop: %w", err)
	}
	return &Loop{
		cfg:          cfg,
		log:          cfg.Logger,
		pace:         pacer{every: cfg.Timing.OpenEvery, burst: openBurst},
		ready:        make(chan struct{}),
		inFlight:     make(chan struct{}, cfg.MaxInFlight),
		room:         make(chan struct{}, MaxConnections),
		problems:     make([]string, cfg.Connections),
		conns:        make(map[*connection]struct{}),
		disconnects:  make(map[string]uint64),
		ends:         make(map[string]uint64),
		unknownTypes: make(map[string]struct{}),
	}, nil
}

// Ready returns a channel that is closed when a connection first said hello.
func (l *Loop) Ready() <-chan struct{} { return l.ready }

// Run holds the connections until ctx ends or Config.Open reports a
// [FatalError]. Then it takes no more envelopes, waits up to Timing.Drain for
// the handlers under way, ends the context of those that still run, closes the
// connections with close frames, and returns when its goroutines have ended.
// It returns nil after the end of ctx, and an error that wraps the
// [*FatalError] otherwise. Handlers that still run a second after their context
// has ended are left behind; the error says so.
//
// A Loop runs once.
func (l *Loop) Run(ctx context.Context) error {
	if l.started.Swap(true) {
		return errors.New("socket: the loop has been run before")
	}
	keep, stop := context.WithCancel(ctx)
	defer stop()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	// From this moment, not only from the end of the slots.
	defer context.AfterFunc(keep, func() { l.draining.Store(true) })()

	slots := make(chan error)
	for i := range l.cfg.Connections {
		s := &slot{loop: l, number: i, b: backoff{min: l.cfg.Timing.BackoffMin, max: l.cfg.Timing.BackoffMax}}
		go func() { slots <- s.keep(keep, work) }()
	}
	var fatal error
	for range l.cfg.Connections {
		// The slots commonly meet the same fault; one report is enough.
		if err := <-slots; err != nil && fatal == nil {
			fatal = err
			stop()
		}
	}
	l.draining.Store(true)

	left := l.drain(stopWork)
	l.closeAll()
	l.wg.Wait()
	if left > 0 {
		return errors.Join(fatal, fmt.Errorf("socket: %d handlers did not end when told to", left))
	}
	return fatal
}

// drain waits for the handlers under way, with their context ended after
// Timing.Drain, and returns how many still run a second after that.
func (l *Loop) drain(stopWork context.CancelFunc) int {
	limit := time.NewTimer(l.cfg.Timing.Drain)
	defer limit.Stop()
	told := false
	for free := 0; free < cap(l.inFlight); {
		select {
		case l.inFlight <- struct{}{}: // nobody takes it any more
			free++
		case <-limit.C:
			if told {
				return cap(l.inFlight) - free
			}
			told = true
			stopWork()
			limit.Reset(time.Second)
		}
	}
	return 0
}

// closeAll closes all connections at the same time.
func (l *Loop) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		l.wg.Go(func() { c.close(EndClosedByUs) })
	}
}

// message deals with one frame. It is called by the reader of c and never
// waits for a handler.
func (l *Loop) message(work context.Context, c *connection, typ websocket.MessageType, frame []byte) {
	m, err := parseMessage(frame)
	if err != nil || typ != websocket.MessageText {
		l.unparseable(work, c, frame)
		return
	}
	switch {
	case m.Type == "hello":
		l.hello(c, m)
	case m.Type == "disconnect":
		l.disconnect(c, m)
	case known(m.Type):
		e, err := m.envelope(l.counted(c.write))
		if err != nil {
			l.unparseable(work, c, frame)
			return
		}
		e.Connection = c.id
		if l.start(c, func() { l.handle(work, e) }) {
			l.n.envelopes.Add(1)
		}
	default:
		l.unknown(work, c, m)
	}
}

// counted counts the outcomes of writing acknowledgements.
func (l *Loop) counted(write func(context.Context, []byte) error) func(context.Context, []byte) error {
	return func(ctx context.Context, frame []byte) error {
		err := write(ctx, frame)
		if err != nil {
			l.n.acksFailed.Add(1)
		} else {
			l.n.acksWritten.Add(1)
		}
		return err
	}
}

// start runs f in a goroutine of its own, unless too many are running, the loop
// is ending, or the connection is being closed. Then the envelope stays without
// an acknowledgement: Slack tells the person that it failed, or sends the event
// again.
func (l *Loop) start(c *connection, f func()) bool {
	if l.draining.Load() {
		l.n.refused.Add(1)
		return false
	}
	select {
	case l.inFlight <- struct{}{}:
	default:
		l.n.refused.Add(1)
		if l.overloaded.Add(1) == 1 {
			l.log.Warn("too many envelopes are being handled; further ones are left unacknowledged", "connection", c.id, "bound", cap(l.inFlight))
		}
		return false
	}
	if l.draining.Load() { // again: drain may have started to collect tokens
		<-l.inFlight
		l.n.refused.Add(1)
		return false
	}
	if !c.take() {
		<-l.inFlight
		l.n.late.Add(1)
		return false
	}
	if n := l.overloaded.Swap(0); n > 0 {
		l.log.Warn("envelopes are taken again", "refused", n)
	}
	l.running.Add(1)
	go func() {
		// In this order: drain must not find the token while c is unsettled.
		defer func() { <-l.inFlight }()
		defer l.running.Add(-1)
		defer c.settle()
		f()
	}()
	return true
}

// handle calls the handler and survives its panic.
func (l *Loop) handle(work context.Context, e *Envelope) {
	defer func() {
		if v := recover(); v != nil {
			l.n.panics.Add(1)
			l.log.Error("the handler of an envelope panicked", "envelope", clip(e.ID), "type", e.Type,
				"panic", panicText(v), "stack", string(debug.Stack()))
		}
		if !e.Acked() {
			l.n.unacknowledged.Add(1)
		}
	}()
	l.cfg.Handle(work, e)
}

// panicText describes the value of a panic. Only the runtime's own errors are
// quoted; others may have been made from a payload. The stack shows the place.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", v)
}

// acknowledge acknowledges what is not handed out, without a payload.
func (l *Loop) acknowledge(work context.Context, c *connection, id string) {
	if id == "" {
		return
	}
	l.start(c, func() {
		frame, err := ackFrame(id, nil)
		if err == nil {
			err = l.counted(c.write)(work, frame)
		}
		if err != nil {
			l.log.Warn("an envelope that is not handled could not be acknowledged", "connection", c.id, "error", err)
		}
	})
}

// unparseable counts a frame that is no message and acknowledges it if an ID
// can be found: left alone, an event would come again and fare no better.
func (l *Loop) unparseable(work context.Context, c *connection, frame []byte) {
	l.n.unparseable.Add(1)
	id := salvageID(frame)
	l.log.Warn("Slack sent a frame that could not be read", "connection", c.id, "bytes", len(frame), "envelope", clip(id))
	l.acknowledge(work, c, id)
}

// unknown counts a message of a type that is not handled, acknowledges it and
// drops it. Each type is logged once, up to a bound.
func (l *Loop) unknown(work context.Context, c *connection, m *message) {
	const mostTypes = 32
	l.n.unknownTypes.Add(1)
	typ := clip(m.Type)
	l.mu.Lock()
	_, seen := l.unknownTypes[typ]
	fresh := !seen && len(l.unknownTypes) < mostTypes
	if fresh {
		l.unknownTypes[typ] = struct{}{}
	}
	l.mu.Unlock()
	if fresh {
		l.log.Warn("Slack sent a message of a type that this program does not handle; it is acknowledged and dropped, and this is logged once", "type", typ)
	}
	l.acknowledge(work, c, m.EnvelopeID)
}
