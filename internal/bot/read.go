package bot

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// readWithin bounds answering a read, from the acknowledgement on.
const readWithin = time.Minute

// answer answers a read, after its acknowledgement.
func (b *Bot) answer(ctx context.Context, inv commands.Invocation, read commands.Read, to slackapp.ReplyTo) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	reply, err := b.readAs(ctx, inv, read, to)
	var no *refused
	var plain *commands.RefusedError
	var usage *commands.UsageError
	var later *commands.NotBuiltError
	switch {
	case err == nil:
	case errors.As(err, &usage), errors.As(err, &later):
		reply = sayError(err)
	case errors.As(err, &no):
		reply = no.say
	case errors.As(err, &plain):
		reply = commands.Reply{Title: plain.Say}
		if plain.Hint != "" {
			reply.Lines = []string{plain.Hint}
		}
		if plain.Cause != nil {
			b.log.Warn("a read failed", "op", inv.Command, "actor", to.Who.User, "error", plain.Cause)
		}
	default:
		b.log.Warn("a read failed", "op", inv.Command, "actor", to.Who.User, "error", err)
		reply = commands.Reply{Title: "That could not be found out just now.", Lines: []string{"Please try again in a minute. Nothing was changed."}}
	}
	b.say(context.WithoutCancel(ctx), to, reply)
}

func (b *Bot) readAs(ctx context.Context, inv commands.Invocation, read commands.Read, to slackapp.ReplyTo) (commands.Reply, error) {
	who, _, err := b.person(ctx, to.Who)
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		return commands.Reply{}, refusal("not a member", stranger.Say)
	}
	if err != nil {
		return commands.Reply{}, err
	}
	spec := read.Spec()
	if !spec.Ungoverned {
		allowed, no := false, error(nil)
		for _, t := range b.readTenants(inv) {
			v := b.policy.Ask(authz.Facts{Caller: who, Channel: to.Channel, Command: inv.Command, Tenant: t, Reason: inv.Reason})
			if v.Allowed() {
				allowed = true
			} else {
				no = refusedBy(v)
			}
		}
		if !allowed {
			return commands.Reply{}, no
		}
	}
	w := b.world(to.Who)
	w.Allowed = func(command string) bool { return b.mayAsk(who, to.Channel, command) }
	w.MaySee = func(r approval.Request) bool { return b.maySee(who, r) }
	for _, t := range b.cfg.Tenants {
		if b.mayRead(who, t.Label, commands.ClassRead, commands.ClassPeople) {
			w.Listed = append(w.Listed, commands.TenantInfo{
				Label: t.Label, Host: t.Host, Default: t.Label == b.cfg.DefaultTenant, Source: t.Label == b.cfg.SourceTenant,
			})
		}
	}
	return read.Answer(ctx, w)
}

// readTenants are the tenants that a read is about: the one it names, or all.
func (b *Bot) readTenants(inv commands.Invocation) []string {
	if inv.Tenant != "" {
		return []string{inv.Tenant}
	}
	return b.labels()
}

// mayAsk says whether help lists a command: somewhere, the person could get
// somewhere with it.
func (b *Bot) mayAsk(who authz.Person, channel, command string) bool {
	spec, ok := b.cat.Lookup(command)
	if !ok {
		return false
	}
	if spec.Ungoverned {
		return true
	}
	for _, t := range b.labels() {
		if b.policy.Ask(authz.Facts{Caller: who, Channel: channel, Command: command, Tenant: t}).MayAsk() {
			return true
		}
	}
	return false
}

// mayRead says whether somebody may read anything of a tenant by a command of
// one of the classes. Requests name people, so seeing them takes ClassPeople.
func (b *Bot) mayRead(who authz.Person, tenant string, classes ...commands.Class) bool {
	for _, s := range b.cat.Specs() {
		if s.Ungoverned || !slices.Contains(classes, s.Class) {
			continue
		}
		if b.policy.Ask(authz.Facts{Caller: who, Command: s.Name, Tenant: tenant}).MayAsk() {
			return true
		}
	}
	return false
}

// maySee says whether somebody may be shown a request: whoever asked, whoever
// may decide on it, and whoever may read the tenant.
func (b *Bot) maySee(who authz.Person, r approval.Request) bool {
	if r.Caller.User == who.User && r.Caller.Team == who.Team {
		return true
	}
	return b.mayDecide(who, r) || b.mayRead(who, r.Tenant, commands.ClassPeople)
}

// mayDecide says whether somebody's approval could count by the request's own
// demands. It serves lists; a click is judged from fresh facts.
func (b *Bot) mayDecide(who authz.Person, r approval.Request) bool {
	v := approval.Voter{Identity: approval.Identity{Team: who.Team, User: who.User}}
	for g, in := range who.UserGroups {
		if in {
			v.UserGroups = append(v.UserGroups, g)
		}
	}
	for _, t := range r.Plan.Targets {
		v.Target = v.Target || (t.Slack != "" && t.Slack == who.User)
	}
	if r.Confirms() {
		return v.Identity == r.Caller
	}
	_, no := r.Counts(v)
	return no == nil
}

// details shows a request in full to whoever may see it.
func (b *Bot) details(ctx context.Context, c slackapp.Click) {
	to := slackapp.ReplyTo{Who: c.Who, Channel: c.Channel, ResponseURL: c.ResponseURL}
	who, _, err := b.person(ctx, c.Who)
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		b.say(ctx, to, commands.Reply{Title: stranger.Say})
		return
	}
	if err != nil {
		b.log.Warn("cannot show details", "request", c.Request, "actor", c.Who.User, "error", err)
		b.say(ctx, to, commands.Reply{Title: "Slack could not be asked who you are. Please try again in a minute."})
		return
	}
	r, err := b.store.Request(ctx, c.Request)
	if err != nil || !b.maySee(who, r) {
		b.say(ctx, to, commands.Reply{Title: "There is no such request that you may see."})
		return
	}
	if err := b.slack.OpenDetails(ctx, c.TriggerID, r); err != nil {
		b.log.Warn("cannot show details", "request", c.Request, "actor", c.Who.User, "error", err)
		b.say(ctx, to, commands.Reply{Title: "The details could not be opened. Please click again."})
	}
}
