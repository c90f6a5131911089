package qlik

import (
	"cmp"
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"unicode"
)

// userFilter is what GET /api/v1/users can filter by (users.json).
var userFilter = filterSchema{groupStatus: true, attributes: map[string]attribute{
	"id":                               {},
	"subject":                          {contains: true},
	"name":                             {contains: true},
	"email":                            {contains: true},
	"status":                           {values: []string{"active", "invited", "disabled", "deleted", "provisioned"}},
	"clientId":                         {},
	"assignedRoles.id":                 {},
	"assignedRoles.name":               {},
	"assignedGroups.id":                {},
	"assignedGroupsAssignedRoles.name": {},
	"assignedScopes":                   {},
}}

// userFields are the fields of a user that "fields" can ask for (users.json:
// User).
var userFields = []string{
	"id", "name", "email", "links", "locale", "status", "picture", "subject", "tenantId", "zoneinfo", "createdAt",
	"inviteExpiry", "assignedRoles", "lastUpdatedAt", "assignedGroups", "assignedScopes", "preferredLocale",
	"preferredZoneinfo", "clientId",
}

// userAttribute returns a user's values for a filter.
func (st *state) userAttribute(u User) func(string) []string {
	return func(name string) []string {
		switch name {
		case "id":
			return []string{u.ID}
		case "subject":
			return []string{u.Subject}
		case "name":
			return []string{u.Name}
		case "email":
			return []string{u.Email}
		case "status":
			return []string{u.Status}
		case "clientId":
			return []string{u.ClientID}
		case "assignedRoles.name":
			return u.Roles
		case "assignedRoles.id":
			ids := make([]string, 0, len(u.Roles))
			for _, name := range u.Roles {
				if r, ok := st.roleNamed(name); ok {
					ids = append(ids, r.ID)
				}
			}
			return ids
		case "assignedGroups.id":
			return u.Groups
		case "assignedGroupsAssignedRoles.name":
			var names []string
			for _, id := range u.Groups {
				names = append(names, st.groups[id].Roles...)
			}
			return names
		case "assignedScopes":
			return st.userScopes(u)
		}
		return nil
	}
}

