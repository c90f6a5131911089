package slack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// AddUser adds a person, or replaces the one with that ID without an event.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.TeamID = cmp.Or(u.TeamID, s.cfg.TeamID)
	if u.TeamID == s.cfg.TeamID {
		u.EnterpriseID = cmp.Or(u.EnterpriseID, s.cfg.EnterpriseID)
	}
	u.Name = cmp.Or(u.Name, u.ID)
	u.RealName = cmp.Or(u.RealName, u.Name)
	s.users[u.ID] = &u
	s.rememberLocked(u.ID)
	s.notifyLocked(Event{Kind: WorldChanged, User: u.ID})
}

// UpdateUser changes a person and sends user_change to the app.
func (s *Server) UpdateUser(id string, change func(*User)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	if u == nil {
		return fmt.Errorf("update user %s: %w", id, ErrUnknownUser)
	}
	change(u)
	u.ID = id
	s.rememberLocked(id)
	s.notifyLocked(Event{Kind: WorldChanged, User: id})
	s.emitLocked("user_change", "users:read", map[string]any{
		"user":     s.userJSONLocked(u, false),
		"cache_ts": time.Now().Unix(),
	})
	return nil
}

// Users returns everybody, the bot first, in the order they were added.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return listLocked(s, s.users, func(u *User) User { return *u })
}

// AddUserGroup adds a user group, or replaces the one with that ID, without an
// event.
func (s *Server) AddUserGroup(g UserGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.Members = slices.Clone(g.Members)
	g.Name = cmp.Or(g.Name, g.ID)
	g.Handle = cmp.Or(g.Handle, g.Name)
	s.groups[g.ID] = &g
	s.rememberLocked(g.ID)
	s.notifyLocked(Event{Kind: WorldChanged, ID: g.ID})
}

// UpdateUserGroup changes a user group. It sends subteam_updated and, when the
// members are others than before, subteam_members_changed.
func (s *Server) UpdateUserGroup(id string, change func(*UserGroup)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[id]
	if g == nil {
		return fmt.Errorf("update user group %s: no such user group", id)
	}
	before := slices.Clone(g.Members)
	change(g)
	g.ID = id
	g.Members = slices.Clone(g.Members)
	previous := s.updated[id]
	s.rememberLocked(id)
	s.notifyLocked(Event{Kind: WorldChanged, ID: id})

	s.emitLocked("subteam_updated", "usergroups:read", map[string]any{
		"subteam": s.groupJSONLocked(g, true, true),
	})
	added, removed := missingFrom(g.Members, before), missingFrom(before, g.Members)
	if len(added)+len(removed) > 0 {
		count := func(n int) any {
			if s.cfg.NumberCounts {
				return n
			}
			return fmt.Sprint(n)
		}
		s.emitLocked("subteam_members_changed", "usergroups:read", map[string]any{
			"subteam_id":           id,
			"team_id":              s.cfg.TeamID,
			"date_previous_update": previous.Unix(),
			"date_update":          s.updated[id].Unix(),
			"added_users":          added,
			"added_users_count":    count(len(added)),
			"removed_users":        removed,
			"removed_users_count":  count(len(removed)),
		})
	}
	return nil
}

// missingFrom is what of a is not in b; never nil.
func missingFrom(a, b []string) []string {
	out := []string{}
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// SetGroupMembers is UpdateUserGroup for the members alone.
func (s *Server) SetGroupMembers(id string, members ...string) error {
	return s.UpdateUserGroup(id, func(g *UserGroup) { g.Members = members })
}

// UserGroups returns all user groups in the order they were added.
func (s *Server) UserGroups() []UserGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return listLocked(s, s.groups, func(g *UserGroup) UserGroup {
		out := *g
		out.Members = slices.Clone(g.Members)
		return out
	})
}

// AddChannel adds a channel, or replaces the one with that ID.
func (s *Server) AddChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Members = slices.Clone(c.Members)
	c.IsShared = c.IsShared || c.IsExtShared
	if c.IsIM {
		c.BotIsMember = true
	} else {
		c.Name = cmp.Or(c.Name, c.ID)
	}
	s.channels[c.ID] = &c
	s.rememberLocked(c.ID)
	s.notifyLocked(Event{Kind: WorldChanged, Channel: c.ID})
}

// UpdateChannel changes a channel.
func (s *Server) UpdateChannel(id string, change func(*Channel)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[id]
	if c == nil {
		return fmt.Errorf("update channel %s: %w", id, ErrUnknownChannel)
	}
	change(c)
	c.ID = id
	c.IsShared = c.IsShared || c.IsExtShared
	c.Members = slices.Clone(c.Members)
	s.notifyLocked(Event{Kind: WorldChanged, Channel: id})
	return nil
}

// Channels returns all channels, direct conversations included, in the order
// they were added.
func (s *Server) Channels() []Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return listLocked(s, s.channels, func(c *Channel) Channel {
		out := *c
		out.Members = slices.Clone(c.Members)
		return out
	})
}

// DM returns the ID of the direct conversation between a person and the app,
// opening it if there is none yet.
func (s *Server) DM(userID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dmLocked(userID).ID
}

func (s *Server) dmLocked(userID string) *Channel {
	for _, c := range s.channels {
		if c.IsIM && slices.Contains(c.Members, userID) {
			return c
		}
	}
	c := &Channel{ID: s.idLocked("D"), IsIM: true, BotIsMember: true, Members: []string{userID}}
	s.channels[c.ID] = c
	s.rememberLocked(c.ID)
	s.notifyLocked(Event{Kind: WorldChanged, Channel: c.ID})
	return c
}

// rememberLocked notes when something came and when it changed last.
func (s *Server) rememberLocked(id string) {
	if _, ok := s.order[id]; !ok {
		s.order[id] = len(s.order)
	}
	s.updated[id] = time.Now()
}

