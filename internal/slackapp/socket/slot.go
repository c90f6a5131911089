package socket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// disconnected is the error of a connection that Slack sent away before its
// hello.
type disconnected struct{ reason string }

func (e *disconnected) Error() string {
	return "sent away by Slack before its hello: " + e.reason
}

// slot is one of the wanted connections: it keeps one up. Its fields belong to
// its goroutine.
type slot struct {
	loop   *Loop
	number int
	b      backoff
}

// keep holds the connection up until ctx ends or a fatal error, which it
// returns. work is the context of handlers.
func (s *slot) keep(ctx, work context.Context) error {
	l := s.loop
	// old is a connection that Slack wants replaced. It serves until its
	// replacement is up.
	var old *connection
	var wait time.Duration
	for sleep(ctx, wait) {
		c, err := l.connect(ctx, work, old)
		switch {
		case Fatal(err):
			return err
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of ctx is how the slot is told to stop
		case err != nil:
			wait = s.afterFailure(err)
			continue
		}
		s.problem("")
		if gone := old; gone != nil {
			l.wg.Go(func() { gone.retire(l.cfg.Timing.Linger) })
			old = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.leaving:
			old = c
		case <-c.done:
		}
		wait = s.afterLife(c)
		if c.sentAwayAs() == ReasonTooManyWebsockets {
			// It must not be replaced at once, so nothing is gained by keeping it.
			l.wg.Go(func() { c.retire(0) })
			old = nil
		}
	}
	return nil
}

// sentAwayAs returns the reason of Slack's disconnect message, or "".
func (c *connection) sentAwayAs() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// afterFailure returns how long to wait after a connection did not come up.
func (s *slot) afterFailure(err error) time.Duration {
	s.loop.n.openFailures.Add(1)
	s.problem("No connection to Slack could be opened. The bot keeps trying; the log has the details.")
	wait := s.b.next()
	var sent *disconnected
	if errors.As(err, &sent) {
		wait = s.pause(sent.reason, wait)
	}
	if d, ok := retryAfter(err); ok {
		// Slack's limit counts the calls of all slots. An absurd value must not
		// silence the bot for a day.
		s.loop.pace.hold(min(d, time.Hour))
	}
	s.loop.log.Warn("no connection to Slack", "error", err, "wait", wait)
	return wait
}

// afterLife returns how long to wait after a connection that was up ended or
// is to be replaced.
func (s *slot) afterLife(c *connection) time.Duration {
	c.mu.Lock()
	reason, life := c.reason, time.Since(c.helloAt)
	c.mu.Unlock()
	var wait time.Duration
	switch {
	case life < s.loop.cfg.Timing.HealthySpell:
		wait = s.b.next()
		if reason == "" {
			s.problem("A connection to Slack ended soon after it was opened. The bot keeps trying; the log has the details.")
		}
	case reason == "":
		// It broke unannounced, perhaps together with everybody else's.
		s.b.forget()
		wait = jitter(s.b.min)
	default:
		s.b.forget()
	}
	return s.pause(reason, wait)
}

// pause lengthens a wait as the reason of Slack's disconnect message demands.
//
// When Socket Mode has been switched off, the loop does not give up: only a
// person can switch it on again, and when they do the bot should be back
// without a restart; and the rest of the program, which takes rights away when
// their time is over, must go on. So all slots wait long, and Status says why.
func (s *slot) pause(reason string, wait time.Duration) time.Duration {
	t := s.loop.cfg.Timing
	switch reason {
	case ReasonLinkDisabled:
		s.loop.pace.hold(t.LinkDisabledPause)
		if s.problem("Socket Mode is switched off for this Slack app, so nothing reaches the bot. Switch it on in the app's settings; the bot tries again every few minutes.") {
			s.loop.log.Error("Socket Mode is switched off for this Slack app; switch it on in the app's settings", "wait", t.LinkDisabledPause)
		}
	case ReasonTooManyWebsockets:
		s.problem("Slack refused a connection because the app has its full number of ten. Stop other copies of the bot, or lower the number of connections; dead ones disappear after some hours.")
		return max(wait, t.TooManyPause+jitter(t.TooManyPause/2))
	}
	return wait
}

// problem sets what Status.Problem says of this slot, and reports whether no
// slot said so before.
func (s *slot) problem(text string) (fresh bool) {
	l := s.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh = !slices.Contains(l.problems, text)
	l.problems[s.number] = text
	return fresh
}

