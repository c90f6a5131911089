package qlik_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// patched is a tenant with Ana, whose patches are tried.
func patched(t *testing.T) (*tenant, qlik.User, func(ops ...any) answer) {
	tn := newTenant(t)
	ana := tn.addUser(person("Ana", func(u *qlik.User) { u.Roles = []string{"Steward"} }))
	return tn, ana, func(ops ...any) answer {
		t.Helper()
		return tn.patch("/api/v1/users/"+ana.ID, ops)
	}
}

func (tn *tenant) rolesOf(id string) []string {
	tn.t.Helper()
	u, ok := tn.User(id)
	if !ok {
		tn.t.Fatalf("no user %q", id)
	}
	return u.Roles
}

func TestReplacingAssignedRolesTakesAllOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, patch := patched(t)
		patch(patchOp("replace", "/assignedRoles", []any{map[string]string{"name": "AuditAdmin"}})).want(http.StatusNoContent)
		if diff := cmp.Diff([]string{"AuditAdmin"}, tn.rolesOf(ana.ID)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		patch(patchOp("replace", "/assignedRoles", []any{})).want(http.StatusNoContent)
		if roles := tn.rolesOf(ana.ID); len(roles) != 0 {
			t.Errorf("Ana still has %v", roles)
		}
	})
}

func TestAddingAndRemovingOneRoleLeavesTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, patch := patched(t)
		patch(patchOp("add", "/assignedRoles/-", map[string]string{"name": "TenantAdmin"})).want(http.StatusNoContent)
		patch(patchOp("add", "/assignedRoles/-", map[string]string{"id": tn.roleID("DataAdmin")})).want(http.StatusNoContent)
		patch(patchOp("remove-value", "/assignedRoles", map[string]string{"id": tn.roleID("TenantAdmin")})).want(http.StatusNoContent)
		if diff := cmp.Diff([]string{"Steward", "DataAdmin"}, tn.rolesOf(ana.ID)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestAPatchIsRefusedWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, _ := patched(t)
		tn.addUser(person("Ben"))
		idp, err := tn.AddGroup(qlik.Group{Name: "Directory"})
		if err != nil {
			t.Fatal(err)
		}
		custom, err := tn.AddGroup(qlik.Group{Name: "Hand-made", ProviderType: qlik.ProviderCustom})
		if err != nil {
			t.Fatal(err)
		}
		before, _ := tn.User(ana.ID)
		steward := tn.roleID("Steward")
		for why, body := range map[string]string{
			"it is no list":                      `{"op":"replace","path":"/name","value":"A"}`,
			"it is empty":                        `[]`,
			"the operation is unknown":           `[{"op":"remove","path":"/name"}]`,
			"the operation is deprecated":        `[{"op":"set","path":"/name","value":"A"}]`,
			"the path is deprecated":             `[{"op":"replace","path":"/roles","value":["TenantAdmin"]}]`,
			"the path cannot be changed":         `[{"op":"replace","path":"/subject","value":"x"}]`,
			"the path has no slash":              `[{"op":"replace","path":"name","value":"A"}]`,
			"the value is missing":               `[{"op":"replace","path":"/name"}]`,
			"the value is of the wrong type":     `[{"op":"replace","path":"/name","value":1}]`,
			"the value is null":                  `[{"op":"replace","path":"/name","value":null}]`,
			"there is another field":             `[{"op":"replace","path":"/name","value":"A","from":"/x"}]`,
			"the name is empty":                  `[{"op":"replace","path":"/name","value":""}]`,
			"the status is none to be set":       `[{"op":"replace","path":"/status","value":"invited"}]`,
			"the address is taken":               `[{"op":"replace","path":"/email","value":"BEN@example.com"}]`,
			"the address is none":                `[{"op":"replace","path":"/email","value":"ben"}]`,
			"the role is unknown":                `[{"op":"add","path":"/assignedRoles/-","value":{"name":"Developer"}}]`,
			"the role is in the wrong case":      `[{"op":"add","path":"/assignedRoles/-","value":{"name":"tenantadmin"}}]`,
			"the role is held already":           `[{"op":"add","path":"/assignedRoles/-","value":{"name":"Steward"}}]`,
			"the role to add is a list":          `[{"op":"add","path":"/assignedRoles/-","value":[{"name":"DataAdmin"}]}]`,
			"the role is added to no place":      `[{"op":"add","path":"/assignedRoles","value":{"name":"DataAdmin"}}]`,
			"the role to remove is not held":     `[{"op":"remove-value","path":"/assignedRoles","value":{"id":"` + tn.roleID("DataAdmin") + `"}}]`,
			"the role to remove is named":        `[{"op":"remove-value","path":"/assignedRoles","value":{"name":"Steward"}}]`,
			"a role stands there twice":          `[{"op":"replace","path":"/assignedRoles","value":[{"id":"` + steward + `"},{"id":"` + steward + `"}]}]`,
			"the invitation is not one":          `[{"op":"renew","path":"/inviteExpiry"}]`,
			"the group is the IdP's":             `[{"op":"add","path":"/assignedGroups/-","value":"` + idp.ID + `"}]`,
			"the group is unknown":               `[{"op":"add","path":"/assignedGroups/-","value":"x"}]`,
			"the group to leave is not joined":   `[{"op":"remove-value","path":"/assignedGroups","value":"` + custom.ID + `"}]`,
			"replacing groups would add the IdP": `[{"op":"replace","path":"/assignedGroups","value":[{"id":"` + idp.ID + `"}]}]`,
			"one operation of two is not valid":  `[{"op":"replace","path":"/name","value":"A"},{"op":"replace","path":"/nickname","value":"A"}]`,
		} {
			if res := tn.patch("/api/v1/users/"+ana.ID, body); res.status != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400: %s", why, res.status, res.raw)
			}
		}
		tn.send("PATCH", "/api/v1/users/"+ana.ID, "application/json-patch+json", `[{"op":"replace","path":"/name","value":"A"}]`).want(http.StatusBadRequest)
		tn.patch("/api/v1/users/none", `[{"op":"replace","path":"/name","value":"A"}]`).want(http.StatusNotFound)
		after, _ := tn.User(ana.ID)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("refused patches have changed Ana (-before +after):\n%s", diff)
		}
	})
}

