package qlik

import (
	"net/http"
	"net/url"
	"strings"
)

// tier is a rate limit that operations share (x-qlik-tier).
type tier int

const (
	tier1 tier = iota
	tier2
	tierUserFilter
	tierGroupFilter
)

// route is one operation.
type route struct {
	method, template string
	segments         []string
	tier             tier
	family           family   // of error envelopes
	scopes           []string // any of them opens it; nil: any valid token
	open             bool     // needs no token
	json             bool     // takes a JSON body and nothing else
	write            bool     // may change the tenant
	lags             bool     // a list that Behaviour.ReadLag holds back
	query            []string // the parameters that it knows
	handle           func(*exchange) response
}

// operation is the name under which calls and faults know the route.
func (rt *route) operation() string { return rt.method + " " + rt.template }

// match returns the placeholders' values when the percent-encoded path is one
// of this route.
func (rt *route) match(path string) (map[string]string, bool) {
	parts := strings.Split(path, "/")
	if len(parts) != len(rt.segments) {
		return nil, false
	}
	vars := map[string]string{}
	for i, want := range rt.segments {
		got, err := url.PathUnescape(parts[i])
		switch {
		case err != nil:
			return nil, false
		case strings.HasPrefix(want, "{"):
			if got == "" {
				return nil, false
			}
			vars[strings.Trim(want, "{}")] = got
		case want != got:
			return nil, false
		}
	}
	return vars, true
}

// Scopes (Qlik's page on OAuth scopes; the descriptions declare none).
const (
	scopeClassic    = "admin_classic"
	scopeUsers      = "admin.users"
	scopeUsersRead  = "admin.users:read"
	scopeSpaces     = "admin.spaces"
	scopeSpacesRead = "admin.spaces:read"
)

