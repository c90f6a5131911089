package qlik

import (
	"fmt"
	"slices"
	"time"
)

// Behaviour returns the switches as they stand.
func (s *Server) Behaviour() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behaviour.clone()
}

// SetBehaviour lets f change the switches while the server runs. A ReadLag
// that is switched on begins to hold back from then on.
func (s *Server) SetBehaviour(f func(*Behaviour)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.behaviour.clone()
	f(&b)
	s.behaviour = b
	s.prune(time.Now())
}

// SetRateLimits replaces the limits and forgets the calls counted so far.
func (s *Server) SetRateLimits(r RateLimits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limiter = limiter{rates: r.withDefaults()}
}

// AddUser puts a user into the tenant as if it had always been there and
// returns it with its ID. E-mail addresses may clash, as they may in a tenant
// that is older than their uniqueness; subjects and IDs may not (ErrConflict).
// Roles and groups that do not exist are ErrInvalid.
func (s *Server) AddUser(u User) (User, error) {
	err := s.change(func(st *state, now time.Time) error {
		if u.ID == "" {
			u.ID = st.newID("user")
		}
		if _, ok := st.users[u.ID]; ok {
			return fmt.Errorf("add user: ID %q: %w", u.ID, ErrConflict)
		}
		if u.Status == "" {
			u.Status = StatusActive
		}
		if u.CreatedAt.IsZero() {
			u.CreatedAt = now
		}
		if u.LastUpdatedAt.IsZero() {
			u.LastUpdatedAt = u.CreatedAt
		}
		if u.Status == StatusInvited && u.InviteExpiry.IsZero() {
			u.InviteExpiry = u.CreatedAt.Add(InviteLifetime)
		}
		if err := st.checkUser(u); err != nil {
			return fmt.Errorf("add user: %w", err)
		}
		st.putUser(u.clone())
		return nil
	})
	return u, err
}

// UpdateUser lets f change a user, as a person working in the console would.
// The ID cannot be changed. Like every function that is handed to this
// package, f must not call the server.
func (s *Server) UpdateUser(id string, f func(*User)) error {
	return s.change(func(st *state, now time.Time) error {
		old, ok := st.users[id]
		if !ok {
			return fmt.Errorf("update user %q: %w", id, ErrNotFound)
		}
		u := old.clone()
		u.LastUpdatedAt = now
		f(&u)
		u.ID = id
		if err := st.checkUser(u); err != nil {
			return fmt.Errorf("update user %q: %w", id, err)
		}
		st.putUser(u.clone())
		return nil
	})
}

// DeleteUser removes a user, any user, with entitlement and assignments.
func (s *Server) DeleteUser(id string) error {
	return s.change(func(st *state, _ time.Time) error {
		u, ok := st.users[id]
		if !ok {
			return fmt.Errorf("delete user %q: %w", id, ErrNotFound)
		}
		st.deleteUser(u)
		return nil
	})
}

// SignIn makes an invited or provisioned user active, as its first sign-in
// does, and gives it an entitlement when the licence's settings say so. For an
// active user it does the latter only. A disabled user, or an invitation that
// has run out, is ErrInvalid.
func (s *Server) SignIn(id string) error {
	return s.change(func(st *state, now time.Time) error {
		u, ok := st.users[id]
		switch {
		case !ok:
			return fmt.Errorf("sign in user %q: %w", id, ErrNotFound)
		case u.Status == StatusDisabled:
			return fmt.Errorf("sign in user %q: disabled: %w", id, ErrInvalid)
		case u.Status == StatusInvited && now.After(u.InviteExpiry):
			return fmt.Errorf("sign in user %q: the invitation has run out: %w", id, ErrInvalid)
		}
		if u.Status != StatusActive {
			u.Status, u.InviteExpiry, u.LastUpdatedAt = StatusActive, time.Time{}, now
			st.putUser(u)
		}
		st.autoAssign(u.Subject, now)
		return nil
	})
}

// checkUser refuses what no tenant can hold.
func (st *state) checkUser(u User) error {
	if u.Subject == "" {
		return fmt.Errorf("no subject: %w", ErrInvalid)
	}
	if !slices.Contains([]string{StatusActive, StatusInvited, StatusDisabled, StatusProvisioned}, u.Status) {
		return fmt.Errorf("status %q: %w", u.Status, ErrInvalid)
	}
	if _, taken := st.takenBy(u.ID, u.Subject, ""); taken {
		return fmt.Errorf("subject %q: %w", u.Subject, ErrConflict)
	}
	for _, id := range u.Groups {
		if _, ok := st.groups[id]; !ok {
			return fmt.Errorf("group %q does not exist: %w", id, ErrInvalid)
		}
	}
	return st.checkRoles(u.Roles)
}

