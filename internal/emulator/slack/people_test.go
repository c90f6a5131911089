package slack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func TestASlashCommandCarriesEverythingSlackSends(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", " help me ")
		wantStatus(t, o, err, slack.Acknowledged)
		p := sent(t, o)
		for _, secret := range []string{"response_url", "trigger_id", "token"} {
			if p[secret] == "" || p[secret] == nil {
				t.Errorf("%s is missing", secret)
			}
		}
		if u := p["response_url"].(string); !strings.HasPrefix(u, "http://slack.test/commands/T0HOME/") {
			t.Errorf("response_url is %s", u)
		}
		delete(p, "response_url")
		delete(p, "trigger_id")
		delete(p, "token")
		want := map[string]any{
			"team_id": "T0HOME", "team_domain": "home", "channel_id": "C0OPS", "channel_name": "ops-room",
			"user_id": "U0ANA", "user_name": "ana", "command": "/qlik", "text": "help me", "api_app_id": "A0BOT",
			"is_enterprise_install": "false",
		}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Error(diff)
		}
		if got := c.got("slash_commands"); len(got) != 1 || !cmp.Equal([]byte(got[0].Payload), []byte(o.Sent)) {
			t.Errorf("the app got %s", got[0].Payload)
		}
	})
}

func TestOnGridPayloadsNameTheOrganisation(t *testing.T) {
	inBubble(t, slack.Config{EnterpriseID: "E0ORG", EnterpriseName: "Org"}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); p["enterprise_id"] != "E0ORG" || p["enterprise_name"] != "Org" {
			t.Errorf("command: %v", p)
		}
		o, err = s.Click(context.Background(), "U0ANA", "C0OPS", post(t, a, button("go", "1")), "go")
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); at(p, "enterprise", "id") != "E0ORG" || at(p, "team", "enterprise_id") != "E0ORG" {
			t.Errorf("click: %v", p)
		}
	})
}

func TestChannelNamesOfPrivateAndDirectConversationsAreNotTold(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		for channel, want := range map[string]string{"G0SECRET": "privategroup", s.DM("U0ANA"): "directmessage"} {
			o, err := s.Command(context.Background(), "U0ANA", channel, "help")
			wantStatus(t, o, err, slack.Acknowledged)
			if got := sent(t, o)["channel_name"]; got != want {
				t.Errorf("%s is called %v", channel, got)
			}
		}
	})
}

