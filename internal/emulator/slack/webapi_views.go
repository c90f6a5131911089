package slack

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	maxViewBytes = 250_000
	maxStack     = 3
)

// view is owned by Server.mu.
type view struct {
	id, user, hash string
	root, previous string
	def            map[string]any // as the app gave it, checked, with IDs filled in
	errors         map[string]string
	updated        time.Time
	state          map[string]map[string]any // what was filled in by ClickView, by block and action
}

func (v *view) kind() string { return v.text("type") }

func (v *view) text(key string) string {
	if inner, ok := v.def[key].(map[string]any); ok {
		text, _ := inner["text"].(string)
		return text
	}
	text, _ := v.def[key].(string)
	return text
}

func (v *view) flag(key string) bool { b, _ := v.def[key].(bool); return b }

func (v *view) blocks() []any { list, _ := v.def["blocks"].([]any); return list }

func (v *view) snapshot() View {
	return View{
		ID: v.id, Type: v.kind(), User: v.user, Hash: v.hash, RootViewID: v.root, PreviousViewID: v.previous,
		CallbackID: v.text("callback_id"), PrivateMetadata: v.text("private_metadata"), ExternalID: v.text("external_id"),
		Title: v.text("title"), Submit: v.text("submit"), Close: v.text("close"),
		Blocks:        clone[[]map[string]any](v.blocks()),
		NotifyOnClose: v.flag("notify_on_close"), ClearOnClose: v.flag("clear_on_close"),
		Errors: maps.Clone(v.errors), UpdatedAt: v.updated,
	}
}

// viewJSON is the view object of the Web API and of payloads. Without a state
// it has an empty one.
func (s *Server) viewJSON(v *view, state map[string]map[string]any) map[string]any {
	if state == nil {
		state = map[string]map[string]any{}
	}
	var previous any
	if v.previous != "" {
		previous = v.previous
	}
	out := map[string]any{
		"id": v.id, "team_id": s.cfg.TeamID, "type": v.kind(), "title": v.def["title"],
		"submit": v.def["submit"], "close": v.def["close"], "blocks": v.blocks(),
		"private_metadata": v.text("private_metadata"), "callback_id": v.text("callback_id"),
		"external_id": v.text("external_id"), "state": map[string]any{"values": state}, "hash": v.hash,
		"clear_on_close": v.flag("clear_on_close"), "notify_on_close": v.flag("notify_on_close"),
		"root_view_id": v.root, "previous_view_id": previous, "app_id": s.cfg.AppID,
		"app_installed_team_id": s.cfg.TeamID, "bot_id": s.cfg.BotID,
	}
	if v.kind() == "home" {
		out["title"] = map[string]any{"type": "plain_text", "text": "View Title", "emoji": true}
	}
	return out
}

// trigger is what a trigger_id stands for. Owned by Server.mu.
type trigger struct {
	user, view string // view: the form in which it came about, if any
	issued     time.Time
	used       bool
}

func (s *Server) triggerLocked(user, view string) string {
	id := fmt.Sprintf("%d.%d.%s", 1e12+s.rng.Int64N(9e12), 1e9+s.rng.Int64N(9e9), secret())
	s.triggers[id] = &trigger{user: user, view: view, issued: time.Now()}
	return id
}

// exchange uses a trigger_id up. The error codes are those of views.open and
// views.push; dialogs have others (trigger_expired, trigger_exchanged).
func (s *Server) exchange(c *apiCall) (*trigger, reply) {
	id := c.str("trigger_id")
	t := s.triggers[id]
	switch {
	case id == "":
		return nil, failMessages("invalid_arguments", "[ERROR] missing required field: trigger_id")
	case t == nil:
		return nil, fail("invalid_trigger_id")
	case t.used:
		return nil, fail("exchanged_trigger_id")
	case time.Since(t.issued) >= s.cfg.TriggerLife:
		return nil, fail("expired_trigger_id")
	}
	return t, nil
}

// viewArg reads and checks the view argument.
func (s *Server) viewArg(c *apiCall, want string) (map[string]any, reply) {
	v, present, ok := c.structured("view")
	def, isObject := v.(map[string]any)
	if !present || !ok || !isObject {
		return nil, failMessages("invalid_arguments", "[ERROR] failed to match all allowed schemas [json-pointer:/view]")
	}
	if bad := s.badView(def, want); bad != nil {
		return nil, bad
	}
	return def, nil
}

// badView answers what is wrong with a view, or nil.
func (s *Server) badView(def map[string]any, want string) reply {
	if len(mustJSON(def)) > maxViewBytes {
		return fail("view_too_large")
	}
	complaints := s.checkView(def)
	if def["type"] != want && len(complaints) == 0 {
		complaints = []string{"must be " + want + " [json-pointer:/view/type]"}
	}
	if len(complaints) > 0 {
		out := failBlocks("invalid_arguments", complaints)
		delete(out, "errors") // the views methods have it only in the metadata
		return out
	}
	return nil
}

