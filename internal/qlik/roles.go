package qlik

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"unicode"
)

// Role is a security role of a tenant (roles.json: Role). Which ones exist
// depends on the subscription.
type Role struct {
	ID string
	// Name is unique in the tenant and case-sensitive.
	Name        string
	Type        string // "default" or "custom"
	Level       string // "admin" or "user"
	Description string
	Permissions []string
	Scopes      []string // assignedScopes
}

// GivesAdmin says whether the role is of the administrators' level. A level
// that is not told counts as one.
func (r Role) GivesAdmin() bool { return r.Level != "user" }

// RoleReader reads roles.
type RoleReader struct{ c caller }

// RolesService reads roles. Changing them is not among the bot's powers: who
// can change a role can raise its holders.
type RolesService struct{ RoleReader }

// ListRolesOptions order roles.
type ListRolesOptions struct {
	// Sort is an API name, with "-" before it for descending; empty: Qlik's order.
	Sort string
	// PageSize is how many are read at once, 1 to 100. Default 100.
	PageSize int
}

// List reads roles page by page (roles.json: GET /api/v1/roles). An error ends
// the sequence.
func (r RoleReader) List(ctx context.Context, opts ListRolesOptions) iter.Seq2[Role, error] {
	query := url.Values{}
	if opts.Sort != "" {
		query.Set("sort", opts.Sort)
	}
	return paginate(ctx, r.c, pageRequest{op: opRolesList, query: query, size: opts.PageSize}, decodeRole)
}

// RoleNotFoundError says that a tenant has no role of this name. It is
// ErrNotFound.
type RoleNotFoundError struct {
	Tenant, Name string
	// Near are the names of roles that may have been meant, nearest first, at
	// most five.
	Near []string
}

// Error names the role and those that may have been meant.
func (e *RoleNotFoundError) Error() string {
	s := fmt.Sprintf("no role %q on %s", e.Name, e.Tenant)
	if len(e.Near) > 0 {
		s += fmt.Sprintf("; there is %q", e.Near)
	}
	return s
}

// Is makes it ErrNotFound.
func (e *RoleNotFoundError) Is(target error) bool { return target == ErrNotFound }

// ByName finds a role by its exact name, case included. Where there is none,
// the error is a *RoleNotFoundError.
func (r RoleReader) ByName(ctx context.Context, name string) (Role, error) {
	var found []Role
	var names []string
	for role, err := range r.List(ctx, ListRolesOptions{}) {
		if err != nil {
			return Role{}, err
		}
		if role.Name == name {
			found = append(found, role)
		}
		names = append(names, role.Name)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Role{}, &RoleNotFoundError{Tenant: r.c.core.label, Name: name, Near: nearNames(name, names)}
	default:
		return Role{}, &Error{Operation: opRolesList.Name, Tenant: r.c.core.label, kind: ErrGarbled,
			note: fmt.Sprintf("%d roles of the same name", len(found))}
	}
}

func decodeRole(raw json.RawMessage) (Role, error) {
	var w struct {
		ID          string   `json:"id"`
		Name        string   `json:"name"`
		Type        string   `json:"type"`
		Level       string   `json:"level"`
		Description string   `json:"description"`
		Permissions []string `json:"permissions"`
		Scopes      []string `json:"assignedScopes"`
	}
	if err := unmarshal(raw, &w); err != nil {
		return Role{}, err
	}
	if w.ID == "" || w.Name == "" {
		return Role{}, fmt.Errorf("%w: a role without ID or name", ErrGarbled)
	}
	return Role(w), nil
}

// maxNear is how many names are offered in place of one that is not there.
const maxNear = 5

// nearNames picks the names that differ from the wanted one in case, spaces and
// punctuation alone, then those within two letters, then those that contain it.
func nearNames(wanted string, names []string) []string {
	w := letters(wanted)
	if w == "" {
		return nil
	}
	classes := make([][]string, 3)
	for _, name := range names {
		n := letters(name)
		switch {
		case n == w:
			classes[0] = append(classes[0], name)
		case distance(n, w) <= 2 && len(w) > 3:
			classes[1] = append(classes[1], name)
		case len(w) > 3 && strings.Contains(n, w):
			classes[2] = append(classes[2], name)
		}
	}
	var near []string
	for _, class := range classes {
		near = append(near, class...)
	}
	return near[:min(len(near), maxNear)]
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// distance is the Levenshtein distance; names so long that it would take a
// while are simply far apart.
func distance(a, b string) int {
	const far = 100
	if len(a) > far || len(b) > far {
		return far
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
