package qlik_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

func TestUserListShowsActiveUsersOnlyUnlessStatusesAreNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.addUser(person("Ana"))
		tn.addUser(person("Ben", func(u *qlik.User) { u.Status = qlik.StatusInvited }))
		tn.addUser(person("Cleo", func(u *qlik.User) { u.Status = qlik.StatusDisabled }))
		tn.addUser(person("Dan", func(u *qlik.User) { u.Status = qlik.StatusProvisioned }))
		check := func(path string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, tn.get(path).want(http.StatusOK).column("name")); diff != "" {
				t.Errorf("GET %s (-want +got):\n%s", path, diff)
			}
		}
		check("/api/v1/users", "Ana", "Made-up bot")
		check(filtered("/api/v1/users", `email co "example.com"`), "Ana")
		check(filtered("/api/v1/users", `status eq "disabled" or status eq "invited"`), "Ben", "Cleo")
		check(filtered("/api/v1/users", `name co "a" and (status eq "provisioned" or status eq "active")`), "Ana", "Dan", "Made-up bot")
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.ListsEveryStatus = true })
		check("/api/v1/users", "Ana", "Ben", "Cleo", "Dan", "Made-up bot")
		if n := tn.get("/api/v1/users/actions/count").want(http.StatusOK).doc["total"]; n != 5.0 {
			t.Errorf("the count is %v, want 5 whatever their status", n)
		}
	})
}

func TestUserListRefusesParametersThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		for _, query := range []string{
			"email=ana@example.com", "role=TenantAdmin", "status=active", "subject=x", "tenantId=x", "sortBy=name",
			"sortOrder=asc", "startingAfter=x", "endingBefore=x", "filtr=x", "limit=0", "limit=101", "limit=ten", "limit=",
			"sort=nickname", "sort=--name", "sort=", "totalResults=yes", "fields=nickname", "filter=", "filter=name+eq+B",
			"next=x&prev=x", "next=nonsense", "limit=1&limit=2", "filter=%zz",
		} {
			res := tn.get("/api/v1/users?" + query).want(http.StatusBadRequest)
			if p := res.problem(); p["status"] != 400.0 || p["title"] == "" || res.doc["traceId"] == nil {
				t.Errorf("%s is refused with %s", query, res.raw)
			}
		}
	})
}

func TestUserListPagesForthAndBackWithCursors(t *testing.T) {
	t.Parallel()
	for _, ownLinks := range []bool{false, true} {
		t.Run(fmt.Sprintf("own links %v", ownLinks), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tn := newTenant(t, func(c *qlik.Config) { c.Behaviour.OwnLinks = ownLinks })
				var want []string
				for i := range 7 {
					want = append(want, tn.addUser(person(fmt.Sprintf("Person %d", i))).Name)
				}
				slices.Reverse(want)
				base := "/api/v1/users?limit=3&sort=-name&" + url.Values{"filter": {`name co "person"`}}.Encode()
				page := tn.get(base).want(http.StatusOK)
				if page.cursor("prev") != "" {
					t.Error("the first page has a page before it")
				}
				got := page.column("name")
				second := ""
				for page.cursor("next") != "" {
					page = tn.get(base + "&next=" + url.QueryEscape(page.cursor("next"))).want(http.StatusOK)
					got = append(got, page.column("name")...)
					if second == "" {
						second = page.cursor("prev")
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("walking forth (-want +got):\n%s", diff)
				}
				back := tn.get(base + "&prev=" + url.QueryEscape(second)).want(http.StatusOK)
				if diff := cmp.Diff(want[:3], back.column("name")); diff != "" {
					t.Errorf("going back from the second page (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestACursorIsRefusedByAnotherQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		for i := range 3 {
			tn.addUser(person(fmt.Sprintf("Person %d", i)))
		}
		next := url.QueryEscape(tn.get(filtered("/api/v1/users", `name co "person"`) + "&limit=1").want(http.StatusOK).cursor("next"))
		tn.get("/api/v1/users?limit=1&next=" + next).want(http.StatusBadRequest)
		tn.get("/api/v1/groups?limit=1&next=" + next).want(http.StatusBadRequest)
		tn.get(filtered("/api/v1/users", `name co "person"`) + "&prev=" + next).want(http.StatusBadRequest)
		tn.get(filtered("/api/v1/users", `name co "person"`) + "&limit=2&next=" + next).want(http.StatusOK)
	})
}

func TestAPageTurnsCorrectlyWhilePeopleComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		gone := tn.addUser(person("B"))
		for _, name := range []string{"A", "C", "D"} {
			tn.addUser(person(name))
		}
		first := tn.get("/api/v1/users?limit=2").want(http.StatusOK)
		if err := tn.DeleteUser(gone.ID); err != nil {
			t.Fatal(err)
		}
		tn.addUser(person("AA"))
		second := tn.get("/api/v1/users?limit=2&next=" + url.QueryEscape(first.cursor("next"))).want(http.StatusOK)
		if diff := cmp.Diff([]string{"C", "D"}, second.column("name")); diff != "" {
			t.Errorf("the second page (-want +got):\n%s", diff)
		}
	})
}

func TestPagesCanBeMadeSmallerThanAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.Behaviour.MaxPageSize = 2 })
		page := tn.get("/api/v1/roles?limit=100&totalResults=true").want(http.StatusOK)
		if len(page.data()) != 2 || page.cursor("next") == "" || page.doc["totalResults"] != float64(len(tn.Roles())) {
			t.Errorf("a page of at most two is %s", page.raw)
		}
	})
}

func TestLinksLeadElsewhereUnlessTheyAreSwitchedToTheOwnHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		u := tn.addUser(person("Ana"))
		href := func() string {
			links, _ := tn.get("/api/v1/users/" + u.ID).want(http.StatusOK).doc["links"].(map[string]any)
			self, _ := links["self"].(map[string]any)
			s, _ := self["href"].(string)
			return s
		}
		if h := href(); !strings.HasPrefix(h, "http://") || strings.Contains(h, host) {
			t.Errorf("the link is %q, want another host over http", h)
		}
		if l := tn.get("/api/v1/users/me").want(http.StatusMovedPermanently).header.Get("Location"); !strings.HasPrefix(l, "/api/v1/users/") {
			t.Errorf("users/me leads to %q, want a relative address", l)
		}
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.OwnLinks, b.ForeignRedirects = true, true })
		if h := href(); h != "http://"+host+"/api/v1/users/"+u.ID {
			t.Errorf("the link is %q, want this server", h)
		}
		if l := tn.get("/api/v1/tenants/me").want(http.StatusFound).header.Get("Location"); !strings.HasPrefix(l, "http://") || strings.Contains(l, host) {
			t.Errorf("tenants/me leads to %q, want another host", l)
		}
	})
}

func TestCreatingAUserIsRefusedWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.addUser(person("Ana", func(u *qlik.User) { u.Status = qlik.StatusDisabled }))
		for why, c := range map[string]struct {
			status int
			body   string
		}{
			"the subject is missing":             {400, `{"name":"Ben","status":"active"}`},
			"the subject is empty":               {400, `{"subject":"","status":"active"}`},
			"the subject is null":                {400, `{"subject":null,"status":"active"}`},
			"the subject is a number":            {400, `{"subject":1,"status":"active"}`},
			"a field is unknown":                 {400, `{"subject":"s","status":"active","roles":["TenantAdmin"]}`},
			"a field is written otherwise":       {400, `{"Subject":"s","status":"active"}`},
			"an invited user has no address":     {400, `{"subject":"s"}`},
			"the address is none":                {400, `{"subject":"s","status":"active","email":"Ben <ben@example.com>"}`},
			"the status is none":                 {400, `{"subject":"s","status":"disabled"}`},
			"the tenant is another":              {400, `{"subject":"s","status":"active","tenantId":"x"}`},
			"a role is unknown":                  {400, `{"subject":"s","status":"active","assignedRoles":[{"name":"Developer"}]}`},
			"a role is in the wrong case":        {400, `{"subject":"s","status":"active","assignedRoles":[{"name":"tenantadmin"}]}`},
			"roles are mixed":                    {400, `{"subject":"s","status":"active","assignedRoles":[{"name":"Steward"},{"id":"` + tn.roleID("TenantAdmin") + `"}]}`},
			"a role has id and name":             {400, `{"subject":"s","status":"active","assignedRoles":[{"name":"Steward","id":"x"}]}`},
			"roles are strings":                  {400, `{"subject":"s","status":"active","assignedRoles":["Steward"]}`},
			"the body is a list":                 {400, `[]`},
			"the body is empty":                  {400, ``},
			"there are two bodies":               {400, `{"subject":"s","status":"active"}{}`},
			"the subject is taken":               {409, `{"subject":"auth0|ana","status":"active"}`},
			"the address is taken in other case": {409, `{"subject":"s","status":"active","email":"ANA@example.com"}`},
			"the body is too large":              {413, `{"subject":"` + strings.Repeat("s", 500_001) + `","status":"active"}`},
		} {
			res := tn.post("/api/v1/users", c.body)
			if res.status != c.status {
				t.Errorf("%s: status %d, want %d: %.200s", why, res.status, c.status, res.raw)
			}
		}
		tn.send("POST", "/api/v1/users", "application/json; charset=utf-8", `{"subject":"s","status":"active"}`).want(http.StatusCreated)
		tn.send("POST", "/api/v1/users", "text/plain", `{"subject":"s2","status":"active"}`).want(http.StatusBadRequest)
		if n := len(tn.Users()); n != 3 {
			t.Errorf("there are %d users, want the bot, Ana and the one with subject s", n)
		}
	})
}

func TestADeletedUsersAddressIsFreeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		u := tn.addUser(person("Ana"))
		if err := tn.AddEntitlement(u.Subject, qlik.EntitlementAnalyzer); err != nil {
			t.Fatal(err)
		}
		tn.delete("/api/v1/users/" + u.ID).want(http.StatusNoContent)
		if n := len(tn.Entitlements()); n != 0 {
			t.Errorf("%d entitlements are left after the deletion", n)
		}
		tn.post("/api/v1/users", map[string]string{"subject": u.Subject, "email": u.Email, "status": "active"}).want(http.StatusCreated)
		tn.delete("/api/v1/users/" + u.ID).want(http.StatusNotFound)
	})
}

