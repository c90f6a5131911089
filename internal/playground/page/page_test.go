package page_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground/page"
)

// inBubble runs a test on fake time with a world and an app that is not
// connected yet.
func inBubble(t *testing.T, f func(t *testing.T, w *world, a *app)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		a := newApp(t, w)
		defer a.stop()
		f(t, w, a)
	})
}

// get is the page as somebody sees it somewhere.
func (w *world) get(as, channel string) string {
	w.t.Helper()
	rec := w.do(httptest.NewRequest(http.MethodGet, "/?"+url.Values{"as": {as}, "channel": {channel}}.Encode(), nil))
	if rec.Code != http.StatusOK {
		w.t.Fatalf("the page as %s in %s: %d %s", as, channel, rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	if r.Host == "example.com" { // httptest's own
		r.Host = "127.0.0.1:8080"
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// post sends a form as the page's script does.
func (w *world) post(path, as, channel string, pairs ...string) obj {
	w.t.Helper()
	rec := w.do(form(path, true, as, channel, pairs...))
	var out obj
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
		w.t.Fatalf("POST %s %v: %d %s", path, pairs, rec.Code, rec.Body)
	}
	return out
}

func form(path string, scripted bool, as, channel string, pairs ...string) *http.Request {
	values := url.Values{"as": {as}, "channel": {channel}}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if scripted {
		r.Header.Set("Accept", "application/json")
	}
	return r
}

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if t.Failed() && testing.Verbose() {
		t.Log(text)
	}
}

func lacks(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, bad := range unwanted {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// part is the piece of a page from one mark to the next.
func part(t *testing.T, text, from, to string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, from)
	if !ok {
		t.Fatalf("the page lacks %q", from)
	}
	inner, _, _ := strings.Cut(after, to)
	return inner
}

func TestEverybodySeesTheirOwnChannelsAndMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		a.call("chat.postMessage", at("C0OPS", obj{"text": "for everybody"}))
		a.call("chat.postEphemeral", obj{"channel": "C0OPS", "user": "U0ANA", "text": "for Ana alone"})

		ana := w.get("U0ANA", "C0OPS")
		contains(t, ana, "for everybody", "for Ana alone", "Only visible to you", `data-user="U0ANA" aria-current="true"`, `data-channel="C0APPROVE"`, `data-channel="home"`)
		ben := w.get("U0BEN", "C0OPS")
		contains(t, ben, "for everybody")
		lacks(t, ben, "for Ana alone", "Only visible to you", `data-channel="C0PARTNER"`)
		contains(t, part(t, ben, `data-user="U0CLEO"`, "</a>"), `<span class="count">1<span class="sr"> new</span></span>`, "approver")
		lacks(t, part(t, w.get("U0BEN", "C0OPS"), `data-user="U0BEN"`, "</a>"), "new") // seen by now

		eve := w.get("U0EVE", "home") // not a member: no Home of this app
		contains(t, eve, `data-here="C0PARTNER"`, "external")
		lacks(t, eve, `data-channel="C0OPS"`, `data-channel="home"`)
		contains(t, w.get("U0GUS", ""), "deactivated")
		contains(t, w.get("U0NOBODY", "C0NOWHERE"), `data-as="U0ANA" data-here="C0OPS"`)
	})
}

func TestAMessageSaysWhenItWasEdited(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		ts := a.call("chat.postMessage", at("C0OPS", obj{"text": "first words"}))["ts"]
		lacks(t, w.get("U0ANA", "C0OPS"), "(edited)")
		time.Sleep(time.Minute)
		a.call("chat.update", obj{"channel": "C0OPS", "ts": ts, "text": "after"})
		now := w.get("U0ANA", "C0OPS")
		contains(t, now, "after", "(edited)", `<time datetime="2000-01-01T00:00:00Z" title="Saturday, January 1, 2000, 00:00:00">00:00</time>`)
		lacks(t, now, "first words")
	})
}