func (s *Server) externalTaken(def map[string]any, except *view) bool {
	id, _ := def["external_id"].(string)
	if id == "" {
		return false
	}
	for _, v := range s.views {
		if v != except && v.text("external_id") == id {
			return true
		}
	}
	return false
}

func (s *Server) newView(user string, def map[string]any) *view {
	v := &view{id: s.idLocked("V"), user: user}
	v.root = v.id
	s.views[v.id] = v
	s.fill(v, def)
	return v
}

// fill gives a view a new definition and a new hash.
func (s *Server) fill(v *view, def map[string]any) {
	v.def, v.errors, v.updated = def, nil, time.Now()
	v.hash = formatTS(v.updated.UnixMicro()) + "." + s.idLocked("")[:8]
	kind := ViewsChanged
	if v.kind() == "home" {
		kind = HomeChanged
	}
	s.notifyLocked(Event{Kind: kind, User: v.user, ID: v.id})
}

// push puts a new form on a person's stack, or says why it cannot.
func (s *Server) push(user string, def map[string]any) (*view, string) {
	stack := s.stacks[user]
	if len(stack) >= maxStack {
		return nil, "push_limit_reached"
	}
	v := s.newView(user, def)
	if len(stack) > 0 {
		v.root, v.previous = stack[0].id, stack[len(stack)-1].id
	}
	s.stacks[user] = append(stack, v)
	return v, ""
}

// dismiss takes forms off a person's stack, from the one at i upwards.
func (s *Server) dismiss(user string, i int) {
	for _, v := range s.stacks[user][i:] {
		delete(s.views, v.id)
	}
	s.stacks[user] = s.stacks[user][:i]
	s.notifyLocked(Event{Kind: ViewsChanged, User: user})
}

// viewsOpen is views.open. A form that is already open makes room.
func (s *Server) viewsOpen(c *apiCall) reply {
	t, bad := s.exchange(c)
	if bad != nil {
		return bad
	}
	def, bad := s.viewArg(c, "modal")
	if bad != nil {
		return bad
	}
	if s.externalTaken(def, nil) {
		return fail("duplicate_external_id")
	}
	t.used = true
	s.dismiss(t.user, 0)
	v, _ := s.push(t.user, def)
	return reply{"ok": true, "view": s.viewJSON(v, nil)}
}

// viewsPush is views.push. Its trigger must come from a form that is still
// open.
func (s *Server) viewsPush(c *apiCall) reply {
	t, bad := s.exchange(c)
	if bad != nil {
		return bad
	}
	def, bad := s.viewArg(c, "modal")
	if bad != nil {
		return bad
	}
	if !slices.ContainsFunc(s.stacks[t.user], func(v *view) bool { return v.id == t.view }) {
		return fail("not_found")
	}
	if s.externalTaken(def, nil) {
		return fail("duplicate_external_id")
	}
	v, code := s.push(t.user, def)
	if code != "" {
		return fail(code)
	}
	t.used = true
	return reply{"ok": true, "view": s.viewJSON(v, nil)}
}

// viewsUpdate is views.update, by view_id or external_id.
func (s *Server) viewsUpdate(c *apiCall) reply {
	id, external := c.str("view_id"), c.str("external_id")
	if (id == "") == (external == "") {
		return failMessages("invalid_arguments", "[ERROR] either `view_id` or `external_id` is required, not both")
	}
	v := s.views[id]
	for _, other := range s.views {
		if external != "" && other.text("external_id") == external {
			v = other
		}
	}
	if v == nil {
		return fail("not_found")
	}
	def, bad := s.viewArg(c, v.kind())
	if bad != nil {
		return bad
	}
	if hash := c.str("hash"); hash != "" && hash != v.hash {
		return fail("hash_conflict")
	}
	if s.externalTaken(def, v) {
		return fail("duplicate_external_id")
	}
	s.fill(v, def)
	return reply{"ok": true, "view": s.viewJSON(v, nil)}
}

// viewsPublish is views.publish for a person's Home tab.
func (s *Server) viewsPublish(c *apiCall) reply {
	if s.cfg.NoHomeTab {
		return fail("not_enabled")
	}
	u := s.users[c.str("user_id")]
	if u == nil || u.IsBot {
		return failMessages("invalid_arguments", "[ERROR] invalid `user_id`")
	}
	def, bad := s.viewArg(c, "home")
	if bad != nil {
		return bad
	}
	v := s.homes[u.ID]
	if hash := c.str("hash"); hash != "" && (v == nil || hash != v.hash) {
		return fail("hash_conflict")
	}
	if s.externalTaken(def, v) {
		return fail("duplicate_external_id")
	}
	if v == nil {
		v = s.newView(u.ID, def)
		s.homes[u.ID] = v
	} else {
		s.fill(v, def)
	}
	return reply{"ok": true, "view": s.viewJSON(v, nil)}
}
