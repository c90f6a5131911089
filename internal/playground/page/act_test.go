package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

// heard collects what an app was sent and acknowledges it.
func heard(a *app) *[]obj {
	var all []obj
	a.connect(func(_ string, payload obj) (any, bool) {
		all = append(all, payload)
		return nil, true
	})
	return &all
}

func TestACommandReachesTheBotAsTheChosenPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		got := heard(a)
		w.post("/ui/command", "U0GIL", "C0OPS", "text", " /qlik add-admin @ben because <on call> ")
		if len(*got) != 1 {
			t.Fatalf("the bot heard %d things", len(*got))
		}
		p := (*got)[0]
		if p["user_id"] != "U0GIL" || p["channel_id"] != "C0OPS" || p["text"] != "add-admin <@U0BEN> because &lt;on call&gt;" {
			t.Errorf("the bot heard %v in %v from %v", p["text"], p["channel_id"], p["user_id"])
		}
		lacks(t, w.get("U0GIL", "C0OPS"), "data-note")
	})
}

func TestACommandTypedToTheAppBeginsTheConversation(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		got := heard(a)
		contains(t, w.get("U0ANA", "dm"), `data-here="dm"`)
		w.post("/ui/command", "U0ANA", "dm", "text", "/qlik")
		if len(*got) != 1 || !strings.HasPrefix((*got)[0]["channel_id"].(string), "D") || (*got)[0]["text"] != "" {
			t.Fatalf("the bot heard %v", *got)
		}
		lacks(t, w.get("U0ANA", "dm"), `data-here="dm"`)
		lacks(t, w.get("U0BEN", w.slack.DM("U0ANA")), w.slack.DM("U0ANA"))
	})
}

func TestWhatSlackRefusesOrFailsAtIsSaidInTheChannel(t *testing.T) {
	for name, tc := range map[string]struct {
		who, channel, text string
		app                string // "", "silent" or "answers"
		code, words        string
		sent               bool
	}{
		"a plain message":         {"U0ANA", "C0OPS", "hello", "answers", "not_a_command", "carries commands only", false},
		"a command of nobody":     {"U0ANA", "C0OPS", "/other x", "answers", "not_a_command", "/other is not a command of this workspace", false},
		"a longer word":           {"U0ANA", "C0OPS", "/qlikx", "answers", "not_a_command", "/qlikx is not a command", false},
		"no bot":                  {"U0ANA", "C0OPS", "/qlik help", "", "dispatch_failed", "Nothing reached it", false},
		"a bot that says nothing": {"U0ANA", "C0OPS", "/qlik help", "silent", "operation_timeout", "within 3 seconds", true},
		"somebody deactivated":    {"U0GUS", "C0OPS", "/qlik help", "answers", "refused", "Gus Gone is deactivated", false},
		"somebody external":       {"U0EVE", "C0PARTNER", "/qlik help", "answers", "refused", "Eve Extern belongs to another workspace", false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, a *app) {
				sent := false
				if tc.app != "" {
					a.connect(func(string, obj) (any, bool) { sent = true; return nil, tc.app == "answers" })
				}
				if out := w.post("/ui/command", tc.who, tc.channel, "text", tc.text); out["keep"] != true {
					t.Errorf("the box is told %v, want to keep the text", out)
				}
				synctest.Wait()
				if sent != tc.sent {
					t.Errorf("the bot heard of it: %v", sent)
				}
				note := part(t, w.get(tc.who, tc.channel), `data-note="`+tc.code+`"`, `</div></div>`)
				contains(t, note, tc.words, "Only visible to you")
				lacks(t, w.get("U0BEN", tc.channel), "data-note")
			})
		})
	}
}

func TestWithoutAScriptAFormLeadsBackToThePage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		heard(a)
		for _, tc := range []struct{ text, want string }{
			{"/qlik help", "/?as=U0ANA&channel=C0OPS"}, {"hello you", "/?as=U0ANA&channel=C0OPS&draft=hello+you"},
		} {
			rec := w.do(form("/ui/command", false, "U0ANA", "C0OPS", "text", tc.text))
			if got := rec.Header().Get("Location"); rec.Code != http.StatusSeeOther || got != tc.want {
				t.Errorf("%q leads with %d to %q", tc.text, rec.Code, got)
			}
		}
	})
}

func TestAPostForNobodyIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		for _, path := range []string{"/ui/command", "/ui/act", "/ui/home", "/ui/weather"} {
			if rec := w.do(form(path, true, "U0NOBODY", "C0OPS", "text", "/qlik help", "fault", "reset")); rec.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", path, rec.Code)
			}
		}
	})
}

func TestAButtonIsPressedByTheChosenPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		got := heard(a)
		ts := a.call("chat.postMessage", at("C0APPROVE", waiting()))["ts"].(string)
		w.post("/ui/act", "U0BEN", "C0APPROVE", "ts", ts, "all", "1", "act", "ADM-1.1.actions/request.approve")
		if len(*got) != 1 {
			t.Fatalf("the bot heard %d things", len(*got))
		}
		p := (*got)[0]
		action := p["actions"].([]any)[0].(obj)
		if p["user"].(obj)["id"] != "U0BEN" || action["action_id"] != "request.approve" || action["block_id"] != "ADM-1.1.actions" || action["value"] != "ADM-1.1" {
			t.Errorf("the bot heard %v", p)
		}
	})
}

func TestAButtonOfAnEphemeralMessageWorksForItsReader(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		got := heard(a)
		a.call("chat.postEphemeral", obj{"channel": "C0OPS", "user": "U0ANA", "text": "x", "blocks": []any{obj{"type": "actions", "block_id": "b", "elements": []any{button("request.confirm", "Confirm", "primary")}}}})
		ts := w.slack.MessagesFor("U0ANA", "C0OPS")[0].TS
		w.post("/ui/act", "U0ANA", "C0OPS", "ts", ts, "act", "b/request.confirm")
		w.post("/ui/act", "U0BEN", "C0OPS", "ts", ts, "act", "b/request.confirm") // whom nobody showed it
		if len(*got) != 1 {
			t.Errorf("the bot heard %d clicks", len(*got))
		}
	})
}

func TestAClickThatFailsIsSaidBesideTheMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		answers := false
		a.connect(func(string, obj) (any, bool) { return nil, answers })
		ts := a.call("chat.postMessage", at("C0APPROVE", waiting()))["ts"].(string)
		press := func() {
			w.post("/ui/act", "U0BEN", "C0APPROVE", "ts", ts, "act", "ADM-1.1.actions/request.approve")
		}
		press()
		contains(t, part(t, w.get("U0BEN", "C0APPROVE"), `data-ts="`+ts, "</article>"), `data-note="interaction_failed"`, "look before you try again")
		lacks(t, w.get("U0CLEO", "C0APPROVE"), "interaction_failed\"")
		answers = true
		press()
		lacks(t, w.get("U0BEN", "C0APPROVE"), "data-note")
		a.call("chat.update", obj{"channel": "C0APPROVE", "ts": ts, "text": "gone"})
		press()
		contains(t, w.get("U0BEN", "C0APPROVE"), `data-note="refused"`, "the button is gone")
	})
}

func TestAQuestionIsAskedBeforeAButtonActs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		got := heard(a)
		b := button("go", "Go", "danger")
		b["confirm"] = obj{"title": plain("Sure?"), "text": words("*All* of it <b>"), "confirm": plain("Yes"), "deny": plain("No"), "style": "danger"}
		ts := a.call("chat.postMessage", at("C0OPS", obj{"text": "x", "blocks": []any{obj{"type": "actions", "block_id": "b", "elements": []any{b}}}}))["ts"].(string)

		out := w.post("/ui/act", "U0ANA", "C0OPS", "ts", ts, "act", "b/go")
		dialog, _ := out["dialog"].(string)
		contains(t, dialog, "Sure?", "<strong>All</strong> of it", `class="btn confirm danger" name="act" value="b/go">Yes<`, ">No<", `name="ts" value="`+ts+`"`)
		rec := w.do(form("/ui/act", false, "U0ANA", "C0OPS", "ts", ts, "act", "b/go"))
		contains(t, rec.Body.String(), "Sure?", `id="timeline"`)
		w.post("/ui/act", "U0ANA", "C0OPS", "ts", ts, "act", "", "confirmed", "1") // no
		if len(*got) != 0 {
			t.Fatalf("the bot heard of it before the answer")
		}
		w.post("/ui/act", "U0ANA", "C0OPS", "ts", ts, "act", "b/go", "confirmed", "1")
		if len(*got) != 1 {
			t.Errorf("the bot heard %d clicks", len(*got))
		}
	})
}

