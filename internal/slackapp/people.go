package slackapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Member is a full, active member of the bot's own workspace, as Slack told.
type Member struct {
	approval.Identity
	Name  string // for display only
	Email string // lower case; empty when Slack gives none
}

// StrangerError is a person who may not use the bot. Say is for them.
type StrangerError struct {
	Rule string // such as "guest"
	Say  string
}

func (e *StrangerError) Error() string { return e.Rule + ": " + e.Say }

// How long what Slack said about people is believed.
const (
	memberFor = 30 * time.Second
	groupFor  = time.Minute
	cacheCap  = 5000
)

// people asks Slack who somebody is, and remembers it briefly, so that clicks
// in a row are not a storm of look-ups.
type people struct {
	api              *slack.Client
	home, enterprise string // set by App.Connect

	mu      sync.Mutex // guards the maps; never held during a call
	members map[string]kept[Member]
	groups  map[string]kept[[]string]
}

type kept[T any] struct {
	value T
	until time.Time
}

func newPeople(api *slack.Client) *people {
	return &people{api: api, members: map[string]kept[Member]{}, groups: map[string]kept[[]string]{}}
}

func lookup[T any](mu *sync.Mutex, m map[string]kept[T], key string) (T, bool) {
	mu.Lock()
	defer mu.Unlock()
	k, ok := m[key]
	if !ok || time.Now().After(k.until) {
		var none T
		return none, false
	}
	return k.value, true
}

func keep[T any](mu *sync.Mutex, m map[string]kept[T], key string, v T, d time.Duration) {
	mu.Lock()
	defer mu.Unlock()
	if len(m) >= cacheCap {
		clear(m)
	}
	m[key] = kept[T]{v, time.Now().Add(d)}
}

// Member tells who the person of an envelope is. Whoever is not a full, active
// member of the bot's own workspace is a *StrangerError; a person about whom
// nothing can be found out is an *APIError, which counts as no as well. The
// identity of a Member always names the bot's own workspace, also where an
// envelope of an Enterprise Grid named the organisation, so that one person
// has one identity.
func (a *App) Member(ctx context.Context, who approval.Identity) (Member, error) {
	p := a.people
	if who.User == "" || who.Team == "" || !p.ours(who.Team) {
		return Member{}, &StrangerError{"workspace", "Only members of the workspace where the bot is installed may use it."}
	}
	if m, ok := lookup(&p.mu, p.members, who.User); ok {
		return m, nil
	}
	m, err := p.fetch(ctx, who.User)
	if err != nil {
		return Member{}, err
	}
	keep(&p.mu, p.members, who.User, m, memberFor)
	return m, nil
}

// MemberByID is Member for somebody who was named rather than who acts.
func (a *App) MemberByID(ctx context.Context, user string) (Member, error) {
	return a.Member(ctx, identity(a.team, user))
}

// MemberByEmail finds the member with that address; ok is false when there is
// none, or when whoever has it is no full member.
func (a *App) MemberByEmail(ctx context.Context, email string) (m Member, ok bool, err error) {
	u, err := a.api.GetUserByEmailContext(ctx, email)
	if err != nil {
		err = classify("users.lookupByEmail", err)
		if errors.Is(err, ErrNotFound) {
			return Member{}, false, nil
		}
		return Member{}, false, err
	}
	m, err = a.people.judge(u)
	var stranger *StrangerError
	if errors.As(err, &stranger) {
		return Member{}, false, nil
	}
	if err != nil || !strings.EqualFold(m.Email, email) {
		return Member{}, false, err
	}
	return m, true, nil
}

// ours says whether a team ID of an envelope is the bot's own workspace, or
// its organisation on Enterprise Grid.
func (p *people) ours(team string) bool {
	return team == p.home || (p.enterprise != "" && team == p.enterprise)
}

func (p *people) fetch(ctx context.Context, user string) (Member, error) {
	u, err := p.api.GetUserInfoContext(ctx, user)
	if err != nil {
		err = classify("users.info", err)
		if errors.Is(err, ErrNotFound) {
			return Member{}, &StrangerError{"unknown", "Slack does not know this person in the workspace where the bot is installed."}
		}
		return Member{}, err
	}
	if u.ID != user {
		return Member{}, &APIError{Method: "users.info", Kind: ErrRejected, Detail: "the answer is about somebody else"}
	}
	return p.judge(u)
}

// judge refuses everybody whom Slack does not describe as a full, active
// person of the bot's own workspace.
func (p *people) judge(u *slack.User) (Member, error) {
	home := u.TeamID != "" && u.TeamID == p.home
	if !home && p.enterprise != "" {
		// Of the organisation is not enough: of this workspace.
		home = u.Enterprise.EnterpriseID == p.enterprise && slices.Contains(u.Enterprise.Teams, p.home)
	}
	switch {
	case u.ID == "":
		return Member{}, &APIError{Method: "users.info", Kind: ErrRejected, Detail: "the answer names nobody"}
	case u.Deleted:
		return Member{}, &StrangerError{"deactivated", "This account is deactivated."}
	case u.IsBot, u.IsWorkflowBot, u.IsConnectorBot, u.ID == "USLACKBOT":
		return Member{}, &StrangerError{"bot", "Bots and workflows may not use this bot."}
	case u.IsStranger, !home:
		return Member{}, &StrangerError{"external", "Only members of the workspace where the bot is installed may use it; people of other organisations may not."}
	case u.IsRestricted, u.IsUltraRestricted:
		return Member{}, &StrangerError{"guest", "Guests may not use this bot."}
	case u.IsInvitedUser:
		return Member{}, &StrangerError{"invited", "Only people who have joined the workspace may use this bot."}
	}
	name := u.Profile.DisplayName
	if name == "" {
		name = u.Profile.RealName
	}
	return Member{
		Identity: identity(p.home, u.ID),
		Name:     clean(name, 80),
		Email:    strings.ToLower(u.Profile.Email),
	}, nil
}

// GroupMembers are the user IDs in a Slack user group.
func (a *App) GroupMembers(ctx context.Context, group string) ([]string, error) {
	p := a.people
	if ids, ok := lookup(&p.mu, p.groups, group); ok {
		return ids, nil
	}
	ids, err := p.api.GetUserGroupMembersContext(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("members of user group %s: %w", group, classify("usergroups.users.list", err))
	}
	keep(&p.mu, p.groups, group, slices.Clone(ids), groupFor)
	return ids, nil
}

// forgetMember and forgetGroup drop what is remembered, because Slack told
// that it changed.
func (p *people) forgetMember(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.members, user)
}

func (p *people) forgetGroup(group string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.groups, group)
}
