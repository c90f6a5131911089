package slack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func TestWhichMentionsFire(t *testing.T) {
	block := func(text any) map[string]any {
		return map[string]any{"blocks": []any{map[string]any{"type": "section", "text": text}}}
	}
	const inBlock = "/blocks/0/text/text"
	for _, c := range []struct {
		name string
		say  map[string]any
		want []slack.Mention
	}{
		{"broadcasts in text", map[string]any{"text": "<!channel> <!here|here> <!everyone>"}, []slack.Mention{
			{Kind: "channel", Source: "text"}, {Kind: "here", Source: "text"}, {Kind: "everyone", Source: "text"},
		}},
		{"people and groups in text", map[string]any{"text": "<@U0ANA> <@U0BEN|ben> <!subteam^S0OPS|@ops>"}, []slack.Mention{
			{Kind: "user", ID: "U0ANA", Source: "text"}, {Kind: "user", ID: "U0BEN", Source: "text"}, {Kind: "usergroup", ID: "S0OPS", Source: "text"},
		}},
		{"escaped", map[string]any{"text": "&lt;!channel&gt; &lt;@U0ANA&gt;"}, nil},
		{"dates and links are none", map[string]any{"text": "<!date^1392734382^{date}|then> <https://example.com|@here> <#C0OPS>"}, nil},
		{"plain words in text", map[string]any{"text": "@here @channel @ana"}, nil},
		{"plain words with link_names", map[string]any{"text": "@here @ana @ops", "link_names": true}, []slack.Mention{
			{Kind: "here", Source: "text", Auto: true}, {Kind: "user", ID: "U0ANA", Source: "text", Auto: true}, {Kind: "usergroup", ID: "S0OPS", Source: "text", Auto: true},
		}},
		{"plain words with parse=full", map[string]any{"text": "hi @everyone.", "parse": "full"}, []slack.Mention{{Kind: "everyone", Source: "text", Auto: true}}},
		{"plain words in mrkdwn", block(mrkdwn("hello @everyone, and (@here)!")), []slack.Mention{
			{Kind: "everyone", Source: inBlock, Auto: true}, {Kind: "here", Source: inBlock, Auto: true},
		}},
		{"plain words in verbatim mrkdwn", block(map[string]any{"type": "mrkdwn", "text": "@everyone", "verbatim": true}), nil},
		{"a token in verbatim mrkdwn", block(map[string]any{"type": "mrkdwn", "text": "<!here>", "verbatim": true}), []slack.Mention{{Kind: "here", Source: inBlock}}},
		{"names in mrkdwn are not linked", block(mrkdwn("@ana")), nil},
		{"an address is no mention", block(mrkdwn("here@here.example.com")), nil},
		{"plain_text is literal", block(plain("<!channel> @here <@U0ANA>")), nil},
		{"markdown", map[string]any{"blocks": []any{map[string]any{"type": "markdown", "text": "@here"}}}, []slack.Mention{{Kind: "here", Source: "/blocks/0/text", Auto: true}}},
		{"rich text is literal", map[string]any{"blocks": []any{rich(el("text", "text", "<!channel> @here"))}}, nil},
		{"rich text mentions by construction", map[string]any{"blocks": []any{rich(el("broadcast", "range", "channel"), el("user", "user_id", "U0ANA"), el("usergroup", "usergroup_id", "S0OPS"))}}, []slack.Mention{
			{Kind: "channel", Source: "/blocks/0/elements/0/elements/0"}, {Kind: "user", ID: "U0ANA", Source: "/blocks/0/elements/0/elements/1"},
			{Kind: "usergroup", ID: "S0OPS", Source: "/blocks/0/elements/0/elements/2"},
		}},
		{"attachments", map[string]any{"attachments": []any{map[string]any{"text": "<!here>"}}}, []slack.Mention{{Kind: "here", Source: "/attachments/0/text"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
				c.say["channel"] = "C0OPS"
				wantOK(t, a.callJSON("chat.postMessage", c.say))
				if diff := cmp.Diff(c.want, s.Messages("C0OPS")[0].Mentions); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestEveryStateOfAMessageKeepsItsMentions(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		r := a.call("chat.postMessage", "channel", "C0OPS", "text", "<!here>")
		wantOK(t, a.call("chat.update", "channel", "C0OPS", "ts", r.str("ts"), "text", "quiet"))
		m := s.Messages("C0OPS")[0]
		if len(m.Mentions) != 0 || len(m.Versions[0].Mentions) != 1 {
			t.Fatalf("got %+v", m)
		}
	})
}