func (st *state) checkRoles(names []string) error {
	for _, name := range names {
		if _, ok := st.roleNamed(name); !ok {
			return fmt.Errorf("role %q does not exist: %w", name, ErrInvalid)
		}
	}
	return nil
}

// AddRole adds a role, custom and of user level unless it says otherwise.
func (s *Server) AddRole(r Role) (Role, error) {
	err := s.change(func(st *state, now time.Time) error {
		if _, taken := st.roleNamed(r.Name); taken {
			return fmt.Errorf("add role %q: %w", r.Name, ErrConflict)
		}
		if r.Name == "" {
			return fmt.Errorf("add role: no name: %w", ErrInvalid)
		}
		r.ID = orNew(st, r.ID, "role")
		if r.Type == "" {
			r.Type = "custom"
		}
		if r.Level == "" {
			r.Level = "user"
		}
		r.CreatedAt, r.LastUpdatedAt = now, now
		stored := r
		stored.Scopes = slices.Clone(r.Scopes)
		put(st, st.roles, "role", r.ID, r.Name, stored)
		return nil
	})
	return r, err
}

// DeleteRole removes a role and takes it from everybody who holds it, as if it
// had vanished from the subscription.
func (s *Server) DeleteRole(name string) error {
	return s.change(func(st *state, _ time.Time) error {
		r, ok := st.roleNamed(name)
		if !ok {
			return fmt.Errorf("delete role %q: %w", name, ErrNotFound)
		}
		remove(st, st.roles, "role", r.ID, r.Name)
		for _, u := range sorted(st.users, func(u User) string { return u.ID }) {
			if slices.Contains(u.Roles, name) {
				u.Roles = without(u.Roles, name)
				st.putUser(u)
			}
		}
		for _, g := range sorted(st.groups, func(g Group) string { return g.ID }) {
			if slices.Contains(g.Roles, name) {
				g.Roles = without(g.Roles, name)
				st.putGroup(g)
			}
		}
		st.settings.EveryoneRoles = without(st.settings.EveryoneRoles, name)
		return nil
	})
}

// AddGroup adds a group. Its name must be free within its provider type.
func (s *Server) AddGroup(g Group) (Group, error) {
	err := s.change(func(st *state, now time.Time) error {
		if g.ProviderType == "" {
			g.ProviderType = ProviderIdP
		}
		if g.Name == "" || g.ProviderType != ProviderIdP && g.ProviderType != ProviderCustom {
			return fmt.Errorf("add group %q: %w", g.Name, ErrInvalid)
		}
		if st.groupTaken("", g.Name, g.ProviderType) {
			return fmt.Errorf("add group %q: %w", g.Name, ErrConflict)
		}
		if err := st.checkRoles(g.Roles); err != nil {
			return fmt.Errorf("add group %q: %w", g.Name, err)
		}
		g.ID = orNew(st, g.ID, "group")
		g.CreatedAt, g.LastUpdatedAt = now, now
		st.putGroup(g.clone())
		return nil
	})
	return g, err
}

// UpdateGroup lets f change a group. The ID cannot be changed.
func (s *Server) UpdateGroup(id string, f func(*Group)) error {
	return s.change(func(st *state, now time.Time) error {
		old, ok := st.groups[id]
		if !ok {
			return fmt.Errorf("update group %q: %w", id, ErrNotFound)
		}
		g := old.clone()
		g.LastUpdatedAt = now
		f(&g)
		g.ID = id
		if err := st.checkRoles(g.Roles); err != nil {
			return fmt.Errorf("update group %q: %w", id, err)
		}
		st.putGroup(g.clone())
		return nil
	})
}

// DeleteGroup removes a group, with or without members, and its assignments.
func (s *Server) DeleteGroup(id string) error {
	return s.change(func(st *state, _ time.Time) error {
		g, ok := st.groups[id]
		if !ok {
			return fmt.Errorf("delete group %q: %w", id, ErrNotFound)
		}
		st.deleteGroup(g)
		return nil
	})
}

// SetGroupSettings replaces the settings for groups.
func (s *Server) SetGroupSettings(g GroupSettings) error {
	return s.change(func(st *state, _ time.Time) error {
		if err := st.checkRoles(g.EveryoneRoles); err != nil {
			return fmt.Errorf("set group settings: %w", err)
		}
		g.EveryoneRoles = slices.Clone(g.EveryoneRoles)
		st.settings = g
		st.changed("updated", "group settings", "", "group settings")
		return nil
	})
}

// SetIdentityProviders replaces the identity providers.
func (s *Server) SetIdentityProviders(idps ...IdentityProvider) {
	_ = s.change(func(st *state, _ time.Time) error { // f never fails
		st.idps = slices.Clone(idps)
		st.changed("updated", "identity providers", "", "identity providers")
		return nil
	})
}

