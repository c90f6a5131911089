package qlik

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	emulator "github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// emulated is a client with an emulated tenant behind it.
type emulated struct {
	*emulator.Server
	client *Client
	t      *testing.T
}

// onTenant runs a test in a bubble with an emulated tenant.
func onTenant(t *testing.T, f func(*testing.T, emulated), change ...func(*emulator.Config)) {
	t.Helper()
	onTenantWith(t, f, nil, change...)
}

func onTenantWith(t *testing.T, f func(*testing.T, emulated), client func(*Config), change ...func(*emulator.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := emulator.Config{Clients: []emulator.Client{{ID: testID, Secret: testSecret, Name: "bot", Trusted: true}}}
		for _, c := range change {
			c(&cfg)
		}
		s := emulator.New(cfg)
		t.Cleanup(s.Close)
		var options []func(*Config)
		if client != nil {
			options = append(options, client)
		}
		c, _ := serve(t, newWire(), s, options...)
		f(t, emulated{Server: s, client: c, t: t})
	})
}

func (e emulated) user(u emulator.User) emulator.User {
	e.t.Helper()
	u, err := e.AddUser(u)
	if err != nil {
		e.t.Fatal(err)
	}
	return u
}

func (e emulated) role(name string) Role {
	e.t.Helper()
	r, err := e.client.Roles.ByName(e.t.Context(), name)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

// roles are those that the tenant itself knows of.
func (e emulated) roles(id string) []string {
	e.t.Helper()
	u, ok := e.User(id)
	if !ok {
		e.t.Fatalf("no user %s", id)
	}
	return slices.Sorted(slices.Values(u.Roles))
}

func TestGetReadsTheWholeUser(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		g, err := e.AddGroup(emulator.Group{Name: "Ops", ProviderType: emulator.ProviderCustom, Roles: []string{"AuditAdmin"}})
		if err != nil {
			t.Fatal(err)
		}
		expiry := time.Date(2000, 1, 8, 0, 0, 0, 0, time.UTC)
		added := e.user(emulator.User{Subject: `AD\ann`, Name: "Ann", Email: "Ann@example.com", Status: StatusInvited,
			Roles: []string{"TenantAdmin"}, Groups: []string{g.ID}, InviteExpiry: expiry})
		got, err := e.client.Reader().Users.Get(t.Context(), added.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := User{
			ID: added.ID, Subject: `AD\ann`, Name: "Ann", Email: "Ann@example.com", Status: StatusInvited, TenantID: e.Tenant().ID,
			AssignedRoles: []AssignedRole{{ID: e.role("TenantAdmin").ID, Name: "TenantAdmin", Type: "default", Level: "admin"}},
			AssignedGroups: []AssignedGroup{{ID: g.ID, Name: "Ops", ProviderType: "custom", AssignedRoles: []AssignedRole{
				{ID: e.role("AuditAdmin").ID, Name: "AuditAdmin", Type: "default", Level: "admin"},
			}}},
			InviteExpiry: expiry.Unix(),
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(User{}, "CreatedAt", "LastUpdatedAt")); diff != "" {
			t.Error(diff)
		}
		if got.CreatedAt.IsZero() || got.LastUpdatedAt.IsZero() {
			t.Error("no dates")
		}
		if at, ok := got.InviteExpiresAt(); !ok || !at.Equal(expiry) {
			t.Errorf("expires %v, %v", at, ok)
		}
		if !got.HasRole("TenantAdmin") || got.HasRole("tenantadmin") || got.HasRole("AuditAdmin") {
			t.Error("HasRole")
		}
		if diff := cmp.Diff([]string{"Ops"}, got.RoleThroughGroups("AuditAdmin")); diff != "" {
			t.Error(diff)
		}
		if got.RoleThroughGroups("TenantAdmin") != nil || !got.RolesVisible() || got.IsBot() {
			t.Error("RoleThroughGroups, RolesVisible or IsBot")
		}
		bot, ok := e.BotUser(testID)
		if !ok {
			t.Fatal("no bot user")
		}
		b, err := e.client.Users.Get(t.Context(), bot.ID)
		if err != nil || !b.IsBot() || !b.HasRole("TenantAdmin") {
			t.Errorf("%+v, %v", b, err)
		}
		if _, err := e.client.Users.Get(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		if _, err := e.client.Users.Get(t.Context(), "no/such?user#%"); !errors.Is(err, ErrNotFound) {
			t.Errorf("an odd ID: %v", err)
		}
	})
}

func TestABotIsKnownByClientIDOrSubject(t *testing.T) {
	t.Parallel()
	for u, want := range map[*User]bool{
		{ClientID: "c"}: true, {Subject: `qlikbot\c`}: true, {Subject: `QLIKBOT\c`}: true,
		{Subject: "qlikbot"}: false, {Subject: `x\qlikbot\`}: false, {}: false,
	} {
		if u.IsBot() != want {
			t.Errorf("%+v: %v", u, !want)
		}
	}
}

func TestRolesThatAreNotShownAreNotTakenForNone(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		u := e.user(emulator.User{Subject: "ann", Roles: []string{"TenantAdmin", "AuditAdmin"}})
		e.SetBehaviour(func(b *emulator.Behaviour) { b.RefusesRoleDelta = true })
		got, err := e.client.Users.Get(t.Context(), u.ID)
		if err != nil || got.RolesVisible() {
			t.Fatalf("%+v, %v: the emulator shows roles to this client", got, err)
		}
		// Replacing a list that was not shown would take TenantAdmin away.
		exactlyOne(t, e.client.Users.AddRole(t.Context(), u.ID, RoleRef{Name: "DataAdmin"}), OutcomeRefused)
		if got := e.roles(u.ID); len(got) != 2 {
			t.Errorf("the roles are now %v", got)
		}
	}, func(c *emulator.Config) { c.Clients[0].Scopes = []string{"admin.users"} })
}

func TestListFindsEveryStatusAndEveryPage(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		var want []string
		for i := range 23 {
			status := LivingStatuses()[i%4]
			u := e.user(emulator.User{Subject: fmt.Sprintf("s%d", i), Name: fmt.Sprintf("N%02d", i), Status: status})
			want = append(want, u.Name)
		}
		collect := func(opts ListUsersOptions) (got []string) {
			for u, err := range e.client.Users.List(t.Context(), opts) {
				if err != nil {
					t.Fatal(err)
				}
				if !u.IsBot() {
					got = append(got, u.Name)
				}
			}
			return got
		}
		if diff := cmp.Diff(want, collect(ListUsersOptions{})); diff != "" {
			t.Error(diff)
		}
		slices.Reverse(want)
		if diff := cmp.Diff(want, collect(ListUsersOptions{Sort: "-name", Fields: []string{"name", "clientId", "subject"}, PageSize: 7})); diff != "" {
			t.Error(diff)
		}
		if got := collect(ListUsersOptions{Filter: StatusIn(StatusProvisioned)}); len(got) != 5 {
			t.Errorf("provisioned: %v", got)
		}
		if got := collect(ListUsersOptions{Filter: Where(Contains(FieldName, "n1")).StatusIn(StatusActive, StatusInvited)}); len(got) != 4 {
			t.Errorf("active or invited N1…: %v", got)
		}
	}, func(c *emulator.Config) { c.Behaviour.MaxPageSize = 4 })
}

func TestPeopleAreFoundExactly(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		var emails []string
		for i := range 60 {
			email := fmt.Sprintf("Person+%d@example.com", i)
			emails = append(emails, email, strings.ToUpper(email))
			e.user(emulator.User{Subject: fmt.Sprintf(`AD\p"%d`, i), Email: email, Status: LivingStatuses()[i%4]})
		}
		find := func(emails ...string) map[string][]User {
			t.Helper()
			found, err := e.client.Reader().Users.FindByEmails(t.Context(), emails)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		before := len(e.CallsTo("GET /api/v1/users"))
		found := find(append(emails, "nobody@example.com")...)
		if len(found) != 61 {
			t.Errorf("%d keys", len(found))
		}
		for key, users := range found {
			if n := len(users); key == "nobody@example.com" && n != 0 || key != "nobody@example.com" && n != 1 {
				t.Errorf("%s: %d users", key, n)
			}
		}
		if n := len(e.CallsTo("GET /api/v1/users")) - before; n != 3 {
			t.Errorf("%d calls for 61 people", n)
		}
		users, err := e.client.Users.FindByEmail(t.Context(), "PERSON+7@example.COM")
		if err != nil || len(users) != 1 || users[0].Email != "Person+7@example.com" {
			t.Errorf("%v, %v", users, err)
		}
		if users, err := e.client.Users.FindByEmail(t.Context(), "none@example.com"); err != nil || len(users) != 0 {
			t.Errorf("%v, %v", users, err)
		}
		users, err = e.client.Users.FindBySubject(t.Context(), `AD\p"7`)
		if err != nil || len(users) != 1 || users[0].Email != "Person+7@example.com" {
			t.Errorf("%v, %v", users, err)
		}
		if users, err := e.client.Users.FindBySubject(t.Context(), `ad\p"7`); err != nil || len(users) != 0 {
			t.Errorf("a subject in other letters: %v, %v", users, err)
		}
		if len(find()) != 0 {
			t.Error("nobody asked for, somebody found")
		}
		for _, bad := range []string{"", "a\n@example.com"} {
			if _, err := e.client.Users.FindByEmail(t.Context(), bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
			if _, err := e.client.Users.FindBySubject(t.Context(), bad); !errors.Is(err, ErrInvalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestWhatTheServerFindsIsComparedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// The Kelvin sign folds to k; a server that ignores the filter sends all.
		f := newFake(t, reply(200, `{"data":[{"id":"1","email":"kim@example.com"},{"id":"2","email":"Kim@Example.com"},
			{"id":"3","email":"\u212aim@example.com"},{"id":"4","email":"akim@example.com"},{"id":"5"}],"links":{}}`))
		users, err := f.client.Users.FindByEmail(t.Context(), "KIM@example.com")
		if err != nil || len(users) != 2 || users[0].ID != "1" || users[1].ID != "2" {
			t.Errorf("%v, %v", users, err)
		}
		f.setAnswer(reply(200, `{"id":"u2","subject":"s"}`))
		if _, err := f.client.Users.Get(t.Context(), "u1"); !errors.Is(err, ErrGarbled) {
			t.Errorf("another user than asked for: %v", err)
		}
	})
}

func TestCreate(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		admin := e.role("TenantAdmin")
		u, err := e.client.Users.Create(t.Context(), CreateUserRequest{
			Subject: `AD\ann`, Name: "Ann", Email: "ann@example.com", Status: StatusActive, AssignedRoles: []RoleRef{{ID: admin.ID}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if u.Status != StatusActive || u.Subject != `AD\ann` || !u.HasRole("TenantAdmin") {
			t.Errorf("%+v", u)
		}
		if _, ok := e.User(u.ID); !ok {
			t.Error("the tenant does not have it")
		}
		_, err = e.client.Users.Create(t.Context(), CreateUserRequest{Subject: `AD\ann`, Status: StatusInvited, Email: "x@example.com", AssignedRoles: []RoleRef{{Name: "TenantAdmin"}}})
		exactlyOne(t, err, OutcomeRefused)
		if !errors.Is(err, ErrConflict) {
			t.Errorf("the same subject: %v", err)
		}
		e.SetBehaviour(func(b *emulator.Behaviour) { b.RefusesActiveOnCreate = true })
		_, err = e.client.Users.Create(t.Context(), CreateUserRequest{Subject: "s2", Status: StatusActive})
		exactlyOne(t, err, OutcomeRefused)
		if !errors.Is(err, ErrBadRequest) {
			t.Errorf("active on a tenant that disagrees: %v", err)
		}
	})
}

func TestRolesAreAddedAndRemoved(t *testing.T) {
	t.Parallel()
	for _, delta := range []bool{true, false} {
		name := map[bool]string{true: "one by one", false: "by the whole list where the tenant knows no other way"}[delta]
		t.Run(name, func(t *testing.T) {
			onTenant(t, func(t *testing.T, e emulated) {
				u := e.user(emulator.User{Subject: "ann", Roles: []string{"AuditAdmin", "Steward"}})
				admin := e.role("TenantAdmin")
				users := e.client.Users
				check := func(step string, err error, want ...string) {
					t.Helper()
					if err != nil {
						t.Fatalf("%s: %v", step, err)
					}
					if diff := cmp.Diff(want, e.roles(u.ID)); diff != "" {
						t.Errorf("%s: %s", step, diff)
					}
				}
				ctx := t.Context()
				check("add by ID", users.AddRole(ctx, u.ID, RoleRef{ID: admin.ID, Name: "TenantAdmin"}), "AuditAdmin", "Steward", "TenantAdmin")
				check("add again", users.AddRole(ctx, u.ID, RoleRef{ID: admin.ID}), "AuditAdmin", "Steward", "TenantAdmin")
				check("add by name", users.AddRole(ctx, u.ID, RoleRef{Name: "DataAdmin"}), "AuditAdmin", "DataAdmin", "Steward", "TenantAdmin")
				check("add by name again", users.AddRole(ctx, u.ID, RoleRef{Name: "DataAdmin"}), "AuditAdmin", "DataAdmin", "Steward", "TenantAdmin")
				check("remove", users.RemoveRole(ctx, u.ID, RoleRef{ID: admin.ID}), "AuditAdmin", "DataAdmin", "Steward")
				check("remove again", users.RemoveRole(ctx, u.ID, RoleRef{ID: admin.ID}), "AuditAdmin", "DataAdmin", "Steward")
				err := users.AddRole(ctx, u.ID, RoleRef{Name: "NoSuchRole"})
				exactlyOne(t, err, OutcomeRefused)
				err = users.AddRole(ctx, "nobody", RoleRef{Name: "DataAdmin"})
				exactlyOne(t, err, OutcomeRefused)
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("nobody: %v", err)
				}
				check("after all that", nil, "AuditAdmin", "DataAdmin", "Steward")
			}, func(c *emulator.Config) { c.Behaviour.RefusesRoleDelta = !delta })
		})
	}
}

func TestTheFallbackOfRolesSaysHowItEnded(t *testing.T) {
	t.Parallel()
	const get, patch = "GET /api/v1/users/{userId}", "PATCH /api/v1/users/{userId}"
	cases := []struct {
		name  string
		fault emulator.Fault
		want  OutcomeKind
		added bool
	}{
		{"reading fails: without effect", emulator.Fault{Operation: get, Count: emulator.Always, Status: 403}, OutcomeNotSent, false},
		{"reading hangs: without effect", emulator.Fault{Operation: get, Answer: emulator.Hang}, OutcomeNotSent, false},
		{"the list is refused", emulator.Fault{Operation: patch, Skip: 1, Status: 403}, OutcomeRefused, false},
		{"the list's answer is lost, with effect", emulator.Fault{Operation: patch, Skip: 1, Effect: emulator.TakesEffect, Answer: emulator.Drop}, OutcomeUnknown, true},
		{"the list's answer is lost, without effect", emulator.Fault{Operation: patch, Skip: 1, Answer: emulator.Drop}, OutcomeUnknown, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onTenant(t, func(t *testing.T, e emulated) {
				u := e.user(emulator.User{Subject: "ann", Roles: []string{"Steward"}})
				e.AddFault(c.fault)
				exactlyOne(t, e.client.Users.AddRole(t.Context(), u.ID, RoleRef{Name: "DataAdmin"}), c.want)
				if got := slices.Contains(e.roles(u.ID), "DataAdmin"); got != c.added {
					t.Errorf("added: %v", got)
				}
			}, func(c *emulator.Config) { c.Behaviour.RefusesRoleDelta = true })
		})
	}
}

// Two callers who replace the same list must not undo each other.
func TestWritersOfOneUserWaitForEachOther(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		u := e.user(emulator.User{Subject: "ann"})
		e.AddFault(emulator.Fault{Count: emulator.Always, Effect: emulator.TakesEffect, Answer: emulator.Normal, Delay: 100 * time.Millisecond, Hold: 100 * time.Millisecond})
		wanted := []string{"AuditAdmin", "DataAdmin", "Steward"}
		done := make(chan error)
		for i, name := range wanted {
			c := e.client
			if i == 0 {
				c = c.Bulk()
			}
			go func() { done <- c.Users.AddRole(t.Context(), u.ID, RoleRef{Name: name}) }()
		}
		for range wanted {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(wanted, e.roles(u.ID)); diff != "" {
			t.Error(diff)
		}
		if n := len(e.client.caller.core.locks.held); n != 0 {
			t.Errorf("%d locks are left over", n)
		}
	}, func(c *emulator.Config) { c.Behaviour.RefusesRoleDelta = true })
}

func TestWaitingForAnotherWriterEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		u := e.user(emulator.User{Subject: "ann"})
		unlock, err := e.client.caller.lock(t.Context(), opUsersPatch, "user "+u.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		start := time.Now()
		exactlyOne(t, e.client.Users.SetStatus(t.Context(), u.ID, StatusDisabled), OutcomeNotSent)
		if d := time.Since(start); d != defaultTimeout {
			t.Errorf("after %v", d)
		}
		if len(e.CallsTo("PATCH /api/v1/users/{userId}")) != 0 {
			t.Error("sent all the same")
		}
	})
}