func TestTypedTextIsEscapedAsShouldEscapeDoes(t *testing.T) {
	for _, c := range []struct {
		name, typed, want string
		cfg               slack.Config
	}{
		{"a person", "add @ana now", "add <@U0ANA> now", slack.Config{}},
		{"a person at the end of a sentence", "ask @ana.", "ask <@U0ANA>.", slack.Config{}},
		{"a person, older form", "add @ana", "add <@U0ANA|ana>", slack.Config{NamedMentions: true}},
		{"nobody", "add @nobody", "add @nobody", slack.Config{}},
		{"a user group", "tell @ops", "tell <!subteam^S0OPS|@ops>", slack.Config{}},
		{"everybody", "tell @here", "tell <!here>", slack.Config{}},
		{"a channel", "in #ops-room", "in <#C0OPS|ops-room>", slack.Config{}},
		{"a private channel", "in #secret", "in <#G0SECRET|>", slack.Config{}},
		{"the three characters", `a & b < c > d`, `a &amp; b &lt; c &gt; d`, slack.Config{}},
		{"a forged mention", "<@U0ANA>", "&lt;@U0ANA&gt;", slack.Config{}},
		{"an address of the web", "see https://example.com/?a=1&b=2", "see <https://example.com/?a=1&amp;b=2>", slack.Config{}},
		{"an e-mail address", "invite ana@example.com", "invite ana@example.com", slack.Config{}},
		{"an e-mail address as link", "invite ana@example.com", "invite <mailto:ana@example.com|ana@example.com>", slack.Config{MailtoLinks: true}},
		{"should_escape off", "add @ana & <b>", "add @ana & <b>", slack.Config{NoEscape: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, c.cfg, func(t *testing.T, s *slack.Server, a *app) {
				a.connect(ackAll)
				o, err := s.Command(context.Background(), "U0ANA", "C0OPS", c.typed)
				wantStatus(t, o, err, slack.Acknowledged)
				if got := sent(t, o)["text"]; got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestWhoMayTypeAndWhoMayClick(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		s.AddUser(slack.User{ID: "U0WF", IsWorkflowBot: true})
		s.AddUser(slack.User{ID: "U0OUT"})
		ts := post(t, a, button("go", "1"))
		for _, c := range []struct {
			who         string
			typing, tap error
		}{
			{"U0ANA", nil, nil},
			{"U0GUEST", nil, nil},
			{"U0EXT", slack.ErrExternal, nil},
			{"U0GONE", slack.ErrDeactivated, slack.ErrDeactivated},
			{"U0BOT", slack.ErrNotAPerson, slack.ErrNotAPerson},
			{"U0WF", slack.ErrNotAPerson, slack.ErrNotAPerson},
			{"U0OUT", slack.ErrNotInChannel, slack.ErrNotInChannel},
			{"U0NONE", slack.ErrUnknownUser, slack.ErrUnknownUser},
		} {
			if _, err := s.Command(context.Background(), c.who, "C0OPS", "help"); !errors.Is(err, c.typing) {
				t.Errorf("%s types: %v, want %v", c.who, err, c.typing)
			}
			if _, err := s.Click(context.Background(), c.who, "C0OPS", ts, "go"); !errors.Is(err, c.tap) {
				t.Errorf("%s clicks: %v, want %v", c.who, err, c.tap)
			}
		}
		s.AddChannel(slack.Channel{ID: "C0OLD", IsArchived: true, Members: []string{"U0ANA"}})
		if _, err := s.Command(context.Background(), "U0ANA", "C0OLD", "help"); !errors.Is(err, slack.ErrArchived) {
			t.Errorf("archived: %v", err)
		}
		if _, err := s.Command(context.Background(), "U0ANA", "C0NONE", "help"); !errors.Is(err, slack.ErrUnknownChannel) {
			t.Errorf("no channel: %v", err)
		}
		for what, err := range map[string]error{
			"shortcut": second(s.Shortcut(context.Background(), "U0EXT", "x")),
			"message":  second(s.MessageShortcut(context.Background(), "U0EXT", "C0OPS", ts, "x")),
			"home":     second(s.OpenHome(context.Background(), "U0EXT")),
		} {
			if !errors.Is(err, slack.ErrExternal) {
				t.Errorf("external %s: %v", what, err)
			}
		}
	})
}

func second(_ slack.Outcome, err error) error { return err }

func TestTheAnswerInAnAcknowledgementIsPosted(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		var say any
		a.connect(func(envelope) (any, bool) { return say, true })
		run := func() slack.Outcome {
			o, err := s.Command(context.Background(), "U0ANA", "C0OPS", "help")
			wantStatus(t, o, err, slack.Acknowledged)
			return o
		}
		say = map[string]any{"text": "for you"}
		if o := run(); o.Message == nil || o.Message.EphemeralTo != "U0ANA" || o.Message.Text != "for you" {
			t.Fatalf("got %+v", o.Message)
		}
		say = map[string]any{"text": "for all", "response_type": "in_channel"}
		run()
		m := s.Messages("C0OPS")
		if len(m) != 2 || m[0].User != "U0ANA" || m[0].Text != "/qlik help" || m[1].Text != "for all" || m[1].User != "U0BOT" {
			t.Fatalf("got %+v", m)
		}
		say = map[string]any{"blocks": []any{map[string]any{"type": "nonsense"}}}
		if o := run(); o.Message != nil || !strings.Contains(o.Problem, "unsupported type: nonsense [json-pointer:/blocks/0/type]") {
			t.Fatalf("got %q", o.Problem)
		}
		say = "just text"
		if o := run(); o.Problem == "" || o.OK() {
			t.Fatal("a payload that is no object was taken")
		}
	})
}

func TestAClickCarriesEverythingSlackSends(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		ts := post(t, a, append(button("go", "req-1"), map[string]any{
			"type": "input", "block_id": "why", "label": plain("Why"),
			"element": map[string]any{"type": "plain_text_input", "action_id": "text", "initial_value": "because"},
		}))
		o, err := s.Click(context.Background(), "U0EXT", "C0OPS", ts, "go")
		wantStatus(t, o, err, slack.Acknowledged)
		p := sent(t, o)
		for name, c := range map[string]struct{ got, want any }{
			"type":          {p["type"], "block_actions"},
			"user":          {p["user"], map[string]any{"id": "U0EXT", "username": "eve", "name": "eve", "team_id": "T0OTHER"}},
			"team":          {p["team"], map[string]any{"id": "T0HOME", "domain": "home"}},
			"api_app_id":    {p["api_app_id"], "A0BOT"},
			"container":     {p["container"], map[string]any{"type": "message", "message_ts": ts, "channel_id": "C0OPS", "is_ephemeral": false}},
			"channel":       {p["channel"], map[string]any{"id": "C0OPS", "name": "ops-room"}},
			"message":       {at(p, "message", "ts"), ts},
			"state":         {at(p, "state", "values", "why", "text", "value"), "because"},
			"action_id":     {at(p, "actions", 0, "action_id"), "go"},
			"block_id":      {at(p, "actions", 0, "block_id"), "b-go"},
			"value":         {at(p, "actions", 0, "value"), "req-1"},
			"action type":   {at(p, "actions", 0, "type"), "button"},
			"text":          {at(p, "actions", 0, "text", "text"), "Press"},
			"enterprise":    {p["enterprise"], nil},
			"is_enterprise": {p["is_enterprise_install"], false},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if at(p, "actions", 0, "action_ts") == nil || p["trigger_id"] == nil || !strings.Contains(p["response_url"].(string), "/actions/T0HOME/") {
			t.Errorf("got %v", p)
		}
	})
}

