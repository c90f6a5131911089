package qlik

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// everyone is the name of the system group.
const everyone = "com.qlik.Everyone"

// groupFilter is what GET /api/v1/groups can filter by. groups.json marks the
// fields; "co" on texts is as for users.
var groupFilter = filterSchema{attributes: map[string]attribute{
	"id":                 {},
	"name":               {contains: true},
	"status":             {values: []string{"active", "disabled"}},
	"createdAt":          {},
	"lastUpdatedAt":      {},
	"providerType":       {values: []string{ProviderIdP, ProviderCustom}},
	"assignedRoles.name": {},
}}

func groupAttribute(g Group) func(string) []string {
	return func(name string) []string {
		switch name {
		case "id":
			return []string{g.ID}
		case "name":
			return []string{g.Name}
		case "status":
			return []string{"active"}
		case "createdAt":
			return []string{timestamp(g.CreatedAt)}
		case "lastUpdatedAt":
			return []string{timestamp(g.LastUpdatedAt)}
		case "providerType":
			return []string{g.ProviderType}
		case "assignedRoles.name":
			return g.Roles
		}
		return nil
	}
}

// groupDoc is a group as it stands in answers (groups.json: Group).
func (x *exchange) groupDoc(g Group) map[string]any {
	doc := map[string]any{
		"id": g.ID, "name": g.Name, "status": "active", "tenantId": x.st.tenant.ID, "providerType": g.ProviderType,
		"assignedRoles": x.st.roleRefs(g.Roles),
		"createdAt":     timestamp(g.CreatedAt), "lastUpdatedAt": timestamp(g.LastUpdatedAt),
		"links": map[string]any{"self": x.link("/api/v1/groups/" + g.ID)},
	}
	if g.Description != "" {
		doc["description"] = g.Description
	}
	return doc
}

// groupTaken says whether a group other than except has the name. Names are
// case-sensitive and unique within a provider type.
func (st *state) groupTaken(except, name, provider string) bool {
	for id, g := range st.groups {
		if id != except && g.Name == name && g.ProviderType == provider {
			return true
		}
	}
	return false
}

// listGroups is GET /api/v1/groups. systemGroups stands alone.
func listGroups(x *exchange) response {
	q := x.req.query
	if q.Has("systemGroups") {
		switch v := q.Get("systemGroups"); {
		case v != "true" && v != "false":
			return x.fail(*badParameter("systemGroups", "systemGroups must be true or false."))
		case len(q) > 1:
			return x.fail(*badParameter("systemGroups", "systemGroups cannot be combined with other parameters."))
		case v == "true":
			doc := x.groupDoc(Group{
				ID: EveryoneGroupID, Name: everyone, ProviderType: ProviderCustom, Roles: x.view.settings.EveryoneRoles,
				CreatedAt: x.view.tenant.CreatedAt, LastUpdatedAt: x.view.tenant.CreatedAt,
			})
			return jsonResponse(http.StatusOK, map[string]any{
				"data": []any{doc}, "links": map[string]any{"self": x.link(x.req.path)},
			})
		}
	}
	return x.groups(q.Get("filter"), []string{"name", "id", "status", "providerType", "createdAt", "lastUpdatedAt"})
}

// filterGroups is POST /api/v1/groups/actions/filter.
func filterGroups(x *exchange) response {
	text, p := x.bodyFilter()
	if p != nil {
		return x.fail(*p)
	}
	return x.groups(text, []string{"name"})
}

func (x *exchange) groups(filterText string, sorts []string) response {
	keep := func(Group) bool { return true }
	if filterText != "" || x.req.query.Has("filter") {
		f, err := parseFilter(filterText, groupFilter)
		if err != nil {
			return x.fail(*badParameter("filter", "%s", sentence(err)))
		}
		keep = func(g Group) bool { return f.match(groupAttribute(g)) }
	}
	total, p := x.wantsTotal()
	if p != nil {
		return x.fail(*p)
	}
	var found []Group
	for _, g := range x.view.groups {
		if keep(g) {
			found = append(found, g)
		}
	}
	pg, p := paged(x, listing[Group]{
		size: 20, max: 100, reject: true, sorts: sorts,
		key: func(g Group, field string) string {
			return strings.ToLower(strings.Join(groupAttribute(g)(field), ""))
		},
		id: func(g Group) string { return g.ID },
	}, found)
	if p != nil {
		return x.fail(*p)
	}
	data := make([]any, len(pg.items))
	for i, g := range pg.items {
		data[i] = x.groupDoc(g)
	}
	doc := map[string]any{"data": data, "links": pg.links}
	if total {
		doc["totalResults"] = len(found)
	}
	return jsonResponse(http.StatusOK, doc)
}

