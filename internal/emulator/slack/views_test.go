package slack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func modal(title string, more map[string]any) map[string]any {
	v := map[string]any{
		"type": "modal", "title": plain(title), "submit": plain("Send"), "callback_id": "form",
		"blocks": []any{map[string]any{
			"type": "input", "block_id": "name", "label": plain("Name"),
			"element": map[string]any{"type": "plain_text_input", "action_id": "text", "max_length": 5},
		}},
	}
	for k, x := range more {
		if x == nil {
			delete(v, k)
		} else {
			v[k] = x
		}
	}
	return v
}

// trigger lets somebody type the command and returns the trigger_id.
func trigger(t *testing.T, s *slack.Server, user string) string {
	t.Helper()
	o, err := s.Command(context.Background(), user, "C0OPS", "form")
	wantStatus(t, o, err, slack.Acknowledged)
	return sent(t, o)["trigger_id"].(string)
}

func open(t *testing.T, s *slack.Server, a *app, view any) slack.View {
	t.Helper()
	wantOK(t, a.callJSON("views.open", map[string]any{"trigger_id": trigger(t, s, "U0ANA"), "view": view}))
	v := s.Views("U0ANA")
	return v[len(v)-1]
}

func TestATriggerOpensOneFormWithinThreeSeconds(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		id := trigger(t, s, "U0ANA")
		time.Sleep(3*time.Second - time.Millisecond)
		r := a.call("views.open", "trigger_id", id, "view", mustJSON(t, modal("One", nil)))
		wantOK(t, r)
		if v := r["view"]; at(v, "state", "values") == nil || at(v, "root_view_id") != at(v, "id") || at(v, "hash") == "" || at(v, "team_id") != "T0HOME" {
			t.Errorf("got %v", v)
		}
		wantError(t, a.callJSON("views.open", map[string]any{"trigger_id": id, "view": modal("Two", nil)}), "exchanged_trigger_id")
		id = trigger(t, s, "U0ANA")
		time.Sleep(3 * time.Second)
		wantError(t, a.callJSON("views.open", map[string]any{"trigger_id": id, "view": modal("Two", nil)}), "expired_trigger_id")
		wantError(t, a.callJSON("views.open", map[string]any{"trigger_id": "1.2.x", "view": modal("Two", nil)}), "invalid_trigger_id")
		wantError(t, a.callJSON("views.open", map[string]any{"view": modal("Two", nil)}), "invalid_arguments")
		if v := s.Views("U0ANA"); len(v) != 1 || v[0].Title != "One" || v[0].User != "U0ANA" {
			t.Errorf("got %+v", v)
		}
	})
}

func TestFormsThatBreakTheRulesAreRefused(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		for _, c := range []struct {
			change map[string]any
			want   string
		}{
			{map[string]any{"title": plain(strings.Repeat("x", 25))}, "must be less than 25 characters [json-pointer:/view/title/text]"},
			{map[string]any{"title": nil}, "missing required field: title [json-pointer:/view]"},
			{map[string]any{"title": mrkdwn("x")}, "[json-pointer:/view/title/type]"},
			{map[string]any{"submit": plain(strings.Repeat("x", 25))}, "[json-pointer:/view/submit/text]"},
			{map[string]any{"close": plain(strings.Repeat("x", 25))}, "[json-pointer:/view/close/text]"},
			{map[string]any{"submit": nil}, "must have a `submit` text"},
			{map[string]any{"private_metadata": strings.Repeat("x", 3001)}, "[json-pointer:/view/private_metadata]"},
			{map[string]any{"callback_id": strings.Repeat("x", 256)}, "[json-pointer:/view/callback_id]"},
			{map[string]any{"external_id": strings.Repeat("x", 256)}, "[json-pointer:/view/external_id]"},
			{map[string]any{"colour": "red"}, "unexpected property: colour [json-pointer:/view/colour]"},
			{map[string]any{"notify_on_close": "yes"}, "[json-pointer:/view/notify_on_close]"},
			{map[string]any{"type": "home", "title": nil, "submit": nil}, "must be modal [json-pointer:/view/type]"},
			{map[string]any{"type": "dialog"}, "[json-pointer:/view/type]"},
			{map[string]any{"blocks": dividers(101)}, "no more than 100 items allowed [json-pointer:/view/blocks]"},
			{map[string]any{"blocks": []any{map[string]any{"type": "markdown", "text": "x"}}}, "[json-pointer:/view/blocks/0/type]"},
		} {
			r := a.callJSON("views.open", map[string]any{"trigger_id": trigger(t, s, "U0ANA"), "view": modal("Form", c.change)})
			wantError(t, r, "invalid_arguments")
			if got := mustJSON(t, at(r["response_metadata"], "messages")); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		}
		var many []any
		for range 90 {
			many = append(many, map[string]any{"type": "section", "text": plain(strings.Repeat("x", 2900))})
		}
		wantError(t, a.callJSON("views.open", map[string]any{"trigger_id": trigger(t, s, "U0ANA"), "view": modal("Big", map[string]any{"blocks": many})}), "view_too_large")
		if len(s.Views("U0ANA")) != 0 {
			t.Error("one was opened")
		}
	})
}

