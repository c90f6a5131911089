package qlik_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

func TestANewTenantHasQliksDefaultRolesAndNoDeveloper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		names := strings.Join(tn.get("/api/v1/roles?limit=100").want(http.StatusOK).column("name"), " ")
		for _, name := range []string{"TenantAdmin", "AnalyticsAdmin", "DataAdmin", "AuditAdmin", "SharedSpaceCreator", "UserDefault"} {
			if !strings.Contains(names, name) {
				t.Errorf("there is no role %s", name)
			}
		}
		if strings.Contains(names, "Developer") {
			t.Error("there is a role Developer, which Qlik has removed")
		}
		admins := tn.get(filtered("/api/v1/roles", `level eq "admin"`)).want(http.StatusOK).column("name")
		if diff := cmp.Diff([]string{"AnalyticsAdmin", "AuditAdmin", "DataAdmin", "TenantAdmin"}, admins); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if res := tn.get("/api/v1/roles/none").want(http.StatusNotFound); res.problem()["code"] != "IDENTITIES-10402" {
			t.Errorf("an unknown role is %s", res.raw)
		}
		tn.get(filtered("/api/v1/roles", `level eq "boss"`)).want(http.StatusBadRequest)
	})
}

func TestAGroupIsRefusedWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.post("/api/v1/groups", `{"name":"Finance"}`).want(http.StatusCreated)
		for why, c := range map[string]struct {
			status int
			body   string
		}{
			"the name is missing":          {400, `{}`},
			"the name is too long":         {400, `{"name":"` + strings.Repeat("x", 257) + `"}`},
			"the status is disabled":       {400, `{"name":"x","status":"disabled"}`},
			"the provider type is none":    {400, `{"name":"x","providerType":"ldap"}`},
			"a role is unknown":            {400, `{"name":"x","assignedRoles":[{"name":"Developer"}]}`},
			"a field is unknown":           {400, `{"name":"x","members":[]}`},
			"the name is taken":            {409, `{"name":"Finance"}`},
			"the name is taken explicitly": {409, `{"name":"Finance","providerType":"idp"}`},
		} {
			if res := tn.post("/api/v1/groups", c.body); res.status != c.status {
				t.Errorf("%s: status %d, want %d: %s", why, res.status, c.status, res.raw)
			}
		}
		tn.post("/api/v1/groups", `{"name":"finance"}`).want(http.StatusCreated)
		tn.post("/api/v1/groups", `{"name":"Finance","providerType":"custom"}`).want(http.StatusCreated)
	})
}

func TestAGroupsPatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		idp := "/api/v1/groups/" + tn.post("/api/v1/groups", `{"name":"Directory"}`).want(http.StatusCreated).str("id")
		custom := "/api/v1/groups/" + tn.post("/api/v1/groups", `{"name":"Hand-made","providerType":"custom"}`).want(http.StatusCreated).str("id")
		steward := []any{map[string]string{"name": "Steward"}}
		tn.patch(idp, []any{patchOp("replace", "assignedRoles", steward)}).want(http.StatusNoContent)
		tn.patch(idp, []any{patchOp("replace", "/assignedRoles", []any{}), patchOp("replace", "/name", "x")}).want(http.StatusBadRequest)
		tn.patch(idp, []any{patchOp("add", "/assignedRoles/-", steward[0])}).want(http.StatusBadRequest)
		if roles, _ := tn.get(idp).want(http.StatusOK).doc["assignedRoles"].([]any); len(roles) != 1 {
			t.Errorf("a refused patch has left %v", roles)
		}
		tn.patch(custom, []any{patchOp("replace", "/name", "Renamed"), patchOp("replace", "/description", "d")}).want(http.StatusNoContent)
		if res := tn.get(custom).want(http.StatusOK); res.str("name") != "Renamed" || res.str("description") != "d" {
			t.Errorf("the group is %s", res.raw)
		}
	})
}

func TestEveryoneStandsAloneAndItsRolesCountForEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.get("/api/v1/groups?systemGroups=true&limit=1").want(http.StatusBadRequest)
		if got := tn.get("/api/v1/groups?systemGroups=true").want(http.StatusOK).column("id"); !cmp.Equal(got, []string{qlik.EveryoneGroupID}) {
			t.Errorf("the system groups are %v", got)
		}
		bot, _ := tn.BotUser(clientID)
		everyone := "/systemGroups/" + qlik.EveryoneGroupID + "/assignedRoles"
		tn.patch("/api/v1/groups/settings", []any{patchOp("replace", everyone, []any{map[string]string{"name": "TenantAdmin"}})}).want(http.StatusNoContent)
		if err := tn.UpdateUser(bot.ID, func(u *qlik.User) { u.Roles = nil }); err != nil {
			t.Fatal(err)
		}
		tn.get("/api/v1/users").want(http.StatusOK)
		if err := tn.SetGroupSettings(qlik.GroupSettings{}); err != nil {
			t.Fatal(err)
		}
		tn.get("/api/v1/users").want(http.StatusForbidden)
	})
}

