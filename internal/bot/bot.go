package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/slackapp"
	"github.com/qlik-chatops/bot/internal/slackapp/socket"
	"github.com/qlik-chatops/bot/internal/steps"
	"github.com/qlik-chatops/bot/internal/store"
)

// Tenant is one Qlik tenant.
type Tenant struct {
	Label, Host string
	Client      *qlik.Client
}

// Config is what a Bot is made of. Every field without "may" is required.
type Config struct {
	Slack *slackapp.App
	// Tenants by label; SourceTenant and DefaultTenant may be empty.
	Tenants                     []Tenant
	SourceTenant, DefaultTenant string
	// ApprovalsChannel is where cards for approval stand; it may be empty.
	ApprovalsChannel string
	Policy           *authz.Policy
	Catalogue        *commands.Catalogue
	Store            *store.Store
	// Retention is how long ended requests are kept.
	Retention time.Duration
	// Times may be zero: the defaults of package execution.
	Times  execution.Times
	Logger *slog.Logger
}

// Bot is the running product.
type Bot struct {
	cfg     Config
	log     *slog.Logger
	slack   *slackapp.App
	store   *store.Store
	policy  *authz.Policy
	cat     *commands.Catalogue
	tenants map[string]Tenant

	// opening is held while a request is compared with the open ones and
	// stored, so that two identical ones typed at once are joined.
	opening sync.Mutex

	// mu guards shown (when a card was last edited), unclear (until when an
	// edit of it on which Slack gave no answer may still be carried out) and
	// viewers (who has looked at App Home, and when).
	mu      sync.Mutex
	shown   map[string]time.Time
	unclear map[string]time.Time
	viewers map[string]viewer

	connected chan struct{} // closed once Slack told who the bot is
}

// New puts the parts together. It starts nothing.
func New(cfg Config) (*Bot, error) {
	b := &Bot{
		cfg: cfg, log: cfg.Logger, slack: cfg.Slack, store: cfg.Store, policy: cfg.Policy, cat: cfg.Catalogue,
		tenants: map[string]Tenant{}, shown: map[string]time.Time{}, unclear: map[string]time.Time{}, viewers: map[string]viewer{},
		connected: make(chan struct{}),
	}
	for _, t := range cfg.Tenants {
		b.tenants[t.Label] = t
	}
	if len(b.tenants) == 0 {
		return nil, errors.New("bot: there is no tenant")
	}
	return b, nil
}

// Known is the world as a policy file may speak of it.
func Known(cat *commands.Catalogue, tenants []string) authz.Known {
	k := authz.Known{Commands: map[string]authz.Command{}, Tenants: tenants}
	for _, s := range cat.Specs() {
		if s.Ungoverned {
			k.NotGoverned = append(k.NotGoverned, s.Name)
			continue
		}
		c := authz.Command{MayGiveAdmin: s.MayGiveAdmin, MayTakeAdmin: s.MayTakeAdmin}
		switch s.Class {
		case commands.ClassRead:
			c.Class = authz.Read
		case commands.ClassPeople:
			c.Class = authz.People
		case commands.ClassChange:
			c.Class = authz.Change
		}
		k.Commands[s.Name] = c
	}
	return k
}

// lease is how long a task is a worker's without being renewed.
const lease = time.Minute

// Run works until the context ends or Slack refuses a token for good; that is
// a *socket.FatalError.
func (b *Bot) Run(ctx context.Context) error {
	if err := b.connect(ctx); err != nil {
		return ignoreStop(ctx, err)
	}
	runner := &execution.Runner{
		Store: b.store, Judge: b, Logger: b.log, Times: b.cfg.Times,
		Kinds: steps.Kinds(b.client),
	}
	workers := &execution.Workers{
		Queue: b.store, Logger: b.log, Lease: lease,
		Lines: []execution.Line{
			{Kind: taskAsk, Handle: b.ask, Limit: 8},
			{Kind: taskClick, Handle: b.decide, Limit: 8},
			{Kind: taskReply, Handle: b.reply, Limit: 4},
			{Kind: taskHome, Handle: b.home, Limit: 2},
			{Kind: approval.TaskCard, Handle: b.card, Limit: 4},
			{Kind: approval.TaskRun, Handle: runner.Handle, Limit: 8},
			{Kind: approval.TaskExpire, Handle: execution.ExpiryHandler(b.store), Limit: 2},
		},
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.slack.Run(ctx, b) })
	g.Go(func() error { return workers.Run(ctx) })
	g.Go(func() error { return b.housekeeping(ctx) })
	return g.Wait()
}

// ignoreStop drops an error that only says that the bot was told to stop.
func ignoreStop(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// connect asks Slack who the bot is, for as long as it takes.
func (b *Bot) connect(ctx context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := b.slack.Connect(ctx)
		if err == nil {
			close(b.connected)
			return nil
		}
		var fatal *socket.FatalError
		if errors.As(err, &fatal) || ctx.Err() != nil {
			return err
		}
		b.log.Warn("Slack cannot be asked who the bot is; trying again", "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(pause, slackapp.After(err))):
		}
	}
}

// housekeeping forgets what is older than the configuration says.
func (b *Bot) housekeeping(ctx context.Context) error {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		if _, err := b.store.Purge(ctx, time.Now().Add(-b.cfg.Retention)); err != nil && ctx.Err() == nil {
			b.log.Error("cannot remove old requests", "op", "housekeeping", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// client is the writing client of a tenant; only steps get it.
func (b *Bot) client(label string) (*qlik.Client, error) {
	t, ok := b.tenants[label]
	if !ok {
		return nil, fmt.Errorf("there is no tenant %q", label)
	}
	return t.Client, nil
}

// Ready says why the bot cannot work now; nil when it can.
func (b *Bot) Ready(ctx context.Context) error {
	select {
	case <-b.connected:
	default:
		return errors.New("the bot has not heard from Slack yet who it is")
	}
	if b.slack.Status().Up == 0 {
		return errors.New("no Socket Mode connection is up")
	}
	if err := b.store.Ping(ctx); err != nil {
		return errors.New("the database cannot be read")
	}
	return nil
}
