package bot

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// decisions maps the buttons to what they mean.
var decisions = map[string]approval.DecisionKind{
	slackapp.ActionConfirm: approval.Confirm, slackapp.ActionApprove: approval.Approve,
	slackapp.ActionDeny: approval.Deny, slackapp.ActionCancel: approval.Cancel,
	slackapp.ActionWithdraw: approval.Withdraw, slackapp.ActionRecheck: approval.Recheck,
	slackapp.ActionHappened: approval.Happened, slackapp.ActionNotHappened: approval.NotHappened,
}

// decide is the handler of taskClick. Who clicks is found out anew, and so is
// whether their word counts.
func (b *Bot) decide(ctx context.Context, c approval.Claim) error {
	var click slackapp.Click
	if err := json.Unmarshal(c.Body, &click); err != nil {
		b.log.Error("a stored click cannot be read and is dropped", "op", c.Key, "error", err)
		return b.store.Append(ctx, approval.Effects{Finish: &c})
	}
	err := b.count(ctx, c, click)
	var no *refused
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
	case ctx.Err() != nil || errors.Is(err, approval.ErrLost):
		return err
	case c.Attempt < 7: // about a minute, and as long as Slack asks to wait
		if after := slackapp.After(err); after > 0 {
			return execution.Later(time.Now().Add(after), "Slack asked to wait")
		}
		return err
	default:
		b.log.Error("a click was given up", "request", click.Request, "error", err)
		no = &refused{why: "could not be judged", say: commands.Reply{
			Title: "It could not be found out whether your click counts, so it was not counted.",
			Lines: []string{"Please look at the card and click again in a minute."},
		}}
	}
	to := slackapp.ReplyTo{Who: click.Who, Channel: click.Channel, ResponseURL: click.ResponseURL}
	return b.store.Append(ctx, approval.Effects{
		Records: []audit.Entry{{
			Request: click.Request, Event: audit.EventRefused, Actor: audit.Actor(click.Who),
			Outcome: "refused", Detail: click.Action + ": " + no.why, Policy: b.policy.Digest(),
		}},
		Tasks:  []approval.Task{replyTask(click.Envelope, owed{To: to, Title: no.say.Title, Lines: no.say.Lines, At: time.Now()})},
		Finish: &c,
	})
}

// count judges a click and applies it. Its error is a *refused where the click
// counts for nothing.
func (b *Bot) count(ctx context.Context, c approval.Claim, click slackapp.Click) error {
	kind, ok := decisions[click.Action]
	if !ok {
		return refusal("no such button", "This version of the bot does not know that button. Your click changed nothing.")
	}
	m, err := b.slack.Member(ctx, click.Who)
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		return refusal("not a member: "+stranger.Rule, stranger.Say, "Your click changed nothing.")
	}
	if err != nil {
		return err
	}
	r, err := b.store.Request(ctx, click.Request)
	if errors.Is(err, approval.ErrNoRequest) {
		return refusal("no such request", "There is no such request (any more). Your click changed nothing.")
	}
	if err != nil {
		return err
	}
	if err := b.stands(ctx, r, click, kind); err != nil {
		return err
	}
	voter, err := b.voter(ctx, r, m)
	if err != nil {
		return err
	}
	_, err = b.store.ChangeRequest(ctx, r.ID, func(r *approval.Request) (approval.Effects, error) {
		e, err := r.Decide(kind, voter, click.Version, time.Now())
		e.Finish = &c
		return e, err
	})
	var no *approval.Refusal
	if errors.As(err, &no) {
		return refusal(string(no.Code), no.Text)
	}
	return err
}

// stands refuses clicks on a message that is not the request's card, and
// consent where people from outside can click.
func (b *Bot) stands(ctx context.Context, r approval.Request, click slackapp.Click, kind approval.DecisionKind) error {
	if !click.Ephemeral {
		live := slices.ContainsFunc(r.Cards, func(at approval.Card) bool {
			// Before Slack has told the message's ID, and for a direct message
			// its channel, the request's ID is all there is to go by.
			return at.TS == "" && (at.Channel == click.Channel || strings.HasPrefix(click.Channel, "D")) ||
				at.Channel == click.Channel && at.TS == click.MessageTS
		})
		if !live {
			return refusal("an old copy of the card", "That is not the current card of "+r.ID+". Your click changed nothing.",
				"See the current one with "+b.cfgCommand("request show "+r.ID))
		}
	}
	if kind != approval.Confirm && kind != approval.Approve && kind != approval.Happened && kind != approval.NotHappened {
		return nil
	}
	p, err := b.slack.Place(ctx, click.Channel)
	if err != nil {
		return err
	}
	if p.Shared || !p.Known {
		return refusal("the channel is shared or unknown", p.Why, "Your click changed nothing.")
	}
	return nil
}

// voter finds out what is known about somebody who decides on a request.
func (b *Bot) voter(ctx context.Context, r approval.Request, m slackapp.Member) (approval.Voter, error) {
	v := approval.Voter{Identity: m.Identity, Target: isTarget(r.Plan.Targets, m), Unsure: mayBeTarget(r.Plan.Targets, m)}
	var groups []string
	for _, d := range r.Demands {
		groups = append(groups, d.UserGroups...)
	}
	slices.Sort(groups)
	in, err := b.memberships(ctx, m.User, slices.Compact(groups))
	for g, is := range in {
		if is {
			v.UserGroups = append(v.UserGroups, g)
		}
	}
	slices.Sort(v.UserGroups)
	return v, err
}
