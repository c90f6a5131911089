package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// Kinds of tasks of this package.
const (
	taskAsk   = "ask"   // a command that changes something was typed
	taskClick = "click" // a button was pressed
	taskReply = "reply" // somebody is owed an answer
	taskHome  = "home"  // somebody's App Home is to be shown anew
)

// asked is a command that was acknowledged: the body of a taskAsk.
type asked struct {
	// ID is the request's, drawn here so that every record speaks of it.
	ID      string           `json:"id"`
	To      slackapp.ReplyTo `json:"to"`
	Command string           `json:"command"`
	Args    json.RawMessage  `json:"args"`
	Tenant  string           `json:"tenant"`
	Reason  string           `json:"reason"`
	Text    string           `json:"text"`
	At      time.Time        `json:"at"`
}

func (a asked) who() approval.Identity { return a.To.Who }

// Command takes a typed command. What changes something is stored before this
// returns; the acknowledgement is a promise.
func (b *Bot) Command(ctx context.Context, c slackapp.Command) (slackapp.Answer, error) {
	to := slackapp.ReplyTo{Who: c.Who, Channel: c.Channel, ResponseURL: c.ResponseURL}
	if strings.TrimSpace(c.Text) == "" {
		c.Text = "help"
	}
	inv, err := b.cat.Parse(c.Text, b.defaults())
	var missing *commands.MissingError
	if errors.As(err, &missing) {
		return slackapp.Answer{Then: func(ctx context.Context) {
			b.toMember(ctx, to, func() { b.openForm(ctx, c, missing, to) })
		}}, nil
	}
	if err != nil {
		return b.notUnderstood(to, err)
	}
	if read, ok := inv.Read(); ok {
		return slackapp.Answer{Then: func(ctx context.Context) { b.answer(ctx, inv, read, to) }}, nil
	}
	return slackapp.Answer{}, b.take(ctx, c.Envelope, inv, to)
}

// notUnderstood says what is wrong with a command. That names tenants and
// commands, which are nobody's business but the members'.
func (b *Bot) notUnderstood(to slackapp.ReplyTo, why error) (slackapp.Answer, error) {
	return slackapp.Answer{Then: func(ctx context.Context) {
		b.toMember(ctx, to, func() { b.say(ctx, to, sayError(why)) })
	}}, nil
}

// toMember goes on only for a full member of the workspace; others are told
// why not.
func (b *Bot) toMember(ctx context.Context, to slackapp.ReplyTo, then func()) {
	_, err := b.slack.Member(ctx, to.Who)
	var stranger *slackapp.StrangerError
	switch {
	case err == nil:
		then()
	case errors.As(err, &stranger):
		b.say(ctx, to, commands.Reply{Title: stranger.Say, Lines: []string{"Nothing was changed."}})
	default:
		b.log.Warn("cannot find out who typed a command", "actor", to.Who.User, "error", err)
		b.say(ctx, to, commands.Reply{Title: "It could not be found out who you are, so nothing was done.", Lines: []string{"Nothing was changed. Please try again in a minute."}})
	}
}

// take stores a change that was asked for.
func (b *Bot) take(ctx context.Context, envelope string, inv commands.Invocation, to slackapp.ReplyTo) error {
	return b.put(ctx, taskAsk+":"+envelope, taskAsk, asked{
		ID: newID(), To: to, Command: inv.Command, Args: inv.Args, Tenant: inv.Tenant,
		Reason: inv.Reason, Text: inv.Text, At: time.Now().UTC(),
	})
}

// put stores a task that came with an envelope. The same envelope, delivered
// twice, is one task.
func (b *Bot) put(ctx context.Context, key, kind string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("store a %s: %w", kind, err)
	}
	err = b.store.Append(ctx, approval.Effects{Tasks: []approval.Task{{
		Key: key, Kind: kind, Body: raw, RunAt: time.Now(), Once: true,
	}}})
	if err != nil {
		return fmt.Errorf("store a %s: %w", kind, err)
	}
	return nil
}

