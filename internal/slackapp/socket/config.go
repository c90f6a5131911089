package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxConnections is how many connections Slack allows one app, over all
// processes (API page "Using Socket Mode").
const MaxConnections = 10

// Config is what a [Loop] needs. Open, Handle and Logger are required.
type Config struct {
	// Open returns the address of one new connection: Web API method
	// apps.connections.open. It must end when ctx ends. Each address opens one
	// connection and its ticket is a secret. Three kinds of errors are told
	// apart: one for which [Fatal] holds ends [Loop.Run]; one with a method
	// RetryAfter() time.Duration postpones the next call by at least that
	// long, for all connections; any other is tried again after a back-off.
	// The text of an error is logged.
	Open func(ctx context.Context) (string, error)

	// Allow decides whether a connection may be made to an address. Its error
	// must not quote more than the host. Nil means [AllowSlack].
	Allow func(*url.URL) error

	// HTTPClient makes the WebSocket handshake. It never follows a redirect.
	// Nil means a client of our own with the proxy settings of the environment.
	HTTPClient *http.Client

	// Connections is how many connections are held open at once, from 1 to
	// [MaxConnections]. While one is replaced there is one more, unless that
	// would exceed [MaxConnections].
	Connections int

	// Handle is called for each envelope of a known type, each call in its own
	// goroutine. The envelope should be acknowledged before Handle returns; a
	// connection that is being closed waits for the handlers of its envelopes
	// and for nothing else. ctx ends Timing.Drain after the context of Run
	// did, not before, and not with the connection. A panic is recovered.
	Handle func(ctx context.Context, e *Envelope)

	// Logger gets neither payloads nor addresses.
	Logger *slog.Logger

	// MaxInFlight bounds the calls of Handle under way, over all connections.
	// Zero means 64.
	MaxInFlight int

	// MaxFrame is the size in bytes of the largest frame that is read. A larger
	// one ends its connection. Zero means 4 MiB.
	MaxFrame int64

	// Timing holds every duration; a zero one means its default.
	Timing Timing
}

// Timing holds the durations of a [Loop]. Zero means the default in brackets.
type Timing struct {
	// Open bounds one call of Config.Open [15 s].
	Open time.Duration
	// Connect bounds the WebSocket handshake and the wait for Slack's hello
	// together [15 s].
	Connect time.Duration
	// PingEvery is the longest interval between our pings [10 s]; the shortest is
	// half of it, at random. A live server answers, so that
	// also one that never pings by itself is heard.
	PingEvery time.Duration
	// Silence is how long nothing at all (no ping, no pong, no message) may be
	// heard on a connection before it is replaced [30 s].
	Silence time.Duration
	// ServerQuiet is how long a server that has been pinging us may neither ping
	// nor send a message, although it answers our pings, before the connection
	// is taken for half dead and replaced [1 min]. It is never less than three
	// times the longest interval between its pings so far, and a server that has
	// not pinged twice is not judged by it.
	ServerQuiet time.Duration
	// Ack bounds the writing of one acknowledgement [5 s].
	Ack time.Duration
	// HealthySpell is how long a connection must have lived since its hello for
	// earlier failures to be forgotten [1 min].
	HealthySpell time.Duration
	// BackoffMin and BackoffMax are the shortest and the longest wait after a
	// failure [1 s, 1 min], before jitter takes off up to half.
	BackoffMin, BackoffMax time.Duration
	// OpenEvery is the interval at which one more call of Config.Open is
	// allowed, over all connections [15 s]. Two calls may be saved up. So there
	// are never more than six calls in any minute.
	OpenEvery time.Duration
	// TooManyPause is the shortest wait after Slack refused a connection as
	// one too many [30 s].
	TooManyPause time.Duration
	// LinkDisabledPause is how long no connection is opened after Slack said
	// that Socket Mode is switched off [5 min].
	LinkDisabledPause time.Duration
	// Linger is how long a replaced connection is left for Slack to close [15 s].
	// Slack warns about ten seconds ahead.
	Linger time.Duration
	// Quiet is how long, after that, a replaced connection must have delivered nothing
	// before it is closed [2 s].
	Quiet time.Duration
	// Retire is how long a replaced connection stays open at most [30 s].
	Retire time.Duration
	// Drain is how long handlers may go on after the end of Run's context [10 s].
	Drain time.Duration
}

