package qlik

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// wire is a network in memory, so that a test can run inside a bubble.
type wire struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newWire() *wire { return &wire{conns: make(chan net.Conn), done: make(chan struct{})} }

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error { w.once.Do(func() { close(w.done) }); return nil }

func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-w.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

const (
	testID     = "made-up-client"
	testSecret = "made-up-" + "secret"
	testToken  = "made-up-" + "token-"
)

// seen is one request as the fake tenant got it, without token requests.
type seen struct {
	Method, Path, Query, Body, Auth, ContentType, Accept, Agent string
}

// fake is a tenant whose answers a test writes by hand.
type fake struct {
	t      *testing.T
	client *Client
	rt     *http.Transport
	wire   *wire

	mu       sync.Mutex // guards what follows
	requests []seen
	tokens   int // how many were given out
	calls    []Call

	answer  http.HandlerFunc // to everything but token requests
	onToken http.HandlerFunc // to token requests; nil: a token for six hours
}

// newFake makes a tenant and its client. Inside a bubble the end of the test
// ends everything.
func newFake(t *testing.T, answer http.HandlerFunc, change ...func(*Config)) *fake {
	t.Helper()
	f := &fake{t: t, answer: answer, wire: newWire()}
	f.client, f.rt = serve(t, f.wire, f, append(change, func(c *Config) {
		if c.Observe == nil {
			c.Observe = func(call Call) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.calls = append(f.calls, call)
			}
		}
	})...)
	return f
}

// serve runs a handler on the wire and makes a client for it.
func serve(t *testing.T, w *wire, h http.Handler, change ...func(*Config)) (*Client, *http.Transport) {
	t.Helper()
	srv := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(w) }()
	rt := &http.Transport{DialContext: w.dial, MaxIdleConnsPerHost: 10}
	cfg := Config{
		Label:        "prod",
		BaseURL:      &url.URL{Scheme: "http", Host: "127.0.0.1:1"},
		ClientID:     testID,
		ClientSecret: func() string { return testSecret },
		HTTP:         &http.Client{Transport: rt},
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = srv.Close()
		_ = w.Close()
		<-served
	})
	return client, rt
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The server sees its client leave only once the body has been read.
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.URL.Path == "/oauth/token" {
		f.mu.Lock()
		f.tokens++
		n, onToken := f.tokens, f.onToken
		f.mu.Unlock()
		if onToken != nil {
			onToken(w, r)
			return
		}
		reply(200, fmt.Sprintf(`{"access_token":"%s%d","token_type":"bearer","expires_in":21600}`, testToken, n))(w, r)
		return
	}
	f.mu.Lock()
	f.requests = append(f.requests, seen{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Body: string(body),
		Auth: r.Header.Get("Authorization"), ContentType: r.Header.Get("Content-Type"),
		Accept: r.Header.Get("Accept"), Agent: r.Header.Get("User-Agent"),
	})
	answer := f.answer
	f.mu.Unlock()
	answer(w, r)
}

// setAnswer and setToken change the answers of a tenant that is in use.
func (f *fake) setAnswer(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = h
}

func (f *fake) setToken(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onToken = h
}

func (f *fake) tokenCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tokens
}

// lastCall is the last one that Observe was told of.
func (f *fake) lastCall() Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[len(f.calls)-1]
}

// got is what the tenant was asked.
func (f *fake) got() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.requests...)
}

// reply answers with a status and a JSON body.
func reply(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// html answers like a gateway in front of Qlik.
func html(status int) http.HandlerFunc {
	return reply(status, "<html><body><h1>Sorry</h1></body></html>", "Content-Type", "text/html")
}

// truncated promises more than it sends.
func truncated(status int, part string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintf(buf, "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(part)+500, part)
		_ = buf.Flush()
		_ = conn.Close()
	}
}

// drop ends the connection without an answer.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// slowly answers after a while, unless the client has gone.
func slowly(d time.Duration, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			next(w, r)
		case <-r.Context().Done():
		}
	}
}

// inOrder gives the answers one after another, the last for ever.
func inOrder(answers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		next := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		mu.Unlock()
		next(w, r)
	}
}

// leaks fails the test when a text shows what it must not.
func leaks(t *testing.T, text string, hidden ...string) {
	t.Helper()
	for _, h := range append(hidden, testSecret, testToken) {
		if strings.Contains(text, h) {
			t.Errorf("%q shows %q", text, h)
		}
	}
}
