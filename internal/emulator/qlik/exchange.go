package qlik

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"
)

// maxBody is the largest body that users and groups take (users.json: 413,
// "limit of 500kB").
const maxBody = 500_000

// foreignBase is where links point unless Behaviour.OwnLinks is set: another
// host than the tenant's, and no TLS, as in the descriptions' examples.
const foreignBase = "http://mytenant.elastic.example"

// exchange is one call while it is being answered. The server's lock is held
// for all of its life.
type exchange struct {
	caller
	req       *request
	route     *route
	cfg       *Config
	behaviour Behaviour
	now       time.Time
	trace     string
	st        *state // a clone when the route writes
	view      *state // what lists show; differs from st while they lag
}

// caller is who makes the call.
type caller struct {
	client string   // OAuth client
	userID string   // its bot user; empty on operations that need no token
	scopes []string // of the token
}

func traceID(key []byte, call int) string {
	return strings.Repeat("0", 16) + hex.EncodeToString(keyed(key, "trace", uint64(call)))[:16]
}

// bot is the caller's user.
func (x *exchange) bot() User { return x.st.users[x.userID] }

// authenticate finds out who calls.
func (x *exchange) authenticate() *problem {
	if x.route.open {
		x.client = x.claimedClient()
		return nil
	}
	unauthorized := &problem{status: http.StatusUnauthorized, title: "Unauthorized", detail: "A valid access token is needed."}
	scheme, text, _ := strings.Cut(x.req.header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return unauthorized
	}
	t, ok := x.st.tokens[text]
	if !ok || !x.now.Before(t.expires) {
		return unauthorized
	}
	x.client, x.scopes = t.clientID, t.scopes
	bot, ok := x.st.botOf(t.clientID)
	switch {
	case !ok:
		return &problem{status: http.StatusForbidden, code: "AUTH-5", title: "User is not a member of tenant"}
	case bot.Status != StatusActive:
		return &problem{status: http.StatusForbidden, title: "Forbidden", detail: "The user is disabled."}
	}
	x.userID = bot.ID
	return nil
}

// authorize checks what the caller may do: its rights are those of its role,
// narrowed by its token's scopes. It also refuses a wrong content type and
// parameters that the operation does not know.
func (x *exchange) authorize() *problem {
	if x.route.scopes != nil {
		if !slices.ContainsFunc(x.route.scopes, x.scoped) {
			return &problem{status: http.StatusForbidden, title: "Forbidden", detail: "The access token lacks the scope for this operation."}
		}
		if !x.st.holds(x.bot(), "TenantAdmin") {
			return &problem{status: http.StatusForbidden, title: "Forbidden", detail: "The user lacks the role for this operation."}
		}
	}
	if x.route.json {
		media, _, err := mime.ParseMediaType(x.req.header.Get("Content-Type"))
		if err != nil || media != "application/json" {
			return invalid("The content type must be application/json.")
		}
	}
	if x.route.open {
		return nil
	}
	if x.req.queryErr != nil {
		return invalid("The query cannot be parsed.")
	}
	for _, name := range sortedKeys(x.req.query) {
		switch {
		case !slices.Contains(x.route.query, name):
			return badParameter(name, "Parameter %q is not known here.", name)
		case len(x.req.query[name]) > 1:
			return badParameter(name, "Parameter %q stands there more than once.", name)
		}
	}
	return nil
}

func (x *exchange) scoped(scope string) bool { return slices.Contains(x.scopes, scope) }

// seesRoles says whether the caller may see the roles of a user: its own, or
// with access to roles everybody's (users.json: AssignedRoles).
func (x *exchange) seesRoles(u User) bool { return x.scoped(scopeClassic) || u.ID == x.userID }

func (x *exchange) fail(p problem) response { return x.route.family.answer(x.trace, p) }

// link is the address of something of this tenant, as it stands in answers.
func (x *exchange) link(path string) map[string]any {
	base := foreignBase
	if x.behaviour.OwnLinks {
		base = x.req.base
	}
	return map[string]any{"href": base + path}
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// fields is a JSON object whose keys have been checked. Keys are compared
// exactly, unlike encoding/json would: "Subject" is not "subject".
type fields map[string]json.RawMessage

// object parses a JSON object that may have only the given keys.
func object(raw []byte, known ...string) (fields, *problem) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, invalid("A JSON object is expected.")
	}
	var f fields
	if err := decode(raw, &f); err != nil || f == nil {
		return nil, invalid("A JSON object is expected.")
	}
	for _, key := range sortedKeys(f) {
		if !slices.Contains(known, key) {
			return nil, invalid("Property %q is not known.", key).at("/" + key)
		}
	}
	return f, nil
}

// decode parses exactly one JSON value.
func decode(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// text reads an optional string.
func (f fields) text(key string) (string, *problem) {
	raw, ok := f[key]
	if !ok {
		return "", nil
	}
	var s string
	if isNull(raw) || json.Unmarshal(raw, &s) != nil {
		return "", invalid("Property %q must be a string.", key).at("/" + key)
	}
	return s, nil
}

// flag reads an optional boolean.
func (f fields) flag(key string) (bool, *problem) {
	raw, ok := f[key]
	if !ok {
		return false, nil
	}
	var b bool
	if isNull(raw) || json.Unmarshal(raw, &b) != nil {
		return false, invalid("Property %q must be true or false.", key).at("/" + key)
	}
	return b, nil
}

// texts reads several optional strings and stops at the first problem.
func (f fields) texts(into map[string]*string) *problem {
	for _, key := range sortedKeys(into) {
		s, p := f.text(key)
		if p != nil {
			return p
		}
		*into[key] = s
	}
	return nil
}

// list reads a JSON array into its raw elements.
func list(raw json.RawMessage) ([]json.RawMessage, bool) {
	var items []json.RawMessage
	if isNull(raw) || json.Unmarshal(raw, &items) != nil {
		return nil, false
	}
	return items, true
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