func TestSetStatus(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		u := e.user(emulator.User{Subject: "ann", Status: StatusInvited})
		for _, status := range []string{StatusActive, StatusDisabled} {
			if err := e.client.Users.SetStatus(t.Context(), u.ID, status); err != nil {
				t.Fatal(err)
			}
			if got, _ := e.User(u.ID); got.Status != status {
				t.Errorf("the status is %q, want %q", got.Status, status)
			}
		}
	})
}

// For each write: what the client says, and what the tenant knows.
func TestWritesThatFailWithAndWithoutEffect(t *testing.T) {
	t.Parallel()
	faults := []struct {
		name  string
		fault emulator.Fault
		want  OutcomeKind
		done  bool
	}{
		{"refused", emulator.Fault{Status: 403}, OutcomeRefused, false},
		{"rate limited", emulator.Fault{Status: 429, RetryAfter: 9 * time.Second}, OutcomeNotSent, false},
		{"500 without effect", emulator.Fault{Status: 500}, OutcomeUnknown, false},
		{"500 after taking effect", emulator.Fault{Status: 500, Effect: emulator.TakesEffect}, OutcomeUnknown, true},
		{"502 in HTML after taking effect", emulator.Fault{Answer: emulator.HTML, Effect: emulator.TakesEffect}, OutcomeUnknown, true},
		{"504 without a body, without effect", emulator.Fault{Answer: emulator.Empty, Status: 504}, OutcomeUnknown, false},
		{"dropped without effect", emulator.Fault{Answer: emulator.Drop}, OutcomeUnknown, false},
		{"dropped after taking effect", emulator.Fault{Answer: emulator.Drop, Effect: emulator.TakesEffect}, OutcomeUnknown, true},
		{"garbage after taking effect", emulator.Fault{Answer: emulator.Garbage, Effect: emulator.TakesEffect}, OutcomeUnknown, true},
		{"hanging after taking effect", emulator.Fault{Answer: emulator.Hang, Effect: emulator.TakesEffect}, OutcomeUnknown, true},
		{"taking effect after the client has given up", emulator.Fault{Answer: emulator.Hang, Effect: emulator.LateEffect, EffectDelay: time.Minute}, OutcomeUnknown, true},
		{"too slow, but done", emulator.Fault{Answer: emulator.Normal, Effect: emulator.TakesEffect, Delay: 30 * time.Second}, OutcomeUnknown, true},
	}
	calls := []struct {
		name, operation string
		do              func(emulated, string) error
		done            func(emulated, string) bool
	}{
		{
			"create", "POST /api/v1/users",
			func(e emulated, _ string) error {
				_, err := e.client.Users.Create(e.t.Context(), CreateUserRequest{Subject: "new", Email: "new@example.com", Status: StatusActive})
				return err
			},
			func(e emulated, _ string) bool { _, ok := e.UserByEmail("new@example.com"); return ok },
		},
		{
			"invite", "POST /api/v1/users/actions/invite",
			func(e emulated, _ string) error {
				_, err := e.client.Users.Invite(e.t.Context(), []Invitee{{Email: "new@example.com"}})
				return err
			},
			func(e emulated, _ string) bool { _, ok := e.UserByEmail("new@example.com"); return ok },
		},
		{
			"add role", "PATCH /api/v1/users/{userId}",
			func(e emulated, id string) error {
				return e.client.Users.AddRole(e.t.Context(), id, RoleRef{Name: "DataAdmin"})
			},
			func(e emulated, id string) bool { return slices.Contains(e.roles(id), "DataAdmin") },
		},
		{
			"disable", "PATCH /api/v1/users/{userId}",
			func(e emulated, id string) error { return e.client.Users.SetStatus(e.t.Context(), id, StatusDisabled) },
			func(e emulated, id string) bool { u, _ := e.User(id); return u.Status == StatusDisabled },
		},
	}
	for _, call := range calls {
		for _, c := range faults {
			t.Run(call.name+"/"+c.name, func(t *testing.T) {
				onTenant(t, func(t *testing.T, e emulated) {
					u := e.user(emulator.User{Subject: "ann", Email: "ann@example.com"})
					fault := c.fault
					fault.Operation = call.operation
					e.AddFault(fault)
					exactlyOne(t, call.do(e, u.ID), c.want)
					if n := len(e.CallsTo(call.operation)); n != 1 {
						t.Errorf("sent %d times", n)
					}
					time.Sleep(2 * time.Minute)
					if done := call.done(e, u.ID); done != c.done {
						t.Errorf("done: %v, want %v", done, c.done)
					}
				})
			})
		}
	}
}

