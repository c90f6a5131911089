package slack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

// inBubble runs a test on fake time with a workspace of three people, one
// channel with the bot in it, and an app that has no connection yet.
func inBubble(t *testing.T, cfg slack.Config, f func(t *testing.T, s *slack.Server, a *app)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slack.New(cfg)
		defer s.Close()
		people(s)
		a := &app{t: t, http: s.Client(), base: "http://slack.test", cfg: s.Config()}
		defer a.closeAll()
		f(t, s, a)
	})
}

func people(s *slack.Server) {
	s.AddUser(slack.User{ID: "U0ANA", Name: "ana", RealName: "Ana", Email: "ana@example.com", TZ: "Europe/Vienna"})
	s.AddUser(slack.User{ID: "U0BEN", Name: "ben", RealName: "Ben", Email: "ben@example.com"})
	s.AddUser(slack.User{ID: "U0GUEST", Name: "gil", Email: "gil@example.com", IsRestricted: true})
	s.AddUser(slack.User{ID: "U0GONE", Name: "gus", Email: "gus@example.com", Deleted: true})
	s.AddUser(slack.User{ID: "U0EXT", TeamID: "T0OTHER", Name: "eve", Email: "eve@example.com"})
	s.AddUserGroup(slack.UserGroup{ID: "S0OPS", Name: "Operations", Handle: "ops", Members: []string{"U0ANA"}})
	s.AddChannel(slack.Channel{
		ID: "C0OPS", Name: "ops-room", BotIsMember: true, Members: []string{"U0ANA", "U0BEN", "U0GUEST", "U0EXT", "U0GONE"},
	})
	s.AddChannel(slack.Channel{ID: "C0FAR", Name: "far", Members: []string{"U0ANA"}})
	s.AddChannel(slack.Channel{ID: "G0SECRET", Name: "secret", IsPrivate: true, Members: []string{"U0ANA"}})
}

// app is a Socket Mode client, as simple as can be.
type app struct {
	t    *testing.T
	http *http.Client
	base string
	cfg  slack.Config

	mu    sync.Mutex
	conns []*conn
}

type answer map[string]any

func (r answer) str(key string) string { s, _ := r[key].(string); return s }

// call calls a method with form arguments.
func (a *app) call(method string, pairs ...string) answer {
	a.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r, _ := a.post(method, "application/x-www-form-urlencoded", form.Encode(), a.cfg.BotToken)
	return r
}

// callJSON calls a method with a JSON body.
func (a *app) callJSON(method string, body any) answer {
	a.t.Helper()
	r, _ := a.post(method, "application/json", mustJSON(a.t, body), a.cfg.BotToken)
	return r
}

func (a *app) post(method, kind, body, token string) (answer, *http.Response) {
	a.t.Helper()
	r, resp, err := a.try(method, kind, body, token)
	if err != nil {
		a.t.Fatalf("%s: %v", method, err)
	}
	return r, resp
}

func (a *app) try(method, kind, body, token string) (answer, *http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, a.base+"/api/"+method, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, resp, err
	}
	var out answer
	return out, resp, json.Unmarshal(raw, &out)
}

