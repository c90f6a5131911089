package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// step is something that a browser does or waits for.
type step = chromedp.Action[chromedp.Void]

// browse starts the browser named by TEST_BROWSER with an empty profile.
func browse(t *testing.T) context.Context {
	t.Helper()
	binary := os.Getenv("TEST_BROWSER")
	if binary == "" {
		t.Skip("set TEST_BROWSER to the path of a Chromium to run the tests of the page in a browser")
	}
	flag := chromedp.Flag
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(binary), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
		flag("disable-background-networking", true), flag("disable-sync", true), flag("disable-component-update", true),
		flag("disable-quic", true), flag("hide-scrollbars", true),
	)
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	if err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*runtime.EventExceptionThrown); ok {
			t.Errorf("the page's script failed: %v", e.ExceptionDetails)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// do runs steps that together must not take long.
func do(ctx context.Context, t *testing.T, what string, steps ...step) {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(within, steps...); err != nil {
		if err := chromedp.Do(ctx, shot("failed")); err != nil {
			t.Log(err)
		}
		t.Fatalf("%s: %v", what, err)
	}
}

func click(css string) step { return chromedp.Click(chromedp.CSS(css)) }

func shown(css string) step { return chromedp.WaitVisible(chromedp.CSS(css)) }

func gone(css string) step { return chromedp.WaitNotPresent(chromedp.CSS(css)) }

// enter types into an input, after what is there.
func enter(css, keys string) step { return chromedp.SendKeys(chromedp.CSS(css), keys) }

// empty takes out what an input holds.
func empty(css string) step {
	return holds(fmt.Sprintf(`(document.querySelector(%q).value = "", true)`, css))
}

func keys(typed string) step { return chromedp.KeyEvent(typed) }

// holds waits until an expression is true in the page.
func holds(expression string) step {
	return chromedp.Steps(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(10*time.Second)))
}

