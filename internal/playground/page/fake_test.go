package page_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground/page"
)

// obj is a JSON object in the making.
type obj = map[string]any

// world is a workspace, two tenants and the page over them.
type world struct {
	t     *testing.T
	slack *slackemu.Server
	prod  *qlikemu.Server
	home  *qlikemu.Server
	page  *page.Page
}

// newWorld makes a world without a bot. It works inside a synctest bubble.
func newWorld(t *testing.T, change ...func(*page.Config)) *world {
	t.Helper()
	w := &world{t: t, slack: slackemu.New(slackemu.Config{NoRateLimits: true})}
	for _, u := range []slackemu.User{
		{ID: "U0ANA", Name: "ana", RealName: "Ana Adler", Email: "ana@example.com"},
		{ID: "U0BEN", Name: "ben", RealName: "Ben Baum", Email: "ben@example.com"},
		{ID: "U0CLEO", Name: "cleo", RealName: "Cleo Cruz", Email: "cleo@example.com"},
		{ID: "U0GIL", Name: "gil", RealName: "Gil Gast", Email: "gil@example.com", IsRestricted: true},
		{ID: "U0EVE", Name: "eve", RealName: "Eve Extern", TeamID: "T0OTHER"},
		{ID: "U0GUS", Name: "gus", RealName: "Gus Gone", Deleted: true},
	} {
		w.slack.AddUser(u)
	}
	w.slack.AddUserGroup(slackemu.UserGroup{ID: "S0APP", Name: "Approvers", Handle: "approvers", Members: []string{"U0BEN", "U0CLEO"}})
	w.slack.AddChannel(slackemu.Channel{ID: "C0OPS", Name: "qlik-ops", BotIsMember: true, Members: []string{"U0ANA", "U0BEN", "U0CLEO", "U0GIL", "U0GUS"}})
	w.slack.AddChannel(slackemu.Channel{ID: "C0APPROVE", Name: "approvals", BotIsMember: true, IsPrivate: true, Members: []string{"U0ANA", "U0BEN", "U0CLEO"}})
	w.slack.AddChannel(slackemu.Channel{ID: "C0PARTNER", Name: "partners", BotIsMember: true, IsExtShared: true, Members: []string{"U0ANA", "U0EVE"}})

	w.home = qlikemu.New(qlikemu.Config{Name: "Home", Hostname: "home.eu.qlikcloud.example", Seed: 1})
	w.prod = qlikemu.New(qlikemu.Config{Name: "Production", Hostname: "production.eu.qlikcloud.example", Seed: 2, Clients: []qlikemu.Client{
		{ID: "client", Secret: "made" + "-up", Name: "Slack bot", Trusted: true},
	}})
	w.addUser(w.home, "Ana Adler", "ana@example.com", "TenantAdmin")
	w.addUser(w.home, "Ben Baum", "ben@example.com")
	w.addUser(w.prod, "Cleo Cruz", "cleo@example.com", "TenantAdmin", "AuditAdmin")
	w.addUser(w.prod, "Ben Baum", "ben@example.com", "SharedSpaceCreator")

	cfg := page.Config{
		Slack: w.slack,
		Tenants: []page.Tenant{
			{Label: "home", Note: "where people come from", Server: w.home}, {Label: "prod", Server: w.prod},
		},
		People: []page.Person{
			{ID: "U0ANA", Note: "asks"}, {ID: "U0BEN", Note: "approver"}, {ID: "U0CLEO", Note: "approver"},
			{ID: "U0GIL"}, {ID: "U0EVE"}, {ID: "U0GUS"},
		},
		Commands: func() []page.Command {
			return []page.Command{
				{Name: "add-admin", Usage: "<person> [from T] [for D]", Summary: "Make somebody a tenant administrator"},
				{Name: "admins", Summary: "Who is administrator, and why"},
				{Name: "invite", Usage: "<e-mail> … [as <roles>] [lang xx]", Summary: "Invite people by e-mail"},
				{Name: "request show", Usage: "<id>", Summary: "Show a request"},
			}
		},
		Tour: []page.Step{
			{As: "U0ANA", Channel: "C0OPS", Text: "/qlik add-admin ben@example.com on prod because on call", Note: "Ask for administrator power"},
			{As: "U0BEN", Channel: "C0APPROVE", Note: "Look at what waits, and approve it"},
		},
		Listen: "127.0.0.1:8080", Location: time.UTC,
	}
	for _, f := range change {
		f(&cfg)
	}
	w.page = page.New(cfg)
	t.Cleanup(w.close)
	return w
}

// close may be called by a test that runs in a bubble, too.
func (w *world) close() {
	w.page.Close()
	w.slack.Close()
	w.home.Close()
	w.prod.Close()
}

func (w *world) addUser(s *qlikemu.Server, name, email string, roles ...string) qlikemu.User {
	w.t.Helper()
	u, err := s.AddUser(qlikemu.User{Name: name, Email: email, Subject: "auth|" + name, Roles: roles})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// ServeHTTP mounts everything as the demo does.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	for _, prefix := range []string{"/api/", "/link", "/commands/", "/actions/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			w.slack.ServeHTTP(rw, r)
			return
		}
	}
	w.page.ServeHTTP(rw, r)
}