func listLocked[T, U any](s *Server, m map[string]*T, copied func(*T) U) []U {
	ids := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Compare(s.order[a], s.order[b]) })
	out := make([]U, 0, len(ids))
	for _, id := range ids {
		out = append(out, copied(m[id]))
	}
	return out
}

func (s *Server) hasScope(scope string) bool { return slices.Contains(s.cfg.Scopes, scope) }

// internal reports whether somebody belongs to the app's workspace or, on
// Grid, to its organisation.
func (s *Server) internal(u *User) bool {
	return u.TeamID == s.cfg.TeamID || s.cfg.EnterpriseID != "" && u.EnterpriseID == s.cfg.EnterpriseID
}

// userJSONLocked is the user object of users.info. A deactivated person's
// lacks the role flags, an external one's the e-mail address, as at Slack.
func (s *Server) userJSONLocked(u *User, locale bool) map[string]any {
	zone, err := time.LoadLocation(cmp.Or(u.TZ, "UTC"))
	if err != nil {
		zone = time.UTC
	}
	label, offset := time.Now().In(zone).Zone()
	profile := map[string]any{
		"title": "", "phone": "", "skype": "",
		"real_name":               u.RealName,
		"real_name_normalized":    u.RealName,
		"display_name":            cmp.Or(u.DisplayName, u.RealName),
		"display_name_normalized": cmp.Or(u.DisplayName, u.RealName),
		"status_text":             "",
		"status_emoji":            "",
		"avatar_hash":             "0",
		"team":                    u.TeamID,
	}
	if s.hasScope("users:read.email") && s.internal(u) && !u.IsBot && u.Email != "" {
		profile["email"] = u.Email
	}
	out := map[string]any{
		"id": u.ID, "team_id": u.TeamID, "name": u.Name, "deleted": u.Deleted,
		"color": "9f69e7", "real_name": u.RealName, "profile": profile,
		"is_bot": u.IsBot, "is_app_user": false, "updated": s.updated[u.ID].Unix(),
		"is_email_confirmed": true, "who_can_share_contact_card": "EVERYONE",
	}
	if u.IsBot {
		profile["bot_id"], profile["api_app_id"] = s.cfg.BotID, s.cfg.AppID
	}
	if u.IsWorkflowBot {
		out["is_workflow_bot"] = true
	}
	if !s.internal(u) {
		out["is_stranger"] = u.IsStranger
	}
	if !u.Deleted {
		maps.Copy(out, map[string]any{
			"tz": cmp.Or(u.TZ, "UTC"), "tz_label": label, "tz_offset": offset,
			"is_admin": u.IsAdmin || u.IsOwner, "is_owner": u.IsOwner, "is_primary_owner": false,
			"is_restricted": u.IsRestricted || u.IsUltraRestricted, "is_ultra_restricted": u.IsUltraRestricted,
		})
	}
	if u.EnterpriseID != "" {
		out["enterprise_user"] = map[string]any{
			"id": u.ID, "enterprise_id": u.EnterpriseID, "enterprise_name": s.cfg.EnterpriseName,
			"is_admin": false, "is_owner": false, "teams": []string{u.TeamID},
		}
	}
	if locale {
		out["locale"] = cmp.Or(u.Locale, "en-US")
	}
	return out
}

// groupJSONLocked is the user group object of usergroups.list.
func (s *Server) groupJSONLocked(g *UserGroup, users, count bool) map[string]any {
	deleted := int64(0)
	if g.Disabled {
		deleted = s.updated[g.ID].Unix()
	}
	out := map[string]any{
		"id": g.ID, "team_id": s.cfg.TeamID, "is_usergroup": true, "is_subteam": true,
		"name": g.Name, "description": "", "handle": g.Handle, "is_external": false,
		"date_create": s.updated[g.ID].Unix(), "date_update": s.updated[g.ID].Unix(), "date_delete": deleted,
		"auto_type": nil, "auto_provision": false, "enterprise_subteam_id": "",
		"created_by": s.cfg.BotUserID, "updated_by": s.cfg.BotUserID, "deleted_by": nil,
		"prefs": map[string]any{"channels": []string{}, "groups": []string{}},
	}
	if users {
		out["users"] = append([]string{}, g.Members...)
	}
	if count || users {
		out["user_count"] = len(g.Members)
	}
	return out
}

// channelJSON is the channel object of conversations.info.
func (s *Server) channelJSON(c *Channel) map[string]any {
	if c.IsIM {
		return map[string]any{
			"id": c.ID, "created": 0, "is_im": true, "is_org_shared": false, "user": c.Members[0],
			"is_archived": c.IsArchived, "is_user_deleted": false, "context_team_id": s.cfg.TeamID,
			"is_open": true, "priority": 0,
		}
	}
	return map[string]any{
		"id": c.ID, "name": c.Name, "name_normalized": c.Name, "created": 0, "creator": s.cfg.BotUserID,
		"is_channel": !c.IsPrivate, "is_group": false, "is_im": false, "is_mpim": false,
		"is_private": c.IsPrivate, "is_archived": c.IsArchived, "is_general": false,
		"is_shared": c.IsShared, "is_org_shared": c.IsShared && !c.IsExtShared,
		"is_ext_shared": c.IsExtShared, "is_pending_ext_shared": c.IsPendingExtShared,
		"pending_shared": []string{}, "is_member": c.BotIsMember, "unlinked": 0,
		"context_team_id": s.cfg.TeamID, "shared_team_ids": []string{s.cfg.TeamID},
		"topic":   map[string]any{"value": "", "creator": "", "last_set": 0},
		"purpose": map[string]any{"value": "", "creator": "", "last_set": 0},
	}
}
