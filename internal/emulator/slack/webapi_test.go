package slack_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func TestCallsNeedTheRightToken(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		r, _ := a.post("auth.test", form, "", "")
		wantError(t, r, "not_authed")
		r, _ = a.post("auth.test", form, "", "xoxb-"+"other")
		wantError(t, r, "invalid_auth")
		r, _ = a.post("auth.test", form, "token="+a.cfg.BotToken, "")
		wantOK(t, r)
		r, _ = a.post("auth.test", "application/json", `{"token":"`+a.cfg.BotToken+`"}`, "")
		wantError(t, r, "not_authed")
		wantError(t, a.call("chat.meow"), "unknown_method")
	})
}

func TestBodiesThatCannotBeReadAreRefused(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		for _, c := range []struct{ kind, body, want string }{
			{"application/json", "{", "invalid_json"},
			{"application/json", "{} {}", "invalid_json"},
			{"application/json", "", ""},
			{"application/json", "null", "json_not_object"},
			{"application/json", "[]", "json_not_object"},
			{form, "a=%zz", "invalid_form_data"},
			{"text/csv", "a,b", "invalid_post_type"},
		} {
			r, _ := a.post("auth.test", c.kind, c.body, a.cfg.BotToken)
			if r.str("error") != c.want {
				t.Errorf("%s %q: %v, want %q", c.kind, c.body, r, c.want)
			}
		}
	})
}

func TestAuthTestTellsWhoTheBotIs(t *testing.T) {
	inBubble(t, slack.Config{EnterpriseID: "E0ORG"}, func(t *testing.T, s *slack.Server, a *app) {
		want := answer{
			"ok": true, "url": "https://home.slack.com/", "team": "Home", "user": "qlik", "team_id": "T0HOME",
			"user_id": "U0BOT", "bot_id": "B0BOT", "is_enterprise_install": false, "enterprise_id": "E0ORG",
		}
		if diff := cmp.Diff(want, a.call("auth.test")); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAMethodWithoutItsScopeSaysWhichIsMissing(t *testing.T) {
	inBubble(t, slack.Config{Scopes: []string{"commands"}}, func(t *testing.T, s *slack.Server, a *app) {
		for method, scope := range map[string]string{
			"chat.postMessage": "chat:write", "users.info": "users:read", "users.lookupByEmail": "users:read.email",
			"usergroups.users.list": "usergroups:read", "conversations.open": "im:write",
		} {
			r := a.call(method)
			wantError(t, r, "missing_scope")
			if r.str("needed") != scope || r.str("provided") != "commands" {
				t.Errorf("%s: %v", method, r)
			}
		}
		for channel, scope := range map[string]string{"C0OPS": "channels:read", "G0SECRET": "groups:read", s.DM("U0ANA"): "im:read"} {
			if r := a.call("conversations.info", "channel", channel); r.str("needed") != scope {
				t.Errorf("%s: %v", channel, r)
			}
		}
	})
}

func TestRateLimitsAnswer429WithRetryAfter(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		for range 20 {
			wantOK(t, a.call("usergroups.list"))
		}
		r, resp := a.post("usergroups.list", form, "", a.cfg.BotToken)
		wantError(t, r, "ratelimited")
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "3" {
			t.Fatalf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		wantOK(t, a.call("auth.test")) // each method has its own
		time.Sleep(3 * time.Second)
		wantOK(t, a.call("usergroups.list"))
	})
}

func TestPostsAreLimitedPerChannel(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		for range 10 {
			wantOK(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "x"))
		}
		wantError(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "x"), "ratelimited")
		wantOK(t, a.call("chat.postMessage", "channel", "U0ANA", "text", "x"))
		time.Sleep(time.Second)
		wantOK(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "x"))
	})
}

func TestRateLimitsCanBeSwitchedOff(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true}, func(t *testing.T, s *slack.Server, a *app) {
		for range 300 {
			wantOK(t, a.call("chat.postMessage", "channel", "C0OPS", "text", "x"))
		}
	})
}