func TestAClickThatIsNotAcknowledgedShowsAnError(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackNone)
		o, err := s.Click(context.Background(), "U0ANA", "C0OPS", post(t, a, button("go", "1")), "go")
		wantStatus(t, o, err, slack.InteractionFailed)
		time.Sleep(time.Hour)
		if n := len(s.Envelopes()); n != 1 {
			t.Fatalf("it was sent %d times; clicks are never repeated", n)
		}
	})
}

func TestADoubleClickIsTwoPayloads(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		ts := post(t, a, button("go", "1"))
		first, err1 := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go")
		time.Sleep(100 * time.Millisecond)
		again, err2 := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go")
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		x, y := sent(t, first), sent(t, again)
		if x["trigger_id"] == y["trigger_id"] || at(x, "actions", 0, "action_ts") == at(y, "actions", 0, "action_ts") {
			t.Fatal("they are the same")
		}
	})
}

func TestOnlyTheirReaderClicksEphemeralMessages(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		r := a.callJSON("chat.postEphemeral", map[string]any{"channel": "C0OPS", "user": "U0ANA", "text": "x", "blocks": button("go", "1")})
		wantOK(t, r)
		ts := r.str("message_ts")
		if _, err := s.Click(context.Background(), "U0BEN", "C0OPS", ts, "go"); !errors.Is(err, slack.ErrNoMessage) {
			t.Fatalf("got %v", err)
		}
		o, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go")
		wantStatus(t, o, err, slack.Acknowledged)
		p := sent(t, o)
		if at(p, "container", "is_ephemeral") != true || p["message"] != nil {
			t.Fatalf("got %v", p)
		}
		// Such a message changes only through its response_url.
		u := p["response_url"].(string)
		if code, body := a.respond(u, map[string]any{"replace_original": true, "text": "done"}); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		if m := s.MessagesFor("U0ANA", "C0OPS"); len(m) != 1 || m[0].Text != "done" || len(m[0].Blocks) != 0 {
			t.Fatalf("got %+v", m)
		}
		if code, body := a.respond(u, map[string]any{"delete_original": true}); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		if m := s.MessagesFor("U0ANA", "C0OPS"); len(m) != 0 {
			t.Fatalf("got %+v", m)
		}
	})
}

