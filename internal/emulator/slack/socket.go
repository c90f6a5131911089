package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
)

const (
	stateOpening  = "opening" // registered, no hello yet: gets no envelopes
	stateLive     = "live"
	stateClosing  = "closing" // told to go: gets no more envelopes, its acknowledgements count
	stateHalfOpen = "half-open"
	stateGhost    = "ghost"
)

const (
	warningAhead = 10 * time.Second // from the warning to the end
	refreshGrace = time.Second      // from refresh_requested to the end
	writeTimeout = 10 * time.Second
	outBuffer    = 256
)

// socket is one registered connection. Fields are owned by Server.mu, except
// the channels and what never changes.
type socket struct {
	ws    *websocket.Conn // nil for a ghost that was never more than that
	watch *frameWatch
	out   chan outFrame
	left  chan struct{} // closed when it is no longer served
	life  time.Duration

	info     Connection
	keepPing bool   // half-open, but pings go on
	ended    string // why the server closed it; empty: it did not
	served   bool   // left is still open
}

type outFrame struct {
	data []byte
	// then, when set, closes the socket after the frame is written, and after
	// this wait.
	then bool
	wait time.Duration
	why  string
}

// cut ends the TCP connection without a close frame.
func (c *socket) cut() {
	if c.ws != nil {
		_ = c.ws.CloseNow()
	}
}

// openConnection is apps.connections.open.
func (s *Server) openConnection(*apiCall) reply {
	ticket := secret()
	s.tickets[ticket] = time.Now()
	base := s.baseLocked()
	return reply{"ok": true, "url": "ws" + base[len("http"):] + "/link/?ticket=" + ticket + "&app_id=" + s.cfg.AppID}
}

// useTicket reports whether the ticket opens a connection. It never does twice.
func (s *Server) useTicket(ticket string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	issued, ok := s.tickets[ticket]
	delete(s.tickets, ticket)
	return ok && time.Since(issued) < s.cfg.TicketLife
}

func (s *Server) serveLink(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if !s.useTicket(query.Get("ticket")) {
		http.Error(w, "invalid ticket", http.StatusForbidden)
		return
	}
	ww := &watchedWriter{ResponseWriter: w}
	// The ticket is what lets somebody in. Clients name Slack as their origin,
	// which is not this host.
	ws, err := websocket.Accept(ww, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(1 << 20)

	c := &socket{ws: ws, watch: ww.watch, out: make(chan outFrame, outBuffer), left: make(chan struct{})}
	c.life = cmp.Or(s.cfg.ConnectionLife, time.Hour)
	if query.Get("debug_reconnects") == "true" {
		c.life = min(c.life, 6*time.Minute)
	}
	hello, wait, refused := s.register(c)
	if refused != "" {
		s.turnAway(ws, refused)
		return
	}
	s.serveSocket(c, hello, wait)
}

// turnAway closes a connection that was never registered.
func (s *Server) turnAway(ws *websocket.Conn, reason string) {
	if reason == ReasonTooManyWebSockets {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		defer cancel()
		if err := ws.Write(ctx, websocket.MessageText, disconnectFrame(reason)); err != nil {
			return
		}
	}
	_ = ws.Close(websocket.StatusNormalClosure, reason)
}

// register counts a connection in and composes its hello, or says why it is
// turned away.
func (s *Server) register(c *socket) (hello []byte, wait time.Duration, refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	c.info = Connection{ID: s.idLocked("conn-"), State: stateOpening, Opened: now}
	refuse := func(why string) (hello []byte, wait time.Duration, refused string) {
		c.info.Closed, c.info.HowClosed = now, why
		s.gone = append(s.gone, c.info)
		return nil, 0, why
	}
	switch {
	case s.closed:
		return refuse("closed")
	case s.closeNext > 0:
		s.closeNext--
		return refuse("closed at once")
	case len(s.sockets) >= s.cfg.MaxConnections:
		return refuse(ReasonTooManyWebSockets)
	}
	if s.helloSlow > 0 {
		s.helloSlow--
		wait = s.helloDelay
	}
	c.served = true
	s.sockets = append(s.sockets, c)
	s.notifyLocked(Event{Kind: ConnectionOpened, ID: c.info.ID})
	return mustJSON(map[string]any{
		"type":            "hello",
		"num_connections": len(s.sockets),
		"connection_info": map[string]any{"app_id": s.cfg.AppID},
		"debug_info": map[string]any{
			"host": "applink-emulator", "started": now.UTC().Format("2006-01-02 15:04:05.000"), "build_number": 1,
			"approximate_connection_time": int(c.life.Seconds()),
		},
	}), wait, ""
}

// serveSocket runs one connection until it is over.
func (s *Server) serveSocket(c *socket, hello []byte, wait time.Duration) {
	s.mu.Lock()
	s.goLocked(func() {
		s.writeFrames(c, hello, wait)
		c.cut()
	})
	s.goLocked(func() { s.pingSocket(c) })
	s.goLocked(func() { s.ageSocket(c) })
	s.mu.Unlock()

	for {
		_, data, err := c.ws.Read(context.Background())
		if err != nil {
			s.leave(c, err)
			return
		}
		s.takeAck(c, data, c.watch.next())
	}
}

// writeFrames sends the hello and then what is queued, and closes when told.
func (s *Server) writeFrames(c *socket, hello []byte, wait time.Duration) {
	if !s.pause(c, wait) || !writeFrame(c, hello) {
		return
	}
	s.mu.Lock()
	if c.info.State == stateOpening {
		c.info.State = stateLive
	}
	s.mu.Unlock()
	for {
		select {
		case f := <-c.out:
			if f.data != nil && !writeFrame(c, f.data) {
				return
			}
			if f.then {
				wait, why := f.wait, f.why
				s.mu.Lock()
				s.goLocked(func() {
					if s.pause(c, wait) {
						s.hangUp(c, why)
					}
				})
				s.mu.Unlock()
			}
		case <-c.left:
			return
		case <-s.done:
			return
		}
	}
}

func writeFrame(c *socket, data []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, data) == nil
}

