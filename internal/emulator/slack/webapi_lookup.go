package slack

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// authTest is auth.test.
func (s *Server) authTest(*apiCall) reply {
	out := reply{
		"ok": true, "url": "https://" + s.cfg.TeamDomain + ".slack.com/", "team": s.cfg.TeamName,
		"user": s.cfg.BotName, "team_id": s.cfg.TeamID, "user_id": s.cfg.BotUserID, "bot_id": s.cfg.BotID,
		"is_enterprise_install": false,
	}
	if s.cfg.EnterpriseID != "" {
		out["enterprise_id"] = s.cfg.EnterpriseID
	}
	return out
}

// readable finds a conversation for conversations.info and .members and
// answers which scope is missing for it: each kind of conversation has its own.
func (s *Server) readable(c *apiCall) (*Channel, reply) {
	ch := s.channels[c.str("channel")]
	if ch == nil {
		return nil, fail("channel_not_found")
	}
	scope := "channels:read"
	switch {
	case ch.IsIM:
		scope = "im:read"
	case ch.IsPrivate:
		scope = "groups:read"
	}
	if !s.hasScope(scope) {
		return nil, s.missingScope(scope)
	}
	if ch.IsPrivate && !ch.BotIsMember {
		return nil, fail("channel_not_found")
	}
	return ch, nil
}

// conversationsInfo is conversations.info.
func (s *Server) conversationsInfo(c *apiCall) reply {
	ch, bad := s.readable(c)
	if bad != nil {
		return bad
	}
	out := s.channelJSON(ch)
	if c.flag("include_num_members") && !ch.IsIM {
		out["num_members"] = len(ch.Members)
	}
	return reply{"ok": true, "channel": out}
}

// conversationsMembers is conversations.members, with its cursor.
func (s *Server) conversationsMembers(c *apiCall) reply {
	ch, bad := s.readable(c)
	if bad != nil {
		return bad
	}
	all := slices.Clone(ch.Members)
	if ch.BotIsMember {
		all = append(all, s.cfg.BotUserID)
	}
	limit := 100
	if text := c.str("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return fail("invalid_limit")
		}
		limit = n
	}
	from := 0
	if text := c.str("cursor"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err == nil {
			from, err = strconv.Atoi(strings.TrimPrefix(string(raw), "from:"))
		}
		if err != nil || from < 0 || from > len(all) {
			return fail("invalid_cursor")
		}
	}
	to, next := min(from+limit, len(all)), ""
	if to < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("from:" + strconv.Itoa(to)))
	}
	return reply{
		"ok": true, "members": append([]string{}, all[from:to]...),
		"response_metadata": map[string]any{"next_cursor": next},
	}
}

// conversationsOpen is conversations.open for one person.
func (s *Server) conversationsOpen(c *apiCall) reply {
	if id := c.str("channel"); id != "" {
		ch := s.channels[id]
		if ch == nil || !ch.IsIM {
			return fail("channel_not_found")
		}
		return reply{"ok": true, "channel": map[string]any{"id": ch.ID}}
	}
	users := strings.Split(c.str("users"), ",")
	if len(users) != 1 || users[0] == "" {
		return fail("users_list_not_supplied")
	}
	u := s.users[strings.TrimSpace(users[0])]
	switch {
	case u == nil:
		return fail("user_not_found")
	case u.Deleted:
		return fail("user_disabled")
	case u.IsBot:
		return fail("cannot_dm_bot")
	}
	return reply{"ok": true, "channel": map[string]any{"id": s.dmLocked(u.ID).ID}}
}

// usersInfo is users.info.
func (s *Server) usersInfo(c *apiCall) reply {
	u := s.users[c.str("user")]
	if u == nil {
		return fail("user_not_found")
	}
	return reply{"ok": true, "user": s.userJSONLocked(u, c.flag("include_locale"))}
}

// usersLookupByEmail is users.lookupByEmail. Deactivated people are not found.
func (s *Server) usersLookupByEmail(c *apiCall) reply {
	email := c.str("email")
	for _, u := range s.users {
		if email != "" && strings.EqualFold(u.Email, email) && !u.Deleted && s.internal(u) {
			return reply{"ok": true, "user": s.userJSONLocked(u, false)}
		}
	}
	return fail("users_not_found")
}

// usergroupsList is usergroups.list.
func (s *Server) usergroupsList(c *apiCall) reply {
	list := listLocked(s, s.groups, func(g *UserGroup) *UserGroup { return g })
	out := []map[string]any{}
	for _, g := range list {
		if !g.Disabled || c.flag("include_disabled") {
			out = append(out, s.groupJSONLocked(g, c.flag("include_users"), c.flag("include_count")))
		}
	}
	return reply{"ok": true, "usergroups": out}
}

// usergroupsUsersList is usergroups.users.list: all members in one answer.
func (s *Server) usergroupsUsersList(c *apiCall) reply {
	g := s.groups[c.str("usergroup")]
	if g == nil || g.Disabled && !c.flag("include_disabled") {
		return fail("no_such_subteam")
	}
	return reply{"ok": true, "users": append([]string{}, g.Members...)}
}
