package qlik

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// spaceTypeNames are the types of spaces (spaces.json: SpaceType).
var spaceTypeNames = []string{"shared", "managed", "data"}

// spaceRoles are the roles that a space of the type has, nil for no such type.
func spaceRoles(spaceType string) []string {
	switch spaceType {
	case "shared":
		return []string{"codeveloper", "consumer", "dataconsumer", "facilitator", "producer"}
	case "managed":
		return []string{"basicconsumer", "consumer", "contributor", "dataconsumer", "facilitator", "publisher"}
	case "data":
		return []string{"consumer", "dataconsumer", "datapreview", "facilitator", "operator", "producer", "publisher"}
	}
	return nil
}

// spaceTaken says whether a space other than except has the name. Case is
// ignored: the stricter reading.
func (st *state) spaceTaken(except, name string) bool {
	for id, sp := range st.spaces {
		if id != except && strings.EqualFold(sp.Name, name) {
			return true
		}
	}
	return false
}

func checkSpaceName(name string) *problem {
	if name == "" || utf8.RuneCountInString(name) > 256 || strings.ContainsAny(name, `"*?<>/|\:`) {
		return invalid(`A space's name has 1 to 256 characters, and none of " * ? < > / | \ :`)
	}
	return nil
}

// spaceDoc is a space as it stands in answers (spaces.json: Space).
func (x *exchange) spaceDoc(sp Space) map[string]any {
	roles := []string{}
	for _, a := range x.view.members {
		if a.SpaceID == sp.ID && a.AssigneeID == x.userID {
			roles = append(roles, a.Roles...)
		}
	}
	doc := map[string]any{
		"id": sp.ID, "name": sp.Name, "type": sp.Type, "tenantId": x.st.tenant.ID, "description": sp.Description,
		"createdAt": timestamp(sp.CreatedAt), "updatedAt": timestamp(sp.UpdatedAt),
		"meta": map[string]any{
			"roles": roles, "actions": []string{"change_owner", "create", "delete", "read", "update"},
			"assignableRoles": spaceRoles(sp.Type),
		},
		"links": map[string]any{
			"self": x.link("/api/v1/spaces/" + sp.ID), "assignments": x.link("/api/v1/spaces/" + sp.ID + "/assignments"),
		},
	}
	if sp.OwnerID != "" {
		doc["ownerId"] = sp.OwnerID
	}
	if sp.CreatedBy != "" {
		doc["createdBy"] = sp.CreatedBy
	}
	return doc
}

// listSpaces is GET /api/v1/spaces. The environment and action parameters are
// known but nothing here has an environment or can be published.
func listSpaces(x *exchange) response {
	q := x.req.query
	for _, name := range []string{"type", "roles"} {
		for _, v := range strings.Split(q.Get(name), ",") {
			if q.Has(name) && !slices.Contains(spaceTypeNames, v) && name == "type" {
				return x.fail(*badParameter(name, "There is no space type %q.", v))
			}
		}
	}
	if q.Has("action") && q.Get("action") != "publish" {
		return x.fail(*badParameter("action", "The action can only be publish."))
	}
	var found []Space
	for _, sp := range x.view.spaces {
		if strings.Contains(strings.ToLower(sp.Name), strings.ToLower(q.Get("name"))) &&
			(!q.Has("ownerId") || q.Get("ownerId") == sp.OwnerID) &&
			(!q.Has("type") || slices.Contains(strings.Split(q.Get("type"), ","), sp.Type)) &&
			q.Get("environmentId") == "" && q.Get("environment.name") == "" &&
			(!q.Has("roles") || x.hasRoleIn(sp, strings.Split(q.Get("roles"), ","))) {
			found = append(found, sp)
		}
	}
	pg, p := paged(x, listing[Space]{
		size: 10, max: 100, sorts: []string{"createdAt", "name", "type"},
		key: func(sp Space, field string) string {
			return map[string]string{"createdAt": timestamp(sp.CreatedAt), "name": strings.ToLower(sp.Name), "type": sp.Type}[field]
		},
		id: func(sp Space) string { return sp.ID },
	}, found)
	if p != nil {
		return x.fail(*p)
	}
	data := make([]any, len(pg.items))
	for i, sp := range pg.items {
		data[i] = x.spaceDoc(sp)
	}
	return jsonResponse(http.StatusOK, map[string]any{
		"data": data, "links": pg.links, "meta": map[string]any{"count": len(data)},
	})
}

// hasRoleIn says whether the caller is assigned one of the roles in the space.
func (x *exchange) hasRoleIn(sp Space, roles []string) bool {
	for _, a := range x.view.members {
		if a.SpaceID == sp.ID && a.AssigneeID == x.userID &&
			slices.ContainsFunc(a.Roles, func(r string) bool { return slices.Contains(roles, r) }) {
			return true
		}
	}
	return false
}

