package qlik

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// problem is one entry of an error answer, before it takes the shape that its
// resource gives it. Code defaults to the resource's own code for 404 and to
// HTTP-<status> otherwise, the form that Qlik uses for HTTP-429; the
// descriptions list hardly any codes, so none is made up here.
type problem struct {
	status              int
	code, title, detail string
	pointer, parameter  string
	retryAfter          int // seconds; for 429
}

// invalid is a 400 about the body or about something in no particular place.
func invalid(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, title: "Invalid request", detail: fmt.Sprintf(format, args...)}
}

// badParameter is a 400 about a query parameter.
func badParameter(name, format string, args ...any) *problem {
	p := invalid(format, args...)
	p.title, p.parameter = "Invalid query parameter", name
	return p
}

func notFound() *problem {
	return &problem{status: http.StatusNotFound, title: "Not found"}
}

// at says where in the body the problem lies, as a JSON Pointer.
func (p *problem) at(pointer string) *problem {
	p.pointer = pointer + p.pointer
	return p
}

// statusForm is how an envelope's entries carry the HTTP status.
type statusForm int

const (
	noStatus statusForm = iota
	numericStatus
	textStatus
)

// family is the way in which one resource shapes its error answers. They
// differ: compare Error and Errors in the descriptions of each resource.
type family struct {
	notFound   string // code of its 404
	status     statusForm
	trace      bool // carries traceId
	numeric    bool // code is a number (users.json: ErrorItem)
	topLevel   bool // repeats code, title and detail beside errors (spaces.json)
	deprecated bool // also has error and message (licenses.json)
	metaSource bool // the source lies within meta (spaces.json)
	noSource   bool // entries have no source
}

var (
	gateway        = family{trace: true}
	usersFamily    = family{notFound: "USERS-7", status: numericStatus, trace: true}
	inviteFamily   = family{numeric: true}
	rolesFamily    = family{notFound: "IDENTITIES-10402", trace: true}
	groupsFamily   = family{notFound: "GROUPS-7", status: numericStatus, trace: true}
	idpFamily      = family{status: numericStatus}
	tenantsFamily  = family{notFound: "TENANTS-8", status: textStatus, trace: true}
	oauthFamily    = family{status: textStatus, noSource: true}
	licensesFamily = family{notFound: "LICENSES-016", deprecated: true, noSource: true}
	spacesFamily   = family{trace: true, topLevel: true, metaSource: true}
)

func (f family) code(p problem) string {
	if p.status == http.StatusNotFound && p.code == "" && f.notFound != "" {
		return f.notFound
	}
	return cmp.Or(p.code, "HTTP-"+strconv.Itoa(p.status))
}

// entry is one element of errors.
func (f family) entry(p problem) map[string]any {
	e := map[string]any{"code": f.code(p), "title": p.title}
	if p.detail != "" {
		e["detail"] = p.detail
	}
	if f.numeric {
		e["code"] = p.status
		return e
	}
	switch f.status {
	case noStatus:
	case numericStatus:
		e["status"] = p.status
	case textStatus:
		e["status"] = strconv.Itoa(p.status)
	}
	source := map[string]any{}
	if p.pointer != "" {
		source["pointer"] = p.pointer
	}
	if p.parameter != "" {
		source["parameter"] = p.parameter
	}
	switch {
	case len(source) == 0 || f.noSource:
	case f.metaSource:
		e["meta"] = map[string]any{"source": source}
	default:
		e["source"] = source
	}
	return e
}

// envelope is the body for several problems.
func (f family) envelope(trace string, problems ...problem) map[string]any {
	entries := make([]any, len(problems))
	for i, p := range problems {
		entries[i] = f.entry(p)
	}
	body := map[string]any{"errors": entries}
	first := problems[0]
	if f.trace {
		body["traceId"] = trace
	}
	if f.topLevel {
		body["code"], body["title"] = f.code(first), first.title
		if first.detail != "" {
			body["detail"] = first.detail
		}
	}
	if f.deprecated {
		body["error"], body["message"] = f.code(first), cmp.Or(first.detail, first.title)
	}
	return body
}

// answer is the response for one problem, whose status it has.
func (f family) answer(trace string, p problem) response {
	if p.status == http.StatusTooManyRequests {
		f = family{deprecated: f.deprecated} // what the gateway in front of every resource says
	}
	res := jsonResponse(p.status, f.envelope(trace, p))
	if p.retryAfter > 0 {
		res.header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	return res
}

// rateLimited is Qlik's 429.
func rateLimited(seconds int) *problem {
	return &problem{
		status: http.StatusTooManyRequests, title: "API rate limit reached.", retryAfter: seconds,
		detail: fmt.Sprintf("You need to wait %d seconds until limit is lifted.", seconds),
	}
}

// response is an answer, ready to be written.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (res response) write(w http.ResponseWriter) {
	for name, values := range res.header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.status)
	_, _ = w.Write(res.body) // a client that has gone is no matter of ours
}

func jsonResponse(status int, doc any) response {
	body, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("emulator: answer cannot be encoded: %v", err)) // built from plain maps only
	}
	return response{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

func noContent() response {
	return response{status: http.StatusNoContent, header: http.Header{}}
}
