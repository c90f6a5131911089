package qlik

import (
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Config describes one tenant's client. Formatting it shows no secret: the
// secret is behind a function, the key behind a pointer.
type Config struct {
	// Label names the tenant in errors, logs and metrics. Required.
	Label string
	// BaseURL is the tenant's address without a path, such as
	// https://tenant.region.qlikcloud.com; plain http only on a loopback
	// address. Required. Best the system host name: an alias can be renamed,
	// and tokens and redirects belong to the host.
	BaseURL *url.URL
	// ClientID is the ID of the tenant's machine-to-machine OAuth client.
	// Required.
	ClientID string
	// ClientSecret gives the client's secret. It is asked at each token
	// request. Required unless PrivateKey is set.
	ClientSecret func() string
	// PrivateKey signs the client's assertions instead of a secret: RSA of at
	// least 2048 bits, or ECDSA on P-384. KeyID is its "kid", required with it.
	PrivateKey crypto.Signer
	KeyID      string
	// Algorithm of the assertion: "RS256" (default for RSA), "RS512", or
	// "ES384" (the only one for ECDSA).
	Algorithm string
	// Scope is asked of the token endpoint; empty: all that the client has.
	Scope string
	// HTTP carries the transport. Nil: an own one with Go's defaults. Only its
	// Transport is used: redirects, cookies and time limits are decided here.
	HTTP *http.Client
	// Logger receives what no caller sees, such as repeated reads. Nil: silence.
	Logger *slog.Logger
	// UserAgent is sent with each request. Empty: "qlik-chatops".
	UserAgent string
	// Timeout bounds one call: waiting for the rate limit, token, all
	// attempts, reading the body. Default 20 s. A bulk call's wait for the
	// rate limit is bounded by the caller's context alone.
	Timeout time.Duration
	// Observe is told of each call when it has ended, token requests included.
	// It is called from many goroutines and must be quick. May be nil.
	Observe func(Call)
}

// Call is what Observe is told of one call.
type Call struct {
	Tenant    string
	Operation string
	// Write is true for operations that are not read-only; then Outcome says
	// what became of it.
	Write   bool
	Outcome OutcomeKind
	// Status is the last HTTP status, 0 when no answer came.
	Status int
	// Attempts is how many requests were tried; 0 when none was.
	Attempts int
	Start    time.Time
	Latency  time.Duration
	// Err is what the caller got.
	Err error
}

// Client is the client of one tenant. It is safe for concurrent use; all
// callers share its token and its rate limits.
type Client struct {
	Users             *UsersService
	Roles             *RolesService
	IdentityProviders *IdentityProvidersService
	Tenants           *TenantsService

	caller caller
}

// Reader is the reading half of a Client. Its type has no writes, and the
// transport beneath it refuses any.
type Reader struct {
	Users             UserReader
	Roles             RoleReader
	IdentityProviders IdentityProviderReader
	Tenants           TenantReader
}

// New checks the configuration and makes the client. It sends nothing.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("qlik client %q: %w", cfg.Label, err)
	}
	k, err := newCore(cfg)
	if err != nil {
		return nil, fmt.Errorf("qlik client %q: %w", cfg.Label, err)
	}
	return newClient(caller{core: k}), nil
}

func newClient(c caller) *Client {
	return &Client{
		Users:             &UsersService{UserReader: UserReader{c}},
		Roles:             &RolesService{RoleReader: RoleReader{c}},
		IdentityProviders: &IdentityProvidersService{IdentityProviderReader: IdentityProviderReader{c}},
		Tenants:           &TenantsService{TenantReader: TenantReader{c}},
		caller:            c,
	}
}

// Label is the tenant's label.
func (c *Client) Label() string { return c.caller.core.label }

// Bulk is the same client, for work in large numbers: it takes at most four
// fifths of the rate limit, so that people are not kept waiting.
func (c *Client) Bulk() *Client {
	b := c.caller
	b.bulk = true
	return newClient(b)
}

// Reader is the client's reading half.
func (c *Client) Reader() Reader {
	r := c.caller
	r.readOnly = true
	return Reader{
		Users:             UserReader{r},
		Roles:             RoleReader{r},
		IdentityProviders: IdentityProviderReader{r},
		Tenants:           TenantReader{r},
	}
}

// CloseIdleConnections closes connections that are not in use. A Client needs
// no other closing: all that may outlive its calls is a token request that they
// gave up waiting for, and that ends within Timeout.
func (c *Client) CloseIdleConnections() {
	if t, ok := c.caller.core.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// defaultTimeout is a call's deadline unless Config.Timeout says otherwise.
const defaultTimeout = 20 * time.Second

func (cfg Config) check() error {
	switch {
	case cfg.Label == "":
		return errors.New("a label is required")
	case cfg.BaseURL == nil:
		return errors.New("a base URL is required")
	case cfg.ClientID == "":
		return errors.New("a client ID is required")
	case cfg.ClientSecret == nil && cfg.PrivateKey == nil:
		return errors.New("a client secret or a private key is required")
	case cfg.ClientSecret != nil && cfg.PrivateKey != nil:
		return errors.New("a client secret and a private key exclude each other")
	case cfg.Timeout < 0:
		return errors.New("the timeout is negative")
	}
	u := cfg.BaseURL
	switch {
	case u.Host == "" || u.Hostname() == "":
		return errors.New("the base URL has no host")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("the base URL must have neither user, query nor fragment")
	case u.Path != "" && u.Path != "/":
		return errors.New("the base URL must have no path")
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	case u.Scheme == "http":
		return errors.New("plain http is for loopback addresses only; use https")
	default:
		return errors.New("the base URL must begin with https://")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
