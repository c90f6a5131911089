package qlik_test

import (
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// The walks make the requests that Qlik's tutorials and help pages show, in
// their order, and check what comes back. The conformance test makes them too.

// walkAddInteractiveUser is the tutorial "Add an interactive user to a tenant":
// look the subject up on the source tenant, create the user on the target.
func walkAddInteractiveUser(source, target *tenant) {
	t := source.t
	t.Helper()
	source.addUser(person("Ana", func(u *qlik.User) { u.Locale, u.Zoneinfo = "en_US", "America/Los_Angeles" }))
	found := source.get("/api/v1/users?" + url.Values{"filter": {`email eq "ana@example.com"`}}.Encode()).want(http.StatusOK).data()
	if len(found) != 1 || found[0]["subject"] != "auth0|ana" || found[0]["status"] != "active" || found[0]["locale"] != "en_US" {
		t.Fatalf("the source tenant knows Ana as %v", found)
	}
	body := map[string]any{
		"name": found[0]["name"], "email": found[0]["email"], "status": "active", "subject": found[0]["subject"],
		"assignedRoles": []any{map[string]any{"name": "TenantAdmin"}},
	}
	made := target.post("/api/v1/users", body).want(http.StatusCreated)
	if made.str("id") == found[0]["id"] || made.str("subject") != "auth0|ana" || made.str("status") != "active" || made.str("tenantId") != target.Tenant().ID {
		t.Errorf("the target tenant answered %s", made.raw)
	}
	roles, _ := made.doc["assignedRoles"].([]any)
	role, _ := roles[0].(map[string]any)
	if len(roles) != 1 || role["name"] != "TenantAdmin" || role["type"] != "default" || role["level"] != "admin" {
		t.Errorf("Ana has the roles %v", roles)
	}
	target.post("/api/v1/users", body).want(http.StatusConflict)
}

// walkCreateUserWithFetch is the tutorial "Create a user on the tenant using
// Fetch API", first as printed and then as it must be.
func walkCreateUserWithFetch(tn *tenant) {
	t := tn.t
	t.Helper()
	tn.token = ""
	tn.send("POST", "/oauth/token", "application/json", nil).want(http.StatusBadRequest) // options beside an empty body
	tn.send("POST", "/oauth/token", "application/json", map[string]string{
		"clientId": clientID, "clientSecret": clientSecret, "grant_type": "client_credentials", "scope": "admin.users",
	}).want(http.StatusBadRequest)
	tn.token = tn.signIn("admin.users")
	data := map[string]string{"subject": "made-up-subject", "name": "Ben", "email": "ben@example.com", "status": "active"}
	tn.send("POST", "/api/v1/users", "application/javascript", data).want(http.StatusBadRequest)
	made := tn.post("/api/v1/users", data).want(http.StatusCreated)
	for _, key := range []string{"id", "name", "email"} {
		made.str(key)
	}
	links, _ := made.doc["links"].(map[string]any)
	if self, _ := links["self"].(map[string]any); self["href"] == nil {
		t.Errorf("the answer has no link to the user: %s", made.raw)
	}
}

// walkConfigureTenant is the tutorial "Configure a tenant".
func walkConfigureTenant(tn *tenant) {
	t := tn.t
	t.Helper()
	res := tn.patch("/api/v1/groups/settings", `[{"op": "replace", "path": "/autoCreateGroups", "value": true},{"op": "replace", "path": "/syncIdpGroups", "value": true}]`).want(http.StatusNoContent)
	if len(res.raw) != 0 {
		t.Errorf("a 204 with a body: %s", res.raw)
	}
	if set := tn.get("/api/v1/groups/settings").want(http.StatusOK); set.doc["autoCreateGroups"] != true || set.doc["syncIdpGroups"] != true {
		t.Errorf("the group settings are %s", set.raw)
	}
	lic := tn.put("/api/v1/licenses/settings", `{"autoAssignProfessional":false,"autoAssignAnalyzer":true}`).want(http.StatusOK)
	if lic.doc["autoAssignProfessional"] != false || lic.doc["autoAssignAnalyzer"] != true {
		t.Errorf("the licence settings are %s", lic.raw)
	}
	group := tn.post("/api/v1/groups", `{"name": "Customers", "status": "active"}`).want(http.StatusCreated)
	if group.str("status") != "active" || group.str("name") != "Customers" || group.str("providerType") != "idp" {
		t.Errorf("the group is %s", group.raw)
	}
	tn.patch("/api/v1/groups/"+group.str("id"), `[{"op": "replace", "path": "/assignedRoles", "value": [ {"name": "AuditAdmin"}, {"name": "AnalyticsAdmin" }]}]`).want(http.StatusNoContent)
	if roles, _ := tn.get("/api/v1/groups/" + group.str("id")).want(http.StatusOK).doc["assignedRoles"].([]any); len(roles) != 2 {
		t.Errorf("the group has the roles %v", roles)
	}
	shared := tn.post("/api/v1/spaces", `{"name": "Staging", "description": "none", "type": "shared"}`).want(http.StatusCreated)
	if meta, _ := shared.doc["meta"].(map[string]any); meta["assignableRoles"] == nil || shared.str("type") != "shared" {
		t.Errorf("the shared space is %s", shared.raw)
	}
	managed := tn.post("/api/v1/spaces", `{"name": "Production", "description": "none", "type": "managed"}`).want(http.StatusCreated)
	bot, _ := tn.BotUser(clientID)
	if managed.str("ownerId") != bot.ID {
		t.Errorf("the managed space belongs to %q, not to its creator %q", managed.str("ownerId"), bot.ID)
	}
	assigned := tn.post("/api/v1/spaces/"+managed.str("id")+"/assignments",
		map[string]any{"type": "group", "assigneeId": group.str("id"), "roles": []string{"consumer"}}).want(http.StatusCreated)
	if assigned.str("assigneeId") != group.str("id") || assigned.str("spaceId") != managed.str("id") {
		t.Errorf("the assignment is %s", assigned.raw)
	}
}

// walkManageUsers is the pair of help pages on adding users: invitations,
// statuses, search, roles, activation and deletion.
func walkManageUsers(tn *tenant) {
	t := tn.t
	t.Helper()
	status := tn.get("/api/v1/identity-providers/status").want(http.StatusOK)
	if status.doc["active_interactive_idps_count"] != 1.0 {
		t.Errorf("the identity providers are %s", status.raw)
	}
	invited := tn.post("/api/v1/users/actions/invite", map[string]any{"invitees": []any{
		map[string]any{"email": "cleo@example.com", "name": "Cleo", "language": "de"},
		map[string]any{"email": "dan@example.com"},
	}}).want(http.StatusMultiStatus)
	ids := map[string]string{}
	for _, r := range invited.data() {
		if r["status"] != "ok" {
			t.Errorf("an invitation ended as %v", r)
		}
		email, _ := r["email"].(string)
		ids[email], _ = r["userId"].(string)
	}
	pending := tn.get(filtered("/api/v1/users", `status eq "invited"`)).want(http.StatusOK)
	if n := len(pending.data()); n != 2 {
		t.Errorf("%d invitations are pending, want 2", n)
	}
	cleo := "/api/v1/users/" + ids["cleo@example.com"]
	before := tn.get(cleo).want(http.StatusOK)
	if before.doc["inviteExpiry"] == nil || before.str("status") != "invited" {
		t.Errorf("Cleo is %s", before.raw)
	}
	tn.post("/api/v1/users/actions/invite", map[string]any{"invitees": []any{
		map[string]any{"email": "cleo@example.com", "resend": true},
	}}).want(http.StatusMultiStatus)
	tn.patch(cleo, []any{patchOp("replace", "/status", "active")}).want(http.StatusNoContent)
	if after := tn.get(cleo).want(http.StatusOK); after.doc["inviteExpiry"] != nil || after.str("status") != "active" {
		t.Errorf("after activation Cleo is %s", after.raw)
	}
	for _, filter := range []string{
		`name co "cle" or email co "cle"`, `id eq "` + ids["cleo@example.com"] + `"`, `subject eq "` + before.str("subject") + `"`,
	} {
		if found := tn.get(filtered("/api/v1/users", filter)).want(http.StatusOK).data(); len(found) != 1 {
			t.Errorf("the search %s finds %d users, want 1", filter, len(found))
		}
	}
	tn.patch(cleo, []any{patchOp("add", "/assignedRoles/-", map[string]string{"name": "Steward"})}).want(http.StatusNoContent)
	tn.patch(cleo, []any{patchOp("remove-value", "/assignedRoles", map[string]string{"id": tn.roleID("Steward")})}).want(http.StatusNoContent)
	tn.patch(cleo, []any{patchOp("replace", "/status", "disabled")}).want(http.StatusNoContent)
	if found := tn.get(filtered("/api/v1/users", `status eq "disabled"`)).want(http.StatusOK).data(); len(found) != 1 {
		t.Errorf("%d users are disabled, want 1", len(found))
	}
	bot, _ := tn.BotUser(clientID)
	tn.delete("/api/v1/users/" + bot.ID).want(http.StatusForbidden)
	tn.delete(cleo).want(http.StatusNoContent)
	tn.get(cleo).want(http.StatusNotFound)
	tn.delete("/api/v1/users/" + ids["dan@example.com"]).want(http.StatusNoContent)
	if err := tn.SignIn(ids["dan@example.com"]); err == nil {
		t.Error("a deleted invitation still lets Dan in")
	}
}

// walkTheRest touches every operation that the documents do not.
func walkTheRest(tn *tenant) {
	t := tn.t
	t.Helper()
	hold := tn.token
	tn.token = ""
	tn.get("/.well-known/oauth-authorization-server").want(http.StatusOK)
	spare := tn.send("POST", "/oauth/token", "application/x-www-form-urlencoded", url.Values{
		"client_id": {clientID}, "client_secret": {clientSecret}, "grant_type": {"client_credentials"},
	}.Encode()).want(http.StatusOK).str("access_token")
	tn.send("POST", "/oauth/token", "application/json", map[string]string{
		"client_id": clientID, "client_secret": "wrong", "grant_type": "client_credentials",
	}).want(http.StatusUnauthorized)
	tn.send("POST", "/oauth/revoke", "application/json", map[string]string{"token": spare, "token_type_hint": "access_token"}).want(http.StatusOK)
	tn.token = spare
	tn.get("/api/v1/users").want(http.StatusUnauthorized)
	tn.token = hold

	eva := tn.post("/api/v1/users", map[string]any{"subject": "auth0|eva", "email": "eva@example.com", "name": "Eva", "picture": "https://example.com/eva.png"}).want(http.StatusCreated).str("id")
	tn.get("/api/v1/users/me").want(http.StatusMovedPermanently)
	tn.get("/api/v1/users/actions/count").want(http.StatusOK)
	tn.get("/api/v1/users?limit=100").want(http.StatusOK)
	tn.get("/api/v1/users?limit=1&sort=-createdAt&totalResults=true&fields=id,name").want(http.StatusOK)
	page := tn.get("/api/v1/users?limit=1&" + url.Values{"filter": {`status eq "active" or status eq "invited"`}}.Encode()).want(http.StatusOK)
	if page.cursor("next") == "" {
		t.Errorf("a page of one has no next link: %s", page.raw)
	}
	tn.post("/api/v1/users/actions/filter?sort=-name&limit=5", map[string]any{"filter": `id eq "` + eva + `" and status eq "invited"`}).want(http.StatusOK)
	tn.patch("/api/v1/users/"+eva, []any{
		patchOp("replace", "/name", "Eva E."), patchOp("replace", "/email", "eva.e@example.com"), patchOp("replace", "/preferredLocale", "de_DE"),
		patchOp("replace", "/preferredZoneinfo", "Europe/Berlin"), patchOp("replace", "/assignedRoles", []any{map[string]string{"name": "Steward"}}),
	}).want(http.StatusNoContent)
	tn.patch("/api/v1/users/"+eva, `[{"op": "renew", "path": "/inviteExpiry"}]`).want(http.StatusNoContent)
	tn.patch("/api/v1/users/"+eva, []any{
		patchOp("replace", "/name", "Eva"), patchOp("add", "/assignedRoles/-", map[string]string{"name": "Steward"}),
	}).want(http.StatusMultiStatus)
	tn.patch("/api/v1/users/"+eva, []any{patchOp("replace", "/status", "active")}).want(http.StatusNoContent)
	tn.post("/api/v1/users/actions/invite", map[string]any{"invitees": []any{map[string]any{"email": "eva.e@example.com"}}}).want(http.StatusMultiStatus)

	for _, path := range []string{"/api/v1/users", "/api/v1/roles", "/api/v1/groups", "/api/v1/licenses/overview", "/api/v1/spaces"} {
		tn.AddFault(qlik.Fault{Status: http.StatusTooManyRequests, RetryAfter: time.Second})
		tn.get(path).want(http.StatusTooManyRequests)
		tn.AddFault(qlik.Fault{Code: "MADE-UP-1", Detail: "Something broke."})
		tn.get(path).want(http.StatusInternalServerError)
	}
	first := tn.get("/api/v1/roles?limit=2&sort=name&totalResults=true").want(http.StatusOK)
	tn.get("/api/v1/roles?limit=2&sort=name&next=" + url.QueryEscape(first.cursor("next"))).want(http.StatusOK)
	tn.get(filtered("/api/v1/roles", `name eq "TenantAdmin"`)).want(http.StatusOK)
	tn.get("/api/v1/roles/" + tn.roleID("TenantAdmin")).want(http.StatusOK)
	tn.get("/api/v1/roles/000000000000000000000000").want(http.StatusNotFound)

	group := tn.post("/api/v1/groups", map[string]any{
		"name": "Finance", "providerType": "custom", "description": "Money", "assignedRoles": []any{map[string]string{"id": tn.roleID("Steward")}},
	}).want(http.StatusCreated).str("id")
	tn.patch("/api/v1/users/"+eva, []any{patchOp("add", "/assignedGroups/-", group)}).want(http.StatusNoContent)
	tn.get(filtered("/api/v1/users", `assignedGroups.id eq "`+group+`"`)).want(http.StatusOK)
	tn.delete("/api/v1/groups/" + group).want(http.StatusBadRequest)
	tn.get(filtered("/api/v1/groups", `providerType eq "custom"`) + "&totalResults=true").want(http.StatusOK)
	tn.get("/api/v1/groups?systemGroups=true").want(http.StatusOK)
	tn.post("/api/v1/groups/actions/filter", map[string]any{"filter": `id eq "` + group + `"`}).want(http.StatusOK)
	tn.patch("/api/v1/groups/"+group, []any{patchOp("replace", "/name", "Finances")}).want(http.StatusNoContent)
	tn.patch("/api/v1/groups/settings", []any{patchOp("replace", "/systemGroups/"+qlik.EveryoneGroupID+"/assignedRoles", []any{map[string]string{"name": "UserDefault"}})}).want(http.StatusNoContent)
	tn.patch("/api/v1/users/"+eva, []any{patchOp("remove-value", "/assignedGroups", group)}).want(http.StatusNoContent)
	tn.delete("/api/v1/groups/" + group).want(http.StatusNoContent)
	tn.get("/api/v1/groups/" + group).want(http.StatusNotFound)

	tn.get("/api/v1/tenants/me").want(http.StatusFound)
	own := "/api/v1/tenants/" + tn.Tenant().ID
	tn.get(own).want(http.StatusOK)
	tn.get("/api/v1/tenants/another").want(http.StatusNotFound)
	tn.patch(own, []any{patchOp("replace", "/name", "Acme Inc."), patchOp("replace", "/enableAppOpeningFeedback", true)}).want(http.StatusNoContent)
	tn.patch(own, []any{patchOp("replace", "/hostnames/1", "ac")}).want(http.StatusBadRequest)

	tn.get("/api/v1/licenses/overview").want(http.StatusOK)
	tn.get("/api/v1/licenses/status").want(http.StatusOK)
	tn.get("/api/v1/licenses/settings").want(http.StatusOK)
	give := map[string]string{"subject": "auth0|eva", "type": "analyzer"}
	tn.post("/api/v1/licenses/assignments/actions/add", map[string]any{"add": []any{give}}).want(http.StatusMultiStatus)
	tn.post("/api/v1/licenses/assignments/actions/update", map[string]any{"update": []any{map[string]string{"subject": "auth0|eva", "type": "professional", "sourceType": "analyzer"}}}).want(http.StatusMultiStatus)
	tn.get(filtered("/api/v1/licenses/assignments", `subject eq "auth0|eva"`) + "&limit=5&orphans=false").want(http.StatusOK)
	tn.post("/api/v1/licenses/assignments/actions/delete", map[string]any{"delete": []any{give}}).want(http.StatusMultiStatus)
	tn.put("/api/v1/licenses/settings", `{"autoAssignProfessional":"no"}`).want(http.StatusBadRequest)

	space := tn.post("/api/v1/spaces", map[string]any{"name": "Sales", "type": "data"}).want(http.StatusCreated).str("id")
	tn.post("/api/v1/spaces", map[string]any{"name": "Sales", "type": "data"}).want(http.StatusConflict)
	tn.get("/api/v1/spaces?limit=1&sort=-name&type=data,shared&name=s").want(http.StatusOK)
	tn.get("/api/v1/spaces/types").want(http.StatusOK)
	tn.get("/api/v1/spaces/" + space).want(http.StatusOK)
	tn.get("/api/v1/spaces/none").want(http.StatusNotFound)
	tn.patch("/api/v1/spaces/"+space, []any{patchOp("replace", "/ownerId", eva)}).want(http.StatusOK)
	member := tn.post("/api/v1/spaces/"+space+"/assignments", map[string]any{"type": "user", "assigneeId": eva, "roles": []string{"consumer"}}).want(http.StatusCreated).str("id")
	tn.get("/api/v1/spaces/" + space + "/assignments?limit=5&type=user&assigneeId=" + eva).want(http.StatusOK)
	tn.get("/api/v1/spaces/" + space + "/assignments/" + member).want(http.StatusOK)
	tn.put("/api/v1/spaces/"+space+"/assignments/"+member, map[string]any{"roles": []string{"consumer", "facilitator"}}).want(http.StatusOK)
	tn.delete("/api/v1/spaces/" + space + "/assignments/" + member).want(http.StatusNoContent)
	tn.delete("/api/v1/spaces/" + space).want(http.StatusNoContent)
}

func TestTheTutorialsOwnRequestsWorkAgainstTheEmulator(t *testing.T) {
	t.Parallel()
	for name, walk := range map[string]func(*tenant){
		"configure a tenant":                  walkConfigureTenant,
		"create a user with fetch":            walkCreateUserWithFetch,
		"invite, activate, disable, delete":   walkManageUsers,
		"the operations that no tutorial has": walkTheRest,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { walk(newTenant(t)) })
		})
	}
	t.Run("add an interactive user", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			target := newTenant(t, func(c *qlik.Config) { c.Hostname = "target.eu.qlikcloud.example" })
			walkAddInteractiveUser(newTenant(t), target)
		})
	})
}

func TestAnInvitationThatRanOutLetsNobodyInButAnActivatedOneNeverRunsOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.post("/api/v1/users/actions/invite", map[string]any{"invitees": []any{
			map[string]any{"email": "cleo@example.com"}, map[string]any{"email": "dan@example.com"},
		}}).want(http.StatusMultiStatus)
		cleo, _ := tn.UserByEmail("Cleo@example.com")
		dan, _ := tn.UserByEmail("dan@example.com")
		tn.patch("/api/v1/users/"+dan.ID, []any{patchOp("replace", "/status", "active")}).want(http.StatusNoContent)
		time.Sleep(8 * 24 * time.Hour)
		if err := tn.SignIn(cleo.ID); err == nil {
			t.Error("Cleo signed in with an invitation that has run out")
		}
		if err := tn.SignIn(dan.ID); err != nil {
			t.Errorf("Dan, who was activated, cannot sign in: %v", err)
		}
	})
}
