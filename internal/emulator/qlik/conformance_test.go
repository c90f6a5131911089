package qlik_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// exception is a known disagreement between the descriptions and what is sent
// or answered here. One that no longer occurs fails the test.
type exception struct {
	operation string // "*" is every operation
	finding   string // regular expression on the whole finding
	reason    string
}

var exceptions = []exception{
	{"POST /api/v1/users", `request/status: active is not in the enum`, "the enum has only invited, but Qlik's tutorials create active users"},
	{"POST /api/v1/users", `request: the content type application/javascript is not described`, "the tutorial's own mistake, made on purpose: it is refused"},
	{"PATCH /api/v1/users/{userId}", `request/\d+/path: /(email|assignedRoles/-|assignedGroups/-) is not in the enum`, "the enum lacks paths that the examples and pages use"},
	{"PATCH /api/v1/users/{userId}", `request/\d+/value: an object instead of string`, "the example adds one role as an object, which the alternatives lack"},
	{"PATCH /api/v1/users/{userId}", `request/\d+: value is missing`, "the value of renew is not documented"},
	{"POST /api/v1/users/actions/invite", `answer 207/data/\d+/code: a string instead of integer`, "the schema wants both a string and an integer"},
	{"PATCH /api/v1/groups/{groupId}", `request/\d+/path: /(name|assignedRoles) is not in the enum`, "the enum lacks the slash that all examples have"},
	{"PATCH /api/v1/groups/settings", `request/\d+/path: /systemGroups/\d+/assignedRoles is not in the enum`, "the enum holds a template"},
	{"PUT /api/v1/licenses/settings", `request/autoAssignProfessional: a string instead of boolean`, "sent on purpose: it is refused"},
	{"PATCH /api/v1/tenants/{tenantId}", `answer 400/(traceId|errors/0/(status|detail)): not described`, "the description's other error answers have them"},
	{"POST /oauth/token", `request: the request has no body`, "the tutorial's own mistake, made on purpose: it is refused"},
	{"POST /oauth/token", `request: client_(id|secret) is missing`, "the same"},
	{"POST /oauth/token", `request/client(Id|Secret): not described`, "the same"},
	{"GET /api/v1/users", `answer 200/data/\d+: (subject|tenantId) is missing`, "fields left them out"},
	{"*", `answer 20[01](/data/\d+)?/clientId: not described`, "users are filtered and sorted by it, and Qlik's pages show it in bot users"},
}

func TestRequestsAndAnswersAreAsQliksDescriptionsSay(t *testing.T) {
	t.Parallel()
	docs := descriptions(t)
	operations := map[string]*operation{}
	owner := map[string]*openAPI{}
	for _, doc := range docs {
		for path, methods := range doc.Paths {
			for method, op := range methods {
				name := strings.ToUpper(method) + " " + path
				operations[name], owner[name] = op, doc
			}
		}
	}
	var calls []exchange
	synctest.Test(t, func(t *testing.T) {
		record := func(tn *tenant) *tenant {
			tn.record = func(e exchange) { calls = append(calls, e) }
			return tn
		}
		walkAddInteractiveUser(record(newTenant(t)), record(newTenant(t, func(c *qlik.Config) { c.Hostname = "target.eu.qlikcloud.example" })))
		for _, walk := range []func(*tenant){walkConfigureTenant, walkCreateUserWithFetch, walkManageUsers, walkTheRest} {
			walk(record(newTenant(t)))
		}
	})

	used := make([]bool, len(exceptions))
	succeeded := map[string]bool{}
	for _, call := range calls {
		name := operationOf(call)
		op := operations[name]
		if op == nil {
			t.Errorf("%s %s: no description has operation %q", call.method, call.path, name)
			continue
		}
		if call.status < 400 {
			succeeded[name] = true
		}
		c := checker{doc: owner[name], closed: true}
		for _, finding := range slices.Concat(c.request(op, call), c.answer(op, call)) {
			known := false
			for i, e := range exceptions {
				if (e.operation == name || e.operation == "*") && regexp.MustCompile("^"+e.finding+"$").MatchString(finding) {
					known, used[i] = true, true
				}
			}
			if !known {
				t.Errorf("%s: %s\n  request %s\n  answer  %d %.300s", name, finding, call.body, call.status, call.answer)
			}
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			t.Errorf("the exception %q for %s is no longer needed", e.finding, e.operation)
		}
	}
	for _, name := range qlik.Operations() {
		if operations[name] == nil {
			t.Errorf("the emulator has %s, which no description has", name)
		} else if !succeeded[name] {
			t.Errorf("no walk makes %s succeed", name)
		}
	}
}

