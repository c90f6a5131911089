package playground

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/qlik-chatops/bot/internal/bot"
	"github.com/qlik-chatops/bot/internal/config"
	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/store"
)

// Options say what playground to make. The zero value listens on loopback and
// keeps its database in a new temporary directory.
type Options struct {
	// Listen is the address for the Slack emulator and the page; default
	// 127.0.0.1:0.
	Listen string
	// Page makes the handler for everything that is not Slack's; may be nil.
	Page func(*Playground) http.Handler
	// Memory makes all connections in memory, for tests on fake time.
	Memory bool
	// Dir holds the policy file and the database. Empty: a temporary
	// directory, removed by Close.
	Dir string
	// Policy replaces the playground's policy file.
	Policy string
	// ApprovalsChannel is SLACK_APPROVALS_CHANNEL; empty: where it was typed.
	ApprovalsChannel string
	// Slack and Qlik are starting points for the emulators' configurations.
	Slack slackemu.Config
	Qlik  qlikemu.Config
	Times execution.Times
	// Logger is the bot's; nil drops it.
	Logger *slog.Logger
}

// Tenant is one tenant of the playground.
type Tenant struct {
	Label  string
	Server *qlikemu.Server
	addr   string
}

// Playground is the running emulators, and the bot once it was started.
type Playground struct {
	Slack   *slackemu.Server
	Tenants []Tenant

	opts   Options
	net    *network
	addr   string
	dir    string
	remove bool

	mu   sync.Mutex // guards run
	run  *running
	logg *slog.Logger
}

// running is one life of the bot.
type running struct {
	bot       *bot.Bot
	db        *store.Store
	stop      context.CancelFunc
	transport *http.Transport
	done      chan struct{}
	err       error // once done is closed
}

// The made-up credentials of the playground. Nothing outside takes them.
const (
	clientID     = "playground-client"
	clientSecret = "playground-" + "not-a-secret"
)