func TestInvite(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		pending := e.user(emulator.User{Subject: "p", Email: "pending@example.com", Status: StatusInvited})
		e.user(emulator.User{Subject: "a", Email: "active@example.com"})
		e.user(emulator.User{Subject: "d", Email: "disabled@example.com", Status: StatusDisabled})
		results, err := e.client.Users.Invite(t.Context(), []Invitee{
			{Email: "New@example.com", Name: "New", Language: "fr"},
			{Email: "pending@example.com"}, {Email: "ACTIVE@example.com"}, {Email: "disabled@example.com"}, {Email: "broken@example.com"},
		})
		if err != nil {
			t.Fatal(err)
		}
		created, _ := e.UserByEmail("new@example.com")
		want := []InviteResult{
			{Email: "New@example.com", Status: InviteOK, UserID: created.ID, Subject: created.Subject},
			{Email: "pending@example.com", Status: InviteExists, UserID: pending.ID, Subject: "p"},
			{Email: "ACTIVE@example.com", Status: InviteError, Code: InviteCodeActive},
			{Email: "disabled@example.com", Status: InviteError, Code: InviteCodeDisabled},
			{Email: "broken@example.com", Status: InviteError, Code: InviteCodeExternal},
		}
		if diff := cmp.Diff(want, results, cmpopts.IgnoreFields(InviteResult{}, "Title", "Detail")); diff != "" {
			t.Error(diff)
		}
		for i, outcome := range []OutcomeKind{OutcomeDone, OutcomeDone, OutcomeRefused, OutcomeRefused, OutcomeUnknown} {
			if got := results[i].Outcome(); got != outcome {
				t.Errorf("%s: %q", results[i].Email, got)
			}
		}
		if mails := e.MailsSent(); len(mails) != 1 || mails[0].Language != "fr" || mails[0].Name != "New" {
			t.Errorf("mails %v", mails)
		}
		results, err = e.client.Users.Invite(t.Context(), []Invitee{{Email: "pending@example.com", Resend: true}})
		if err != nil || results[0].Status != InviteOK || len(e.MailsSent()) != 2 {
			t.Errorf("sending again: %v, %v", results, err)
		}
		e.SetIdentityProviders(emulator.IdentityProvider{Provider: "okta", Active: true, Interactive: true})
		_, err = e.client.Users.Invite(t.Context(), []Invitee{{Email: "other@example.com"}})
		exactlyOne(t, err, OutcomeRefused)
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("with an identity provider: %v", err)
		}
	}, func(c *emulator.Config) {
		c.Behaviour.InviteCodesAsNumbers = true
		c.Behaviour.InviteFailures = map[string]string{"broken@example.com": "1003"}
	})
}

func TestAnInvitationWithoutAClearAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	const ok = `{"status":"ok","email":"a@example.com","userId":"u1","subject":"s"}`
	cases := map[string]string{
		"no answer":                 ``,
		"an answer for another":     `{"status":"ok","email":"b@example.com","userId":"u1","subject":"s"}`,
		"an answer without address": `{"status":"ok","userId":"u1","subject":"s"}`,
		"ok without a user":         `{"status":"ok","email":"a@example.com"}`,
		"exists without a user":     `{"status":"exists","email":"a@example.com"}`,
		"a new status":              `{"status":"queued","email":"a@example.com","userId":"u1"}`,
		"two that differ":           ok + `,{"status":"error","email":"A@EXAMPLE.com","code":"1003"}`,
		"two that differ, three":    ok + `,{"status":"error","email":"a@example.com","code":"1003"},` + ok,
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, reply(207, `{"data":[`+data+`]}`))
				results, err := f.client.Users.Invite(t.Context(), []Invitee{{Email: "a@example.com"}})
				if err != nil {
					t.Fatal(err)
				}
				if len(results) != 1 || results[0] != (InviteResult{Email: "a@example.com", Status: InviteUnknown}) || results[0].Outcome() != OutcomeUnknown {
					t.Errorf("%+v", results)
				}
			})
		})
	}
	for code, want := range map[string]OutcomeKind{
		"1001": OutcomeRefused, "1002": OutcomeRefused, "1003": OutcomeUnknown, "400": OutcomeRefused, "403": OutcomeRefused,
		"408": OutcomeUnknown, "429": OutcomeNotSent, "500": OutcomeUnknown, "": OutcomeUnknown, "x": OutcomeUnknown,
	} {
		if got := (InviteResult{Status: InviteError, Code: code}).Outcome(); got != want {
			t.Errorf("code %q: %q, want %q", code, got, want)
		}
	}
}

