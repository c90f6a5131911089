package qlik

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// patchOp is one operation of a JSON Patch.
type patchOp struct {
	op, path string
	value    json.RawMessage // nil: none was given
}

// parsePatch reads a JSON Patch whose operations and paths are among those
// given. Anything else refuses the whole document.
func parsePatch(body []byte, ops, paths []string) ([]patchOp, *problem) {
	items, ok := list(body)
	if !ok || len(items) == 0 {
		return nil, invalid("A list of patch operations is expected.")
	}
	patch := make([]patchOp, len(items))
	for i, item := range items {
		f, p := object(item, "op", "path", "value")
		if p == nil {
			patch[i].value = f["value"]
			p = f.texts(map[string]*string{"op": &patch[i].op, "path": &patch[i].path})
		}
		switch {
		case p != nil:
		case !slices.Contains(ops, patch[i].op):
			p = invalid("Operation %q is not supported.", patch[i].op).at("/op")
		case !slices.Contains(paths, patch[i].path):
			p = invalid("Path %q cannot be patched.", patch[i].path).at("/path")
		case patch[i].value == nil && patch[i].op != "renew":
			p = invalid("The operation has no value.").at("/value")
		}
		if p != nil {
			return nil, p.at(fmt.Sprintf("/%d", i))
		}
	}
	return patch, nil
}

// text is the operation's value as a string.
func (o patchOp) text() (string, *problem) { return fields{"value": o.value}.text("value") }

// flag is the operation's value as a boolean.
func (o patchOp) flag() (bool, *problem) { return fields{"value": o.value}.flag("value") }

// The operations and paths of a user's patch (users.json: JSONPatch and the
// examples of JSONPatchArray, which go beyond its enum). The deprecated "set",
// "unset" and "/roles" are refused.
var (
	userPatchOps   = []string{"replace", "add", "remove-value", "renew"}
	userPatchPaths = []string{
		"/name", "/email", "/status", "/assignedRoles", "/assignedRoles/-", "/assignedGroups", "/assignedGroups/-",
		"/inviteExpiry", "/preferredLocale", "/preferredZoneinfo", "/preferredZoneInfo",
	}
)

// patchUser is PATCH /api/v1/users/{userId}. A document that cannot be
// understood is refused whole. Otherwise its operations are tried one after
// the other: all done is 204, some done is 207 with the others' errors, none
// done is 400.
func patchUser(x *exchange) response {
	id := x.req.vars["userId"]
	u, ok := x.st.users[id]
	if !ok {
		return x.fail(*notFound())
	}
	patch, p := parsePatch(x.req.body, userPatchOps, userPatchPaths)
	if p != nil {
		return x.fail(*p)
	}
	subject, failed := u.Subject, []problem(nil)
	disabled := false
	for i, o := range patch {
		changed := u.clone()
		if p := x.patchUserOnce(&changed, o); p != nil {
			failed = append(failed, *p.at(fmt.Sprintf("/%d", i)))
			continue
		}
		disabled = disabled || changed.Status == StatusDisabled && u.Status != StatusDisabled
		u = changed
	}
	if len(failed) == len(patch) {
		return jsonResponse(http.StatusBadRequest, x.route.family.envelope(x.trace, failed...))
	}
	u.LastUpdatedAt = x.now
	x.st.putUser(u)
	if disabled && x.behaviour.DisableFreesEntitlement {
		x.st.free(subject)
	}
	if len(failed) > 0 {
		return jsonResponse(http.StatusMultiStatus, x.route.family.envelope(x.trace, failed...))
	}
	return noContent()
}

// patchUserOnce applies one operation to u.
func (x *exchange) patchUserOnce(u *User, o patchOp) *problem {
	switch {
	case strings.HasPrefix(o.path, "/assignedRoles"):
		return x.patchRoles(u, o)
	case strings.HasPrefix(o.path, "/assignedGroups"):
		return x.patchGroups(u, o)
	case o.path == "/inviteExpiry":
		if o.op != "renew" {
			return unsupported(o)
		}
		if u.Status != StatusInvited {
			return invalid("Only an invited user has an invitation to renew.")
		}
		u.InviteExpiry = x.now.Add(InviteLifetime)
		return nil
	case o.op != "replace":
		return unsupported(o)
	}
	value, p := o.text()
	if p != nil {
		return p
	}
	switch o.path {
	case "/name":
		if value == "" {
			return invalid("A name cannot be empty.").at("/value")
		}
		u.Name = value
	case "/email":
		if !isEmail(value) {
			return invalid("This is not an e-mail address.").at("/value")
		}
		if _, taken := x.st.takenBy(u.ID, "", value); taken {
			return invalid("A user with this email exists already.").at("/value")
		}
		u.Email = value
	case "/status":
		if value != StatusActive && value != StatusDisabled {
			return invalid("The status cannot be set to %q.", value).at("/value")
		}
		u.Status, u.InviteExpiry = value, time.Time{}
	case "/preferredLocale":
		u.PreferredLocale = value
	case "/preferredZoneinfo", "/preferredZoneInfo":
		u.PreferredZoneinfo = value
	}
	return nil
}

