package playground_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// start runs a playground in memory, with the bot connected.
func start(t *testing.T, o playground.Options) *playground.Playground {
	t.Helper()
	o.Memory = true
	o.Dir = t.TempDir()
	if os.Getenv("PLAYGROUND_LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p, err := playground.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// types has somebody type a command and waits until all is quiet.
func types(t *testing.T, p *playground.Playground, user, channel, text string) slackemu.Outcome {
	t.Helper()
	out, err := p.Slack.Command(t.Context(), user, channel, text)
	if err != nil {
		t.Fatalf("%s types %q: %v", user, text, err)
	}
	settle()
	return out
}

// settle lets a little time pass and waits until nothing moves.
func settle() {
	time.Sleep(500 * time.Millisecond)
	synctest.Wait()
}

// card is the newest public message of the bot in a channel.
func card(t *testing.T, p *playground.Playground, channel string) slackemu.Message {
	t.Helper()
	ms := p.Slack.Messages(channel)
	for i := len(ms) - 1; i >= 0; i-- {
		if ms[i].EphemeralTo == "" && !ms[i].Deleted {
			return ms[i]
		}
	}
	t.Fatalf("no card in %s; %s", channel, said(p, playground.Ana, channel))
	return slackemu.Message{}
}

// said is everything that a person sees in a channel.
func said(p *playground.Playground, user, channel string) string {
	var b strings.Builder
	for _, m := range p.Slack.MessagesFor(user, channel) {
		fmt.Fprintf(&b, "%s\n", m.Text)
	}
	return b.String()
}

func clicks(t *testing.T, p *playground.Playground, user, channel, ts, action string) slackemu.Outcome {
	t.Helper()
	out, err := p.Slack.Click(t.Context(), user, channel, ts, action)
	if err != nil {
		t.Fatalf("%s clicks %s: %v", user, action, err)
	}
	settle()
	return out
}

func TestAnAdministratorIsAddedOnceSomebodyElseApproves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, playground.Options{})
		out := types(t, p, playground.Ana, playground.ChannelOps, "add-admin @dan because incident 42")
		if !out.OK() {
			t.Fatalf("the command was not acknowledged: %+v", out)
		}
		c := card(t, p, playground.ChannelOps)
		if !strings.Contains(c.Text, " · waiting: ") {
			t.Fatalf("the card says %q", c.Text)
		}
		clicks(t, p, playground.Ben, playground.ChannelOps, c.TS, "request.approve")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		c = card(t, p, playground.ChannelOps)
		if !strings.Contains(c.Text, " · succeeded: ") {
			t.Fatalf("the card says %q", c.Text)
		}
		u, ok := p.Tenant(playground.Prod).UserByEmail("dan@example.com")
		if !ok || u.Status != "active" || len(u.Roles) != 1 || u.Roles[0] != "TenantAdmin" {
			t.Fatalf("in the tenant stands %+v", u)
		}
	})
}