func TestEveryTypeOfBlockIsShown(t *testing.T) {
	option := func(s string) obj { return obj{"text": plain(s), "value": strings.ToLower(s)} }
	options := []any{option("One"), option("Two")}
	blocks := map[string]struct {
		block obj
		want  []string
	}{
		"header":  {obj{"type": "header", "text": plain("A *head*")}, []string{`<h3 class="b b-header" dir="auto">A *head*</h3>`}},
		"section": {obj{"type": "section", "text": words("*bold* <@U0BEN>"), "fields": []any{plain("left"), words("_right_")}}, []string{"<strong>bold</strong>", "@Ben Baum", `<div class="t" dir="auto">left</div>`, "<em>right</em>"}},
		"plain text is literal": {obj{"type": "section", "text": plain("<@U0BEN> *b* &amp;\n<b>")},
			[]string{"&lt;@U0BEN&gt; *b* &amp;amp;\n&lt;b&gt;"}},
		"accessory": {obj{"type": "section", "text": plain("x"), "accessory": button("a.b", "Press", "danger")},
			[]string{`class="btn danger" data-value="ADM-1.1" aria-label="Press: ADM-1" data-action-id="a.b"`}},
		"picture in a section": {obj{"type": "section", "text": plain("x"), "accessory": obj{"type": "image", "image_url": "https://example.com/x.png", "alt_text": "A graph"}}, []string{`aria-label="A graph"`}},
		"context":              {obj{"type": "context", "elements": []any{words("*why*"), obj{"type": "image", "image_url": "https://example.com/x.png", "alt_text": "A face"}}}, []string{"b-context", "<strong>why</strong>", "A face"}},
		"actions":              {obj{"type": "actions", "elements": []any{button("go", "Go", "primary"), button("stop", "Stop", "")}}, []string{`class="btn primary"`, `class="btn "`, `data-action-id="stop"`}},
		"divider":              {obj{"type": "divider"}, []string{`<hr class="b b-divider">`}},
		"image":                {obj{"type": "image", "image_url": "https://example.com/x.png", "alt_text": "A <map>", "title": plain("Title")}, []string{"Picture: A &lt;map&gt;", `<figcaption dir="auto">Title</figcaption>`}},
		"markdown":             {obj{"type": "markdown", "text": "**strong** and\n- item"}, []string{"<strong>strong</strong>", "<li>item</li>"}},
		"rich text": {obj{"type": "rich_text", "elements": []any{
			obj{"type": "rich_text_section", "elements": []any{
				obj{"type": "text", "text": "*literal* <b>"}, obj{"type": "text", "text": "loud", "style": obj{"bold": true, "italic": true}},
				obj{"type": "user", "user_id": "U0BEN"}, obj{"type": "usergroup", "usergroup_id": "S0APP"}, obj{"type": "channel", "channel_id": "C0OPS"},
				obj{"type": "broadcast", "range": "here"}, obj{"type": "emoji", "name": "lock"}, obj{"type": "link", "url": "https://example.com/"},
				obj{"type": "date", "timestamp": 0, "format": "{date_num}", "fallback": "then"}, obj{"type": "color", "value": "#fff"},
			}},
			obj{"type": "rich_text_list", "style": "ordered", "offset": 2, "elements": []any{obj{"type": "rich_text_section", "elements": []any{obj{"type": "text", "text": "third"}}}}},
			obj{"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": []any{obj{"type": "rich_text_section", "elements": []any{obj{"type": "text", "text": "deeper"}}}}},
			obj{"type": "rich_text_preformatted", "elements": []any{obj{"type": "text", "text": "a  b"}}},
			obj{"type": "rich_text_quote", "elements": []any{obj{"type": "text", "text": "said"}}},
		}}, []string{
			"<p>*literal* &lt;b&gt;<strong><em>loud</em></strong>", "@Ben Baum", "@approvers", "#qlik-ops", "@here", "🔒", `<a href="https://example.com/"`, "1970-01-01", "<code>#fff</code>",
			`<ol start="3"><li>third</li></ol>`, "<ul><li><ul><li>deeper</li></ul></li></ul>", "<pre>a  b</pre>", "<blockquote>said</blockquote>",
		}},
		"menu":      {obj{"type": "actions", "elements": []any{obj{"type": "static_select", "action_id": "pick", "placeholder": plain("Choose one"), "options": options, "initial_option": options[1]}}}, []string{`<select id="`, `aria-label="Choose one"`, `<option value="two" selected>Two</option>`, `data-sends="pick">Choose</button>`}},
		"groups":    {obj{"type": "actions", "elements": []any{obj{"type": "static_select", "action_id": "pick", "placeholder": plain("?"), "option_groups": []any{obj{"label": plain("Some"), "options": options}}}}}, []string{`<optgroup label="Some">`}},
		"people":    {obj{"type": "actions", "elements": []any{obj{"type": "users_select", "action_id": "who", "initial_user": "U0BEN"}}}, []string{`<option value="U0BEN" selected>Ben Baum</option>`}},
		"channels":  {obj{"type": "actions", "elements": []any{obj{"type": "conversations_select", "action_id": "where"}}}, []string{`<option value="C0OPS">#qlik-ops</option>`}},
		"many":      {obj{"type": "section", "text": plain("x"), "accessory": obj{"type": "multi_static_select", "action_id": "m", "placeholder": plain("?"), "options": options, "initial_options": options}}, []string{`<select multiple`, `<option value="one" selected>One</option><option value="two" selected>Two</option>`}},
		"boxes":     {obj{"type": "actions", "elements": []any{obj{"type": "checkboxes", "action_id": "c", "options": options, "initial_options": options[:1]}}}, []string{`type="checkbox"`, `value="one" checked`}},
		"radios":    {obj{"type": "actions", "elements": []any{obj{"type": "radio_buttons", "action_id": "r", "options": options}}}, []string{`type="radio"`}},
		"overflow":  {obj{"type": "section", "text": plain("x"), "accessory": obj{"type": "overflow", "action_id": "o", "options": options}}, []string{`<summary class="btn" aria-label="More actions">`, `data-value="two">Two</button>`}},
		"date":      {obj{"type": "actions", "elements": []any{obj{"type": "datepicker", "action_id": "d", "initial_date": "2031-02-03"}}}, []string{`type="date" value="2031-02-03"`}},
		"time":      {obj{"type": "actions", "elements": []any{obj{"type": "timepicker", "action_id": "t", "initial_time": "04:05"}}}, []string{`type="time" value="04:05"`}},
		"input":     {obj{"type": "input", "block_id": "in", "label": plain("Say <it>"), "hint": plain("Hint"), "element": obj{"type": "plain_text_input", "action_id": "v", "initial_value": `"><script>`}}, []string{"Say &lt;it&gt;", `value="&#34;&gt;&lt;script&gt;"`, `aria-required="true"`, `-hint"`, ">Hint</p>"}},
		"long text": {obj{"type": "input", "optional": true, "label": plain("L"), "element": obj{"type": "plain_text_input", "action_id": "v", "multiline": true, "initial_value": "</textarea><b>", "max_length": 99}}, []string{"&lt;/textarea&gt;&lt;b&gt;</textarea>", `maxlength="99"`, "(optional)"}},
		"e-mail":    {obj{"type": "input", "label": plain("L"), "element": obj{"type": "email_text_input", "action_id": "v"}}, []string{`type="email"`}},
		"number":    {obj{"type": "input", "label": plain("L"), "element": obj{"type": "number_input", "action_id": "v", "is_decimal_allowed": false, "min_value": "1", "max_value": "9"}}, []string{`type="number"`, `min="1" max="9" step="1"`}},
		"several":   {obj{"type": "input", "label": plain("Which"), "element": obj{"type": "checkboxes", "action_id": "v", "options": options}}, []string{`role="group" aria-labelledby="`}},
	}
	for name, tc := range blocks {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, a *app) {
				a.call("chat.postMessage", at("C0OPS", obj{"text": "t", "blocks": []any{tc.block}}))
				shown := part(t, w.get("U0ANA", "C0OPS"), `<article`, `</article>`)
				contains(t, shown, tc.want...)
				lacks(t, shown, "ZgotmplZ", "cannot show")
			})
		})
	}
}

