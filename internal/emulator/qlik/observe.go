package qlik

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// LiveTokens is how many valid tokens a client has.
func (s *Server) LiveTokens(clientID string) int {
	st := s.snapshot()
	return st.liveTokens(clientID, time.Now())
}

// snapshot returns the committed state, which nobody writes to.
func (s *Server) snapshot() *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Tenant returns the tenant.
func (s *Server) Tenant() Tenant {
	t := s.snapshot().tenant
	t.Hostnames, t.Flags = slices.Clone(t.Hostnames), maps.Clone(t.Flags)
	return t
}

// Users returns all users, bot users included, by name.
func (s *Server) Users() []User {
	users := sorted(s.snapshot().users, func(u User) string { return strings.ToLower(u.Name) })
	for i := range users {
		users[i] = users[i].clone()
	}
	return users
}

// User returns the user with the ID.
func (s *Server) User(id string) (User, bool) {
	u, ok := s.snapshot().users[id]
	return u.clone(), ok
}

// UserByEmail returns the user with the address, in any case. With several
// such users it is the one with the lowest ID.
func (s *Server) UserByEmail(email string) (User, bool) {
	for _, u := range sorted(s.snapshot().users, func(u User) string { return u.ID }) {
		if strings.EqualFold(u.Email, email) {
			return u.clone(), true
		}
	}
	return User{}, false
}

// BotUser returns the user that belongs to an OAuth client. It exists from the
// client's first token on.
func (s *Server) BotUser(clientID string) (User, bool) {
	u, ok := s.snapshot().botOf(clientID)
	return u.clone(), ok
}

// Roles returns all roles, by name.
func (s *Server) Roles() []Role {
	roles := sorted(s.snapshot().roles, func(r Role) string { return r.Name })
	for i := range roles {
		roles[i].Scopes = slices.Clone(roles[i].Scopes)
	}
	return roles
}

// Groups returns all groups but Everyone, by name.
func (s *Server) Groups() []Group {
	groups := sorted(s.snapshot().groups, func(g Group) string { return g.Name })
	for i := range groups {
		groups[i] = groups[i].clone()
	}
	return groups
}

// GroupSettings returns the settings for groups.
func (s *Server) GroupSettings() GroupSettings {
	g := s.snapshot().settings
	g.EveryoneRoles = slices.Clone(g.EveryoneRoles)
	return g
}

// IdentityProviders returns the identity providers.
func (s *Server) IdentityProviders() []IdentityProvider {
	return slices.Clone(s.snapshot().idps)
}

// License returns the licence.
func (s *Server) License() License {
	l := s.snapshot().license
	l.Allotments = slices.Clone(l.Allotments)
	return l
}

// Entitlements returns the licence assignments, oldest first.
func (s *Server) Entitlements() []Entitlement {
	return slices.Clone(s.snapshot().grants)
}

// Spaces returns all spaces, by name.
func (s *Server) Spaces() []Space {
	return sorted(s.snapshot().spaces, func(sp Space) string { return sp.Name })
}

// SpaceAssignments returns the assignments in a space, oldest first.
func (s *Server) SpaceAssignments(spaceID string) []SpaceAssignment {
	var out []SpaceAssignment
	for _, a := range sorted(s.snapshot().members, func(a SpaceAssignment) string { return timestamp(a.CreatedAt) }) {
		if a.SpaceID == spaceID {
			a.Roles = slices.Clone(a.Roles)
			out = append(out, a)
		}
	}
	return out
}

// MailsSent returns the invitations that a real tenant would have e-mailed, in
// order. An address that stands there twice was written to twice.
func (s *Server) MailsSent() []Mail {
	return slices.Clone(s.snapshot().mails)
}

func (u User) clone() User {
	u.Roles, u.Groups = slices.Clone(u.Roles), slices.Clone(u.Groups)
	return u
}

func (g Group) clone() Group {
	g.Roles = slices.Clone(g.Roles)
	return g
}
