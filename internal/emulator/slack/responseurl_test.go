package slack_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func responseURL(t *testing.T, s *slack.Server) string {
	t.Helper()
	o, err := s.Command(context.Background(), "U0ANA", "C0FAR", "help")
	wantStatus(t, o, err, slack.Acknowledged)
	return sent(t, o)["response_url"].(string)
}

func TestAResponseURLWorksFiveTimes(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		u := responseURL(t, s)
		if code, _ := a.respond(u, map[string]any{"text": ""}); code != http.StatusBadRequest {
			t.Errorf("an empty answer: %d", code)
		}
		for range 5 {
			if code, body := a.respond(u, map[string]any{"text": "x"}); code != 200 || body != "ok" {
				t.Fatalf("%d %s", code, body)
			}
		}
		code, body := a.respond(u, map[string]any{"text": "x"})
		if code != http.StatusNotFound || !strings.Contains(body, "used_url") {
			t.Fatalf("the sixth: %d %s", code, body)
		}
		// The bot is no member there, and the answers are for one person.
		if len(s.MessagesFor("U0ANA", "C0FAR")) != 5 || len(s.Messages("C0FAR")) != 0 {
			t.Error("the answers are not where they belong")
		}
	})
}

func TestAResponseURLExpiresAfterHalfAnHour(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		u := responseURL(t, s)
		time.Sleep(30*time.Minute - time.Millisecond)
		if code, _ := a.respond(u, map[string]any{"text": "x"}); code != 200 {
			t.Fatalf("just before: %d", code)
		}
		time.Sleep(time.Millisecond)
		code, body := a.respond(u, map[string]any{"text": "x"})
		if code != http.StatusNotFound || !strings.Contains(body, "expired_url") {
			t.Fatalf("%d %s", code, body)
		}
	})
}

func TestAResponseURLThatWasNeverMintedIsNotFound(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		u := responseURL(t, s)
		if code, _ := a.respond(u+"x", map[string]any{"text": "x"}); code != http.StatusNotFound {
			t.Fatalf("got %d", code)
		}
	})
}

func TestAResponseURLRefusesWhatItDoesNotTake(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		u := responseURL(t, s)
		for _, c := range []struct {
			body any
			want string
		}{
			{"text", "invalid_payload"},
			{map[string]any{"text": "x", "channel": "C0OPS"}, "invalid_payload"},
			{map[string]any{"text": "x", "username": "Boss"}, "invalid_payload"},
			{map[string]any{"text": "x", "response_type": "loud"}, "invalid_response_type"},
			{map[string]any{"blocks": "x"}, "invalid_blocks_format"},
			{map[string]any{"blocks": []any{map[string]any{"type": "nonsense"}}}, "invalid_blocks"},
			{map[string]any{}, "no_text"},
		} {
			if code, body := a.respond(u, c.body); code != http.StatusBadRequest || !strings.Contains(body, c.want) {
				t.Errorf("%v: %d %s, want %s", c.body, code, body, c.want)
			}
		}
		resp, err := a.http.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", resp.StatusCode)
		}
	})
}

func TestAResponseURLReplacesAndDeletesTheMessageThatWasClicked(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		ts := post(t, a, button("go", "1"))
		o, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go")
		wantStatus(t, o, err, slack.Acknowledged)
		u := sent(t, o)["response_url"].(string)
		a.respond(u, map[string]any{"text": "private", "replace_original": false})
		if m := s.MessagesFor("U0ANA", "C0OPS"); len(m) != 2 || m[1].EphemeralTo != "U0ANA" {
			t.Fatalf("beside it: %+v", m)
		}
		a.respond(u, map[string]any{"text": "new", "replace_original": true})
		if m, _ := s.Message("C0OPS", ts); m.Text != "new" || m.Versions[1].Via != "response_url" {
			t.Fatalf("replaced: %+v", m)
		}
		a.respond(u, map[string]any{"delete_original": true})
		if _, ok := s.Message("C0OPS", ts); ok {
			t.Fatal("it was not deleted")
		}
		// What is gone cannot be replaced: the text becomes a message of its own.
		a.respond(u, map[string]any{"text": "again", "replace_original": true, "response_type": "in_channel"})
		m := s.Messages("C0OPS")
		if last := m[len(m)-1]; len(m) != 2 || !m[0].Deleted || last.Text != "again" || last.TS == ts {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestACommandsResponseURLReplacesItsOwnFirstAnswer(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(func(envelope) (any, bool) { return map[string]any{"text": "working"}, true })
		u := responseURL(t, s)
		a.respond(u, map[string]any{"text": "done", "replace_original": true})
		m := s.MessagesFor("U0ANA", "C0FAR")
		if len(m) != 1 || m[0].Text != "done" || len(m[0].Versions) != 2 || m[0].Versions[0].Via != "ack" {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestPostsToResponseURLsAreRecordedWithoutTheAddress(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		u := responseURL(t, s)
		a.respond(u, map[string]any{"text": "x"})
		calls := s.Calls()
		last := calls[len(calls)-1]
		if last.Method != "response_url" || last.Args["text"] != "x" || strings.Contains(mustJSON(t, calls), u[len(u)-20:]) {
			t.Fatalf("got %+v", last)
		}
	})
}
