package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// MaxInvited is how many addresses one invitation step takes: few enough to
// be read on a card and to be looked up in one call.
const MaxInvited = 20

// Invitations are the people whom a step invites.
type Invitations struct {
	Emails []string `json:"emails"`
	// Language of the mail, an ISO 639-1 code; empty: Qlik's default.
	Language string `json:"language,omitempty"`
}

// InviteUsers plans to invite people who have no account on the tenant: at
// least one, at most MaxInvited.
func InviteUsers(tenant string, p Invitations) approval.Step {
	emails := make([]string, len(p.Emails))
	for i, e := range p.Emails {
		emails[i] = qlik.EmailKey(e)
	}
	p.Emails = emails
	object := p.Emails[0]
	if n := len(p.Emails); n > 1 {
		object = fmt.Sprintf("%s and %d more", object, n-1)
	}
	return approval.Step{
		Kind: KindInviteUsers, Tenant: tenant, Object: object,
		Params: must(p), Before: must(absent{true}),
		Line:    fmt.Sprintf("Invite to %s: %s", tenant, strings.Join(p.Emails, ", ")),
		Changes: []approval.Change{{Property: "accounts", Before: "none", After: fmt.Sprintf("%d invited, each by a mail", len(p.Emails))}},
	}
}

// inviteResult is what is known of each address, by e-mail.
type inviteResult struct {
	// Done are the people whom this step created: their user IDs.
	Done map[string]string `json:"done,omitempty"`
	// There are those who had an account already; no mail was sent.
	There map[string]string `json:"there,omitempty"`
	// Partly says what is missing for those of whom an account was made, but
	// perhaps no mail sent.
	Partly map[string]string `json:"partly,omitempty"`
	// Failed says why for the others.
	Failed map[string]string `json:"failed,omitempty"`
	// Open are those of whom the answer did not say what became of them, and
	// why it must be read.
	Open map[string]string `json:"open,omitempty"`
}

func newInviteResult() inviteResult {
	return inviteResult{Done: map[string]string{}, There: map[string]string{}, Partly: map[string]string{}, Failed: map[string]string{}, Open: map[string]string{}}
}

// created gives the ID of the person if the step created them.
func (r inviteResult) created(email string) (string, bool) {
	id, ok := r.Done[email]
	return id, ok
}

// Why an address was not invited by this step.
const (
	saysSent  = "invitation sent"
	saysThere = "already there; no mail sent"
)

// items tells it for people, in the order of the step.
func (r inviteResult) items(emails []string) []approval.Item {
	items := make([]approval.Item, len(emails))
	for i, email := range emails {
		it := approval.Item{Name: email}
		if _, ok := r.Done[email]; ok {
			it.State, it.Why = approval.ItemDone, saysSent
		} else if _, ok := r.There[email]; ok {
			it.State, it.Why = approval.ItemThere, saysThere
		} else if why, ok := r.Partly[email]; ok {
			it.State, it.Why = approval.ItemPartly, why
		} else if why, ok := r.Failed[email]; ok {
			it.State, it.Why = approval.ItemFailed, why
		} else if why, ok := r.Open[email]; ok {
			it.State, it.Why = approval.ItemDoubt, why
		} else {
			it.State, it.Why = approval.ItemFailed, "not invited"
		}
		items[i] = it
	}
	return items
}

func (r inviteResult) sight(standing execution.Standing, emails []string) execution.Sight {
	return execution.Sight{Standing: standing, Result: must(r), Items: r.items(emails)}
}

func readInviteResult(rec approval.StepRecord) (inviteResult, error) {
	r := newInviteResult()
	if rec.Result == nil {
		return r, nil
	}
	if err := strict(rec.Result, &r); err != nil {
		return inviteResult{}, err
	}
	for _, m := range []*map[string]string{&r.Done, &r.There, &r.Partly, &r.Failed, &r.Open} {
		if *m == nil {
			*m = map[string]string{}
		}
	}
	return r, nil
}

type inviteUsers struct{ clients Clients }

// A repeat sends only to those who are not there, and Qlik sends no second
// mail to somebody who is.
func (inviteUsers) Repeat() execution.Repeat { return execution.AfterTwoLooks }

func (k inviteUsers) Look(ctx context.Context, w execution.Work) (execution.Sight, error) {
	var p Invitations
	c, err := open(k.clients, w, &p, &absent{})
	if err != nil {
		return execution.Sight{}, err
	}
	rec := w.Record()
	known, err := readInviteResult(rec)
	if err != nil {
		return execution.Sight{}, unreadable(w.Step(), err)
	}
	found, err := c.Users.FindByEmails(ctx, p.Emails)
	if err != nil {
		return execution.Sight{}, lookError("finding the addresses", err)
	}
	if rec.Answered {
		return k.verify(ctx, c, p, rec, known, found)
	}
	return sort(p, rec, found), nil
}

// sort tells who is there before a send, and after one that was not answered.
// Somebody who is there then, and was not before the step began, was created
// by it.
func sort(p Invitations, rec approval.StepRecord, found map[string][]qlik.User) execution.Sight {
	r := newInviteResult()
	for _, email := range p.Emails {
		users := found[email]
		switch {
		case len(users) == 0:
		case len(users) == 1 && createdBy(rec, users[0]):
			r.Done[email] = users[0].ID
		default:
			r.There[email] = users[0].ID
		}
	}
	switch len(r.Done) + len(r.There) {
	case 0:
		return execution.Sight{Standing: execution.Ready}
	case len(p.Emails):
		return r.sight(execution.Present, p.Emails)
	}
	// Who is left may be invited; the others are left alone.
	return r.sight(execution.Ready, p.Emails)
}