// respond posts to a response_url.
func (a *app) respond(u string, body any) (int, string) {
	a.t.Helper()
	resp, err := a.http.Post(u, "application/json", bytes.NewReader([]byte(mustJSON(a.t, body))))
	if err != nil {
		a.t.Fatalf("response_url: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// conn is one connection; frames are what came in.
type conn struct {
	ws *websocket.Conn
	// answer makes the payload of an acknowledgement; false: do not acknowledge.
	answer func(envelope) (any, bool)

	mu     sync.Mutex
	frames []envelope
	raw    []string
	err    error
	done   chan struct{}
}

type envelope struct {
	ID             string          `json:"envelope_id"`
	Type           string          `json:"type"`
	Reason         string          `json:"reason"`
	Payload        json.RawMessage `json:"payload"`
	Accepts        *bool           `json:"accepts_response_payload"`
	RetryAttempt   *int            `json:"retry_attempt"`
	RetryReason    *string         `json:"retry_reason"`
	NumConnections int             `json:"num_connections"`
	ConnectionInfo struct {
		AppID string `json:"app_id"`
	} `json:"connection_info"`
	DebugInfo struct {
		Host        string `json:"host"`
		BuildNumber int    `json:"build_number"`
		Time        int    `json:"approximate_connection_time"`
	} `json:"debug_info"`
}

func ackAll(envelope) (any, bool)  { return nil, true }
func ackNone(envelope) (any, bool) { return nil, false }

// connect opens a connection and waits for what comes first.
func (a *app) connect(handle func(envelope) (any, bool)) *conn {
	a.t.Helper()
	c, err := a.dial(a.openURL(), handle)
	if err != nil {
		a.t.Fatalf("connect: %v", err)
	}
	synctest.Wait()
	return c
}

func (a *app) openURL() string {
	a.t.Helper()
	r, _ := a.post("apps.connections.open", "application/x-www-form-urlencoded", "", a.cfg.AppToken)
	if r["ok"] != true {
		a.t.Fatalf("apps.connections.open: %v", r)
	}
	return r.str("url")
}

func (a *app) dial(u string, handle func(envelope) (any, bool)) (*conn, error) {
	ws, resp, err := websocket.Dial(context.Background(), u, &websocket.DialOptions{HTTPClient: a.http})
	if err != nil {
		if resp != nil {
			err = errors.Join(err, errors.New(resp.Status))
		}
		return nil, err
	}
	c := &conn{ws: ws, answer: handle, done: make(chan struct{})}
	a.mu.Lock()
	a.conns = append(a.conns, c)
	a.mu.Unlock()
	go c.read()
	return c, nil
}

func (c *conn) read() {
	defer close(c.done)
	for {
		_, data, err := c.ws.Read(context.Background())
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		}
		var e envelope
		bad := json.Unmarshal(data, &e)
		c.mu.Lock()
		c.raw = append(c.raw, string(data))
		if bad == nil {
			c.frames = append(c.frames, e)
		}
		c.mu.Unlock()
		if e.ID == "" {
			continue
		}
		if payload, ok := c.answer(e); ok {
			_ = c.ack(e.ID, payload)
		}
	}
}

func (c *conn) ack(id string, payload any) error {
	m := map[string]any{"envelope_id": id}
	if payload != nil {
		m["payload"] = payload
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return c.ws.Write(context.Background(), websocket.MessageText, raw)
}

// got returns the frames of a type that came in.
func (c *conn) got(kind string) []envelope {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []envelope
	for _, e := range c.frames {
		if e.Type == kind {
			out = append(out, e)
		}
	}
	return out
}

func (c *conn) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *conn) goodbye() { _ = c.ws.Close(websocket.StatusNormalClosure, "") }
func (c *conn) vanish()  { _ = c.ws.CloseNow(); <-c.done }

func (a *app) closeAll() {
	a.mu.Lock()
	conns := a.conns
	a.mu.Unlock()
	for _, c := range conns {
		_ = c.ws.CloseNow()
		<-c.done
	}
	a.http.CloseIdleConnections()
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// payload decodes what an outcome sent.
func sent(t *testing.T, o slack.Outcome) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(o.Sent, &out); err != nil {
		t.Fatalf("payload: %v", err)
	}
	return out
}

// at walks a decoded JSON value.
func at(v any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

func wantError(t *testing.T, r answer, code string) {
	t.Helper()
	if r.str("error") != code || r["ok"] != false {
		t.Fatalf("got %v, want the error %q", r, code)
	}
}

func wantOK(t *testing.T, r answer) {
	t.Helper()
	if r["ok"] != true {
		t.Fatalf("got %v, want ok", r)
	}
}

func wantStatus(t *testing.T, o slack.Outcome, err error, want slack.Status) {
	t.Helper()
	if err != nil || o.Status != want {
		t.Fatalf("got %s %q %v, want %s", o.Status, o.Problem, err, want)
	}
}

// button is an actions block with one button.
func button(actionID, value string) []any {
	return []any{map[string]any{"type": "actions", "block_id": "b-" + actionID, "elements": []any{
		map[string]any{
			"type": "button", "action_id": actionID, "value": value,
			"text": map[string]any{"type": "plain_text", "text": "Press"},
		},
	}}}
}

func plain(text string) map[string]any { return map[string]any{"type": "plain_text", "text": text} }

func mrkdwn(text string) map[string]any { return map[string]any{"type": "mrkdwn", "text": text} }

const soon = 10 * time.Millisecond
