package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"

	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/config"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/slackapp"
	"github.com/qlik-chatops/bot/internal/store"
)

// Outside is what a Bot gets from the process around it.
type Outside struct {
	// HTTP carries the transport of every connection to Slack and Qlik.
	HTTP   *http.Client
	Logger *slog.Logger
	// UserAgent names the program and its version to Qlik.
	UserAgent string
	// Observe is told of each call to Qlik; it may be nil.
	Observe func(qlik.Call)
	// Times may be zero.
	Times execution.Times
}

// Assemble makes a Bot of a configuration. It opens the database, which the
// caller closes when the Bot has ended, and reads the policy file; it calls
// nobody.
func Assemble(ctx context.Context, cfg *config.Config, out Outside) (*Bot, *store.Store, error) {
	cat := commands.New()
	policy, err := LoadPolicy(cfg.PolicyFile, cat, cfg.Qlik.Labels())
	if err != nil {
		return nil, nil, err
	}
	tenants, err := open(cfg, out)
	if err != nil {
		return nil, nil, err
	}
	app, err := slackapp.New(slackapp.Config{
		BotToken: cfg.Slack.BotToken.Reveal(), AppToken: cfg.Slack.AppToken.Reveal(),
		APIURL: cfg.Slack.APIURL, Command: cfg.Slack.Command, Connections: cfg.Slack.Connections,
		HTTP: out.HTTP, Logger: out.Logger,
	})
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, store.Options{URL: cfg.DatabaseURL.Reveal(), Logger: out.Logger})
	if err != nil {
		return nil, nil, err
	}
	b, err := New(Config{
		Slack: app, Tenants: tenants,
		SourceTenant: cfg.Qlik.SourceTenant, DefaultTenant: cfg.Qlik.DefaultTenant,
		ApprovalsChannel: cfg.Slack.ApprovalsChannel,
		Policy:           policy, Catalogue: cat, Store: db,
		Retention: cfg.Retention, Times: out.Times, Logger: out.Logger,
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return b, db, nil
}

// LoadPolicy reads and checks a policy file. What is wrong with it is an
// authz.Problems.
func LoadPolicy(path string, cat *commands.Catalogue, tenants []string) (*authz.Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the policy file: %w", err)
	}
	policy, err := authz.Load(data, Known(cat, tenants))
	if err != nil {
		return nil, fmt.Errorf("policy file %s:\n%w", path, err)
	}
	return policy, nil
}

// open makes the client of every tenant.
func open(cfg *config.Config, out Outside) ([]Tenant, error) {
	var tenants []Tenant
	for _, t := range cfg.Qlik.Tenants {
		base, err := url.Parse(t.URL)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: its address cannot be read", t.Label)
		}
		qc := qlik.Config{
			Label: t.Label, BaseURL: base, ClientID: t.ClientID, ClientSecret: t.ClientSecret.Reveal,
			HTTP: out.HTTP, Logger: out.Logger, UserAgent: out.UserAgent, Observe: out.Observe,
		}
		if t.PrivateKey.IsSet() {
			key, err := qlik.ParsePrivateKey([]byte(t.PrivateKey.Reveal()))
			if err != nil {
				return nil, fmt.Errorf("tenant %s: private key: %w", t.Label, err)
			}
			qc.PrivateKey, qc.KeyID, qc.ClientSecret = key, t.KeyID, nil
		}
		client, err := qlik.New(qc)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Label, err)
		}
		tenants = append(tenants, Tenant{Label: t.Label, Host: base.Host, Client: client})
	}
	return tenants, nil
}
