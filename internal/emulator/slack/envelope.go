package slack

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

type delivery struct {
	conn string
	at   time.Time
}

// envelope is owned by Server.mu; done is closed once, with the first
// acknowledgement that counts.
type envelope struct {
	info       Envelope
	frame      []byte
	deliveries []delivery
	acked      bool
	ackedOn    string
	ackPayload json.RawMessage
	done       chan struct{}
}

func (e *envelope) deliveredOn(conn string) bool {
	return slices.ContainsFunc(e.deliveries, func(d delivery) bool { return d.conn == conn })
}

// sendLocked wraps a payload in an envelope and gives it to one connection. It
// returns nil when there is none.
func (s *Server) sendLocked(kind string, payload any, acceptsPayload bool, attempt int, reason string) *envelope {
	c := s.pickSocketLocked("")
	if c == nil {
		return nil
	}
	e := &envelope{
		info: Envelope{
			ID: s.uuidLocked(), Type: kind, Payload: mustJSON(payload),
			RetryAttempt: attempt, RetryReason: reason,
		},
		done: make(chan struct{}),
	}
	wire := map[string]any{
		"envelope_id": e.info.ID, "type": kind, "payload": e.info.Payload, "accepts_response_payload": acceptsPayload,
	}
	if kind == "events_api" {
		wire["retry_attempt"], wire["retry_reason"] = attempt, reason
	}
	e.frame = mustJSON(wire)
	s.envelopes = append(s.envelopes, e)
	s.byEnvelope[e.info.ID] = e
	s.deliverLocked(e, c)
	if s.duplicate > 0 {
		s.duplicate--
		other := s.pickSocketLocked(c.info.ID)
		if other == nil {
			other = c
		}
		s.deliverLocked(e, other)
	}
	return e
}

// deliverLocked hands an envelope to a connection, dead or alive.
func (s *Server) deliverLocked(e *envelope, c *socket) {
	e.deliveries = append(e.deliveries, delivery{conn: c.info.ID, at: time.Now()})
	c.info.Delivered++
	s.enqueueLocked(c, outFrame{data: e.frame})
}

// pickSocketLocked chooses the connection for an envelope, other than the one
// named. The dead ones take part, as far as Slack has not noticed.
func (s *Server) pickSocketLocked(except string) *socket {
	var all []*socket
	for _, c := range s.sockets {
		switch c.info.State {
		case stateLive, stateHalfOpen, stateGhost:
			if c.info.ID != except {
				all = append(all, c)
			}
		}
	}
	if except == "" {
		for len(s.pinned) > 0 {
			id := s.pinned[0]
			s.pinned = s.pinned[1:]
			if i := slices.IndexFunc(all, func(c *socket) bool { return c.info.ID == id }); i >= 0 {
				return all[i]
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	if s.cfg.Routing == RouteRoundRobin {
		s.nextConn++
		return all[(s.nextConn-1)%len(all)]
	}
	return all[s.rng.IntN(len(all))]
}

// await waits for the acknowledgement of an envelope, at most until the
// deadline. late is the status without one.
func (s *Server) await(ctx context.Context, e *envelope, late Status) (Outcome, error) {
	s.mu.Lock()
	o := Outcome{EnvelopeID: e.info.ID, ConnectionID: e.deliveries[0].conn, Sent: e.info.Payload}
	sent := e.deliveries[0].at
	s.mu.Unlock()
	t := time.NewTimer(s.cfg.AckDeadline - time.Since(sent))
	defer t.Stop()
	select {
	case <-e.done:
		s.mu.Lock()
		defer s.mu.Unlock()
		o.Status, o.Payload, o.ConnectionID = Acknowledged, e.ackPayload, e.ackedOn
		o.Latency = e.info.AckedAt.Sub(sent)
		return o, nil
	case <-t.C:
		o.Status = late
		return o, nil
	case <-ctx.Done():
		return o, ctx.Err()
	case <-s.done:
		return o, ErrClosed
	}
}

// interact sends a payload and waits for its acknowledgement.
func (s *Server) interact(ctx context.Context, kind string, payload any, late Status) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return Outcome{}, ErrClosed
	}
	e := s.sendLocked(kind, payload, true, 0, "")
	s.mu.Unlock()
	if e == nil {
		return Outcome{Status: DispatchFailed, Sent: mustJSON(payload)}, nil
	}
	return s.await(ctx, e, late)
}

// retryAfter is how long Slack waits before each further delivery of an event
// (Events API, "Error handling": nearly immediately, 1 minute, 5 minutes).
func retryAfter() []time.Duration { return []time.Duration{0, time.Minute, 5 * time.Minute} }

// emitLocked sends an event to the app if it is subscribed to it and has the
// scope it needs. The channel gets the outcome of the first delivery.
func (s *Server) emitLocked(kind, scope string, event map[string]any) (<-chan Outcome, bool) {
	if !slices.Contains(s.cfg.Events, kind) || scope != "" && !s.hasScope(scope) || s.closed {
		return nil, false
	}
	event["type"], event["event_ts"] = kind, formatTS(time.Now().UnixMicro())
	var enterprise any
	if s.cfg.EnterpriseID != "" {
		enterprise = s.cfg.EnterpriseID
	}
	payload := map[string]any{
		"token": "emulator", "team_id": s.cfg.TeamID, "api_app_id": s.cfg.AppID, "event": event,
		"type": "event_callback", "event_id": s.idLocked("Ev"), "event_time": time.Now().Unix(),
		"authorizations": []any{map[string]any{
			"enterprise_id": enterprise, "team_id": s.cfg.TeamID, "user_id": s.cfg.BotUserID,
			"is_bot": true, "is_enterprise_install": false,
		}},
		"is_ext_shared_channel": false,
	}
	first := make(chan Outcome, 1)
	s.goLocked(func() {
		reason := ""
		for attempt := 0; ; attempt++ {
			s.mu.Lock()
			e := s.sendLocked("events_api", payload, false, attempt, reason)
			s.mu.Unlock()
			o := Outcome{Status: EventFailed, Sent: mustJSON(payload), Problem: "no connection"}
			reason = "connection_failed"
			if e != nil {
				var err error
				if o, err = s.await(context.Background(), e, EventFailed); err != nil {
					return
				}
				reason = "timeout"
			}
			if attempt == 0 {
				first <- o
			}
			waits := retryAfter()
			if o.Status == Acknowledged || attempt >= len(waits) || !s.sleep(waits[attempt]) {
				return
			}
		}
	})
	return first, true
}