func (b *Bot) openForm(ctx context.Context, c slackapp.Command, missing *commands.MissingError, to slackapp.ReplyTo) {
	spec, ok := b.cat.Lookup(missing.Command)
	if !ok || len(spec.Fields) == 0 {
		b.say(ctx, to, sayError(missing))
		return
	}
	err := b.slack.OpenForm(ctx, c.TriggerID, slackapp.Form{
		Spec: spec, Channel: c.Channel, Given: missing.Given, Tenants: b.labels(),
	})
	if err != nil {
		b.log.Warn("cannot open a form", "actor", c.Who.User, "op", missing.Command, "error", err)
		b.say(ctx, to, commands.Reply{
			Title: "Something is missing, and the form for it could not be opened. Nothing was changed.",
			Lines: []string{"Please type it whole: " + b.cfgCommand(spec.Line()), "For example: " + b.cfgCommand(firstOf(spec.Examples))},
		})
	}
}

// Submit takes a form that was sent off, by the rules of typed commands.
func (b *Bot) Submit(ctx context.Context, s slackapp.Submission) (slackapp.Answer, error) {
	inv, wrong := b.cat.FromForm(s.Command, s.Values, b.defaults())
	if len(wrong) > 0 {
		fields := map[string]string{}
		for field, err := range wrong {
			if field == "" {
				field = b.firstField(s.Command) // Slack shows errors beside fields only
			}
			fields[field] = err.Error()
		}
		return slackapp.Answer{Fields: fields}, nil
	}
	to := slackapp.ReplyTo{Who: s.Who, Channel: s.Channel}
	if read, ok := inv.Read(); ok {
		return slackapp.Answer{Then: func(ctx context.Context) { b.answer(ctx, inv, read, to) }}, nil
	}
	return slackapp.Answer{}, b.take(ctx, s.Envelope, inv, to)
}

// firstField is the name of the first field of a command's form.
func (b *Bot) firstField(command string) string {
	spec, _ := b.cat.Lookup(command)
	if len(spec.Fields) == 0 {
		return ""
	}
	return spec.Fields[0].Name
}

// Click takes a pressed button. Details only shows; everything else is stored.
func (b *Bot) Click(ctx context.Context, c slackapp.Click) (slackapp.Answer, error) {
	if c.Action == slackapp.ActionDetails {
		return slackapp.Answer{Then: func(ctx context.Context) { b.details(ctx, c) }}, nil
	}
	c.TriggerID = "" // dead by the time the task runs
	return slackapp.Answer{}, b.put(ctx, taskClick+":"+c.Envelope, taskClick, c)
}

// Home takes a look at App Home.
func (b *Bot) Home(_ context.Context, h slackapp.Opened) (slackapp.Answer, error) {
	b.sawHome(h.Who)
	return slackapp.Answer{Then: func(ctx context.Context) {
		if err := b.publishHome(ctx, h.Who); err != nil {
			b.log.Warn("cannot show App Home", "actor", h.Who.User, "error", err)
		}
	}}, nil
}

func (b *Bot) defaults() commands.Defaults {
	return commands.Defaults{Tenants: b.labels(), DefaultTenant: b.cfg.DefaultTenant, SourceTenant: b.cfg.SourceTenant}
}

func (b *Bot) labels() []string {
	labels := make([]string, 0, len(b.cfg.Tenants))
	for _, t := range b.cfg.Tenants {
		labels = append(labels, t.Label)
	}
	return labels
}

// sayError is what a command that was not understood is answered.
func sayError(err error) commands.Reply {
	var usage *commands.UsageError
	if errors.As(err, &usage) {
		r := commands.Reply{Title: usage.Say}
		if usage.Hint != "" {
			r.Lines = append(r.Lines, usage.Hint)
		}
		r.Lines = append(r.Lines, "Nothing was changed.")
		return r
	}
	r := commands.Reply{Title: err.Error()}
	if !strings.Contains(r.Title, "Nothing was changed.") {
		r.Lines = []string{"Nothing was changed."}
	}
	return r
}

func (b *Bot) cfgCommand(line string) string { return b.slack.SlashCommand() + " " + line }

func firstOf(ss []string) string {
	if len(ss) == 0 {
		return ""
	}
	return ss[0]
}