func TestElementsAreFoundByBlockAndByNumber(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		one, two := button("go", "1"), button("go", "2")
		two[0].(map[string]any)["block_id"] = "second"
		ts := post(t, a, append(one, two...))
		click := func(opts ...slack.ClickOption) any {
			o, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go", opts...)
			wantStatus(t, o, err, slack.Acknowledged)
			return at(sent(t, o), "actions", 0, "value")
		}
		if click() != "1" || click(slack.Nth(1)) != "2" || click(slack.InBlock("second")) != "2" {
			t.Fatal("the wrong element was clicked")
		}
		for _, opt := range []slack.ClickOption{slack.Nth(2), slack.Nth(-1), slack.InBlock("third")} {
			if _, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go", opt); !errors.Is(err, slack.ErrNoElement) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestMenusSendWhatIsChosen(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		option := func(v string) any { return map[string]any{"text": plain(v), "value": v} }
		ts := post(t, a, []any{map[string]any{"type": "actions", "block_id": "b", "elements": []any{
			map[string]any{"type": "static_select", "action_id": "menu", "options": []any{option("a"), option("b")}},
			map[string]any{"type": "overflow", "action_id": "more", "options": []any{option("x")}},
			map[string]any{"type": "users_select", "action_id": "who"},
			map[string]any{"type": "datepicker", "action_id": "when", "initial_date": "2030-01-02"},
		}}})
		click := func(action string, choice ...string) (map[string]any, error) {
			o, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, action, slack.Choosing(choice...))
			if err != nil {
				return nil, err
			}
			return sent(t, o), nil
		}
		p, err := click("menu", "b")
		if err != nil || at(p, "actions", 0, "selected_option", "value") != "b" || at(p, "state", "values", "b", "menu", "selected_option", "value") != "b" {
			t.Errorf("menu: %v %v", p["actions"], err)
		}
		if at(p, "state", "values", "b", "when", "selected_date") != "2030-01-02" {
			t.Errorf("state: %v", p["state"])
		}
		if p, err := click("more", "x"); err != nil || at(p, "actions", 0, "selected_option", "value") != "x" {
			t.Errorf("overflow: %v", err)
		}
		if p, err := click("who", "U0BEN"); err != nil || at(p, "actions", 0, "selected_user") != "U0BEN" {
			t.Errorf("person: %v", err)
		}
		for action, choice := range map[string]string{"menu": "c", "who": "U0NONE", "when": "tomorrow", "more": "y"} {
			if _, err := click(action, choice); !errors.Is(err, slack.ErrInput) {
				t.Errorf("%s %s: %v", action, choice, err)
			}
		}
	})
}

func TestARawClickSendsWhatNoClientWould(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		o, err := s.ClickRaw(context.Background(), "U0GONE", slack.RawClick{
			Channel: "C0OPS", TS: "1.2",
			Action:    map[string]any{"action_id": "request.approve", "value": "forged"},
			Overrides: map[string]any{"team": map[string]any{"id": "T0EVIL"}, "message": nil},
		})
		wantStatus(t, o, err, slack.Acknowledged)
		p := sent(t, o)
		if at(p, "actions", 0, "value") != "forged" || at(p, "actions", 0, "action_ts") == nil || at(p, "team", "id") != "T0EVIL" ||
			at(p, "container", "message_ts") != "1.2" || at(p, "user", "id") != "U0GONE" {
			t.Fatalf("got %v", p)
		}
		if _, there := p["message"]; there {
			t.Fatal("the message was not taken away")
		}
		o, err = s.ClickRaw(context.Background(), "U0NONE", slack.RawClick{ViewID: "V0NONE", Action: map[string]any{"action_id": "x"}})
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); at(p, "container", "view_id") != "V0NONE" || p["channel"] != nil {
			t.Fatalf("got %v", p)
		}
	})
}

func TestShortcuts(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		o, err := s.Shortcut(context.Background(), "U0ANA", "ask")
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); p["type"] != "shortcut" || p["callback_id"] != "ask" || p["channel"] != nil || p["response_url"] != nil || p["trigger_id"] == nil {
			t.Errorf("global: %v", p)
		}
		ts := post(t, a, button("go", "1"))
		o, err = s.MessageShortcut(context.Background(), "U0ANA", "C0OPS", ts, "why")
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); p["type"] != "message_action" || p["callback_id"] != "why" || at(p, "message", "ts") != ts || p["response_url"] == nil {
			t.Errorf("on a message: %v", p)
		}
	})
}

func TestChangesOfPeopleAndGroupsReachTheApp(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		if err := s.UpdateUser("U0ANA", func(u *slack.User) { u.Deleted = true }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if err := s.SetGroupMembers("S0OPS", "U0BEN", "U0GUEST"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		events := map[string]any{}
		for _, e := range c.got("events_api") {
			p := decode(t, e.Payload)
			if at(p, "type") != "event_callback" || at(p, "api_app_id") != "A0BOT" || at(p, "team_id") != "T0HOME" ||
				at(p, "authorizations", 0, "user_id") != "U0BOT" {
				t.Errorf("wrapper: %v", p)
			}
			events[at(p, "event", "type").(string)] = at(p, "event")
		}
		if e := events["user_change"]; at(e, "user", "id") != "U0ANA" || at(e, "user", "deleted") != true {
			t.Errorf("user_change: %v", e)
		}
		if e := events["subteam_updated"]; at(e, "subteam", "users", 1) != "U0GUEST" {
			t.Errorf("subteam_updated: %v", e)
		}
		e, _ := events["subteam_members_changed"].(map[string]any)
		delete(e, "event_ts")
		want := map[string]any{
			"type": "subteam_members_changed", "subteam_id": "S0OPS", "team_id": "T0HOME",
			"date_previous_update": float64(time.Now().Unix() - 60), "date_update": float64(time.Now().Unix()),
			"added_users": []any{"U0BEN", "U0GUEST"}, "added_users_count": "2",
			"removed_users": []any{"U0ANA"}, "removed_users_count": "1",
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Error(diff)
		}
		if s.UpdateUser("U0NONE", nil) == nil || s.SetGroupMembers("S0NONE") == nil || s.UpdateChannel("C0NONE", nil) == nil {
			t.Error("what does not exist was changed")
		}
	})
}

