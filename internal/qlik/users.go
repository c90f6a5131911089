package qlik

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Statuses of a user (users.json: User.status). The console's "pending" is
// StatusInvited; its "orphan" and "requested" are no statuses of the API.
const (
	StatusActive      = "active"
	StatusInvited     = "invited"
	StatusDisabled    = "disabled"
	StatusProvisioned = "provisioned" // made by SCIM
	StatusDeleted     = "deleted"
)

// LivingStatuses are all statuses but deleted: what a search for a person has
// to name, because Qlik does not say which statuses a filter without any finds.
func LivingStatuses() []string {
	return []string{StatusActive, StatusInvited, StatusDisabled, StatusProvisioned}
}

// User is a user of one tenant (users.json: User).
type User struct {
	// ID is the tenant's own; never empty.
	ID string
	// Subject is what the identity provider sends; the same person has the
	// same subject in other tenants with the same provider.
	Subject string
	// Name and Email may be empty, as the e-mail of bot users is.
	Name, Email string
	// Status is one of the Status constants.
	Status   string
	TenantID string
	// ClientID is filled for bot users only.
	ClientID string
	// AssignedRoles are the roles held directly. Nil when the answer has none
	// of them to show, which is not the same as holding none; see RolesVisible.
	AssignedRoles []AssignedRole
	// AssignedGroups are the groups, with the roles that come through them.
	AssignedGroups []AssignedGroup
	// InviteExpiry is when an invitation ends, in Unix seconds; 0 for none.
	InviteExpiry             int64
	CreatedAt, LastUpdatedAt time.Time // zero when not said
}

// AssignedRole is a role as it stands in a user or a group.
type AssignedRole struct {
	ID, Name string
	Type     string // "default" or "custom"
	Level    string // "admin" or "user"
}

// AssignedGroup is a group as it stands in a user.
type AssignedGroup struct {
	ID, Name      string
	ProviderType  string // "idp" or "custom"
	AssignedRoles []AssignedRole
}

// RoleRef names a role in a request: by ID where it is set, else by name.
type RoleRef struct {
	ID, Name string
}

// MarshalJSON writes {"id":…} or {"name":…}.
func (r RoleRef) MarshalJSON() ([]byte, error) {
	switch {
	case r.ID != "":
		return json.Marshal(map[string]string{"id": r.ID})
	case r.Name != "":
		return json.Marshal(map[string]string{"name": r.Name})
	default:
		return nil, fmt.Errorf("%w: a role has neither ID nor name", ErrInvalid)
	}
}

