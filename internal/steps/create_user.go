package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// NewUser is a user to be made, active, with roles.
type NewUser struct {
	Subject string `json:"subject"`
	Email   string `json:"email"`
	Name    string `json:"name,omitempty"`
	Roles   []Role `json:"roles,omitempty"`
}

// absent is the before-state of what does not exist yet.
type absent struct {
	Absent bool `json:"absent"`
}

// CreateUser plans to make a user who signs in through the identity provider.
// The subject is the key by which it will be found. givesAdmin says whether
// one of the roles gives administrative power.
func CreateUser(tenant string, u NewUser, givesAdmin bool) approval.Step {
	u.Email = qlik.EmailKey(u.Email)
	line := fmt.Sprintf("Create %s (subject %s) on %s, active", u.Email, u.Subject, tenant)
	after := "none"
	if len(u.Roles) > 0 {
		after = roleNames(u.Roles)
		line += ", with " + after
	}
	return approval.Step{
		Kind: KindCreateUser, Tenant: tenant, Object: "subject:" + u.Subject,
		Params: must(u), Before: must(absent{true}),
		Line: line,
		Changes: []approval.Change{
			{Property: "account", Before: "none", After: "active"},
			{Property: "roles", Before: "none", After: after},
		},
		GivesAdmin: givesAdmin,
	}
}

type createUser struct{ clients Clients }

func (createUser) Repeat() execution.Repeat { return execution.AfterTwoLooks }

func (k createUser) Look(ctx context.Context, w execution.Work) (execution.Sight, error) {
	var p NewUser
	c, err := open(k.clients, w, &p, &absent{})
	if err != nil {
		return execution.Sight{}, err
	}
	var made userResult
	if raw := w.Record().Result; raw != nil {
		if err := strict(raw, &made); err != nil {
			return execution.Sight{}, unreadable(w.Step(), err)
		}
	}
	if made.ID != "" {
		// Lists can lag behind; the object itself does not.
		u, ok, err := getUser(ctx, c, made.ID)
		if err != nil {
			return execution.Sight{}, err
		}
		if ok {
			return p.judge(u), nil
		}
	}
	found, err := findUser(ctx, c, p.Subject, p.Email)
	if err != nil {
		return execution.Sight{}, err
	}
	switch len(found) {
	case 0:
		return execution.Sight{Standing: execution.Ready}, nil
	case 1:
		if !found[0].RolesVisible() {
			found[0], _, err = getUser(ctx, c, found[0].ID)
			if err != nil {
				return execution.Sight{}, err
			}
		}
		return p.judge(found[0]), nil
	}
	return changed("the subject and the e-mail address belong to different accounts by now"), nil
}

// findUser finds the accounts that have the subject or the address.
func findUser(ctx context.Context, c *qlik.Client, subject, email string) ([]qlik.User, error) {
	found, err := c.Users.FindBySubject(ctx, subject)
	if err != nil {
		return nil, lookError("finding the user by subject", err)
	}
	byEmail, err := c.Users.FindByEmail(ctx, email)
	if err != nil {
		return nil, lookError("finding the user by e-mail", err)
	}
	for _, u := range byEmail {
		if !slices.ContainsFunc(found, func(f qlik.User) bool { return f.ID == u.ID }) {
			found = append(found, u)
		}
	}
	return found, nil
}

// judge compares an account that has the subject or the address with the one
// that is wanted.
func (p NewUser) judge(u qlik.User) execution.Sight {
	switch {
	case u.Subject != p.Subject:
		return changed("an account with this e-mail address and another subject exists by now")
	case qlik.EmailKey(u.Email) != p.Email:
		return changed("an account with this subject and another e-mail address exists by now")
	case u.Status != qlik.StatusActive:
		return changed(fmt.Sprintf("the account exists by now and is %s", u.Status))
	}
	for _, r := range p.Roles {
		if !u.HasRole(r.Name) {
			return changed(fmt.Sprintf("the account exists by now, without the role %s", r.Name))
		}
	}
	return execution.Sight{Standing: execution.Present, Result: must(userResult{ID: u.ID})}
}

func (k createUser) Do(ctx context.Context, w execution.Work) (execution.Answer, error) {
	var p NewUser
	c, err := open(k.clients, w, &p, &absent{})
	if err != nil {
		return execution.Answer{}, err
	}
	req := qlik.CreateUserRequest{Subject: p.Subject, Name: p.Name, Email: p.Email, Status: qlik.StatusActive}
	for _, r := range p.Roles {
		req.AssignedRoles = append(req.AssignedRoles, r.ref())
	}
	u, err := c.Users.Create(ctx, req)
	if err != nil {
		failure := writeError("create user", err)
		var e *execution.StepError
		if errors.Is(failure, execution.ErrRefused) && errors.As(failure, &e) {
			switch {
			case errors.Is(err, qlik.ErrConflict) && w.Record().Sends > 1:
				// An earlier send may be what took the subject.
				e.Class, e.Say = execution.ErrInDoubt, "Qlik says that the subject or the e-mail address is taken, perhaps by the earlier attempt."
			case errors.Is(err, qlik.ErrConflict):
				e.Say = "Qlik says that the subject or the e-mail address is taken by somebody else; no account was created."
			case errors.Is(err, qlik.ErrBadRequest):
				e.Say = "Qlik does not take this account; some tenants create no active ones. " + e.Say
			}
		}
		return execution.Answer{}, failure
	}
	return execution.Answer{Result: must(userResult{ID: u.ID})}, nil
}