func TestChoicesInAMessageAreSent(t *testing.T) {
	option := func(s string) obj { return obj{"text": plain(s), "value": s} }
	options := []any{option("one"), option("two")}
	elements := []any{
		obj{"type": "static_select", "action_id": "select", "options": options},
		obj{"type": "users_select", "action_id": "user"},
		obj{"type": "checkboxes", "action_id": "boxes", "options": options},
		obj{"type": "datepicker", "action_id": "date"},
		obj{"type": "overflow", "action_id": "more", "options": options},
	}
	for name, tc := range map[string]struct {
		act, input string
		chosen     []string
		key        string
		want       string // within the action, as JSON
	}{
		"one option":                       {"b/select", "v/b/select", []string{"two"}, "selected_option", `"value":"two"`},
		"none":                             {"b/select", "v/b/select", []string{""}, "selected_option", `null`},
		"a person":                         {"b/user", "v/b/user", []string{"U0BEN"}, "selected_user", `"U0BEN"`},
		"several boxes":                    {"b/boxes", "v/b/boxes", []string{"one", "two"}, "selected_options", `"value":"two"`},
		"no box at all":                    {"b/boxes", "", nil, "selected_options", `[]`},
		"a date":                           {"b/date", "v/b/date", []string{"2031-01-02"}, "selected_date", `"2031-01-02"`},
		"from a menu":                      {"b/more#1", "", nil, "selected_option", `"value":"two"`},
		"a menu's entry that is not there": {"b/more#7", "", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, a *app) {
				got := heard(a)
				ts := a.call("chat.postMessage", at("C0OPS", obj{"text": "x", "blocks": []any{obj{"type": "actions", "block_id": "b", "elements": elements}}}))["ts"].(string)
				pairs := []string{"ts", ts, "all", "1", "act", tc.act}
				for _, v := range tc.chosen {
					pairs = append(pairs, tc.input, v)
				}
				w.post("/ui/act", "U0ANA", "C0OPS", pairs...)
				if tc.key == "" {
					contains(t, w.get("U0ANA", "C0OPS"), `data-note="refused"`)
					return
				}
				if len(*got) != 1 {
					t.Fatalf("the bot heard %d clicks", len(*got))
				}
				value := string(mustJSON(t, (*got)[0]["actions"].([]any)[0].(obj)[tc.key]))
				if !strings.Contains(value, tc.want) {
					t.Errorf("chosen: %s, want %s", value, tc.want)
				}
			})
		})
	}
}

// opened opens a form for Ana and returns its ID.
func opened(w *world, view obj, answer func(submission obj) any) (*app, string) {
	w.t.Helper()
	a := newApp(w.t, w)
	a.connect(func(kind string, payload obj) (any, bool) {
		switch {
		case kind == "slash_commands":
			a.call("views.open", obj{"trigger_id": payload["trigger_id"], "view": view})
		case payload["type"] == "view_submission":
			return answer(payload), true
		}
		return nil, true
	})
	w.post("/ui/command", "U0ANA", "C0OPS", "text", "/qlik invite")
	views := w.slack.Views("U0ANA")
	if len(views) != 1 {
		w.t.Fatalf("%d forms are open", len(views))
	}
	return a, views[0].ID
}

func TestAFormIsFilledInAndSent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		var got obj
		a, id := opened(w, inviteForm(), func(s obj) any {
			got = s["view"].(obj)["state"].(obj)["values"].(obj)
			return nil
		})
		defer a.stop()
		text := part(t, w.get("U0ANA", "C0OPS"), `data-view="`+id, "</dialog>")
		contains(t, text, "/qlik invite", ">Continue</button>", ">Cancel</button>", `value="prod" selected`, "One a line", `<textarea`)
		lacks(t, w.get("U0BEN", "C0OPS"), "<dialog")

		w.post("/ui/act", "U0ANA", "C0OPS", "view", id, "all", "1", "act", "submit", "v/tenant/value", "home", "v/emails/value", "a@example.com\r\nb@example.com", "v/lang/value", "", "v/reason/value", "new")
		if got == nil {
			t.Fatal("nothing was sent")
		}
		for block, want := range map[string]string{"tenant": `"value":"home"`, "emails": `"value":"a@example.com\nb@example.com"`, "lang": `"value":null`, "reason": `"value":"new"`} {
			if value := string(mustJSON(t, got[block])); !strings.Contains(value, want) {
				t.Errorf("%s: %s, want %s", block, value, want)
			}
		}
		lacks(t, w.get("U0ANA", "C0OPS"), "<dialog")
	})
}

