package socket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// connection is one WebSocket connection from its handshake to its end. Its
// goroutines are run (the reader) and watch; they end with the connection.
type connection struct {
	id     int64
	loop   *Loop
	ws     *websocket.Conn
	opened time.Time

	// heard is when anything last arrived, as time since opened, so that the
	// clock of the machine can be set without harm.
	heard atomic.Int64

	retiring atomic.Bool

	helloed chan struct{} // closed by the reader at Slack's hello
	leaving chan struct{} // closed by the reader at Slack's first disconnect message
	done    chan struct{} // closed by finish: the connection is not counted on any more
	settled chan struct{} // holds one token after the handler of an envelope of ours ended
	writing chan struct{} // holds one token while an acknowledgement is written

	// mu guards what follows.
	mu      sync.Mutex
	helloAt time.Time
	// reason is that of the first disconnect message.
	reason string
	// end is one of the End constants, set by finish.
	end string
	// closing is set once we close: nothing that arrives later can be
	// acknowledged.
	closing bool
	// inHand is how many handlers of our envelopes are running.
	inHand int
	// delivered is when the last envelope arrived.
	delivered time.Time
	// pings counts the server's; pinged is when the last came, spoke when the
	// server last pinged or sent a message, and pingGap the longest interval
	// between two pings.
	pings         int
	pinged, spoke time.Time
	pingGap       time.Duration
}

func newConnection(l *Loop, id int64) *connection {
	return &connection{
		id: id, loop: l, opened: time.Now(),
		helloed: make(chan struct{}),
		leaving: make(chan struct{}),
		done:    make(chan struct{}),
		settled: make(chan struct{}, 1),
		writing: make(chan struct{}, 1),
	}
}

func (c *connection) hear() { c.heard.Store(int64(time.Since(c.opened))) }
func (c *connection) silence() time.Duration {
	return time.Since(c.opened) - time.Duration(c.heard.Load())
}

// onPing notes a ping of the server's.
func (c *connection) onPing(context.Context, []byte) bool {
	c.hear()
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pings > 0 {
		c.pingGap = max(c.pingGap, now.Sub(c.pinged))
	}
	c.pings++
	c.pinged, c.spoke = now, now
	return true // answer it
}

// serverQuiet reports whether a server that used to ping has fallen quiet.
// Connections are known on which Slack answers pings and delivers nothing.
func (c *connection) serverQuiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pings >= 2 && time.Since(c.spoke) >= max(c.loop.cfg.Timing.ServerQuiet, 3*c.pingGap)
}

// serving tells whether the connection delivers envelopes, and whether Slack
// asked for it to be replaced meanwhile.
func (c *connection) serving() (up, leaving bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up = !c.helloAt.IsZero() && c.end == ""
	return up, up && c.reason != ""
}

// run reads until the connection ends. It returns when the connection is
// closed. work is the context of handlers.
func (c *connection) run(work context.Context) {
	for {
		// A context that could end would tear the connection down without a
		// close frame; close ends this call instead.
		typ, frame, err := c.ws.Read(context.WithoutCancel(work))
		if err != nil {
			c.finish(endOf(err))
			// Returns at once, or when close has finished its handshake.
			_ = c.ws.CloseNow()
			return
		}
		c.hear()
		c.mu.Lock()
		c.spoke = time.Now()
		c.mu.Unlock()
		c.loop.message(work, c, typ, frame)
	}
}

func endOf(err error) string {
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return EndTooLarge
	case websocket.CloseStatus(err) != -1:
		return EndClosedBySlack
	default:
		return EndDropped
	}
}

// watch pings and ends the connection after too long a silence. What a ping
// returns does not matter: its pong is heard, or the silence goes on. A half-open
// connection is noticed this way; one on which everything but delivery works
// cannot be.
func (c *connection) watch(ctx context.Context) {
	every := c.loop.cfg.Timing.PingEvery
	// At random, to be out of step with the server and with our other connections.
	next := func() time.Duration { return every/2 + jitter(every/2) }
	t := time.NewTimer(next())
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-t.C:
		}
		if c.silence() >= c.loop.cfg.Timing.Silence {
			c.close(EndSilent)
			return
		}
		if c.serverQuiet() {
			c.close(EndServerQuiet)
			return
		}
		wait := next()
		t.Reset(wait)
		pctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
		_ = c.ws.Ping(pctx)
		cancel()
	}
}

