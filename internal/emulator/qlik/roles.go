package qlik

import (
	"net/http"
	"strings"
)

// roleFilter is what GET /api/v1/roles can filter by. roles.json marks the
// fields; "co" on texts is as for users.
var roleFilter = filterSchema{attributes: map[string]attribute{
	"id":            {},
	"name":          {contains: true},
	"type":          {values: []string{"default", "custom"}},
	"level":         {values: []string{"admin", "user"}},
	"tenantId":      {},
	"description":   {contains: true},
	"permissions":   {},
	"createdAt":     {},
	"lastUpdatedAt": {},
}}

func roleAttribute(st *state, r Role) func(string) []string {
	return func(name string) []string {
		switch name {
		case "id":
			return []string{r.ID}
		case "name":
			return []string{r.Name}
		case "type":
			return []string{r.Type}
		case "level":
			return []string{r.Level}
		case "tenantId":
			return []string{st.tenant.ID}
		case "description":
			return []string{r.Description}
		case "createdAt":
			return []string{timestamp(r.CreatedAt)}
		case "lastUpdatedAt":
			return []string{timestamp(r.LastUpdatedAt)}
		}
		return nil
	}
}

// roleDoc is a role as it stands in answers (roles.json: Role).
func (x *exchange) roleDoc(r Role) map[string]any {
	custom := r.Type == "custom"
	return map[string]any{
		"id": r.ID, "name": r.Name, "type": r.Type, "level": r.Level, "description": r.Description,
		"tenantId": x.st.tenant.ID, "permissions": []string{}, "assignedScopes": append([]string{}, r.Scopes...),
		"canEdit": custom, "canDelete": custom, "userEntitlementType": "fullUser", "fullUser": true,
		"createdAt": timestamp(r.CreatedAt), "lastUpdatedAt": timestamp(r.LastUpdatedAt),
		"links": map[string]any{"self": x.link("/api/v1/roles/" + r.ID)},
	}
}

// listRoles is GET /api/v1/roles.
func listRoles(x *exchange) response {
	keep := func(Role) bool { return true }
	if x.req.query.Has("filter") {
		f, err := parseFilter(x.req.query.Get("filter"), roleFilter)
		if err != nil {
			return x.fail(*badParameter("filter", "%s", sentence(err)))
		}
		keep = func(r Role) bool { return f.match(roleAttribute(x.view, r)) }
	}
	total, p := x.wantsTotal()
	if p != nil {
		return x.fail(*p)
	}
	var found []Role
	for _, r := range x.view.roles {
		if keep(r) {
			found = append(found, r)
		}
	}
	pg, p := paged(x, listing[Role]{
		size: 20, max: 100, reject: true,
		sorts: []string{"name", "id", "type", "level", "description", "createdAt", "lastUpdatedAt"},
		key: func(r Role, field string) string {
			return strings.ToLower(strings.Join(roleAttribute(x.view, r)(field), ""))
		},
		id: func(r Role) string { return r.ID },
	}, found)
	if p != nil {
		return x.fail(*p)
	}
	data := make([]any, len(pg.items))
	for i, r := range pg.items {
		data[i] = x.roleDoc(r)
	}
	doc := map[string]any{"data": data, "links": pg.links}
	if total {
		doc["totalResults"] = len(found)
	}
	return jsonResponse(http.StatusOK, doc)
}

// getRole is GET /api/v1/roles/{id}.
func getRole(x *exchange) response {
	r, ok := x.st.roles[x.req.vars["id"]]
	if !ok {
		return x.fail(*notFound())
	}
	return jsonResponse(http.StatusOK, x.roleDoc(r))
}
