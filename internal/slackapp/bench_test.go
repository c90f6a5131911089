package slackapp_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// BenchmarkAcknowledgement measures, in one run and on real sockets, the time
// from the moment when Slack sends an envelope to its acknowledgement:
//
//	bare    slack-go's own socket loop that does nothing but acknowledge
//	read    a command that reads, through the whole bot
//	stored  a click, which is stored and synced before it is acknowledged
//	fsync   one small append and fsync on the disk of that database
//
// ack-p50-µs is the median that the emulator saw. Compare the rows of one run
// with each other; machines differ.
func BenchmarkAcknowledgement(b *testing.B) {
	b.Run("bare", benchmarkBare)
	b.Run("read", func(b *testing.B) {
		p := benchPlayground(b)
		acknowledged(b, func(int) (slackemu.Outcome, error) {
			return p.Slack.Command(b.Context(), playground.Ana, playground.ChannelOps, "tenants")
		})
	})
	b.Run("stored", func(b *testing.B) {
		p := benchPlayground(b)
		acknowledged(b, func(i int) (slackemu.Outcome, error) {
			return p.Slack.ClickRaw(b.Context(), playground.Ben, slackemu.RawClick{
				Channel: playground.ChannelOps, TS: benchMessage,
				Action: map[string]any{"type": "button", "action_id": "request.deny", "block_id": "b", "value": fmt.Sprintf("RNONE%d:1", i)},
			})
		})
	})
	b.Run("fsync", benchmarkFsync)
}

// benchMessage is set by benchPlayground: a message that clicks come from.
var benchMessage string

// pauseBetween leaves the work behind an acknowledgement time to finish, so
// that what is measured is the acknowledgement and not a queue.
const pauseBetween = 20 * time.Millisecond

func acknowledged(b *testing.B, act func(i int) (slackemu.Outcome, error)) {
	b.Helper()
	var took []time.Duration
	for i := range b.N {
		out, err := act(i)
		if err != nil || !out.OK() {
			b.Fatalf("outcome %+v, error %v", out, err)
		}
		took = append(took, out.Latency)
		time.Sleep(pauseBetween)
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "ack-p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "ack-p99-µs")
	b.ReportMetric(0, "ns/op") // the pause is in it
}

func benchPlayground(b *testing.B) *playground.Playground {
	b.Helper()
	p, err := playground.New(playground.Options{Dir: b.TempDir(), Slack: slackemu.Config{NoRateLimits: true}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := p.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := p.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := p.Slack.Command(b.Context(), playground.Ana, playground.ChannelOps, "invite bench@example.com"); err != nil {
		b.Fatal(err)
	}
	for len(p.Slack.Messages(playground.ChannelOps)) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	benchMessage = p.Slack.Messages(playground.ChannelOps)[0].TS
	return p
}

// benchmarkBare is the loop that slack-go offers, acknowledging at once.
func benchmarkBare(b *testing.B) {
	emulator := slackemu.New(slackemu.Config{NoRateLimits: true})
	defer emulator.Close()
	emulator.AddUser(slackemu.User{ID: playground.Ana, Name: "ana"})
	emulator.AddChannel(slackemu.Channel{ID: playground.ChannelOps, Name: "ops", BotIsMember: true, Members: []string{playground.Ana}})
	server := httptest.NewServer(emulator)
	defer server.Close()
	cfg := emulator.Config()
	silent := log.New(discard{}, "", 0)
	client := socketmode.New(slack.New(cfg.BotToken, slack.OptionAppLevelToken(cfg.AppToken), slack.OptionAPIURL(server.URL+"/api/"), slack.OptionLog(silent)), socketmode.OptionLog(silent))
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	go func() { _ = client.RunContext(ctx) }()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-client.Events:
				if e.Request != nil {
					_ = client.AckCtx(ctx, e.Request.EnvelopeID, nil)
				}
			}
		}
	}()
	for len(emulator.Connections()) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	acknowledged(b, func(int) (slackemu.Outcome, error) {
		return emulator.Command(b.Context(), playground.Ana, playground.ChannelOps, "tenants")
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// benchmarkFsync is what storing cannot be faster than.
func benchmarkFsync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	var took []time.Duration
	for range b.N {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		time.Sleep(pauseBetween)
	}
	report(b, took)
}
