package playground_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/bot"
	"github.com/qlik-chatops/bot/internal/config"
	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/playground"
)

// asBot makes this test binary be the bot, in a process of its own.
const asBot = "PLAYGROUND_TEST_AS_BOT"

func TestMain(m *testing.M) {
	if os.Getenv(asBot) == "" {
		os.Exit(m.Run())
	}
	if err := serve(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve is the bot as `bot serve` assembles it, from the environment, only
// more impatient.
func serve(ctx context.Context) error {
	cfg, err := config.Read(config.NeedAll)
	if err != nil {
		return err
	}
	b, db, err := bot.Assemble(ctx, cfg, bot.Outside{
		HTTP:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), UserAgent: "qlik-chatops/killed",
		Times: execution.Times{Call: time.Second, Settle: 300 * time.Millisecond, Apart: 300 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it is killed before
	return b.Run(ctx)
}

// process is the bot running in a process of its own.
type process struct {
	cmd *exec.Cmd
	log *bytes.Buffer
}

func (b *process) kill(t *testing.T) {
	t.Helper()
	if err := b.cmd.Process.Kill(); err != nil { // SIGKILL: nothing of it runs after this
		t.Fatalf("%v; it said:\n%s", err, b.log)
	}
	_ = b.cmd.Wait() // "signal: killed"
}

// spawn starts the bot and waits until Slack sees its connections.
func spawn(t *testing.T, p *playground.Playground) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &process{cmd: exec.Command(self), log: &bytes.Buffer{}}
	b.cmd.Env = append(p.Env(), asBot+"=1", "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir())
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bot is connected", func() bool {
		live := 0
		for _, c := range p.Slack.Connections() {
			if c.State == "live" {
				live++
			}
		}
		return live >= 2
	})
	return b
}

// eventually waits in real time.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("after 20 s it is not so that %s", what)
}

// TestTheBotMayBeKilledAtAnyMoment kills the bot's process ten times over real
// sockets between the approvals and the last verification. Every request ends
// exactly once, and every account is made exactly once.
func TestTheBotMayBeKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 2))
	p, err := playground.New(playground.Options{Dir: t.TempDir(), Slack: slackemu.Config{GhostLife: -1, NoRateLimits: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	var ds []deed
	for i := range 10 {
		email := fmt.Sprintf("p%d@example.com", i)
		if _, err := p.Tenant(playground.Home).AddUser(qlikemu.User{Subject: "auth0|" + email, Name: "Person", Email: email}); err != nil {
			t.Fatal(err)
		}
		d := deed{by: playground.Ana, text: "add-admin " + email, agrees: playground.Ben, in: "Approve"}
		d.people = []want{{email: email, status: "active", roles: []string{"TenantAdmin"}}}
		ds = append(ds, d)
	}
	// The longer a write takes, the likelier it is that a kill meets one.
	p.Tenant(playground.Prod).AddFault(qlikemu.Fault{Operation: "POST /api/v1/users", Delay: 120 * time.Millisecond, Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal, Count: qlikemu.Always})
	p.Tenant(playground.Prod).AddFault(qlikemu.Fault{Delay: 15 * time.Millisecond, Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal, Count: qlikemu.Always})

	b := spawn(t, p)
	met := 0
	for batch := range 2 {
		now := ds[5*batch : 5*batch+5]
		for _, d := range now {
			acknowledged(t, d.text)(p.Slack.Command(t.Context(), d.by, playground.ChannelOps, d.text))
		}
		for _, d := range now {
			var card slackemu.Message
			eventually(t, d.text+" has a card", func() (ok bool) {
				card, ok = cardOf(p, d)
				return ok
			})
			acknowledged(t, "click")(p.Slack.Click(t.Context(), d.agrees, card.Channel, card.TS, buttons(card.Blocks)[d.in]))
		}
		for n := range 5 {
			// The first one comes as soon as the last click is acknowledged, the
			// others while a write is on its way, if one still comes.
			if n > 0 {
				for end := time.Now().Add(time.Second); time.Now().Before(end) && !writing(p); time.Sleep(time.Millisecond) {
				}
				time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
			}
			b.kill(t)
			if _, requests := look(t, p); slices.ContainsFunc(requests, func(r approval.Request) bool { return r.State == approval.Running }) {
				met++
			}
			b = spawn(t, p)
		}
		eventually(t, "every card says that it succeeded", func() bool {
			n := 0
			for _, m := range p.Slack.Messages(playground.ChannelOps) {
				if strings.Contains(m.Text, " · succeeded: ") {
					n++
				}
			}
			return n == 5*batch+5
		})
	}
	b.kill(t)
	checkDeeds(t, p, ds, weather{done: true, copies: 4})
	t.Logf("%d of 10 kills met a request that was running", met)
	if met == 0 {
		t.Error("no kill met a request that was under way, so this shows nothing")
	}
}

// writing says whether a write is on its way to the tenant.
func writing(p *playground.Playground) bool {
	return slices.ContainsFunc(p.Tenant(playground.Prod).Calls(), func(c qlikemu.Call) bool {
		return c.Write && !c.Done && c.Operation == "POST /api/v1/users"
	})
}
