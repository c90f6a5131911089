package slackapp_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// TestSlowReadsDoNotKeepAClickFromBeingAcknowledged: there are as many of them
// as the socket has slots, and each waits for Slack.
func TestSlowReadsDoNotKeepAClickFromBeingAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, err := playground.New(playground.Options{Memory: true, Dir: t.TempDir(), Slack: slackemu.Config{NoRateLimits: true}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}()
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Slack.Fail("users.info", slackemu.Fault{Delay: 9 * time.Second})
		p.Slack.Fail("response_url", slackemu.Fault{Delay: 9 * time.Second})
		const slots = 64 // of the socket, by default
		var wg sync.WaitGroup
		for range slots {
			wg.Go(func() {
				if out, err := p.Slack.Command(t.Context(), playground.Ana, playground.ChannelOps, "tenants"); err != nil || !out.OK() {
					t.Errorf("a read was not acknowledged: %+v %v", out, err)
				}
			})
		}
		wg.Wait()
		answered := func() (n int) {
			for _, c := range p.Slack.Calls() {
				if c.Method == "response_url" {
					n++
				}
			}
			return n
		}
		if n := answered(); n > 0 {
			t.Fatalf("%d reads are answered already", n)
		}
		out, err := p.Slack.ClickRaw(t.Context(), playground.Ben, slackemu.RawClick{
			Channel: playground.ChannelOps, TS: "1.000100",
			Action: map[string]any{"type": "button", "action_id": "request.deny", "block_id": "b", "value": "RNONE:1"},
		})
		if err != nil || !out.OK() {
			t.Errorf("the click was not acknowledged: %+v %v", out, err)
		}
		if n := answered(); n > 0 {
			t.Errorf("%d reads were answered meanwhile, so nothing was shown", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := answered(); n < slots {
			t.Errorf("%d of %d reads were answered in the end", n, slots)
		}
	})
}
