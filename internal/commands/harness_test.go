package commands_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
	emulator "github.com/qlik-chatops/bot/internal/emulator/qlik"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// world is two emulated tenants, a Slack of a few people and a store of
// requests. Nothing in it can write to a tenant.
type world struct {
	*testing.T
	home, prod *emulator.Server
	readers    map[string]qlik.Reader
	slack      map[string]commands.SlackPerson // by ID
	slackErr   error
	slackAsked []string
	requests   []approval.Request
	storeErr   error
	catalogue  *commands.Catalogue
	allowed    []string // commands; nil: all
	caller     approval.Identity

	mu    sync.Mutex // guards calls
	calls map[string]bool
}

// inWorld runs the test on fake time in a world of its own.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			T: t, readers: map[string]qlik.Reader{}, catalogue: commands.New(), calls: map[string]bool{},
			slack:  map[string]commands.SlackPerson{},
			caller: approval.Identity{Team: "T0", User: "U0CALLER"},
		}
		w.home, w.prod = w.start("home"), w.start("prod")
		f(t, w)
	})
}

func (w *world) start(label string) *emulator.Server {
	w.Helper()
	const secret = "made-up-" + "secret"
	tenant := emulator.New(emulator.Config{
		Hostname: label + ".eu.qlikcloud.example", Seed: 1,
		Clients: []emulator.Client{{ID: "made-up-client", Secret: secret, Trusted: true}},
	})
	network := pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: tenant}
	served := make(chan error, 1)
	go func() { served <- server.Serve(network) }()
	transport := &http.Transport{DialContext: network.dial}
	client, err := qlik.New(qlik.Config{
		Label: label, BaseURL: &url.URL{Scheme: "http", Host: "127.0.0.1"},
		ClientID: "made-up-client", ClientSecret: func() string { return secret },
		HTTP: &http.Client{Transport: transport},
		Observe: func(c qlik.Call) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.calls[c.Operation] = true
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		tenant.Close()
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			w.Errorf("close server: %v", err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.Errorf("serve: %v", err)
		}
	})
	w.readers[label] = client.Reader()
	return tenant
}

// pipes is an in-memory network with one listener.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Tenant is commands.Tenants.
func (w *world) Tenant(label string) (qlik.Reader, error) {
	r, ok := w.readers[label]
	if !ok {
		return qlik.Reader{}, fmt.Errorf("no tenant %s", label)
	}
	return r, nil
}

// SlackUser is commands.People.
func (w *world) SlackUser(_ context.Context, id string) (commands.SlackPerson, error) {
	if w.slackErr != nil {
		return commands.SlackPerson{}, w.slackErr
	}
	p, ok := w.slack[id]
	if !ok {
		return commands.SlackPerson{}, errors.New("user_not_found")
	}
	return p, nil
}

// SlackUserByEmail is commands.People.
func (w *world) SlackUserByEmail(_ context.Context, email string) (commands.SlackPerson, bool, error) {
	w.slackAsked = append(w.slackAsked, email)
	if w.slackErr != nil {
		return commands.SlackPerson{}, false, w.slackErr
	}
	for _, p := range w.slack {
		if strings.EqualFold(p.Email, email) {
			return p, true, nil
		}
	}
	return commands.SlackPerson{}, false, nil
}

// Request is commands.Requests.
func (w *world) Request(_ context.Context, id string) (approval.Request, error) {
	if w.storeErr != nil {
		return approval.Request{}, w.storeErr
	}
	for _, r := range w.requests {
		if r.ID == id {
			return r, nil
		}
	}
	return approval.Request{}, approval.ErrNoRequest
}

// OpenRequests is commands.Requests.
func (w *world) OpenRequests(context.Context) ([]approval.Request, error) {
	return slices.DeleteFunc(slices.Clone(w.requests), func(r approval.Request) bool { return r.State.Ended() }), w.storeErr
}

// RecentRequests is commands.Requests.
func (w *world) RecentRequests(_ context.Context, limit int) ([]approval.Request, error) {
	recent := slices.Clone(w.requests)
	slices.Reverse(recent)
	return recent[:min(limit, len(recent))], w.storeErr
}

