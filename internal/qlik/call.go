package qlik

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// core is what all callers of one tenant share.
type core struct {
	label     string
	base      *url.URL
	transport http.RoundTripper
	logger    *slog.Logger
	userAgent string
	timeout   time.Duration
	observe   func(Call)

	pacer  *pacer
	tokens *tokens
	secret func() string // nil with a private key
	locks  keyLocks
}

func newCore(cfg Config) (*core, error) {
	k := &core{
		label:     cfg.Label,
		base:      &url.URL{Scheme: cfg.BaseURL.Scheme, Host: cfg.BaseURL.Host},
		logger:    cfg.Logger,
		userAgent: cfg.UserAgent,
		timeout:   cfg.Timeout,
		observe:   cfg.Observe,
		pacer:     newPacer(),
		secret:    cfg.ClientSecret,
		locks:     keyLocks{held: map[string]*keyLock{}},
	}
	if k.logger == nil {
		k.logger = slog.New(slog.DiscardHandler)
	}
	if k.userAgent == "" {
		k.userAgent = "qlik-chatops"
	}
	if k.timeout == 0 {
		k.timeout = defaultTimeout
	}
	switch {
	case cfg.HTTP != nil && cfg.HTTP.Transport != nil:
		k.transport = cfg.HTTP.Transport
	case cfg.HTTP != nil:
		k.transport = http.DefaultTransport
	default:
		t, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, errors.New("no transport given, and the default one has been replaced")
		}
		k.transport = t.Clone()
	}
	credentials, err := newCredentials(cfg, k.base)
	if err != nil {
		return nil, err
	}
	k.tokens = &tokens{source: func() oauth2.TokenSource { return k.newSource(credentials) }}
	return k, nil
}

// caller is one way of using the core: through a Reader, in bulk, or plainly.
type caller struct {
	core     *core
	readOnly bool
	bulk     bool
}

// request is one call to be made.
type request struct {
	op      Operation
	path    []string // one value for each element of the path template
	query   url.Values
	body    any   // written as JSON; nil for none
	invalid error // why it must not be sent; wraps ErrInvalid
}

// answer is a successful answer.
type answer struct {
	status int
	body   []byte
}

// maxAttempts is how often a read is tried; retryBase the pause before the
// second try, doubled for the third.
const (
	maxAttempts = 3
	retryBase   = 250 * time.Millisecond
)

// do makes the call: the rate limit, the token, the request, what its answer
// means, and for reads another try. decode takes a successful answer; an error
// from it makes the answer one that is not understood. All errors are *Error
// or *PartialError.
func (c caller) do(ctx context.Context, r request, decode func(answer) error) (err error) {
	if c.core == nil {
		return c.refuse(r.op, fmt.Errorf("%w: a client that New did not make", ErrInvalid))
	}
	record := Call{Tenant: c.core.label, Operation: r.op.Name, Write: !r.op.ReadOnly, Start: time.Now()}
	defer func() { c.core.report(&record, err) }()

	if c.readOnly && !r.op.ReadOnly {
		return c.core.refuse(r.op, ErrReadOnly)
	}
	if r.invalid != nil {
		return c.core.refuse(r.op, r.invalid)
	}
	u, err := r.op.address(c.core.base, r.path, r.query)
	if err != nil {
		return c.core.refuse(r.op, err)
	}
	var body []byte
	if r.body != nil {
		if body, err = json.Marshal(r.body); err != nil {
			return c.core.refuse(r.op, fmt.Errorf("%w: the body cannot be written as JSON", ErrInvalid))
		}
	}
	if !c.bulk {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.core.timeout)
		defer cancel()
	}
	return c.core.attempts(ctx, c.bulk, r.op, &record, func(ctx context.Context) (answer, error) {
		return c.core.authorized(ctx, r.op, u, body, &record)
	}, decode)
}

// attempts runs try until it succeeds, until another try is not allowed, or
// until there is no time left for one.
func (k *core) attempts(ctx context.Context, bulk bool, op Operation, record *Call,
	try func(context.Context) (answer, error), decode func(answer) error,
) error {
	for n := 1; ; n++ {
		failure := k.attempt(ctx, bulk, op, try, decode)
		if failure == nil {
			return nil
		}
		var e *Error
		if op.Retry != RetryRead || n >= maxAttempts || !errors.As(failure, &e) || !e.passing() {
			return failure
		}
		pause := retryBase << (n - 1)
		pause = max(pause/2+rand.N(pause/2), e.RetryAfter) //nolint:gosec // spreads load, keeps no secret
		if !fits(ctx, pause) {
			return failure
		}
		k.logger.LogAttrs(ctx, slog.LevelInfo, "trying a read again",
			slog.String("op", op.Name), slog.String("tenant", k.label), slog.Int("attempt", n), slog.Int("status", e.Status),
			slog.Duration("pause", pause))
		if sleep(ctx, pause) != nil {
			return failure
		}
		record.Status = 0
	}
}