func TestRoleByName(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		r, err := e.client.Reader().Roles.ByName(t.Context(), "TenantAdmin")
		if err != nil || r.Name != "TenantAdmin" || r.ID == "" || !r.GivesAdmin() || r.Type != "default" {
			t.Errorf("%+v, %v", r, err)
		}
		if e.role("Steward").GivesAdmin() {
			t.Error("Steward is no administrator")
		}
		for name, near := range map[string]string{"tenantadmin": "TenantAdmin", "Tenant Admin": "TenantAdmin", "TenantAdmn": "TenantAdmin", "audit": "AuditAdmin", "Nonsense": "", "": ""} {
			_, err := e.client.Roles.ByName(t.Context(), name)
			var missing *RoleNotFoundError
			if !errors.Is(err, ErrNotFound) || !errors.As(err, &missing) {
				t.Errorf("%q: %v", name, err)
				continue
			}
			if first := strings.Join(missing.Near[:min(1, len(missing.Near))], ""); first != near {
				t.Errorf("%q: near is %v", name, missing.Near)
			}
		}
	}, func(c *emulator.Config) { c.Behaviour.MaxPageSize = 3 })
}

func TestTwoRolesOfOneNameAreNotChosenFrom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, reply(200, `{"data":[{"id":"1","name":"X"},{"id":"2","name":"X"}],"links":{}}`))
		if _, err := f.client.Roles.ByName(t.Context(), "X"); !errors.Is(err, ErrGarbled) {
			t.Error(err)
		}
		f.setAnswer(reply(200, `{"data":[{"id":"1","name":"X"}],"links":{}}`))
		if r, err := f.client.Roles.ByName(t.Context(), "X"); err != nil || !r.GivesAdmin() {
			t.Errorf("a role of unknown level must count as an administrator's: %+v, %v", r, err)
		}
	})
}