// see waits until an element with this text is on show.
func see(css, text string) step {
	return holds(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.checkVisibility() && e.textContent.includes(%q))`, css, text))
}

func screen(width, height int64, dark bool) step {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Steps(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// shot writes a picture into the folder TEST_SHOTS, if it is set.
func shot(name string) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		dir := os.Getenv("TEST_SHOTS")
		if dir == "" {
			return nil
		}
		picture, err := chromedp.CaptureScreenshot()(ctx, t)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)
	})
}

// everySize takes pictures of the page as it stands.
func everySize(name string) step {
	var out []step
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 800}, {"tablet", 800, 900}, {"phone", 360, 740}} {
		for _, dark := range []bool{false, true} {
			full := fmt.Sprintf("%s-%s-%s", name, size.name, map[bool]string{true: "dark", false: "light"}[dark])
			out = append(out, screen(size.width, size.height, dark), settle(), shot(full))
		}
	}
	return chromedp.Steps(append(out, screen(1280, 800, false))...)
}

// settle waits for two frames, so that a picture shows the new size.
func settle() step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[chromedp.Void](`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`, chromedp.EvalAwaitPromise)(ctx, t)
		return err
	})
}

func TestABrowserShowsAndChangesWhatThePageHolds(t *testing.T) {
	ctx := browse(t)
	w := newWorld(t)
	a := newApp(t, w)
	server := httptest.NewServer(w)
	t.Cleanup(func() { // streams end with the page, and the server waits for them
		w.page.Close()
		server.Close()
	})
	t.Cleanup(a.stop)

	var posted obj
	a.connect(func(kind string, payload obj) (any, bool) {
		switch kind {
		case "slash_commands":
			switch text := payload["text"].(string); {
			case strings.HasPrefix(text, "add-admin"):
				asked := waiting()
				approve := asked["blocks"].([]any)[8].(obj)["elements"].([]any)[0].(obj)
				approve["confirm"] = obj{"title": plain("Approve this?"), "text": words("Ben Baum becomes *TenantAdmin* of prod."), "confirm": plain("Approve"), "deny": plain("Back")}
				posted = a.call("chat.postMessage", at("C0APPROVE", asked))
				return obj{"response_type": "ephemeral", "text": "Asked for approval in <#C0APPROVE>."}, true
			case strings.HasPrefix(text, "invite"):
				a.call("views.open", obj{"trigger_id": payload["trigger_id"], "view": inviteForm()})
			case strings.HasPrefix(text, "slow"):
				return nil, false
			}
			return nil, true
		case "events_api":
			a.call("views.publish", obj{"user_id": payload["event"].(obj)["user"], "view": obj{"type": "home", "blocks": []any{
				obj{"type": "header", "text": plain("Waiting for you")},
				obj{"type": "section", "text": plain("ADM-1 · waiting: Make Ben Baum an administrator of prod"), "accessory": button("request.details", "Details", "")},
				obj{"type": "header", "text": plain("Your requests")},
				obj{"type": "section", "text": plain("You have not asked for anything yet.")},
			}}})
			return nil, true
		case "interactive":
			return a.interact(payload, posted, w)
		}
		return nil, true
	})

	do(ctx, t, "open the page", screen(1280, 800, false), chromedp.Navigate(server.URL+"/"),
		shown(`html[data-live="yes"]`), see("#bot", "Bot connected"), everySize("empty"))
	do(ctx, t, "hints complete the command", chromedp.Focus(chromedp.CSS("#command")), keys("/qlik ad"),
		see("#hints", "Make somebody a tenant administrator"), shot("hints"), keys(kb.Tab),
		holds(`document.querySelector('#command').value === '/qlik add-admin '`),
		keys("@be"), see("#hints", "Ben Baum"), keys(kb.Tab), keys("because on call\r"),
		see("#timeline .message[data-ephemeral]", "Asked for approval in #approvals"), see("#timeline", "Only visible to you"), everySize("asked"))
	do(ctx, t, "the box remembers", keys(kb.ArrowUp),
		holds(`document.querySelector('#command').value === '/qlik add-admin @ben because on call'`), empty("#command"))
	do(ctx, t, "a plain message is refused", enter("#command", "hello\r"),
		see(`.note[data-note="not_a_command"]`, "carries commands only"),
		holds(`document.querySelector('#command').value === 'hello'`), empty("#command"))
	do(ctx, t, "an answer that does not come is shown", enter("#command", "/qlik slow\r"),
		see(`.note[data-note="operation_timeout"]`, "operation_timeout"), shot("failures"),
		holds(`document.querySelector('#command').value === '/qlik slow'`))

	do(ctx, t, "become Ben", click(`#as [data-user="U0BEN"]`), shown(`body[data-as="U0BEN"]`), shown(`html[data-live="yes"]`),
		click(`[data-channel="C0APPROVE"]`), shown(`body[data-here="C0APPROVE"]`), shown(`[data-action-id="request.approve"]`),
		shown(`html[data-live="yes"]`), everySize("card"))
	do(ctx, t, "details open as a dialog that Esc closes", click(`[data-action-id="request.details"]`),
		shown(`#views dialog[data-view]`), see("#views dialog", "Plan 5f3c"), everySize("details"),
		holds(`document.querySelector('#views dialog').matches(':modal')`),
		keys(kb.Escape), gone(`#views dialog`),
		holds(`document.activeElement.dataset.actionId === 'request.details'`))
	do(ctx, t, "approve", click(`[data-action-id="request.approve"]`), see("#confirm", "Approve this?"), shot("confirm"), click("#confirm .confirm"),
		see("#timeline .message", "succeeded"), see(`#tenant-prod .user[data-email="ben@example.com"] .roles`, "TenantAdmin"),
		see(`#tenant-prod .user[data-email="ben@example.com"]`, "changed"), see("#timeline .edited", "(edited)"), everySize("approved"))
	do(ctx, t, "a form", enter("#command", "/qlik invite\r"), shown("#views dialog"), everySize("form"),
		click("#views .submit"), see(`[data-error-for="emails"]`, "Please complete this required field"),
		enter("#views textarea", "nobody"), click("#views .submit"),
		see(`[data-error-for="emails"]`, "not an e-mail address"),
		holds(`document.querySelector('#views textarea').value === 'nobody'`), shot("form-errors"),
		enter("#views textarea", "@example.com"), click("#views .submit"), gone("#views dialog"))
	do(ctx, t, "App Home opens", click(`[data-channel="home"]`), shown(`body[data-here="home"]`), shown(`html[data-live="yes"]`), see("#timeline", "Waiting for you"), everySize("home"))
	do(ctx, t, "the weather", click("#weather summary"), click(`[data-fault="qlik-slow"]`),
		shown(`[data-fault="qlik-slow"][aria-pressed="true"]`), everySize("weather"),
		click(`[data-fault="reset"]`), shown(`[data-fault="qlik-slow"][aria-pressed="false"]`))
	do(ctx, t, "tenants on a phone", screen(360, 740, false), click(`[data-pane-link="tenants"]`), shown("#tenant-prod"),
		settle(), shot("tenants-phone-light"), chromedp.ScrollIntoView(chromedp.CSS("#tenant-prod")), screen(360, 740, true), settle(), shot("tenants-phone-dark"))
	do(ctx, t, "nothing is wider than a phone", holds(`document.documentElement.scrollWidth <= 360`))
}

