package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// The kinds of steps.
const (
	KindCreateUser        = "create-user"
	KindAddRole           = "add-role"
	KindSetStatus         = "set-status"
	KindInviteUsers       = "invite-users"
	KindAddRolesToInvited = "add-roles-to-invited"
)

// Clients gives the client of the tenant with that label; an unknown label is
// an error.
type Clients func(label string) (*qlik.Client, error)

// Kinds are all kinds by name, for execution.Runner.
func Kinds(clients Clients) map[string]execution.Kind {
	return map[string]execution.Kind{
		KindCreateUser:        createUser{clients},
		KindAddRole:           addRole{clients},
		KindSetStatus:         setStatus{clients},
		KindInviteUsers:       inviteUsers{clients},
		KindAddRolesToInvited: addRolesToInvited{clients},
	}
}

// Role is a role as it stands in a step: both, because the name is what people
// agree to and the ID is what is sent.
type Role struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (r Role) ref() qlik.RoleRef { return qlik.RoleRef{ID: r.ID} }

// roleNames are the names, for a sentence.
func roleNames(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.Name
	}
	return strings.Join(names, ", ")
}

// UserState is what matters of a user as found when the plan was made.
type UserState struct {
	Subject string `json:"subject"`
	Email   string `json:"email"`
	Status  string `json:"status"`
	// Roles are the names of the directly held roles, sorted.
	Roles []string `json:"roles"`
}

// StateOf is the state of a user as read.
func StateOf(u qlik.User) UserState {
	s := UserState{Subject: u.Subject, Email: qlik.EmailKey(u.Email), Status: u.Status, Roles: []string{}}
	for _, r := range u.AssignedRoles {
		s.Roles = append(s.Roles, r.Name)
	}
	slices.Sort(s.Roles)
	return s
}

// differsFrom says in words how the state differs from the planned one; empty when
// it does not.
func (s UserState) differsFrom(planned UserState) string {
	switch {
	case s.Subject != planned.Subject:
		return "the account has another subject than when this was planned"
	case s.Email != planned.Email:
		return "the account has another e-mail address than when this was planned"
	case s.Status != planned.Status:
		return fmt.Sprintf("the status is %s, and was %s when this was planned", s.Status, planned.Status)
	case !slices.Equal(s.Roles, planned.Roles):
		return fmt.Sprintf("the roles are %s, and were %s when this was planned", list(s.Roles), list(planned.Roles))
	}
	return ""
}

// samePerson says whether it is the account that was planned for.
func (s UserState) samePerson(planned UserState) bool {
	return s.Subject == planned.Subject && s.Email == planned.Email
}

// list is names for a sentence.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// open reads a step's parameters and before-state and finds its client. A
// step that this program cannot read whole is refused: skipping what is
// unknown could do less, or more, than was agreed to.
func open(clients Clients, w execution.Work, params, before any) (*qlik.Client, error) {
	s := w.Step()
	if err := strict(s.Params, params); err != nil {
		return nil, unreadable(s, err)
	}
	if before != nil {
		if err := strict(s.Before, before); err != nil {
			return nil, unreadable(s, err)
		}
	}
	client, err := clients(s.Tenant)
	if err != nil {
		return nil, &execution.StepError{
			Class: execution.ErrRefused,
			Say:   fmt.Sprintf("The tenant %s is not configured any more; nothing was sent.", s.Tenant),
			Cause: err,
		}
	}
	return client, nil
}

func strict(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return errors.New("nothing there")
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func unreadable(s approval.Step, err error) error {
	return &execution.StepError{
		Class: execution.ErrRefused,
		Say:   "This step was written by another version of the bot and cannot be read; nothing was sent.",
		Cause: fmt.Errorf("step %s: %w", s.Kind, err),
	}
}

// must writes plain data that this package made; it cannot fail.
func must(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("steps: %T cannot be written as JSON: %v", v, err))
	}
	return raw
}

// userResult is what create-user keeps of the account that it made.
type userResult struct {
	ID string `json:"id,omitempty"`
}

// getUser reads one user for a look. ok is false when there is none.
func getUser(ctx context.Context, c *qlik.Client, id string) (u qlik.User, ok bool, err error) {
	u, err = c.Users.Get(ctx, id)
	switch {
	case errors.Is(err, qlik.ErrNotFound):
		return qlik.User{}, false, nil
	case err != nil:
		return qlik.User{}, false, lookError("reading the user", err)
	case u.Status == qlik.StatusDeleted:
		return qlik.User{}, false, nil
	case !u.RolesVisible():
		return qlik.User{}, false, &execution.StepError{
			Class: execution.ErrRefused,
			Say:   "Qlik does not show the user's roles to the bot; its OAuth client needs the admin_classic scope.",
		}
	}
	return u, true, nil
}

// lookAtUser is the look of a step on one account that existed at planning. It
// reads the step's parameters into params; done, asked after that, says whether
// the account already is as the step would leave it.
func lookAtUser(ctx context.Context, clients Clients, w execution.Work, params any, done func(qlik.User) bool) (execution.Sight, error) {
	var before UserState
	c, err := open(clients, w, params, &before)
	if err != nil {
		return execution.Sight{}, err
	}
	u, ok, err := getUser(ctx, c, w.Step().Object)
	if err != nil {
		return execution.Sight{}, err
	}
	if !ok {
		return changed("the account does not exist any more"), nil
	}
	now := StateOf(u)
	if now.samePerson(before) && done(u) {
		return execution.Sight{Standing: execution.Present}, nil
	}
	if why := now.differsFrom(before); why != "" {
		return changed(why), nil
	}
	return execution.Sight{Standing: execution.Ready}, nil
}

func changed(why string) execution.Sight {
	return execution.Sight{Standing: execution.Changed, Why: sentence(why)}
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
