package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ClickOption refines a click.
type ClickOption func(*clickSpec)

type clickSpec struct {
	block    string
	nth      int
	choosing []string
	chosen   bool
	values   Values
}

// InBlock means the element in the block of that ID, when several blocks have
// an element with the same action_id.
func InBlock(blockID string) ClickOption { return func(c *clickSpec) { c.block = blockID } }

// Nth means the i-th element with that action_id, counted from 0.
func Nth(i int) ClickOption { return func(c *clickSpec) { c.nth = i } }

// Choosing says what is chosen in a menu or picker, typed into an input, or
// ticked: option values, IDs, a date. None: the choice is taken back.
func Choosing(values ...string) ClickOption {
	return func(c *clickSpec) { c.choosing, c.chosen = values, true }
}

// With says what the other inputs of the message or view hold at that moment.
func With(values Values) ClickOption { return func(c *clickSpec) { c.values = values } }

// personLocked finds somebody who may act at all.
func (s *Server) personLocked(id string) (*User, error) {
	u := s.users[id]
	switch {
	case s.closed:
		return nil, ErrClosed
	case u == nil:
		return nil, fmt.Errorf("%s: %w", id, ErrUnknownUser)
	case u.Deleted:
		return nil, fmt.Errorf("%s: %w", id, ErrDeactivated)
	case u.IsBot || u.IsWorkflowBot:
		return nil, fmt.Errorf("%s: %w", id, ErrNotAPerson)
	}
	return u, nil
}

// insiderLocked finds somebody who may act and does not belong to another
// workspace.
func (s *Server) insiderLocked(id string) (*User, error) {
	u, err := s.personLocked(id)
	if err != nil {
		return nil, err
	}
	if !s.internal(u) {
		return nil, fmt.Errorf("%s: %w", id, ErrExternal)
	}
	return u, nil
}

// presentLocked finds a channel that somebody is in.
func (s *Server) presentLocked(u *User, id string) (*Channel, error) {
	ch := s.channels[id]
	switch {
	case ch == nil:
		return nil, fmt.Errorf("%s: %w", id, ErrUnknownChannel)
	case !slices.Contains(ch.Members, u.ID):
		return nil, fmt.Errorf("%s in %s: %w", u.ID, id, ErrNotInChannel)
	}
	return ch, nil
}

// nameInPayload is what payloads call a channel: commands have a name of
// their own for private ones.
func nameInPayload(ch *Channel) string {
	switch {
	case ch.IsIM:
		return "directmessage"
	case ch.IsPrivate:
		return "privategroup"
	}
	return ch.Name
}

// Command types the slash command with this text in a channel and waits for
// the end of it. People of other workspaces cannot; guests can.
func (s *Server) Command(ctx context.Context, userID, channelID, text string) (Outcome, error) {
	payload, h, err := s.commandPayload(userID, channelID, text)
	if err != nil {
		return Outcome{}, fmt.Errorf("command: %w", err)
	}
	o, err := s.interact(ctx, "slash_commands", payload, OperationTimeout)
	if err != nil || o.Status != Acknowledged || o.Payload == nil {
		return o, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var body map[string]any
	if json.Unmarshal(o.Payload, &body) != nil {
		o.Problem = "the payload of the acknowledgement is not an object"
		return o, nil
	}
	if len(body) == 0 {
		return o, nil
	}
	if body["response_type"] == "in_channel" {
		// The command itself becomes visible with its answer.
		m := &message{channel: channelID, ts: s.tsLocked(), user: userID, posted: time.Now()}
		m.say(content{text: strings.TrimSpace(s.cfg.Command + " " + text)}, "command")
		s.messages[channelID] = append(s.messages[channelID], m)
		s.notifyLocked(Event{Kind: MessagePosted, Channel: channelID, TS: m.ts})
	}
	m, bad := s.respondLocked(h, body, "ack")
	if bad != nil {
		o.Problem = problem(bad)
	} else if m != nil {
		shown := m.snapshot()
		o.Message = &shown
	}
	return o, nil
}

// problem puts an error reply into words.
func problem(r reply) string {
	text, _ := r["error"].(string)
	if meta, ok := r["response_metadata"].(map[string]any); ok {
		if messages, ok := meta["messages"].([]string); ok && len(messages) > 0 {
			text += ": " + messages[0]
		}
	}
	return text
}

func (s *Server) commandPayload(userID, channelID, text string) (map[string]any, *hook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := s.insiderLocked(userID)
	if err != nil {
		return nil, nil, err
	}
	ch, err := s.presentLocked(u, channelID)
	if err != nil {
		return nil, nil, err
	}
	if ch.IsArchived {
		return nil, nil, fmt.Errorf("%s: %w", channelID, ErrArchived)
	}
	url, h := s.hookLocked("commands", userID, channelID, nil)
	payload := map[string]any{
		"token": "emulator", "team_id": u.TeamID, "team_domain": s.cfg.TeamDomain,
		"channel_id": ch.ID, "channel_name": nameInPayload(ch), "user_id": u.ID, "user_name": u.Name,
		"command": s.cfg.Command, "text": s.escapeTyped(strings.TrimSpace(text)), "api_app_id": s.cfg.AppID,
		"is_enterprise_install": "false", "response_url": url, "trigger_id": s.triggerLocked(u.ID, ""),
	}
	if s.cfg.EnterpriseID != "" {
		payload["enterprise_id"], payload["enterprise_name"] = s.cfg.EnterpriseID, s.cfg.EnterpriseName
	}
	return payload, h, nil
}

// payloadLocked is what all interaction payloads have in common.
func (s *Server) payloadLocked(kind string, u *User) map[string]any {
	team := map[string]any{"id": s.cfg.TeamID, "domain": s.cfg.TeamDomain}
	var enterprise any
	if s.cfg.EnterpriseID != "" {
		team["enterprise_id"], team["enterprise_name"] = s.cfg.EnterpriseID, s.cfg.EnterpriseName
		enterprise = map[string]any{"id": s.cfg.EnterpriseID, "name": s.cfg.EnterpriseName}
	}
	return map[string]any{
		"type": kind, "team": team, "api_app_id": s.cfg.AppID, "token": "emulator",
		"user":       map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.TeamID},
		"enterprise": enterprise, "is_enterprise_install": false,
	}
}