func TestPostingAnswersTheMessage(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		r := a.call("chat.postMessage", "channel", "#ops-room", "text", "hello", "blocks", mustJSON(t, button("go", "1")))
		wantOK(t, r)
		m := r["message"]
		if r.str("channel") != "C0OPS" || at(m, "ts") != r.str("ts") || at(m, "text") != "hello" ||
			at(m, "user") != "U0BOT" || at(m, "bot_id") != "B0BOT" || at(m, "blocks", 0, "elements", 0, "action_id") != "go" {
			t.Fatalf("got %v", r)
		}
		got := s.Messages("C0OPS")
		if len(got) != 1 || got[0].Text != "hello" || got[0].TS != r.str("ts") || got[0].Blocks[0]["type"] != "actions" {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestPostingErrors(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true}, func(t *testing.T, s *slack.Server, a *app) {
		s.AddChannel(slack.Channel{ID: "C0OLD", BotIsMember: true, IsArchived: true})
		for _, c := range []struct{ name, want string }{
			{"channel=C0NONE&text=x", "channel_not_found"},
			{"channel=&text=x", "channel_not_found"},
			{"channel=G0SECRET&text=x", "channel_not_found"},
			{"channel=C0FAR&text=x", "not_in_channel"},
			{"channel=C0OLD&text=x", "is_archived"},
			{"channel=C0OPS", "no_text"},
			{"channel=C0OPS&blocks=[]", "no_text"},
			{"channel=C0OPS&blocks=x", "invalid_blocks_format"},
			{"channel=C0OPS&blocks={}", "invalid_blocks_format"},
			{"channel=C0OPS&text=x&thread_ts=1.2", "thread_not_found"},
			{"channel=C0OPS&attachments=x", "invalid_attachments"},
			{"channel=U0BOT&text=x", "cannot_dm_bot"},
			{"channel=U0GONE&text=x", "channel_not_found"},
		} {
			r, _ := a.post("chat.postMessage", form, c.name, a.cfg.BotToken)
			if r.str("error") != c.want {
				t.Errorf("%s: %v, want %s", c.name, r, c.want)
			}
		}
		long := strings.Repeat("x", 40001)
		wantOK(t, a.call("chat.postMessage", "channel", "C0OPS", "text", long))
		if m := s.Messages("C0OPS"); len(m) != 1 || len(m[0].Text) != 40000 {
			t.Fatal("what is too long is not cut")
		}
	})
}

func TestPostingToAPersonOpensTheDirectConversation(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		r := a.call("chat.postMessage", "channel", "U0ANA", "text", "psst")
		wantOK(t, r)
		dm := s.DM("U0ANA")
		if r.str("channel") != dm || !strings.HasPrefix(dm, "D") || len(s.MessagesFor("U0ANA", dm)) != 1 {
			t.Fatalf("got %v", r)
		}
		o := a.call("conversations.open", "users", "U0ANA")
		if at(map[string]any(o), "channel", "id") != dm {
			t.Fatalf("got %v", o)
		}
		wantError(t, a.call("conversations.open", "users", "U0GONE"), "user_disabled")
		wantError(t, a.call("conversations.open", "users", "U0NONE"), "user_not_found")
	})
}

func TestADirectMessageNeedsTheMessagesTab(t *testing.T) {
	inBubble(t, slack.Config{NoMessagesTab: true}, func(t *testing.T, s *slack.Server, a *app) {
		wantError(t, a.call("chat.postMessage", "channel", "U0ANA", "text", "x"), "messages_tab_disabled")
	})
}