func dividers(n int) []any {
	var out []any
	for range n {
		out = append(out, map[string]any{"type": "divider"})
	}
	return out
}

func TestASubmissionCarriesTheStateAndClosesTheForm(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		v := open(t, s, a, modal("Form", map[string]any{"private_metadata": "meta"}))
		o, err := s.SubmitView(context.Background(), "U0ANA", v.ID, slack.Values{"name": "Ana"})
		wantStatus(t, o, err, slack.Acknowledged)
		p := sent(t, o)
		if p["type"] != "view_submission" || at(p, "view", "id") != v.ID || at(p, "view", "hash") != v.Hash || at(p, "view", "callback_id") != "form" ||
			at(p, "view", "private_metadata") != "meta" || at(p, "user", "team_id") != "T0HOME" || p["trigger_id"] == nil {
			t.Errorf("got %v", p)
		}
		want := map[string]any{"name": map[string]any{"text": map[string]any{"type": "plain_text_input", "value": "Ana"}}}
		if diff := cmp.Diff(any(want), at(p, "view", "state", "values")); diff != "" {
			t.Error(diff)
		}
		if len(s.Views("U0ANA")) != 0 || o.ResponseAction != "" {
			t.Error("the form is still open")
		}
		if _, err := s.SubmitView(context.Background(), "U0ANA", v.ID, nil); !errors.Is(err, slack.ErrNoView) {
			t.Errorf("again: %v", err)
		}
	})
}

func TestTheFormItselfRefusesInput(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		v := open(t, s, a, modal("Form", nil))
		for _, values := range []slack.Values{nil, {"name": ""}, {"name": "longer than five"}, {"nothing": "x"}, {"name": []string{"a", "b"}}, {"name": 3}, {"name": "a\nb"}} {
			if _, err := s.SubmitView(context.Background(), "U0ANA", v.ID, values); !errors.Is(err, slack.ErrInput) {
				t.Errorf("%v: %v", values, err)
			}
		}
		if _, err := s.SubmitView(context.Background(), "U0BEN", v.ID, slack.Values{"name": "x"}); !errors.Is(err, slack.ErrNoView) {
			t.Errorf("somebody else: %v", err)
		}
		if n := len(s.Envelopes()); n != 1 { // the command
			t.Errorf("%d envelopes were sent", n)
		}
	})
}

func TestEveryKindOfInputHasItsState(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		option := func(v string) any { return map[string]any{"text": plain(v), "value": v} }
		options := []any{option("a"), option("b")}
		kinds := map[string]struct {
			element map[string]any
			give    any
			key     string
			want    any
		}{
			"plain_text_input":           {nil, "x", "value", "x"},
			"email_text_input":           {nil, "ana@example.com", "value", "ana@example.com"},
			"number_input":               {map[string]any{"is_decimal_allowed": false}, "7", "value", "7"},
			"static_select":              {map[string]any{"options": options}, "a", "selected_option", options[0]},
			"multi_static_select":        {map[string]any{"options": options}, []string{"a", "b"}, "selected_options", options},
			"users_select":               {nil, "U0BEN", "selected_user", "U0BEN"},
			"multi_users_select":         {nil, []string{"U0BEN"}, "selected_users", []any{"U0BEN"}},
			"conversations_select":       {nil, "C0OPS", "selected_conversation", "C0OPS"},
			"multi_conversations_select": {nil, []string{"C0OPS"}, "selected_conversations", []any{"C0OPS"}},
			"checkboxes":                 {map[string]any{"options": options}, []string{"b"}, "selected_options", options[1:]},
			"radio_buttons":              {map[string]any{"options": options}, "b", "selected_option", options[1]},
			"datepicker":                 {nil, "2030-01-02", "selected_date", "2030-01-02"},
			"timepicker":                 {nil, "09:30", "selected_time", "09:30"},
			"file_input":                 {nil, []string{"F1"}, "files", []any{map[string]any{"id": "F1"}}},
		}
		var blocks []any
		values := slack.Values{}
		for kind, k := range kinds {
			element := map[string]any{"type": kind, "action_id": "act"}
			for name, v := range k.element {
				element[name] = v
			}
			blocks = append(blocks, map[string]any{"type": "input", "block_id": kind, "label": plain(kind), "element": element})
			values[kind+"/act"] = k.give
		}
		v := open(t, s, a, modal("All", map[string]any{"blocks": blocks}))
		o, err := s.SubmitView(context.Background(), "U0ANA", v.ID, values)
		wantStatus(t, o, err, slack.Acknowledged)
		for kind, k := range kinds {
			want := map[string]any{"type": kind, k.key: k.want}
			if diff := cmp.Diff(any(want), at(sent(t, o), "view", "state", "values", kind, "act")); diff != "" {
				t.Errorf("%s: %s", kind, diff)
			}
		}
	})
}