// pause waits; it is false when the connection or the server ended meanwhile.
func (s *Server) pause(c *socket, d time.Duration) bool { return s.sleepUntil(c.left, d) }

// pingSocket sends WebSocket pings and notes the pongs. A missing pong has no
// consequence, as far as Slack's documentation tells.
func (s *Server) pingSocket(c *socket) {
	for s.pause(c, s.cfg.PingInterval) {
		s.mu.Lock()
		silent := c.info.State == stateHalfOpen && !c.keepPing
		s.mu.Unlock()
		if silent {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), max(s.cfg.PingInterval, writeTimeout))
		err := c.ws.Ping(ctx)
		cancel()
		if err == nil {
			s.mu.Lock()
			c.info.LastPong = time.Now()
			s.mu.Unlock()
		}
	}
}

// ageSocket warns and closes at the planned refresh. A half-open connection
// is forgotten by Slack and gets neither.
func (s *Server) ageSocket(c *socket) {
	if c.life > warningAhead {
		if !s.pause(c, c.life-warningAhead) {
			return
		}
		s.enqueue(c, outFrame{data: disconnectFrame(ReasonWarning)})
		if !s.pause(c, warningAhead) {
			return
		}
	} else if !s.pause(c, c.life) {
		return
	}
	s.sendDisconnect(c, ReasonRefresh)
}

func disconnectFrame(reason string) []byte {
	return mustJSON(map[string]any{
		"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-emulator"},
	})
}

// sendDisconnect sends the frame and does to the connection what its reason
// announces.
func (s *Server) sendDisconnect(c *socket, reason string) {
	f := outFrame{data: disconnectFrame(reason), then: true, why: reason}
	switch reason {
	case ReasonWarning:
		f.wait = warningAhead
	case ReasonRefresh:
		f.wait = refreshGrace
	}
	s.mu.Lock()
	if reason != ReasonWarning && (c.info.State == stateLive || c.info.State == stateOpening) {
		c.info.State = stateClosing
	}
	s.mu.Unlock()
	s.enqueue(c, f)
}