// routes lists the operations. Literal paths stand before placeholders that
// would match them too.
func routes() []route {
	var (
		readUsers   = []string{scopeClassic, scopeUsers, scopeUsersRead}
		writeUsers  = []string{scopeClassic, scopeUsers}
		readSpaces  = []string{scopeClassic, scopeSpaces, scopeSpacesRead}
		writeSpaces = []string{scopeClassic, scopeSpaces}
		classic     = []string{scopeClassic}
		paging      = []string{"limit", "next", "prev"}
	)
	list := func(more ...string) []string { return append(more, paging...) }
	all := []route{
		{method: "POST", template: "/oauth/token", tier: tier2, family: oauthFamily, open: true, write: true, handle: issueToken},
		{method: "POST", template: "/oauth/revoke", tier: tier2, family: oauthFamily, open: true, write: true, handle: revokeToken},
		{method: "GET", template: "/.well-known/oauth-authorization-server", tier: tier1, family: oauthFamily, open: true, handle: oauthMetadata},

		{method: "GET", template: "/api/v1/users", tier: tier1, family: usersFamily, scopes: readUsers, lags: true,
			query: list("fields", "filter", "sort", "totalResults"), handle: listUsers},
		{method: "POST", template: "/api/v1/users", tier: tier2, family: usersFamily, scopes: writeUsers, json: true, write: true, handle: createUser},
		{method: "GET", template: "/api/v1/users/me", tier: tier1, family: usersFamily, handle: redirectToMe},
		{method: "GET", template: "/api/v1/users/actions/count", tier: tier1, family: usersFamily, scopes: readUsers, lags: true, handle: countUsers},
		{method: "POST", template: "/api/v1/users/actions/filter", tier: tierUserFilter, family: usersFamily, scopes: readUsers, json: true, lags: true,
			query: list("fields", "sort"), handle: filterUsers},
		{method: "POST", template: "/api/v1/users/actions/invite", tier: tier2, family: inviteFamily, scopes: writeUsers, json: true, write: true, handle: inviteUsers},
		{method: "GET", template: "/api/v1/users/{userId}", tier: tier1, family: usersFamily, scopes: readUsers, query: []string{"fields"}, handle: getUser},
		{method: "PATCH", template: "/api/v1/users/{userId}", tier: tier2, family: usersFamily, scopes: writeUsers, json: true, write: true, handle: patchUser},
		{method: "DELETE", template: "/api/v1/users/{userId}", tier: tier2, family: usersFamily, scopes: writeUsers, write: true, handle: deleteUser},

		{method: "GET", template: "/api/v1/roles", tier: tier1, family: rolesFamily, scopes: classic, lags: true,
			query: list("filter", "sort", "totalResults"), handle: listRoles},
		{method: "GET", template: "/api/v1/roles/{id}", tier: tier1, family: rolesFamily, scopes: classic, handle: getRole},

		{method: "GET", template: "/api/v1/groups/settings", tier: tier1, family: groupsFamily, scopes: classic, handle: getGroupSettings},
		{method: "PATCH", template: "/api/v1/groups/settings", tier: tier2, family: groupsFamily, scopes: classic, json: true, write: true, handle: patchGroupSettings},
		{method: "GET", template: "/api/v1/groups", tier: tier1, family: groupsFamily, scopes: classic, lags: true,
			query: list("filter", "sort", "systemGroups", "totalResults"), handle: listGroups},
		{method: "POST", template: "/api/v1/groups", tier: tier2, family: groupsFamily, scopes: classic, json: true, write: true, handle: createGroup},
		{method: "POST", template: "/api/v1/groups/actions/filter", tier: tierGroupFilter, family: groupsFamily, scopes: classic, json: true, lags: true,
			query: list("sort"), handle: filterGroups},
		{method: "GET", template: "/api/v1/groups/{groupId}", tier: tier1, family: groupsFamily, scopes: classic, handle: getGroup},
		{method: "PATCH", template: "/api/v1/groups/{groupId}", tier: tier2, family: groupsFamily, scopes: classic, json: true, write: true, handle: patchGroup},
		{method: "DELETE", template: "/api/v1/groups/{groupId}", tier: tier2, family: groupsFamily, scopes: classic, write: true, handle: removeGroup},

		{method: "GET", template: "/api/v1/identity-providers/status", tier: tier1, family: idpFamily, scopes: classic, handle: idpStatus},

		{method: "GET", template: "/api/v1/tenants/me", tier: tier1, family: tenantsFamily, handle: redirectToTenant},
		{method: "GET", template: "/api/v1/tenants/{tenantId}", tier: tier1, family: tenantsFamily, scopes: classic, handle: getTenant},
		{method: "PATCH", template: "/api/v1/tenants/{tenantId}", tier: tier2, family: tenantsFamily, scopes: classic, json: true, write: true, handle: patchTenant},

		{method: "GET", template: "/api/v1/licenses/overview", tier: tier1, family: licensesFamily, scopes: classic, handle: licenseOverview},
		{method: "GET", template: "/api/v1/licenses/status", tier: tier1, family: licensesFamily, scopes: classic, handle: licenseStatus},
		{method: "GET", template: "/api/v1/licenses/settings", tier: tier1, family: licensesFamily, scopes: classic, handle: getLicenseSettings},
		{method: "PUT", template: "/api/v1/licenses/settings", tier: tier2, family: licensesFamily, scopes: classic, json: true, write: true, handle: putLicenseSettings},
		{method: "GET", template: "/api/v1/licenses/assignments", tier: tier1, family: licensesFamily, scopes: classic, lags: true,
			query: []string{"filter", "limit", "orphans", "page", "sort"}, handle: listEntitlements},
		{method: "POST", template: "/api/v1/licenses/assignments/actions/add", tier: tier2, family: licensesFamily, scopes: classic, json: true, write: true, handle: addEntitlements},
		{method: "POST", template: "/api/v1/licenses/assignments/actions/delete", tier: tier2, family: licensesFamily, scopes: classic, json: true, write: true, handle: deleteEntitlements},
		{method: "POST", template: "/api/v1/licenses/assignments/actions/update", tier: tier2, family: licensesFamily, scopes: classic, json: true, write: true, handle: updateEntitlements},

		{method: "GET", template: "/api/v1/spaces", tier: tier1, family: spacesFamily, scopes: readSpaces, lags: true,
			query: list("action", "environment.name", "environmentId", "name", "ownerId", "roles", "sort", "type"), handle: listSpaces},
		{method: "POST", template: "/api/v1/spaces", tier: tier2, family: spacesFamily, scopes: writeSpaces, json: true, write: true, handle: createSpace},
		{method: "GET", template: "/api/v1/spaces/types", tier: tier1, family: spacesFamily, scopes: readSpaces, handle: spaceTypes},
		{method: "GET", template: "/api/v1/spaces/{spaceId}", tier: tier1, family: spacesFamily, scopes: readSpaces, handle: getSpace},
		{method: "PATCH", template: "/api/v1/spaces/{spaceId}", tier: tier2, family: spacesFamily, scopes: writeSpaces, json: true, write: true, handle: patchSpace},
		{method: "DELETE", template: "/api/v1/spaces/{spaceId}", tier: tier2, family: spacesFamily, scopes: writeSpaces, write: true, handle: deleteSpace},
		{method: "GET", template: "/api/v1/spaces/{spaceId}/assignments", tier: tier1, family: spacesFamily, scopes: readSpaces, lags: true,
			query: list("assigneeId", "type"), handle: listMembers},
		{method: "POST", template: "/api/v1/spaces/{spaceId}/assignments", tier: tier2, family: spacesFamily, scopes: writeSpaces, json: true, write: true, handle: createMember},
		{method: "GET", template: "/api/v1/spaces/{spaceId}/assignments/{assignmentId}", tier: tier1, family: spacesFamily, scopes: readSpaces, handle: getMember},
		{method: "PUT", template: "/api/v1/spaces/{spaceId}/assignments/{assignmentId}", tier: tier2, family: spacesFamily, scopes: writeSpaces, json: true, write: true, handle: putMember},
		{method: "DELETE", template: "/api/v1/spaces/{spaceId}/assignments/{assignmentId}", tier: tier2, family: spacesFamily, scopes: writeSpaces, write: true, handle: deleteMember},
	}
	for i := range all {
		all[i].segments = strings.Split(all[i].template, "/")
	}
	return all
}

// redirect answers a "me" operation (users.json 301, tenants.json 302). The
// body is a page, as the descriptions say.
func (x *exchange) redirect(status int, path string) response {
	location := path
	if x.behaviour.ForeignRedirects {
		location = foreignBase + path
	}
	return response{
		status: status,
		header: http.Header{"Location": {location}, "Content-Type": {"text/html; charset=utf-8"}},
		body:   []byte("<html><body>Moved.</body></html>\n"),
	}
}
