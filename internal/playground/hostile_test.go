package playground_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// hostile are texts that try to notify people, to look like the bot's own
// words, to hide something, or to burst a limit.
func hostile() map[string]string {
	return map[string]string{
		"broadcasts":      "<!channel> <!here> <!everyone> @channel @here @everyone",
		"mentions":        "<@U0BEN> <@U0CLEO|ana> <!subteam^S0OPS> <#C0OPS> @ben",
		"formatting":      "*Approved* by _Ben_ ~denied~ `code` > quote :white_check_mark:",
		"new lines":       "fine\n*Approved by Ben*\n\nDone and verified by reading back.\r\nR1 · succeeded: x",
		"links":           "<https://evil.example.com|the policy> https://evil.example.com <mailto:ben@example.com|ben>",
		"right to left":   "\u202Enimda\u202C \u200F\u2067x\u2069 \u061C",
		"invisible":       "a\u200Bb\u200C\u200D\u2060\uFEFF\u00ADc \u3164 \u115F \U000E0041\U000E0042",
		"controls":        "a\x00b\x01\x1b[31mred\x7f\u0085\u2028\u2029",
		"broken UTF-8":    "a\xff\xfe\xc3(",
		"dates":           "<!date^0^{date}|Approved>",
		"quotes":          `"'` + "“”‘’`" + `" or "1"="1`,
		"JSON":            `{"type":"mrkdwn","text":"<!channel>"}`,
		"entities":        "&lt;!channel&gt; &amp;lt;!here&amp;gt;",
		"very long":       strings.Repeat("<!channel> Wort ", 200),
		"one long word":   strings.Repeat("x", 3000),
		"combining marks": "Z" + strings.Repeat("\u0351\u0489", 400),
		"spreadsheet":     "=HYPERLINK(1) +1 -1 @x",
	}
}

// TestHostileTextIsShownAndDoesNothing puts each text in every place that
// somebody outside the bot writes: the reason, a name in Qlik, the name of a
// role, names in Slack.
func TestHostileTextIsShownAndDoesNothing(t *testing.T) {
	t.Parallel()
	for i, name := range slices.Sorted(maps.Keys(hostile())) {
		if i%everyNth != 0 {
			continue
		}
		text := hostile()[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { hostileCase(t, text) })
		})
	}
}

func hostileCase(t *testing.T, text string) {
	p := start(t, playground.Options{})
	for _, id := range []string{playground.Ana, playground.Ben, playground.Dan} {
		if err := p.Slack.UpdateUser(id, func(u *slackemu.User) { u.DisplayName, u.RealName = text, text }); err != nil {
			t.Fatal(err)
		}
	}
	for _, tenant := range p.Tenants {
		u, _ := tenant.Server.UserByEmail("fay@example.com")
		if err := tenant.Server.UpdateUser(u.ID, func(u *qlikemu.User) { u.Name = text }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Tenant(playground.Prod).AddRole(qlikemu.Role{Name: text, Level: "admin"}); err != nil {
		t.Fatal(err)
	}

	types(t, p, playground.Ana, playground.ChannelOps, "add-admin fay@example.com because "+cut(text, 1000))
	c := card(t, p, playground.ChannelOps)
	const title = "Make fay@example.com an administrator (TenantAdmin) of prod"
	if got := textOf(c.Blocks[0]["text"]); c.Blocks[0]["type"] != "header" || got != title {
		t.Errorf("the card begins with %q", got)
	}
	first, _, _ := strings.Cut(c.Text, "\n")
	if _, rest, _ := strings.Cut(first, " · "); rest != "waiting: "+title {
		t.Errorf("the card's text begins with %q", first)
	}
	if bs := buttons(c.Blocks); bs["Approve"] == "" || bs["Deny"] == "" {
		t.Errorf("the card has the buttons %v", bs)
	}
	// What is shown of it stands in a line that begins with the bot's words.
	for _, b := range c.Blocks {
		for l := range strings.SplitSeq(textOf(b["text"]), "\n") {
			for _, start := range []string{"*Approved", "Done and verified", "R1 ·", "<", "@", "=", "{", "x"} {
				if strings.HasPrefix(strings.TrimSpace(l), start) {
					t.Errorf("a line of the card is not the bot's: %.60q", l)
				}
			}
		}
	}

	// The same texts in a title, in replies and in a form. Whether Slack's own
	// typing rules leave the role's name whole is of no matter here.
	types(t, p, playground.Ana, playground.ChannelOps, `invite new@example.com as "`+strings.ReplaceAll(text, `"`, `""`)+`"`)
	types(t, p, playground.Dan, playground.ChannelOps, text)
	types(t, p, playground.Dan, playground.ChannelOps, "add-admin "+text)
	types(t, p, playground.Dan, playground.ChannelOps, "help "+text)
	types(t, p, playground.Dan, playground.ChannelOps, "request show "+text)
	types(t, p, playground.Dan, playground.ChannelOps, "requests")
	if len(text) < 2900 {
		types(t, p, playground.Ana, playground.ChannelOps, "invite")
		for _, v := range p.Slack.Views(playground.Ana) {
			values := slackemu.Values{"emails": "other@example.com", "tenant": playground.Prod, "roles": text, "reason": cut(text, 1000)}
			out, err := p.Slack.SubmitView(t.Context(), playground.Ana, v.ID, values)
			if !errors.Is(err, slackemu.ErrInput) && (err != nil || !out.OK()) {
				t.Errorf("the form was not taken: %+v %v", out, err)
			}
		}
		settle()
	}
	if _, err := p.Slack.OpenHome(t.Context(), playground.Ben); err != nil {
		t.Fatal(err)
	}
	settle()
	if out := clicks(t, p, playground.Ben, playground.ChannelOps, c.TS, "request.details"); !out.OK() {
		t.Errorf("Details: %+v", out)
	}
	inert(t, p)

	// Nothing was written by any of it; what was approved is what runs.
	for _, call := range p.Tenant(playground.Prod).Calls() {
		if call.Write && call.Effect == qlikemu.EffectDone && !strings.Contains(call.Operation, "token") {
			t.Errorf("%s was sent", call.Operation)
		}
	}
	clicks(t, p, playground.Ben, playground.ChannelOps, c.TS, "request.approve")
	time.Sleep(5 * time.Second)
	synctest.Wait()
	if m, _ := p.Slack.Message(playground.ChannelOps, c.TS); !strings.Contains(m.Text, " · succeeded: "+title) {
		t.Errorf("after the approval the card says %.200q", m.Text)
	}
	inert(t, p)
	checkAlways(t, p)
}

// cut is at most n characters of a text.
func cut(s string, n int) string {
	if rs := []rune(s); len(rs) > n {
		return string(rs[:n])
	}
	return s
}

// inert wants everything that the bot has shown to anybody to notify nobody
// but whom the bot meant, and to hold no character that hides or turns text.
func inert(t *testing.T, p *playground.Playground) {
	t.Helper()
	meant := []string{playground.Ana, playground.Ben, playground.Cleo, playground.Dan}
	for _, c := range p.Slack.Channels() {
		for _, u := range p.Slack.Users() {
			for _, m := range p.Slack.MessagesFor(u.ID, c.ID) {
				for _, mention := range m.Mentions {
					if mention.Auto || mention.Kind != "user" || !slices.Contains(meant, mention.ID) {
						t.Errorf("a message sets off %+v: %.200s", mention, m.Text)
					}
					// The bot mentions people in its small print and in the
					// line on who asked, nowhere else.
					if mention.Source != "text" && !strings.Contains(mention.Source, "/elements/") {
						t.Errorf("%+v is not the bot's", mention)
					}
				}
				for l := range strings.SplitSeq(m.Text, "\n") {
					if strings.Contains(l, "<") && !strings.HasPrefix(l, "Asked by <@") && !strings.HasPrefix(l, "See <#") {
						t.Errorf("a line of the text holds markup that is not the bot's: %.100q", l)
					}
				}
				visible(t, m.Text)
				for _, l := range renderBlocks(m.Blocks) {
					visible(t, l)
				}
			}
		}
	}
	for _, u := range p.Slack.Users() {
		for _, v := range p.Slack.Views(u.ID) {
			for _, l := range renderBlocks(v.Blocks) {
				visible(t, l)
			}
		}
		if v, ok := p.Slack.Home(u.ID); ok {
			for _, l := range renderBlocks(v.Blocks) {
				visible(t, l)
			}
		}
	}
}

func visible(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Co)) {
			t.Errorf("%U is shown in %.120q", r, s)
			return
		}
	}
}