// seenLocked finds a message that this person has before them.
func (s *Server) seenLocked(u *User, ch *Channel, ts string) (*message, error) {
	m := s.messageLocked(ch.ID, ts)
	if m == nil || m.ephemeralTo != "" && m.ephemeralTo != u.ID {
		return nil, fmt.Errorf("%s in %s for %s: %w", ts, ch.ID, u.ID, ErrNoMessage)
	}
	return m, nil
}

// fromMessageLocked adds what a payload says of the message it comes from.
func (s *Server) fromMessageLocked(payload map[string]any, u *User, ch *Channel, m *message) {
	container := map[string]any{
		"type": "message", "message_ts": m.ts, "channel_id": ch.ID, "is_ephemeral": m.ephemeralTo != "",
	}
	if m.threadTS != "" {
		container["thread_ts"] = m.threadTS
	}
	payload["container"] = container
	payload["channel"] = map[string]any{"id": ch.ID, "name": nameInPayload(ch)}
	payload["trigger_id"] = s.triggerLocked(u.ID, "")
	payload["response_url"], _ = s.hookLocked("actions", u.ID, ch.ID, m)
	if m.ephemeralTo == "" {
		payload["message"] = s.messageJSON(m)
	}
}

// Click acts on an element of a message: presses a button, or chooses with
// Choosing. External people can, wherever they are members.
func (s *Server) Click(ctx context.Context, userID, channelID, ts, actionID string, opts ...ClickOption) (Outcome, error) {
	s.mu.Lock()
	payload, err := func() (map[string]any, error) {
		u, err := s.personLocked(userID)
		if err != nil {
			return nil, err
		}
		ch, err := s.presentLocked(u, channelID)
		if err != nil {
			return nil, err
		}
		m, err := s.seenLocked(u, ch, ts)
		if err != nil {
			return nil, err
		}
		state := initialState(m.blocks)
		action, err := s.actionLocked(state, m.blocks, actionID, opts)
		if err != nil {
			return nil, err
		}
		payload := s.payloadLocked("block_actions", u)
		s.fromMessageLocked(payload, u, ch, m)
		payload["state"] = map[string]any{"values": state}
		payload["actions"] = []any{action}
		return payload, nil
	}()
	s.mu.Unlock()
	if err != nil {
		return Outcome{}, fmt.Errorf("click %s: %w", actionID, err)
	}
	return s.interact(ctx, "interactive", payload, InteractionFailed)
}

// actionLocked composes the action for an element and brings the state up to
// date with it.
func (s *Server) actionLocked(state states, blocks []any, actionID string, opts []ClickOption) (map[string]any, error) {
	var spec clickSpec
	for _, o := range opts {
		o(&spec)
	}
	var hits []placed
	for _, p := range interactive(blocks) {
		if p.action() == actionID && (spec.block == "" || spec.block == p.block) {
			hits = append(hits, p)
		}
	}
	if spec.nth < 0 || spec.nth >= len(hits) {
		return nil, ErrNoElement
	}
	if err := s.applyLocked(state, blocks, spec.values); err != nil {
		return nil, err
	}
	p := hits[spec.nth]
	action := map[string]any{
		"type": p.kind, "action_id": actionID, "block_id": p.block,
		"action_ts": formatTS(time.Now().UnixMicro()),
	}
	for _, key := range []string{"text", "value", "style", "url", "placeholder"} {
		if v, ok := p.element[key]; ok && (p.kind == "button" || key == "placeholder") {
			action[key] = v
		}
	}
	switch {
	case p.kind == "overflow":
		if len(spec.choosing) != 1 {
			return nil, fmt.Errorf("%w: an overflow menu needs one choice", ErrInput)
		}
		item, err := s.itemLocked(p, spec.choosing[0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInput, err)
		}
		action["selected_option"] = item
	case p.kind != "button":
		if spec.chosen {
			value, err := s.valueLocked(p, spec.choosing)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrInput, err)
			}
			put(state, p, value)
		}
		if one, ok := state[p.block][actionID].(map[string]any); ok {
			maps.Copy(action, one)
		}
	}
	return action, nil
}