// IsBot says whether the user is an OAuth client's, the bot's own included.
func (u User) IsBot() bool {
	const prefix = `qlikbot\`
	return u.ClientID != "" ||
		len(u.Subject) >= len(prefix) && strings.EqualFold(u.Subject[:len(prefix)], prefix)
}

// RolesVisible says whether the answer told the directly held roles at all.
// Qlik leaves them out for callers without access to roles.
func (u User) RolesVisible() bool { return u.AssignedRoles != nil }

// HasRole says whether the user holds the role directly. Case matters.
func (u User) HasRole(name string) bool {
	for _, r := range u.AssignedRoles {
		if r.Name == name {
			return true
		}
	}
	return false
}

// RoleThroughGroups gives the names of the user's groups that bring the role.
// The system group Everyone is not among a user's groups.
func (u User) RoleThroughGroups(name string) []string {
	var groups []string
	for _, g := range u.AssignedGroups {
		for _, r := range g.AssignedRoles {
			if r.Name == name {
				groups = append(groups, g.Name)
				break
			}
		}
	}
	return groups
}

// InviteExpiresAt is InviteExpiry as a time; false when there is none.
func (u User) InviteExpiresAt() (time.Time, bool) {
	if u.InviteExpiry <= 0 {
		return time.Time{}, false
	}
	return time.Unix(u.InviteExpiry, 0).UTC(), true
}

// EmailKey is the form in which e-mail addresses are compared: ASCII letters in
// lower case, all else as it is. Unicode's case folding would make different
// addresses equal (the Kelvin sign and k).
func EmailKey(email string) string {
	b := []byte(email)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// UserReader reads users.
type UserReader struct{ c caller }

// UsersService reads and changes users. Its writes are in user_writes.go.
type UsersService struct{ UserReader }

// Get reads one user by ID (users.json: GET /api/v1/users/{userId}).
// A user who does not exist is ErrNotFound.
func (r UserReader) Get(ctx context.Context, id string) (User, error) {
	var user User
	err := r.c.do(ctx, request{op: opUsersGet, path: []string{id}}, func(a answer) error {
		u, err := decodeUser(a.body)
		if err == nil && u.ID != id {
			err = fmt.Errorf("%w: another user than the one asked for", ErrGarbled)
		}
		user = u
		return err
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// ListUsersOptions choose and order users.
type ListUsersOptions struct {
	// Filter chooses. Where it names no status, all of LivingStatuses are
	// asked for.
	Filter Filter
	// Fields limits what is filled, by API names; "id" is added. Empty: all.
	Fields []string
	// Sort is an API name, with "-" before it for descending; empty: by name.
	Sort string
	// PageSize is how many are read at once, 1 to 100. Default 100.
	PageSize int
}

// List reads users page by page (users.json: GET /api/v1/users). An error ends
// the sequence: what came before it is not the whole list.
func (r UserReader) List(ctx context.Context, opts ListUsersOptions) iter.Seq2[User, error] {
	if len(opts.Filter.statuses) == 0 {
		opts.Filter = opts.Filter.StatusIn(LivingStatuses()...)
	}
	query := url.Values{}
	query.Set("filter", opts.Filter.String())
	if len(opts.Fields) > 0 {
		query.Set("fields", strings.Join(append([]string{"id"}, opts.Fields...), ","))
	}
	if opts.Sort != "" {
		query.Set("sort", opts.Sort)
	}
	return paginate(ctx, r.c, pageRequest{
		op: opUsersList, query: query, size: opts.PageSize, invalid: opts.Filter.Err(),
	}, decodeUser)
}

// FindByEmail finds the users with exactly this address, in any living status.
// There can be several: older tenants hold duplicates. None is an empty list.
func (r UserReader) FindByEmail(ctx context.Context, email string) ([]User, error) {
	found, err := r.FindByEmails(ctx, []string{email})
	if err != nil {
		return nil, err
	}
	return found[EmailKey(email)], nil
}

// FindBySubject finds the users with exactly this subject, case included, in
// any living status.
func (r UserReader) FindBySubject(ctx context.Context, subject string) ([]User, error) {
	var users []User
	for u, err := range r.List(ctx, ListUsersOptions{Filter: Where(Eq(FieldSubject, subject))}) {
		if err != nil {
			return nil, err
		}
		if u.Subject == subject {
			users = append(users, u)
		}
	}
	return users, nil
}

// Addresses looked up in one call: few enough that the address of the request
// stays short and the filter like Qlik's examples.
const (
	maxEmailsPerFilter = 25
	maxFilterBytes     = 2000
)

// FindByEmails finds the users with these addresses, in any living status, some
// addresses a call. The map has a key for every address asked for, in the form
// of EmailKey; nobody found is an empty list.
func (r UserReader) FindByEmails(ctx context.Context, emails []string) (map[string][]User, error) {
	found := make(map[string][]User, len(emails))
	var batch []Condition
	inBatch := map[string]bool{}
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		for u, err := range r.List(ctx, ListUsersOptions{Filter: Where(Or(batch...))}) {
			if err != nil {
				return err
			}
			if key := EmailKey(u.Email); inBatch[key] {
				found[key] = append(found[key], u)
			}
		}
		batch, size = batch[:0], 0
		clear(inBatch)
		return nil
	}
	for _, email := range emails {
		key := EmailKey(email)
		if _, again := found[key]; again {
			continue
		}
		c := Eq(FieldEmail, key)
		if len(batch) > 0 && (len(batch) >= maxEmailsPerFilter || size+len(c.expr) > maxFilterBytes) {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		found[key], inBatch[key] = []User{}, true
		batch, size = append(batch, c), size+len(c.expr)+len(" or ")
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return found, nil
}

// userJSON is a user on the wire. assignedRoles is a pointer's worth of
// difference between "[]" and nothing, kept by the nil slice.
type userJSON struct {
	ID             string          `json:"id"`
	Subject        string          `json:"subject"`
	Name           string          `json:"name"`
	Email          string          `json:"email"`
	Status         string          `json:"status"`
	TenantID       string          `json:"tenantId"`
	ClientID       string          `json:"clientId"`
	AssignedRoles  []roleRefJSON   `json:"assignedRoles"`
	AssignedGroups []groupRefJSON  `json:"assignedGroups"`
	InviteExpiry   json.RawMessage `json:"inviteExpiry"`
	CreatedAt      json.RawMessage `json:"createdAt"`
	LastUpdatedAt  json.RawMessage `json:"lastUpdatedAt"`
}

type roleRefJSON struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Level string `json:"level"`
}

type groupRefJSON struct {
	ID            string        `json:"id"`
	Name          string        `json:"name"`
	ProviderType  string        `json:"providerType"`
	AssignedRoles []roleRefJSON `json:"assignedRoles"`
}

// decodeUser is strict about what decisions rest on and easy about the rest:
// a user without an ID is no user, a date that cannot be read is no date.
func decodeUser(raw json.RawMessage) (User, error) {
	var w userJSON
	if err := unmarshal(raw, &w); err != nil {
		return User{}, err
	}
	if w.ID == "" {
		return User{}, fmt.Errorf("%w: a user without an ID", ErrGarbled)
	}
	u := User{
		ID: w.ID, Subject: w.Subject, Name: w.Name, Email: w.Email, Status: w.Status,
		TenantID: w.TenantID, ClientID: w.ClientID,
		AssignedRoles: assignedRoles(w.AssignedRoles),
		InviteExpiry:  unixSeconds(w.InviteExpiry),
		CreatedAt:     timestamp(w.CreatedAt), LastUpdatedAt: timestamp(w.LastUpdatedAt),
	}
	for _, g := range w.AssignedGroups {
		u.AssignedGroups = append(u.AssignedGroups, AssignedGroup{
			ID: g.ID, Name: g.Name, ProviderType: g.ProviderType, AssignedRoles: assignedRoles(g.AssignedRoles),
		})
	}
	return u, nil
}

func assignedRoles(in []roleRefJSON) []AssignedRole {
	if in == nil {
		return nil
	}
	out := make([]AssignedRole, len(in))
	for i, r := range in {
		out[i] = AssignedRole(r)
	}
	return out
}

func unixSeconds(raw json.RawMessage) int64 {
	f, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || f <= 0 || f > 1<<40 {
		return 0
	}
	return int64(f)
}

// timestamp reads a time or, as in tenants.json, a date.
func timestamp(raw json.RawMessage) time.Time {
	text := strings.Trim(string(raw), `"`)
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