func inviteForm() obj {
	return obj{
		"type": "modal", "callback_id": "command", "title": plain("/qlik invite"), "submit": plain("Continue"), "close": plain("Cancel"),
		"blocks": []any{
			obj{"type": "section", "text": plain("Invite people by e-mail.")},
			obj{"type": "input", "block_id": "tenant", "label": plain("Tenant"), "element": obj{"type": "static_select", "action_id": "value", "placeholder": plain("Choose a tenant"),
				"options": []any{obj{"text": plain("prod"), "value": "prod"}, obj{"text": plain("home"), "value": "home"}}, "initial_option": obj{"text": plain("prod"), "value": "prod"}}},
			obj{"type": "input", "block_id": "emails", "label": plain("E-mail addresses"), "hint": plain("One a line, or separated by commas."),
				"element": obj{"type": "plain_text_input", "action_id": "value", "multiline": true}},
			obj{"type": "input", "block_id": "lang", "optional": true, "label": plain("Language"), "element": obj{"type": "plain_text_input", "action_id": "value"}},
			obj{"type": "input", "block_id": "reason", "optional": true, "label": plain("Reason"), "element": obj{"type": "plain_text_input", "action_id": "value"}},
		},
	}
}

// interact plays what the bot does about clicks and forms.
func (a *app) interact(payload, posted obj, w *world) (any, bool) {
	if payload["type"] == "view_submission" {
		values := payload["view"].(obj)["state"].(obj)["values"].(obj)
		if text, _ := values["emails"].(obj)["value"].(obj)["value"].(string); !strings.Contains(text, "@") {
			return obj{"response_action": "errors", "errors": obj{"emails": "“" + text + "” is not an e-mail address."}}, true
		}
		return nil, true
	}
	actions, _ := payload["actions"].([]any)
	if len(actions) == 0 {
		return nil, true
	}
	switch actions[0].(obj)["action_id"] {
	case "request.details":
		a.call("views.open", obj{"trigger_id": payload["trigger_id"], "view": obj{
			"type": "modal", "title": plain("Details of ADM-1"), "close": plain("Close"), "callback_id": "details", "blocks": []any{
				obj{"type": "section", "text": plain("ADM-1 · waiting · tenant prod · version 1\nE-mail: ben@example.com\nSubject: auth|Ben Baum\n1. Give Ben Baum the role TenantAdmin\n   roles: SharedSpaceCreator → SharedSpaceCreator, TenantAdmin\nReason: on call\nTyped: add-admin @ben because on call")},
				obj{"type": "section", "text": plain("Plan 5f3c8d0c\nPolicy 11b2a9f4")},
			}}})
	case "request.approve":
		u, _ := w.prod.UserByEmail("ben@example.com")
		token := a.qlikToken(w)
		a.qlik(w, token, "GET", "/api/v1/users/"+u.ID, "")
		a.qlik(w, token, "PATCH", "/api/v1/users/"+u.ID, `[{"op":"replace","path":"/assignedRoles","value":[{"name":"SharedSpaceCreator"},{"name":"TenantAdmin"}]}]`)
		a.qlik(w, token, "POST", "/api/v1/users/actions/invite", `{"invitees":[{"email":"dora@example.com","name":"Dora"}]}`)
		done := card("succeeded", 2, "Rule prod-admin-power: 1 of 1 approvals", button("request.details", "Details", ""))
		done["ts"] = posted["ts"]
		a.call("chat.update", at("C0APPROVE", done))
	}
	return nil, true
}

// qlikToken signs in to the tenant as the bot does.
func (a *app) qlikToken(w *world) string {
	a.t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(`{"client_id":"client","client_secret":"`+"made"+`-up","grant_type":"client_credentials"}`))
	req.Header.Set("Content-Type", "application/json")
	w.prod.ServeHTTP(rec, req)
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || out.Token == "" {
		a.t.Errorf("no token: %d %s", rec.Code, rec.Body)
	}
	return out.Token
}

func (a *app) qlik(w *world, token, method, path, body string) {
	a.t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w.prod.ServeHTTP(rec, req)
	if rec.Code >= 300 {
		a.t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
}

func TestABrowserWithoutScriptsCanDoTheSame(t *testing.T) {
	ctx := browse(t)
	w := newWorld(t)
	a := newApp(t, w)
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		w.page.Close()
		server.Close()
	})
	t.Cleanup(a.stop)
	clicks := make(chan string, 1)
	a.connect(func(kind string, payload obj) (any, bool) {
		if kind == "interactive" {
			clicks <- payload["user"].(obj)["id"].(string)
			return nil, true
		}
		return obj{"response_type": "ephemeral", "text": "Got it", "blocks": []any{
			obj{"type": "actions", "block_id": "b", "elements": []any{button("request.confirm", "Confirm", "primary")}},
		}}, true
	})
	off := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
	do(ctx, t, "open the page", screen(360, 740, false), off, chromedp.Navigate(server.URL+"/"), shown("#command"), shown("#tenant-prod"), shot("noscript-phone"))
	do(ctx, t, "send a command", enter("#command", "/qlik help\r"), shown(`#timeline [data-ephemeral] [data-action-id="request.confirm"]`))
	do(ctx, t, "press a button", click(`[data-action-id="request.confirm"]`), shown(`#timeline [data-action-id="request.confirm"]`))
	select {
	case who := <-clicks:
		if who != "U0ANA" {
			t.Errorf("%s pressed it", who)
		}
	case <-time.After(10 * time.Second):
		t.Error("the bot heard of no click")
	}
}