// app is an app as small as can be: it calls the Web API by plain HTTP and
// answers envelopes as it is told.
type app struct {
	t     *testing.T
	slack *slackemu.Server
	http  *http.Client
	cfg   slackemu.Config
	// answer says what acknowledges an envelope; nil leaves it unanswered.
	answer func(kind string, payload obj) (ack any, ok bool)

	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newApp(t *testing.T, w *world) *app {
	t.Helper()
	return &app{t: t, slack: w.slack, http: w.slack.Client(), cfg: w.slack.Config()}
}

// call calls a method of the Web API.
func (a *app) call(method string, args any) obj {
	a.t.Helper()
	out, err := a.try(method, a.cfg.BotToken, args)
	if err != nil || out["ok"] != true {
		a.t.Errorf("%s: %v, %v", method, out, err)
	}
	return out
}

func (a *app) try(method, token string, args any) (obj, error) {
	body, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://slack.test/api/"+method, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var out obj
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// connect opens a Socket Mode connection and serves it until stop.
func (a *app) connect(answer func(kind string, payload obj) (any, bool)) {
	a.t.Helper()
	a.answer = answer
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	opened, err := a.try("apps.connections.open", a.cfg.AppToken, obj{})
	if err != nil || opened["ok"] != true {
		a.t.Fatalf("apps.connections.open: %v, %v", opened, err)
	}
	conn, resp, err := websocket.Dial(ctx, opened["url"].(string), &websocket.DialOptions{HTTPClient: a.http})
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	hello := make(chan struct{})
	a.done.Go(func() {
		defer func() { _ = conn.CloseNow() }()
		for {
			_, frame, err := conn.Read(ctx)
			if err != nil {
				return
			}
			var e struct {
				ID      string `json:"envelope_id"`
				Type    string `json:"type"`
				Payload obj    `json:"payload"`
			}
			if json.Unmarshal(frame, &e) != nil || e.ID == "" {
				if e.Type == "hello" {
					close(hello)
				}
				continue
			}
			a.done.Go(func() {
				payload, ok := a.answer(e.Type, e.Payload)
				if !ok {
					return
				}
				ack := obj{"envelope_id": e.ID}
				if payload != nil {
					ack["payload"] = payload
				}
				raw, err := json.Marshal(ack)
				if err == nil {
					_ = conn.Write(ctx, websocket.MessageText, raw)
				}
			})
		}
	})
	<-hello
	for !slices.ContainsFunc(a.slack.Connections(), func(c slackemu.Connection) bool { return c.State == "live" }) {
		time.Sleep(time.Millisecond) // registered, and about to be
	}
}

func (a *app) stop() {
	if a.cancel != nil {
		a.cancel()
	}
	a.done.Wait()
	a.http.CloseIdleConnections()
}

func plain(s string) obj { return obj{"type": "plain_text", "text": s} }

func words(s string) obj { return obj{"type": "mrkdwn", "text": s, "verbatim": true} }

func button(action, text, style string) obj {
	b := obj{"type": "button", "action_id": action, "text": plain(text), "value": "ADM-1.1", "accessibility_label": text + ": ADM-1"}
	if style != "" {
		b["style"] = style
	}
	return b
}

// card is a request as the bot shows one.
func card(state string, revision int, votes string, buttons ...any) obj {
	id := func(part string) string { return fmt.Sprintf("ADM-1.%d.%s", revision, part) }
	now := time.Now().Unix()
	return obj{
		"text": "ADM-1 · " + state + ": Make Ben Baum an administrator of prod\nAsked by <@U0ANA>.",
		"blocks": []any{
			obj{"type": "header", "block_id": id("header"), "text": plain("Make Ben Baum an administrator of prod")},
			obj{"type": "context", "block_id": id("state"), "elements": []any{words("ADM-1 · *" + state + "* · tenant prod")}},
			obj{"type": "section", "block_id": id("facts"), "text": plain("E-mail: ben@example.com\nSubject: auth|Ben Baum")},
			obj{"type": "section", "block_id": id("steps"), "text": plain("Give Ben Baum the role TenantAdmin\n   roles: SharedSpaceCreator → SharedSpaceCreator, TenantAdmin")},
			obj{"type": "context", "block_id": id("asked"), "elements": []any{words(fmt.Sprintf("Asked by <@U0ANA> <!date^%d^{date_short_pretty} {time}|today>", now))}},
			obj{"type": "context", "block_id": id("reason"), "elements": []any{plain("Reason: on call")}},
			obj{"type": "context", "block_id": id("rule"), "elements": []any{plain(votes)}},
			obj{"type": "context", "block_id": id("from"), "elements": []any{words("May approve: <!subteam^S0APP>")}},
			obj{"type": "actions", "block_id": id("actions"), "elements": buttons},
		},
	}
}

func waiting() obj {
	return card("waiting", 1, "Rule prod-admin-power: 0 of 1 approvals",
		button("request.approve", "Approve", "primary"), button("request.deny", "Deny", ""), button("request.cancel", "Cancel Request", ""), button("request.details", "Details", ""))
}

// at adds where a message goes.
func at(channel string, message obj) obj {
	out := obj{"channel": channel}
	for k, v := range message {
		out[k] = v
	}
	return out
}

// inMemory is a listener whose connections are pipes.
type inMemory struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newInMemory() *inMemory {
	return &inMemory{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *inMemory) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *inMemory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (l *inMemory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