func TestOptionalInputsMayStayEmptyAndAreNull(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		v := open(t, s, a, modal("Form", map[string]any{"blocks": []any{map[string]any{
			"type": "input", "block_id": "name", "optional": true, "label": plain("Name"),
			"element": map[string]any{"type": "plain_text_input", "action_id": "text"},
		}}}))
		o, err := s.SubmitView(context.Background(), "U0ANA", v.ID, nil)
		wantStatus(t, o, err, slack.Acknowledged)
		input, _ := at(sent(t, o), "view", "state", "values", "name", "text").(map[string]any)
		if value, there := input["value"]; !there || value != nil {
			t.Errorf("got %v", input)
		}
	})
}

func TestWhatASubmissionCanBeAnsweredWith(t *testing.T) {
	inBubble(t, slack.Config{NoRateLimits: true}, func(t *testing.T, s *slack.Server, a *app) {
		var say any
		a.connect(func(e envelope) (any, bool) {
			if e.Type == "slash_commands" {
				return nil, true
			}
			return say, true
		})
		submit := func(answer any) (slack.Outcome, []string) {
			v := s.Views("U0ANA")
			if len(v) == 0 {
				v = []slack.View{open(t, s, a, modal("First", nil))}
			}
			say = answer
			o, err := s.SubmitView(context.Background(), "U0ANA", v[len(v)-1].ID, slack.Values{"name": "x"})
			if err != nil {
				t.Fatal(err)
			}
			var titles []string
			for _, v := range s.Views("U0ANA") {
				titles = append(titles, v.Title)
			}
			return o, titles
		}
		check := func(answer any, status slack.Status, action string, want ...string) slack.Outcome {
			t.Helper()
			o, got := submit(answer)
			if o.Status != status || o.ResponseAction != action || !cmp.Equal(want, got) {
				t.Errorf("%v: %s %q %q, forms %q, want %q", answer, o.Status, o.ResponseAction, o.Problem, got, want)
			}
			return o
		}
		o := check(map[string]any{"response_action": "errors", "errors": map[string]any{"name": "No."}}, slack.Acknowledged, "errors", "First")
		if o.Errors["name"] != "No." || s.Views("U0ANA")[0].Errors["name"] != "No." {
			t.Error("the error is not on show")
		}
		check(map[string]any{"response_action": "errors", "errors": map[string]any{"other": "No."}}, slack.SubmissionFailed, "errors", "First")
		check(map[string]any{"response_action": "errors"}, slack.SubmissionFailed, "errors", "First")
		check(map[string]any{"response_action": "explode"}, slack.SubmissionFailed, "explode", "First")
		check("text", slack.SubmissionFailed, "", "First")
		before := s.Views("U0ANA")[0]
		check(map[string]any{"response_action": "update", "view": modal("Changed", nil)}, slack.Acknowledged, "update", "Changed")
		if after := s.Views("U0ANA")[0]; after.ID != before.ID || after.Hash == before.Hash || len(after.Errors) != 0 {
			t.Error("an update keeps the ID, changes the hash and takes the errors away")
		}
		check(map[string]any{"response_action": "update", "view": modal(strings.Repeat("x", 25), nil)}, slack.SubmissionFailed, "update", "Changed")
		check(map[string]any{"response_action": "push", "view": modal("Second", nil)}, slack.Acknowledged, "push", "Changed", "Second")
		check(map[string]any{"response_action": "push", "view": modal("Third", nil)}, slack.Acknowledged, "push", "Changed", "Second", "Third")
		check(map[string]any{"response_action": "push", "view": modal("Fourth", nil)}, slack.SubmissionFailed, "push", "Changed", "Second", "Third")
		check(nil, slack.Acknowledged, "", "Changed", "Second")
		check(map[string]any{"response_action": "clear"}, slack.Acknowledged, "clear")
	})
}

