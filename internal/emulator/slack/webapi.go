package slack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reply is the JSON object that a method answers.
type reply map[string]any

func fail(code string) reply { return reply{"ok": false, "error": code} }

// failMessages adds what Slack says in response_metadata.messages.
func failMessages(code string, messages ...string) reply {
	r := fail(code)
	r["response_metadata"] = map[string]any{"messages": messages}
	return r
}

// method is one row of the Web API.
type method struct {
	run   func(*Server, *apiCall) reply // with Server.mu held
	scope string                        // of the bot token; empty: none, or the method looks itself
	// perMinute is the rate limit: 1, 20, 50, 100 for tiers 1 to 4. As many
	// calls may come in a burst.
	perMinute int
	burst     int  // when it differs
	json      bool // takes a JSON body; others see only form and query arguments
	app       bool // takes the app-level token, and only that
}

// findMethod knows the methods, their scopes, tiers and content types as the
// method pages at docs.slack.dev give them. apps.connections.open is counted
// to tier 1, the stricter of the two that are told of it.
func findMethod(name string) (method, bool) {
	m, ok := map[string]method{
		"apps.connections.open": {run: (*Server).openConnection, perMinute: 1, burst: 10, json: true, app: true},
		"auth.test":             {run: (*Server).authTest, perMinute: 300, json: true},

		"chat.postMessage":   {run: (*Server).chatPostMessage, scope: "chat:write", perMinute: 300, json: true},
		"chat.postEphemeral": {run: (*Server).chatPostEphemeral, scope: "chat:write", perMinute: 100, json: true},
		"chat.update":        {run: (*Server).chatUpdate, scope: "chat:write", perMinute: 50, json: true},
		"chat.delete":        {run: (*Server).chatDelete, scope: "chat:write", perMinute: 50, json: true},
		"chat.getPermalink":  {run: (*Server).chatGetPermalink, perMinute: 300},

		"conversations.info":    {run: (*Server).conversationsInfo, perMinute: 50},
		"conversations.members": {run: (*Server).conversationsMembers, perMinute: 100},
		"conversations.open":    {run: (*Server).conversationsOpen, scope: "im:write", perMinute: 50, json: true},

		"users.info":            {run: (*Server).usersInfo, scope: "users:read", perMinute: 100},
		"users.lookupByEmail":   {run: (*Server).usersLookupByEmail, scope: "users:read.email", perMinute: 50},
		"usergroups.list":       {run: (*Server).usergroupsList, scope: "usergroups:read", perMinute: 20},
		"usergroups.users.list": {run: (*Server).usergroupsUsersList, scope: "usergroups:read", perMinute: 20},

		"views.open":    {run: (*Server).viewsOpen, perMinute: 100, json: true},
		"views.push":    {run: (*Server).viewsPush, perMinute: 100, json: true},
		"views.update":  {run: (*Server).viewsUpdate, perMinute: 100, json: true},
		"views.publish": {run: (*Server).viewsPublish, perMinute: 100, json: true},
	}[name]
	return m, ok
}

// apiCall is one call with its arguments, strings from a form, anything from
// JSON.
type apiCall struct {
	method string
	args   map[string]any
}