func TestNothingThatPeopleOrQlikWriteBecomesMarkup(t *testing.T) {
	const (
		id      = `<script>alert(1)</script>" onmouseover="x` // what the app chose comes back to it as it is
		hostile = id + "\u202egpj.exe"
	)
	inBubble(t, func(t *testing.T, w *world, a *app) {
		w.slack.AddUser(slackemu.User{ID: "U0BAD", Name: "bad", RealName: hostile})
		w.slack.AddChannel(slackemu.Channel{ID: "C0BAD", Name: hostile, BotIsMember: true, Members: []string{"U0ANA"}})
		w.addUser(w.prod, hostile, "bad@example.com")
		a.call("chat.postMessage", at("C0OPS", obj{"text": hostile + " <@U0BAD> <javascript:alert(1)|x>"}))
		a.call("chat.postMessage", at("C0OPS", obj{"text": hostile, "blocks": []any{
			obj{"type": "header", "text": plain(strings.TrimSpace(hostile))}, obj{"type": "section", "block_id": id, "text": words(hostile)},
			obj{"type": "actions", "elements": []any{obj{"type": "button", "action_id": id, "value": id, "text": plain(hostile), "accessibility_label": hostile}}},
		}}))
		text := w.get("U0ANA", "C0OPS")
		lacks(t, text, "<script>alert", `" onmouseover=`, "\u202e", "javascript:alert")
		contains(t, text, "&lt;script&gt;alert(1)&lt;/script&gt;", "‹U&#43;202E›gpj.exe")
		if extra := regexp.MustCompile(`<script[^>]*>`).FindAllString(text, -1); len(extra) != 1 {
			t.Errorf("scripts on the page: %q, want its own alone", extra)
		}
		if inline := regexp.MustCompile(`(?i)<[^>]+\s(on\w+|style)="`).FindString(text); inline != "" {
			t.Errorf("the page needs something inline, which its policy forbids: %s", inline)
		}
	})
}