func TestASubmissionThatIsNotAcknowledgedLeavesTheFormOpen(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(func(e envelope) (any, bool) { return nil, e.Type == "slash_commands" })
		v := open(t, s, a, modal("Form", nil))
		o, err := s.SubmitView(context.Background(), "U0ANA", v.ID, slack.Values{"name": "x"})
		wantStatus(t, o, err, slack.SubmissionFailed)
		if len(s.Views("U0ANA")) != 1 {
			t.Error("it is closed")
		}
	})
}

func TestUpdatingAFormChecksTheHash(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		v := open(t, s, a, modal("One", map[string]any{"external_id": "mine"}))
		wantError(t, a.callJSON("views.update", map[string]any{"view_id": v.ID, "hash": "0.x", "view": modal("Two", nil)}), "hash_conflict")
		wantOK(t, a.callJSON("views.update", map[string]any{"view_id": v.ID, "hash": v.Hash, "view": modal("Two", map[string]any{"external_id": "mine"})}))
		wantError(t, a.callJSON("views.update", map[string]any{"view_id": v.ID, "hash": v.Hash, "view": modal("Three", nil)}), "hash_conflict")
		wantOK(t, a.callJSON("views.update", map[string]any{"external_id": "mine", "view": modal("Four", nil)}))
		wantError(t, a.callJSON("views.update", map[string]any{"view_id": "V0NONE", "view": modal("Five", nil)}), "not_found")
		wantError(t, a.callJSON("views.update", map[string]any{"view": modal("Six", nil)}), "invalid_arguments")
		if got := s.Views("U0ANA"); len(got) != 1 || got[0].Title != "Four" || got[0].ID != v.ID {
			t.Errorf("got %+v", got)
		}
	})
}

func TestExternalIDsAreUnique(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		open(t, s, a, modal("One", map[string]any{"external_id": "mine"}))
		r := a.callJSON("views.open", map[string]any{"trigger_id": trigger(t, s, "U0BEN"), "view": modal("Two", map[string]any{"external_id": "mine"})})
		wantError(t, r, "duplicate_external_id")
	})
}

func TestAtMostThreeFormsLieOnOneAnother(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		withButton := func(title string) map[string]any {
			return modal(title, map[string]any{"blocks": button("more", "1"), "submit": nil})
		}
		wantError(t, a.callJSON("views.push", map[string]any{"trigger_id": trigger(t, s, "U0ANA"), "view": withButton("x")}), "not_found")
		v := open(t, s, a, withButton("1"))
		for i, want := range []string{"", "", "push_limit_reached"} {
			top := s.Views("U0ANA")[len(s.Views("U0ANA"))-1]
			o, err := s.ClickView(context.Background(), "U0ANA", top.ID, "more")
			wantStatus(t, o, err, slack.Acknowledged)
			if p := sent(t, o); at(p, "container", "type") != "view" || at(p, "view", "id") != top.ID || p["response_url"] != nil {
				t.Errorf("got %v", p)
			}
			r := a.callJSON("views.push", map[string]any{"trigger_id": sent(t, o)["trigger_id"], "view": withButton("next")})
			if r.str("error") != want {
				t.Fatalf("push %d: %v", i, r)
			}
		}
		stack := s.Views("U0ANA")
		if len(stack) != 3 || stack[2].RootViewID != v.ID || stack[2].PreviousViewID != stack[1].ID {
			t.Errorf("got %+v", stack)
		}
	})
}

