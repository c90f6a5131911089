package qlik

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AddFault arms a fault and returns its ID. Of several that match a call, the
// one armed first is applied. It panics when Operation is neither empty nor of
// the form "METHOD path".
func (s *Server) AddFault(f Fault) int {
	if method, path, ok := strings.Cut(f.Operation, " "); f.Operation != "" && (!ok || method == "" || !strings.HasPrefix(path, "/")) {
		panic(fmt.Sprintf("emulator: fault for operation %q: want \"METHOD /path\"", f.Operation))
	}
	if f.Count == 0 {
		f.Count = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faultSeq++
	s.faults = append(s.faults, &ActiveFault{ID: s.faultSeq, Fault: f})
	return s.faultSeq
}

// RemoveFault disarms a fault. An ID that is not armed is ignored.
func (s *Server) RemoveFault(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f *ActiveFault) bool { return f.ID == id })
}

// ClearFaults disarms all faults. Calls that are being held stay held, and
// late effects still land.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults returns the faults that are still armed, with what is left of their
// Skip and Count.
func (s *Server) Faults() []ActiveFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ActiveFault, len(s.faults))
	for i, f := range s.faults {
		out[i] = *f
	}
	return out
}

// takeFault returns the fault that hits the call, and uses it up by one.
func (s *Server) takeFault(req *request, call *Call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !f.hits(req) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Hits++
		if f.Count > 0 {
			f.Count--
		}
		if f.Count == 0 {
			s.faults = slices.Delete(slices.Clone(s.faults), i, i+1)
		}
		call.Fault = f.String()
		taken := f.Fault
		return &taken
	}
	return nil
}

// hits says whether the fault is meant for the call.
func (f Fault) hits(req *request) bool {
	if f.Operation == "" {
		return true
	}
	method, pattern, _ := strings.Cut(f.Operation, " ")
	if method != "*" && method != req.method {
		return false
	}
	if req.route != nil && pattern == req.route.template {
		return true
	}
	want, got := strings.Split(pattern, "/"), strings.Split(req.path, "/")
	for i, w := range want {
		switch {
		case w == "**" && i == len(want)-1:
			return len(got) >= i
		case i >= len(got), w != "*" && w != got[i]:
			return false
		}
	}
	return len(want) == len(got)
}

// String says in a few words what the fault does.
func (f Fault) String() string {
	effect := [...]string{"without effect", "after taking effect", "with a late effect"}[f.Effect]
	answer := [...]string{"refused", "answered", "HTML page", "empty answer", "garbage", "truncated", "dropped", "hung"}[f.Answer]
	if f.Answer == Refuse || f.Answer == HTML || f.Answer == Empty {
		answer += " " + strconv.Itoa(f.status())
	}
	text := answer + " " + effect
	if d := f.Delay + f.Hold; d > 0 {
		text += ", delayed " + d.String()
	}
	return text
}

func (f Fault) status() int {
	if f.Answer == Refuse {
		return cmp.Or(f.Status, http.StatusInternalServerError)
	}
	return cmp.Or(f.Status, http.StatusBadGateway)
}

// pause waits. It is false when the server was closed or, unless stubborn,
// when the client gave up.
func (s *Server) pause(ctx context.Context, d time.Duration, stubborn bool) bool {
	if d <= 0 {
		return true
	}
	gone := ctx.Done()
	if stubborn {
		gone = nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-gone:
	case <-s.done:
	}
	return false
}

// serveFaulty answers a call that is hit by a fault.
func (s *Server) serveFaulty(w http.ResponseWriter, r *http.Request, req *request, call *Call, f Fault) {
	abort := func() {
		s.end(call, 0)
		panic(http.ErrAbortHandler) // the server closes the connection
	}
	if !s.pause(r.Context(), f.Delay, f.Effect != NoEffect) {
		abort()
	}
	var own response
	switch {
	case f.Effect == TakesEffect:
		own = s.perform(req, call, commit)
	case f.Effect == LateEffect:
		own = s.perform(req, call, discard)
		if req.caller != nil && req.route.write {
			s.landLater(req, call, f.EffectDelay)
		}
	case f.Answer == Normal, f.Answer == Truncated:
		own = s.perform(req, call, discard)
	}
	if !s.pause(r.Context(), f.Hold, false) {
		abort()
	}
	trace := traceID(s.snapshot().key, call.Seq)
	switch f.Answer {
	case Normal:
	case Refuse:
		own = f.refusal(req, trace)
	case HTML:
		own = response{
			status: f.status(), header: http.Header{"Content-Type": {"text/html"}},
			body: fmt.Appendf(nil, "<html><head><title>%[1]d %[2]s</title></head><body><h1>%[1]d %[2]s</h1></body></html>\n", f.status(), http.StatusText(f.status())),
		}
	case Empty:
		own = response{status: f.status(), header: http.Header{}}
	case Garbage:
		own = response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte("<!-- {\"data\": [")}
	case Truncated:
		s.end(call, own.status)
		s.truncate(w, own)
		panic(http.ErrAbortHandler)
	case Drop:
		abort()
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		abort()
	}
	if f.RetryAfter > 0 && own.header.Get("Retry-After") == "" {
		own.header.Set("Retry-After", strconv.Itoa(ceilSeconds(f.RetryAfter)))
	}
	s.end(call, own.status)
	own.write(w)
}

// refusal is an error in the shape of the operation's resource.
func (f Fault) refusal(req *request, trace string) response {
	fam := gateway
	if req.route != nil {
		fam = req.route.family
	}
	p := problem{
		status: f.status(), code: f.Code, title: cmp.Or(f.Title, http.StatusText(f.status()), "Error"), detail: f.Detail,
		retryAfter: ceilSeconds(f.RetryAfter),
	}
	if p.status == http.StatusTooManyRequests {
		limited := *rateLimited(max(p.retryAfter, 1))
		limited.code, limited.title = f.Code, cmp.Or(f.Title, limited.title)
		p = limited
	}
	return fam.answer(trace, p)
}

func ceilSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// truncate announces the whole body and sends half of it.
func (s *Server) truncate(w http.ResponseWriter, res response) {
	res.header.Set("Content-Length", strconv.Itoa(max(len(res.body), 2)))
	res.body = res.body[:len(res.body)/2]
	if res.status == http.StatusNoContent {
		res.status, res.body = http.StatusOK, nil // nothing can be cut off a 204
	}
	res.write(w)
	_ = http.NewResponseController(w).Flush() // best effort: the client may have gone
}

// landLater carries the call out after a while.
func (s *Server) landLater(req *request, call *Call, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	call.Effect = EffectPending
	s.late[call.Seq] = time.AfterFunc(after, func() {
		s.mu.Lock()
		_, pending := s.late[call.Seq]
		delete(s.late, call.Seq)
		s.mu.Unlock()
		if !pending {
			return // closed meanwhile
		}
		s.perform(req, call, landing)
		s.landed(call)
	})
}