// finish records the end of the connection; only the first call counts.
func (c *connection) finish(end string) {
	c.mu.Lock()
	if c.end != "" {
		c.mu.Unlock()
		return
	}
	c.end = end
	hello, reason := c.helloAt, c.reason
	c.mu.Unlock()
	close(c.done)
	c.loop.ended(c, end, reason, hello)
}

// close ends the connection with a close frame, whatever else is under way. It
// takes at most the ten seconds that the library gives to the close handshake.
func (c *connection) close(end string) {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.finish(end)
	// An error means that the peer did not answer the close frame, or was gone,
	// or that another call came first. The connection is closed all the same.
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
}

// retire ends a connection that has been replaced. Slack announced that it will
// close it, and is given the time linger for that: what Slack sends while we
// close by ourselves is lost. After that the connection is closed once it has
// delivered nothing for a while and its envelopes are dealt with, or when its
// time is up. Only the first call counts.
func (c *connection) retire(linger time.Duration) {
	if c.retiring.Swap(true) {
		return
	}
	limit := time.NewTimer(c.loop.cfg.Timing.Retire)
	defer limit.Stop()
	start := time.Now()
	for {
		wait, inHand := c.closeIfQuiet(start, linger)
		if wait <= 0 && inHand == 0 {
			c.close(EndClosedByUs)
			return
		}
		var quiet <-chan time.Time // nil while handlers run: settled comes then
		if inHand == 0 {
			quiet = time.After(wait)
		}
		select {
		case <-c.done:
			return
		case <-limit.C:
			c.close(EndClosedByUs)
			return
		case <-c.settled:
		case <-quiet:
		}
	}
}

// closeIfQuiet sets closing if the time linger has passed since start, nothing
// was delivered for Timing.Quiet, and no handler runs. Otherwise it returns how
// much time is missing and how many handlers run.
func (c *connection) closeIfQuiet(start time.Time, linger time.Duration) (wait time.Duration, inHand int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := start
	if c.delivered.After(last) {
		last = c.delivered
	}
	wait = max(c.loop.cfg.Timing.Quiet-time.Since(last), linger-time.Since(start))
	if wait <= 0 && c.inHand == 0 {
		c.closing = true
	}
	return wait, c.inHand
}

// take notes that an envelope arrived and is about to be handled. It reports
// false when the connection is being closed, so that no acknowledgement could
// be written any more.
func (c *connection) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delivered = time.Now()
	if c.closing {
		return false
	}
	c.inHand++
	return true
}

// settle undoes take after the handler has ended.
func (c *connection) settle() {
	c.mu.Lock()
	c.inHand--
	c.mu.Unlock()
	select {
	case c.settled <- struct{}{}:
	default:
	}
}

// write writes one acknowledgement as one frame.
func (c *connection) write(ctx context.Context, frame []byte) error {
	select {
	case <-c.done:
		return ErrConnectionGone
	default:
	}
	// Once begun, writing is not cut off by the caller's context, since the
	// library then closes the connection.
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.loop.cfg.Timing.Ack)
	defer cancel()
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-c.done:
		return ErrConnectionGone
	case <-ctx.Done():
		return ctx.Err()
	case <-wctx.Done():
		return wctx.Err()
	}
	if err := c.ws.Write(wctx, websocket.MessageText, frame); err != nil {
		// Half a frame may be out: nothing more can be sent on this connection.
		c.abandon()
		return fmt.Errorf("%w: %w", ErrConnectionGone, err)
	}
	return nil
}

// abandon gives up a connection on which writing failed, so that its reader
// ends and its slot opens another at once.
func (c *connection) abandon() {
	c.mu.Lock()
	closing := c.closing
	c.closing = true
	c.mu.Unlock()
	c.finish(EndDropped)
	if !closing {
		_ = c.ws.CloseNow()
	}
}
