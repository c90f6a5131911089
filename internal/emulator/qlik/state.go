package qlik

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// state is everything that a call can change. A write works on a clone and the
// server swaps it in when the call is to take effect, so a committed state is
// never written to again. The values in the maps share their slices between
// clones: a slice is replaced, never written into.
type state struct {
	tenant   Tenant
	clients  map[string]Client
	users    map[string]User
	roles    map[string]Role
	groups   map[string]Group
	settings GroupSettings
	idps     []IdentityProvider
	license  License
	grants   []Entitlement
	spaces   map[string]Space
	members  map[string]SpaceAssignment
	tokens   map[string]token
	jtis     map[string]time.Time // used assertion IDs, until when they matter
	mails    []Mail

	key []byte // of the tenant; IDs are made from it
	ids uint64 // IDs made so far

	changes []Change // made since the clone
}

// token is a live access token.
type token struct {
	clientID string
	scopes   []string
	expires  time.Time
}

func (st *state) clone() *state {
	c := *st
	c.clients = maps.Clone(st.clients)
	c.users = maps.Clone(st.users)
	c.roles = maps.Clone(st.roles)
	c.groups = maps.Clone(st.groups)
	c.spaces = maps.Clone(st.spaces)
	c.members = maps.Clone(st.members)
	c.tokens = maps.Clone(st.tokens)
	c.jtis = maps.Clone(st.jtis)
	c.grants = slices.Clip(st.grants)
	c.mails = slices.Clip(st.mails)
	c.changes = nil
	return &c
}

// newID makes the next 24-digit hexadecimal ID of the tenant. A later ID sorts
// after an earlier one, as Qlik's object IDs do.
func (st *state) newID(kind string) string {
	sum := hex.EncodeToString(st.digest(kind))
	return fmt.Sprintf("%08x", 0x66000000+st.ids) + sum[:16]
}

// newUUID makes the next version 4 UUID of the tenant.
func (st *state) newUUID(kind string) string {
	b := st.digest(kind)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func (st *state) digest(kind string) []byte {
	st.ids++
	return keyed(st.key, kind, st.ids)
}

// keyed is the source of everything that looks random.
func keyed(key []byte, kind string, n uint64) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, n))
	mac.Write([]byte(kind))
	return mac.Sum(nil)
}

func (st *state) changed(what, resource, id, name string) {
	st.changes = append(st.changes, Change{What: what, Resource: resource, ID: id, Name: name})
}

// put stores v under id in m and notes whether it is new.
func put[T any](st *state, m map[string]T, resource, id, name string, v T) {
	what := "created"
	if _, ok := m[id]; ok {
		what = "updated"
	}
	m[id] = v
	st.changed(what, resource, id, name)
}

func remove[T any](st *state, m map[string]T, resource, id, name string) {
	delete(m, id)
	st.changed("deleted", resource, id, name)
}

func (st *state) putUser(u User)   { put(st, st.users, "user", u.ID, u.Name, u) }
func (st *state) putGroup(g Group) { put(st, st.groups, "group", g.ID, g.Name, g) }
func (st *state) putSpace(s Space) { put(st, st.spaces, "space", s.ID, s.Name, s) }
func (st *state) putMember(a SpaceAssignment) {
	put(st, st.members, "space assignment", a.ID, a.AssigneeID, a)
}

// deleteUser removes a user and what goes with it: the entitlement and the
// assignments in spaces. Spaces keep their owner's ID.
func (st *state) deleteUser(u User) {
	remove(st, st.users, "user", u.ID, u.Name)
	st.free(u.Subject)
	st.dropMember(u.ID)
}

// deleteGroup removes a group, from its members and from spaces too.
func (st *state) deleteGroup(g Group) {
	for _, u := range sorted(st.users, func(u User) string { return u.ID }) {
		if slices.Contains(u.Groups, g.ID) {
			u.Groups = without(u.Groups, g.ID)
			st.putUser(u)
		}
	}
	remove(st, st.groups, "group", g.ID, g.Name)
	st.dropMember(g.ID)
}

// deleteSpace removes a space and its assignments.
func (st *state) deleteSpace(sp Space) {
	remove(st, st.spaces, "space", sp.ID, sp.Name)
	for _, a := range sorted(st.members, func(a SpaceAssignment) string { return a.ID }) {
		if a.SpaceID == sp.ID {
			remove(st, st.members, "space assignment", a.ID, a.AssigneeID)
		}
	}
}

// dropMember removes the assignments of a user or group in all spaces.
func (st *state) dropMember(assigneeID string) {
	for _, id := range slices.Sorted(maps.Keys(st.members)) {
		if st.members[id].AssigneeID == assigneeID {
			remove(st, st.members, "space assignment", id, assigneeID)
		}
	}
}