func TestAUserWithoutAStatusIsInvitedAndGetsNoMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		res := tn.post("/api/v1/users", map[string]string{"subject": "s", "email": "ana@example.com"}).want(http.StatusCreated)
		want := float64(time.Now().Add(7 * 24 * time.Hour).Unix())
		if res.str("status") != "invited" || res.doc["inviteExpiry"] != want {
			t.Errorf("the user is %s, want invited until %.0f", res.raw, want)
		}
		if mails := tn.MailsSent(); len(mails) != 0 {
			t.Errorf("mails were sent: %v", mails)
		}
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.RefusesActiveOnCreate = true })
		tn.post("/api/v1/users", map[string]string{"subject": "s2", "status": "active"}).want(http.StatusBadRequest)
	})
}

func TestRolesThroughGroupsAreFoundByTheirOwnAttribute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		g, err := tn.AddGroup(qlik.Group{Name: "Admins", Roles: []string{"TenantAdmin"}})
		if err != nil {
			t.Fatal(err)
		}
		ana := tn.addUser(person("Ana", func(u *qlik.User) { u.Groups = []string{g.ID} }))
		tn.addUser(person("Ben", func(u *qlik.User) { u.Roles = []string{"TenantAdmin"} }))
		direct := tn.get(filtered("/api/v1/users", `assignedRoles.name eq "TenantAdmin"`)).column("name")
		through := tn.get(filtered("/api/v1/users", `assignedGroupsAssignedRoles.name eq "TenantAdmin"`)).column("name")
		if diff := cmp.Diff([][]string{{"Ben", "Made-up bot"}, {"Ana"}}, [][]string{direct, through}); diff != "" {
			t.Errorf("direct and through groups (-want +got):\n%s", diff)
		}
		groups, _ := tn.get("/api/v1/users/" + ana.ID).doc["assignedGroups"].([]any)
		ref, _ := groups[0].(map[string]any)
		roles, _ := ref["assignedRoles"].([]any)
		if len(roles) != 1 || ref["providerType"] != "idp" {
			t.Errorf("Ana's group stands there as %v", ref)
		}
	})
}

func TestFieldsPickWhatAUserShows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		u := tn.addUser(person("Ana"))
		want := map[string]any{"id": u.ID, "email": u.Email}
		if diff := cmp.Diff(want, tn.get("/api/v1/users/"+u.ID+"?fields=id,email").want(http.StatusOK).doc); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if res := tn.get("/api/v1/users/" + u.ID); res.doc["roles"] != nil || res.doc["created"] != nil {
			t.Errorf("deprecated fields without being asked for: %s", res.raw)
		}
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.DeprecatedFields = true })
		if res := tn.get("/api/v1/users/" + u.ID); res.doc["roles"] == nil || res.doc["created"] == nil || res.doc["lastUpdated"] == nil {
			t.Errorf("the deprecated fields are missing: %s", res.raw)
		}
	})
}

func TestFilterActionTakesALongFilterInItsBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		var terms, want []string
		for i := range 40 {
			u := tn.addUser(person(fmt.Sprintf("Person %02d", i)))
			terms, want = append(terms, `id eq "`+u.ID+`"`), append(want, u.Name)
		}
		body := map[string]string{"filter": strings.Join(terms, " or ")}
		first := tn.post("/api/v1/users/actions/filter?limit=30", body).want(http.StatusOK)
		second := tn.post("/api/v1/users/actions/filter?limit=30&next="+url.QueryEscape(first.cursor("next")), body).want(http.StatusOK)
		if diff := cmp.Diff(want, append(first.column("name"), second.column("name")...)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		tn.post("/api/v1/users/actions/filter", map[string]string{"filter": strings.Repeat(terms[0]+" or ", 100) + terms[0]}).want(http.StatusBadRequest)
		tn.post("/api/v1/users/actions/filter?sort=email", body).want(http.StatusBadRequest)
	})
}

func TestListsLagBehindWritesWhenTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.Behaviour.ReadLag = 10 * time.Second })
		time.Sleep(time.Minute)
		id := tn.post("/api/v1/users", map[string]string{"subject": "s", "name": "Ana", "status": "active"}).want(http.StatusCreated).str("id")
		find := filtered("/api/v1/users", `subject eq "s"`)
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 0}, {9 * time.Second, 0}, {time.Second, 1}} {
			time.Sleep(step.wait)
			if n := len(tn.get(find).want(http.StatusOK).data()); n != step.want {
				t.Errorf("the list finds %d, want %d", n, step.want)
			}
			tn.get("/api/v1/users/" + id).want(http.StatusOK)
		}
		tn.delete("/api/v1/users/" + id).want(http.StatusNoContent)
		if n := len(tn.get(find).want(http.StatusOK).data()); n != 1 {
			t.Errorf("the list has forgotten the user at once")
		}
	})
}
