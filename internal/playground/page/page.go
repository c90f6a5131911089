package page

import (
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

//go:embed templates/*.html static/*
var files embed.FS

// Config says what the page shows. Only Slack is required.
type Config struct {
	Slack   *slackemu.Server
	Tenants []Tenant
	// People are those whom the reader can be, in order. Empty: everybody in
	// the workspace but bots, without notes.
	People []Person
	// Commands are what the command box offers. It is asked each time the page
	// is built; nil offers nothing.
	Commands func() []Command
	// Tour is what to try first; empty shows no tour.
	Tour []Step
	// Listen is the address the server listens on, "127.0.0.1:8080". Requests
	// are answered for its host and for names of the loopback interface. With
	// an unspecified host ("0.0.0.0:8080") every bare IP address is allowed
	// too, but no other name.
	Listen string
	// Location is the time zone of the reader. Nil: the machine's.
	Location *time.Location
	// Logger is told what the page cannot show. Nil: nobody.
	Logger *slog.Logger
}

// Tenant is a Qlik tenant under the label that the bot knows it by: lower-case
// letters, digits and hyphens.
type Tenant struct {
	Label  string
	Note   string // in a few words, "where people come from"; may be empty
	Server *qlikemu.Server
}

// Person is somebody whom the reader can be.
type Person struct {
	ID   string // Slack's
	Note string // in a word or two: "approver"
}

// Command is one line of help for the command box.
type Command struct {
	Name    string // what stands after the slash command: "request show"
	Usage   string // its arguments: "<id>"
	Summary string // one sentence
}

// Step is one thing to try: it fills the command box, or only goes somewhere
// when Text is empty.
type Step struct {
	As      string // a user ID
	Channel string // a channel ID, "home" or "dm"
	Text    string // "/qlik invites"
	Note    string // why: "Ana asks for admin power"
}

// Page is the demo's page, an http.Handler for /, /ui/…, /events and /static/….
// It is safe for concurrent use.
type Page struct {
	cfg     Config
	log     *slog.Logger
	pages   *template.Template
	assets  map[string]asset
	handler http.Handler

	done chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu       sync.Mutex // owns everything below
	closed   bool
	notes    []note
	noteID   int
	forms    map[string]*formState // by view ID
	seen     map[place]string      // the youngest timestamp that was on show
	lifts    map[string][]func()   // of the faults that are on, by name
	watchers map[chan struct{}]bool
}

// place is one person in one channel.
type place struct{ user, channel string }

// note is something that Slack itself says to one person: that a command
// failed, that a button did not work.
type note struct {
	id   int
	at   time.Time
	to   place
	code string
	text string
	// ts is the message whose button it is about, "home" for App Home, or
	// empty for a line of its own.
	ts string
}

// formState is what somebody filled into an open form so far, and what is
// wrong with it besides the errors that the app answered.
type formState struct {
	user    string
	values  map[string][]string // by block/action
	errors  map[string]string   // by block
	problem string
}

// New makes the page. Call Close at the end.
func New(cfg Config) *Page {
	if cfg.Location == nil {
		cfg.Location = time.Local
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Page{
		cfg: cfg, log: cfg.Logger, done: make(chan struct{}),
		forms: map[string]*formState{}, seen: map[place]string{}, lifts: map[string][]func(){},
		watchers: map[chan struct{}]bool{},
	}
	p.pages = template.Must(template.New("").ParseFS(files, "templates/*.html"))
	p.assets = readAssets()
	p.handler = p.routes()
	return p
}

// Close ends every event stream and lifts the faults that the page has set. A
// server that is shut down waits for its streams, so Close comes first, for
// example by http.Server.RegisterOnShutdown.
func (p *Page) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.wg.Wait()
		return
	}
	p.closed = true
	close(p.done)
	p.mu.Unlock()
	p.wg.Wait()
	p.calm()
}

// ServeHTTP answers one request.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		http.Error(w, "The demo has ended.", http.StatusServiceUnavailable)
		return
	}
	p.wg.Add(1)
	p.mu.Unlock()
	defer p.wg.Done()
	p.handler.ServeHTTP(w, r)
}

// keepNotes is how many notes are remembered.
const keepNotes = 200

// tell adds a note. One about a message takes the place of an older one.
func (p *Page) tell(n note) {
	p.mu.Lock()
	if n.ts != "" {
		p.dropNotesLocked(n.to, n.ts)
	}
	p.noteID++
	n.id, n.at = p.noteID, time.Now()
	p.notes = append(p.notes, n)
	if len(p.notes) > keepNotes {
		p.notes = slices.Delete(p.notes, 0, len(p.notes)-keepNotes)
	}
	p.mu.Unlock()
	p.changed()
}

// forget takes back what was said about a message.
func (p *Page) forget(to place, ts string) {
	p.mu.Lock()
	before := len(p.notes)
	p.dropNotesLocked(to, ts)
	some := len(p.notes) < before
	p.mu.Unlock()
	if some {
		p.changed()
	}
}

func (p *Page) dropNotesLocked(to place, ts string) {
	p.notes = slices.DeleteFunc(p.notes, func(n note) bool { return n.to == to && n.ts == ts })
}

func (p *Page) notesFor(to place) []note {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []note
	for _, n := range p.notes {
		if n.to == to {
			out = append(out, n)
		}
	}
	return out
}

// changed wakes the event streams after something that is the page's own.
func (p *Page) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// form returns what somebody filled into a form so far.
func (p *Page) form(viewID string) formState {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.forms[viewID]; f != nil {
		return *f
	}
	return formState{}
}

// setForm remembers it, and forgets the forms of that person that are closed.
func (p *Page) setForm(viewID string, f formState) {
	open := map[string]bool{}
	for _, v := range p.cfg.Slack.Views(f.user) {
		open[v.ID] = true
	}
	p.mu.Lock()
	for id, other := range p.forms {
		if other.user == f.user && !open[id] {
			delete(p.forms, id)
		}
	}
	if open[viewID] {
		p.forms[viewID] = &f
	}
	p.mu.Unlock()
	p.changed()
}