// New starts the emulators and fills them. The bot is started by Start.
func New(o Options) (_ *Playground, err error) {
	p := &Playground{opts: o, net: newNetwork(o.Memory), dir: o.Dir, logg: o.Logger}
	if p.logg == nil {
		p.logg = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.dir == "" {
		if p.dir, err = os.MkdirTemp("", "qlik-chatops-"); err != nil {
			return p, fmt.Errorf("playground: %w", err)
		}
		p.remove = true
	}
	policy := o.Policy
	if policy == "" {
		policy = Policy
	}
	if err := os.WriteFile(p.policyFile(), []byte(policy), 0o600); err != nil {
		return p, fmt.Errorf("playground: %w", err)
	}
	for i, t := range []struct {
		label string
		seed  func(*qlikemu.Server) error
	}{{Home, seedHome}, {Prod, seedProd}} {
		cfg := o.Qlik
		cfg.Hostname, cfg.Name = t.label+".eu.qlikcloud.example", t.label
		cfg.Seed = o.Qlik.Seed + uint64(i)
		cfg.Clients = []qlikemu.Client{{ID: clientID, Secret: clientSecret, Name: "Qlik ChatOps", Trusted: true}}
		server := qlikemu.New(cfg)
		p.Tenants = append(p.Tenants, Tenant{Label: t.label, Server: server})
		if err := t.seed(server); err != nil {
			return p, err
		}
		if p.Tenants[i].addr, err = p.net.serve("127.0.0.1:0", server); err != nil {
			return p, err
		}
	}
	p.Slack = slackemu.New(o.Slack)
	seedSlack(p.Slack)
	listen := o.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	p.addr, err = p.net.serve(listen, p.front())
	return p, err
}

// front is Slack's handler with the page in the other places.
func (p *Playground) front() http.Handler {
	if p.opts.Page == nil {
		return p.Slack
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/api/", "/link/", "/commands/", "/actions/"} {
		mux.Handle(path, p.Slack)
	}
	mux.Handle("/", p.opts.Page(p))
	return mux
}

// Addr is where the Slack emulator and the page are (host:port).
func (p *Playground) Addr() string { return p.addr }

// Dir holds the policy file and the database.
func (p *Playground) Dir() string { return p.dir }

// Tenant finds a tenant's emulator by its label. It is nil for an unknown one.
func (p *Playground) Tenant(label string) *qlikemu.Server {
	for _, t := range p.Tenants {
		if t.Label == label {
			return t.Server
		}
	}
	return nil
}

func (p *Playground) policyFile() string { return filepath.Join(p.dir, "policy.yaml") }

// DatabaseURL is the bot's database, in the form of DATABASE_URL.
func (p *Playground) DatabaseURL() string { return "sqlite:" + filepath.Join(p.dir, "bot.db") }

// Config is the bot's configuration between the emulators.
func (p *Playground) Config() *config.Config {
	slack := p.Slack.Config()
	cfg := &config.Config{
		Slack: config.Slack{
			BotToken: config.NewSecret(slack.BotToken), AppToken: config.NewSecret(slack.AppToken),
			APIURL: "http://" + p.addr + "/api/", Loopback: true,
			Command: slack.Command, Connections: 2, ApprovalsChannel: p.opts.ApprovalsChannel,
		},
		Qlik:        config.Qlik{SourceTenant: Home, DefaultTenant: Prod},
		PolicyFile:  p.policyFile(),
		DatabaseURL: config.NewSecret(p.DatabaseURL()),
		Retention:   8760 * time.Hour,
	}
	for _, t := range p.Tenants {
		cfg.Qlik.Tenants = append(cfg.Qlik.Tenants, config.Tenant{
			Label: t.Label, URL: "http://" + t.addr,
			ClientID: clientID, ClientSecret: config.NewSecret(clientSecret),
		})
	}
	return cfg
}

// Env is the same configuration as environment variables, for the binary.
func (p *Playground) Env() []string {
	slack := p.Slack.Config()
	env := []string{
		"SLACK_BOT_TOKEN=" + slack.BotToken, "SLACK_APP_TOKEN=" + slack.AppToken,
		"SLACK_API_URL=http://" + p.addr + "/api/", "SLACK_APPROVALS_CHANNEL=" + p.opts.ApprovalsChannel,
		"QLIK_TENANTS=" + Home + "," + Prod, "QLIK_SOURCE_TENANT=" + Home, "QLIK_DEFAULT_TENANT=" + Prod,
		"POLICY_FILE=" + p.policyFile(), "DATABASE_URL=" + p.DatabaseURL(), "LISTEN_ADDR=",
	}
	for i, name := range []string{"HOME", "PROD"} {
		env = append(env, "QLIK_"+name+"_URL=http://"+p.Tenants[i].addr,
			"QLIK_"+name+"_CLIENT_ID="+clientID, "QLIK_"+name+"_CLIENT_SECRET="+clientSecret)
	}
	return env
}

// Start starts the bot. It returns once the bot was assembled; Ready waits
// until it is connected.
func (p *Playground) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		return errors.New("playground: the bot is running already")
	}
	transport := p.net.transport()
	b, db, err := bot.Assemble(ctx, p.Config(), bot.Outside{
		HTTP: &http.Client{Transport: transport}, Logger: p.logg, UserAgent: "qlik-chatops/playground", Times: p.opts.Times,
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{bot: b, db: db, stop: stop, transport: transport, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = b.Run(ctx)
		r.err = errors.Join(r.err, db.Close())
		transport.CloseIdleConnections()
	}()
	p.run = r
	return nil
}

// Ready waits until the bot can take commands.
func (p *Playground) Ready(ctx context.Context) error {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	if r == nil {
		return errors.New("playground: the bot is not running")
	}
	for {
		err := r.bot.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-r.done:
			return errors.Join(errors.New("playground: the bot has ended"), r.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Done is closed when the bot has ended by itself or was stopped; it is nil
// when it was never started.
func (p *Playground) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return nil
	}
	return p.run.done
}

// Stop ends the bot as SIGTERM would, and says how it ended.
func (p *Playground) Stop() error {
	p.mu.Lock()
	r := p.run
	p.run = nil
	p.mu.Unlock()
	if r == nil {
		return nil
	}
	r.stop()
	<-r.done
	return r.err
}

// Close ends everything.
func (p *Playground) Close() error {
	err := p.Stop()
	if p.Slack != nil {
		p.Slack.Close()
	}
	for _, t := range p.Tenants {
		t.Server.Close()
	}
	p.net.close()
	if p.remove {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}
