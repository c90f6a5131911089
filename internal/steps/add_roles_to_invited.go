package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// InvitedRoles are the roles of one person whom an earlier step of the same
// plan invites.
type InvitedRoles struct {
	// InviteStep is the index of that step.
	InviteStep int    `json:"invite_step"`
	Email      string `json:"email"`
	Roles      []Role `json:"roles"`
}

// invitedBefore is the state that the step relies on: the account is one that
// this plan made.
type invitedBefore struct {
	CreatedByStep int `json:"created_by_step"`
}

// AddRolesToInvited plans to give roles to a person whom this plan invites. It
// applies only if that invitation created the account. givesAdmin says whether
// one of the roles gives administrative power.
func AddRolesToInvited(tenant string, p InvitedRoles, givesAdmin bool) approval.Step {
	p.Email = qlik.EmailKey(p.Email)
	return approval.Step{
		Kind: KindAddRolesToInvited, Tenant: tenant, Object: "email:" + p.Email,
		Params: must(p), Before: must(invitedBefore{p.InviteStep}),
		Line:       fmt.Sprintf("Give %s, once invited, on %s: %s", p.Email, tenant, roleNames(p.Roles)),
		Changes:    []approval.Change{{Property: "roles", Before: "none", After: roleNames(p.Roles)}},
		GivesAdmin: givesAdmin,
	}
}

type addRolesToInvited struct{ clients Clients }

func (addRolesToInvited) Repeat() execution.Repeat { return execution.AfterOneLook }

// invited finds the account in the record of the invitation.
func (p InvitedRoles) invited(w execution.Work) (id string, ok bool, err error) {
	if p.InviteStep < 0 || p.InviteStep >= w.Index || w.Plan.Steps[p.InviteStep].Kind != KindInviteUsers {
		return "", false, unreadable(w.Step(), fmt.Errorf("step %d invites nobody", p.InviteStep))
	}
	r, err := readInviteResult(w.Records[p.InviteStep])
	if err != nil {
		return "", false, unreadable(w.Step(), err)
	}
	id, ok = r.created(p.Email)
	return id, ok && id != "", nil
}

// told says whether the record of an invitation tells what became of that
// address. It does not where a person's word stands for an answer.
func told(rec approval.StepRecord, email string) bool {
	r, err := readInviteResult(rec)
	if err != nil || rec.Result == nil {
		return false
	}
	for _, known := range []map[string]string{r.Done, r.There, r.Partly, r.Failed} {
		if _, ok := known[email]; ok {
			return true
		}
	}
	return false
}

// missing are the roles that the user does not hold directly.
func (p InvitedRoles) missing(u qlik.User) []Role {
	var missing []Role
	for _, r := range p.Roles {
		if !holds(u, r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// find reads the account that the invitation made. A nil user comes with the
// sight that says why there is none to work on.
func (k addRolesToInvited) find(ctx context.Context, c *qlik.Client, p InvitedRoles, w execution.Work) (*qlik.User, execution.Sight, error) {
	id, ok, err := p.invited(w)
	if err != nil {
		return nil, execution.Sight{}, err
	}
	if !ok && w.Records[p.InviteStep].State == approval.StepDone && !told(w.Records[p.InviteStep], p.Email) {
		return nil, changed("it is not known whether the invitation created the account: a person settled it, and the bot could not read it back; give the roles by hand"), nil
	}
	if !ok {
		return nil, execution.Sight{Standing: execution.Needless,
			Why: fmt.Sprintf("%s was not created by this request, so no roles were given.", p.Email)}, nil
	}
	u, ok, err := getUser(ctx, c, id)
	if err != nil {
		return nil, execution.Sight{}, err
	}
	switch {
	case !ok:
		return nil, changed("the invited account does not exist any more"), nil
	case qlik.EmailKey(u.Email) != p.Email:
		return nil, changed("the invited account has another e-mail address by now"), nil
	case u.Status != qlik.StatusInvited && u.Status != qlik.StatusActive:
		return nil, changed(fmt.Sprintf("the invited account is %s by now", u.Status)), nil
	}
	return &u, execution.Sight{}, nil
}

func (k addRolesToInvited) Look(ctx context.Context, w execution.Work) (execution.Sight, error) {
	var p InvitedRoles
	c, err := open(k.clients, w, &p, &invitedBefore{})
	if err != nil {
		return execution.Sight{}, err
	}
	u, sight, err := k.find(ctx, c.Bulk(), p, w)
	if err != nil || u == nil {
		return sight, err
	}
	if len(p.missing(*u)) == 0 {
		return execution.Sight{Standing: execution.Present}, nil
	}
	return execution.Sight{Standing: execution.Ready}, nil
}

// Do gives the roles that are missing, one after the other: tenants that take
// no single role take no list of single ones either.
func (k addRolesToInvited) Do(ctx context.Context, w execution.Work) (execution.Answer, error) {
	var p InvitedRoles
	c, err := open(k.clients, w, &p, &invitedBefore{})
	if err != nil {
		return execution.Answer{}, err
	}
	c = c.Bulk()
	u, sight, err := k.find(ctx, c, p, w)
	if err != nil {
		return execution.Answer{}, err
	}
	if u == nil {
		return execution.Answer{}, &execution.StepError{Class: execution.ErrRefused, Say: sight.Why}
	}
	var given []string
	for _, r := range p.Roles {
		if holds(*u, r) {
			given = append(given, r.Name)
		}
	}
	sent := 0
	for _, role := range p.missing(*u) {
		if err := c.Users.AddRole(ctx, u.ID, role.ref()); err != nil {
			failure := writeError("add role", err)
			var e *execution.StepError
			if !errors.As(failure, &e) {
				return execution.Answer{}, failure
			}
			if sent > 0 {
				// This one may be without effect, but the step is not.
				e.Class = execution.ErrInDoubt
			}
			e.Say = fmt.Sprintf("The role %s: %s", role.Name, e.Say)
			if len(given) > 0 {
				e.Say += fmt.Sprintf(" Given already: %s.", strings.Join(given, ", "))
			}
			return execution.Answer{}, failure
		}
		sent++
		given = append(given, role.Name)
	}
	return execution.Answer{}, nil
}