// RawClick is a click that Slack's client would not make: with a forged value,
// of a message that is gone, in somebody else's name.
type RawClick struct {
	Channel   string         // with TS: the message that it pretends to come from
	TS        string         //
	ViewID    string         // instead of a message
	Action    map[string]any // sent as it is; action_ts is added when absent
	Overrides map[string]any // payload fields to replace; nil values take them away
}

// ClickRaw sends a forged block_actions payload. Nothing is checked: a message,
// channel or person that does not exist is sent by its name alone.
func (s *Server) ClickRaw(ctx context.Context, userID string, c RawClick) (Outcome, error) {
	s.mu.Lock()
	u, ch := s.users[userID], s.channels[c.Channel]
	if u == nil {
		u = &User{ID: userID, Name: userID, TeamID: s.cfg.TeamID}
	}
	payload := s.payloadLocked("block_actions", u)
	if c.ViewID != "" {
		payload["container"] = map[string]any{"type": "view", "view_id": c.ViewID}
		payload["trigger_id"] = s.triggerLocked(userID, c.ViewID)
		if v := s.views[c.ViewID]; v != nil {
			payload["view"] = s.viewJSON(v, initialState(v.blocks()))
		}
	} else {
		if ch == nil {
			ch = &Channel{ID: c.Channel, Name: c.Channel}
		}
		m := s.messageLocked(c.Channel, c.TS)
		if m == nil {
			m = &message{channel: c.Channel, ts: c.TS, user: s.cfg.BotUserID, botID: s.cfg.BotID, deleted: true}
		}
		s.fromMessageLocked(payload, u, ch, m)
		payload["state"] = map[string]any{"values": initialState(m.blocks)}
	}
	action := maps.Clone(c.Action)
	if action == nil {
		action = map[string]any{}
	}
	if action["action_ts"] == nil {
		action["action_ts"] = formatTS(time.Now().UnixMicro())
	}
	payload["actions"] = []any{action}
	for k, v := range c.Overrides {
		if v == nil {
			delete(payload, k)
		} else {
			payload[k] = v
		}
	}
	s.mu.Unlock()
	return s.interact(ctx, "interactive", payload, InteractionFailed)
}

// Shortcut uses a global shortcut of the app.
func (s *Server) Shortcut(ctx context.Context, userID, callbackID string) (Outcome, error) {
	s.mu.Lock()
	u, err := s.insiderLocked(userID)
	if err != nil {
		s.mu.Unlock()
		return Outcome{}, fmt.Errorf("shortcut: %w", err)
	}
	payload := s.payloadLocked("shortcut", u)
	payload["callback_id"] = callbackID
	payload["trigger_id"] = s.triggerLocked(u.ID, "")
	payload["action_ts"] = formatTS(time.Now().UnixMicro())
	s.mu.Unlock()
	return s.interact(ctx, "interactive", payload, InteractionFailed)
}

// MessageShortcut uses a shortcut of the app on a message. Like commands,
// those are for members of the app's workspace.
func (s *Server) MessageShortcut(ctx context.Context, userID, channelID, ts, callbackID string) (Outcome, error) {
	s.mu.Lock()
	payload, err := func() (map[string]any, error) {
		u, err := s.insiderLocked(userID)
		if err != nil {
			return nil, err
		}
		ch, err := s.presentLocked(u, channelID)
		if err != nil {
			return nil, err
		}
		m, err := s.seenLocked(u, ch, ts)
		if err != nil {
			return nil, err
		}
		payload := s.payloadLocked("message_action", u)
		s.fromMessageLocked(payload, u, ch, m)
		delete(payload, "container")
		payload["message"] = s.messageJSON(m)
		payload["message_ts"] = m.ts
		payload["callback_id"] = callbackID
		payload["action_ts"] = formatTS(time.Now().UnixMicro())
		return payload, nil
	}()
	s.mu.Unlock()
	if err != nil {
		return Outcome{}, fmt.Errorf("message shortcut: %w", err)
	}
	return s.interact(ctx, "interactive", payload, InteractionFailed)
}
