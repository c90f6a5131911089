package slack

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is one workspace with one app. It is safe for concurrent use.
type Server struct {
	cfg  Config // never changes after New
	log  *slog.Logger
	done chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu     sync.Mutex // owns everything below
	closed bool
	rng    *mathrand.Rand
	lastTS int64  // microseconds of the youngest message
	serial int    // of response URLs
	host   string // of the latest Web API call, for addresses to mint
	tls    bool
	pipe   *pipeListener

	users     map[string]*User
	updated   map[string]time.Time // of users and user groups
	groups    map[string]*UserGroup
	channels  map[string]*Channel
	order     map[string]int // of users, groups and channels: when they came
	messages  map[string][]*message
	triggers  map[string]*trigger
	hooks     map[string]*hook
	views     map[string]*view
	stacks    map[string][]*view // modals by user, bottom first
	homes     map[string]*view
	buckets   map[string]*bucket
	calls     []Call
	faults    []*activeFault
	watchers  map[int]*watcher
	watcherID int

	tickets    map[string]time.Time
	sockets    []*socket // registered, oldest first, ghosts included
	gone       []Connection
	nextConn   int // round robin
	pinned     []string
	duplicate  int
	closeNext  int
	helloDelay time.Duration
	helloSlow  int
	envelopes  []*envelope
	byEnvelope map[string]*envelope
	acks       []Ack
}

// New makes a workspace that holds nobody but the bot. Call Close at the end.
func New(cfg Config) *Server {
	cfg = withDefaults(cfg)
	s := &Server{
		cfg:  cfg,
		log:  cfg.Logger,
		done: make(chan struct{}),
		rng:  mathrand.New(mathrand.NewPCG(cfg.Seed, 0x51ac)),

		users:      map[string]*User{},
		updated:    map[string]time.Time{},
		groups:     map[string]*UserGroup{},
		channels:   map[string]*Channel{},
		order:      map[string]int{},
		messages:   map[string][]*message{},
		triggers:   map[string]*trigger{},
		hooks:      map[string]*hook{},
		views:      map[string]*view{},
		stacks:     map[string][]*view{},
		homes:      map[string]*view{},
		buckets:    map[string]*bucket{},
		watchers:   map[int]*watcher{},
		tickets:    map[string]time.Time{},
		byEnvelope: map[string]*envelope{},
	}
	s.AddUser(User{ID: cfg.BotUserID, Name: cfg.BotName, RealName: cfg.BotName, IsBot: true})
	return s
}

func withDefaults(c Config) Config {
	c.TeamID = cmp.Or(c.TeamID, "T0HOME")
	c.TeamName = cmp.Or(c.TeamName, "Home")
	c.TeamDomain = cmp.Or(c.TeamDomain, "home")
	c.AppID = cmp.Or(c.AppID, "A0BOT")
	c.BotUserID = cmp.Or(c.BotUserID, "U0BOT")
	c.BotID = cmp.Or(c.BotID, "B0BOT")
	c.BotName = cmp.Or(c.BotName, "qlik")
	c.Command = cmp.Or(c.Command, "/qlik")
	// Put together here so that no scanner takes them for real ones.
	c.BotToken = cmp.Or(c.BotToken, "xoxb-"+"made-up")
	c.AppToken = cmp.Or(c.AppToken, "xapp-"+"made-up")
	if c.Scopes == nil {
		c.Scopes = []string{
			"commands", "chat:write", "users:read", "users:read.email",
			"usergroups:read", "channels:read", "groups:read", "im:write",
		}
	}
	if c.Events == nil {
		c.Events = []string{"app_home_opened", "user_change", "subteam_members_changed", "subteam_updated"}
	}
	c.PingInterval = cmp.Or(c.PingInterval, 10*time.Second)
	c.GhostLife = cmp.Or(c.GhostLife, 2*time.Minute)
	c.TicketLife = cmp.Or(c.TicketLife, 30*time.Second)
	c.MaxConnections = cmp.Or(c.MaxConnections, 10)
	c.AckDeadline = cmp.Or(c.AckDeadline, 3*time.Second)
	c.TriggerLife = cmp.Or(c.TriggerLife, 3*time.Second)
	c.ResponseURLLife = cmp.Or(c.ResponseURLLife, 30*time.Minute)
	c.ResponseURLUses = cmp.Or(c.ResponseURLUses, 5)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Config returns the configuration with its defaults filled in.
func (s *Server) Config() Config {
	c := s.cfg
	c.Scopes = slices.Clone(c.Scopes)
	c.Events = slices.Clone(c.Events)
	return c
}

// Close drops every connection and returns when every goroutine has ended.
// Interactions still waiting end with ErrClosed.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.wg.Wait()
		return
	}
	s.closed = true
	close(s.done)
	sockets := slices.Clone(s.sockets)
	for id, w := range s.watchers {
		close(w.ch)
		delete(s.watchers, id)
	}
	pipe := s.pipe
	var transports []*http.Transport
	if pipe != nil {
		transports = slices.Clone(pipe.transports)
	}
	s.mu.Unlock()

	for _, c := range sockets {
		c.cut()
	}
	if pipe != nil {
		pipe.stop()
	}
	for _, tr := range transports {
		tr.CloseIdleConnections()
	}
	s.wg.Wait()
}

