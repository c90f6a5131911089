package qlik

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writes are all writes of the client, each with the answer of success.
var writes = []struct {
	name    string
	success http.HandlerFunc
	do      func(context.Context, *Client) error
}{
	{"create", reply(201, `{"id":"u1","subject":"s"}`), func(ctx context.Context, c *Client) error {
		_, err := c.Users.Create(ctx, CreateUserRequest{Subject: "s", Status: StatusActive})
		return err
	}},
	{"patch", reply(204, ""), func(ctx context.Context, c *Client) error {
		return c.Users.Patch(ctx, "u1", []PatchOp{Replace("/name", "Ann")})
	}},
	{"set status", reply(204, ""), func(ctx context.Context, c *Client) error {
		return c.Users.SetStatus(ctx, "u1", StatusDisabled)
	}},
	{"add role", reply(204, ""), func(ctx context.Context, c *Client) error {
		return c.Users.AddRole(ctx, "u1", RoleRef{ID: "r1"})
	}},
	{"remove role", reply(204, ""), func(ctx context.Context, c *Client) error {
		return c.Users.RemoveRole(ctx, "u1", RoleRef{ID: "r1"})
	}},
	{"invite", reply(207, `{"data":[{"status":"ok","email":"a@example.com","userId":"u1","subject":"s"}]}`), func(ctx context.Context, c *Client) error {
		_, err := c.Users.Invite(ctx, []Invitee{{Email: "a@example.com"}})
		return err
	}},
}

// exactlyOne checks the promise on errors of writes.
func exactlyOne(t *testing.T, err error, want OutcomeKind) {
	t.Helper()
	var partial *PartialError
	claims := map[OutcomeKind]bool{
		OutcomeNotSent: errors.Is(err, ErrNotSent),
		OutcomeRefused: errors.Is(err, ErrRefused),
		OutcomeUnknown: errors.Is(err, ErrOutcomeUnknown),
		OutcomePartial: errors.As(err, &partial),
	}
	n := 0
	for _, c := range claims {
		if c {
			n++
		}
	}
	if n != 1 || !claims[want] {
		t.Errorf("error %v claims %v, want only %q", err, claims, want)
	}
	if got := Outcome(err); got != want {
		t.Errorf("Outcome(%v) = %q, want %q", err, got, want)
	}
}

func TestEveryErrorOfAWriteSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	const envelope = `{"errors":[{"code":"USERS-1","title":"No","status":400}],"traceId":"abc"}`
	cases := []struct {
		name   string
		answer http.HandlerFunc
		want   OutcomeKind
		is     error // besides the outcome; may be nil
		skip   string
	}{
		{"400 is refused", reply(400, envelope), OutcomeRefused, ErrBadRequest, "role"}, // roles fall back
		{"401 twice is refused", reply(401, envelope), OutcomeRefused, ErrUnauthorized, ""},
		{"403 is refused", reply(403, envelope), OutcomeRefused, ErrForbidden, ""},
		{"404 is refused", reply(404, envelope), OutcomeRefused, ErrNotFound, ""},
		{"409 is refused", reply(409, envelope), OutcomeRefused, ErrConflict, ""},
		{"413 without a body is refused", reply(413, ""), OutcomeRefused, nil, ""},
		{"403 cut in the middle is refused", truncated(403, `{"errors":[`), OutcomeRefused, ErrForbidden, ""},
		{"403 in HTML is refused", html(403), OutcomeRefused, ErrForbidden, ""},
		{"408 is unknown", reply(408, ""), OutcomeUnknown, ErrUnavailable, ""},
		{"429 has no effect", reply(429, `{"errors":[{"code":"HTTP-429","title":"API rate limit reached."}]}`, "Retry-After", "13"), OutcomeNotSent, ErrRateLimited, ""},
		{"503 with Retry-After has no effect", reply(503, "", "Retry-After", "5"), OutcomeNotSent, ErrUnavailable, ""},
		{"503 with a nonsensical Retry-After is unknown", reply(503, "", "Retry-After", "soon"), OutcomeUnknown, ErrUnavailable, ""},
		{"503 is unknown", html(503), OutcomeUnknown, ErrUnavailable, ""},
		{"500 is unknown", reply(500, envelope), OutcomeUnknown, ErrUnavailable, ""},
		{"502 in HTML is unknown", html(502), OutcomeUnknown, ErrUnavailable, ""},
		{"504 without a body is unknown", reply(504, ""), OutcomeUnknown, ErrUnavailable, ""},
		{"a connection that drops is unknown", drop, OutcomeUnknown, ErrUnavailable, ""},
		{"no answer in time is unknown", slowly(30*time.Second, reply(204, "")), OutcomeUnknown, context.DeadlineExceeded, ""},
		{"200 in HTML is unknown", html(200), OutcomeUnknown, ErrGarbled, ""},
		{"200 with something else is unknown", reply(200, `"hello"`), OutcomeUnknown, ErrGarbled, ""},
		{"200 cut in the middle is unknown", truncated(200, `{"id":"u1","data":[`), OutcomeUnknown, ErrUnavailable, ""},
		{"201 cut in the middle is unknown", truncated(201, `{"id":"u1"`), OutcomeUnknown, nil, ""},
		{"200 with errors inside is unknown", reply(200, `{"errors":[{"code":"X","title":"No"}]}`), OutcomeUnknown, ErrGarbled, ""},
		{"202 is unknown", reply(202, "{}"), OutcomeUnknown, ErrGarbled, ""},
		{"a redirect is unknown and not followed", reply(307, "", "Location", "/elsewhere"), OutcomeUnknown, ErrGarbled, ""},
		{"207 is partial", reply(207, envelope), OutcomePartial, nil, "invite"},
		{"207 without a body is partial", reply(207, ""), OutcomePartial, nil, "invite"},
		{"207 in HTML is partial", html(207), OutcomePartial, nil, "invite"},
		{"207 without results is unknown for invitations", reply(207, envelope), OutcomeUnknown, ErrGarbled, "not invite"},
		{"207 cut in the middle is unknown for invitations", truncated(207, `{"data":[{`), OutcomeUnknown, ErrUnavailable, "not invite"},
	}
	for _, w := range writes {
		for _, c := range cases {
			switch {
			case c.skip == "role" && strings.HasSuffix(w.name, "role"),
				c.skip == "invite" && w.name == "invite",
				c.skip == "not invite" && w.name != "invite":
				continue
			}
			t.Run(w.name+"/"+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t, c.answer)
					err := w.do(t.Context(), f.client)
					exactlyOne(t, err, c.want)
					if c.is != nil && !errors.Is(err, c.is) {
						t.Errorf("error %v is not %v", err, c.is)
					}
					attempts := 1
					if errors.Is(err, ErrUnauthorized) {
						attempts = 2
					}
					if n := len(f.got()); n != attempts {
						t.Errorf("sent %d times, want %d: %v", n, attempts, f.got())
					}
					leaks(t, fmt.Sprintf("%v %+v", err, err))
				})
			})
		}
		t.Run(w.name+"/success", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, w.success)
				if err := w.do(t.Context(), f.client); err != nil {
					t.Fatal(err)
				}
				if n := len(f.got()); n != 1 {
					t.Errorf("sent %d times", n)
				}
				last := f.lastCall()
				if !last.Write || last.Outcome != OutcomeDone || last.Attempts != 1 || last.Err != nil {
					t.Errorf("observed %+v", last)
				}
			})
		})
		t.Run(w.name+"/cancelled while Qlik thinks is unknown", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, slowly(10*time.Second, w.success))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				err := w.do(ctx, f.client)
				exactlyOne(t, err, OutcomeUnknown)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("error %v is not context.Canceled", err)
				}
			})
		})
		t.Run(w.name+"/cancelled before is not sent", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, w.success)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				exactlyOne(t, w.do(ctx, f.client), OutcomeNotSent)
				if len(f.got()) != 0 {
					t.Errorf("sent %v", f.got())
				}
			})
		})
		t.Run(w.name+"/a dial error is not sent", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, w.success)
				if _, err := f.client.Tenants.Me(t.Context()); err == nil { // fetches the token
					t.Fatal("the fake has no tenant")
				}
				f.rt.CloseIdleConnections()
				_ = f.wire.Close()
				exactlyOne(t, w.do(t.Context(), f.client), OutcomeNotSent)
			})
		})
		t.Run(w.name+"/no token is not sent", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, w.success)
				f.setToken(reply(401, `{"errors":[{"title":"no","code":"OAUTH-1","status":"401"}]}`))
				err := w.do(t.Context(), f.client)
				exactlyOne(t, err, OutcomeNotSent)
				if !errors.Is(err, ErrCredentials) || errors.Is(err, ErrUnauthorized) {
					t.Errorf("error %v: want only ErrCredentials", err)
				}
			})
		})
		t.Run(w.name+"/a revoked token is replaced once", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, inOrder(reply(401, ""), w.success))
				if err := w.do(t.Context(), f.client); err != nil {
					t.Fatal(err)
				}
				got := f.got()
				if len(got) != 2 || got[0].Auth != "Bearer "+testToken+"1" || got[1].Auth != "Bearer "+testToken+"2" {
					t.Errorf("sent %v", got)
				}
			})
		})
	}
}