// attempt is one try: its turn in the rate limit, the request, the decoding.
func (k *core) attempt(ctx context.Context, bulk bool, op Operation,
	try func(context.Context) (answer, error), decode func(answer) error,
) error {
	if err := k.pacer.wait(ctx, op, bulk); err != nil {
		e := k.fail(op, OutcomeNotSent)
		var busy *busyError
		if errors.As(err, &busy) {
			e.kind, e.RetryAfter = ErrRateLimited, busy.after
		}
		e.cause = err
		return e
	}
	if bulk {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, k.timeout)
		defer cancel()
	}
	a, err := try(ctx)
	if err != nil {
		return err
	}
	if err := decode(a); err != nil {
		e := k.fail(op, OutcomeUnknown)
		e.Status, e.kind, e.cause = a.status, ErrGarbled, err
		return e
	}
	return nil
}

// authorized sends the request with the tenant's token, and once more with a
// fresh one when the answer is 401: whatever was asked, Qlik has not looked at
// it then, so that this holds for writes too.
func (k *core) authorized(ctx context.Context, op Operation, u *url.URL, body []byte, record *Call) (answer, error) {
	for renewed := false; ; renewed = true {
		held := k.tokens.lease()
		tok, err := held.get(ctx)
		if err != nil {
			return answer{}, k.withoutToken(op, err)
		}
		a, err := k.exchange(ctx, op, u, body, tok, nil, record)
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
			return a, err
		}
		if !k.tokens.refused(held, renewed) {
			return a, err
		}
		k.logger.LogAttrs(ctx, slog.LevelInfo, "token no longer accepted, getting another",
			slog.String("op", op.Name), slog.String("tenant", k.label))
	}
}

// withoutToken is the error of a call for which no token could be had.
func (k *core) withoutToken(op Operation, why error) error {
	e := k.fail(op, OutcomeNotSent)
	e.cause = why
	var inner *Error
	if errors.As(why, &inner) {
		e.RetryAfter = inner.RetryAfter
	} else if errors.Is(why, context.DeadlineExceeded) {
		e.kind = ErrUnavailable
	}
	return e
}

// exchange sends one request, follows redirects of reads within the tenant,
// and sorts what comes back. tok is nil for the token request; hidden are
// further texts that no error may show.
func (k *core) exchange(ctx context.Context, op Operation, u *url.URL, body []byte, tok *oauth2.Token, hidden []string,
	record *Call,
) (answer, error) {
	const maxHops = 3
	for hop := 0; ; hop++ {
		record.Attempts++
		got, err := k.send(ctx, op, u, body, tok)
		record.Status = got.status
		if err == nil && got.redirect() && op.ReadOnly && op.Method == http.MethodGet && hop < maxHops {
			next, rerr := k.follow(u, got.header.Get("Location"))
			if rerr == nil {
				u = next
				continue
			}
			e := k.fail(op, OutcomeUnknown)
			e.Status, e.kind, e.cause = got.status, ErrGarbled, rerr
			return answer{}, e
		}
		if err == nil && op.accepts(got.status) {
			return answer{status: got.status, body: got.body}, nil
		}
		if tok != nil {
			hidden = append(hidden, tok.AccessToken)
		}
		if k.secret != nil {
			hidden = append(hidden, k.secret())
		}
		return answer{}, k.judge(op, got, err, hidden)
	}
}

// follow gives the address of a redirect: the tenant's own host with the path
// and query of the location. Another host is refused, for the token would go
// there.
func (k *core) follow(from *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("a redirect to nowhere")
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, errors.New("a redirect to something that is no address")
	}
	if !sameHost(to, k.base) {
		return nil, errors.New("a redirect to another host; the base URL should be the tenant's system host name")
	}
	next := *k.base
	next.Path, next.RawPath, next.RawQuery = to.Path, to.RawPath, to.RawQuery
	return &next, nil
}

// sameHost compares host and port. A location that says http:// where the
// tenant has https:// is the same host; the request goes by https all the same.
func sameHost(a, b *url.URL) bool {
	if !strings.EqualFold(a.Hostname(), b.Hostname()) || a.Scheme != "http" && a.Scheme != "https" {
		return false
	}
	if a.Port() == b.Port() {
		return true
	}
	standard := func(u *url.URL) bool {
		return u.Port() == "" || u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return standard(a) && standard(b)
}

// fail begins the error of an operation; outcome counts for writes only.
func (k *core) fail(op Operation, outcome OutcomeKind) *Error {
	e := &Error{Operation: op.Name, write: !op.ReadOnly, outcome: outcome}
	if k != nil {
		e.Tenant = k.label
	}
	return e
}

// refuse is the error of a call that was not made.
func (k *core) refuse(op Operation, why error) error {
	e := k.fail(op, OutcomeNotSent)
	e.cause = why
	return e
}

func (c caller) refuse(op Operation, why error) error { return c.core.refuse(op, why) }

// report tells Observe and the log how a call ended.
func (k *core) report(record *Call, err error) {
	record.Latency, record.Err = time.Since(record.Start), err
	if record.Write {
		record.Outcome = Outcome(err)
	}
	k.logger.LogAttrs(context.Background(), slog.LevelDebug, "qlik call",
		slog.String("op", record.Operation), slog.String("tenant", record.Tenant), slog.Int("status", record.Status),
		slog.Int("attempts", record.Attempts), slog.Duration("latency", record.Latency), slog.Bool("ok", err == nil))
	if k.observe != nil {
		k.observe(*record)
	}
}

// fits says whether the pause ends before the deadline.
func fits(ctx context.Context, pause time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Now().Add(pause).Before(deadline))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