func unsupported(o patchOp) *problem {
	return invalid("Operation %q does not go with path %q.", o.op, o.path)
}

func (x *exchange) patchRoles(u *User, o patchOp) *problem {
	if x.behaviour.RefusesRoleDelta && o.op != "replace" {
		return unsupported(o)
	}
	switch o.op + " " + o.path {
	case "replace /assignedRoles":
		names, p := x.st.roleList(o.value)
		if p != nil {
			return p.at("/value")
		}
		u.Roles = names
	case "add /assignedRoles/-":
		name, _, p := x.st.roleRef(o.value)
		switch {
		case p != nil:
			return p.at("/value")
		case slices.Contains(u.Roles, name):
			return invalid("The user has role %q already.", name).at("/value")
		}
		u.Roles = append(slices.Clip(u.Roles), name)
	case "remove-value /assignedRoles":
		name, by, p := x.st.roleRef(o.value)
		switch {
		case p != nil:
			return p.at("/value")
		case by != "id" && !x.behaviour.AcceptsRoleNameOnRemove:
			return invalid("The role to remove is named by its id.").at("/value")
		case !slices.Contains(u.Roles, name):
			return invalid("The user does not have role %q.", name).at("/value")
		}
		u.Roles = without(u.Roles, name)
	default:
		return unsupported(o)
	}
	return nil
}

// patchGroups changes membership. Only custom groups are in an administrator's
// hands; a full replacement must leave the IdP's groups as they are.
func (x *exchange) patchGroups(u *User, o patchOp) *problem {
	if o.op+" "+o.path == "replace /assignedGroups" {
		ids, p := x.st.groupList(o.value)
		if p != nil {
			return p.at("/value")
		}
		for _, id := range append(slices.Clone(u.Groups), ids...) {
			if x.st.groups[id].ProviderType == ProviderIdP && slices.Contains(u.Groups, id) != slices.Contains(ids, id) {
				return invalid("Membership of an identity provider's group cannot be changed.").at("/value")
			}
		}
		u.Groups = ids
		return nil
	}
	id, p := o.text()
	if p != nil {
		return p
	}
	g, ok := x.st.groups[id]
	member := slices.Contains(u.Groups, id)
	switch action := o.op + " " + o.path; {
	case action != "add /assignedGroups/-" && action != "remove-value /assignedGroups":
		return unsupported(o)
	case !ok:
		return invalid("There is no group with ID %q.", id).at("/value")
	case g.ProviderType == ProviderIdP:
		return invalid("Membership of an identity provider's group cannot be changed.").at("/value")
	case o.op == "add" && member:
		return invalid("The user is in this group already.").at("/value")
	case o.op == "add":
		u.Groups = append(slices.Clip(u.Groups), id)
	case !member:
		return invalid("The user is not in this group.").at("/value")
	default:
		u.Groups = without(u.Groups, id)
	}
	return nil
}

// groupList reads a list of groups, each {"id"} or {"name","providerType"}.
func (st *state) groupList(raw []byte) ([]string, *problem) {
	items, ok := list(raw)
	if !ok {
		return nil, invalid("A list of groups is expected.")
	}
	ids := []string{}
	for i, item := range items {
		var id, name, provider string
		f, p := object(item, "id", "name", "providerType")
		if p == nil {
			p = f.texts(map[string]*string{"id": &id, "name": &name, "providerType": &provider})
		}
		if p != nil {
			return nil, p.at(fmt.Sprintf("/%d", i))
		}
		if id == "" {
			for _, g := range st.groups {
				if g.Name == name && g.ProviderType == provider {
					id = g.ID
				}
			}
		}
		if _, ok := st.groups[id]; !ok || slices.Contains(ids, id) {
			return nil, invalid("There is no such group, or it stands there twice.").at(fmt.Sprintf("/%d", i))
		}
		ids = append(ids, id)
	}
	return ids, nil
}
