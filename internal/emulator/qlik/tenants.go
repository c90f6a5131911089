package qlik

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// tenantFlags are the boolean settings of a tenant that can be patched, and
// their defaults (tenants.json: Tenant, TenantPatchSchema).
var tenantFlags = map[string]bool{
	"autoAssignCreateSharedSpacesRoleToProfessionals":             true,
	"autoAssignPrivateAnalyticsContentCreatorRoleToProfessionals": true,
	"autoAssignDataServicesContributorRoleToProfessionals":        true,
	"enableAnalyticCreation":                                      false,
	"enableAppOpeningFeedback":                                    false,
}

// redirectToTenant is GET /api/v1/tenants/me.
func redirectToTenant(x *exchange) response {
	return x.redirect(http.StatusFound, "/api/v1/tenants/"+x.st.tenant.ID)
}

// getTenant is GET /api/v1/tenants/{tenantId}.
func getTenant(x *exchange) response {
	t := x.st.tenant
	if x.req.vars["tenantId"] != t.ID {
		return x.fail(*notFound())
	}
	hosts := append([]string{}, t.Hostnames...)
	doc := map[string]any{
		"id": t.ID, "name": t.Name, "hostnames": hosts, "region": t.Region, "datacenter": t.Region, "status": "active",
		"created": t.CreatedAt.UTC().Format(time.DateOnly), "lastUpdated": t.UpdatedAt.UTC().Format(time.DateOnly),
		"statusLastUpdatedAt": timestamp(t.CreatedAt),
		"links":               map[string]any{"self": x.link(x.req.path)},
	}
	for name, value := range tenantFlags {
		if set, ok := t.Flags[name]; ok {
			value = set
		}
		doc[name] = value
	}
	return jsonResponse(http.StatusOK, doc)
}

// patchTenant is PATCH /api/v1/tenants/{tenantId}.
func patchTenant(x *exchange) response {
	t := x.st.tenant
	if x.req.vars["tenantId"] != t.ID {
		return x.fail(*notFound())
	}
	paths := []string{"/name", "/hostnames/1"}
	for name := range tenantFlags {
		paths = append(paths, "/"+name)
	}
	patch, p := parsePatch(x.req.body, []string{"replace"}, paths)
	if p != nil {
		return x.fail(*p)
	}
	flags := map[string]bool{}
	for name, value := range t.Flags {
		flags[name] = value
	}
	for i, o := range patch {
		var value string
		switch o.path {
		case "/name":
			if value, p = o.text(); p == nil && value == "" {
				p = invalid("A tenant's name cannot be empty.")
			}
			t.Name = value
		case "/hostnames/1":
			label := ""
			if value, p = o.text(); p == nil {
				label, _, _ = strings.Cut(value, ".")
			}
			if p == nil && (len(label) < 3 || len(label) > 63) {
				p = invalid("The first label of a host name has 3 to 63 characters.")
			}
			t.Hostnames = []string{t.Hostnames[0], value}
		default:
			flags[o.path[1:]], p = o.flag()
		}
		if p != nil {
			return x.fail(*p.at(fmt.Sprintf("/%d", i)))
		}
	}
	t.Flags, t.UpdatedAt = flags, x.now
	x.st.tenant = t
	x.st.changed("updated", "tenant", t.ID, t.Name)
	return noContent()
}

// idpStatus is GET /api/v1/identity-providers/status.
func idpStatus(x *exchange) response {
	count, entries := 0, []any{}
	for _, i := range x.st.idps {
		if i.Active && i.Interactive {
			count++
		}
		entries = append(entries, map[string]any{"active": i.Active, "interactive": i.Interactive, "provider": i.Provider})
	}
	return jsonResponse(http.StatusOK, map[string]any{"active_interactive_idps_count": count, "idps_metadata": entries})
}
