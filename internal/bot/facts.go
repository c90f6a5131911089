package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// person is a verified member with the memberships that the policy asks about.
func (b *Bot) person(ctx context.Context, who approval.Identity) (authz.Person, slackapp.Member, error) {
	m, err := b.slack.Member(ctx, who)
	if err != nil {
		return authz.Person{}, m, err
	}
	in, err := b.memberships(ctx, m.User, b.policy.UserGroups())
	if err != nil {
		return authz.Person{}, m, err
	}
	return authz.Person{Team: m.Team, User: m.User, UserGroups: in}, m, nil
}

// memberships tells for each of the user groups whether somebody is in it. A
// group that Slack does not know (any more) is left out, which the policy
// takes as unknown: it must not stop everybody.
func (b *Bot) memberships(ctx context.Context, user string, groups []string) (map[string]bool, error) {
	in := map[string]bool{}
	for _, g := range groups {
		ids, err := b.slack.GroupMembers(ctx, g)
		if errors.Is(err, slackapp.ErrNotFound) {
			b.log.Error("the policy names a user group that Slack does not know", "group", g, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		in[g] = slices.Contains(ids, user)
	}
	return in, nil
}

// demands turns what the policy demands into what the request keeps, with the
// user groups' members as they are now.
func (b *Bot) demands(ctx context.Context, asked []authz.Demand) ([]approval.Demand, error) {
	var ds []approval.Demand
	for _, a := range asked {
		d := approval.Demand{
			Rule: a.Rule, Count: a.Count, Users: a.From.Users, UserGroups: a.From.UserGroups,
			LateMembers: a.LateMembers, ExpiresIn: a.ExpiresIn, ExecuteWithin: a.ExecuteWithin,
		}
		for _, g := range a.From.UserGroups {
			ids, err := b.slack.GroupMembers(ctx, g)
			if err != nil && !errors.Is(err, slackapp.ErrNotFound) {
				return nil, err
			}
			for _, id := range ids {
				if !slices.Contains(d.Members, id) {
					d.Members = append(d.Members, id)
				}
			}
		}
		slices.Sort(d.Members)
		ds = append(ds, d)
	}
	return ds, nil
}

// unreachable says which demand cannot be met by the people whom it names,
// the caller and the targets left out; empty when all can.
func unreachable(ds []approval.Demand, caller approval.Identity, targets []approval.Target) string {
	for _, d := range ds {
		able := map[string]bool{}
		for _, id := range slices.Concat(d.Users, d.Members) {
			able[id] = true
		}
		delete(able, caller.User)
		for _, t := range targets {
			delete(able, t.Slack)
		}
		if len(able) < d.Count {
			return fmt.Sprintf("Rule %s asks for %d approvals, but apart from you and the people it is about only %d could give one. Ask the bot's operators to name more approvers.", d.Rule, d.Count, len(able))
		}
	}
	return ""
}

// mayBeTarget says whether it cannot be ruled out that a plan is about a member
// whose e-mail address Slack does not show.
func mayBeTarget(targets []approval.Target, m slackapp.Member) bool {
	return m.Email == "" && slices.ContainsFunc(targets, func(t approval.Target) bool {
		return t.Slack == "" && t.Email != ""
	})
}

// isTarget says whether a plan is about that member.
func isTarget(targets []approval.Target, m slackapp.Member) bool {
	return slices.ContainsFunc(targets, func(t approval.Target) bool {
		return (t.Slack != "" && t.Slack == m.User) || (t.Email != "" && strings.EqualFold(t.Email, m.Email))
	})
}

// world is what a command may use.
func (b *Bot) world(who approval.Identity) commands.World {
	return commands.World{
		Caller: who, Tenants: tenantReader{b}, People: slackPeople{b.slack},
		Requests: b.store, Catalogue: b.cat,
	}
}

// tenantReader opens tenants for reading only.
type tenantReader struct{ b *Bot }

func (t tenantReader) Tenant(label string) (qlik.Reader, error) {
	c, err := t.b.client(label)
	if err != nil {
		return qlik.Reader{}, err
	}
	return c.Reader(), nil
}

// slackPeople shows members of the workspace to commands.
type slackPeople struct{ app *slackapp.App }

func (s slackPeople) SlackUser(ctx context.Context, id string) (commands.SlackPerson, error) {
	m, err := s.app.MemberByID(ctx, id)
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		return commands.SlackPerson{}, &commands.RefusedError{
			Say:   "The person you mentioned is not a full, active member of this workspace, so the mention is not taken as proof of who they are. Nothing was changed.",
			Hint:  "Name them by their e-mail address instead.",
			Cause: err,
		}
	}
	if err != nil {
		return commands.SlackPerson{}, &commands.RefusedError{
			Say: "Slack could not be asked who the mentioned person is. Nothing was changed.", Hint: "Please try again in a minute.",
			Temporary: true, Cause: err,
		}
	}
	return commands.SlackPerson{ID: m.User, Email: m.Email, Name: m.Name}, nil
}

func (s slackPeople) SlackUserByEmail(ctx context.Context, email string) (commands.SlackPerson, bool, error) {
	m, ok, err := s.app.MemberByEmail(ctx, email)
	if err != nil || !ok {
		return commands.SlackPerson{}, false, err
	}
	return commands.SlackPerson{ID: m.User, Email: m.Email, Name: m.Name}, true, nil
}