func TestUpdatingKeepsTheMessageAndRemembersItsStates(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		ts := post(t, a, button("go", "1"))
		time.Sleep(time.Minute)
		r := a.callJSON("chat.update", map[string]any{"channel": "C0OPS", "ts": ts, "text": "second", "blocks": button("stop", "2")})
		wantOK(t, r)
		wantOK(t, a.call("chat.update", "channel", "C0OPS", "ts", ts, "text", "third"))
		m := s.Messages("C0OPS")
		if len(m) != 1 || m[0].TS != ts || m[0].Edited.IsZero() {
			t.Fatalf("got %+v", m)
		}
		var got []string
		for _, v := range m[0].Versions {
			action := "none"
			if len(v.Blocks) > 0 {
				action, _ = at(v.Blocks[0]["elements"], 0, "action_id").(string)
			}
			got = append(got, v.Via+" "+v.Text+" "+action)
		}
		// Text without blocks takes the blocks away.
		want := []string{"chat.postMessage card go", "chat.update second stop", "chat.update third none"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAnUpdateWithBlocksAloneKeepsTheText(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		ts := post(t, a, button("go", "1"))
		wantOK(t, a.callJSON("chat.update", map[string]any{"channel": "C0OPS", "ts": ts, "blocks": button("stop", "2")}))
		if m, _ := s.Message("C0OPS", ts); m.Text != "card" || at(m.Blocks[0]["elements"], 0, "action_id") != "stop" {
			t.Errorf("got %+v", m)
		}
		wantOK(t, a.callJSON("chat.update", map[string]any{"channel": "C0OPS", "ts": ts, "attachments": []any{map[string]any{"text": "x"}}}))
		if m, _ := s.Message("C0OPS", ts); m.Text != "card" || len(m.Blocks) != 1 || len(m.Attachments) != 1 {
			t.Errorf("got %+v", m)
		}
	})
}

func TestUpdatingErrors(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true, EditWindow: time.Hour}, func(t *testing.T, s *slack.Server, a *app) {
		ts := post(t, a, button("go", "1"))
		eph := a.call("chat.postEphemeral", "channel", "C0OPS", "user", "U0ANA", "text", "x").str("message_ts")
		a.connect(func(envelope) (any, bool) { return map[string]any{"text": "y", "response_type": "in_channel"}, true })
		o, err := s.Command(t.Context(), "U0ANA", "C0OPS", "help")
		wantStatus(t, o, err, slack.Acknowledged)
		var theirs string
		for _, m := range s.Messages("C0OPS") {
			if m.User == "U0ANA" {
				theirs = m.TS
			}
		}
		for _, c := range []struct{ channel, ts, text, want string }{
			{"C0NONE", ts, "x", "channel_not_found"},
			{"C0OPS", "1.2", "x", "message_not_found"},
			{"C0OPS", eph, "x", "message_not_found"},
			{"C0OPS", theirs, "x", "cant_update_message"},
			{"C0OPS", ts, "", "no_text"},
			{"C0OPS", ts, strings.Repeat("x", 4001), "msg_too_long"},
		} {
			wantError(t, a.call("chat.update", "channel", c.channel, "ts", c.ts, "text", c.text), c.want)
		}
		wantError(t, a.call("chat.delete", "channel", "C0OPS", "ts", theirs), "cant_delete_message")
		time.Sleep(time.Hour + soon)
		wantError(t, a.call("chat.update", "channel", "C0OPS", "ts", ts, "text", "x"), "edit_window_closed")
		wantOK(t, a.call("chat.delete", "channel", "C0OPS", "ts", ts))
		wantError(t, a.call("chat.update", "channel", "C0OPS", "ts", ts, "text", "x"), "message_not_found")
		if m, _ := s.Message("C0OPS", ts); m.TS != "" {
			t.Fatal("the deleted message is still to be found")
		}
	})
}

func TestTheEditWindowOfOneMessageCanBeClosed(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		ts := post(t, a, button("go", "1"))
		if err := s.CloseEditWindow("C0OPS", ts); err != nil {
			t.Fatal(err)
		}
		wantError(t, a.call("chat.update", "channel", "C0OPS", "ts", ts, "text", "x"), "edit_window_closed")
	})
}

func TestEphemeralMessagesAreSeenByOnePersonInTheChannel(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		wantOK(t, a.call("chat.postEphemeral", "channel", "C0OPS", "user", "U0ANA", "text", "x"))
		if len(s.MessagesFor("U0ANA", "C0OPS")) != 1 || len(s.MessagesFor("U0BEN", "C0OPS")) != 0 || len(s.Messages("C0OPS")) != 0 {
			t.Fatal("the wrong people see it")
		}
		for _, user := range []string{"U0NONE", "U0GONE", "U0BOT"} {
			wantError(t, a.call("chat.postEphemeral", "channel", "C0OPS", "user", user, "text", "x"), "user_not_in_channel")
		}
		wantError(t, a.call("chat.postEphemeral", "channel", "C0FAR", "user", "U0ANA", "text", "x"), "not_in_channel")
		wantError(t, a.call("chat.postEphemeral", "channel", "C0OPS", "user", "U0ANA"), "no_text")
		wantError(t, a.call("chat.postEphemeral", "channel", "C0OPS", "user", "U0ANA", "text", strings.Repeat("x", 40001)), "msg_too_long")
	})
}