// clockSkew is how far Qlik's clock may lag behind ours.
const clockSkew = time.Minute

// createdBy says whether the account is one that the step's unanswered send
// has made: invited, or just accepted, and not older than the step. An account
// whose age is not told is not taken for ours.
func createdBy(rec approval.StepRecord, u qlik.User) bool {
	since := rec.StartedAt
	if since.IsZero() {
		since = rec.SentAt
	}
	return rec.Sends > 0 && !since.IsZero() && !u.CreatedAt.IsZero() &&
		!u.CreatedAt.Before(since.Add(-clockSkew)) &&
		(u.Status == qlik.StatusInvited || u.Status == qlik.StatusActive)
}

// verify reads back what an answered send claims.
func (k inviteUsers) verify(ctx context.Context, c *qlik.Client, p Invitations, rec approval.StepRecord, r inviteResult, found map[string][]qlik.User) (execution.Sight, error) {
	for _, email := range p.Emails {
		id, done := r.created(email)
		if done && !hasID(found[email], id) {
			// Lists can lag behind; the account itself does not.
			u, err := c.Users.Get(ctx, id)
			switch {
			case errors.Is(err, qlik.ErrNotFound), err == nil && (u.Status == qlik.StatusDeleted || qlik.EmailKey(u.Email) != email):
				return execution.Sight{Standing: execution.Ready}, nil
			case err != nil:
				return execution.Sight{}, lookError("reading an invited user", err)
			}
		}
		why, unclear := r.Open[email]
		if !unclear {
			continue
		}
		delete(r.Open, email)
		users := found[email]
		switch {
		case len(users) == 1 && createdBy(rec, users[0]):
			r.Partly[email] = why + "; an account was made, but the mail may not have been sent: look in the tenant's Administration"
		case len(users) > 0:
			r.There[email] = users[0].ID
		default:
			r.Failed[email] = why + "; no account was made"
		}
	}
	return r.sight(execution.Present, p.Emails), nil
}

func hasID(users []qlik.User, id string) bool {
	for _, u := range users {
		if u.ID == id {
			return true
		}
	}
	return false
}

// Do invites whoever is not there. What an earlier, unanswered send achieved
// is read first, because it stands nowhere else.
func (k inviteUsers) Do(ctx context.Context, w execution.Work) (execution.Answer, error) {
	var p Invitations
	c, err := open(k.clients, w, &p, &absent{})
	if err != nil {
		return execution.Answer{}, err
	}
	c = c.Bulk()
	found, err := c.Users.FindByEmails(ctx, p.Emails)
	if err != nil {
		// Only a read has failed: this send did not happen.
		failure := lookError("finding the addresses", err)
		if w.Record().Sends > 1 {
			return execution.Answer{}, asNotSent(failure)
		}
		return execution.Answer{}, failure
	}
	rec := w.Record()
	rec.Sends-- // of the sends before this one
	r, err := readInviteResult(approval.StepRecord{Result: sort(p, rec, found).Result})
	if err != nil {
		return execution.Answer{}, unreadable(w.Step(), err)
	}
	var invitees []qlik.Invitee
	for _, email := range p.Emails {
		if len(found[email]) == 0 {
			invitees = append(invitees, qlik.Invitee{Email: email, Language: p.Language})
		}
	}
	if len(invitees) == 0 {
		return execution.Answer{Result: must(r), Items: r.items(p.Emails)}, nil
	}
	results, err := c.Users.Invite(ctx, invitees)
	if err != nil {
		failure := writeError("invite", err)
		var e *execution.StepError
		if errors.Is(failure, execution.ErrRefused) && errors.Is(err, qlik.ErrForbidden) && errors.As(failure, &e) {
			e.Say = "Qlik refused the invitations: another identity provider may have become active, or the bot's OAuth client lacks a role. No mail was sent by this attempt."
		}
		answer := execution.Answer{}
		if len(r.Done)+len(r.There) > 0 {
			answer = execution.Answer{Result: must(r), Items: r.items(p.Emails)}
		}
		return answer, failure
	}
	for _, res := range results {
		r.take(res)
	}
	return execution.Answer{Result: must(r), Items: r.items(p.Emails)}, nil
}

// take sorts one result of Qlik's answer.
func (r inviteResult) take(res qlik.InviteResult) {
	switch res.Status {
	case qlik.InviteOK:
		r.Done[res.Email] = res.UserID
	case qlik.InviteExists:
		r.There[res.Email] = res.UserID
	case qlik.InviteError:
		why := inviteFailure(res)
		if res.Outcome() == qlik.OutcomeUnknown {
			r.Open[res.Email] = why
		} else {
			r.Failed[res.Email] = why + "; no mail was sent"
		}
	case qlik.InviteUnknown:
		r.Open[res.Email] = "Qlik's answer does not say what became of this invitation"
	}
}

// inviteFailure says in words what a code means (users.json: InviteErrorItem).
func inviteFailure(res qlik.InviteResult) string {
	switch res.Code {
	case qlik.InviteCodeActive:
		return "Qlik says that the person is active already (1001)"
	case qlik.InviteCodeDisabled:
		return "Qlik says that the person is disabled (1002)"
	case qlik.InviteCodeExternal:
		return "something that Qlik depends on failed (1003)"
	case "":
		return "Qlik refused the invitation without saying why"
	}
	return fmt.Sprintf("Qlik refused the invitation (%s)", strings.TrimSpace(res.Title+" "+res.Code))
}

// asNotSent makes an error one that is worth trying again: nothing was sent by
// this attempt, and what an earlier one achieved is still to be told.
func asNotSent(err error) error {
	var e *execution.StepError
	if errors.As(err, &e) {
		e.Class = execution.ErrNotSent
	}
	return err
}