func TestTheBoxOffersTheCommandsAndThePeople(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		contains(t, w.get("U0ANA", "C0OPS"),
			`data-kind="command" data-key="/qlik add-admin" data-insert="/qlik add-admin"`, "&lt;person&gt; [from T] [for D]", "Make somebody a tenant administrator",
			`data-kind="person" data-key="@ben"`, `role="combobox"`)
		rec := w.do(httptest.NewRequest(http.MethodGet, "/?as=U0ANA&channel=C0OPS&draft="+url.QueryEscape(`/qlik "x"`), nil))
		contains(t, rec.Body.String(), `value="/qlik &#34;x&#34;"`)
		contains(t, w.get("U0CLEO", "C0OPS"), `href="/?as=U0ANA&amp;channel=C0OPS&amp;draft=%2Fqlik&#43;add-admin`)
	})
}

func TestTheTenantsAreShown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, _ *app) {
		text := part(t, w.get("U0ANA", "C0OPS"), `id="tenant-prod"`, `id="tenant-prod-calls"`)
		contains(t, text, "2 people", "1 active admin", `data-email="cleo@example.com"`, `<span class="role admin">`, "production.eu.qlikcloud.example")
		row := part(t, text, `data-email="ben@example.com"`, "</tr>")
		contains(t, row, "SharedSpaceCreator", `data-status="active"`)
		lacks(t, row, "TenantAdmin")
	})
}

func TestAPageThatIsClosedAnswersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.page.Close()
	if rec := w.do(httptest.NewRequest(http.MethodGet, "/", nil)); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", rec.Code)
	}
}