// TestManyAddressesAreTakenWholeOrNotAtAll: five hundred can be typed, ten
// thousand cannot, and nobody is invited by half.
func TestManyAddressesAreTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := start(t, playground.Options{})
		line := func(n int) string {
			var b strings.Builder
			b.WriteString("invite")
			for i := range n {
				fmt.Fprintf(&b, " p%d@example.com", i)
			}
			return b.String()
		}
		for n, say := range map[int]string{10_000: "too long to be a command", 600: "600 addresses are too many"} {
			out := types(t, p, playground.Ana, playground.ChannelOps, line(n))
			if !out.OK() || !strings.Contains(said(p, playground.Ana, playground.ChannelOps), say) {
				t.Errorf("%d addresses: %s %s %s", n, out.Status, out.Problem, said(p, playground.Ana, playground.ChannelOps))
			}
		}
		types(t, p, playground.Ana, playground.ChannelOps, line(500))
		c := card(t, p, playground.ChannelOps)
		if got := textOf(c.Blocks[0]["text"]); got != "Invite 500 people to prod" {
			t.Errorf("the card begins with %q", got)
		}
		clicks(t, p, playground.Ana, playground.ChannelOps, c.TS, "request.details")
		var details strings.Builder
		for _, v := range p.Slack.Views(playground.Ana) {
			details.WriteString(strings.Join(renderBlocks(v.Blocks), "\n"))
		}
		for i := range 500 {
			if !strings.Contains(details.String(), fmt.Sprintf("p%d@example.com", i)) {
				t.Fatalf("p%d@example.com is not in the details, and could be confirmed unseen", i)
			}
		}
		clicks(t, p, playground.Ana, playground.ChannelOps, c.TS, "request.confirm")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if m, _ := p.Slack.Message(playground.ChannelOps, c.TS); !strings.Contains(m.Text, " · succeeded: ") {
			t.Errorf("the card says %.300q", m.Text)
		}
		mails := map[string]int{}
		for _, m := range p.Tenant(playground.Prod).MailsSent() {
			mails[m.To]++
		}
		if len(mails) != 500 || len(p.Tenant(playground.Prod).MailsSent()) != 500 {
			t.Errorf("%d mails went to %d addresses", len(p.Tenant(playground.Prod).MailsSent()), len(mails))
		}
		checkAlways(t, p)
	})
}
