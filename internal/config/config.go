package config

import (
	"log/slog"
	"strings"
	"time"
)

// The comments on the fields of Config, Slack, Qlik and Tenant are the
// operator's manual: docs/configuration.md is generated from them. Each opens
// with the name of its variable and a colon. Which of them has a default or must
// be set is said by the tags in variables.go.

// Config is what the environment says, checked.
type Config struct {
	// The bot's own Slack app.
	Slack Slack

	// The Qlik Cloud tenants that the bot administers.
	Qlik Qlik

	// POLICY_FILE: the policy (YAML) that says who may do what and who has to
	// agree. It must be readable; what it says is checked when it is loaded.
	PolicyFile string

	// DATABASE_URL: where requests, grants and the audit record are kept:
	// `sqlite:PATH`, a file that exactly one bot has open. The path is relative to
	// the directory where the bot was started. `postgres://…` is not built yet and
	// refused.
	DatabaseURL Secret

	// RETENTION: how long ended requests are kept, as hours, minutes and seconds:
	// `8760h` is a year. The audit record is kept for ever.
	Retention time.Duration

	// LISTEN_ADDR: host and port for `/healthz`, `/readyz` and `/metrics`
	// (Prometheus; not built yet, and says so). Nobody is asked to log in there, so it is the loopback address
	// unless changed. Set and empty turns it off.
	ListenAddr string

	// LOG_LEVEL: the least important lines that are logged: `debug`, `info`,
	// `warn` or `error`.
	LogLevel slog.Level

	// LOG_FORMAT: `text`, or `json` for one JSON object a line.
	LogFormat string

	// Warnings is what an operator should know and what stops nothing.
	Warnings []Problem
}

// Slack is the bot's own Slack app: where it is reached, and how people call it.
type Slack struct {
	// SLACK_BOT_TOKEN: the bot token, `xoxb-…`, from the app's page *OAuth &
	// Permissions*.
	BotToken Secret

	// SLACK_APP_TOKEN: the app-level token, `xapp-…`, with the scope
	// `connections:write`, from the app's page *Basic Information*.
	AppToken Secret

	// SLACK_API_URL: where Slack's Web API is: https, or http on a loopback
	// address. The latter is an emulator, whose `ws://` and response addresses are
	// then accepted on loopback too; otherwise only Slack's own hosts are.
	APIURL string

	// Loopback reports that APIURL is plain http on a loopback address.
	Loopback bool

	// SLACK_COMMAND: the slash command as the Slack app registers it.
	Command string

	// SLACK_CONNECTIONS: how many Socket Mode connections are held open at once, 1
	// to 10. With one alone, what people type while it is being replaced can be
	// lost.
	Connections int

	// SLACK_APPROVALS_CHANNEL: the ID (not the name) of the channel where approval
	// cards are posted. Empty: the channel where the command was typed. Invite the
	// bot there.
	ApprovalsChannel string
}

// Qlik is the set of tenants that the bot administers.
type Qlik struct {
	// QLIK_TENANTS: the tenants' labels, separated by commas: `prod,staging`.
	// Lower-case letters, digits and hyphens. People type these, and rules name
	// them. In names of variables a label is in upper case and its `-` become `_`.
	Tenants []Tenant

	// QLIK_SOURCE_TENANT: the label of the tenant where `add-admin` looks people
	// up. Without it, that command is refused.
	SourceTenant string

	// QLIK_DEFAULT_TENANT: the label that a command means when it names no tenant.
	// The only tenant where there is one; with several and without this, people
	// have to name one.
	DefaultTenant string
}

// Tenant is one tenant. It is reached with a machine-to-machine OAuth client of
// its own, which proves itself with a secret or with a private key: exactly one
// of the two.
type Tenant struct {
	// Label is the tenant's name in commands, rules, logs and the audit record.
	Label string

	// QLIK_<LABEL>_URL: the tenant's address, scheme and host alone:
	// `https://example.eu.qlikcloud.com`. https, or http on a loopback address.
	URL string

	// QLIK_<LABEL>_CLIENT_ID: the ID of the OAuth client.
	ClientID string

	// QLIK_<LABEL>_CLIENT_SECRET: the client's secret.
	ClientSecret Secret

	// QLIK_<LABEL>_PRIVATE_KEY_FILE: a file with the private key (PEM) whose
	// public half the client knows, instead of a secret: RSA of at least 2048 bits,
	// or ECDSA on P-384.
	PrivateKey Secret

	// QLIK_<LABEL>_KEY_ID: the ID under which the client knows that key.
	KeyID string
}

// Tenant finds a tenant by its label.
func (q Qlik) Tenant(label string) (Tenant, bool) {
	for _, t := range q.Tenants {
		if t.Label == label {
			return t, true
		}
	}
	return Tenant{}, false
}

// Labels gives the tenants' labels in the order of QLIK_TENANTS.
func (q Qlik) Labels() []string {
	labels := make([]string, len(q.Tenants))
	for i, t := range q.Tenants {
		labels[i] = t.Label
	}
	return labels
}

// SQLitePath gives the path of the database file.
func (c *Config) SQLitePath() string {
	return strings.TrimPrefix(c.DatabaseURL.Reveal(), sqliteScheme)
}

// Need says which parts of the configuration a caller is going to use. A part
// that nobody needs is neither demanded nor looked at, and stays empty in the
// Config, so that reading the audit record does not take the bot's tokens.
type Need uint8

// The parts that can be left out. The listener and the log are always read.
const (
	NeedSlack    Need = 1 << iota // SLACK_*
	NeedLabels                    // the tenants' labels alone: QLIK_TENANTS and the two that name one of them
	NeedQlik                      // QLIK_*, with what it takes to reach the tenants
	NeedPolicy                    // POLICY_FILE
	NeedDatabase                  // DATABASE_URL

	// NeedAll is what `serve` takes.
	NeedAll = NeedSlack | NeedLabels | NeedQlik | NeedPolicy | NeedDatabase
)

func (n Need) has(part Need) bool { return n&part != 0 }
