package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/slackapp/socket"
)

// Desk takes what people do in Slack. Each method returns quickly, because
// the acknowledgement waits for it: what must not be lost is stored before it
// returns, what needs the network is done by the returned Then. An error
// means that nothing was taken: the envelope stays unacknowledged, so that
// Slack tells the person that it did not work.
type Desk interface {
	Command(ctx context.Context, c Command) (Answer, error)
	Click(ctx context.Context, c Click) (Answer, error)
	Submit(ctx context.Context, s Submission) (Answer, error)
	Home(ctx context.Context, h Opened) (Answer, error)
}

// Answer is what follows an envelope.
type Answer struct {
	// Say is shown to the person alone: with the acknowledgement of a command,
	// or where that cannot carry it, as a reply to To.
	Say *commands.Reply
	To  ReplyTo
	// Fields are what is wrong in a form, by block ID. The form stays open.
	Fields map[string]string
	// Then runs after the acknowledgement.
	Then func(ctx context.Context)
}

// Command is a slash command as it was typed.
type Command struct {
	Envelope    string
	Who         approval.Identity
	Channel     string
	Text        string
	TriggerID   string
	ResponseURL string
}

// Click is a click on one of the bot's buttons. Request and Version come from
// the button's value and mean nothing until they were looked up.
type Click struct {
	Envelope  string            `json:"envelope"`
	Who       approval.Identity `json:"who"`
	Channel   string            `json:"channel"` // empty in a form or in App Home
	MessageTS string            `json:"message_ts"`
	Ephemeral bool              `json:"ephemeral"`
	Action    string            `json:"action"`
	Request   string            `json:"request"`
	Version   int               `json:"version"`
	// TriggerID opens a form, for three seconds.
	TriggerID string `json:"trigger_id,omitempty"`
	// ResponseURL is a secret.
	ResponseURL string `json:"response_url"`
}

// Submission is a form that was sent off.
type Submission struct {
	Envelope string
	Who      approval.Identity
	// Command is the catalogue name, Channel where the form was asked for.
	Command string
	Channel string
	Values  map[string][]string // by field name
}

// Opened is App Home being looked at.
type Opened struct{ Who approval.Identity }

// dispatcher turns envelopes into calls of the desk and acknowledges them.
type dispatcher struct {
	app  *App
	desk Desk
	log  *slog.Logger
	// then has one token for each Then under way, of which wg waits for all.
	then chan struct{}
	wg   sync.WaitGroup
}

// maxThen is how many answers to reads may be on their way at once.
const maxThen = 128

// errIgnored marks envelopes that are acknowledged and not acted on.
var errIgnored = errors.New("ignored")

func (d *dispatcher) handle(ctx context.Context, e *socket.Envelope) {
	answer, err := d.take(ctx, e)
	if err != nil && !errors.Is(err, errIgnored) {
		// Nothing was stored: silence is the truthful answer, since Slack then
		// tells the person that it failed.
		d.log.Error("an envelope was not taken", "op", e.Type, "error", err)
		return
	}
	if err != nil {
		d.log.Warn("an envelope was acknowledged and ignored", "op", e.Type, "error", err)
	}
	payload := d.payload(e, answer)
	err = e.Ack(ctx, payload)
	carried := payload != nil
	if errors.Is(err, socket.ErrAckTooLarge) {
		carried = false
		err = e.Ack(ctx, nil)
	}
	if err != nil {
		// What was stored stays; only Slack does not know that we have it.
		d.log.Warn("an acknowledgement was not written", "op", e.Type, "error", err)
	}
	if answer.Say != nil && !carried && answer.To.Who.User != "" {
		if err := d.app.Reply(ctx, answer.To, *answer.Say); err != nil {
			d.log.Warn("an answer could not be given", "actor", answer.To.Who.User, "error", err)
		}
	}
	d.after(ctx, answer.Then)
}