func TestClosingIsToldOnlyWhereTheFormAskedForIt(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		c := a.connect(ackAll)
		v := open(t, s, a, modal("Quiet", nil))
		o, err := s.CloseView(context.Background(), "U0ANA", v.ID)
		wantStatus(t, o, err, slack.Acknowledged)
		if len(c.got("interactive")) != 0 || len(s.Views("U0ANA")) != 0 {
			t.Error("it was told")
		}
		v = open(t, s, a, modal("Loud", map[string]any{"notify_on_close": true}))
		o, err = s.CloseView(context.Background(), "U0ANA", v.ID)
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); p["type"] != "view_closed" || p["is_cleared"] != false || at(p, "view", "id") != v.ID {
			t.Errorf("got %v", p)
		}
		open(t, s, a, modal("All", map[string]any{"notify_on_close": true}))
		o, err = s.CloseAllViews(context.Background(), "U0ANA")
		wantStatus(t, o, err, slack.Acknowledged)
		if sent(t, o)["is_cleared"] != true {
			t.Error("is_cleared is not set")
		}
		v = open(t, s, a, modal("Below", map[string]any{"blocks": button("more", "1"), "submit": nil}))
		o, err = s.ClickView(context.Background(), "U0ANA", v.ID, "more")
		wantStatus(t, o, err, slack.Acknowledged)
		wantOK(t, a.callJSON("views.push", map[string]any{
			"trigger_id": sent(t, o)["trigger_id"], "view": modal("Above", map[string]any{"clear_on_close": true}),
		}))
		if _, err = s.CloseView(context.Background(), "U0ANA", s.Views("U0ANA")[1].ID); err != nil || len(s.Views("U0ANA")) != 0 {
			t.Errorf("clear_on_close leaves %d forms, %v", len(s.Views("U0ANA")), err)
		}
		if _, err := s.CloseAllViews(context.Background(), "U0ANA"); !errors.Is(err, slack.ErrNoView) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheHomeTab(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		o, err := s.OpenHome(context.Background(), "U0ANA")
		wantStatus(t, o, err, slack.Acknowledged)
		if e := at(sent(t, o), "event"); at(e, "type") != "app_home_opened" || at(e, "user") != "U0ANA" || at(e, "tab") != "home" || at(e, "channel") != s.DM("U0ANA") || at(e, "view") != nil {
			t.Errorf("got %v", e)
		}
		if _, err := s.ClickHome(context.Background(), "U0ANA", "go"); !errors.Is(err, slack.ErrNoView) {
			t.Errorf("got %v", err)
		}
		home := map[string]any{"type": "home", "callback_id": "home", "blocks": button("go", "7")}
		r := a.callJSON("views.publish", map[string]any{"user_id": "U0ANA", "view": home})
		wantOK(t, r)
		v, ok := s.Home("U0ANA")
		if !ok || v.Type != "home" || v.ID != at(r["view"], "id") {
			t.Fatalf("got %+v", v)
		}
		o, err = s.ClickHome(context.Background(), "U0ANA", "go")
		wantStatus(t, o, err, slack.Acknowledged)
		if p := sent(t, o); at(p, "actions", 0, "value") != "7" || at(p, "view", "type") != "home" || at(p, "container", "view_id") != v.ID || p["channel"] != nil {
			t.Errorf("got %v", p)
		}
		wantError(t, a.callJSON("views.publish", map[string]any{"user_id": "U0ANA", "hash": "0.x", "view": home}), "hash_conflict")
		wantOK(t, a.callJSON("views.publish", map[string]any{"user_id": "U0ANA", "hash": v.Hash, "view": home}))
		wantError(t, a.callJSON("views.publish", map[string]any{"user_id": "U0NONE", "view": home}), "invalid_arguments")
		wantError(t, a.callJSON("views.publish", map[string]any{"user_id": "U0ANA", "view": modal("x", nil)}), "invalid_arguments")
		o, err = s.OpenHome(context.Background(), "U0ANA")
		wantStatus(t, o, err, slack.Acknowledged)
		if at(sent(t, o), "event", "view", "id") != v.ID {
			t.Error("the published view is not in the event")
		}
	})
}

func TestWithoutAHomeTabNothingIsPublished(t *testing.T) {
	inBubble(t, slack.Config{NoHomeTab: true}, func(t *testing.T, s *slack.Server, a *app) {
		wantError(t, a.callJSON("views.publish", map[string]any{"user_id": "U0ANA", "view": map[string]any{"type": "home", "blocks": dividers(1)}}), "not_enabled")
	})
}

func TestWhatIsChosenInAFormStaysUntilItIsSent(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		a.connect(ackAll)
		option := func(v string) any { return map[string]any{"text": plain(v), "value": v} }
		blocks := []any{map[string]any{
			"type": "input", "block_id": "pick", "label": plain("Pick"), "dispatch_action": true,
			"element": map[string]any{"type": "static_select", "action_id": "menu", "options": []any{option("a"), option("b")}},
		}}
		v := open(t, s, a, modal("Form", map[string]any{"blocks": blocks}))
		o, err := s.ClickView(context.Background(), "U0ANA", v.ID, "menu", slack.Choosing("b"))
		wantStatus(t, o, err, slack.Acknowledged)
		wantOK(t, a.callJSON("views.update", map[string]any{"view_id": v.ID, "view": modal("Form", map[string]any{"blocks": blocks})}))
		o, err = s.SubmitView(context.Background(), "U0ANA", v.ID, nil)
		wantStatus(t, o, err, slack.Acknowledged)
		if got := at(sent(t, o), "view", "state", "values", "pick", "menu", "selected_option", "value"); got != "b" {
			t.Errorf("got %v", got)
		}
	})
}
