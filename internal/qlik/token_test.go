package qlik

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var me = reply(200, `{"id":"t1","name":"T"}`)

func read(ctx context.Context, c *Client) error {
	_, err := c.Tenants.Me(ctx)
	return err
}

func TestTheTokenRequestIsWhatQlikWants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me, func(c *Config) { c.Scope = "admin_classic" })
		var body map[string]string
		f.setToken(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s %v", r.Method, r.Header)
			}
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			reply(200, `{"access_token":"`+testToken+`","token_type":"Bearer","expires_in":3600}`)(w, r)
		})
		if err := read(t.Context(), f.client); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"grant_type": "client_credentials", "client_id": testID, "client_secret": testSecret, "scope": "admin_classic"}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Error(diff)
		}
		r := f.got()[0]
		if r.Auth != "Bearer "+testToken || r.Accept != "application/json" || r.Agent != "qlik-chatops" {
			t.Errorf("sent %+v", r)
		}
	})
}

func TestHowLongATokenIsUsed(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, fields string
		want         time.Duration
	}{
		{"six hours, renewed five minutes early", `"expires_in":21600`, 6*time.Hour - 5*time.Minute},
		{"expires_at", `"expires_at":"2000-01-01T06:00:00Z"`, 6*time.Hour - 5*time.Minute},
		{"the earlier of both", `"expires_in":21600,"expires_at":"2000-01-01T01:00:00.000Z"`, 55 * time.Minute},
		{"seconds as text", `"expires_in":"3600"`, 55 * time.Minute},
		{"a short life is renewed after three quarters", `"expires_in":60`, 45 * time.Second},
		{"nothing said", `"scope":"x"`, shortLife * 3 / 4},
		{"nothing sensible said", `"expires_in":-1,"expires_at":"tomorrow"`, shortLife * 3 / 4},
		{"a time that has passed is a clock that differs", `"expires_at":"1999-12-31T23:00:00Z"`, shortLife * 3 / 4},
		{"for ever is a day", `"expires_in":1e300`, 24*time.Hour - 5*time.Minute},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, me)
				f.setToken(reply(200, `{"access_token":"`+testToken+`","token_type":"bearer",`+c.fields+`}`))
				for range 2 {
					if err := read(t.Context(), f.client); err != nil {
						t.Fatal(err)
					}
				}
				if f.tokenCount() != 1 {
					t.Fatalf("%d token requests for two calls", f.tokenCount())
				}
				f.rt.CloseIdleConnections()
				time.Sleep(c.want - time.Second)
				if err := read(t.Context(), f.client); err != nil || f.tokenCount() != 1 {
					t.Errorf("before its time: %v, %d tokens", err, f.tokenCount())
				}
				time.Sleep(2 * time.Second)
				if err := read(t.Context(), f.client); err != nil || f.tokenCount() != 2 {
					t.Errorf("after its time: %v, %d tokens", err, f.tokenCount())
				}
			})
		})
	}
}

func TestAllCallersShareOneTokenRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me)
		f.setToken(slowly(2*time.Second, reply(200, `{"access_token":"`+testToken+`","expires_in":3600}`)))
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				c := f.client
				if i%2 == 0 {
					c = c.Bulk()
				}
				if err := read(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if f.tokenCount() != 1 {
			t.Errorf("%d token requests", f.tokenCount())
		}
	})
}

func TestACallerWhoGivesUpSpoilsNothingForTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me)
		f.setToken(slowly(5*time.Second, reply(200, `{"access_token":"`+testToken+`","expires_in":3600}`)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		impatient, patient := make(chan error, 1), make(chan error, 1)
		go func() { impatient <- read(ctx, f.client) }()
		synctest.Wait()
		go func() { patient <- read(t.Context(), f.client) }()
		start := time.Now()
		if err := <-impatient; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := <-patient; err != nil {
			t.Error(err)
		}
		if f.tokenCount() != 1 {
			t.Errorf("%d token requests", f.tokenCount())
		}
	})
}

func TestATokenRequestThatAllGaveUpEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		f := newFake(t, me)
		f.setToken(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := read(ctx, f.client); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-gone
		if d := time.Since(start); d != defaultTimeout {
			t.Errorf("the request lived %v", d)
		}
		synctest.Wait() // whoever comes while it ends shares its error
		f.setToken(nil)
		if err := read(t.Context(), f.client); err != nil {
			t.Errorf("the next caller: %v", err)
		}
	})
}

func TestATokenThatAllGaveUpWaitingForServesTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me)
		f.setToken(slowly(5*time.Second, reply(200, `{"access_token":"`+testToken+`","expires_in":3600}`)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := read(ctx, f.client); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := read(t.Context(), f.client); err != nil || f.tokenCount() != 1 {
			t.Errorf("%v, %d token requests", err, f.tokenCount())
		}
	})
}

func TestAnEarlyRenewalThatFailsHarmsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me)
		if err := read(t.Context(), f.client); err != nil {
			t.Fatal(err)
		}
		f.rt.CloseIdleConnections()
		f.setToken(reply(503, ""))
		time.Sleep(6*time.Hour - 4*time.Minute)
		for range 5 {
			if err := read(t.Context(), f.client); err != nil {
				t.Fatalf("the token is good for four more minutes: %v", err)
			}
		}
		if n := f.tokenCount(); n != 1+maxAttempts {
			t.Errorf("%d token requests; the later calls should not ask again at once", n)
		}
		f.rt.CloseIdleConnections()
		time.Sleep(renewalRespite + time.Second)
		if err := read(t.Context(), f.client); err != nil || f.tokenCount() != 1+2*maxAttempts {
			t.Errorf("after the respite: %v, %d token requests", err, f.tokenCount())
		}
		f.rt.CloseIdleConnections()
		time.Sleep(4 * time.Minute)
		if err := read(t.Context(), f.client); !errors.Is(err, ErrUnavailable) {
			t.Errorf("with no token left: %v", err)
		}
	})
}

// The respite must not carry a token past its end.
func TestARespiteEndsWithTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me)
		f.setToken(reply(200, `{"access_token":"`+testToken+`","expires_in":60}`))
		if err := read(t.Context(), f.client); err != nil {
			t.Fatal(err)
		}
		f.rt.CloseIdleConnections()
		f.setToken(reply(400, ""))
		time.Sleep(46 * time.Second)
		if err := read(t.Context(), f.client); err != nil || f.tokenCount() != 2 {
			t.Errorf("with fourteen seconds to go: %v, %d token requests", err, f.tokenCount())
		}
		f.rt.CloseIdleConnections()
		time.Sleep(5 * time.Second)
		if err := read(t.Context(), f.client); !errors.Is(err, ErrCredentials) {
			t.Errorf("in its last moments: %v", err)
		}
	})
}

// Qlik has revoked the token: whoever finds out, one new one is for all.
func TestARevokedTokenIsReplacedOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second) // so that all have the old one
			if r.Header.Get("Authorization") == "Bearer "+testToken+"1" {
				reply(401, "")(w, r)
				return
			}
			me(w, r)
		})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := read(t.Context(), f.client); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if f.tokenCount() != 2 {
			t.Errorf("%d token requests", f.tokenCount())
		}
	})
}