// enqueue gives a frame to the writer. A connection that takes nothing any
// more, its queue full, is cut.
func (s *Server) enqueue(c *socket, f outFrame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueueLocked(c, f)
}

func (s *Server) enqueueLocked(c *socket, f outFrame) {
	if c.ws == nil || c.info.State == stateGhost || c.info.State == stateHalfOpen {
		return
	}
	select {
	case c.out <- f:
	default:
		s.goLocked(c.cut)
	}
}

// hangUp closes a connection from the server's side, with a close frame.
func (s *Server) hangUp(c *socket, why string) {
	s.mu.Lock()
	c.ended = cmp.Or(c.ended, why)
	s.forgetLocked(c, c.ended)
	s.mu.Unlock()
	_ = c.ws.Close(websocket.StatusNormalClosure, why)
}

// leave takes note that reading failed: the client said goodbye, or vanished
// and stays registered as a ghost for a while.
func (s *Server) leave(c *socket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.served {
		c.served = false
		close(c.left)
	}
	var frame websocket.CloseError
	switch {
	case c.ended != "":
		s.forgetLocked(c, c.ended)
	case errors.As(err, &frame):
		s.forgetLocked(c, fmt.Sprintf("client close frame %d", frame.Code))
	default:
		s.log.Warn("the app's connection ended without a close frame", "connection", c.info.ID)
		c.info.HowClosed = "no close frame"
		if s.cfg.GhostLife < 0 || s.closed {
			s.forgetLocked(c, c.info.HowClosed)
			return
		}
		c.info.State = stateGhost
		s.notifyLocked(Event{Kind: ConnectionClosed, ID: c.info.ID})
		s.goLocked(func() {
			if s.sleep(s.cfg.GhostLife) {
				s.mu.Lock()
				s.forgetLocked(c, "no close frame")
				s.mu.Unlock()
			}
		})
	}
}

// forgetLocked takes a connection off the register.
func (s *Server) forgetLocked(c *socket, how string) {
	i := slices.Index(s.sockets, c)
	if i < 0 {
		return
	}
	s.sockets = slices.Delete(s.sockets, i, i+1)
	c.info.Closed, c.info.HowClosed = time.Now(), how
	s.gone = append(s.gone, c.info)
	s.notifyLocked(Event{Kind: ConnectionClosed, ID: c.info.ID})
}

// takeAck judges one frame from the app. Whatever does not count is recorded
// with its reason and otherwise dropped in silence, as Slack does.
func (s *Server) takeAck(c *socket, data []byte, frames int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Ack{ConnectionID: c.info.ID, At: time.Now(), Size: len(data)}
	var body struct {
		EnvelopeID string          `json:"envelope_id"`
		Payload    json.RawMessage `json:"payload"`
	}
	err := json.Unmarshal(data, &body)
	a.EnvelopeID, a.Payload = body.EnvelopeID, body.Payload
	e := s.byEnvelope[body.EnvelopeID]
	switch {
	case c.info.State == stateHalfOpen:
		a.Refused = "swallowed"
	case len(data) >= maxAckFrame:
		a.Refused = "too large"
	case frames > 1:
		a.Refused = "fragmented"
	case err != nil:
		a.Refused = "malformed"
	case e == nil:
		a.Refused = "unknown envelope"
	case !e.deliveredOn(c.info.ID):
		a.Refused = "wrong connection"
	case e.acked:
		a.Refused = "duplicate"
	case time.Since(e.deliveries[0].at) >= s.cfg.AckDeadline:
		a.Refused = "late"
	default:
		e.acked, e.ackPayload, e.ackedOn = true, body.Payload, c.info.ID
		e.info.AckedAt = a.At
		c.info.Acked++
		close(e.done)
	}
	s.acks = append(s.acks, a)
	if a.Refused != "" {
		s.log.Warn("acknowledgement dropped", "reason", a.Refused, "connection", c.info.ID, "envelope", a.EnvelopeID, "bytes", a.Size)
	}
}

// maxAckFrame is the size from which Slack drops a frame without a word.
const maxAckFrame = 20480