// str returns an argument as a string; numbers and booleans are written out.
func (c *apiCall) str(key string) string {
	switch v := c.args[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (c *apiCall) flag(key string) bool {
	v := strings.ToLower(c.str(key))
	return v == "true" || v == "1"
}

// structured returns an argument that is JSON: given as such in a JSON body,
// or as a string that holds it.
func (c *apiCall) structured(key string) (v any, present, ok bool) {
	v, present = c.args[key]
	if !present || v == nil {
		return nil, false, true
	}
	if text, isText := v.(string); isText {
		if text == "" {
			return nil, false, true
		}
		var out any
		if json.Unmarshal([]byte(text), &out) != nil {
			return nil, true, false
		}
		return out, true, true
	}
	return clone[any](v), true, true
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, name string) {
	s.mu.Lock()
	s.host, s.tls = r.Host, r.TLS != nil
	s.mu.Unlock()

	m, known := findMethod(name)
	args, bad := readArgs(r, !known || m.json)
	call := Call{Method: name, At: time.Now(), Args: recorded(args), Status: http.StatusOK}
	token, inHeader := tokenOf(r, args)
	fault := s.takeFault(call)

	if fault != nil && !s.faultBefore(w, fault, &call) {
		return
	}
	var out reply
	retry := time.Duration(0)
	switch {
	case !known:
		out = fail("unknown_method")
	case bad != "":
		out = fail(bad)
	default:
		out, retry = s.invoke(m, &apiCall{method: name, args: args}, token, inHeader)
	}
	call.Error, _ = out["error"].(string)
	if fault != nil && !s.faultAfter(w, fault, &call) {
		return
	}
	if m.app {
		w.Header().Set("X-OAuth-Scopes", "connections:write")
	} else {
		w.Header().Set("X-OAuth-Scopes", strings.Join(s.cfg.Scopes, ","))
		w.Header().Set("X-Accepted-OAuth-Scopes", m.scope)
	}
	if retry > 0 {
		writeRateLimited(w, retry)
		call.Status = http.StatusTooManyRequests
	} else {
		writeReply(w, out)
	}
	s.record(call)
}

// faultBefore carries out what a fault does before the effect. It is false
// when that was the end of the call.
func (s *Server) faultBefore(w http.ResponseWriter, f *Fault, call *Call) bool {
	if f.Delay > 0 {
		call.Fault = "delay"
		if !s.sleep(f.Delay) {
			return false
		}
	}
	switch {
	case f.DropBefore:
		s.abort(call, "drop before the effect")
	case f.RetryAfter > 0:
		call.Fault, call.Status, call.Error = "rate limit", http.StatusTooManyRequests, "ratelimited"
		writeRateLimited(w, f.RetryAfter)
	case f.Error != "":
		call.Fault, call.Error = "error", f.Error
		writeReply(w, fail(f.Error))
	case f.Status != 0:
		call.Fault, call.Status = "status", f.Status
		http.Error(w, http.StatusText(f.Status), f.Status)
	default:
		return true
	}
	s.record(*call)
	return false
}

// faultAfter carries out what a fault does between the effect and the answer.
func (s *Server) faultAfter(w http.ResponseWriter, f *Fault, call *Call) bool {
	if f.AnswerDelay > 0 {
		call.Fault = "late answer"
		if !s.sleep(f.AnswerDelay) {
			return false
		}
	}
	switch {
	case f.Garbage:
		call.Fault = "garbage"
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Something went wrong")
	case f.DropAfter:
		s.abort(call, "drop after the effect")
	default:
		return true
	}
	s.record(*call)
	return false
}

// abort cuts the connection of a request. It does not return.
func (s *Server) abort(call *Call, why string) {
	call.Fault, call.Status = why, 0
	s.record(*call)
	panic(http.ErrAbortHandler) // net/http closes the connection and says nothing
}

func (s *Server) record(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Duration = time.Since(c.At)
	s.calls = append(s.calls, c)
	s.notifyLocked(Event{Kind: CallMade, ID: c.Method})
}

func writeReply(w http.ResponseWriter, out reply) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(mustJSON(out)) // a caller that has gone away is its own affair
}

func writeRateLimited(w http.ResponseWriter, d time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write(mustJSON(fail("ratelimited")))
}

// invoke checks the token, the rate and the scope, in this order, and then
// runs the method.
func (s *Server) invoke(m method, c *apiCall, token string, inHeader bool) (reply, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, other := s.cfg.BotToken, s.cfg.AppToken
	if m.app {
		want, other = other, want
		if !inHeader {
			token = "" // the app-level token is taken from the header alone
		}
	}
	switch token {
	case want:
	case "":
		return fail("not_authed"), 0
	case other:
		return fail("not_allowed_token_type"), 0
	default:
		return fail("invalid_auth"), 0
	}
	if wait := s.limitLocked(c.method, m.perMinute, cmp.Or(m.burst, m.perMinute)); wait > 0 {
		return fail("ratelimited"), wait
	}
	if c.method == "chat.postMessage" {
		// About one a second in each channel; short bursts pass.
		if wait := s.limitLocked(c.method+" "+c.str("channel"), 60, 10); wait > 0 {
			return fail("ratelimited"), wait
		}
	}
	if m.scope != "" && !s.hasScope(m.scope) {
		return s.missingScope(m.scope), 0
	}
	return m.run(s, c), 0
}

func (s *Server) missingScope(needed string) reply {
	r := fail("missing_scope")
	r["needed"], r["provided"] = needed, strings.Join(s.cfg.Scopes, ",")
	return r
}

// bucket fills at its rate and is emptied by calls.
type bucket struct {
	tokens float64
	at     time.Time
}

// limitLocked takes one call out of a bucket, or says how long until it can.
func (s *Server) limitLocked(key string, perMinute, burst int) time.Duration {
	if s.cfg.NoRateLimits {
		return 0
	}
	now, rate := time.Now(), float64(perMinute)/60
	b := s.buckets[key]
	if b == nil {
		b = &bucket{tokens: float64(burst), at: now}
		s.buckets[key] = b
	}
	b.tokens = min(float64(burst), b.tokens+now.Sub(b.at).Seconds()*rate)
	b.at = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / rate * float64(time.Second))
	}
	b.tokens--
	return 0
}