// An idle connection that the server has closed is where Go's transport sends
// idempotent requests again by itself.
func TestAWriteIsNeverSentTwiceByTheTransport(t *testing.T) {
	t.Parallel()
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, inOrder(
					reply(200, `{"data":[],"links":{}}`), // warms the connection up
					drop, w.success,
				))
				for role, err := range f.client.Roles.List(t.Context(), ListRolesOptions{}) {
					t.Fatalf("no roles were expected: %v, %v", role, err)
				}
				exactlyOne(t, w.do(t.Context(), f.client), OutcomeUnknown)
				if n := len(f.got()); n != 2 {
					t.Errorf("%d requests, want the list and one write", n)
				}
			})
		})
	}
}

func TestTheGateTellsWhetherAnythingLeft(t *testing.T) {
	t.Parallel()
	roundTrip := func(f func(*http.Request) (*http.Response, error)) func(*Config) {
		return func(c *Config) {
			inner := c.HTTP.Transport
			c.HTTP = &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/oauth/token" {
					return inner.RoundTrip(r)
				}
				return f(r)
			})}
		}
	}
	t.Run("a transport that fails before it reads the body has sent nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, drop, roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no way") }))
			exactlyOne(t, f.client.Users.SetStatus(t.Context(), "u1", StatusActive), OutcomeNotSent)
		})
	})
	t.Run("a transport that fails after a byte of the body leaves it unknown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, drop, roundTrip(func(r *http.Request) (*http.Response, error) {
				_, _ = r.Body.Read(make([]byte, 1))
				return nil, errors.New("no way")
			}))
			exactlyOne(t, f.client.Users.SetStatus(t.Context(), "u1", StatusActive), OutcomeUnknown)
		})
	})
	t.Run("after the verdict nothing can leave any more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			late := make(chan int, 1)
			f := newFake(t, drop, roundTrip(func(r *http.Request) (*http.Response, error) {
				go func() {
					time.Sleep(time.Minute)
					n, _ := r.Body.Read(make([]byte, 10))
					late <- n
				}()
				return nil, errors.New("given up")
			}))
			exactlyOne(t, f.client.Users.SetStatus(t.Context(), "u1", StatusActive), OutcomeNotSent)
			if n := <-late; n != 0 {
				t.Errorf("%d bytes left after the call was declared not sent", n)
			}
		})
	})
	t.Run("the body cannot be had a second time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, drop, roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.GetBody != nil {
					t.Error("GetBody is set: a transport may send the request twice")
				}
				return nil, errors.New("no way")
			}))
			_ = f.client.Users.SetStatus(t.Context(), "u1", StatusActive)
		})
	})
}

// Qlik Cloud speaks HTTP/2, where Go's transport has other rules.
func TestOutcomesOverHTTP2(t *testing.T) {
	t.Parallel()
	w := newWire()
	f := &fake{t: t, answer: inOrder(reply(204, ""), drop, reply(204, ""))}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("%s over %s", r.URL.Path, r.Proto)
		}
		f.ServeHTTP(rw, r)
	}))
	_ = srv.Listener.Close()
	srv.Listener, srv.EnableHTTP2 = w, true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	rt, ok := srv.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("another transport")
	}
	rt.DialContext = w.dial
	c, err := New(Config{Label: "prod", BaseURL: &url.URL{Scheme: "https", Host: "example.com"}, ClientID: testID,
		ClientSecret: func() string { return testSecret }, HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	write := func() error { return c.Users.SetStatus(t.Context(), "u1", StatusActive) }
	if err := write(); err != nil {
		t.Fatal(err)
	}
	exactlyOne(t, write(), OutcomeUnknown) // a stream that was reset
	if n := len(f.got()); n != 2 {
		t.Errorf("%d requests", n)
	}
	c.CloseIdleConnections()
	rt.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	exactlyOne(t, write(), OutcomeNotSent)
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAPartialErrorNamesTheFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, reply(207, `{"errors":[{"code":"USERS-9","title":"Name kept"},{"code":"USERS-10","title":"Role kept","detail":"unknown"}],"traceId":"t1"}`))
		err := f.client.Users.Patch(t.Context(), "u1", []PatchOp{Replace("/name", "x")})
		var p *PartialError
		if !errors.As(err, &p) {
			t.Fatalf("%v is no PartialError", err)
		}
		want := &PartialError{Operation: "users.patch", Tenant: "prod", TraceID: "t1", Errors: []ErrorEntry{
			{Code: "USERS-9", Title: "Name kept"}, {Code: "USERS-10", Title: "Role kept", Detail: "unknown"},
		}}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Error(diff)
		}
		const text = "users.patch on prod: done in part: HTTP 207: Name kept (USERS-9); Role kept: unknown (USERS-10), trace t1"
		if p.Error() != text {
			t.Errorf("got %q\nwant %q", p.Error(), text)
		}
		if v := p.LogValue(); v.Kind() != slog.KindGroup {
			t.Errorf("LogValue is a %v", v.Kind())
		}
	})
}