// connect opens one connection and returns it once Slack has said hello on it.
// old is closed first if there is no room for both.
func (l *Loop) connect(ctx, work context.Context, old *connection) (*connection, error) {
	l.mu.Lock()
	l.connecting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.connecting--
		l.mu.Unlock()
	}()

	if !l.takeRoom(ctx, old) {
		return nil, ctx.Err()
	}
	c, err := l.open(ctx)
	if err != nil {
		<-l.room
		return nil, err
	}
	l.wg.Go(func() { c.watch(work) })
	l.wg.Go(func() {
		defer l.forget(c)
		c.run(work)
	})

	// The time that Connect leaves after the handshake.
	limit := time.NewTimer(l.cfg.Timing.Connect - time.Since(c.opened))
	defer limit.Stop()
	select {
	case <-c.helloed:
		return c, nil
	case <-c.leaving:
		err = &disconnected{c.sentAwayAs()}
	case <-c.done:
		err = errors.New("the connection ended before Slack said hello")
	case <-limit.C:
		l.wg.Go(func() { c.close(EndNoHello) })
		return nil, fmt.Errorf("slack did not say hello within %s", l.cfg.Timing.Connect)
	case <-ctx.Done():
		err = ctx.Err()
	}
	select {
	case <-c.helloed: // both had happened: the caller sees the other by itself
		return c, nil
	default:
	}
	l.wg.Go(func() { c.close(EndClosedByUs) })
	return nil, err
}

// takeRoom takes room for one more connection and reports whether ctx is still
// open. Slack counts ours together, so the limit holds also while one is
// replaced.
func (l *Loop) takeRoom(ctx context.Context, old *connection) bool {
	select {
	case l.room <- struct{}{}:
		return true
	default:
	}
	if old != nil {
		l.wg.Go(func() { old.retire(0) })
	}
	select {
	case l.room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// open asks for an address and makes the handshake. Its caller has room.
func (l *Loop) open(ctx context.Context) (*connection, error) {
	if !l.pace.wait(ctx) {
		return nil, ctx.Err()
	}
	l.n.opens.Add(1)
	octx, cancel := context.WithTimeout(ctx, l.cfg.Timing.Open)
	address, err := l.cfg.Open(octx)
	cancel()
	if err != nil {
		return nil, fmt.Errorf("ask Slack for the address of a connection: %w", err)
	}

	l.mu.Lock()
	l.lastID++
	c := newConnection(l, l.lastID)
	l.dialling++
	l.mu.Unlock()
	dctx, cancel := context.WithTimeout(ctx, l.cfg.Timing.Connect)
	defer cancel()
	c.ws, err = l.dial(dctx, address, c.onPing, func(context.Context, []byte) { c.hear() })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dialling--
	if err != nil {
		return nil, err
	}
	l.conns[c] = struct{}{}
	return c, nil
}

// forget gives back the room of a connection that is closed.
func (l *Loop) forget(c *connection) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	<-l.room
}

// hello notes that Slack has taken the connection into use.
func (l *Loop) hello(c *connection, m *message) {
	c.mu.Lock()
	again := !c.helloAt.IsZero()
	if !again {
		c.helloAt = time.Now()
	}
	c.mu.Unlock()
	if again {
		return
	}
	l.n.hellos.Add(1)

	l.mu.Lock()
	l.lastHello = time.Now()
	l.numConnections = m.NumConnections
	// Slack may count those already whose handshake we have not seen the end of.
	ours := len(l.conns) + l.dialling
	before := l.ghosts
	l.ghosts = max(0, m.NumConnections-ours)
	ghosts := l.ghosts
	l.mu.Unlock()

	l.log.Info("connected to Slack", "connection", c.id, "num_connections", m.NumConnections,
		"host", clip(m.DebugInfo.Host), "expected_life", time.Duration(m.DebugInfo.ApproximateConnectionTime)*time.Second)
	if ghosts > 0 {
		l.n.ghostHel.Add(1)
		if before == 0 {
			l.log.Warn("Slack counts more connections for this app than this process holds: another copy of the bot, or dead connections that swallow what Slack sends to them",
				"num_connections", m.NumConnections, "ours", ours)
		}
	}
	close(c.helloed)
	l.readied.Do(func() { close(l.ready) })
}

// disconnect notes that Slack wants the connection gone. Its slot acts on the
// first such message; a warning is commonly followed by the thing itself.
func (l *Loop) disconnect(c *connection, m *message) {
	reason := m.Reason
	switch reason {
	case ReasonWarning, ReasonRefreshRequested, ReasonLinkDisabled, ReasonTooManyWebsockets:
	default:
		reason = ReasonOther
	}
	l.mu.Lock()
	l.disconnects[reason]++
	l.mu.Unlock()
	l.log.Info("Slack will end a connection", "connection", c.id, "reason", clip(m.Reason))

	c.mu.Lock()
	first := c.reason == ""
	if first {
		c.reason = reason
	}
	c.mu.Unlock()
	if first {
		close(c.leaving)
	}
}

// ended counts and logs the end of a connection.
func (l *Loop) ended(c *connection, end, reason string, hello time.Time) {
	l.mu.Lock()
	l.ends[end]++
	l.mu.Unlock()
	var life time.Duration
	if !hello.IsZero() {
		life = time.Since(hello).Round(time.Second)
	}
	l.log.Info("a connection to Slack ended", "connection", c.id, "end", end, "reason", reason, "life", life)
}
