package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A test of this file need not search the log: that of every loop under test is
// searched for the ticket at the end.

func TestAFailedHandshakeDoesNotTellTheAddress(t *testing.T) {
	faults := map[string]func(*fakeSlack, *Config){
		"refused with the address in the body": func(s *fakeSlack, _ *Config) { s.status = http.StatusForbidden },
		"redirected": func(s *fakeSlack, _ *Config) {
			s.status = http.StatusFound
			s.header = http.Header{"Location": {s.address()}}
		},
		"the address echoed in a header": func(s *fakeSlack, _ *Config) {
			s.status = http.StatusSwitchingProtocols
			s.header = http.Header{"Connection": {s.address()}}
		},
		"network down": func(_ *fakeSlack, c *Config) {
			c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}}}
		},
		"a transport that quotes the address": func(s *fakeSlack, c *Config) {
			c.HTTPClient = &http.Client{Transport: quoting{}}
		},
		"handshake hangs": func(s *fakeSlack, c *Config) {
			c.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				<-s.ln.done // net/http does not end a dial together with its request
				return nil, net.ErrClosed
			}}}
		},
		"not an address": func(s *fakeSlack, _ *Config) {
			s.open = func(context.Context, int) (string, error) { return "wss://example.com/%zz?ticket=" + ticket, nil }
		},
		"not a WebSocket address": func(s *fakeSlack, _ *Config) {
			s.open = func(context.Context, int) (string, error) { return "ftp://example.com/?ticket=" + ticket, nil }
		},
		"not allowed": func(s *fakeSlack, c *Config) {
			c.Allow = nil
			s.open = func(context.Context, int) (string, error) { return "wss://evil.example.com/?ticket=" + ticket, nil }
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newFakeSlack(t)
				r := runLoop(t, s, func(c *Config) { c.Connections = 1; fault(s, c) })
				time.Sleep(time.Minute)
				if err := r.end(); err != nil {
					t.Errorf("Run returned %v", err)
				}
				if r.Status().Counts.OpenFailures == 0 || r.logs.count("no connection to Slack") == 0 {
					t.Errorf("the fault was not noticed: %+v\n%s", r.Status(), r.logs)
				}
			})
		})
	}
}

type quoting struct{}

func (quoting) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("proxy refused GET %s", r.URL.RequestURI())
}

func TestARedirectIsNotFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		s.status = http.StatusFound
		s.header = http.Header{"Location": {"http://elsewhere.example.com/"}}
		asked := map[string]bool{}
		inner := s.client.Transport
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				asked[r.URL.Host] = true
				return inner.RoundTrip(r)
			})}
		})
		time.Sleep(time.Minute)
		_ = r.end()
		if len(asked) != 1 || asked["elsewhere.example.com"] {
			t.Errorf("hosts asked: %v, want Slack's alone", asked)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTheCauseOfAFailedHandshakeIsKeptWhereItTellsNothing(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("wss://wss.slack.example.com/link/?ticket=" + ticket)
	if err != nil {
		t.Fatal(err)
	}
	cause := &net.DNSError{Err: "no such host", Name: u.Host}
	got := withoutAddress(fmt.Errorf("dial: %w", &url.Error{Op: "Get", URL: u.String(), Err: cause}), u)
	if !errors.Is(got, cause) || strings.Contains(got.Error(), ticket) {
		t.Errorf("got %v", got)
	}
}

func TestOnlySlacksHostsAreAllowed(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"wss://wss-primary.slack.com/link/?ticket=x":    true,
		"wss://WSS-backup.Slack.com/link/":              true,
		"wss://slack.com/":                              true,
		"wss://wss.slack-gov.com:443/":                  true,
		"ws://wss-primary.slack.com/":                   false,
		"https://wss-primary.slack.com/":                false,
		"wss://wss-primary.slack.com:8443/":             false,
		"wss://evilslack.com/":                          false,
		"wss://slack.com.example.com/":                  false,
		"wss://example.com/?slack.com":                  false,
		"wss://slack.com@example.com/":                  false,
		"wss://127.0.0.1/":                              false,
		"wss:///link":                                   false,
		"wss://wss-primary.slack.com.":                  false,
		"wss://example.com/wss-primary.slack.com/link/": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := AllowSlack(u) == nil; got != want {
			t.Errorf("%s: allowed %t, want %t", address, got, want)
		}
	}
}
