package qlik

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// keepBody is how much of a request's body a Call shows.
const keepBody = 16 << 10

// begin notes a call that has been received.
func (s *Server) begin(req *request) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callSeq++
	call := &Call{
		Seq: s.callSeq, Time: time.Now(), Method: req.method, Path: req.path, Query: req.rawQuery,
		Body: redact(req), Effect: EffectNone,
	}
	if req.route != nil {
		call.Operation, call.Write = req.route.operation(), req.route.write
	}
	if len(s.calls) >= s.cfg.KeepCalls {
		s.calls = slices.Delete(s.calls, 0, len(s.calls)-s.cfg.KeepCalls+1)
	}
	s.calls = append(s.calls, call)
	return call
}

// end notes what was answered; 0 is no answer.
func (s *Server) end(call *Call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call.Status, call.Done, call.Duration = status, true, time.Since(call.Time)
	s.log.Debug("call answered", "tenant", s.cfg.Name, "op", call.Operation, "method", call.Method, "path", call.Path, "status", status,
		"effect", string(call.Effect), "fault", call.Fault)
	told := call.clone()
	s.publish(Event{Time: time.Now(), Call: &told})
}

// landed tells subscribers that a late effect has come, if the call had one.
func (s *Server) landed(call *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call.Effect == EffectPending { // it failed when it was carried out
		call.Effect = EffectNone
	}
	told := call.clone()
	s.publish(Event{Time: time.Now(), Call: &told})
}

func (c *Call) clone() Call {
	out := *c
	out.Changes = slices.Clone(c.Changes)
	return out
}

// Calls returns the calls received so far, oldest first, those that are still
// being held included. Older ones than Config.KeepCalls are forgotten.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Call, len(s.calls))
	for i, c := range s.calls {
		out[i] = c.clone()
	}
	return out
}

// CallsTo returns the calls to one operation, named as in Call.Operation.
func (s *Server) CallsTo(operation string) []Call {
	return slices.DeleteFunc(s.Calls(), func(c Call) bool { return c.Operation != operation })
}

// Subscribe returns a channel of everything that happens from now on, and a
// function that ends it. The channel is closed then, or by Close. Events that
// a slow reader leaves no room for are lost; Event.Seq shows the gap.
func (s *Server) Subscribe() (<-chan Event, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan Event, 256)
	if s.closed {
		close(ch)
		return ch, func() {}
	}
	s.subSeq++
	id := s.subSeq
	s.subs[id] = ch
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.subs[id]; ok {
			delete(s.subs, id)
			close(ch)
		}
	}
}

// publish hands an event to every subscriber. s.mu is held.
func (s *Server) publish(e Event) {
	s.eventSeq++
	e.Seq = s.eventSeq
	for _, ch := range s.subs {
		select {
		case ch <- e:
		default:
		}
	}
}

// secretFields are the fields that no record of a call shows.
var secretFields = []string{"client_secret", "client_assertion", "token", "refresh_token", "subject_token", "code", "code_verifier"}

// hidden stands where a secret stood.
const hidden = "…"

// redact is the body as it may be shown. The bodies of the OAuth operations
// are taken apart, and hidden whole if they cannot be.
func redact(req *request) string {
	text := req.body
	if strings.HasPrefix(req.path, "/oauth/") {
		text = redactOAuth(req.body)
	}
	if len(text) > keepBody {
		text = append(slices.Clone(text[:keepBody]), hidden...)
	}
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("�"))
	}
	return string(text)
}

func redactOAuth(body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	var doc map[string]any
	if json.Unmarshal(body, &doc) == nil {
		for name := range doc {
			if secretName(name) {
				doc[name] = hidden
			}
		}
		if out, err := json.Marshal(doc); err == nil {
			return out
		}
		return []byte(hidden)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("grant_type") && !form.Has("token") {
		return []byte(hidden)
	}
	shown := make([]string, 0, len(form))
	for _, name := range sortedKeys(form) {
		value := strings.Join(form[name], ",")
		if secretName(name) {
			value = hidden
		}
		shown = append(shown, name+"="+value)
	}
	return []byte(strings.Join(shown, "&"))
}

// secretName also knows misspelt names: "clientSecret" is a secret all the same.
func secretName(name string) bool {
	plain := strings.ToLower(strings.ReplaceAll(name, "_", ""))
	return strings.Contains(plain, "secret") || strings.Contains(plain, "assertion") && plain != "clientassertiontype" ||
		slices.Contains(secretFields, name)
}