func TestRateTiersAreThoseOfTheDescriptions(t *testing.T) {
	t.Parallel()
	docs := descriptions(t)
	tiers := qlik.Tiers()
	for _, doc := range docs {
		for path, methods := range doc.Paths {
			for method, op := range methods {
				name := strings.ToUpper(method) + " " + path
				if got, ok := tiers[name]; ok && got != op.Tier.Tier {
					t.Errorf("%s is of tier %s here, of tier %s in the description", name, got, op.Tier.Tier)
				}
			}
		}
	}
}

// operationOf finds the operation whose template the call's path has; a
// literal segment wins over a placeholder.
func operationOf(call exchange) string {
	best, bestHoles := "", 99
	for _, name := range qlik.Operations() {
		method, template, _ := strings.Cut(name, " ")
		want, got := strings.Split(template, "/"), strings.Split(call.path, "/")
		if method != call.method || len(want) != len(got) {
			continue
		}
		holes := 0
		for i := range want {
			if strings.HasPrefix(want[i], "{") {
				holes++
			} else if want[i] != got[i] {
				holes = 99
				break
			}
		}
		if holes < bestHoles {
			best, bestHoles = name, holes
		}
	}
	return best
}

// request checks what was sent.
func (c checker) request(op *operation, call exchange) []string {
	var found []string
	described := map[string]*schema{}
	for _, p := range op.Parameters {
		if p.In != "query" {
			continue
		}
		described[p.Name] = p.Schema
		if p.Required && !call.query.Has(p.Name) {
			found = append(found, "query: "+p.Name+" is missing")
		}
	}
	for name := range call.query {
		s := c.resolve(described[name])
		if s == nil {
			found = append(found, "query/"+name+": not described")
			continue
		}
		found = append(found, c.shape(s, parameter(s, call.query.Get(name)), "query/"+name)...)
	}
	switch {
	case op.RequestBody == nil && len(call.body) > 0:
		found = append(found, "request: a body that is not described")
	case op.RequestBody != nil && len(call.body) == 0:
		found = append(found, "request: the request has no body")
	case op.RequestBody != nil:
		m, ok := op.RequestBody.Content[call.contentType]
		if !ok {
			return append(found, "request: the content type "+call.contentType+" is not described")
		}
		found = append(found, c.check(m.Schema, body(call.contentType, call.body), "request")...)
	}
	return found
}

// parameter is a query parameter's value in the type that its schema has.
func parameter(s *schema, text string) any {
	switch s.Type {
	case "number", "integer":
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case "array":
		items := []any{}
		for _, item := range strings.Split(text, ",") {
			items = append(items, item)
		}
		return items
	}
	return text
}

// body parses a body.
func body(contentType string, raw []byte) any {
	if contentType == "application/x-www-form-urlencoded" {
		form, _ := url.ParseQuery(string(raw))
		doc := map[string]any{}
		for name := range form {
			doc[name] = form.Get(name)
		}
		return doc
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "(not JSON)"
	}
	return v
}

// answer checks what came back.
func (c checker) answer(op *operation, call exchange) []string {
	at := "answer " + strconv.Itoa(call.status)
	res, ok := op.Responses[strconv.Itoa(call.status)]
	if !ok {
		if res, ok = op.Responses["default"]; !ok {
			// What any operation may answer, whether its description lists
			// it or not; the shape is that of its other errors.
			general := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError}
			for _, status := range []string{"403", "401", "404", "500", "400"} {
				if r, described := op.Responses[status]; described && slices.Contains(general, call.status) {
					res, ok = r, true
					break
				}
			}
		}
		if !ok {
			return []string{at + ": the status is not described"}
		}
	}
	var found []string
	for name := range res.Headers {
		if name != "QLIK-IDP-POPTS" && call.header.Get(name) == "" {
			found = append(found, at+": header "+name+" is missing")
		}
	}
	if call.status == http.StatusNoContent {
		if len(call.answer) > 0 {
			found = append(found, at+": a body")
		}
		return found
	}
	media, _, err := mime.ParseMediaType(call.header.Get("Content-Type"))
	if err != nil {
		return append(found, at+": no content type")
	}
	m, ok := res.Content[media]
	switch {
	case !ok:
		return append(found, fmt.Sprintf("%s: the content type %s is not described", at, media))
	case media != "application/json" || m.Schema == nil:
		return found
	}
	return append(found, c.check(m.Schema, body(media, call.answer), at)...)
}
