package slack_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func TestItWorksOverARealLoopbackListener(t *testing.T) {
	t.Parallel()
	s := slack.New(slack.Config{})
	defer s.Close()
	people(s)
	srv := httptest.NewServer(s)
	defer srv.Close()
	a := &app{t: t, http: srv.Client(), base: srv.URL, cfg: s.Config()}
	defer a.closeAll()

	changes, cancel := s.Subscribe()
	defer cancel()
	c, err := a.dial(a.openURL(), func(envelope) (any, bool) { return map[string]any{"text": "hello"}, true })
	if err != nil {
		t.Fatal(err)
	}
	for (<-changes).Kind != slack.ConnectionOpened {
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	var o slack.Outcome
	for o.Status != slack.Acknowledged { // the hello may still be on its way
		if o, err = s.Command(ctx, "U0ANA", "C0OPS", "help"); err != nil {
			t.Fatal(err)
		}
	}
	if o.Message == nil || o.Message.Text != "hello" {
		t.Errorf("got %+v", o)
	}
	u := sent(t, o)["response_url"].(string)
	if !strings.HasPrefix(u, srv.URL) {
		t.Errorf("the response_url leads to %s", u)
	}
	if code, body := a.respond(u, map[string]any{"text": "more"}); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	ts := post(t, a, button("go", "1"))
	if o, err = s.Click(ctx, "U0BEN", "C0OPS", ts, "go"); err != nil || o.Status != slack.Acknowledged {
		t.Errorf("click: %+v %v", o, err)
	}
	c.goodbye()
	for (<-changes).Kind != slack.ConnectionClosed {
	}
	if got := s.ClosedConnections(); len(got) != 1 || got[0].HowClosed != "client close frame 1000" {
		t.Errorf("got %+v", got)
	}
}

func TestBaseURLIsWhatAddressesAreMintedFrom(t *testing.T) {
	inBubble(t, slack.Config{BaseURL: "https://slack.example.com/"}, func(t *testing.T, s *slack.Server, a *app) {
		if u := a.openURL(); !strings.HasPrefix(u, "wss://slack.example.com/link/?ticket=") {
			t.Errorf("got %s", u)
		}
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.DispatchFailed)
		if u := sent(t, o)["response_url"].(string); !strings.HasPrefix(u, "https://slack.example.com/commands/T0HOME/") {
			t.Errorf("got %s", u)
		}
	})
}

func TestOtherPathsAreNotFound(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		resp, err := a.http.Get(a.base + "/elsewhere")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %d", resp.StatusCode)
		}
	})
}

// A mistake shared with the bot, or with its Slack library, would hide itself.
func TestItSharesNoCodeWithTheBotOrASlackLibrary(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), filepath.Join(goroot(t), "bin", "go"), "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	self := "github.com/qlik-chatops/bot/internal/emulator/slack"
	for path := range strings.FieldsSeq(string(out)) {
		if path != self && !strings.HasPrefix(path, "github.com/coder/websocket") {
			t.Errorf("it depends on %s", path)
		}
	}
	if !strings.Contains(string(out), self) {
		t.Errorf("go list does not know the package: %s", out)
	}
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	return strings.TrimSpace(string(out))
}