func TestPermalinks(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		ts := post(t, a, button("go", "1"))
		r := a.call("chat.getPermalink", "channel", "C0OPS", "message_ts", ts)
		if want := "https://home.slack.com/archives/C0OPS/p" + strings.ReplaceAll(ts, ".", ""); r.str("permalink") != want {
			t.Fatalf("got %v", r)
		}
		wantError(t, a.call("chat.getPermalink", "channel", "C0OPS", "message_ts", "1.2"), "message_not_found")
		wantError(t, a.call("chat.getPermalink", "channel", "C0NONE", "message_ts", ts), "channel_not_found")
	})
}

func TestConversationsInfoTellsWhetherAChannelIsShared(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		flags := func() []any {
			c := a.call("conversations.info", "channel", "C0OPS")["channel"]
			return []any{at(c, "is_ext_shared"), at(c, "is_pending_ext_shared"), at(c, "is_shared"), at(c, "is_private"), at(c, "is_member")}
		}
		if diff := cmp.Diff([]any{false, false, false, false, true}, flags()); diff != "" {
			t.Error(diff)
		}
		if err := s.UpdateChannel("C0OPS", func(c *slack.Channel) { c.IsExtShared = true }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{true, false, true, false, true}, flags()); diff != "" {
			t.Error(diff)
		}
		wantError(t, a.call("conversations.info", "channel", "G0SECRET"), "channel_not_found")
		wantOK(t, a.call("conversations.info", "channel", "C0FAR"))
	})
}

func TestConversationsMembersComeInPages(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		var all []any
		cursor := ""
		for {
			r := a.call("conversations.members", "channel", "C0OPS", "limit", "2", "cursor", cursor)
			wantOK(t, r)
			page, _ := r["members"].([]any)
			if len(page) > 2 {
				t.Fatalf("a page of %d", len(page))
			}
			all = append(all, page...)
			cursor, _ = at(r["response_metadata"], "next_cursor").(string)
			if cursor == "" {
				break
			}
		}
		if diff := cmp.Diff([]any{"U0ANA", "U0BEN", "U0GUEST", "U0EXT", "U0GONE", "U0BOT"}, all); diff != "" {
			t.Fatal(diff)
		}
		wantError(t, a.call("conversations.members", "channel", "C0OPS", "cursor", "x"), "invalid_cursor")
		wantError(t, a.call("conversations.members", "channel", "C0OPS", "limit", "0"), "invalid_limit")
	})
}

func TestUsersInfoTellsWhoSomebodyIs(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		s.AddUser(slack.User{ID: "U0STR", TeamID: "T0OTHER", IsStranger: true})
		s.AddUser(slack.User{ID: "U0WF", IsBot: true, IsWorkflowBot: true})
		s.AddUser(slack.User{ID: "U0SINGLE", IsUltraRestricted: true})
		user := func(id string) any {
			r := a.call("users.info", "user", id, "include_locale", "true")
			wantOK(t, r)
			return r["user"]
		}
		ana := user("U0ANA")
		for path, want := range map[string]any{
			"id": "U0ANA", "team_id": "T0HOME", "name": "ana", "deleted": false, "is_restricted": false, "is_ultra_restricted": false,
			"is_bot": false, "tz": "Europe/Vienna", "tz_offset": 3600.0, "locale": "en-US", "is_admin": false,
			"profile/email": "ana@example.com", "profile/display_name": "Ana", "is_stranger": nil, "enterprise_user": nil,
		} {
			got := ana
			for _, step := range strings.Split(path, "/") {
				got = at(got, step)
			}
			if got != want {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
		gone := user("U0GONE")
		if at(gone, "deleted") != true || at(gone, "is_restricted") != nil {
			t.Errorf("deactivated: %v", gone)
		}
		ext := user("U0EXT")
		if at(ext, "team_id") != "T0OTHER" || at(ext, "is_stranger") != false || at(ext, "profile", "email") != nil {
			t.Errorf("external: %v", ext)
		}
		for id, flag := range map[string]string{
			"U0STR": "is_stranger", "U0WF": "is_workflow_bot", "U0GUEST": "is_restricted", "U0BOT": "is_bot",
		} {
			if at(user(id), flag) != true {
				t.Errorf("%s is not %s", id, flag)
			}
		}
		if one := user("U0SINGLE"); at(one, "is_ultra_restricted") != true || at(one, "is_restricted") != true {
			t.Errorf("single-channel guest: %v", one)
		}
		wantError(t, a.call("users.info", "user", "U0NONE"), "user_not_found")
	})
}