// free removes every entitlement of a subject.
func (st *state) free(subject string) {
	kept := make([]Entitlement, 0, len(st.grants))
	for _, g := range st.grants {
		if g.Subject == subject {
			st.changed("deleted", "entitlement", subject, g.Type)
			continue
		}
		kept = append(kept, g)
	}
	st.grants = kept
}

func (st *state) roleNamed(name string) (Role, bool) {
	for _, r := range st.roles {
		if r.Name == name {
			return r, true
		}
	}
	return Role{}, false
}

// botOf returns the bot user of an OAuth client.
func (st *state) botOf(clientID string) (User, bool) {
	for _, u := range st.users {
		if u.ClientID == clientID {
			return u, true
		}
	}
	return User{}, false
}

// holds says whether the user has the role directly, through a group or
// through Everyone.
func (st *state) holds(u User, role string) bool {
	if slices.Contains(u.Roles, role) || slices.Contains(st.settings.EveryoneRoles, role) {
		return true
	}
	for _, id := range u.Groups {
		if slices.Contains(st.groups[id].Roles, role) {
			return true
		}
	}
	return false
}

// takenBy finds a user, other than except, with the subject or the e-mail
// address. Addresses are compared without regard to case.
func (st *state) takenBy(except, subject, email string) (field string, taken bool) {
	for id, u := range st.users {
		switch {
		case id == except:
		case subject != "" && u.Subject == subject:
			return "subject", true
		case email != "" && strings.EqualFold(u.Email, email):
			return "email", true
		}
	}
	return "", false
}

// sorted returns the values of m by the key, ties by ID.
func sorted[T any](m map[string]T, key func(T) string) []T {
	ids := slices.Collect(maps.Keys(m))
	slices.SortFunc(ids, func(a, b string) int {
		if c := strings.Compare(key(m[a]), key(m[b])); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	out := make([]T, len(ids))
	for i, id := range ids {
		out[i] = m[id]
	}
	return out
}

// defaultRoles are the names of a new tenant's roles, administrators first
// (roles.json gives the shape; the names are those of Qlik's help pages,
// January 2026).
var defaultRoles = [...]struct{ name, level string }{
	{"TenantAdmin", "admin"},
	{"AnalyticsAdmin", "admin"},
	{"DataAdmin", "admin"},
	{"AuditAdmin", "admin"},
	{"SharedSpaceCreator", "user"},
	{"ManagedSpaceCreator", "user"},
	{"DataSpaceCreator", "user"},
	{"DataServicesContributor", "user"},
	{"PrivateAnalyticsContentCreator", "user"},
	{"AutomationCreator", "user"},
	{"AutomlExperimentContributor", "user"},
	{"AutomlDeploymentContributor", "user"},
	{"CollaborationPlatformUser", "user"},
	{"DataProductManager", "user"},
	{"Steward", "user"},
	{"EmbeddedAnalyticsUser", "user"},
	{"UserDefault", "user"},
}

func newState(cfg Config, now time.Time) *state {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s", cfg.Seed, cfg.Hostname, cfg.TenantID))
	st := &state{
		clients: map[string]Client{},
		users:   map[string]User{},
		roles:   map[string]Role{},
		groups:  map[string]Group{},
		spaces:  map[string]Space{},
		members: map[string]SpaceAssignment{},
		tokens:  map[string]token{},
		jtis:    map[string]time.Time{},
		key:     sum[:],
		license: License{
			Product: "Qlik Sense Enterprise SaaS",
			Key:     "not-a-licence-key",
			Number:  "0000000000000000",
			Allotments: []Allotment{
				{Name: EntitlementProfessional, Units: 10},
				{Name: EntitlementAnalyzer, Units: 100},
			},
		},
	}
	for _, c := range cfg.Clients {
		st.clients[c.ID] = c
	}
	for _, r := range defaultRoles {
		id := st.newID("role")
		st.roles[id] = Role{
			ID: id, Name: r.name, Type: "default", Level: r.level,
			Description: "The default role " + r.name, CreatedAt: now, LastUpdatedAt: now,
		}
	}
	st.idps = []IdentityProvider{{Provider: QlikAccount, Active: true, Interactive: true}}
	if cfg.InteractiveIdP != QlikAccount {
		st.idps = []IdentityProvider{
			{Provider: QlikAccount, Interactive: true},
			{Provider: cfg.InteractiveIdP, Active: true, Interactive: true},
		}
	}
	st.tenant = Tenant{
		ID: cfg.TenantID, Name: cfg.Name, Region: cfg.Region,
		Hostnames: []string{cfg.Hostname}, CreatedAt: now, UpdatedAt: now,
	}
	if st.tenant.ID == "" {
		st.tenant.ID = hex.EncodeToString(st.digest("tenant"))[:32]
	}
	return st
}