// openBurst is how many calls of Config.Open may follow one another at once:
// a pair of connections comes up, or is refreshed, without a wait.
const openBurst = 2

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.Open, 15*time.Second)
	set(&t.Connect, 15*time.Second)
	set(&t.PingEvery, 10*time.Second)
	set(&t.Silence, 30*time.Second)
	set(&t.ServerQuiet, time.Minute)
	set(&t.Ack, 5*time.Second)
	set(&t.HealthySpell, time.Minute)
	set(&t.BackoffMin, time.Second)
	set(&t.BackoffMax, time.Minute)
	set(&t.OpenEvery, 15*time.Second)
	set(&t.TooManyPause, 30*time.Second)
	set(&t.LinkDisabledPause, 5*time.Minute)
	set(&t.Linger, 15*time.Second)
	set(&t.Quiet, 2*time.Second)
	set(&t.Retire, 30*time.Second)
	set(&t.Drain, 10*time.Second)
	return t
}

func (t Timing) check() error {
	for _, d := range []time.Duration{
		t.Open, t.Connect, t.PingEvery, t.Silence, t.ServerQuiet, t.Ack, t.HealthySpell, t.BackoffMin, t.BackoffMax,
		t.OpenEvery, t.TooManyPause, t.LinkDisabledPause, t.Linger, t.Quiet, t.Retire, t.Drain,
	} {
		if d < 0 {
			return errors.New("a duration is negative")
		}
	}
	if t.BackoffMin > t.BackoffMax {
		return errors.New("the shortest back-off is longer than the longest")
	}
	if t.PingEvery >= t.Silence {
		return errors.New("pings must be more frequent than the silence that ends a connection")
	}
	return nil
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Open == nil:
		return c, errors.New("no Open function")
	case c.Handle == nil:
		return c, errors.New("no Handle function")
	case c.Logger == nil:
		return c, errors.New("no Logger")
	case c.Connections < 1 || c.Connections > MaxConnections:
		return c, fmt.Errorf("connections must be from 1 to %d, not %d", MaxConnections, c.Connections)
	case c.MaxInFlight < 0:
		return c, errors.New("the bound of handlers is negative")
	case c.MaxFrame < 0:
		return c, errors.New("the largest frame is negative")
	}
	if c.Allow == nil {
		c.Allow = AllowSlack
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 64
	}
	if c.MaxFrame == 0 {
		c.MaxFrame = 4 << 20
	}
	c.Timing = c.Timing.withDefaults()
	if err := c.Timing.check(); err != nil {
		return c, err
	}

	// A redirect would carry the address with its ticket to another host, in
	// the Referer header if nowhere else. No redirect is a handshake that failed.
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		// A handshake leaves no connection behind to keep for another.
		t = t.Clone()
		t.DisableKeepAlives = true
		client.Transport = t
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTPClient = &client
	return c, nil
}

// AllowSlack allows wss addresses on Slack's own hosts, at the usual port:
// slack.com and slack-gov.com and what is under them.
func AllowSlack(u *url.URL) error {
	if u.Scheme != "wss" {
		return errors.New("it is not a wss address")
	}
	if p := u.Port(); p != "" && p != "443" {
		return errors.New("it has an unusual port")
	}
	host := strings.ToLower(u.Hostname())
	for _, own := range []string{"slack.com", "slack-gov.com"} {
		if host == own || strings.HasSuffix(host, "."+own) {
			return nil
		}
	}
	return fmt.Errorf("host %q is not one of Slack's", host)
}