func TestEmailNeedsItsScope(t *testing.T) {
	inBubble(t, slack.Config{Scopes: []string{"users:read"}}, func(t *testing.T, s *slack.Server, a *app) {
		if email := at(a.call("users.info", "user", "U0ANA")["user"], "profile", "email"); email != nil {
			t.Fatalf("got %v", email)
		}
	})
}

func TestOnGridPeopleHaveAnEnterpriseUser(t *testing.T) {
	inBubble(t, slack.Config{EnterpriseID: "E0ORG", EnterpriseName: "Org"}, func(t *testing.T, s *slack.Server, a *app) {
		u := a.call("users.info", "user", "U0ANA")["user"]
		if at(u, "enterprise_user", "enterprise_id") != "E0ORG" || at(u, "enterprise_user", "teams", 0) != "T0HOME" {
			t.Fatalf("got %v", u)
		}
	})
}

func TestLookupByEmailFindsActiveMembers(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		r := a.call("users.lookupByEmail", "email", "ANA@example.com")
		if at(r["user"], "id") != "U0ANA" {
			t.Fatalf("got %v", r)
		}
		for _, email := range []string{"gus@example.com", "eve@example.com", "nobody@example.com", ""} {
			wantError(t, a.call("users.lookupByEmail", "email", email), "users_not_found")
		}
	})
}

func TestUserGroups(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		s.AddUserGroup(slack.UserGroup{ID: "S0OLD", Disabled: true})
		g, _ := a.call("usergroups.list", "include_users", "true", "include_count", "true")["usergroups"].([]any)
		if len(g) != 1 || at(g[0], "id") != "S0OPS" || at(g[0], "handle") != "ops" || at(g[0], "users", 0) != "U0ANA" || at(g[0], "user_count") != 1.0 {
			t.Fatalf("got %v", g)
		}
		if all, _ := a.call("usergroups.list", "include_disabled", "true")["usergroups"].([]any); len(all) != 2 {
			t.Fatalf("got %v", all)
		}
		r := a.call("usergroups.users.list", "usergroup", "S0OPS")
		if diff := cmp.Diff(any([]any{"U0ANA"}), r["users"]); diff != "" {
			t.Fatal(diff)
		}
		wantError(t, a.call("usergroups.users.list", "usergroup", "S0NONE"), "no_such_subteam")
		wantError(t, a.call("usergroups.users.list", "usergroup", "S0OLD"), "no_such_subteam")
	})
}

func TestJSONBodiesReachOnlyTheMethodsThatTakeThem(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		wantOK(t, a.callJSON("chat.postMessage", map[string]any{"channel": "C0OPS", "text": "x", "blocks": button("a", "b")}))
		wantError(t, a.callJSON("users.info", map[string]any{"user": "U0ANA"}), "user_not_found")
	})
}

func TestCallsAreRecordedWithoutTokens(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.call("chat.postMessage", "channel", "C0OPS", "blocks", mustJSON(t, button("go", "1")), "token", a.cfg.BotToken)
		a.call("chat.postMessage", "channel", "C0NONE", "text", "x")
		calls := s.Calls()
		if len(calls) != 2 || calls[0].Method != "chat.postMessage" || calls[0].Error != "" || calls[1].Error != "channel_not_found" || calls[1].Status != 200 {
			t.Fatalf("got %+v", calls)
		}
		if at(calls[0].Args["blocks"], 0, "type") != "actions" {
			t.Errorf("blocks are recorded as %v", calls[0].Args["blocks"])
		}
		if strings.Contains(mustJSON(t, calls), a.cfg.BotToken) {
			t.Error("a token was recorded")
		}
	})
}
