package slack_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func TestOpeningAConnectionTakesTheAppTokenInTheHeaderAlone(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		const form = "application/x-www-form-urlencoded"
		r, _ := a.post("apps.connections.open", form, "", a.cfg.BotToken)
		wantError(t, r, "not_allowed_token_type")
		r, _ = a.post("apps.connections.open", form, "token="+a.cfg.AppToken, "")
		wantError(t, r, "not_authed")
		r, _ = a.post("apps.connections.open", form, "", "xapp-"+"other")
		wantError(t, r, "invalid_auth")
		r, _ = a.post("apps.connections.open", form, "", a.cfg.AppToken)
		wantOK(t, r)
		if u := r.str("url"); !strings.HasPrefix(u, "ws://slack.test/link/?ticket=") || !strings.Contains(u, "app_id=A0BOT") {
			t.Fatalf("the address is %q", u)
		}
		r, _ = a.post("auth.test", form, "", a.cfg.AppToken)
		wantError(t, r, "not_allowed_token_type")
	})
}

func TestATicketOpensOneConnection(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		u := a.openURL()
		if _, err := a.dial(u, ackAll); err != nil {
			t.Fatal(err)
		}
		if _, err := a.dial(u, ackAll); err == nil || !strings.Contains(err.Error(), "403") {
			t.Fatalf("the second use: %v, want 403", err)
		}
	})
}

func TestAClientMayNameSlackAsItsOrigin(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		ws, _, err := websocket.Dial(context.Background(), a.openURL(), &websocket.DialOptions{
			HTTPClient: a.http, HTTPHeader: http.Header{"Origin": {"https://api.slack.com"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = ws.CloseNow()
	})
}

func TestATicketExpires(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		u := a.openURL()
		time.Sleep(30 * time.Second)
		if _, err := a.dial(u, ackAll); err == nil || !strings.Contains(err.Error(), "403") {
			t.Fatalf("got %v, want 403", err)
		}
	})
}

func TestHelloTellsConnectionsAppAndLife(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		h := a.connect(ackAll).got("hello")
		if len(h) != 1 {
			t.Fatalf("got %d hellos", len(h))
		}
		if e := h[0]; e.NumConnections != 2 || e.ConnectionInfo.AppID != "A0BOT" || e.DebugInfo.Time != 3600 || e.DebugInfo.Host == "" || e.DebugInfo.BuildNumber == 0 {
			t.Fatalf("hello is %+v", e)
		}
	})
}

func TestDebugReconnectsShortensTheLife(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c, err := a.dial(a.openURL()+"&debug_reconnects=true", ackAll)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.got("hello")[0].DebugInfo.Time; got != 360 {
			t.Fatalf("approximate_connection_time is %d", got)
		}
		time.Sleep(350*time.Second + soon)
		if d := c.got("disconnect"); len(d) != 1 || d[0].Reason != "warning" {
			t.Fatalf("10 s ahead: %+v", d)
		}
		time.Sleep(10 * time.Second)
		if d := c.got("disconnect"); len(d) != 2 || d[1].Reason != "refresh_requested" {
			t.Fatalf("at the end: %+v", d)
		}
		time.Sleep(2 * time.Second)
		if !c.closed() || len(s.Connections()) != 0 {
			t.Fatal("the connection is still there")
		}
	})
}

func TestTheLifeOfAConnectionCanBeSet(t *testing.T) {
	inBubble(t, slack.Config{ConnectionLife: 5 * time.Second}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		time.Sleep(5*time.Second + soon)
		if d := c.got("disconnect"); len(d) != 1 || d[0].Reason != "refresh_requested" {
			t.Fatalf("got %+v", d)
		}
		time.Sleep(time.Second)
		if !c.closed() || s.ClosedConnections()[0].HowClosed != "refresh_requested" {
			t.Fatal("it is still open")
		}
	})
}

func TestTheServerPings(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		time.Sleep(31 * time.Second)
		if since := time.Since(s.Connections()[0].LastPong); since > 2*time.Second {
			t.Fatalf("last pong %v ago", since)
		}
	})
}

func TestTheEleventhConnectionIsTurnedAway(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true}, func(t *testing.T, s *slack.Server, a *app) {
		for range 10 {
			a.connect(ackAll)
		}
		c := a.connect(ackAll)
		if d := c.got("disconnect"); len(d) != 1 || d[0].Reason != "too_many_websockets" || len(c.got("hello")) != 0 {
			t.Fatalf("got %+v", d)
		}
		if !c.closed() {
			t.Fatal("it was left open")
		}
	})
}