// spaceTypes is GET /api/v1/spaces/types.
func spaceTypes(*exchange) response {
	return jsonResponse(http.StatusOK, map[string]any{"data": spaceTypeNames})
}

// createSpace is POST /api/v1/spaces. The caller becomes the owner.
func createSpace(x *exchange) response {
	f, p := object(x.req.body, "name", "type", "description")
	if p != nil {
		return x.fail(*p)
	}
	sp := Space{OwnerID: x.userID, CreatedBy: x.userID, CreatedAt: x.now, UpdatedAt: x.now}
	p = f.texts(map[string]*string{"name": &sp.Name, "type": &sp.Type, "description": &sp.Description})
	if p == nil {
		p = checkSpaceName(sp.Name)
	}
	if p == nil && spaceRoles(sp.Type) == nil {
		p = invalid("There is no space type %q.", sp.Type).at("/type")
	}
	if p == nil && x.st.spaceTaken("", sp.Name) {
		p = spaceConflict()
	}
	if p != nil {
		return x.fail(*p)
	}
	sp.ID = x.st.newID("space")
	x.st.putSpace(sp)
	return jsonResponse(http.StatusCreated, x.spaceDoc(sp))
}

func spaceConflict() *problem {
	return &problem{status: http.StatusConflict, title: "Conflict", detail: "A space with this name exists already."}
}

// space is the space that the path names.
func (x *exchange) space() (Space, *problem) {
	sp, ok := x.st.spaces[x.req.vars["spaceId"]]
	if !ok {
		return Space{}, notFound()
	}
	return sp, nil
}

// getSpace is GET /api/v1/spaces/{spaceId}.
func getSpace(x *exchange) response {
	sp, p := x.space()
	if p != nil {
		return x.fail(*p)
	}
	return jsonResponse(http.StatusOK, x.spaceDoc(sp))
}

// patchSpace is PATCH /api/v1/spaces/{spaceId}; it answers with the space.
func patchSpace(x *exchange) response {
	sp, p := x.space()
	if p != nil {
		return x.fail(*p)
	}
	patch, p := parsePatch(x.req.body, []string{"replace"}, []string{"/name", "/ownerId", "/description"})
	if p != nil {
		return x.fail(*p)
	}
	for i, o := range patch {
		value, p := o.text()
		switch {
		case p != nil:
		case o.path == "/name":
			if p = checkSpaceName(value); p == nil && x.st.spaceTaken(sp.ID, value) {
				p = spaceConflict()
			}
			sp.Name = value
		case o.path == "/ownerId":
			if _, ok := x.st.users[value]; !ok {
				p = invalid("There is no user with ID %q.", value)
			}
			sp.OwnerID = value
		default:
			sp.Description = value
		}
		if p != nil {
			return x.fail(*p.at(fmt.Sprintf("/%d", i)))
		}
	}
	sp.UpdatedAt = x.now
	x.st.putSpace(sp)
	return jsonResponse(http.StatusOK, x.spaceDoc(sp))
}

// deleteSpace is DELETE /api/v1/spaces/{spaceId}.
func deleteSpace(x *exchange) response {
	sp, p := x.space()
	switch {
	case p != nil:
		return x.fail(*p)
	case sp.HasContent:
		return x.fail(problem{status: http.StatusPreconditionFailed, title: "Precondition failed", detail: "The space is not empty."})
	}
	x.st.deleteSpace(sp)
	return noContent()
}

// memberDoc is an assignment as it stands in answers (spaces.json: Assignment).
func (x *exchange) memberDoc(a SpaceAssignment) map[string]any {
	space := "/api/v1/spaces/" + a.SpaceID
	doc := map[string]any{
		"id": a.ID, "type": a.Type, "assigneeId": a.AssigneeID, "roles": a.Roles, "spaceId": a.SpaceID,
		"tenantId": x.st.tenant.ID, "createdAt": timestamp(a.CreatedAt), "updatedAt": timestamp(a.UpdatedAt),
		"links": map[string]any{"self": x.link(space + "/assignments/" + a.ID), "space": x.link(space)},
	}
	if a.CreatedBy != "" {
		doc["createdBy"] = a.CreatedBy
	}
	return doc
}

// checkMember refuses an assignment that the space cannot have.
func (st *state) checkMember(sp Space, a SpaceAssignment) *problem {
	_, user := st.users[a.AssigneeID]
	_, group := st.groups[a.AssigneeID]
	switch {
	case a.Type != "user" && a.Type != "group" && a.Type != "bot":
		return invalid("There is no assignment type %q.", a.Type).at("/type")
	case a.Type == "group" && !group, a.Type != "group" && !user:
		return invalid("There is no %s with ID %q.", a.Type, a.AssigneeID).at("/assigneeId")
	case len(a.Roles) == 0:
		return invalid("An assignment needs a role.").at("/roles")
	}
	for i, r := range a.Roles {
		if !slices.Contains(spaceRoles(sp.Type), r) || slices.Contains(a.Roles[:i], r) {
			return invalid("A %s space has no role %q, or it stands there twice.", sp.Type, r).at("/roles")
		}
	}
	return nil
}