func TestEntitlementsRunOutAndSayWhich(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.SetLicense(qlik.License{Product: "p", Allotments: []qlik.Allotment{
			{Name: qlik.EntitlementProfessional, Units: 1}, {Name: qlik.EntitlementAnalyzer, Units: 1, Overage: -1},
		}})
		act := func(action string, entries ...map[string]string) []string {
			t.Helper()
			var got []string
			for _, r := range tn.post("/api/v1/licenses/assignments/actions/"+action, map[string]any{action: entries}).want(http.StatusMultiStatus).data() {
				got = append(got, fmt.Sprint(r["status"], " ", r["code"]))
			}
			return got
		}
		pro := func(s string) map[string]string { return map[string]string{"subject": s, "type": "professional"} }
		for _, step := range []struct {
			got, want []string
		}{
			{act("add", pro("a"), pro("b"), pro("a")), []string{"201 <nil>", "403 LICENSES-011", "409 HTTP-409"}},
			{act("add", map[string]string{"subject": "b", "type": "analyzer"}, map[string]string{"subject": "c", "type": "fullUser"}), []string{"201 <nil>", "403 LICENSES-011"}},
			{act("update", map[string]string{"subject": "b", "type": "professional"}), []string{"403 LICENSES-011"}},
			{act("update", map[string]string{"subject": "d", "sourceSubject": "a"}), []string{"201 <nil>"}},
			{act("delete", pro("a"), pro("d")), []string{"404 LICENSES-016", "200 <nil>"}},
			{act("update", map[string]string{"subject": "b", "type": "professional", "sourceType": "analyzer"}), []string{"200 <nil>"}},
		} {
			if diff := cmp.Diff(step.want, step.got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{"b"}, tn.get("/api/v1/licenses/assignments?orphans=true").want(http.StatusOK).column("subject")); diff != "" {
			t.Errorf("orphans (-want +got):\n%s", diff)
		}
		tn.post("/api/v1/licenses/assignments/actions/add", `{"add":[{"subject":"x"}]}`).want(http.StatusBadRequest)
	})
}

func TestAssignmentsPageWithOneCursorParameter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		for _, s := range []string{"a", "b", "c"} {
			if err := tn.AddEntitlement(s, qlik.EntitlementAnalyzer); err != nil {
				t.Fatal(err)
			}
		}
		const base = "/api/v1/licenses/assignments?limit=2&sort=subject"
		first := tn.get(base).want(http.StatusOK)
		second := tn.get(base + "&page=" + url.QueryEscape(first.cursor("next"))).want(http.StatusOK)
		back := tn.get(base + "&page=" + url.QueryEscape(second.cursor("prev"))).want(http.StatusOK)
		got := [][]string{first.column("subject"), second.column("subject"), back.column("subject")}
		if diff := cmp.Diff([][]string{{"a", "b"}, {"c"}, {"a", "b"}}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestSigningInAssignsWhatTheSettingsSay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.put("/api/v1/licenses/settings", `{"autoAssignAnalyzer":true}`).want(http.StatusOK)
		tn.invite(invitee("ana@example.com"))
		ana, _ := tn.UserByEmail("ana@example.com")
		if err := tn.SignIn(ana.ID); err != nil {
			t.Fatal(err)
		}
		got := tn.Entitlements()
		if len(got) != 1 || got[0].Subject != ana.Subject || got[0].Type != qlik.EntitlementAnalyzer {
			t.Errorf("the entitlements are %+v", got)
		}
	})
}

func TestSpacesAreSearchedByPartOfTheirNameTenAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		for i := range 12 {
			if _, err := tn.AddSpace(qlik.Space{Name: fmt.Sprintf("Finance %02d", i), Type: "shared"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := tn.AddSpace(qlik.Space{Name: "Sales", Type: "managed", OwnerID: "gone"}); err != nil {
			t.Fatal(err)
		}
		first := tn.get("/api/v1/spaces?name=fin").want(http.StatusOK)
		if len(first.data()) != 10 || first.cursor("next") == "" {
			t.Errorf("the first page has %d spaces", len(first.data()))
		}
		if got := tn.get("/api/v1/spaces?type=managed,data&ownerId=gone").want(http.StatusOK).column("name"); !cmp.Equal(got, []string{"Sales"}) {
			t.Errorf("found are %v", got)
		}
		for _, query := range []string{"filter=name+eq+%22Sales%22", "type=personal", "sort=ownerId", "limit=x"} {
			tn.get("/api/v1/spaces?" + query).want(http.StatusBadRequest)
		}
	})
}