func TestGhostsCountAsConnections(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		s.AddGhosts(9)
		if got := a.connect(ackAll).got("hello")[0].NumConnections; got != 10 {
			t.Fatalf("num_connections is %d", got)
		}
		if c := a.connect(ackAll); len(c.got("disconnect")) != 1 {
			t.Fatal("no room was left, yet it was let in")
		}
		s.RemoveGhosts()
		if got := len(s.Connections()); got != 1 {
			t.Fatalf("%d connections are left", got)
		}
	})
}

func TestAnEnvelopeGoesToOneConnection(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		one, two := a.connect(ackAll), a.connect(ackAll)
		for range 40 {
			o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
			wantStatus(t, o, err, slack.Acknowledged)
		}
		n, m := len(one.got("slash_commands")), len(two.got("slash_commands"))
		if n+m != 40 || n < 8 || m < 8 {
			t.Fatalf("%d and %d", n, m)
		}
	})
}

func TestRoundRobinTakesTurns(t *testing.T) {
	inBubble(t, slack.Config{Routing: slack.RouteRoundRobin}, func(t *testing.T, s *slack.Server, a *app) {
		one, two := a.connect(ackAll), a.connect(ackAll)
		for range 6 {
			_, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
			if err != nil {
				t.Fatal(err)
			}
		}
		if n, m := len(one.got("slash_commands")), len(two.got("slash_commands")); n != 3 || m != 3 {
			t.Fatalf("%d and %d", n, m)
		}
	})
}

func TestEnvelopesSayWhetherTheyTakeAPayload(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		ctx := context.Background()
		_, err1 := s.Command(ctx, "U0ANA", "C0OPS", "help")
		_, err2 := s.Shortcut(ctx, "U0ANA", "ask")
		_, err3 := s.OpenHome(ctx, "U0ANA")
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		for kind, want := range map[string]bool{"slash_commands": true, "interactive": true, "events_api": false} {
			e := c.got(kind)
			if len(e) != 1 || e[0].Accepts == nil || *e[0].Accepts != want {
				t.Errorf("%s: %+v", kind, e)
			}
			if hasRetry := e[0].RetryAttempt != nil; hasRetry != (kind == "events_api") {
				t.Errorf("%s: retry_attempt is there: %v", kind, hasRetry)
			}
		}
	})
}

func TestASlashCommandNotAcknowledgedIn3SecondsTimesOut(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackNone)
		start := time.Now()
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.OperationTimeout)
		if d := time.Since(start); d != 3*time.Second {
			t.Fatalf("after %v", d)
		}
		if n := len(s.Envelopes()); n != 1 {
			t.Fatalf("it was sent %d times; commands are never repeated", n)
		}
	})
}

func TestALateAcknowledgementDoesNotCount(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(func(envelope) (any, bool) { time.Sleep(3 * time.Second); return nil, true })
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.OperationTimeout)
		time.Sleep(soon)
		if acks := s.Acks(); len(acks) != 1 || acks[0].Refused != "late" {
			t.Fatalf("got %+v", acks)
		}
	})
}

func TestWithoutAConnectionTheDispatchFails(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.DispatchFailed)
	})
}

func TestAnAcknowledgementOnAnotherConnectionDoesNotCount(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		other := a.connect(ackNone)
		a.connect(func(e envelope) (any, bool) { _ = other.ack(e.ID, nil); return nil, false })
		s.RouteNext(s.Connections()[1].ID)
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.OperationTimeout)
		if acks := s.Acks(); len(acks) != 1 || acks[0].Refused != "wrong connection" {
			t.Fatalf("got %+v", acks)
		}
	})
}

func TestLargeAcknowledgementsAreDroppedSilently(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		// {"envelope_id":"<36>","payload":"<n>"}
		frame := func(size int) string { return strings.Repeat("x", size-len(`{"envelope_id":"","payload":""}`)-36) }
		size := 20480
		c := a.connect(func(envelope) (any, bool) { return frame(size), true })
		o, err := s.Click(context.Background(), "U0ANA", "C0OPS", post(t, a, button("go", "1")), "go")
		wantStatus(t, o, err, slack.InteractionFailed)
		if acks := s.Acks(); len(acks) != 1 || acks[0].Refused != "too large" || acks[0].Size != size {
			t.Fatalf("got %+v", acks)
		}
		size--
		o, err = s.Click(context.Background(), "U0ANA", "C0OPS", post(t, a, button("go", "1")), "go")
		wantStatus(t, o, err, slack.Acknowledged)
		if c.closed() {
			t.Fatal("the connection was closed for it")
		}
	})
}