func TestCountsOfMembersMayBeNumbers(t *testing.T) {
	inBubble(t, slack.Config{NumberCounts: true, Events: []string{"subteam_members_changed"}}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		if err := s.SetGroupMembers("S0OPS"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if e := decode(t, c.got("events_api")[0].Payload); at(e, "event", "removed_users_count") != 1.0 {
			t.Fatalf("got %v", e)
		}
	})
}

func TestTheWorldCanBeListed(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		var got []string
		for _, u := range s.Users() {
			got = append(got, u.ID)
		}
		for _, g := range s.UserGroups() {
			got = append(got, g.ID)
		}
		s.DM("U0ANA")
		for _, c := range s.Channels() {
			got = append(got, c.ID[:2])
		}
		want := []string{"U0BOT", "U0ANA", "U0BEN", "U0GUEST", "U0GONE", "U0EXT", "S0OPS", "C0", "C0", "G0", s.DM("U0ANA")[:2]}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		s.UserGroups()[0].Members[0] = "changed"
		if s.UserGroups()[0].Members[0] != "U0ANA" {
			t.Fatal("what is listed is not a copy")
		}
	})
}

func TestInputsOfAMessageTravelWithAClick(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		ts := post(t, a, append(button("go", "1"), map[string]any{
			"type": "input", "block_id": "n", "label": plain("N"), "element": map[string]any{
				"type": "number_input", "action_id": "num", "is_decimal_allowed": false, "min_value": "1", "max_value": "9",
			},
		}))
		o, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go", slack.With(slack.Values{"n/num": "7"}))
		wantStatus(t, o, err, slack.Acknowledged)
		if got := at(sent(t, o), "state", "values", "n", "num", "value"); got != "7" {
			t.Errorf("got %v", got)
		}
		for _, bad := range []string{"0", "10", "1.5", "many"} {
			if _, err := s.Click(context.Background(), "U0ANA", "C0OPS", ts, "go", slack.With(slack.Values{"n": bad})); !errors.Is(err, slack.ErrInput) {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
}

func TestEventsNeedASubscriptionAndTheScope(t *testing.T) {
	for name, cfg := range map[string]slack.Config{
		"no subscription": {Events: []string{"app_mention"}},
		"no scope":        {Scopes: []string{"commands"}, Events: []string{"user_change"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cfg, func(t *testing.T, s *slack.Server, a *app) {
				c := a.connect(ackAll)
				if err := s.UpdateUser("U0ANA", func(u *slack.User) { u.IsAdmin = true }); err != nil {
					t.Fatal(err)
				}
				if _, err := s.OpenHome(context.Background(), "U0ANA"); !errors.Is(err, slack.ErrNotSubscribed) {
					t.Errorf("got %v", err)
				}
				synctest.Wait()
				if e := c.got("events_api"); len(e) != 0 {
					t.Errorf("got %+v", e)
				}
			})
		})
	}
}

func TestASubscriberHearsOfChanges(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		changes, cancel := s.Subscribe()
		ts := post(t, a, button("go", "1"))
		a.call("chat.update", "channel", "C0OPS", "ts", ts, "text", "x")
		a.call("chat.delete", "channel", "C0OPS", "ts", ts)
		var got []slack.EventKind
		for len(changes) > 0 {
			e := <-changes
			if e.Kind != slack.CallMade && (e.Channel != "C0OPS" || e.TS != ts) {
				t.Errorf("got %+v", e)
			}
			got = append(got, e.Kind)
		}
		want := []slack.EventKind{
			slack.MessagePosted, slack.CallMade, slack.MessageChanged, slack.CallMade, slack.MessageDeleted, slack.CallMade,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for range 300 { // two events a call, one place for 256
			a.call("users.info", "user", "U0NONE")
		}
		for len(changes) > 0 {
			<-changes
		}
		a.call("auth.test")
		if e := <-changes; e.Missed != 44 {
			t.Errorf("missed %d", e.Missed)
		}
		cancel()
		if _, open := <-changes; open {
			t.Error("the channel is still open")
		}
		cancel()
	})
}