// enter counts one more goroutine in; it is false when the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enterLocked()
}

func (s *Server) enterLocked() bool {
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// goLocked runs f on its own goroutine, unless the server is closed.
func (s *Server) goLocked(f func()) {
	if s.enterLocked() {
		go func() {
			defer s.wg.Done()
			f()
		}()
	}
}

// sleep waits; it is false when the server was closed meanwhile.
func (s *Server) sleep(d time.Duration) bool { return s.sleepUntil(nil, d) }

// sleepUntil waits; it is false when the server was closed, or stop, unless it
// is nil, meanwhile.
func (s *Server) sleepUntil(stop <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	case <-s.done:
		return false
	}
}

// ServeHTTP serves /api/<method>, the WebSocket at /link/ and the response
// URLs under /commands/ and /actions/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/api/"):
		s.serveAPI(w, r, strings.TrimPrefix(path, "/api/"))
	case path == "/link/" || path == "/link":
		s.serveLink(w, r)
	case strings.HasPrefix(path, "/commands/"), strings.HasPrefix(path, "/actions/"):
		s.serveHook(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Client returns an HTTP client whose every connection, whatever host the
// address names, leads to this server through memory. It needs no network and
// works inside a synctest bubble, also for the WebSocket.
func (s *Server) Client() *http.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pipe == nil {
		s.pipe = newPipeListener()
		srv := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		s.pipe.srv = srv
		pipe := s.pipe
		s.goLocked(func() { _ = srv.Serve(pipe) })
		if s.closed {
			_ = pipe.Close()
		}
	}
	tr := &http.Transport{DialContext: s.pipe.dial, DialTLSContext: s.pipe.dial}
	s.pipe.transports = append(s.pipe.transports, tr)
	return &http.Client{Transport: tr}
}

// base is the address that the app can reach the server at.
func (s *Server) baseLocked() string {
	if s.cfg.BaseURL != "" {
		return strings.TrimSuffix(s.cfg.BaseURL, "/")
	}
	scheme := "http://"
	if s.tls {
		scheme = "https://"
	}
	return scheme + cmp.Or(s.host, "127.0.0.1")
}

const idLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// idLocked makes an identifier such as V0K3… from the seed.
func (s *Server) idLocked(prefix string) string {
	b := make([]byte, 10)
	for i := range b {
		b[i] = idLetters[s.rng.IntN(len(idLetters))]
	}
	return prefix + string(b)
}

func (s *Server) uuidLocked() string {
	a, b := s.rng.Uint64(), s.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}

// secret is for what gives power to its holder: tickets and response URLs.
func secret() string { return rand.Text() }

// tsLocked is a message timestamp, unique and rising.
func (s *Server) tsLocked() string {
	s.lastTS = max(time.Now().UnixMicro(), s.lastTS+1)
	return formatTS(s.lastTS)
}

func formatTS(micro int64) string { return fmt.Sprintf("%d.%06d", micro/1e6, micro%1e6) }

// clone copies a JSON-like value through its encoding.
func clone[T any](v any) T {
	var out T
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		panic("slack emulator: a value that came from JSON is not JSON: " + err.Error())
	}
	return out
}

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("slack emulator: " + err.Error())
	}
	return raw
}