func (w *world) world() commands.World {
	return commands.World{
		Caller: w.caller, Tenants: w, People: w, Requests: w, Catalogue: w.catalogue,
		MaySee:  func(r approval.Request) bool { return r.Tenant == "prod" },
		Allowed: func(c string) bool { return w.allowed == nil || slices.Contains(w.allowed, c) },
		Listed: []commands.TenantInfo{
			{Label: "home", Host: "home.eu.qlikcloud.example", Source: true},
			{Label: "prod", Host: "prod.eu.qlikcloud.example", Default: true},
		},
	}
}

func (w *world) user(s *emulator.Server, u emulator.User) emulator.User {
	w.Helper()
	made, err := s.AddUser(u)
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// plan parses the line and makes its plan, by way of the stored arguments.
func (w *world) plan(line string) (approval.Plan, error) {
	w.Helper()
	inv, err := w.catalogue.Parse(line, defaults())
	if err != nil {
		w.Fatalf("%s: %v", line, err)
	}
	change, err := w.catalogue.Decode(inv.Command, inv.Args)
	if err != nil {
		w.Fatal(err)
	}
	p, err := change.Plan(w.Context(), w.world())
	if err == nil {
		w.checkPlan(inv, p)
	}
	return p, err
}

// checkPlan checks what must hold of every plan.
func (w *world) checkPlan(inv commands.Invocation, p approval.Plan) {
	w.Helper()
	s := inv.Spec()
	if p.Command != inv.Command || p.Tenant != inv.Tenant || p.Title == "" {
		w.Errorf("a plan of %s on %s, titled %q", p.Command, p.Tenant, p.Title)
	}
	if (len(p.Steps) == 0) != (p.Nothing != "") {
		w.Errorf("%d steps, and nothing to do because %q", len(p.Steps), p.Nothing)
	}
	if p.GivesAdmin() && !s.MayGiveAdmin || p.TakesAdmin() && !s.MayTakeAdmin {
		w.Errorf("the plan does more than %s may do", s.Name)
	}
	if _, err := p.Digest(); err != nil {
		w.Error(err)
	}
	for _, step := range p.Steps {
		if step.Tenant != p.Tenant || step.Line == "" || step.Object == "" {
			w.Errorf("a step that is not whole: %+v", step)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for call := range w.calls {
		if call != "oauth.token" && !slices.Contains(s.Calls, call) {
			w.Errorf("%s calls %s, and its catalogue entry does not say so", s.Name, call)
		}
	}
}

// planned is plan where there has to be one.
func (w *world) planned(line string) approval.Plan {
	w.Helper()
	p, err := w.plan(line)
	if err != nil {
		w.Fatalf("%s: %v", line, err)
	}
	return p
}

// refused checks that there is no plan, and what people are told.
func (w *world) refused(line string, want ...string) {
	w.Helper()
	r := w.refusal(line)
	for _, s := range append(want, "Nothing was changed.") {
		if !strings.Contains(r.Error(), s) {
			w.Errorf("%s: it says\n%s\nwant in it\n%s", line, r.Error(), s)
		}
	}
	if strings.Count(r.Error(), "Nothing was changed.") != 1 {
		w.Errorf("it does not say once that nothing was changed: %s", r.Error())
	}
}

// refusal is what the plan is refused with.
func (w *world) refusal(line string) commands.RefusedError {
	w.Helper()
	p, err := w.plan(line)
	var refusal *commands.RefusedError
	if !errors.As(err, &refusal) {
		w.Fatalf("%s: error %v, want a refusal; plan %s", line, err, asJSON(w.T, p))
	}
	return *refusal
}

// answer parses the line and gives its answer.
func (w *world) answer(line string) (commands.Reply, error) {
	w.Helper()
	inv, err := w.catalogue.Parse(line, defaults())
	if err != nil {
		w.Fatalf("%s: %v", line, err)
	}
	read, ok := inv.Read()
	if !ok {
		w.Fatalf("%s does not answer", line)
	}
	return read.Answer(w.Context(), w.world())
}

func (w *world) answered(line string) commands.Reply {
	w.Helper()
	r, err := w.answer(line)
	if err != nil {
		w.Fatalf("%s: %v", line, err)
	}
	return r
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// notes are all sentences of a plan.
func notes(p approval.Plan) string { return strings.Join(p.Notes, "\n") }

func facts(p approval.Plan) string {
	var b strings.Builder
	for _, f := range p.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Label, f.Value)
	}
	return b.String()
}

// kinds are the kinds of a plan's steps, in order.
func kinds(p approval.Plan) string {
	var k []string
	for _, s := range p.Steps {
		k = append(k, s.Kind)
	}
	return strings.Join(k, " ")
}
