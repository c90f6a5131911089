package slack

import (
	"fmt"
	"slices"
	"time"
)

type activeFault struct {
	method string
	Fault
	left int // calls it still hits; -1: no end
}

// Fail makes calls of a Web API method go wrong until it is lifted. The method
// "*" stands for every one, "response_url" for posts to response URLs. When
// several faults fit a call, the one set last hits it.
func (s *Server) Fail(method string, f Fault) (lift func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &activeFault{method: method, Fault: f, left: f.Times}
	if f.Times == 0 {
		a.left = -1
	}
	s.faults = append(s.faults, a)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(b *activeFault) bool { return a == b })
	}
}

// ClearFaults lifts every Fault, and what was set for connections to come.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.pinned = nil, nil
	s.duplicate, s.closeNext, s.helloSlow = 0, 0, 0
}

// takeFault finds the fault for a call and counts it. If runs outside the
// lock, so that it may look at the server.
func (s *Server) takeFault(c Call) *Fault {
	s.mu.Lock()
	candidates := slices.Clone(s.faults)
	s.mu.Unlock()
	slices.Reverse(candidates)
	for _, a := range candidates {
		if a.method != "*" && a.method != c.Method || a.If != nil && !a.If(c) {
			continue
		}
		s.mu.Lock()
		hit := a.left != 0 && slices.Contains(s.faults, a)
		if hit && a.left > 0 {
			a.left--
		}
		s.mu.Unlock()
		if hit {
			return &a.Fault
		}
	}
	return nil
}

func (s *Server) socket(id string) (*socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sockets {
		if c.info.ID == id {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no connection %q is registered", id)
}

// Disconnect sends a disconnect frame with one of the Reason constants, or
// any other, and does what it announces: after ReasonWarning the socket closes
// 10 s later and works until then, after ReasonRefresh 1 s later and gets no
// more envelopes, after all others at once.
func (s *Server) Disconnect(connID, reason string) error {
	c, err := s.socket(connID)
	if err != nil {
		return err
	}
	s.sendDisconnect(c, reason)
	return nil
}

// DisconnectAll disconnects every registered connection for that reason.
func (s *Server) DisconnectAll(reason string) {
	s.mu.Lock()
	all := slices.Clone(s.sockets)
	s.mu.Unlock()
	for _, c := range all {
		s.sendDisconnect(c, reason)
	}
}

// Drop cuts the TCP connection without any frame. Slack knows of it, so no
// ghost stays behind.
func (s *Server) Drop(connID string) error {
	c, err := s.socket(connID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	c.ended = "dropped"
	s.forgetLocked(c, c.ended)
	s.mu.Unlock()
	c.cut()
	return nil
}

// HalfOpen makes a connection look alive to the client while nothing works:
// envelopes sent to it vanish, acknowledgements on it are swallowed. It stays
// registered and keeps being chosen. With keepPinging the server's pings go on.
func (s *Server) HalfOpen(connID string, keepPinging bool) error {
	c, err := s.socket(connID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.info.State, c.keepPing = stateHalfOpen, keepPinging
	return nil
}

// SendText sends a text frame as it is: bytes that are no JSON, an envelope of
// a type nobody knows.
func (s *Server) SendText(connID, frame string) error {
	c, err := s.socket(connID)
	if err != nil {
		return err
	}
	s.enqueue(c, outFrame{data: []byte(frame)})
	return nil
}

// DuplicateNext delivers each of the next n envelopes twice: once more on
// another connection, or on the same one when there is no other.
func (s *Server) DuplicateNext(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.duplicate = n
}

// Redeliver sends an envelope of the past again, with the same ID, on the
// connection named.
func (s *Server) Redeliver(envelopeID, connID string) error {
	c, err := s.socket(connID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byEnvelope[envelopeID]
	if e == nil {
		return fmt.Errorf("no envelope %q was sent", envelopeID)
	}
	s.deliverLocked(e, c)
	return nil
}

// CloseNextConnections accepts each of the next n connections and closes it
// before the hello.
func (s *Server) CloseNextConnections(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeNext = n
}

// DelayHello lets each of the next n connections wait for its hello.
func (s *Server) DelayHello(d time.Duration, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.helloDelay, s.helloSlow = d, n
}

// AddGhosts registers n dead connections that stay until RemoveGhosts.
func (s *Server) AddGhosts(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.sockets = append(s.sockets, &socket{info: Connection{
			ID: s.idLocked("ghost-"), State: stateGhost, Opened: time.Now(), HowClosed: "no close frame",
		}})
	}
}

// RemoveGhosts forgets all dead connections.
func (s *Server) RemoveGhosts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range slices.Clone(s.sockets) {
		if c.info.State == stateGhost {
			s.forgetLocked(c, c.info.HowClosed)
		}
	}
}

// RouteNext sends the next envelopes to these connections, in this order.
// One that is not registered by then is passed over.
func (s *Server) RouteNext(connIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pinned = append(s.pinned, connIDs...)
}

// CloseEditWindow makes chat.update of one message answer edit_window_closed.
func (s *Server) CloseEditWindow(channelID, ts string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messageLocked(channelID, ts)
	if m == nil {
		return fmt.Errorf("close the edit window of %s in %s: %w", ts, channelID, ErrNoMessage)
	}
	m.noEdit = true
	return nil
}
