package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/slackapp/socket"
)

// A workspace is the emulator with one person, one channel and a loop.
type workspace struct {
	*slack.Server
	*socket.Loop
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}
	err  error // of Run, after done
}

func inWorkspace(t *testing.T, cfg slack.Config, change func(*socket.Config), f func(t *testing.T, w *workspace)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slack.New(cfg)
		defer s.Close()
		s.AddUser(slack.User{ID: "U0ANA", Name: "ana", RealName: "Ana", Email: "ana@example.com"})
		s.AddChannel(slack.Channel{ID: "C0OPS", Name: "ops", BotIsMember: true, Members: []string{"U0ANA"}})
		client := s.Client()
		defer client.CloseIdleConnections()
		c := socket.Config{
			Open:        open(client, s.Config().AppToken),
			Allow:       func(*url.URL) error { return nil },
			HTTPClient:  client,
			Connections: 2,
			Handle:      func(ctx context.Context, e *socket.Envelope) { _ = e.Ack(ctx, nil) },
			Logger:      slog.New(slog.DiscardHandler),
		}
		if change != nil {
			change(&c)
		}
		l, err := socket.New(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		w := &workspace{Server: s, Loop: l, t: t, stop: cancel, done: make(chan struct{})}
		go func() { defer close(w.done); w.err = l.Run(ctx) }()
		defer func() { cancel(); <-w.done }()
		f(t, w)
	})
}

type slackError struct {
	code string
	wait time.Duration
}

func (e *slackError) Error() string             { return e.code }
func (e *slackError) RetryAfter() time.Duration { return e.wait }

// open calls apps.connections.open as the Web API page says.
func open(client *http.Client, token string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://slack.test/api/apps.connections.open", nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode == http.StatusTooManyRequests {
			wait, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s")
			return "", errors.Join(err, &slackError{"ratelimited", wait})
		}
		var answer struct {
			OK         bool
			Error, URL string
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return "", err
		}
		switch {
		case answer.Error == "token_revoked":
			return "", &socket.FatalError{Reason: "The app token was revoked.", Err: &slackError{code: answer.Error}}
		case !answer.OK:
			return "", &slackError{code: answer.Error}
		}
		return answer.URL, nil
	}
}

// settle waits until n connections are up.
func (w *workspace) settle(n int) {
	w.t.Helper()
	for range 1200 {
		synctest.Wait()
		if w.Status().Up == n {
			return
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("after twenty minutes %d connections are up, want %d: %+v", w.Status().Up, n, w.Status())
}

// say types a command and wants it acknowledged.
func (w *workspace) say(text string) {
	w.t.Helper()
	o, err := w.Command(w.t.Context(), "U0ANA", "C0OPS", text)
	if err != nil || !o.OK() {
		w.t.Errorf("%s: %s %s %v", text, o.Status, o.Problem, err)
	}
}

func (w *workspace) opens() (at []time.Time) {
	for _, c := range w.Calls() {
		if c.Method == "apps.connections.open" {
			at = append(at, c.At)
		}
	}
	return at
}

func (w *workspace) noGhosts() {
	w.t.Helper()
	for _, c := range w.Connections() {
		if c.State == "ghost" {
			w.t.Errorf("connection %s was left without a close frame", c.ID)
		}
	}
	for _, c := range w.ClosedConnections() {
		if c.HowClosed == "no close frame" {
			w.t.Errorf("connection %s was left without a close frame", c.ID)
		}
	}
	for _, a := range w.Acks() {
		if a.Refused != "" {
			w.t.Errorf("an acknowledgement on %s was refused: %s", a.ConnectionID, a.Refused)
		}
	}
}

func TestEmulatorEveryCommandOfADayOfRefreshesIsAcknowledged(t *testing.T) {
	inWorkspace(t, slack.Config{Seed: 7, ConnectionLife: 10 * time.Minute, NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.settle(2)
		for i := range 12 * 60 * 6 { // every ten seconds for twelve hours, never in step with the refreshes
			w.say(fmt.Sprintf("space list %d", i))
			time.Sleep(10*time.Second + 37*time.Millisecond)
		}
		if n := w.Status().Counts.Hellos; n < 140 {
			t.Errorf("%d connections in twelve hours, want one each ten minutes for two", n)
		}
		if got := w.Status(); got.Ghosts != 0 || got.Counts.GhostHellos != 0 {
			t.Errorf("%d ghosts, noticed %d times, want none", got.Ghosts, got.Counts.GhostHellos)
		}
		w.stop()
		<-w.done
		if w.err != nil {
			t.Error(w.err)
		}
		w.noGhosts()
	})
}

func TestEmulatorEveryReasonOfDisconnectIsSurvived(t *testing.T) {
	for _, reason := range []string{slack.ReasonWarning, slack.ReasonRefresh, slack.ReasonTooManyWebSockets, "brand_new"} {
		t.Run(reason, func(t *testing.T) {
			inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
				w.settle(2)
				time.Sleep(5 * time.Minute)
				if err := w.Disconnect(w.Connections()[0].ID, reason); err != nil {
					t.Fatal(err)
				}
				for i := range 40 { // not in step with anything that is done in whole seconds
					w.say(fmt.Sprintf("space list %d", i))
					time.Sleep(1903 * time.Millisecond)
				}
				w.settle(2)
				w.noGhosts()
			})
		})
	}
}