func TestASpaceTakesOneAssignmentForEachAssigneeWithItsOwnRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		ana := tn.addUser(person("Ana"))
		space := "/api/v1/spaces/" + tn.post("/api/v1/spaces", `{"name":"Sales","type":"shared"}`).want(http.StatusCreated).str("id")
		give := func(kind, id string, roles ...string) int {
			return tn.post(space+"/assignments", map[string]any{"type": kind, "assigneeId": id, "roles": append([]string{}, roles...)}).status
		}
		for _, step := range []struct {
			why       string
			got, want int
		}{
			{"a role of another type of space", give("user", ana.ID, "publisher"), 400},
			{"no role", give("user", ana.ID), 400},
			{"a user as a group", give("group", ana.ID, "consumer"), 400},
			{"a user", give("user", ana.ID, "consumer"), 201},
			{"the same user again", give("user", ana.ID, "producer"), 409},
		} {
			if step.got != step.want {
				t.Errorf("%s: status %d, want %d", step.why, step.got, step.want)
			}
		}
		tn.delete("/api/v1/users/" + ana.ID).want(http.StatusNoContent)
		if n := len(tn.get(space + "/assignments").want(http.StatusOK).data()); n != 0 {
			t.Errorf("%d assignments are left of a deleted user", n)
		}
		for why, body := range map[string]string{
			"a forbidden character": `{"name":"a/b","type":"shared"}`, "no name": `{"type":"shared"}`, "no such type": `{"name":"x","type":"personal"}`,
		} {
			if res := tn.post("/api/v1/spaces", body); res.status != http.StatusBadRequest {
				t.Errorf("%s: status %d", why, res.status)
			}
		}
	})
}

func TestASpaceWithContentIsNotDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		sp, err := tn.AddSpace(qlik.Space{Name: "Sales", Type: "shared", HasContent: true})
		if err != nil {
			t.Fatal(err)
		}
		tn.delete("/api/v1/spaces/" + sp.ID).want(http.StatusPreconditionFailed)
	})
}

func TestSeedingRefusesWhatNoTenantCanHold(t *testing.T) {
	t.Parallel()
	tn := qlik.New(qlik.Config{})
	ana, err := tn.AddUser(person("Ana"))
	if err != nil {
		t.Fatal(err)
	}
	for why, seed := range map[string]func() error{
		"a second user with the subject": func() error { _, err := tn.AddUser(person("Ana")); return err },
		"a second user with the ID": func() error {
			_, err := tn.AddUser(person("Ben", func(u *qlik.User) { u.ID = ana.ID }))
			return err
		},
		"a role twice":              func() error { _, err := tn.AddRole(qlik.Role{Name: "TenantAdmin"}); return err },
		"a group with a wrong role": func() error { _, err := tn.AddGroup(qlik.Group{Name: "g", Roles: []string{"x"}}); return err },
		"a space of no type":        func() error { _, err := tn.AddSpace(qlik.Space{Name: "s"}); return err },
		"changing nobody":           func() error { return tn.UpdateUser("x", func(*qlik.User) {}) },
		"deleting nobody":           func() error { return tn.DeleteUser("x") },
	} {
		if seed() == nil {
			t.Errorf("%s is taken", why)
		}
	}
	if _, err := tn.AddUser(person("Other", func(u *qlik.User) { u.Email = ana.Email })); err != nil {
		t.Errorf("an address that is there twice, as in old tenants, is refused: %v", err)
	}
}

func TestWhatIsDeletedByHandIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	tn := qlik.New(qlik.Config{})
	g, err := tn.AddGroup(qlik.Group{Name: "g", ProviderType: qlik.ProviderCustom})
	if err != nil {
		t.Fatal(err)
	}
	ana, err := tn.AddUser(person("Ana", func(u *qlik.User) { u.Groups = []string{g.ID} }))
	if err != nil {
		t.Fatal(err)
	}
	sp, err := tn.AddSpace(qlik.Space{Name: "s", Type: "shared", HasContent: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := tn.UpdateSpace(sp.ID, func(s *qlik.Space) { s.OwnerID = ana.ID }); err != nil || tn.Spaces()[0].OwnerID != ana.ID {
		t.Errorf("the space belongs to %q: %v", tn.Spaces()[0].OwnerID, err)
	}
	if _, err := tn.AddSpaceAssignment(qlik.SpaceAssignment{SpaceID: sp.ID, Type: "group", AssigneeID: g.ID, Roles: []string{"consumer"}}); err != nil {
		t.Fatal(err)
	}
	if err := tn.DeleteGroup(g.ID); err != nil {
		t.Fatal(err)
	}
	if u, _ := tn.User(ana.ID); len(u.Groups) != 0 || len(tn.SpaceAssignments(sp.ID)) != 0 {
		t.Errorf("the group is still with Ana, %v, or in the space, %v", u.Groups, tn.SpaceAssignments(sp.ID))
	}
	if err := tn.AddEntitlement(ana.Subject, qlik.EntitlementAnalyzer); err != nil {
		t.Fatal(err)
	}
	if err := tn.RemoveEntitlement(ana.Subject); err != nil || len(tn.Entitlements()) != 0 {
		t.Errorf("the entitlements are %v: %v", tn.Entitlements(), err)
	}
	if err := tn.DeleteSpace(sp.ID); err != nil || len(tn.Spaces()) != 0 {
		t.Errorf("the spaces are %v: %v", tn.Spaces(), err)
	}
}