func TestAPatchThatWorksInPartSaysSoAndDoesThatPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, patch := patched(t)
		res := patch(
			patchOp("replace", "/name", "Ana the Second"),
			patchOp("add", "/assignedRoles/-", map[string]string{"name": "Steward"}),
		).want(http.StatusMultiStatus)
		source, _ := res.problem()["source"].(map[string]any)
		if source["pointer"] != "/1/value" {
			t.Errorf("the error points at %v, want the second operation: %s", source["pointer"], res.raw)
		}
		if u, _ := tn.User(ana.ID); u.Name != "Ana the Second" {
			t.Errorf("the name is %q", u.Name)
		}
	})
}

func TestOlderTenantsOnlyReplaceRoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, _, patch := patched(t)
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.RefusesRoleDelta = true })
		patch(patchOp("add", "/assignedRoles/-", map[string]string{"name": "DataAdmin"})).want(http.StatusBadRequest)
		patch(patchOp("remove-value", "/assignedRoles", map[string]string{"id": tn.roleID("Steward")})).want(http.StatusBadRequest)
		patch(patchOp("replace", "/assignedRoles", []any{map[string]string{"id": tn.roleID("DataAdmin")}})).want(http.StatusNoContent)
	})
}

func TestARoleCanBeRemovedByNameWhereTheTenantTakesThat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, patch := patched(t)
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.AcceptsRoleNameOnRemove = true })
		patch(patchOp("remove-value", "/assignedRoles", map[string]string{"name": "Steward"})).want(http.StatusNoContent)
		if roles := tn.rolesOf(ana.ID); len(roles) != 0 {
			t.Errorf("Ana still has %v", roles)
		}
	})
}

func TestMembershipOfCustomGroupsIsByPatchingTheUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, patch := patched(t)
		g, err := tn.AddGroup(qlik.Group{Name: "Hand-made", ProviderType: qlik.ProviderCustom})
		if err != nil {
			t.Fatal(err)
		}
		patch(patchOp("add", "/assignedGroups/-", g.ID)).want(http.StatusNoContent)
		patch(patchOp("add", "/assignedGroups/-", g.ID)).want(http.StatusBadRequest)
		patch(patchOp("remove-value", "/assignedGroups", g.ID)).want(http.StatusNoContent)
		patch(patchOp("replace", "/assignedGroups", []any{map[string]string{"name": "Hand-made", "providerType": "custom"}})).want(http.StatusNoContent)
		if u, _ := tn.User(ana.ID); len(u.Groups) != 1 || u.Groups[0] != g.ID {
			t.Errorf("Ana is in %v", u.Groups)
		}
		tn.delete("/api/v1/groups/" + g.ID).want(http.StatusBadRequest)
	})
}

func TestRenewingGivesAnInvitationSevenMoreDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		u := tn.addUser(person("Ana", func(u *qlik.User) { u.Status = qlik.StatusInvited }))
		time.Sleep(24 * time.Hour)
		tn.token = tn.signIn("")
		tn.patch("/api/v1/users/"+u.ID, []any{patchOp("renew", "/inviteExpiry", "")}).want(http.StatusNoContent)
		if got, _ := tn.User(u.ID); !got.InviteExpiry.Equal(time.Now().Add(qlik.InviteLifetime)) {
			t.Errorf("the invitation ends %v", got.InviteExpiry)
		}
	})
}

func TestDisablingFreesTheEntitlementOnlyWhereTheTenantDoesThat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, patch := patched(t)
		if err := tn.AddEntitlement(ana.Subject, qlik.EntitlementProfessional); err != nil {
			t.Fatal(err)
		}
		patch(patchOp("replace", "/status", "disabled")).want(http.StatusNoContent)
		if len(tn.Entitlements()) != 1 {
			t.Error("disabling took the entitlement")
		}
		patch(patchOp("replace", "/status", "active")).want(http.StatusNoContent)
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.DisableFreesEntitlement = true })
		patch(patchOp("replace", "/status", "disabled")).want(http.StatusNoContent)
		if len(tn.Entitlements()) != 0 {
			t.Error("disabling left the entitlement")
		}
	})
}

func TestPeopleCanChangeThingsByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn, ana, _ := patched(t)
		if err := tn.UpdateUser(ana.ID, func(u *qlik.User) { u.Roles = append(u.Roles, "TenantAdmin") }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Steward", "TenantAdmin"}, tn.rolesOf(ana.ID)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for why, f := range map[string]func(*qlik.User){
			"a role that does not exist":  func(u *qlik.User) { u.Roles = []string{"Developer"} },
			"a group that does not exist": func(u *qlik.User) { u.Groups = []string{"x"} },
			"a status that is none":       func(u *qlik.User) { u.Status = "pending" },
			"no subject":                  func(u *qlik.User) { u.Subject = "" },
		} {
			if err := tn.UpdateUser(ana.ID, f); err == nil {
				t.Errorf("%s is taken", why)
			}
		}
		if err := tn.DeleteRole("Steward"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"TenantAdmin"}, tn.rolesOf(ana.ID)); diff != "" {
			t.Errorf("after the role has vanished (-want +got):\n%s", diff)
		}
	})
}