func TestEmulatorAllConnectionsSentAwayAtTheSameTimeComeBack(t *testing.T) {
	for reason, within := range map[string]time.Duration{
		slack.ReasonRefresh: 5 * time.Second, slack.ReasonLinkDisabled: 6 * time.Minute, slack.ReasonTooManyWebSockets: 2 * time.Minute,
	} {
		t.Run(reason, func(t *testing.T) {
			inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
				w.settle(2)
				time.Sleep(5 * time.Minute)
				w.DisconnectAll(reason)
				time.Sleep(within)
				w.settle(2)
				w.say("space list")
				w.noGhosts()
			})
		})
	}
}

func TestEmulatorADroppedConnectionIsReplacedWhileTheOtherServes(t *testing.T) {
	inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.settle(2)
		time.Sleep(5 * time.Minute)
		if err := w.Drop(w.Connections()[0].ID); err != nil {
			t.Fatal(err)
		}
		w.say("space list")
		time.Sleep(3 * time.Second)
		w.settle(2)
		w.noGhosts()
	})
}

func TestEmulatorAHalfOpenConnectionIsReplaced(t *testing.T) {
	inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.settle(2)
		time.Sleep(5 * time.Minute)
		sick := w.Connections()[0].ID
		if err := w.HalfOpen(sick, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		w.settle(2)
		for _, c := range w.Connections() {
			if c.ID == sick {
				t.Error("the half-open connection is still registered")
			}
		}
		for i := range 20 {
			w.say(fmt.Sprintf("space list %d", i))
		}
	})
}

func TestEmulatorGhostsAreNoticedAndAFullAppIsWaitedOut(t *testing.T) {
	inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.settle(2)
		time.Sleep(5 * time.Minute)
		w.AddGhosts(7)
		if err := w.Disconnect(w.Connections()[0].ID, slack.ReasonRefresh); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if got := w.Status(); got.Ghosts != 7 || got.NumConnections != 10 {
			t.Errorf("%d ghosts among %d, want 7 among 10", got.Ghosts, got.NumConnections)
		}
		w.AddGhosts(3)
		before := len(w.opens())
		w.DisconnectAll(slack.ReasonRefresh)
		time.Sleep(time.Minute)
		if got := w.Status(); got.Up != 0 || got.Problem == "" {
			t.Errorf("the app is full: up %d, problem %q", got.Up, got.Problem)
		}
		if n := len(w.opens()) - before; n > 6 {
			t.Errorf("%d connections asked for in a minute", n)
		}
		w.RemoveGhosts()
		w.settle(2)
		if got := w.Status(); got.Ghosts != 0 || got.Problem != "" {
			t.Errorf("%d ghosts, problem %q, want none", got.Ghosts, got.Problem)
		}
	})
}

func TestEmulatorAStormOfClosedConnectionsIsNotFed(t *testing.T) {
	inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.CloseNextConnections(1000)
		time.Sleep(10 * time.Minute)
		calls := w.opens()
		for i := range calls {
			if j := i + 6; j < len(calls) && calls[j].Sub(calls[i]) <= time.Minute {
				t.Fatalf("seven calls within %s", calls[j].Sub(calls[i]))
			}
		}
		w.ClearFaults()
		w.settle(2)
		w.say("space list")
	})
}

