package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/slackapp/socket"
)

// Config is what an App needs.
type Config struct {
	// BotToken (xoxb-…) and AppToken (xapp-…).
	BotToken, AppToken string
	// APIURL is the base of the Web API with a slash at its end. On a loopback
	// address, ws:// and response_url addresses on loopback are accepted too.
	APIURL string
	// Command is the slash command, such as "/qlik".
	Command string
	// Connections is how many Socket Mode connections are held open.
	Connections int
	// HTTP makes the connections, for the Web API and for the sockets. Its
	// Timeout must be zero: deadlines are set here, call by call.
	HTTP   *http.Client
	Logger *slog.Logger
}

// App is the bot's side of Slack.
type App struct {
	cfg      Config
	api      *slack.Client
	log      *slog.Logger
	http     *http.Client // for the Web API and response_url
	loopback bool

	// Set once by Connect, before Run, and only read afterwards.
	team, enterprise string

	people   *people
	channels *channels
	loop     atomic.Pointer[socket.Loop]
	seen     *recently
}

// callTimeout bounds one call of the Web API.
const callTimeout = 10 * time.Second

// New makes an App. It calls nobody: Connect does.
func New(cfg Config) (*App, error) {
	base, err := url.Parse(cfg.APIURL)
	if err != nil {
		return nil, fmt.Errorf("slack: the address of the Web API cannot be read: %w", err)
	}
	a := &App{cfg: cfg, log: cfg.Logger, loopback: isLoopback(base.Hostname()), seen: newRecently(10 * time.Minute)}
	client := &http.Client{Transport: cfg.HTTP.Transport, Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		// Tokens travel in headers and bodies: follow nobody anywhere.
		return http.ErrUseLastResponse
	}}
	a.http = client
	a.api = slack.New(cfg.BotToken,
		slack.OptionAppLevelToken(cfg.AppToken),
		slack.OptionAPIURL(cfg.APIURL),
		slack.OptionHTTPClient(client),
	)
	a.people = newPeople(a.api)
	a.channels = newChannels(a.api)
	return a, nil
}

// Connect finds out who the bot is in which workspace. A token that Slack will
// never take is a *socket.FatalError.
func (a *App) Connect(ctx context.Context) error {
	who, err := a.api.AuthTestContext(ctx)
	if err != nil {
		return classify("auth.test", err)
	}
	if who.TeamID == "" || who.UserID == "" {
		return fmt.Errorf("auth.test: Slack's answer names no workspace or no bot user")
	}
	a.team, a.enterprise = who.TeamID, who.EnterpriseID
	a.people.home, a.people.enterprise = who.TeamID, who.EnterpriseID
	return nil
}

// SlashCommand is what people type first, such as "/qlik".
func (a *App) SlashCommand() string { return a.cfg.Command }

// Run takes envelopes for the desk until the context ends or a token is
// refused for good.
func (a *App) Run(ctx context.Context, desk Desk) error {
	d := &dispatcher{app: a, desk: desk, log: a.log, then: make(chan struct{}, maxThen)}
	defer d.wg.Wait()
	loop, err := socket.New(socket.Config{
		Open:        a.open,
		Allow:       a.allowSocket,
		HTTPClient:  &http.Client{Transport: a.cfg.HTTP.Transport},
		Connections: a.cfg.Connections,
		Handle:      d.handle,
		Logger:      a.log,
	})
	if err != nil {
		return err
	}
	a.loop.Store(loop)
	return loop.Run(ctx)
}

// Status tells how the socket stands; the zero Status before Run.
func (a *App) Status() socket.Status {
	if l := a.loop.Load(); l != nil {
		return l.Status()
	}
	return socket.Status{}
}

// open asks for the address of one more Socket Mode connection.
func (a *App) open(ctx context.Context) (string, error) {
	_, address, err := a.api.StartSocketModeContext(ctx)
	if err != nil {
		return "", classify("apps.connections.open", err)
	}
	return address, nil
}

// allowSocket accepts Slack's own hosts, and loopback when the Web API is there.
func (a *App) allowSocket(u *url.URL) error {
	if a.loopback && isLoopback(u.Hostname()) && (u.Scheme == "ws" || u.Scheme == "wss") {
		return nil
	}
	return socket.AllowSlack(u)
}

// allowResponse accepts the response_url addresses that may be posted to.
func (a *App) allowResponse(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the response_url cannot be read")
	}
	if u.User == nil {
		if u.Scheme == "https" && (u.Hostname() == "hooks.slack.com" || u.Hostname() == "hooks.slack-gov.com") {
			return nil
		}
		if a.loopback && isLoopback(u.Hostname()) && (u.Scheme == "http" || u.Scheme == "https") {
			return nil
		}
	}
	return errors.New("the response_url is not on a host of Slack's")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// identity is the person of an envelope. On Enterprise Grid the user's own
// team stands for the workspace; the check of people.go decides.
func identity(team, user string) approval.Identity { return approval.Identity{Team: team, User: user} }