func TestOtherInteractiveProviders(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		for _, c := range []struct {
			idps     []emulator.IdentityProvider
			provider string
			other    bool
		}{
			{[]emulator.IdentityProvider{{Provider: "qlik", Active: true, Interactive: true}}, "", false},
			{[]emulator.IdentityProvider{{Provider: "qlik", Interactive: true}, {Provider: "okta", Active: true, Interactive: true}}, "okta", true},
			{[]emulator.IdentityProvider{{Provider: "okta", Interactive: true}, {Provider: "external", Active: true}, {Provider: "qlik", Active: true, Interactive: true}}, "", false},
			{nil, "", false},
		} {
			e.SetIdentityProviders(c.idps...)
			s, err := e.client.Reader().IdentityProviders.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := s.OtherInteractive(); p != c.provider || ok != c.other {
				t.Errorf("%v: %q, %v", c.idps, p, ok)
			}
		}
	})
}

func TestIdentityProvidersThatAreNotClearAreAnError(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                  `{}`,
		"no list":                  `{"active_interactive_idps_count":0}`,
		"a null list":              `{"active_interactive_idps_count":0,"idps_metadata":null}`,
		"no count":                 `{"idps_metadata":[]}`,
		"no provider":              `{"active_interactive_idps_count":1,"idps_metadata":[{"active":true,"interactive":true}]}`,
		"active left open":         `{"active_interactive_idps_count":0,"idps_metadata":[{"provider":"okta","interactive":true}]}`,
		"interactive left open":    `{"active_interactive_idps_count":0,"idps_metadata":[{"provider":"okta","active":true}]}`,
		"more counted than listed": `{"active_interactive_idps_count":2,"idps_metadata":[{"provider":"qlik","active":true,"interactive":true}]}`,
		"text for a flag":          `{"active_interactive_idps_count":0,"idps_metadata":[{"provider":"okta","active":"no","interactive":true}]}`,
		"HTML":                     `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, reply(200, body))
				if s, err := f.client.IdentityProviders.Status(t.Context()); !errors.Is(err, ErrGarbled) || s.Providers != nil {
					t.Errorf("%+v, %v", s, err)
				}
			})
		})
	}
}

func TestACountThatLeavesQlikAccountOutIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, reply(200, `{"active_interactive_idps_count":0,"idps_metadata":[{"provider":"qlik","active":true,"interactive":true}]}`))
		s, err := f.client.IdentityProviders.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if provider, other := s.OtherInteractive(); other {
			t.Errorf("another interactive provider: %q", provider)
		}
	})
}

func TestTheTenantIsReadThroughItsRedirect(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		got, err := e.client.Reader().Tenants.Me(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := e.Tenant()
		if got.ID != want.ID || got.Name != want.Name || got.Status != "active" || len(got.Hostnames) == 0 || got.CreatedAt.IsZero() {
			t.Errorf("%+v", got)
		}
		e.SetBehaviour(func(b *emulator.Behaviour) { b.ForeignRedirects = true })
		if _, err := e.client.Tenants.Me(t.Context()); !errors.Is(err, ErrGarbled) || !strings.Contains(err.Error(), "another host") {
			t.Errorf("a redirect to another host: %v", err)
		}
	})
}

func TestRedirectsStayWithTheTenant(t *testing.T) {
	t.Parallel()
	for location, follow := range map[string]bool{
		"/api/v1/tenants/t1":                     true,
		"http://127.0.0.1:1/api/v1/tenants/t1":   true,
		"//127.0.0.1:1/api/v1/tenants/t1":        true,
		"http://127.0.0.1:2/api/v1/tenants/t1":   false,
		"http://evil.example.com/api/v1/tenants": false,
		"//evil.example.com/x":                   false,
		"ftp://127.0.0.1:1/x":                    false,
		"http://[::1/%zz":                        false,
		"":                                       false,
	} {
		t.Run(location, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, inOrder(reply(302, "", "Location", location), me))
				_, err := f.client.Tenants.Me(t.Context())
				if (err == nil) != follow {
					t.Errorf("error %v", err)
				}
				if n := len(f.got()); follow && n != 2 || !follow && n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
	t.Run("no circles", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, reply(302, "", "Location", "/api/v1/tenants/me"))
			if _, err := f.client.Tenants.Me(t.Context()); !errors.Is(err, ErrGarbled) || len(f.got()) != 4 {
				t.Errorf("%v after %d requests", err, len(f.got()))
			}
		})
	})
}

func TestEveryFormOfATokenAnswer(t *testing.T) {
	t.Parallel()
	for _, form := range []emulator.TokenExpiry{emulator.ExpiresAt, emulator.ExpiresIn, emulator.ExpiresBoth, emulator.ExpiresNotSaid} {
		for _, capital := range []bool{false, true} {
			onTenant(t, func(t *testing.T, e emulated) {
				for range 30 {
					if _, err := e.client.Tenants.Me(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				}
				want := 1
				if form == emulator.ExpiresNotSaid {
					want = 8 // every four minutes
				}
				if n := len(e.CallsTo("POST /oauth/token")); n != want {
					t.Errorf("%d tokens in half an hour, want %d", n, want)
				}
				e.RevokeTokens(testID)
				if _, err := e.client.Tenants.Me(t.Context()); err != nil {
					t.Errorf("after the token was revoked: %v", err)
				}
			}, func(c *emulator.Config) { c.Behaviour.TokenExpiry, c.Behaviour.CapitalBearer = form, capital })
		}
	}
}

func TestAssertionsInPlaceOfASecret(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey := mustRSA(t), mustECDSA(t)
	for alg, use := range map[string]func(*Config){
		"RS256": func(c *Config) { c.PrivateKey = rsaKey },
		"RS512": func(c *Config) { c.PrivateKey, c.Algorithm = rsaKey, "RS512" },
		"ES384": func(c *Config) { c.PrivateKey = ecKey },
	} {
		t.Run(alg, func(t *testing.T) {
			onTenantWith(t, func(t *testing.T, e emulated) {
				for range 3 {
					if _, err := e.client.Tenants.Me(t.Context()); err != nil {
						t.Fatal(err)
					}
					e.RevokeTokens(testID) // the next assertion needs another jti
				}
			}, func(c *Config) { c.ClientSecret, c.KeyID = nil, "k1"; use(c) },
				func(c *emulator.Config) {
					c.Clients[0].KeyID = "k1"
					c.Clients[0].PublicKey = rsaKey.Public()
					if alg == "ES384" {
						c.Clients[0].PublicKey = ecKey.Public()
					}
				})
		})
	}
}

func TestAClientThatIsNotTrustedIsToldSo(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		_, err := e.client.Tenants.Me(t.Context())
		var x *Error
		if !errors.Is(err, ErrCredentials) || !errors.As(err, &x) || !strings.Contains(x.Hint(), "Trusted") {
			t.Errorf("%v", err)
		}
	}, func(c *emulator.Config) { c.Clients[0].Trusted = false })
}

// The emulator counts as Qlik does, over five minutes.
func TestBulkWorkNeverEarnsA429(t *testing.T) {
	t.Parallel()
	onTenant(t, func(t *testing.T, e emulated) {
		u := e.user(emulator.User{Subject: "ann"})
		bulk := e.client.Bulk()
		done := make(chan error)
		const workers, writes = 10, 80
		for range workers {
			go func() {
				for i := range writes {
					if err := bulk.Users.Patch(t.Context(), u.ID, []PatchOp{Replace("/name", fmt.Sprintf("N%d", i))}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range workers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for _, call := range e.Calls() {
			if call.Status == 429 {
				t.Fatal("a 429")
			}
		}
	})
}
