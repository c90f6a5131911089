package slack_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

const form = "application/x-www-form-urlencoded"

func TestADelayedCallIsCarriedOutEvenIfTheCallerHasGone(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		s.Fail("chat.postMessage", slack.Fault{Delay: 30 * time.Second, Times: 1})
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/api/chat.postMessage", strings.NewReader("channel=C0OPS&text=hi"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", form)
		req.Header.Set("Authorization", "Bearer "+a.cfg.BotToken)
		if resp, err := a.http.Do(req); !errors.Is(err, context.DeadlineExceeded) {
			_ = resp.Body.Close()
			t.Fatalf("got %v", err)
		}
		if len(s.Messages("C0OPS")) != 0 {
			t.Fatal("it is there already")
		}
		time.Sleep(26 * time.Second)
		if len(s.Messages("C0OPS")) != 1 {
			t.Fatal("it never came")
		}
	})
}

func TestFaultsAnswerWhatTheySay(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		post := func() (answer, *http.Response, error) {
			return a.try("chat.postMessage", form, "channel=C0OPS&text=hi", a.cfg.BotToken)
		}
		s.Fail("*", slack.Fault{Error: "fatal_error", Times: 1})
		r, _, err := post()
		if err != nil || r.str("error") != "fatal_error" {
			t.Errorf("error: %v %v", r, err)
		}
		s.Fail("chat.postMessage", slack.Fault{Status: http.StatusServiceUnavailable, Times: 1})
		if _, resp, err := post(); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status: %v", err)
		}
		s.Fail("chat.postMessage", slack.Fault{RetryAfter: 1500 * time.Millisecond, Times: 1})
		r, resp, err := post()
		if err != nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "2" || r.str("error") != "ratelimited" {
			t.Errorf("rate limit: %v %v", r, err)
		}
		s.Fail("chat.postMessage", slack.Fault{DropBefore: true, Times: 1})
		if _, _, err := post(); err == nil {
			t.Error("the connection was not dropped")
		}
		if n := len(s.Messages("C0OPS")); n != 0 {
			t.Fatalf("%d messages, though nothing could take effect", n)
		}

		s.Fail("chat.postMessage", slack.Fault{Garbage: true, Times: 1})
		if _, resp, err := post(); err == nil || resp.StatusCode != http.StatusOK {
			t.Errorf("garbage: %v", err)
		}
		s.Fail("chat.postMessage", slack.Fault{DropAfter: true, Times: 1})
		if _, _, err := post(); err == nil {
			t.Error("the connection was not dropped")
		}
		if n := len(s.Messages("C0OPS")); n != 2 {
			t.Fatalf("%d messages, want 2: both took effect", n)
		}
		start := time.Now()
		s.Fail("chat.postMessage", slack.Fault{AnswerDelay: 7 * time.Second, Times: 1})
		if _, _, err := post(); err != nil || time.Since(start) != 7*time.Second {
			t.Errorf("late answer: %v after %v", err, time.Since(start))
		}
		var seen []string
		for _, c := range s.Calls() {
			seen = append(seen, c.Fault)
		}
		if got := strings.Join(seen, ","); got != "error,status,rate limit,drop before the effect,garbage,drop after the effect,late answer" {
			t.Errorf("recorded: %s", got)
		}
	})
}

func TestAFaultHitsTheCallsItIsMeantFor(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		lift := s.Fail("chat.postMessage", slack.Fault{Error: "fatal_error", If: func(c slack.Call) bool { return c.Args["text"] == "two" }})
		wantOK(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "one"))
		wantError(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "two"), "fatal_error")
		wantOK(t, a.call("auth.test"))
		lift()
		wantOK(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "two"))
		s.Fail("auth.test", slack.Fault{Error: "fatal_error"})
		s.ClearFaults()
		wantOK(t, a.call("auth.test"))
	})
}

func TestFaultsHitResponseURLsToo(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
		s.Fail("response_url", slack.Fault{Status: 500, Times: 1})
		u := sent(t, o)["response_url"].(string)
		if code, _ := a.respond(u, map[string]any{"text": "x"}); code != 500 {
			t.Fatalf("got %d", code)
		}
		if code, _ := a.respond(u, map[string]any{"text": "x"}); code != 200 {
			t.Fatalf("got %d", code)
		}
	})
}

func TestDisconnectReasonsDoWhatTheyAnnounce(t *testing.T) {
	for reason, life := range map[string]time.Duration{
		slack.ReasonWarning: 10 * time.Second, slack.ReasonRefresh: time.Second, slack.ReasonLinkDisabled: 0,
	} {
		t.Run(reason, func(t *testing.T) {
			inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
				c := a.connect(ackAll)
				if err := s.Disconnect(s.Connections()[0].ID, reason); err != nil {
					t.Fatal(err)
				}
				if life > 0 {
					time.Sleep(life - soon)
					if d := c.got("disconnect"); len(d) != 1 || d[0].Reason != reason || c.closed() {
						t.Fatalf("before the end: %+v, closed %v", d, c.closed())
					}
					o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
					want := slack.DispatchFailed
					if reason == slack.ReasonWarning {
						want = slack.Acknowledged
					}
					wantStatus(t, o, err, want)
				}
				time.Sleep(2 * soon)
				synctest.Wait()
				if !c.closed() || len(s.Connections()) != 0 {
					t.Fatal("it is still open")
				}
				if got := s.ClosedConnections()[0].HowClosed; got != reason {
					t.Fatalf("recorded as %q", got)
				}
			})
		})
	}
}

