package slack

import (
	"maps"
	"slices"
	"time"
)

// watchBuffer is how many events a slow reader may be behind.
const watchBuffer = 256

type watcher struct {
	ch     chan Event
	missed int
}

// Subscribe returns a channel of changes and a function that ends it. The
// channel is closed by that function or by Close. A reader that falls behind
// loses events; the next one it gets says how many.
func (s *Server) Subscribe() (<-chan Event, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &watcher{ch: make(chan Event, watchBuffer)}
	if s.closed {
		close(w.ch)
		return w.ch, func() {}
	}
	s.watcherID++
	id := s.watcherID
	s.watchers[id] = w
	return w.ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.watchers[id]; ok {
			delete(s.watchers, id)
			close(w.ch)
		}
	}
}

func (s *Server) notifyLocked(e Event) {
	e.At = time.Now()
	for _, w := range s.watchers {
		e.Missed = w.missed
		select {
		case w.ch <- e:
			w.missed = 0
		default:
			w.missed++
		}
	}
}

// Messages returns every message of a channel, oldest first: deleted ones
// with Deleted set, but not what only one person sees.
func (s *Server) Messages(channelID string) []Message {
	return s.pick(channelID, func(m *message) bool { return m.ephemeralTo == "" })
}

// MessagesFor returns what one person sees in a channel, oldest first:
// nothing deleted, and that person's own ephemeral messages.
func (s *Server) MessagesFor(userID, channelID string) []Message {
	return s.pick(channelID, func(m *message) bool {
		return !m.deleted && (m.ephemeralTo == "" || m.ephemeralTo == userID)
	})
}

func (s *Server) pick(channelID string, want func(*message) bool) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.messages[channelID] {
		if want(m) {
			out = append(out, m.snapshot())
		}
	}
	return out
}

// Message returns one message, whoever sees it.
func (s *Server) Message(channelID, ts string) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.messageLocked(channelID, ts); m != nil {
		return m.snapshot(), true
	}
	return Message{}, false
}

// Views returns the forms that a person has open, the lowest first.
func (s *Server) Views(userID string) []View {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []View
	for _, v := range s.stacks[userID] {
		out = append(out, v.snapshot())
	}
	return out
}

// Home returns a person's Home tab, if the app has published one.
func (s *Server) Home(userID string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.homes[userID]; v != nil {
		return v.snapshot(), true
	}
	return View{}, false
}

// Calls returns every request that the app made, in the order they ended.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.calls)
	for i := range out {
		out[i].Args = maps.Clone(out[i].Args)
	}
	return out
}

// Connections returns the registered connections, the dead ones included.
func (s *Server) Connections() []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Connection, 0, len(s.sockets))
	for _, c := range s.sockets {
		out = append(out, c.info)
	}
	return out
}

// ClosedConnections returns the connections that are no longer registered, in
// the order they left.
func (s *Server) ClosedConnections() []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.gone)
}

// Acks returns every acknowledgement frame, counted or refused.
func (s *Server) Acks() []Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acks)
}

// Envelopes returns every delivery, also those to dead connections. An
// envelope delivered twice is there twice.
func (s *Server) Envelopes() []Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Envelope, 0, len(s.envelopes))
	for _, e := range s.envelopes {
		for _, d := range e.deliveries {
			one := e.info
			one.ConnectionID, one.At = d.conn, d.at
			out = append(out, one)
		}
	}
	return out
}
