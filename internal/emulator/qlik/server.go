package qlik

import (
	"cmp"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxRead is how much of a body is read. It lies above the largest body that
// any operation takes, so that those can answer 413 themselves.
const maxRead = 1 << 20

// Server is the emulated tenant. All methods may be called at any time and
// from any goroutine. Inside a testing/synctest bubble it must be made there,
// and closed there.
//
// It must be served by an http.Server: faults that cut a connection do so by
// panicking with http.ErrAbortHandler.
type Server struct {
	cfg    Config
	log    *slog.Logger
	routes []route
	done   chan struct{} // closed by Close

	mu        sync.Mutex // guards everything below
	closed    bool
	behaviour Behaviour
	state     *state
	history   []version // older states, while ReadLag needs them
	limiter   limiter
	calls     []*Call
	callSeq   int
	faults    []*ActiveFault
	faultSeq  int
	late      map[int]*time.Timer // effects still to land, by call
	subs      map[int]chan Event
	subSeq    int
	eventSeq  int
}

// version is a committed state and when it came to be.
type version struct {
	since time.Time
	state *state
}

// New returns a tenant as it is on its first day: Qlik's default roles, a
// licence, no people.
func New(cfg Config) *Server {
	cfg.Hostname = cmp.Or(cfg.Hostname, "tenant.us.qlikcloud.example")
	labels := append(strings.Split(cfg.Hostname, "."), "")
	cfg.Name = cmp.Or(cfg.Name, labels[0])
	cfg.Region = cmp.Or(cfg.Region, labels[1], "us")
	cfg.InteractiveIdP = cmp.Or(cfg.InteractiveIdP, QlikAccount)
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, 6*time.Hour)
	cfg.MaxTokens = cmp.Or(cfg.MaxTokens, 100)
	cfg.KeepCalls = cmp.Or(cfg.KeepCalls, 10000)
	cfg.RateLimits = cfg.RateLimits.withDefaults()
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:       cfg,
		log:       log,
		routes:    routes(),
		done:      make(chan struct{}),
		behaviour: cfg.Behaviour.clone(),
		state:     newState(cfg, time.Now()),
		late:      map[int]*time.Timer{},
		subs:      map[int]chan Event{},
	}
	s.limiter.rates = cfg.RateLimits
	s.history = []version{{since: time.Now(), state: s.state}}
	return s
}

func (b Behaviour) clone() Behaviour {
	b.InviteFailures = maps.Clone(b.InviteFailures)
	return b
}

// Close releases calls that are being held, drops effects that have not landed
// and ends all subscriptions. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.done)
	for seq, timer := range s.late {
		timer.Stop()
		delete(s.late, seq)
	}
	for id, ch := range s.subs {
		close(ch)
		delete(s.subs, id)
	}
}

// request is a received call, its body read.
type request struct {
	method, path string
	query        url.Values
	rawQuery     string
	queryErr     error
	header       http.Header
	body         []byte
	base         string // scheme and host that the client used
	host         string
	route        *route            // nil: unknown path
	otherMethod  bool              // the path is known, the method is not
	vars         map[string]string // values of the path's placeholders
	caller       *caller           // who was admitted; nil until then
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRead))
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone before the call was complete
	}
	req := s.newRequest(r, body)
	call := s.begin(req)
	if fault := s.takeFault(req, call); fault != nil {
		s.serveFaulty(w, r, req, call, *fault)
		return
	}
	res := s.perform(req, call, commit)
	s.end(call, res.status)
	res.write(w)
}

func (s *Server) newRequest(r *http.Request, body []byte) *request {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	req := &request{
		method: r.Method, path: r.URL.EscapedPath(), rawQuery: r.URL.RawQuery,
		header: r.Header, body: body, base: scheme + r.Host, host: r.Host,
	}
	req.query, req.queryErr = url.ParseQuery(r.URL.RawQuery)
	for i := range s.routes {
		vars, ok := s.routes[i].match(req.path)
		if !ok {
			continue
		}
		if s.routes[i].method != req.method {
			req.otherMethod = true
			continue
		}
		req.route, req.vars = &s.routes[i], vars
		break
	}
	return req
}

// mode says what becomes of the changes that performing a call makes.
type mode int

const (
	commit  mode = iota
	discard      // work out the answer and forget the changes
	landing      // a late effect: who may call was settled when it was received
)

// perform carries out a call and returns its answer. A landing needs a call
// that has been performed before, and admitted.
func (s *Server) perform(req *request, call *Call, m mode) response {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &exchange{
		req: req, route: req.route, now: time.Now(), cfg: &s.cfg,
		behaviour: s.behaviour, st: s.state, view: s.state,
		trace: traceID(s.state.key, call.Seq),
	}
	switch {
	case req.route == nil && req.otherMethod:
		return gateway.answer(x.trace, problem{status: http.StatusMethodNotAllowed, title: "Method not allowed"})
	case req.route == nil:
		return gateway.answer(x.trace, problem{status: http.StatusNotFound, title: "Not found"})
	}
	if req.route.write {
		x.st = s.state.clone()
		x.view = x.st
	} else if req.route.lags && s.behaviour.ReadLag > 0 {
		x.view = s.stateAt(x.now.Add(-s.behaviour.ReadLag))
	}
	if m != landing {
		p := x.authenticate()
		call.ClientID = x.client
		if p == nil {
			p = s.limiter.count(x)
		}
		if p == nil {
			p = x.authorize()
		}
		if p != nil {
			return x.fail(*p)
		}
		req.caller = &x.caller
	} else {
		x.caller = *req.caller
	}
	res := req.route.handle(x)
	if m != discard && len(x.st.changes) > 0 && req.route.write {
		call.Effect, call.EffectAt = EffectDone, x.now
		call.Changes = x.st.changes
		s.commit(x.st, x.now)
	}
	return res
}

// commit makes st the tenant's state. s.mu is held.
func (s *Server) commit(st *state, now time.Time) {
	changes, mails := st.changes, st.mails[len(s.state.mails):]
	st.changes = nil
	s.state = st
	s.history = append(s.history, version{since: now, state: st})
	s.prune(now)
	s.publish(Event{Time: now, Changes: changes})
	for _, m := range mails {
		s.publish(Event{Time: now, Mail: &m})
	}
}

// prune forgets the states that no list can be asked for any more. s.mu is
// held.
func (s *Server) prune(now time.Time) {
	horizon := now.Add(-s.behaviour.ReadLag)
	first := len(s.history) - 1
	for first > 0 && s.history[first].since.After(horizon) {
		first--
	}
	s.history = append([]version(nil), s.history[first:]...)
}

// stateAt is the state as it was at a moment. s.mu is held.
func (s *Server) stateAt(at time.Time) *state {
	i := len(s.history) - 1
	for i > 0 && s.history[i].since.After(at) {
		i--
	}
	return s.history[i].state
}

// change lets f change the tenant from Go. Nothing is changed when f fails.
func (s *Server) change(f func(*state, time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, now := s.state.clone(), time.Now()
	if err := f(st, now); err != nil {
		return err
	}
	if len(st.changes) > 0 {
		s.commit(st, now)
	}
	return nil
}