func TestOnlyThisMachineIsAnswered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		listen, host string
		want         int
	}{
		"the address listened on":                   {"127.0.0.1:8080", "127.0.0.1:8080", 200},
		"localhost":                                 {"127.0.0.1:8080", "localhost:8080", 200},
		"through a forwarded port":                  {"127.0.0.1:8080", "localhost:9999", 200},
		"another address of the loopback interface": {"127.0.0.1:8080", "127.0.0.2:8080", 200},
		"IPv6":                                 {"[::1]:8080", "[::1]:8080", 200},
		"a name that may resolve to anything":  {"127.0.0.1:8080", "rebind.example.com:8080", 421},
		"a name that only begins like ours":    {"127.0.0.1:8080", "localhost.example.com", 421},
		"an address that looks like ours":      {"127.0.0.1:8080", "127.0.0.1.example.com", 421},
		"another machine's address":            {"127.0.0.1:8080", "192.0.2.7:8080", 421},
		"no host":                              {"127.0.0.1:8080", "", 421},
		"a name that is listened on":           {"demo.example.com:8080", "DEMO.example.com:8080", 200},
		"any address when listening on all":    {"0.0.0.0:8080", "192.0.2.7:8080", 200},
		"any address with an empty host":       {":8080", "192.0.2.7:8080", 200},
		"but no name when listening on all":    {"0.0.0.0:8080", "rebind.example.com:8080", 421},
		"without an address, loopback alone":   {"", "192.0.2.7:8080", 421},
		"without an address, loopback as well": {"", "127.0.0.1:8080", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *page.Config) { c.Listen = tc.listen })
			for _, path := range []string{"/", "/static/app.css"} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host = tc.host
				rec := httptest.NewRecorder()
				w.page.ServeHTTP(rec, r)
				if rec.Code != tc.want {
					t.Errorf("GET %s for %q: %d, want %d", path, tc.host, rec.Code, tc.want)
				}
			}
		})
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		headers map[string]string
		want    int
	}{
		"this page":                           {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, 303},
		"this page in an old browser":         {map[string]string{"Origin": "http://127.0.0.1:8080"}, 303},
		"another site":                        {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://example.com"}, 403},
		"a site next door":                    {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9090"}, 403},
		"another site in an old browser":      {map[string]string{"Origin": "https://example.com"}, 403},
		"another port in an old browser":      {map[string]string{"Origin": "http://127.0.0.1:9090"}, 403},
		"a page without an origin of its own": {map[string]string{"Origin": "null"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, path := range []string{"/ui/weather", "/ui/command", "/ui/act"} {
				r := form(path, false, "U0ANA", "C0OPS", "fault", "qlik-slow", "text", "hello", "act", "")
				r.Header.Del("Sec-Fetch-Site")
				for k, v := range tc.headers {
					r.Header.Set(k, v)
				}
				if rec := w.do(r); rec.Code != tc.want {
					t.Errorf("POST %s: %d, want %d", path, rec.Code, tc.want)
				}
			}
			if on := len(w.prod.Faults()) > 0; on != (tc.want == 303) {
				t.Errorf("the weather changed: %v", on)
			}
		})
	}
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.do(httptest.NewRequest(http.MethodGet, "/", nil))
	policy := rec.Header().Get("Content-Security-Policy")
	contains(t, policy, "default-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'")
	lacks(t, policy, "unsafe", "http")
	for _, m := range regexp.MustCompile(`(?:src|<link[^>]+href)="([^"]+)"`).FindAllStringSubmatch(rec.Body.String(), -1) {
		got := w.do(httptest.NewRequest(http.MethodGet, strings.ReplaceAll(m[1], "&amp;", "&"), nil))
		if !strings.HasPrefix(m[1], "/static/") || got.Code != http.StatusOK || got.Body.Len() == 0 {
			t.Errorf("%s: %d", m[1], got.Code)
		}
		if strings.Contains(m[1], "?v=") != strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s is kept as %q", m[1], got.Header().Get("Cache-Control"))
		}
	}
	if got := w.do(httptest.NewRequest(http.MethodGet, "/static/page.html", nil)); got.Code != http.StatusNotFound {
		t.Errorf("a file that is no asset: %d", got.Code)
	}
	if got := w.do(httptest.NewRequest(http.MethodGet, "/ui/weather", nil)); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("a change by GET: %d", got.Code)
	}
}