// SetLicense replaces the licence. Assignments stay.
func (s *Server) SetLicense(l License) {
	_ = s.change(func(st *state, _ time.Time) error { // f never fails
		l.Allotments = slices.Clone(l.Allotments)
		st.license = l
		st.changed("updated", "licence", "", l.Product)
		return nil
	})
}

// AddEntitlement assigns an entitlement to a subject, known here or not,
// without regard to how many are left.
func (s *Server) AddEntitlement(subject, kind string) error {
	return s.change(func(st *state, now time.Time) error {
		if st.grantOf(subject, "") >= 0 {
			return fmt.Errorf("add entitlement of %q: %w", subject, ErrConflict)
		}
		st.grant(subject, kind, now)
		return nil
	})
}

// RemoveEntitlement takes whatever entitlement a subject has.
func (s *Server) RemoveEntitlement(subject string) error {
	return s.change(func(st *state, _ time.Time) error {
		if st.grantOf(subject, "") < 0 {
			return fmt.Errorf("remove entitlement of %q: %w", subject, ErrNotFound)
		}
		st.free(subject)
		return nil
	})
}

// AddSpace adds a space. An owner that does not exist is accepted, as left
// behind by a deletion.
func (s *Server) AddSpace(sp Space) (Space, error) {
	err := s.change(func(st *state, now time.Time) error {
		if spaceRoles(sp.Type) == nil || sp.Name == "" {
			return fmt.Errorf("add space %q of type %q: %w", sp.Name, sp.Type, ErrInvalid)
		}
		if st.spaceTaken("", sp.Name) {
			return fmt.Errorf("add space %q: %w", sp.Name, ErrConflict)
		}
		sp.ID = orNew(st, sp.ID, "space")
		sp.CreatedAt, sp.UpdatedAt = now, now
		st.putSpace(sp)
		return nil
	})
	return sp, err
}

// UpdateSpace lets f change a space. The ID cannot be changed.
func (s *Server) UpdateSpace(id string, f func(*Space)) error {
	return s.change(func(st *state, now time.Time) error {
		sp, ok := st.spaces[id]
		if !ok {
			return fmt.Errorf("update space %q: %w", id, ErrNotFound)
		}
		sp.UpdatedAt = now
		f(&sp)
		sp.ID = id
		st.putSpace(sp)
		return nil
	})
}

// DeleteSpace removes a space, empty or not, and its assignments.
func (s *Server) DeleteSpace(id string) error {
	return s.change(func(st *state, _ time.Time) error {
		sp, ok := st.spaces[id]
		if !ok {
			return fmt.Errorf("delete space %q: %w", id, ErrNotFound)
		}
		st.deleteSpace(sp)
		return nil
	})
}

// AddSpaceAssignment gives roles in a space to a user or a group.
func (s *Server) AddSpaceAssignment(a SpaceAssignment) (SpaceAssignment, error) {
	err := s.change(func(st *state, now time.Time) error {
		sp, ok := st.spaces[a.SpaceID]
		if !ok {
			return fmt.Errorf("add assignment in space %q: %w", a.SpaceID, ErrNotFound)
		}
		if p := st.checkMember(sp, a); p != nil {
			return fmt.Errorf("add assignment in space %q: %s: %w", sp.Name, p.detail, ErrInvalid)
		}
		a.ID = orNew(st, a.ID, "assignment")
		a.CreatedAt, a.UpdatedAt = now, now
		stored := a
		stored.Roles = slices.Clone(a.Roles)
		st.putMember(stored)
		return nil
	})
	return a, err
}

// UpdateClient lets f change an OAuth client: rotate its secret, take its
// scopes, its trust. Tokens that exist stay valid. The ID cannot be changed.
func (s *Server) UpdateClient(id string, f func(*Client)) error {
	return s.change(func(st *state, _ time.Time) error {
		c, ok := st.clients[id]
		if !ok {
			return fmt.Errorf("update OAuth client %q: %w", id, ErrNotFound)
		}
		c.Scopes = slices.Clone(c.Scopes)
		f(&c)
		c.ID = id
		st.clients[id] = c
		st.changed("updated", "tenant", id, "OAuth client")
		return nil
	})
}

// RevokeTokens makes all tokens of a client invalid at once; an empty ID means
// every client.
func (s *Server) RevokeTokens(clientID string) {
	_ = s.change(func(st *state, _ time.Time) error { // f never fails
		for text, t := range st.tokens {
			if clientID == "" || t.clientID == clientID {
				delete(st.tokens, text)
				st.changed("deleted", "token", "", t.clientID)
			}
		}
		return nil
	})
}

func orNew(st *state, id, kind string) string {
	if id != "" {
		return id
	}
	return st.newID(kind)
}

// without returns a copy of list that lacks item.
func without(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == item })
}
