package qlik

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// How long a token is used. Qlik's live about six hours.
const (
	renewEarly     = 5 * time.Minute  // before its end, or a quarter of a shorter life
	shortLife      = 5 * time.Minute  // of a token that does not say
	longestLife    = 24 * time.Hour   // whatever it says
	lastMoments    = 10 * time.Second // before its end, for clocks that differ
	renewalRespite = 30 * time.Second // after a renewal that failed or did not help
)

// tokens holds the tenant's lease, and begins another when Qlik refuses its
// token. No token is a field of anything here, for formatting would show it.
type tokens struct {
	source func() oauth2.TokenSource // a new one, without a token

	mu      sync.Mutex // guards what follows
	current *lease
	keepTil time.Time // a token that is refused is not replaced before this
}

// lease is a token and those that renew it in time. x/oauth2 caches the token
// and decides when to ask for another. Its Token takes no context and holds a
// lock while it asks, so it runs once for all who want the token, in a
// goroutine of its own that any of them can stop waiting for.
type lease struct {
	token   func() (*oauth2.Token, error)
	flights singleflight.Group
}

// get gives a token that is good for now. A caller who gives up spoils nothing
// for the others: the fetch ends with its own deadline, and whoever still waits
// then, however late they came, has its error.
func (l *lease) get(ctx context.Context) (*oauth2.Token, error) {
	flight := l.flights.DoChan("", func() (any, error) { return l.token() })
	select {
	case got := <-flight:
		tok, _ := got.Val.(*oauth2.Token)
		return tok, got.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (t *tokens) lease() *lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		t.current = &lease{token: oauth2.ReuseTokenSourceWithExpiry(nil, t.source(), renewEarly).Token}
	}
	return t.current
}

// refused notes that Qlik no longer accepts the token of a lease, and says
// whether to try another. The whole lease is dropped, because x/oauth2 forgets
// no token before its time; a renewal under way in it can then not bring the
// token back. When the token was a fresh one, no 401 makes another for a
// while: Qlik limits how many live tokens a client may have.
func (t *tokens) refused(l *lease, fresh bool) (another bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if fresh {
		t.keepTil = now.Add(renewalRespite)
	}
	if now.Before(t.keepTil) {
		return false
	}
	if t.current == l {
		t.current = nil
	}
	return true
}

// sourceFunc is a function that is an oauth2.TokenSource.
type sourceFunc func() (*oauth2.Token, error)

// Token is oauth2.TokenSource.
func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

// newSource makes the source of one lease. It is our own because Qlik takes
// JSON, not a form, answers with its own error envelope, and counts the request
// among those of its rate limits. When an early renewal fails, the token that
// is still good is the result, and the next renewal waits a little.
//
// The Expiry it gives is renewEarly after the moment from which a new token is
// wanted, since x/oauth2 takes renewEarly off again. For lives of twenty
// minutes and more it is the true end; shorter ones would otherwise be renewed
// at once or all the time.
func (k *core) newSource(cred credentials) oauth2.TokenSource {
	var last *oauth2.Token // with its true end; x/oauth2 makes one call at a time
	return sourceFunc(func() (*oauth2.Token, error) {
		ctx, cancel := context.WithTimeout(context.Background(), k.timeout)
		defer cancel()
		tok, err := k.fetchToken(ctx, cred)
		now := time.Now()
		var use time.Duration
		switch {
		case err == nil:
			life := tok.Expiry.Sub(now)
			last, use = tok, life-min(renewEarly, life/4)
		case last != nil && last.Expiry.Sub(now) > lastMoments:
			use = min(renewalRespite, last.Expiry.Sub(now)-lastMoments)
		default:
			return nil, err
		}
		given := *last
		given.Expiry = now.Add(use + renewEarly)
		return &given, nil
	})
}

// fetchToken asks for a token (oauth.json: POST /oauth/token).
func (k *core) fetchToken(ctx context.Context, cred credentials) (tok *oauth2.Token, err error) {
	record := Call{Tenant: k.label, Operation: opToken.Name, Start: time.Now()}
	defer func() { k.report(&record, err) }()
	u, err := opToken.address(k.base, nil, nil)
	if err != nil {
		return nil, k.refuse(opToken, err)
	}
	try := func(ctx context.Context) (answer, error) {
		form, err := cred.body(time.Now())
		if err != nil {
			e := k.fail(opToken, OutcomeNotSent)
			e.kind, e.cause = ErrCredentials, err
			return answer{}, e
		}
		body, err := json.Marshal(form)
		if err != nil {
			return answer{}, k.refuse(opToken, errors.New("the body cannot be written as JSON"))
		}
		a, err := k.exchange(ctx, opToken, u, body, nil, []string{form.Assertion}, &record)
		var e *Error
		if errors.As(err, &e) && (e.Status == 400 || e.Status == 401 || e.Status == 403) {
			e.kind = ErrCredentials
		}
		return a, err
	}
	err = k.attempts(ctx, false, opToken, &record, try, func(a answer) (err error) {
		tok, err = decodeToken(a.body, time.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	k.logger.LogAttrs(ctx, slog.LevelDebug, "got a token", slog.String("op", opToken.Name), slog.String("tenant", k.label),
		slog.Time("ends_at", tok.Expiry))
	return tok, nil
}

// decodeToken reads the answer. The token's Expiry is its end.
func decodeToken(body []byte, now time.Time) (*oauth2.Token, error) {
	var w struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"` // seconds, number or text
		ExpiresAt   json.RawMessage `json:"expires_at"` // RFC 3339
	}
	if err := unmarshal(body, &w); err != nil {
		return nil, err
	}
	switch {
	case w.AccessToken == "" || strings.ContainsFunc(w.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("%w: no usable access token", ErrGarbled)
	case w.TokenType != "" && !strings.EqualFold(w.TokenType, "bearer"):
		return nil, fmt.Errorf("%w: a token of another type than bearer", ErrGarbled)
	}
	life := longestLife
	said := false
	if s, err := strconv.ParseFloat(scalar(w.ExpiresIn), 64); err == nil && s > 0 && !math.IsInf(s, 0) {
		said = true
		if s < longestLife.Seconds() {
			life = min(life, time.Duration(s*float64(time.Second)))
		}
	}
	// A time that has passed already is a clock that differs, not a token
	// that is dead on arrival.
	if at := timestamp(w.ExpiresAt); at.After(now) {
		said = true
		life = min(life, at.Sub(now))
	}
	if !said {
		life = shortLife
	}
	return &oauth2.Token{AccessToken: w.AccessToken, TokenType: w.TokenType, Expiry: now.Add(life)}, nil
}