// after runs what follows an acknowledgement. It takes none of the socket's
// slots, so that slow answers to reads never keep a click from being taken;
// only when too many are under way does it wait in the caller's.
func (d *dispatcher) after(ctx context.Context, then func(context.Context)) {
	if then == nil {
		return
	}
	select {
	case d.then <- struct{}{}:
		d.wg.Go(func() {
			defer func() {
				<-d.then
				if p := recover(); p != nil {
					d.log.Error("an answer panicked", "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				}
			}()
			then(ctx)
		})
	default:
		then(ctx)
	}
}

// payload is what goes out with the acknowledgement.
func (d *dispatcher) payload(e *socket.Envelope, a Answer) any {
	switch {
	case !e.AcceptsResponsePayload:
		return nil
	case len(a.Fields) > 0:
		return slack.NewErrorsViewSubmissionResponse(a.Fields)
	case a.Say != nil && e.Type == socket.TypeSlashCommands:
		text, blocks := renderReply(*a.Say)
		return map[string]any{"response_type": "ephemeral", "text": text, "blocks": blocks}
	}
	return nil
}

func (d *dispatcher) take(ctx context.Context, e *socket.Envelope) (Answer, error) {
	switch e.Type {
	case socket.TypeSlashCommands:
		return d.command(ctx, e)
	case socket.TypeInteractive:
		return d.interaction(ctx, e)
	case socket.TypeEventsAPI:
		return d.event(ctx, e)
	}
	return Answer{}, fmt.Errorf("%w: unknown type", errIgnored)
}

func (d *dispatcher) command(ctx context.Context, e *socket.Envelope) (Answer, error) {
	// Read here rather than by slack-go, whose type refuses the whole command
	// over fields that are of no matter.
	var s struct {
		TeamID       string `json:"team_id"`
		EnterpriseID string `json:"enterprise_id"`
		ChannelID    string `json:"channel_id"`
		UserID       string `json:"user_id"`
		Command      string `json:"command"`
		Text         string `json:"text"`
		ResponseURL  string `json:"response_url"`
		TriggerID    string `json:"trigger_id"`
	}
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		return Answer{}, fmt.Errorf("%w: the command cannot be read", errIgnored)
	}
	if s.Command != d.app.cfg.Command {
		return Answer{
			Say: &commands.Reply{Title: "This bot answers to " + d.app.cfg.Command + " only. Nothing was changed."},
			To:  ReplyTo{Who: identity(firstOf(s.TeamID, s.EnterpriseID), s.UserID), Channel: s.ChannelID, ResponseURL: s.ResponseURL},
		}, nil
	}
	return d.desk.Command(ctx, Command{
		Envelope:    e.ID,
		Who:         identity(firstOf(s.TeamID, s.EnterpriseID), s.UserID),
		Channel:     s.ChannelID,
		Text:        s.Text,
		TriggerID:   s.TriggerID,
		ResponseURL: s.ResponseURL,
	})
}

// interaction is what is read of an interactive payload. It is decoded here
// rather than by slack-go, whose type decodes the whole source message too,
// with everything that may go wrong in it.
type interaction struct {
	Type       string `json:"type"`
	CallbackID string `json:"callback_id"`
	TriggerID  string `json:"trigger_id"`
	Team       *struct {
		ID           string `json:"id"`
		EnterpriseID string `json:"enterprise_id"`
	} `json:"team"`
	Enterprise *struct {
		ID string `json:"id"`
	} `json:"enterprise"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	Container struct {
		Type      string `json:"type"`
		MessageTS string `json:"message_ts"`
		ChannelID string `json:"channel_id"`
		Ephemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Message struct {
		TS string `json:"ts"`
	} `json:"message"`
	ResponseURL string `json:"response_url"`
	Actions     []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
	} `json:"actions"`
	View struct {
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		State           struct {
			Values map[string]map[string]formValue `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

// who is the person and the workspace they belong to. The person's own team
// counts: in a shared channel it differs from the team of the payload.
func (i interaction) who() approval.Identity {
	team := i.User.TeamID
	if team == "" && i.Team != nil {
		team = i.Team.ID
	}
	if team == "" && i.Enterprise != nil {
		team = i.Enterprise.ID
	}
	return identity(team, i.User.ID)
}

func (d *dispatcher) interaction(ctx context.Context, e *socket.Envelope) (Answer, error) {
	var i interaction
	if err := json.Unmarshal(e.Payload, &i); err != nil {
		return Answer{}, fmt.Errorf("%w: the interaction cannot be read", errIgnored)
	}
	switch i.Type {
	case "block_actions":
		if len(i.Actions) != 1 {
			return Answer{}, fmt.Errorf("%w: %d actions at once", errIgnored, len(i.Actions))
		}
		a := i.Actions[0]
		if !strings.HasPrefix(a.ActionID, "request.") {
			return Answer{}, fmt.Errorf("%w: an action that is not a button of ours", errIgnored)
		}
		id, version := parseButton(a.Value)
		return d.desk.Click(ctx, Click{
			Envelope: e.ID, Who: i.who(),
			Channel: firstOf(i.Container.ChannelID, i.Channel.ID), MessageTS: firstOf(i.Container.MessageTS, i.Message.TS), Ephemeral: i.Container.Ephemeral,
			Action: a.ActionID, Request: id, Version: version,
			TriggerID: i.TriggerID, ResponseURL: i.ResponseURL,
		})
	case "view_submission":
		meta, err := parseMeta(i.View.PrivateMetadata)
		if err != nil || i.View.CallbackID != formCallback {
			return Answer{}, fmt.Errorf("%w: a form that is not ours", errIgnored)
		}
		return d.desk.Submit(ctx, Submission{
			Envelope: e.ID, Who: i.who(), Command: meta.Command, Channel: meta.Channel,
			Values: formValues(i.View.State.Values),
		})
	}
	return Answer{}, fmt.Errorf("%w: an interaction of another type", errIgnored)
}

func (d *dispatcher) event(ctx context.Context, e *socket.Envelope) (Answer, error) {
	var p struct {
		TeamID  string `json:"team_id"`
		EventID string `json:"event_id"`
		Event   struct {
			Type      string          `json:"type"`
			User      json.RawMessage `json:"user"`
			Tab       string          `json:"tab"`
			SubteamID string          `json:"subteam_id"`
			Subteam   struct {
				ID string `json:"id"`
			} `json:"subteam"`
		} `json:"event"`
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		return Answer{}, fmt.Errorf("%w: the event cannot be read", errIgnored)
	}
	if !d.app.seen.first(p.EventID) {
		return Answer{}, nil
	}
	switch p.Event.Type {
	case "user_change", "team_join":
		var u struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(p.Event.User, &u); err == nil {
			d.app.people.forgetMember(u.ID)
		}
	case "subteam_members_changed":
		d.app.people.forgetGroup(p.Event.SubteamID)
	case "subteam_updated":
		d.app.people.forgetGroup(p.Event.Subteam.ID)
	case "app_home_opened":
		var user string
		if err := json.Unmarshal(p.Event.User, &user); err != nil {
			return Answer{}, fmt.Errorf("%w: nobody is named who opened App Home", errIgnored)
		}
		if p.Event.Tab != "home" {
			return Answer{}, nil
		}
		return d.desk.Home(ctx, Opened{Who: identity(p.TeamID, user)})
	}
	return Answer{}, nil
}

// button is a button's value: a request and the version of the plan that was
// shown. It carries nothing else, and nothing in it is trusted.
func button(id string, version int) string { return id + ":" + strconv.Itoa(version) }

func parseButton(value string) (id string, version int) {
	id, v, _ := strings.Cut(value, ":")
	version, err := strconv.Atoi(v)
	if err != nil || !slackID(id) {
		// Requests' IDs have the form of Slack's. Whatever else was put there
		// goes no further, not even into the record.
		return "", 0
	}
	return id, version
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// recently remembers IDs for a while, to drop what is delivered twice.
type recently struct {
	ttl time.Duration
	mu  sync.Mutex // guards at
	at  map[string]time.Time
}

func newRecently(ttl time.Duration) *recently {
	return &recently{ttl: ttl, at: map[string]time.Time{}}
}

// first says whether the ID was not seen within the time.
func (r *recently) first(id string) bool {
	if id == "" {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if t, ok := r.at[id]; ok && now.Sub(t) < r.ttl {
		return false
	}
	if len(r.at) >= cacheCap {
		for k, t := range r.at {
			if now.Sub(t) >= r.ttl {
				delete(r.at, k)
			}
		}
	}
	r.at[id] = now
	return true
}