// A revoked token may be refused while its early renewal is under way. If that
// renewal then fails, the refused token must not come back as still good.
func TestARenewalUnderWayDoesNotBringARefusedTokenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me)
		if err := read(t.Context(), f.client); err != nil {
			t.Fatal(err)
		}
		f.rt.CloseIdleConnections()
		f.setAnswer(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer "+testToken+"1" {
				slowly(2*time.Second, reply(401, ""))(w, r)
				return
			}
			me(w, r)
		})
		time.Sleep(6*time.Hour - 5*time.Minute - time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { // refused a second after the renewal has begun
			if err := read(t.Context(), f.client); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		f.setToken(inOrder(
			slowly(3*time.Second, reply(400, "")), // the renewal
			reply(200, `{"access_token":"`+testToken+`2","expires_in":3600}`),
			reply(400, "")))
		time.Sleep(time.Second + time.Millisecond)
		wg.Go(func() {
			if err := read(t.Context(), f.client); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if f.tokenCount() != 3 {
			t.Errorf("%d token requests", f.tokenCount())
		}
	})
}

func TestTokenFailures(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		answer http.HandlerFunc
		is     error
		hint   string
		tries  int
	}{
		{"not trusted", reply(400, `{"errors":[{"title":"Invalid client_id","detail":"OAuth client is not authorized","code":"OAUTH-14","status":"400"}],"traceId":"x"}`), ErrCredentials, "Trusted", 1},
		{"wrong secret", reply(401, `{"errors":[{"title":"no","code":"OAUTH-1","status":"401"}]}`), ErrCredentials, "secret", 1},
		{"RFC 6749", reply(400, `{"error":"unauthorized_client","error_description":"no"}`), ErrCredentials, "secret", 1},
		{"too many tokens", reply(403, ``), ErrCredentials, "too many", 1},
		{"busy", reply(429, ``, "Retry-After", "60"), ErrRateLimited, "", 1},
		{"down", html(502), ErrUnavailable, "", maxAttempts},
		{"dropped", drop, ErrUnavailable, "", maxAttempts},
		{"HTML", html(200), ErrGarbled, "", 1},
		{"empty token", reply(200, `{"access_token":"","token_type":"bearer"}`), ErrGarbled, "", 1},
		{"a token that breaks the header", reply(200, `{"access_token":"a\r\nX: y","token_type":"bearer"}`), ErrGarbled, "", 1},
		{"another type", reply(200, `{"access_token":"`+testToken+`","token_type":"mac"}`), ErrGarbled, "", 1},
		{"a redirect", reply(307, "", "Location", "https://evil.example.com/oauth/token"), ErrGarbled, "", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, me)
				f.setToken(c.answer)
				err := read(t.Context(), f.client)
				if !errors.Is(err, c.is) {
					t.Errorf("%v is not %v", err, c.is)
				}
				for _, other := range []error{ErrBadRequest, ErrUnauthorized, ErrForbidden} {
					if errors.Is(err, other) {
						t.Errorf("%v is %v, which says something of the call", err, other)
					}
				}
				var e *Error
				if !errors.As(err, &e) || e.Operation != "tenants.me" || !strings.Contains(e.Hint(), c.hint) || (c.hint == "") != (e.Hint() == "") {
					t.Errorf("%v has the hint %q", err, e.Hint())
				}
				if errors.Is(c.is, ErrRateLimited) && e.RetryAfter != time.Minute {
					t.Errorf("retry after %v", e.RetryAfter)
				}
				if f.tokenCount() != c.tries || len(f.got()) != 0 {
					t.Errorf("%d token requests, want %d; others %v", f.tokenCount(), c.tries, f.got())
				}
				leaks(t, err.Error())
			})
		})
	}
}

func TestAnEmptySecretIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, me, func(c *Config) { c.ClientSecret = func() string { return "" } })
		if err := read(t.Context(), f.client); !errors.Is(err, ErrCredentials) || f.tokenCount() != 0 {
			t.Errorf("%v, %d token requests", err, f.tokenCount())
		}
	})
}

// Qlik limits how many live tokens a client may have: when a fresh token is
// refused too, the next calls must not each fetch another.
func TestARefusedClientDoesNotPileUpTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, reply(401, ""))
		for range 10 {
			if err := read(t.Context(), f.client); !errors.Is(err, ErrUnauthorized) {
				t.Fatal(err)
			}
		}
		if f.tokenCount() != 2 {
			t.Errorf("%d tokens", f.tokenCount())
		}
		f.rt.CloseIdleConnections()
		time.Sleep(renewalRespite)
		f.setAnswer(inOrder(reply(401, ""), me))
		if err := read(t.Context(), f.client); err != nil || f.tokenCount() != 3 {
			t.Errorf("later: %v, %d tokens", err, f.tokenCount())
		}
	})
}

