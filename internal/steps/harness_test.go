package steps_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	emulator "github.com/qlik-chatops/bot/internal/emulator/qlik"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/steps"
)

const label = "prod"

// The writes, as faults name them.
const (
	opCreate = "POST /api/v1/users"
	opPatch  = "PATCH /api/v1/users/{userId}"
	opInvite = "POST /api/v1/users/actions/invite"
	opList   = "GET /api/v1/users"
)

// world is an emulated tenant with the kinds that write to it.
type world struct {
	*testing.T
	tenant *emulator.Server
	kinds  map[string]execution.Kind
	reader qlik.Reader
}

// inWorld runs the test on fake time against a tenant of its own.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		const secret = "made-up-" + "secret"
		tenant := emulator.New(emulator.Config{
			Hostname: "prod.eu.qlikcloud.example", Seed: 1,
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
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			tenant.Close()
			transport.CloseIdleConnections()
			if err := server.Close(); err != nil {
				t.Errorf("close server: %v", err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
		})
		f(t, &world{T: t, tenant: tenant, reader: client.Reader(), kinds: steps.Kinds(func(l string) (*qlik.Client, error) {
			if l != label {
				return nil, errors.New("no such tenant")
			}
			return client, nil
		})})
	})
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

// run is one step of a plan as the runner would treat it.
type run struct {
	w       *world
	plan    approval.Plan
	index   int
	records []approval.StepRecord
}

func (w *world) run(plan ...approval.Step) *run {
	return &run{w: w, plan: approval.Plan{Command: "test", Tenant: label, Steps: plan}, records: make([]approval.StepRecord, len(plan))}
}

func (r *run) kind() execution.Kind { return r.w.kinds[r.plan.Steps[r.index].Kind] }

func (r *run) work() execution.Work {
	return execution.Work{Request: "R1", Plan: r.plan, Index: r.index, Records: r.records}
}

// look reads, as before and after a write.
func (r *run) look() execution.Sight {
	r.w.Helper()
	if rec := &r.records[r.index]; rec.StartedAt.IsZero() {
		rec.StartedAt = time.Now()
	}
	s, err := r.kind().Look(context.Background(), r.work())
	if err != nil {
		r.w.Fatalf("look: %v", err)
	}
	return s
}

// send writes and keeps what the runner would keep.
func (r *run) send() error {
	r.w.Helper()
	rec := &r.records[r.index]
	rec.Sends++
	rec.SentAt = time.Now()
	rec.Answered = false
	a, err := r.kind().Do(context.Background(), r.work())
	if err == nil {
		rec.Answered = true
		rec.Result, rec.Items = a.Result, a.Items
	}
	return err
}

// must is send where it has to succeed.
func (r *run) must() {
	r.w.Helper()
	if err := r.send(); err != nil {
		r.w.Fatalf("send: %v", err)
	}
}

// stands checks the standing and gives back the sight, kept as the runner does
// at the end of a step.
func (r *run) stands(want execution.Standing) execution.Sight {
	r.w.Helper()
	s := r.look()
	if s.Standing != want {
		r.w.Fatalf("standing %v (%q), want %v", s.Standing, s.Why, want)
	}
	if want == execution.Changed && s.Why == "" {
		r.w.Error("no sentence says what has changed")
	}
	return s
}

// done ends the step with what the sight says.
func (r *run) done() {
	r.w.Helper()
	s := r.stands(execution.Present)
	if s.Result != nil {
		r.records[r.index].Result = s.Result
	}
	if s.Items != nil {
		r.records[r.index].Items = s.Items
	}
	r.records[r.index].State = approval.StepDone
}

func (w *world) user(u emulator.User) emulator.User {
	w.Helper()
	made, err := w.tenant.AddUser(u)
	if err != nil {
		w.Fatal(err)
	}
	return made
}

func (w *world) state(id string) steps.UserState {
	w.Helper()
	u, err := w.reader.Users.Get(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	return steps.StateOf(u)
}

func (w *world) role(name string) steps.Role {
	w.Helper()
	r, err := w.reader.Roles.ByName(context.Background(), name)
	if err != nil {
		w.Fatal(err)
	}
	return steps.Role{ID: r.ID, Name: r.Name}
}

func wantClass(t *testing.T, err error, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v, want one that is %v", err, class)
	}
	for _, other := range []error{execution.ErrNotSent, execution.ErrRefused, execution.ErrInDoubt} {
		if !errors.Is(class, other) && errors.Is(err, other) {
			t.Fatalf("error %v is %v and %v at once", err, class, other)
		}
	}
	var e *execution.StepError
	if !errors.As(err, &e) || e.Say == "" {
		t.Fatalf("error %v has no sentence for people", err)
	}
}

// wait is how long the error says to wait.
func wait(err error) time.Duration {
	var e *execution.StepError
	if !errors.As(err, &e) {
		return 0
	}
	return e.After
}

func text(raw json.RawMessage) string { return string(raw) }