func TestFragmentedAcknowledgementsAreDroppedSilently(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		var c *conn
		c = a.connect(func(e envelope) (any, bool) {
			w, err := c.ws.Writer(context.Background(), websocket.MessageText)
			if err != nil {
				return nil, false
			}
			if _, err := w.Write([]byte(`{"envelope_id":"` + e.ID + `"}`)); err != nil {
				return nil, false
			} // Close sends the second frame, an empty one
			_ = w.Close()
			return nil, false
		})
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.OperationTimeout)
		if acks := s.Acks(); len(acks) != 1 || acks[0].Refused != "fragmented" || acks[0].EnvelopeID != o.EnvelopeID {
			t.Fatalf("got %+v", acks)
		}
	})
}

func TestWhatIsNoAcknowledgementIsRecorded(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		if err := c.ws.Write(context.Background(), websocket.MessageText, []byte("no JSON")); err != nil {
			t.Fatal(err)
		}
		if err := c.ack("nobody-knows-it", nil); err != nil {
			t.Fatal(err)
		}
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
		if err := c.ack(o.EnvelopeID, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got []string
		for _, k := range s.Acks() {
			got = append(got, k.Refused)
		}
		if strings.Join(got, ",") != "malformed,unknown envelope,,duplicate" {
			t.Fatalf("got %q", got)
		}
	})
}

func TestEventsAreRepeatedAtOnceAfterAMinuteAndAfterFive(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackNone)
		start := time.Now()
		o, err := s.OpenHome(context.Background(), "U0ANA")
		wantStatus(t, o, err, slack.EventFailed)
		time.Sleep(20 * time.Minute)
		var ids, when []string
		for i, e := range s.Envelopes() {
			ids = append(ids, at(decode(t, e.Payload), "event_id").(string))
			when = append(when, e.At.Sub(start).String())
			if w := c.got("events_api")[i]; *w.RetryAttempt != i || (*w.RetryReason == "timeout") != (i > 0) {
				t.Errorf("delivery %d says attempt %d, reason %q", i, *w.RetryAttempt, *w.RetryReason)
			}
		}
		if strings.Join(when, " ") != "0s 3s 1m6s 6m9s" {
			t.Errorf("delivered at %v", when)
		}
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("event_id changed: %v", ids)
			}
		}
	})
}

func TestAnEventRaisedWhileNobodyIsConnectedComesLater(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		o, err := s.OpenHome(context.Background(), "U0ANA")
		wantStatus(t, o, err, slack.EventFailed)
		c := a.connect(ackAll)
		time.Sleep(time.Minute + soon)
		if e := c.got("events_api"); len(e) != 1 || *e[0].RetryAttempt != 2 {
			t.Fatalf("got %+v", e)
		}
		time.Sleep(10 * time.Minute)
		if e := c.got("events_api"); len(e) != 1 {
			t.Fatalf("acknowledged, and repeated: %+v", e)
		}
	})
}

func TestAClientThatVanishesStaysAsAGhostForAWhile(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll).vanish()
		synctest.Wait()
		if c := s.Connections(); len(c) != 1 || c[0].State != "ghost" {
			t.Fatalf("got %+v", c)
		}
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.OperationTimeout)
		time.Sleep(2 * time.Minute)
		if c := s.ClosedConnections(); len(s.Connections()) != 0 || len(c) != 1 || c[0].HowClosed != "no close frame" {
			t.Fatalf("got %+v", c)
		}
	})
}

func TestAClientThatSaysGoodbyeIsGoneAtOnce(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll).goodbye()
		synctest.Wait()
		if c := s.ClosedConnections(); len(s.Connections()) != 0 || len(c) != 1 || c[0].HowClosed != "client close frame 1000" {
			t.Fatalf("got %+v", c)
		}
	})
}

func decode(t *testing.T, raw []byte) any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// post posts blocks to C0OPS and returns the timestamp.
func post(t *testing.T, a *app, blocks []any) string {
	t.Helper()
	r := a.callJSON("chat.postMessage", map[string]any{"channel": "C0OPS", "text": "card", "blocks": blocks})
	wantOK(t, r)
	return r.str("ts")
}