func TestConfigurationThatCannotBeRight(t *testing.T) {
	t.Parallel()
	rsa1024 := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: mustRSA(t).N, E: 65537}}
	rsa1024.N.Rsh(rsa1024.N, 1100)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	base := func(s string) func(*Config) {
		return func(c *Config) {
			u, err := url.Parse(s)
			if err != nil {
				t.Error(err)
			}
			c.BaseURL = u
		}
	}
	key := func(k crypto.Signer, id, alg string) func(*Config) {
		return func(c *Config) { c.ClientSecret, c.PrivateKey, c.KeyID, c.Algorithm = nil, k, id, alg }
	}
	bad := map[string]func(*Config){
		"no label":             func(c *Config) { c.Label = "" },
		"no URL":               func(c *Config) { c.BaseURL = nil },
		"no client":            func(c *Config) { c.ClientID = "" },
		"no credentials":       func(c *Config) { c.ClientSecret = nil },
		"both credentials":     func(c *Config) { c.PrivateKey, c.KeyID = mustRSA(t), "k" },
		"negative timeout":     func(c *Config) { c.Timeout = -1 },
		"plain http":           base("http://tenant.eu.qlikcloud.com"),
		"http almost loopback": base("http://127.0.0.1.example.com"),
		"another scheme":       base("ftp://127.0.0.1"),
		"no host":              base("https://"),
		"a path":               base("https://tenant.eu.qlikcloud.com/console"),
		"a query":              base("https://tenant.eu.qlikcloud.com?x=1"),
		"a user":               base("https://u@tenant.eu.qlikcloud.com"),
		"no key ID":            key(mustRSA(t), "", ""),
		"a short RSA key":      key(rsa1024, "k", ""),
		"RSA with ES384":       key(mustRSA(t), "k", "ES384"),
		"P-256":                key(p256, "k", ""),
		"ECDSA with RS256":     key(mustECDSA(t), "k", "RS256"),
		"Ed25519":              key(ed, "k", ""),
	}
	good := map[string]func(*Config){
		"https":     base("https://tenant.eu.qlikcloud.com"),
		"a slash":   base("https://tenant.eu.qlikcloud.com/"),
		"localhost": base("http://localhost:8080"),
		"IPv6":      base("http://[::1]:8080"),
		"RSA":       key(mustRSA(t), "k", ""),
		"RS512":     key(mustRSA(t), "k", "RS512"),
		"ECDSA":     key(mustECDSA(t), "k", ""),
		"no HTTP":   func(c *Config) { c.HTTP = nil },
	}
	try := func(change func(*Config)) error {
		c := Config{Label: "prod", BaseURL: &url.URL{Scheme: "https", Host: "t.example.com"}, ClientID: testID,
			ClientSecret: func() string { return testSecret }, HTTP: http.DefaultClient}
		change(&c)
		_, err := New(c)
		return err
	}
	for name, change := range bad {
		if err := try(change); err == nil {
			t.Errorf("%s is accepted", name)
		} else {
			leaks(t, err.Error())
		}
	}
	for name, change := range good {
		if err := try(change); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var makeRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// mustRSA gives a copy of one key, since making one takes a while.
func mustRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := makeRSA()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := x509.ParsePKCS1PrivateKey(x509.MarshalPKCS1PrivateKey(k))
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

func mustECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPrivateKeysAreReadFromPEM(t *testing.T) {
	t.Parallel()
	ec := mustECDSA(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, text := range map[string][]byte{
		"PKCS #8": block("PRIVATE KEY", pkcs8), "SEC 1": block("EC PRIVATE KEY", sec1),
		"PKCS #1": block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(mustRSA(t))),
	} {
		if k, err := ParsePrivateKey(text); err != nil || k == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string][]byte{"nothing": nil, "no PEM": []byte(testSecret), "rubbish": block("PRIVATE KEY", []byte(testSecret))} {
		if _, err := ParsePrivateKey(text); err == nil {
			t.Errorf("%s is accepted", name)
		} else {
			leaks(t, fmt.Sprint(err))
		}
	}
}
