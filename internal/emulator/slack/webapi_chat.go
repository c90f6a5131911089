package slack

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxPostText   = 40000 // chat.postMessage cuts what is longer
	maxUpdateText = 4000  // chat.update refuses what is longer
)

// channelArg finds the conversation that an argument names: by ID or by name.
// What the bot cannot see does not exist for it.
func (s *Server) channelArg(arg string) *Channel {
	ch := s.channels[arg]
	if ch == nil && arg != "" {
		for _, c := range s.channels {
			if !c.IsIM && c.Name == strings.TrimPrefix(arg, "#") {
				ch = c
			}
		}
	}
	if ch != nil && ch.IsPrivate && !ch.BotIsMember {
		return nil
	}
	return ch
}

// writable answers why the bot cannot post to a conversation, or nil.
func (s *Server) writable(ch *Channel) reply {
	switch {
	case ch == nil:
		return fail("channel_not_found")
	case ch.IsIM && s.cfg.NoMessagesTab:
		return fail("messages_tab_disabled")
	case ch.IsArchived:
		return fail("is_archived")
	case !ch.BotIsMember && !s.hasScope("chat:write.public"):
		return fail("not_in_channel")
	}
	return nil
}

// chatPostMessage is chat.postMessage. A user ID as channel opens the direct
// conversation.
func (s *Server) chatPostMessage(c *apiCall) reply {
	arg := c.str("channel")
	ch := s.channelArg(arg)
	if u := s.users[arg]; ch == nil && u != nil {
		if u.ID == s.cfg.BotUserID || u.IsBot {
			return fail("cannot_dm_bot")
		}
		if !u.Deleted && !u.IsStranger {
			ch = s.dmLocked(u.ID)
		}
	}
	if bad := s.writable(ch); bad != nil {
		return bad
	}
	body, bad := s.contentLocked(c)
	if bad != nil {
		return bad
	}
	if body.empty() {
		return fail("no_text")
	}
	if utf8.RuneCountInString(body.text) > maxPostText {
		body.text = string([]rune(body.text)[:maxPostText])
	}
	thread := c.str("thread_ts")
	if thread != "" && s.messageLocked(ch.ID, thread) == nil {
		return fail("thread_not_found")
	}
	m := s.postLocked(ch.ID, thread, "", c.method, body)
	return reply{"ok": true, "channel": ch.ID, "ts": m.ts, "message": s.messageJSON(m)}
}

// chatPostEphemeral is chat.postEphemeral. The timestamp it answers is of no
// use for chat.update.
func (s *Server) chatPostEphemeral(c *apiCall) reply {
	ch := s.channelArg(c.str("channel"))
	if bad := s.writable(ch); bad != nil {
		return bad
	}
	u := s.users[c.str("user")]
	if u == nil || u.Deleted || !slices.Contains(ch.Members, u.ID) {
		return fail("user_not_in_channel")
	}
	body, bad := s.contentLocked(c)
	if bad != nil {
		return bad
	}
	if body.empty() {
		return fail("no_text")
	}
	if utf8.RuneCountInString(body.text) > maxPostText {
		return fail("msg_too_long")
	}
	m := s.postLocked(ch.ID, c.str("thread_ts"), u.ID, c.method, body)
	return reply{"ok": true, "message_ts": m.ts}
}

// ownMessage finds a message for chat.update and chat.delete. Ephemeral ones
// are out of their reach.
func (s *Server) ownMessage(c *apiCall, notMine string) (*message, reply) {
	ch := s.channels[c.str("channel")]
	if ch == nil || ch.IsPrivate && !ch.BotIsMember {
		return nil, fail("channel_not_found")
	}
	m := s.messageLocked(ch.ID, c.str("ts"))
	if m == nil || m.ephemeralTo != "" {
		return nil, fail("message_not_found")
	}
	if m.botID != s.cfg.BotID {
		return nil, fail(notMine)
	}
	return m, nil
}

// chatUpdate is chat.update. Text without blocks takes the old blocks away;
// without either, what is not given stays.
func (s *Server) chatUpdate(c *apiCall) reply {
	m, bad := s.ownMessage(c, "cant_update_message")
	if bad != nil {
		return bad
	}
	if s.channels[m.channel].IsArchived {
		return fail("is_archived")
	}
	if m.noEdit || s.cfg.EditWindow > 0 && time.Since(m.posted) > s.cfg.EditWindow {
		return fail("edit_window_closed")
	}
	body, bad := s.contentLocked(c)
	if bad != nil {
		return bad
	}
	if utf8.RuneCountInString(body.text) > maxUpdateText {
		return fail("msg_too_long")
	}
	if body.text == "" && !body.hasBlocks && len(body.attachments) == 0 {
		return fail("no_text")
	}
	if body.text == "" {
		body.text = m.text
		if !body.hasBlocks {
			body.blocks = m.blocks
		}
		body.mentions = s.mentionsLocked(body, false)
	}
	if body.empty() {
		return fail("no_text")
	}
	s.editLocked(m, c.method, body)
	return reply{"ok": true, "channel": m.channel, "ts": m.ts, "text": m.text, "message": s.messageJSON(m)}
}

// chatDelete is chat.delete.
func (s *Server) chatDelete(c *apiCall) reply {
	m, bad := s.ownMessage(c, "cant_delete_message")
	if bad != nil {
		return bad
	}
	s.deleteLocked(m)
	return reply{"ok": true, "channel": m.channel, "ts": m.ts}
}

// chatGetPermalink is chat.getPermalink.
func (s *Server) chatGetPermalink(c *apiCall) reply {
	ch := s.channelArg(c.str("channel"))
	if ch == nil {
		return fail("channel_not_found")
	}
	m := s.messageLocked(ch.ID, c.str("message_ts"))
	if m == nil || m.ephemeralTo != "" {
		return fail("message_not_found")
	}
	link := "https://" + s.cfg.TeamDomain + ".slack.com/archives/" + ch.ID + "/p" + strings.ReplaceAll(m.ts, ".", "")
	return reply{"ok": true, "channel": ch.ID, "permalink": link}
}
