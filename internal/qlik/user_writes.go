package qlik

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// CreateUserRequest is a user to be made.
type CreateUserRequest struct {
	// Subject is exactly what the identity provider will send. Required.
	Subject string
	// Name and Email are optional; the address must not be that of another
	// user who is not deleted.
	Name, Email string
	// Status is StatusActive, for somebody who will sign in through the
	// identity provider, or StatusInvited. Required: Qlik does not say what it
	// takes when there is none. (users.json lists only "invited"; Qlik's pages
	// use "active" throughout. A tenant that disagrees answers 400.)
	Status string
	// AssignedRoles by ID or name, not mixed.
	AssignedRoles []RoleRef
}

// Create makes a user (users.json: POST /api/v1/users). It sends no mail. A
// subject or e-mail address that is taken is ErrConflict.
func (s *UsersService) Create(ctx context.Context, req CreateUserRequest) (User, error) {
	body := struct {
		Subject       string    `json:"subject"`
		Name          string    `json:"name,omitempty"`
		Email         string    `json:"email,omitempty"`
		Status        string    `json:"status"`
		AssignedRoles []RoleRef `json:"assignedRoles,omitempty"`
	}{req.Subject, req.Name, req.Email, req.Status, req.AssignedRoles}
	r := request{op: opUsersCreate, body: body}
	switch {
	case req.Subject == "":
		r.invalid = fmt.Errorf("%w: the subject is empty", ErrInvalid)
	case req.Status != StatusActive && req.Status != StatusInvited:
		r.invalid = fmt.Errorf("%w: a user is created active or invited", ErrInvalid)
	}
	var user User
	err := s.c.do(ctx, r, func(a answer) error {
		u, err := decodeUser(a.body)
		user = u
		return err
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// Patch changes a user (users.json: PATCH /api/v1/users/{userId}). A 207 is a
// *PartialError. Writes to one user through this client wait for each other.
func (s *UsersService) Patch(ctx context.Context, id string, ops []PatchOp) error {
	unlock, err := s.c.lock(ctx, opUsersPatch, "user "+id)
	if err != nil {
		return err
	}
	defer unlock()
	return s.patch(ctx, id, ops)
}

// patch is Patch for those who hold the user's lock.
func (s *UsersService) patch(ctx context.Context, id string, ops []PatchOp) error {
	r := request{op: opUsersPatch, path: []string{id}, body: ops}
	if len(ops) == 0 {
		r.invalid = fmt.Errorf("%w: nothing to change", ErrInvalid)
	}
	return s.c.do(ctx, r, decodeNothing)
}

// decodeNothing takes an answer whose body does not matter: none is expected,
// but 200 with a page of HTML or with errors inside is not taken for success.
func decodeNothing(a answer) error {
	if a.status == http.StatusNoContent || len(bytes.TrimSpace(a.body)) == 0 {
		return nil
	}
	var w struct {
		Errors json.RawMessage `json:"errors"`
	}
	if err := unmarshal(a.body, &w); err != nil {
		return err
	}
	if len(w.Errors) > 0 && string(w.Errors) != "null" && string(w.Errors) != "[]" {
		return fmt.Errorf("%w: success with errors inside", ErrGarbled)
	}
	return nil
}

// SetStatus makes a user active or disabled. An invited user who is made active
// no longer needs the invitation.
func (s *UsersService) SetStatus(ctx context.Context, id, status string) error {
	if status != StatusActive && status != StatusDisabled {
		return s.c.refuse(opUsersPatch, fmt.Errorf("%w: a status can be set to active or disabled", ErrInvalid))
	}
	return s.Patch(ctx, id, []PatchOp{Replace("/status", status)})
}

const (
	pathAssignedRoles = "/assignedRoles"
	pathAppendRole    = "/assignedRoles/-"
)

// AddRole gives a user one more role, directly. Tenants that do not take a
// single role (400) are asked for the user's roles and given the whole list
// with the new one; a user who turns out to hold it already is success. Other
// programs can change the roles in between and be undone by the list, so read
// back afterwards.
func (s *UsersService) AddRole(ctx context.Context, id string, role RoleRef) error {
	if role.ID == "" && role.Name == "" {
		return s.c.refuse(opUsersPatch, fmt.Errorf("%w: a role has neither ID nor name", ErrInvalid))
	}
	return s.changeRole(ctx, id, Add(pathAppendRole, role), func(held []AssignedRole) ([]RoleRef, bool) {
		wanted := make([]RoleRef, 0, len(held)+1)
		for _, h := range held {
			if role.ID != "" && h.ID == role.ID || role.ID == "" && h.Name == role.Name {
				return nil, false
			}
			wanted = append(wanted, RoleRef{ID: h.ID})
		}
		if role.ID == "" {
			// The list must not mix IDs and names.
			for i, h := range held {
				wanted[i] = RoleRef{Name: h.Name}
			}
		}
		return append(wanted, role), true
	})
}

// RemoveRole takes a directly held role from a user. The role's ID is required:
// Qlik documents no other way. It falls back like AddRole; a user who does not
// hold the role is success.
func (s *UsersService) RemoveRole(ctx context.Context, id string, role RoleRef) error {
	if role.ID == "" {
		return s.c.refuse(opUsersPatch, fmt.Errorf("%w: removing a role needs its ID", ErrInvalid))
	}
	op := RemoveValue(pathAssignedRoles, RoleRef{ID: role.ID})
	return s.changeRole(ctx, id, op, func(held []AssignedRole) ([]RoleRef, bool) {
		wanted := make([]RoleRef, 0, len(held))
		for _, h := range held {
			if h.ID != role.ID {
				wanted = append(wanted, RoleRef{ID: h.ID})
			}
		}
		return wanted, len(wanted) != len(held)
	})
}

// changeRole tries the delta and, where the tenant answers 400 to it, replaces
// the whole list by what change makes of it. change returns false when the
// roles are as wanted already.
//
// The error is that of the last write. Where nothing could be written after
// the delta was refused, it is that refusal or, if reading failed, a write
// without effect: in both cases the tenant is as it was.
func (s *UsersService) changeRole(ctx context.Context, id string, delta PatchOp,
	change func([]AssignedRole) ([]RoleRef, bool),
) error {
	unlock, err := s.c.lock(ctx, opUsersPatch, "user "+id)
	if err != nil {
		return err
	}
	defer unlock()
	refusal := s.patch(ctx, id, []PatchOp{delta})
	if !errors.Is(refusal, ErrBadRequest) || !errors.Is(refusal, ErrRefused) {
		return refusal // nil, or an error that the whole list would meet too
	}
	user, err := s.Get(ctx, id)
	if err != nil {
		return s.c.refuse(opUsersPatch, err)
	}
	if !user.RolesVisible() {
		// Replacing a list that was not shown would take every role away.
		return refusal
	}
	for _, r := range user.AssignedRoles {
		if r.ID == "" || r.Name == "" {
			return refusal
		}
	}
	wanted, needed := change(user.AssignedRoles)
	if !needed {
		return nil
	}
	return s.patch(ctx, id, []PatchOp{Replace(pathAssignedRoles, wanted)})
}

// MaxInvitees is how many people Invite takes in one call. Qlik names no
// figure; this one keeps the answer small enough to act on.
const MaxInvitees = 50

// Invitee is a person to be invited.
type Invitee struct {
	Email string // required
	Name  string
	// Resend sends the mail again to somebody who is invited already.
	Resend bool
	// Language is an ISO 639-1 code; empty: Qlik's default, English.
	Language string
}

// InviteStatus is what became of one invitation.
type InviteStatus string

// The results of an invitation (users.json: ResultItem and InviteErrorItem).
const (
	// InviteOK: a user was made and the mail was sent.
	InviteOK InviteStatus = "ok"
	// InviteExists: the user was there already; no mail was sent.
	InviteExists InviteStatus = "exists"
	// InviteError: see Code.
	InviteError InviteStatus = "error"
	// InviteUnknown: the answer says nothing, or nothing clear, of this person.
	// Read the user to find out.
	InviteUnknown InviteStatus = "unknown"
)

// The codes of an InviteResult that are not HTTP statuses
// (users.json: InviteErrorItem.code).
const (
	InviteCodeActive   = "1001" // the user is active
	InviteCodeDisabled = "1002" // the user is disabled
	InviteCodeExternal = "1003" // something that Qlik depends on failed
)

// InviteResult is what became of one invitation.
type InviteResult struct {
	// Email is the address as it was asked for.
	Email  string
	Status InviteStatus
	// UserID and Subject are filled for InviteOK and InviteExists.
	UserID, Subject string
	// Code, Title and Detail are filled for InviteError.
	Code, Title, Detail string
}

// Outcome says what the result means for the tenant. An existing user is
// OutcomeDone: nothing is left to do, and no mail was sent. A failure that is
// not a plain no may have left a user behind and is OutcomeUnknown.
func (r InviteResult) Outcome() OutcomeKind {
	switch r.Status {
	case InviteOK, InviteExists:
		return OutcomeDone
	case InviteError:
		return inviteFailure(r.Code)
	case InviteUnknown:
	}
	return OutcomeUnknown
}

// inviteFailure sorts the codes: plain refusals, whether Qlik's own or HTTP's,
// and everything else, which may have come after the user was made.
func inviteFailure(code string) OutcomeKind {
	if code == InviteCodeActive || code == InviteCodeDisabled {
		return OutcomeRefused
	}
	status, err := strconv.Atoi(code)
	switch {
	case err != nil || status == http.StatusRequestTimeout:
		return OutcomeUnknown
	case status == http.StatusTooManyRequests:
		return OutcomeNotSent
	case 400 <= status && status < 500:
		return OutcomeRefused
	}
	return OutcomeUnknown
}

// Invite invites people in one call (users.json: POST
// /api/v1/users/actions/invite). The results stand in the order of the
// invitees, one for each; look at each, for success of the call says nothing
// of the people. Roles cannot be given along. Two invitees with the same
// address, or more than MaxInvitees, are ErrInvalid.
func (s *UsersService) Invite(ctx context.Context, invitees []Invitee) ([]InviteResult, error) {
	type inviteeJSON struct {
		Email    string `json:"email"`
		Name     string `json:"name,omitempty"`
		Resend   bool   `json:"resend,omitempty"`
		Language string `json:"language,omitempty"`
	}
	var body struct {
		Invitees []inviteeJSON `json:"invitees"`
	}
	r := request{op: opUsersInvite}
	asked := make(map[string]bool, len(invitees))
	for _, v := range invitees {
		key := EmailKey(v.Email)
		switch {
		case key == "":
			r.invalid = fmt.Errorf("%w: an e-mail address is empty", ErrInvalid)
		case asked[key]:
			r.invalid = fmt.Errorf("%w: an e-mail address occurs twice", ErrInvalid)
		}
		asked[key] = true
		body.Invitees = append(body.Invitees, inviteeJSON(v))
	}
	switch {
	case len(invitees) == 0:
		r.invalid = fmt.Errorf("%w: nobody to invite", ErrInvalid)
	case len(invitees) > MaxInvitees:
		r.invalid = fmt.Errorf("%w: more than %d people in one invitation", ErrInvalid, MaxInvitees)
	}
	r.body = body
	var answers map[string]InviteResult
	err := s.c.do(ctx, r, func(a answer) (err error) {
		answers, err = decodeInvite(a.body)
		return err
	})
	if err != nil {
		return nil, err
	}
	results := make([]InviteResult, len(invitees))
	for i, v := range invitees {
		result, ok := answers[EmailKey(v.Email)]
		if !ok {
			result = InviteResult{Status: InviteUnknown}
		}
		result.Email = v.Email
		results[i] = result
	}
	return results, nil
}

// decodeInvite reads the answer by address. Two different answers for one
// address, or one that lacks what its status promises, are InviteUnknown.
func decodeInvite(body []byte) (map[string]InviteResult, error) {
	var w struct {
		Data *[]struct {
			Status  string          `json:"status"`
			Email   string          `json:"email"`
			UserID  string          `json:"userId"`
			Subject string          `json:"subject"`
			Code    json.RawMessage `json:"code"` // number or string
			Title   string          `json:"title"`
			Detail  string          `json:"detail"`
		} `json:"data"`
	}
	if err := unmarshal(body, &w); err != nil {
		return nil, err
	}
	if w.Data == nil {
		return nil, fmt.Errorf("%w: no results", ErrGarbled)
	}
	answers := make(map[string]InviteResult, len(*w.Data))
	for _, d := range *w.Data {
		result := InviteResult{Status: InviteUnknown}
		switch status := InviteStatus(d.Status); {
		case (status == InviteOK || status == InviteExists) && d.UserID != "":
			result = InviteResult{Status: status, UserID: d.UserID, Subject: d.Subject}
		case status == InviteError:
			result = InviteResult{Status: status, Code: scalar(d.Code), Title: clean(d.Title, maxTitle), Detail: clean(d.Detail, maxDetail)}
		}
		key := EmailKey(d.Email)
		if earlier, again := answers[key]; again && earlier != result {
			result = InviteResult{Status: InviteUnknown}
		}
		answers[key] = result
	}
	return answers, nil
}
