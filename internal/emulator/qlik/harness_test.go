package qlik_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

const (
	clientID     = "made-up-client"
	clientSecret = "made-up-" + "secret"
	host         = "acme.eu.qlikcloud.example"
)

// tenant is an emulated tenant behind an in-memory network.
type tenant struct {
	*qlik.Server
	t      *testing.T
	client *http.Client
	token  string
	record func(exchange) // sees every call, if set
}

// exchange is one call as its client saw it.
type exchange struct {
	method, path string
	query        url.Values
	contentType  string
	body         []byte
	status       int
	header       http.Header
	answer       []byte
}

// newTenant starts a tenant with one trusted client, and signs that in.
func newTenant(t *testing.T, change ...func(*qlik.Config)) *tenant {
	t.Helper()
	tn := startTenant(t, change...)
	tn.token = tn.signIn("")
	return tn
}

func startTenant(t *testing.T, change ...func(*qlik.Config)) *tenant {
	t.Helper()
	cfg := qlik.Config{
		Hostname: host,
		Seed:     1,
		Clients: []qlik.Client{{
			ID: clientID, Secret: clientSecret, Name: "Made-up bot", Trusted: true,
			Scopes: []string{"admin_classic", "admin.users", "admin.users:read", "admin.spaces", "user_default"},
		}},
	}
	for _, f := range change {
		f(&cfg)
	}
	s := qlik.New(cfg)
	network := newPipes()
	server := &http.Server{Handler: s}
	served := make(chan error, 1)
	go func() { served <- server.Serve(network) }()
	transport := &http.Transport{DialContext: network.dial}
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return &tenant{Server: s, t: t, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// signIn gets a token for a scope; "" asks for all.
func (tn *tenant) signIn(scope string) string {
	tn.t.Helper()
	res := tn.send("POST", "/oauth/token", "application/json", map[string]string{
		"client_id": clientID, "client_secret": clientSecret, "grant_type": "client_credentials", "scope": scope,
	})
	if res.status != http.StatusOK {
		tn.t.Fatalf("sign in: %d %s", res.status, res.raw)
	}
	return res.str("access_token")
}

// answer is what a call got.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	raw    []byte
	doc    map[string]any
}

func (tn *tenant) get(path string) answer {
	tn.t.Helper()
	return tn.send("GET", path, "", nil)
}

func (tn *tenant) post(path string, body any) answer {
	tn.t.Helper()
	return tn.send("POST", path, "application/json", body)
}

func (tn *tenant) patch(path string, body any) answer {
	tn.t.Helper()
	return tn.send("PATCH", path, "application/json", body)
}

func (tn *tenant) put(path string, body any) answer {
	tn.t.Helper()
	return tn.send("PUT", path, "application/json", body)
}

func (tn *tenant) delete(path string) answer {
	tn.t.Helper()
	return tn.send("DELETE", path, "", nil)
}

// send makes a call that must be answered. A body is a string, taken as it is,
// or something to encode as JSON.
func (tn *tenant) send(method, path, contentType string, body any) answer {
	tn.t.Helper()
	res, err := tn.try(context.Background(), method, path, contentType, body)
	if err != nil {
		tn.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res
}

func (tn *tenant) try(ctx context.Context, method, path, contentType string, body any) (answer, error) {
	tn.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case nil:
	case string:
		raw = []byte(b)
	default:
		var err error
		if raw, err = json.Marshal(body); err != nil {
			tn.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(raw))
	if err != nil {
		tn.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if tn.token != "" {
		req.Header.Set("Authorization", "Bearer "+tn.token)
	}
	res, err := tn.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	got, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return answer{}, err
	}
	if tn.record != nil {
		tn.record(exchange{
			method: method, path: req.URL.EscapedPath(), query: req.URL.Query(), contentType: contentType, body: raw,
			status: res.StatusCode, header: res.Header, answer: got,
		})
	}
	a := answer{t: tn.t, status: res.StatusCode, header: res.Header, raw: got}
	_ = json.Unmarshal(got, &a.doc) // not every answer is JSON
	return a, nil
}

// want checks the status and gives the answer back.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.raw)
	}
	return a
}

// str is a string in the answer.
func (a answer) str(key string) string {
	a.t.Helper()
	s, ok := a.doc[key].(string)
	if !ok {
		a.t.Fatalf("answer has no string %q: %s", key, a.raw)
	}
	return s
}

// data is the list in an answer.
func (a answer) data() []map[string]any {
	a.t.Helper()
	items, ok := a.doc["data"].([]any)
	if !ok {
		a.t.Fatalf("answer has no data: %s", a.raw)
	}
	out := make([]map[string]any, len(items))
	for i, item := range items {
		out[i], _ = item.(map[string]any)
	}
	return out
}

// column is one string field of every entry of a list, "" where it is missing.
func (a answer) column(key string) []string {
	a.t.Helper()
	out := []string{}
	for _, item := range a.data() {
		s, _ := item[key].(string)
		out = append(out, s)
	}
	return out
}

// problem is the first error of an error answer.
func (a answer) problem() map[string]any {
	a.t.Helper()
	items, _ := a.doc["errors"].([]any)
	if len(items) == 0 {
		a.t.Fatalf("answer has no errors: %s", a.raw)
	}
	p, _ := items[0].(map[string]any)
	return p
}

// cursor is the cursor in a link, "" if there is no such link.
func (a answer) cursor(name string) string {
	a.t.Helper()
	links, _ := a.doc["links"].(map[string]any)
	link, _ := links[name].(map[string]any)
	href, _ := link["href"].(string)
	if href == "" {
		return ""
	}
	u, err := url.Parse(href)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, param := range []string{name, "page"} {
		if c := u.Query().Get(param); c != "" {
			return c
		}
	}
	return ""
}

// addUser seeds a user.
func (tn *tenant) addUser(u qlik.User) qlik.User {
	tn.t.Helper()
	u, err := tn.AddUser(u)
	if err != nil {
		tn.t.Fatal(err)
	}
	return u
}

// person is a user with a name as its subject and address.
func person(name string, change ...func(*qlik.User)) qlik.User {
	u := qlik.User{Subject: "auth0|" + strings.ToLower(name), Name: name, Email: strings.ToLower(name) + "@example.com"}
	for _, f := range change {
		f(&u)
	}
	return u
}

// roleID is the ID of a role.
func (tn *tenant) roleID(name string) string {
	tn.t.Helper()
	for _, r := range tn.Roles() {
		if r.Name == name {
			return r.ID
		}
	}
	tn.t.Fatalf("no role %q", name)
	return ""
}

// filtered is a list's path with a filter.
func filtered(path, filter string) string { return path + "?filter=" + url.QueryEscape(filter) }

// patchOp is one operation of a JSON Patch.
func patchOp(op, path string, value any) map[string]any {
	return map[string]any{"op": op, "path": path, "value": value}
}

// pipes is a network of in-memory connections, so that tests can run in
// bubbles with fake time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