func TestEmulatorItsRateLimitIsNeverHitWhileConnectionsComeAndGo(t *testing.T) {
	inWorkspace(t, slack.Config{ConnectionLife: 6 * time.Minute}, nil, func(t *testing.T, w *workspace) {
		time.Sleep(3 * time.Hour)
		limited := 0
		for _, c := range w.Calls() {
			if c.Status == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited > 0 {
			t.Errorf("%d of %d calls were refused", limited, len(w.Calls()))
		}
		w.settle(2)
	})
}

func TestEmulatorARetryAfterIsHonoured(t *testing.T) {
	inWorkspace(t, slack.Config{}, func(c *socket.Config) { c.Connections = 1 }, func(t *testing.T, w *workspace) {
		w.settle(1)
		time.Sleep(5 * time.Minute)
		defer w.Fail("apps.connections.open", slack.Fault{RetryAfter: 3 * time.Minute, Times: 1})()
		if err := w.Drop(w.Connections()[0].ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.settle(1)
		calls := w.opens()
		if wait := calls[len(calls)-1].Sub(calls[len(calls)-2]); wait < 3*time.Minute || wait > 4*time.Minute {
			t.Errorf("the next call came %s after the 429, want 3 min", wait)
		}
	})
}

func TestEmulatorARevokedTokenEndsTheLoop(t *testing.T) {
	inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.settle(2)
		time.Sleep(5 * time.Minute)
		defer w.Fail("apps.connections.open", slack.Fault{Error: "token_revoked"})()
		if err := w.Disconnect(w.Connections()[0].ID, slack.ReasonWarning); err != nil {
			t.Fatal(err)
		}
		<-w.done
		if !socket.Fatal(w.err) {
			t.Errorf("Run returned %v", w.err)
		}
		synctest.Wait()
		w.noGhosts()
	})
}

func TestEmulatorGarbageCostsNothing(t *testing.T) {
	inWorkspace(t, slack.Config{NoRateLimits: true}, nil, func(t *testing.T, w *workspace) {
		w.settle(2)
		for _, frame := range []string{"", "garbage", `{"type":"telepathy"}`, `[1]`, `{"type":"interactive","payload":{}}`} {
			if err := w.SendText(w.Connections()[0].ID, frame); err != nil {
				t.Fatal(err)
			}
		}
		w.say("space list")
		if got := w.Status(); got.Up != 2 || got.Counts.Unparseable != 4 || got.Counts.UnknownTypes != 1 {
			t.Errorf("up %d, unparseable %d, unknown %d, want 2, 4 and 1", got.Up, got.Counts.Unparseable, got.Counts.UnknownTypes)
		}
	})
}

func TestEmulatorAnEnvelopeDeliveredTwiceIsHandedOutTwiceWithTheSameID(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	count := func(c *socket.Config) {
		c.Handle = func(ctx context.Context, e *socket.Envelope) {
			mu.Lock()
			seen[e.ID]++
			mu.Unlock()
			_ = e.Ack(ctx, nil)
		}
	}
	inWorkspace(t, slack.Config{NoRateLimits: true}, count, func(t *testing.T, w *workspace) {
		w.settle(2)
		w.DuplicateNext(1)
		w.say("space list")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for id, n := range seen {
			if n != 2 || len(seen) != 1 {
				t.Errorf("%s was handed out %d times, want twice", id, n)
			}
		}
	})
}

func TestEmulatorAHandlerTooSlowIsRefusedAndAnEventComesAgain(t *testing.T) {
	var mu sync.Mutex
	attempts := []int{}
	slow := func(c *socket.Config) {
		c.Handle = func(ctx context.Context, e *socket.Envelope) {
			mu.Lock()
			attempts = append(attempts, e.RetryAttempt)
			first := len(attempts) == 1
			mu.Unlock()
			if first {
				time.Sleep(4 * time.Second)
			}
			_ = e.Ack(ctx, nil)
		}
	}
	inWorkspace(t, slack.Config{NoRateLimits: true}, slow, func(t *testing.T, w *workspace) {
		w.settle(2)
		o, err := w.OpenHome(t.Context(), "U0ANA")
		if err != nil || o.Status != slack.EventFailed {
			t.Errorf("the first delivery: %s %v, want %s", o.Status, err, slack.EventFailed)
		}
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if fmt.Sprint(attempts) != "[0 1]" {
			t.Errorf("attempts %v, want [0 1]", attempts)
		}
	})
}