// createGroup is POST /api/v1/groups.
func createGroup(x *exchange) response {
	if len(x.req.body) > maxBody {
		return x.fail(problem{status: http.StatusRequestEntityTooLarge, title: "Payload too large"})
	}
	f, p := object(x.req.body, "name", "status", "description", "providerType", "assignedRoles")
	if p != nil {
		return x.fail(*p)
	}
	g := Group{CreatedAt: x.now, LastUpdatedAt: x.now}
	status := ""
	p = f.texts(map[string]*string{
		"name": &g.Name, "status": &status, "description": &g.Description, "providerType": &g.ProviderType,
	})
	if p != nil {
		return x.fail(*p)
	}
	g.ProviderType = cmp.Or(g.ProviderType, ProviderIdP)
	switch {
	case g.Name == "" || utf8.RuneCountInString(g.Name) > 256:
		p = invalid("A group's name has 1 to 256 characters.").at("/name")
	case f["status"] != nil && status != "active":
		p = invalid("A group cannot be created with status %q.", status).at("/status")
	case g.ProviderType != ProviderIdP && g.ProviderType != ProviderCustom:
		p = invalid("The provider type is idp or custom.").at("/providerType")
	}
	if raw, ok := f["assignedRoles"]; ok && p == nil {
		if g.Roles, p = x.st.groupRoles(raw); p != nil {
			p.at("/assignedRoles")
		}
	}
	if p != nil {
		return x.fail(*p)
	}
	if x.st.groupTaken("", g.Name, g.ProviderType) {
		return x.fail(problem{status: http.StatusConflict, title: "Group conflict", detail: "A group with this name exists already."})
	}
	g.ID = x.st.newID("group")
	x.st.putGroup(g)
	return jsonResponse(http.StatusCreated, x.groupDoc(g))
}

// groupRoles reads a group's list of roles, of which there are at most 100.
func (st *state) groupRoles(raw []byte) ([]string, *problem) {
	names, p := st.roleList(raw)
	if p == nil && len(names) > 100 {
		return nil, invalid("A group has at most 100 roles.")
	}
	return names, p
}

// getGroup is GET /api/v1/groups/{groupId}.
func getGroup(x *exchange) response {
	g, ok := x.st.groups[x.req.vars["groupId"]]
	if !ok {
		return x.fail(*notFound())
	}
	return jsonResponse(http.StatusOK, x.groupDoc(g))
}

// patchGroup is PATCH /api/v1/groups/{groupId}: only "replace", and all of it
// or nothing. Paths are taken with the slash of Qlik's examples and without
// it, as groups.json enumerates them.
func patchGroup(x *exchange) response {
	g, ok := x.st.groups[x.req.vars["groupId"]]
	if !ok {
		return x.fail(*notFound())
	}
	paths := []string{"/assignedRoles", "/name", "/description", "assignedRoles", "name", "description"}
	patch, p := parsePatch(x.req.body, []string{"replace"}, paths)
	if p != nil {
		return x.fail(*p)
	}
	for i, o := range patch {
		if p := x.patchGroupOnce(&g, o); p != nil {
			return x.fail(*p.at(fmt.Sprintf("/%d/value", i)))
		}
	}
	g.LastUpdatedAt = x.now
	x.st.putGroup(g)
	return noContent()
}

func (x *exchange) patchGroupOnce(g *Group, o patchOp) *problem {
	if strings.TrimPrefix(o.path, "/") == "assignedRoles" {
		names, p := x.st.groupRoles(o.value)
		if p != nil {
			return p
		}
		g.Roles = names
		return nil
	}
	value, p := o.text()
	switch {
	case p != nil:
		return p
	case g.ProviderType != ProviderCustom:
		return invalid("Only a custom group can be renamed or described.")
	case strings.TrimPrefix(o.path, "/") == "description":
		g.Description = value
	case value == "" || utf8.RuneCountInString(value) > 256:
		return invalid("A group's name has 1 to 256 characters.")
	case x.st.groupTaken(g.ID, value, g.ProviderType):
		return invalid("A group with this name exists already.")
	default:
		g.Name = value
	}
	return nil
}

// removeGroup is DELETE /api/v1/groups/{groupId}. A custom group with members
// stays; groups.json has no status for that, so it is a 400.
func removeGroup(x *exchange) response {
	g, ok := x.st.groups[x.req.vars["groupId"]]
	if !ok {
		return x.fail(*notFound())
	}
	if g.ProviderType == ProviderCustom {
		for _, u := range x.st.users {
			if slices.Contains(u.Groups, g.ID) {
				return x.fail(*invalid("The group still has users."))
			}
		}
	}
	x.st.deleteGroup(g)
	return noContent()
}

// getGroupSettings is GET /api/v1/groups/settings.
func getGroupSettings(x *exchange) response {
	set := x.st.settings
	born := timestamp(x.st.tenant.CreatedAt)
	return jsonResponse(http.StatusOK, map[string]any{
		"tenantId": x.st.tenant.ID, "autoCreateGroups": set.AutoCreateGroups, "syncIdpGroups": set.SyncIdPGroups,
		"links": map[string]any{"self": x.link(x.req.path)},
		"systemGroups": map[string]any{EveryoneGroupID: map[string]any{
			"id": EveryoneGroupID, "name": everyone, "enabled": true, "createdAt": born, "lastUpdatedAt": born,
			"assignedRoles": x.st.roleRefs(set.EveryoneRoles),
		}},
	})
}

// patchGroupSettings is PATCH /api/v1/groups/settings.
func patchGroupSettings(x *exchange) response {
	roles := "/systemGroups/" + EveryoneGroupID + "/assignedRoles"
	patch, p := parsePatch(x.req.body, []string{"replace"}, []string{"/autoCreateGroups", "/syncIdpGroups", roles})
	if p != nil {
		return x.fail(*p)
	}
	set := x.st.settings
	for i, o := range patch {
		switch o.path {
		case "/autoCreateGroups":
			set.AutoCreateGroups, p = o.flag()
		case "/syncIdpGroups":
			set.SyncIdPGroups, p = o.flag()
		case roles:
			set.EveryoneRoles, p = x.st.groupRoles(o.value)
		}
		if p != nil {
			return x.fail(*p.at(fmt.Sprintf("/%d", i)))
		}
	}
	x.st.settings = set
	x.st.changed("updated", "group settings", "", "group settings")
	return noContent()
}