func TestWhatIsWrongStandsBesideItsFieldAndNothingTypedIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		sent := 0
		a, id := opened(w, inviteForm(), func(obj) any {
			sent++
			return obj{"response_action": "errors", "errors": obj{"emails": "<nobody> is no address"}}
		})
		defer a.stop()
		w.post("/ui/act", "U0ANA", "C0OPS", "view", id, "all", "1", "act", "submit", "v/tenant/value", "home", "v/emails/value", "")
		text := w.get("U0ANA", "C0OPS")
		contains(t, text, `data-error-for="emails"`, "Please complete this required field.", `aria-invalid="true"`, `value="home" selected`)
		if sent != 0 {
			t.Fatal("a form that is not complete was sent")
		}
		w.post("/ui/act", "U0ANA", "C0OPS", "view", id, "all", "1", "act", "submit", "v/tenant/value", "home", "v/emails/value", "nobody")
		text = w.get("U0ANA", "C0OPS")
		contains(t, text, `data-error-for="emails"`, "&lt;nobody&gt; is no address", ">\nnobody</textarea>")
		lacks(t, text, "Please complete")
	})
}

func TestFormsStandOnOneAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		second := obj{"type": "modal", "title": plain("Second"), "blocks": []any{obj{"type": "section", "text": plain("more")}}}
		a, id := opened(w, inviteForm(), func(s obj) any {
			if s["view"].(obj)["state"].(obj)["values"].(obj)["reason"].(obj)["value"].(obj)["value"] == "update" {
				return obj{"response_action": "update", "view": second}
			}
			return obj{"response_action": "push", "view": second}
		})
		defer a.stop()
		submit := func(reason string) {
			w.post("/ui/act", "U0ANA", "C0OPS", "view", id, "all", "1", "act", "submit", "v/tenant/value", "prod", "v/emails/value", "a@example.com", "v/reason/value", reason)
		}
		submit("push")
		contains(t, w.get("U0ANA", "C0OPS"), ">Second</h2>", "/qlik invite", "Close all", ">Close</button>")
		top := w.slack.Views("U0ANA")[1].ID
		w.post("/ui/act", "U0ANA", "C0OPS", "view", top, "act", "close")
		lacks(t, w.get("U0ANA", "C0OPS"), ">Second</h2>")
		submit("update")
		if views := w.slack.Views("U0ANA"); len(views) != 1 || views[0].Title != "Second" {
			t.Errorf("open: %v", views)
		}
		w.post("/ui/act", "U0ANA", "C0OPS", "view", id, "act", "close-all")
		lacks(t, w.get("U0ANA", "C0OPS"), "<dialog")
	})
}

func TestAFormThatCannotBeSentSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		a, id := opened(w, inviteForm(), func(obj) any { return nil })
		a.stop()
		w.post("/ui/act", "U0ANA", "C0OPS", "view", id, "all", "1", "act", "submit", "v/tenant/value", "prod", "v/emails/value", "a@example.com")
		contains(t, w.get("U0ANA", "C0OPS"), `class="problem" role="alert"`, "submission_failed", "a@example.com</textarea>")
	})
}

func TestHomeIsOpenedAndItsButtonsWork(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		var clicks []obj
		a.connect(func(kind string, payload obj) (any, bool) {
			if kind == "events_api" {
				a.call("views.publish", obj{"user_id": payload["event"].(obj)["user"], "view": obj{"type": "home", "blocks": []any{
					obj{"type": "section", "block_id": "row", "text": plain("Nothing waits"), "accessory": button("request.details", "Details", "")},
				}}})
				return nil, true
			}
			clicks = append(clicks, payload)
			return nil, true
		})
		contains(t, w.get("U0BEN", "home"), "has not published its Home for you yet", `id="home-refresh"`)
		lacks(t, w.get("U0BEN", "home"), `id="command"`)
		w.post("/ui/home", "U0BEN", "home")
		contains(t, w.get("U0BEN", "home"), "Nothing waits", `data-action-id="request.details"`)
		w.post("/ui/act", "U0BEN", "home", "act", "row/request.details")
		if len(clicks) != 1 || clicks[0]["user"].(obj)["id"] != "U0BEN" || clicks[0]["container"].(obj)["type"] != "view" {
			t.Errorf("the bot heard %v", clicks)
		}
	})
}