func TestNothingIsClaimedOfAnErrorFromElsewhere(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("other"), context.Canceled, fmt.Errorf("wrapped: %w", net.ErrClosed)} {
		if got := Outcome(err); got != OutcomeUnknown {
			t.Errorf("Outcome(%v) = %q", err, got)
		}
	}
	if Outcome(nil) != OutcomeDone {
		t.Error("no error is not done")
	}
	if got := Outcome(fmt.Errorf("inviting: %w", &PartialError{})); got != OutcomePartial {
		t.Errorf("a wrapped partial error is %q", got)
	}
}

func TestArgumentsThatCannotBeRightAreNotSent(t *testing.T) {
	t.Parallel()
	many := make([]Invitee, MaxInvitees+1)
	for i := range many {
		many[i].Email = fmt.Sprintf("p%d@example.com", i)
	}
	cases := map[string]func(context.Context, *Client) error{
		"a user without a subject": func(ctx context.Context, c *Client) error {
			_, err := c.Users.Create(ctx, CreateUserRequest{Status: StatusActive})
			return err
		},
		"a user without a status": func(ctx context.Context, c *Client) error {
			_, err := c.Users.Create(ctx, CreateUserRequest{Subject: "s"})
			return err
		},
		"a role without a name": func(ctx context.Context, c *Client) error {
			_, err := c.Users.Create(ctx, CreateUserRequest{Subject: "s", Status: StatusActive, AssignedRoles: []RoleRef{{}}})
			return err
		},
		"no ID":              func(ctx context.Context, c *Client) error { return c.Users.SetStatus(ctx, "", StatusActive) },
		"an ID that goes up": func(ctx context.Context, c *Client) error { return c.Users.SetStatus(ctx, "../roles", StatusActive) },
		"an unknown status":  func(ctx context.Context, c *Client) error { return c.Users.SetStatus(ctx, "u1", "invited") },
		"an empty patch":     func(ctx context.Context, c *Client) error { return c.Users.Patch(ctx, "u1", nil) },
		"adding no role":     func(ctx context.Context, c *Client) error { return c.Users.AddRole(ctx, "u1", RoleRef{}) },
		"removing by name":   func(ctx context.Context, c *Client) error { return c.Users.RemoveRole(ctx, "u1", RoleRef{Name: "X"}) },
		"inviting nobody":    func(ctx context.Context, c *Client) error { _, err := c.Users.Invite(ctx, nil); return err },
		"inviting too many":  func(ctx context.Context, c *Client) error { _, err := c.Users.Invite(ctx, many); return err },
		"inviting no address": func(ctx context.Context, c *Client) error {
			_, err := c.Users.Invite(ctx, []Invitee{{Name: "Ann"}})
			return err
		},
		"inviting twice": func(ctx context.Context, c *Client) error {
			_, err := c.Users.Invite(ctx, []Invitee{{Email: "a@example.com"}, {Email: "A@Example.com"}})
			return err
		},
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, drop)
				err := do(t.Context(), f.client)
				exactlyOne(t, err, OutcomeNotSent)
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("%v is not ErrInvalid", err)
				}
				if len(f.got()) != 0 || f.tokenCount() != 0 {
					t.Errorf("sent %v", f.got())
				}
			})
		})
	}
}

func TestAReaderWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, drop)
		// The type has no writes; this is what one added by mistake would meet.
		r := f.client.Reader()
		s := UsersService{UserReader: r.Users}
		err := s.SetStatus(t.Context(), "u1", StatusActive)
		exactlyOne(t, err, OutcomeNotSent)
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%v is not ErrReadOnly", err)
		}
		if len(f.got()) != 0 || f.tokenCount() != 0 {
			t.Errorf("sent %v", f.got())
		}
	})
}

func TestAClientThatNewDidNotMakeRefuses(t *testing.T) {
	t.Parallel()
	var r Reader
	if _, err := r.Users.Get(t.Context(), "u1"); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
	var s UsersService
	exactlyOne(t, s.SetStatus(t.Context(), "u1", StatusActive), OutcomeNotSent)
	exactlyOne(t, s.SetStatus(t.Context(), "u1", "gone"), OutcomeNotSent)
}

func TestARequestThatCannotLeaveInTimeIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, reply(204, ""))
		if err := f.client.Users.SetStatus(t.Context(), "u1", StatusActive); err != nil {
			t.Fatal(err)
		}
		f.rt.CloseIdleConnections()
		// Nobody accepts the next connection.
		f.rt.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now()
		err := f.client.Users.SetStatus(t.Context(), "u1", StatusActive)
		exactlyOne(t, err, OutcomeNotSent)
		if d := time.Since(start); d != defaultTimeout {
			t.Errorf("took %v", d)
		}
	})
}