// spaceRoleList reads roles.
func spaceRoleList(f fields) ([]string, *problem) {
	var roles []string
	items, ok := list(f["roles"])
	if !ok {
		return nil, invalid("A list of roles is expected.").at("/roles")
	}
	for _, item := range items {
		r, p := fields{"roles": item}.text("roles")
		if p != nil {
			return nil, p
		}
		roles = append(roles, r)
	}
	return roles, nil
}

// listMembers is GET /api/v1/spaces/{spaceId}/assignments. The owner is not
// among them.
func listMembers(x *exchange) response {
	sp, p := x.space()
	if p != nil {
		return x.fail(*p)
	}
	q := x.req.query
	if t := q.Get("type"); q.Has("type") && t != "user" && t != "group" && t != "bot" {
		return x.fail(*badParameter("type", "There is no assignment type %q.", t))
	}
	var found []SpaceAssignment
	for _, a := range x.view.members {
		if a.SpaceID == sp.ID && (!q.Has("assigneeId") || q.Get("assigneeId") == a.AssigneeID) &&
			(!q.Has("type") || q.Get("type") == a.Type) {
			found = append(found, a)
		}
	}
	pg, p := paged(x, listing[SpaceAssignment]{
		size: 10, max: 100, sorts: []string{"createdAt"},
		key: func(a SpaceAssignment, _ string) string { return timestamp(a.CreatedAt) },
		id:  func(a SpaceAssignment) string { return a.ID },
	}, found)
	if p != nil {
		return x.fail(*p)
	}
	data := make([]any, len(pg.items))
	for i, a := range pg.items {
		data[i] = x.memberDoc(a)
	}
	return jsonResponse(http.StatusOK, map[string]any{
		"data": data, "links": pg.links, "meta": map[string]any{"count": len(data)},
	})
}

// createMember is POST /api/v1/spaces/{spaceId}/assignments. There is one
// assignment for each assignee and space.
func createMember(x *exchange) response {
	sp, p := x.space()
	if p != nil {
		return x.fail(*p)
	}
	f, p := object(x.req.body, "type", "assigneeId", "roles")
	if p != nil {
		return x.fail(*p)
	}
	a := SpaceAssignment{SpaceID: sp.ID, CreatedBy: x.userID, CreatedAt: x.now, UpdatedAt: x.now}
	if p = f.texts(map[string]*string{"type": &a.Type, "assigneeId": &a.AssigneeID}); p == nil {
		a.Roles, p = spaceRoleList(f)
	}
	if p == nil {
		p = x.st.checkMember(sp, a)
	}
	if p != nil {
		return x.fail(*p)
	}
	for _, other := range x.st.members {
		if other.SpaceID == sp.ID && other.AssigneeID == a.AssigneeID {
			return x.fail(problem{status: http.StatusConflict, title: "Conflict", detail: "The assignee has an assignment in this space."})
		}
	}
	a.ID = x.st.newID("assignment")
	x.st.putMember(a)
	return jsonResponse(http.StatusCreated, x.memberDoc(a))
}

// member is the assignment that the path names.
func (x *exchange) member() (Space, SpaceAssignment, *problem) {
	sp, p := x.space()
	if p != nil {
		return Space{}, SpaceAssignment{}, p
	}
	a, ok := x.st.members[x.req.vars["assignmentId"]]
	if !ok || a.SpaceID != sp.ID {
		return Space{}, SpaceAssignment{}, notFound()
	}
	return sp, a, nil
}

// getMember is GET /api/v1/spaces/{spaceId}/assignments/{assignmentId}.
func getMember(x *exchange) response {
	_, a, p := x.member()
	if p != nil {
		return x.fail(*p)
	}
	return jsonResponse(http.StatusOK, x.memberDoc(a))
}

// putMember is PUT on an assignment: the whole new list of roles.
func putMember(x *exchange) response {
	sp, a, p := x.member()
	if p != nil {
		return x.fail(*p)
	}
	f, p := object(x.req.body, "roles")
	if p == nil {
		a.Roles, p = spaceRoleList(f)
	}
	if p == nil {
		p = x.st.checkMember(sp, a)
	}
	if p != nil {
		return x.fail(*p)
	}
	a.UpdatedAt = x.now
	x.st.putMember(a)
	return jsonResponse(http.StatusOK, x.memberDoc(a))
}

// deleteMember is DELETE on an assignment.
func deleteMember(x *exchange) response {
	_, a, p := x.member()
	if p != nil {
		return x.fail(*p)
	}
	remove(x.st, x.st.members, "space assignment", a.ID, a.AssigneeID)
	return noContent()
}
