package slack

import (
	"slices"
	"time"
)

// message is owned by Server.mu. Its blocks and attachments are decoded JSON
// that nobody changes any more.
type message struct {
	channel, ts, threadTS string
	user, botID           string
	text                  string
	blocks, attachments   []any
	ephemeralTo           string
	posted, edited        time.Time
	deleted, noEdit       bool
	mentions              []Mention
	versions              []Version
}

// content is what a message says, checked.
type content struct {
	text        string
	hasBlocks   bool // blocks were given, if only an empty list
	blocks      []any
	attachments []any
	mentions    []Mention
}

func (c content) empty() bool { return c.text == "" && len(c.blocks) == 0 && len(c.attachments) == 0 }

func (m *message) snapshot() Message {
	out := Message{
		Channel: m.channel, TS: m.ts, ThreadTS: m.threadTS, User: m.user, BotID: m.botID, Text: m.text,
		Blocks: clone[[]map[string]any](m.blocks), Attachments: clone[[]map[string]any](m.attachments),
		EphemeralTo: m.ephemeralTo, Posted: m.posted, Edited: m.edited, Deleted: m.deleted,
		Mentions: slices.Clone(m.mentions),
	}
	for _, v := range m.versions {
		v.Blocks = clone[[]map[string]any](v.Blocks)
		out.Versions = append(out.Versions, v)
	}
	return out
}

// say replaces what the message says and remembers the new state.
func (m *message) say(c content, via string) {
	m.text, m.blocks, m.attachments, m.mentions = c.text, c.blocks, c.attachments, c.mentions
	m.versions = append(m.versions, Version{
		At: time.Now(), Via: via, Text: c.text, Blocks: clone[[]map[string]any](c.blocks), Mentions: c.mentions,
	})
}

// messageLocked finds a message that has not been deleted.
func (s *Server) messageLocked(channelID, ts string) *message {
	for _, m := range s.messages[channelID] {
		if m.ts == ts && !m.deleted {
			return m
		}
	}
	return nil
}

// postLocked adds a message from the app, to everybody or, as an ephemeral
// one, to one person.
func (s *Server) postLocked(channelID, threadTS, ephemeralTo, via string, c content) *message {
	m := &message{
		channel: channelID, ts: s.tsLocked(), threadTS: threadTS, ephemeralTo: ephemeralTo,
		user: s.cfg.BotUserID, botID: s.cfg.BotID, posted: time.Now(),
	}
	m.say(c, via)
	s.messages[channelID] = append(s.messages[channelID], m)
	s.notifyLocked(Event{Kind: MessagePosted, Channel: channelID, TS: m.ts, User: ephemeralTo})
	return m
}

func (s *Server) editLocked(m *message, via string, c content) {
	m.edited = time.Now()
	m.say(c, via)
	s.notifyLocked(Event{Kind: MessageChanged, Channel: m.channel, TS: m.ts, User: m.ephemeralTo})
}

func (s *Server) deleteLocked(m *message) {
	m.deleted = true
	s.notifyLocked(Event{Kind: MessageDeleted, Channel: m.channel, TS: m.ts, User: m.ephemeralTo})
}

// messageJSON is the message object of the Web API and of payloads.
func (s *Server) messageJSON(m *message) map[string]any {
	out := map[string]any{
		"type": "message", "user": m.user, "ts": m.ts, "text": m.text, "team": s.cfg.TeamID,
	}
	if m.botID != "" {
		out["bot_id"], out["app_id"] = m.botID, s.cfg.AppID
		out["bot_profile"] = map[string]any{
			"id": m.botID, "app_id": s.cfg.AppID, "user_id": s.cfg.BotUserID, "name": s.cfg.BotName,
			"team_id": s.cfg.TeamID, "deleted": false, "updated": 0, "icons": map[string]any{},
		}
	}
	if len(m.blocks) > 0 {
		out["blocks"] = m.blocks
	}
	if len(m.attachments) > 0 {
		out["attachments"] = m.attachments
	}
	if m.threadTS != "" {
		out["thread_ts"] = m.threadTS
	}
	if !m.edited.IsZero() {
		out["edited"] = map[string]any{"user": m.botID, "ts": formatTS(m.edited.UnixMicro())}
	}
	return out
}

// maxAttachments is Slack's limit for one message.
const maxAttachments = 100

// contentLocked reads text, blocks and attachments from the arguments of a
// call and checks the blocks.
func (s *Server) contentLocked(c *apiCall) (content, reply) {
	out := content{text: c.str("text")}
	check := s.newCheck("message")

	blocks, present, ok := c.structured("blocks")
	out.hasBlocks = present
	if present {
		list, isList := blocks.([]any)
		if !ok || !isList {
			return out, fail("invalid_blocks_format")
		}
		check.blocks("/blocks", list)
		out.blocks = list
	}
	attachments, present, ok := c.structured("attachments")
	if present {
		list, isList := attachments.([]any)
		if !ok || !isList {
			return out, fail("invalid_attachments")
		}
		if len(list) > maxAttachments {
			return out, fail("too_many_attachments")
		}
		for i, a := range list {
			one, isObject := a.(map[string]any)
			if !isObject {
				return out, fail("invalid_attachments")
			}
			if inner, ok := one["blocks"].([]any); ok {
				check.blocks(pointer("/attachments", i)+"/blocks", inner)
			}
		}
		out.attachments = list
	}
	if len(check.complaints) > 0 {
		return out, failBlocks("invalid_blocks", check.complaints)
	}
	out.mentions = s.mentionsLocked(out, c.flag("link_names") || c.str("parse") == "full")
	return out, nil
}

// failBlocks gives the complaints in both places where Slack puts them.
func failBlocks(code string, complaints []string) reply {
	messages := make([]string, len(complaints))
	for i, text := range complaints {
		messages[i] = "[ERROR] " + text
	}
	r := failMessages(code, messages...)
	r["errors"] = complaints
	return r
}