// userScopes are the scopes of a user's own roles.
func (st *state) userScopes(u User) []string {
	scopes := []string{}
	for _, name := range u.Roles {
		r, _ := st.roleNamed(name)
		for _, s := range r.Scopes {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

// roleRefs is a list of roles as it stands in users and groups (AssignedRoles).
func (st *state) roleRefs(names []string) []any {
	refs := make([]any, 0, len(names))
	for _, name := range names {
		if r, ok := st.roleNamed(name); ok {
			refs = append(refs, map[string]any{"id": r.ID, "name": r.Name, "type": r.Type, "level": r.Level})
		}
	}
	return refs
}

// userDoc is a user as it stands in answers (users.json: User), with only some
// of its fields if wanted is not nil.
func (x *exchange) userDoc(st *state, u User, wanted []string) map[string]any {
	doc := map[string]any{
		"id": u.ID, "subject": u.Subject, "name": u.Name, "status": u.Status, "tenantId": st.tenant.ID,
		"createdAt": timestamp(u.CreatedAt), "lastUpdatedAt": timestamp(u.LastUpdatedAt),
		"links": map[string]any{"self": x.link("/api/v1/users/" + u.ID)},
	}
	for name, value := range map[string]string{
		"email": u.Email, "clientId": u.ClientID, "picture": u.Picture, "locale": u.Locale, "zoneinfo": u.Zoneinfo,
		"preferredLocale": u.PreferredLocale, "preferredZoneinfo": u.PreferredZoneinfo,
	} {
		if value != "" {
			doc[name] = value
		}
	}
	if !u.InviteExpiry.IsZero() {
		doc["inviteExpiry"] = u.InviteExpiry.Unix()
	}
	groups := make([]any, 0, len(u.Groups))
	for _, id := range u.Groups {
		g := st.groups[id]
		ref := map[string]any{"id": g.ID, "name": g.Name, "providerType": g.ProviderType}
		if x.seesRoles(u) {
			ref["assignedRoles"] = st.roleRefs(g.Roles)
		}
		groups = append(groups, ref)
	}
	doc["assignedGroups"] = groups
	if x.seesRoles(u) {
		doc["assignedRoles"] = st.roleRefs(u.Roles)
		doc["assignedScopes"] = st.userScopes(u)
	}
	if x.behaviour.DeprecatedFields {
		doc["created"], doc["lastUpdated"] = doc["createdAt"], doc["lastUpdatedAt"]
		doc["roles"] = append([]string{}, u.Roles...)
	}
	if wanted != nil {
		for name := range doc {
			if !slices.Contains(wanted, name) {
				delete(doc, name)
			}
		}
	}
	return doc
}

// wantedFields reads fields; nil means all.
func (x *exchange) wantedFields() ([]string, *problem) {
	if !x.req.query.Has("fields") {
		return nil, nil
	}
	wanted := strings.Split(x.req.query.Get("fields"), ",")
	for _, name := range wanted {
		if !slices.Contains(userFields, name) {
			return nil, badParameter("fields", "Users have no field %q.", name)
		}
	}
	return wanted, nil
}

// listUsers is GET /api/v1/users.
func listUsers(x *exchange) response {
	return x.users(x.req.query.Get("filter"), []string{
		"name", "_id", "id", "tenantId", "clientId", "status", "subject", "email", "inviteExpiry", "createdAt",
	})
}

// filterUsers is POST /api/v1/users/actions/filter: a list whose filter is too
// long for a query.
func filterUsers(x *exchange) response {
	text, p := x.bodyFilter()
	if p != nil {
		return x.fail(*p)
	}
	return x.users(text, []string{"name"})
}

// bodyFilter reads the body of an actions/filter operation.
func (x *exchange) bodyFilter() (string, *problem) {
	f, p := object(x.req.body, "filter")
	if p != nil {
		return "", p
	}
	text, p := f.text("filter")
	if p != nil {
		return "", p
	}
	return text, nil
}

func (x *exchange) users(filterText string, sorts []string) response {
	keep := func(User) bool { return true }
	statusNamed := false
	if filterText != "" || x.req.query.Has("filter") {
		f, err := parseFilter(filterText, userFilter)
		if err != nil {
			return x.fail(*badParameter("filter", "%s", sentence(err)))
		}
		statusNamed = mentions(f, "status")
		keep = func(u User) bool { return f.match(x.view.userAttribute(u)) }
	}
	wanted, p := x.wantedFields()
	if p != nil {
		return x.fail(*p)
	}
	total, p := x.wantsTotal()
	if p != nil {
		return x.fail(*p)
	}
	var found []User
	for _, u := range x.view.users {
		if (statusNamed || x.behaviour.ListsEveryStatus || u.Status == StatusActive) && keep(u) {
			found = append(found, u)
		}
	}
	pg, p := paged(x, listing[User]{
		size: 20, max: 100, reject: true, sorts: sorts,
		key: userSortKey, id: func(u User) string { return u.ID },
	}, found)
	if p != nil {
		return x.fail(*p)
	}
	data := make([]any, len(pg.items))
	for i, u := range pg.items {
		data[i] = x.userDoc(x.view, u, wanted)
	}
	doc := map[string]any{"data": data, "links": pg.links}
	if total {
		doc["totalResults"] = len(found)
	}
	return jsonResponse(http.StatusOK, doc)
}

func userSortKey(u User, field string) string {
	switch field {
	case "name":
		return strings.ToLower(u.Name)
	case "clientId":
		return u.ClientID
	case "status":
		return u.Status
	case "subject":
		return strings.ToLower(u.Subject)
	case "email":
		return strings.ToLower(u.Email)
	case "inviteExpiry":
		if u.InviteExpiry.IsZero() {
			return ""
		}
		return timestamp(u.InviteExpiry)
	case "createdAt":
		return timestamp(u.CreatedAt)
	}
	return "" // _id, id, tenantId: the tie is broken by ID
}

// countUsers is GET /api/v1/users/actions/count.
func countUsers(x *exchange) response {
	return jsonResponse(http.StatusOK, map[string]any{"total": len(x.view.users)})
}

// redirectToMe is GET /api/v1/users/me.
func redirectToMe(x *exchange) response {
	return x.redirect(http.StatusMovedPermanently, "/api/v1/users/"+x.userID)
}

// getUser is GET /api/v1/users/{userId}.
func getUser(x *exchange) response {
	u, ok := x.st.users[x.req.vars["userId"]]
	if !ok {
		return x.fail(*notFound())
	}
	wanted, p := x.wantedFields()
	if p != nil {
		return x.fail(*p)
	}
	return jsonResponse(http.StatusOK, x.userDoc(x.st, u, wanted))
}

// createUser is POST /api/v1/users. Without a status the user is invited, as
// the description's first line says; no e-mail is sent either way.
func createUser(x *exchange) response {
	if len(x.req.body) > maxBody {
		return x.fail(problem{status: http.StatusRequestEntityTooLarge, title: "Payload too large", detail: "The body may have 500 kB."})
	}
	f, p := object(x.req.body, "subject", "name", "email", "status", "picture", "tenantId", "assignedRoles")
	if p != nil {
		return x.fail(*p)
	}
	u := User{CreatedAt: x.now, LastUpdatedAt: x.now}
	var tenantID string
	p = f.texts(map[string]*string{
		"subject": &u.Subject, "name": &u.Name, "email": &u.Email, "status": &u.Status,
		"picture": &u.Picture, "tenantId": &tenantID,
	})
	if p != nil {
		return x.fail(*p)
	}
	u.Status = cmp.Or(u.Status, StatusInvited)
	switch {
	case u.Subject == "":
		p = invalid("The subject is missing.").at("/subject")
	case u.Status != StatusInvited && (u.Status != StatusActive || x.behaviour.RefusesActiveOnCreate):
		p = invalid("A user cannot be created with status %q.", u.Status).at("/status")
	case u.Status == StatusInvited && u.Email == "":
		p = invalid("An invited user needs an e-mail address.").at("/email")
	case u.Email != "" && !isEmail(u.Email):
		p = invalid("This is not an e-mail address.").at("/email")
	case tenantID != "" && tenantID != x.st.tenant.ID:
		p = invalid("The tenant is another one.").at("/tenantId")
	}
	if p != nil {
		return x.fail(*p)
	}
	if raw, ok := f["assignedRoles"]; ok {
		if u.Roles, p = x.st.roleList(raw); p != nil {
			return x.fail(*p.at("/assignedRoles"))
		}
	}
	if field, taken := x.st.takenBy("", u.Subject, u.Email); taken {
		return x.fail(problem{
			status: http.StatusConflict, title: "User conflict",
			detail: fmt.Sprintf("A user with this %s exists already.", field), pointer: "/" + field,
		})
	}
	u.Name = cmp.Or(u.Name, u.Email, u.Subject)
	if u.Status == StatusInvited {
		u.InviteExpiry = x.now.Add(InviteLifetime)
	}
	u.ID = x.st.newID("user")
	x.st.putUser(u)
	return jsonResponse(http.StatusCreated, x.userDoc(x.st, u, nil))
}

// deleteUser is DELETE /api/v1/users/{userId}.
func deleteUser(x *exchange) response {
	u, ok := x.st.users[x.req.vars["userId"]]
	switch {
	case !ok:
		return x.fail(*notFound())
	case u.ID == x.userID:
		return x.fail(problem{status: http.StatusForbidden, title: "Forbidden", detail: "You cannot delete yourself."})
	}
	x.st.deleteUser(u)
	return noContent()
}

// roleRef reads one role named by {"id"} or by {"name"}, one or the other, and
// says which of them it was.
func (st *state) roleRef(raw []byte) (name, by string, p *problem) {
	f, p := object(raw, "id", "name")
	if p != nil {
		return "", "", p
	}
	if len(f) != 1 {
		return "", "", invalid("A role is named by its id or by its name.")
	}
	id, p := f.text("id")
	if p != nil {
		return "", "", p
	}
	if f["id"] != nil {
		r, ok := st.roles[id]
		if !ok {
			return "", "", invalid("There is no role with ID %q.", id)
		}
		return r.Name, "id", nil
	}
	if name, p = f.text("name"); p != nil {
		return "", "", p
	}
	if _, ok := st.roleNamed(name); !ok {
		return "", "", invalid("There is no role named %q.", name)
	}
	return name, "name", nil
}

// roleList reads a list of roles: all by ID or all by name (users.json: RefIDs,
// RefNames).
func (st *state) roleList(raw []byte) ([]string, *problem) {
	items, ok := list(raw)
	if !ok {
		return nil, invalid("A list of roles is expected.")
	}
	names, form := []string{}, ""
	for i, item := range items {
		name, by, p := st.roleRef(item)
		switch {
		case p != nil:
			return nil, p.at(fmt.Sprintf("/%d", i))
		case form != "" && form != by:
			return nil, invalid("Roles are named by ID or by name, not by both in one list.")
		case slices.Contains(names, name):
			return nil, invalid("Role %q stands there twice.", name)
		}
		names, form = append(names, name), by
	}
	return names, nil
}

// isEmail accepts a bare address.
func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// sentence turns an error into a detail.
func sentence(err error) string {
	text := []rune(err.Error())
	text[0] = unicode.ToUpper(text[0])
	return string(text) + "."
}
