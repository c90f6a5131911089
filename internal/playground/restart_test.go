package playground_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// TestTheBotCanEndAtAnyMoment ends and starts the bot at random moments
// between the commands and the last verification: in good order, as by
// SIGTERM, or with its disk taken away under its hands while its last calls
// are still on their way.
func TestTheBotCanEndAtAnyMoment(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12 / everyNth) {
		abrupt := seed%2 == 1
		t.Run(fmt.Sprintf("seed %d, abrupt %t", seed, abrupt), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { restartCase(t, rand.New(rand.NewPCG(seed, 7)), abrupt) })
		})
	}
}

func restartCase(t *testing.T, rng *rand.Rand, abrupt bool) {
	p := start(t, playground.Options{Slack: slackemu.Config{PingInterval: time.Hour, GhostLife: -1, NoRateLimits: true}})
	seedInvited(t, p)
	// Every call takes a little, so that there are moments between them.
	p.Slack.Fail("*", slackemu.Fault{Delay: 40 * time.Millisecond})
	for _, tenant := range p.Tenants {
		tenant.Server.AddFault(qlikemu.Fault{Delay: 150 * time.Millisecond, Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal, Count: qlikemu.Always})
	}
	var old []func()
	again := func(within time.Duration) {
		time.Sleep(time.Duration(rng.Int64N(int64(within))))
		if abrupt {
			wait, err := p.Abandon()
			if err != nil {
				t.Fatal(err)
			}
			old = append(old, wait)
		} else if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		ready(t, p)
	}
	var wg sync.WaitGroup
	for _, d := range deeds() {
		wg.Go(func() { acknowledged(t, d.text)(p.Slack.Command(t.Context(), d.by, playground.ChannelOps, d.text)) })
	}
	wg.Wait()
	for range 3 {
		again(time.Second)
	}
	time.Sleep(2 * time.Minute)
	for _, d := range deeds() {
		card, ok := cardOf(p, d)
		if !ok {
			t.Fatalf("%q has no card", d.text)
		}
		wg.Go(func() {
			acknowledged(t, "click on "+d.text)(p.Slack.Click(t.Context(), d.agrees, card.Channel, card.TS, buttons(card.Blocks)[d.in]))
		})
	}
	wg.Wait()
	for range 6 {
		again(3 * time.Second)
	}
	time.Sleep(22 * time.Minute)
	synctest.Wait()
	for _, wait := range old {
		wait()
	}
	// The end of an abandoned life can leave a copy of a card behind, of which
	// nobody knows.
	checkDeeds(t, p, deeds(), weather{done: true, copies: 3})
}

// ready starts the bot and waits until it takes commands.
func ready(t *testing.T, p *playground.Playground) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}