// readArgs collects the arguments of a call, or names the error for a body
// that cannot be read.
func readArgs(r *http.Request, takesJSON bool) (map[string]any, string) {
	args := map[string]any{}
	addAll := func(values url.Values) {
		for k, v := range values {
			args[k] = v[0]
		}
	}
	addAll(r.URL.Query())
	if r.Method != http.MethodPost {
		return args, ""
	}
	kind, _, err := mime.ParseMediaType(cmp.Or(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"))
	if err != nil {
		return args, "invalid_post_type"
	}
	const limit = 4 << 20
	switch kind {
	case "application/x-www-form-urlencoded":
		body, err := io.ReadAll(io.LimitReader(r.Body, limit))
		if err != nil {
			return args, "request_timeout"
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return args, "invalid_form_data"
		}
		addAll(values)
	case "multipart/form-data":
		if err := r.ParseMultipartForm(limit); err != nil {
			return args, "invalid_form_data"
		}
		addAll(r.MultipartForm.Value)
	case "application/json":
		raw, err := io.ReadAll(io.LimitReader(r.Body, limit))
		if err != nil {
			return args, "request_timeout"
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			return args, "" // some clients announce JSON and send nothing
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var body any
		if err := dec.Decode(&body); err != nil || dec.More() {
			return args, "invalid_json"
		}
		object, ok := body.(map[string]any)
		if !ok {
			return args, "json_not_object"
		}
		if takesJSON {
			delete(object, "token") // a JSON body cannot carry the token
			for k, v := range object {
				args[k] = v
			}
		}
	default:
		return args, "invalid_post_type"
	}
	return args, ""
}

// tokenOf finds the token: in the header, or in a form or query argument.
func tokenOf(r *http.Request, args map[string]any) (token string, inHeader bool) {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	token, _ = args["token"].(string)
	return token, false
}

// recorded is the arguments as Calls shows them: without the token, JSON in
// strings decoded.
func recorded(args map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range args {
		if k == "token" {
			continue
		}
		out[k] = v
		if text, ok := v.(string); ok && slices.Contains([]string{"blocks", "attachments", "view", "metadata"}, k) {
			var decoded any
			if json.Unmarshal([]byte(text), &decoded) == nil {
				out[k] = decoded
			}
		} else if !ok {
			out[k] = clone[any](v)
		}
	}
	return out
}