func TestTheWeatherIsTheEmulatorsFaults(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		a.connect(func(string, obj) (any, bool) { return nil, true })
		token := a.qlikToken(w)
		u, _ := w.prod.UserByEmail("ben@example.com")
		// call reports how a call of Qlik's API went: 0 is no answer.
		call := func(method, path, body string) (status int, took time.Duration) {
			began := time.Now()
			defer func() {
				if recover() != nil {
					status = 0
				}
				took = time.Since(began)
			}()
			rec := httptest.NewRecorder()
			req := httptest.NewRequest(method, path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+token)
			if body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			w.prod.ServeHTTP(rec, req)
			return rec.Code, 0
		}
		set := func(fault, on string) { w.post("/ui/weather", "U0ANA", "C0OPS", "fault", fault, "on", on) }
		read := func() (int, time.Duration) { return call("GET", "/api/v1/users/"+u.ID, "") }
		pressed := func(fault string) bool {
			return strings.Contains(w.get("U0ANA", "C0OPS"), `data-fault="`+fault+`" aria-pressed="true"`)
		}

		set("qlik-slow", "yes")
		set("qlik-slow", "yes") // once more changes nothing
		if status, took := read(); status != 200 || took != 30*time.Second || !pressed("qlik-slow") {
			t.Errorf("slow: %d after %s", status, took)
		}
		set("qlik-slow", "no")
		if status, took := read(); status != 200 || took != 0 || pressed("qlik-slow") {
			t.Errorf("not slow any more: %d after %s", status, took)
		}
		set("qlik-refuses", "yes")
		if status, _ := read(); status != 403 {
			t.Errorf("refuses: %d", status)
		}
		set("qlik-refuses", "no")
		set("qlik-limits", "yes")
		if status, _ := read(); status != 429 {
			t.Errorf("limits: %d", status)
		}
		set("reset", "")
		set("qlik-drops", "yes")
		if status, _ := read(); status != 200 {
			t.Errorf("drops, a read: %d", status)
		}
		if status, _ := call("PATCH", "/api/v1/users/"+u.ID, `[{"op":"replace","path":"/name","value":"Ben B."}]`); status != 0 {
			t.Errorf("drops, a write: %d", status)
		}
		if now, _ := w.prod.User(u.ID); now.Name != "Ben B." {
			t.Error("the write that was dropped had no effect")
		}
		contains(t, w.get("U0ANA", "C0OPS"), "no answer", "changed the tenant", "fault: dropped after taking effect")
		set("slack-slow", "yes")
		began := time.Now()
		a.call("chat.postMessage", at("C0OPS", obj{"text": "slow"}))
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("Slack took %s", took)
		}
		other := w.prod.AddFault(qlikemu.Fault{Operation: "GET /api/v1/roles", Count: qlikemu.Always})
		set("reset", "")
		if left := w.prod.Faults(); len(left) != 1 || left[0].ID != other || pressed("qlik-drops") || pressed("slack-slow") {
			t.Errorf("after the reset: %v", left)
		}
		set("slack-disconnects", "")
		if live := w.slack.Connections(); len(live) != 0 {
			t.Errorf("still connected: %v", live)
		}
		if rec := w.do(form("/ui/weather", true, "U0ANA", "C0OPS", "fault", "no-such")); rec.Code != http.StatusBadRequest {
			t.Errorf("a switch that is none: %d", rec.Code)
		}
		set("qlik-slow", "yes")
		w.page.Close()
		if left := w.prod.Faults(); len(left) != 1 {
			t.Errorf("after Close: %v", left)
		}
	})
}

func TestBadWeatherDoesNotDependOnWhoMakesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		w.post("/ui/weather", "U0GUS", "C0OPS", "fault", "slack-slow", "on", "yes")
		if err := w.slack.UpdateUser("U0ANA", func(u *slackemu.User) { u.RealName = "Ana Renamed" }); err != nil {
			t.Fatal(err)
		}
		contains(t, w.get("U0ANA", "C0OPS"), `data-fault="slack-slow" aria-pressed="true"`, "Ana Renamed")
	})
}
