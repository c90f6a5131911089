package qlik

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// grantOf is the place of a subject's assignment of the kind, or -1. An empty
// kind means any.
func (st *state) grantOf(subject, kind string) int {
	return slices.IndexFunc(st.grants, func(e Entitlement) bool {
		return e.Subject == subject && (kind == "" || e.Type == kind)
	})
}

func (st *state) grant(subject, kind string, now time.Time) {
	st.grants = append(st.grants, Entitlement{Subject: subject, Type: kind, CreatedAt: now})
	st.changed("created", "entitlement", subject, kind)
}

func (st *state) unitsUsed(kind string) int {
	n := 0
	for _, e := range st.grants {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// allotment returns the licence's allotment of a kind that can be assigned.
func (st *state) allotment(kind string) (Allotment, bool) {
	i := slices.IndexFunc(st.license.Allotments, func(a Allotment) bool { return a.Name == kind })
	if i < 0 || kind != EntitlementProfessional && kind != EntitlementAnalyzer {
		return Allotment{}, false
	}
	return st.license.Allotments[i], true
}

// available says whether one more entitlement of the kind can be assigned.
func (st *state) available(kind string) bool {
	a, ok := st.allotment(kind)
	return ok && (a.Overage < 0 || st.unitsUsed(kind) < a.Units+a.Overage)
}

// autoAssign gives a subject without an entitlement the one that the settings
// say: professional first, then analyzer (licenses.json: PUT settings).
func (st *state) autoAssign(subject string, now time.Time) {
	if st.grantOf(subject, "") >= 0 {
		return
	}
	switch {
	case st.license.AutoAssignProfessional && st.available(EntitlementProfessional):
		st.grant(subject, EntitlementProfessional, now)
	case st.license.AutoAssignAnalyzer && st.available(EntitlementAnalyzer):
		st.grant(subject, EntitlementAnalyzer, now)
	}
}

// licenseOverview is GET /api/v1/licenses/overview.
func licenseOverview(x *exchange) response {
	l := x.st.license
	allotments := []any{}
	for _, a := range l.Allotments {
		allotments = append(allotments, map[string]any{
			"name": a.Name, "units": a.Units, "unitsUsed": x.st.unitsUsed(a.Name), "overage": a.Overage, "usageClass": "Default",
		})
	}
	return jsonResponse(http.StatusOK, map[string]any{
		"trial": false, "valid": "2000-01-01/2100-01-01", "origin": "External", "status": "Ok", "product": l.Product,
		"updated": timestamp(x.st.tenant.CreatedAt), "allotments": allotments, "licenseKey": l.Key,
		"licenseNumber": l.Number, "secondaryNumber": l.Number, "parameters": []any{},
	})
}

// licenseStatus is GET /api/v1/licenses/status.
func licenseStatus(x *exchange) response {
	return jsonResponse(http.StatusOK, map[string]any{
		"type": "Signed", "trial": false, "valid": "2000-01-01/2100-01-01", "origin": "External", "status": "Ok",
		"product": x.st.license.Product, "deactivated": false, "extensionStatus": "Unavailable",
	})
}

func settingsDoc(l License) map[string]any {
	return map[string]any{"autoAssignProfessional": l.AutoAssignProfessional, "autoAssignAnalyzer": l.AutoAssignAnalyzer}
}

// getLicenseSettings is GET /api/v1/licenses/settings.
func getLicenseSettings(x *exchange) response {
	return jsonResponse(http.StatusOK, settingsDoc(x.st.license))
}

// putLicenseSettings is PUT /api/v1/licenses/settings. A setting that is left
// out is switched off: it is a PUT.
func putLicenseSettings(x *exchange) response {
	f, p := object(x.req.body, "autoAssignProfessional", "autoAssignAnalyzer")
	if p != nil {
		return x.fail(*p)
	}
	l := x.st.license
	if l.AutoAssignProfessional, p = f.flag("autoAssignProfessional"); p != nil {
		return x.fail(*p)
	}
	if l.AutoAssignAnalyzer, p = f.flag("autoAssignAnalyzer"); p != nil {
		return x.fail(*p)
	}
	x.st.license = l
	x.st.changed("updated", "licence", "", "licence settings")
	return jsonResponse(http.StatusOK, settingsDoc(l))
}

var entitlementFilter = filterSchema{attributes: map[string]attribute{
	"subject": {contains: true},
	"type":    {},
}}

// listEntitlements is GET /api/v1/licenses/assignments. Its cursor is "page".
func listEntitlements(x *exchange) response {
	keep := func(Entitlement) bool { return true }
	if x.req.query.Has("filter") {
		f, err := parseFilter(x.req.query.Get("filter"), entitlementFilter)
		if err != nil {
			return x.fail(*badParameter("filter", "%s", sentence(err)))
		}
		keep = func(e Entitlement) bool {
			return f.match(func(name string) []string {
				return []string{map[string]string{"subject": e.Subject, "type": e.Type}[name]}
			})
		}
	}
	orphans := x.req.query.Get("orphans")
	if orphans != "" && orphans != "true" && orphans != "false" {
		return x.fail(*badParameter("orphans", "orphans must be true or false."))
	}
	var found []Entitlement
	for _, e := range x.view.grants {
		_, known := x.view.takenBy("", e.Subject, "")
		if keep(e) && (orphans != "true" || !known) {
			found = append(found, e)
		}
	}
	pg, p := paged(x, listing[Entitlement]{
		size: 20, max: 100, reject: true, sorts: []string{"created", "subject", "type"}, cursors: [2]string{"page", "page"},
		key: func(e Entitlement, field string) string {
			return map[string]string{"created": timestamp(e.CreatedAt), "subject": e.Subject, "type": e.Type}[field]
		},
		id: func(e Entitlement) string { return e.Subject + "\n" + e.Type },
	}, found)
	if p != nil {
		return x.fail(*p)
	}
	data := []any{}
	for _, e := range pg.items {
		a, _ := x.view.allotment(e.Type)
		data = append(data, map[string]any{
			"subject": e.Subject, "type": e.Type, "created": timestamp(e.CreatedAt),
			"excess": a.Overage >= 0 && x.view.unitsUsed(e.Type) > a.Units,
		})
	}
	delete(pg.links, "self") // licenses.json knows next and prev
	return jsonResponse(http.StatusOK, map[string]any{"data": data, "links": pg.links})
}

// assignment is one entry of a licence action, as far as it has these.
type assignment struct{ subject, kind, fromSubject, fromKind string }

// parseAssignments reads the body of a licence action: one list named after it.
func (x *exchange) parseAssignments(action string, known ...string) ([]assignment, *problem) {
	f, p := object(x.req.body, action)
	if p != nil {
		return nil, p
	}
	items, ok := list(f[action])
	if !ok {
		return nil, invalid("A list of assignments is expected.").at("/" + action)
	}
	out := make([]assignment, len(items))
	for i, item := range items {
		a, ignored := &out[i], ""
		f, p := object(item, known...)
		if p == nil {
			p = f.texts(map[string]*string{
				"subject": &a.subject, "type": &a.kind, "sourceSubject": &a.fromSubject, "sourceType": &a.fromKind,
				"name": &ignored, "userId": &ignored,
			})
		}
		switch {
		case p != nil:
		case a.subject == "":
			p = invalid("The subject is missing.")
		case a.kind == "" && action != "update":
			p = invalid("The type is missing.")
		}
		if p != nil {
			return nil, p.at(fmt.Sprintf("/%s/%d", action, i))
		}
	}
	return out, nil
}

// assignmentResult is one entry of a licence action's answer.
func assignmentResult(a assignment, status int, code, title string) map[string]any {
	r := map[string]any{"subject": a.subject, "type": a.kind, "status": status}
	if a.kind == "" {
		delete(r, "type")
	}
	if code != "" {
		r["code"], r["title"] = code, title
	}
	return r
}

func noAllotment(a assignment) map[string]any {
	return assignmentResult(a, http.StatusForbidden, "LICENSES-011", "No allotment left")
}

func noAssignment(a assignment) map[string]any {
	return assignmentResult(a, http.StatusNotFound, "LICENSES-016", "Assignment not found")
}

// addEntitlements is POST /api/v1/licenses/assignments/actions/add. A subject
// that holds an entitlement gets no second one (409).
func addEntitlements(x *exchange) response {
	return x.assign("add", []string{"subject", "type", "name", "userId"}, func(a assignment) map[string]any {
		switch {
		case x.st.grantOf(a.subject, "") >= 0:
			return assignmentResult(a, http.StatusConflict, "HTTP-409", "The subject has an assignment")
		case !x.st.available(a.kind):
			return noAllotment(a)
		}
		x.st.grant(a.subject, a.kind, x.now)
		return assignmentResult(a, http.StatusCreated, "", "")
	})
}

// deleteEntitlements is POST /api/v1/licenses/assignments/actions/delete.
func deleteEntitlements(x *exchange) response {
	return x.assign("delete", []string{"subject", "type"}, func(a assignment) map[string]any {
		i := x.st.grantOf(a.subject, a.kind)
		if i < 0 {
			return noAssignment(a)
		}
		x.st.grants = slices.Delete(slices.Clone(x.st.grants), i, i+1)
		x.st.changed("deleted", "entitlement", a.subject, a.kind)
		return assignmentResult(a, http.StatusOK, "", "")
	})
}

// updateEntitlements is POST /api/v1/licenses/assignments/actions/update: from
// sourceSubject and sourceType, where they are given, to subject and type. It
// is a 201 when the subject changed.
func updateEntitlements(x *exchange) response {
	return x.assign("update", []string{"subject", "type", "sourceSubject", "sourceType"}, func(a assignment) map[string]any {
		from, status := a.subject, http.StatusOK
		if a.fromSubject != "" && a.fromSubject != a.subject {
			from, status = a.fromSubject, http.StatusCreated
		}
		i := x.st.grantOf(from, a.fromKind)
		if i < 0 {
			return noAssignment(a)
		}
		e := x.st.grants[i]
		switch {
		case from != a.subject && x.st.grantOf(a.subject, "") >= 0:
			return assignmentResult(a, http.StatusConflict, "HTTP-409", "The subject has an assignment")
		case a.kind != "" && a.kind != e.Type && !x.st.available(a.kind):
			return noAllotment(a)
		}
		e.Subject = a.subject
		if a.kind != "" {
			e.Type = a.kind
		}
		x.st.grants = slices.Clone(x.st.grants)
		x.st.grants[i] = e
		x.st.changed("updated", "entitlement", e.Subject, e.Type)
		return assignmentResult(a, status, "", "")
	})
}

// assign carries out a licence action entry by entry and answers 207.
func (x *exchange) assign(action string, known []string, one func(assignment) map[string]any) response {
	entries, p := x.parseAssignments(action, known...)
	if p != nil {
		return x.fail(*p)
	}
	results := make([]any, len(entries))
	for i, a := range entries {
		results[i] = one(a)
	}
	return jsonResponse(http.StatusMultiStatus, map[string]any{"data": results})
}