func TestAnAcknowledgementStillCountsAfterRefreshRequested(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(func(envelope) (any, bool) {
			s.DisconnectAll(slack.ReasonRefresh)
			time.Sleep(500 * time.Millisecond)
			return nil, true
		})
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
	})
}

func TestAHalfOpenConnectionSwallowsEverything(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		id := s.Connections()[0].ID
		if err := s.HalfOpen(id, true); err != nil {
			t.Fatal(err)
		}
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.OperationTimeout)
		if err := c.ack(o.EnvelopeID, nil); err != nil {
			t.Fatal("the client can tell:", err)
		}
		time.Sleep(11 * time.Second)
		if len(c.got("slash_commands")) != 0 || c.closed() || s.Acks()[0].Refused != "swallowed" {
			t.Fatal("something came through")
		}
		if time.Since(s.Connections()[0].LastPong) > 10*time.Second {
			t.Fatal("the pings stopped")
		}
		if err := s.HalfOpen(id, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if time.Since(s.Connections()[0].LastPong) < 50*time.Second {
			t.Fatal("the pings went on")
		}
	})
}

func TestADroppedConnectionEndsWithoutACloseFrame(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		if err := s.Drop(s.Connections()[0].ID); err != nil {
			t.Fatal(err)
		}
		<-c.done
		if c.err == nil || strings.Contains(c.err.Error(), "close frame") || len(s.Connections()) != 0 {
			t.Fatalf("got %v", c.err)
		}
		if s.Drop("conn-none") == nil || s.Disconnect("conn-none", "warning") == nil || s.HalfOpen("conn-none", true) == nil {
			t.Fatal("a connection that nobody knows was found")
		}
	})
}

func TestGarbageAndUnknownEnvelopesCanBeSent(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackNone)
		id := s.Connections()[0].ID
		for _, text := range []string{"{{{", `{"type":"telepathy","envelope_id":"e1","payload":{}}`} {
			if err := s.SendText(id, text); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(c.raw) != 3 || c.raw[1] != "{{{" || len(c.got("telepathy")) != 1 {
			t.Fatalf("got %q", c.raw)
		}
	})
}

func TestAnEnvelopeCanComeTwice(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		one, two := a.connect(ackAll), a.connect(ackAll)
		s.DuplicateNext(1)
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
		synctest.Wait()
		x, y := one.got("slash_commands"), two.got("slash_commands")
		if len(x) != 1 || len(y) != 1 || x[0].ID != y[0].ID {
			t.Fatalf("got %+v and %+v", x, y)
		}
		if err := s.Redeliver(o.EnvelopeID, s.Connections()[0].ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(one.got("slash_commands")); n != 2 {
			t.Fatalf("redelivered: %d", n)
		}
		if n := len(s.Envelopes()); n != 3 {
			t.Fatalf("%d deliveries are recorded", n)
		}
		_, err = s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		if err != nil || len(s.Envelopes()) != 4 {
			t.Fatal("duplicated more than asked")
		}
		if s.Redeliver("nothing", s.Connections()[0].ID) == nil {
			t.Fatal("an envelope that never was came again")
		}
	})
}

func TestConnectionsCanBeClosedAtOnce(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true}, func(t *testing.T, s *slack.Server, a *app) {
		s.CloseNextConnections(3)
		for range 3 {
			c := a.connect(ackAll)
			if !c.closed() || len(c.raw) != 0 {
				t.Fatalf("got %q", c.raw)
			}
		}
		if c := a.connect(ackAll); c.closed() || len(c.got("hello")) != 1 {
			t.Fatal("the fourth was not let in")
		}
	})
}

func TestAHelloCanBeSlow(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		s.DelayHello(20*time.Second, 1)
		c := a.connect(ackAll)
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.DispatchFailed)
		time.Sleep(21 * time.Second)
		if len(c.got("hello")) != 1 {
			t.Fatal("it never came")
		}
		o, err = s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackNone)
		changes, cancel := s.Subscribe()
		defer cancel()
		s.Fail("auth.test", slack.Fault{Delay: time.Hour})
		go func() { _, _, _ = a.try("auth.test", form, "", a.cfg.BotToken) }()
		result := make(chan error)
		go func() {
			_, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
			result <- err
		}()
		time.Sleep(time.Second)
		s.Close()
		if err := <-result; !errors.Is(err, slack.ErrClosed) {
			t.Errorf("a waiting command: %v", err)
		}
		<-c.done
		for range changes {
		}
		if _, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help"); !errors.Is(err, slack.ErrClosed) {
			t.Errorf("a later command: %v", err)
		}
		s.Close()
	})
}
