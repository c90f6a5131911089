package slackapp

import (
	"context"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Home is what App Home shows to one person.
type Home struct {
	// Refused says why the person sees nothing; empty when they may.
	Refused string
	// Waiting are requests on which this person may decide now; Mine are the
	// person's own newest ones.
	Waiting, Mine []approval.Request
}

// homeRows bounds each list; a view holds 100 blocks.
const homeRows = 20

// PublishHome shows App Home to a person. Deciding happens on the card, so
// Home's only button opens a request's details.
func (a *App) PublishHome(ctx context.Context, user string, h Home) error {
	var blocks []slack.Block
	head := func(s string) { blocks = append(blocks, slack.NewHeaderBlock(plain(s, maxHeader))) }
	row := func(part string, i int, r approval.Request) {
		text := fmt.Sprintf("%s · %s: %s", r.ID, r.State, r.Plan.Title)
		b := slack.NewButtonBlockElement(ActionDetails, button(r.ID, r.Version), plain("Details", 75))
		blocks = append(blocks, slack.NewSectionBlock(plain(text, maxLine), nil, slack.NewAccessory(b),
			slack.SectionBlockOptionBlockID(fmt.Sprintf("%s.%d.%s", part, i, r.ID))))
		if len(r.Cards) > 0 && r.Cards[0].TS != "" && slackID(r.Cards[0].Channel) && part == "waiting" && !strings.HasPrefix(r.Cards[0].Channel, "D") {
			blocks = append(blocks, slack.NewContextBlock("", ours("Decide on its card in <#"+r.Cards[0].Channel+">, before "+date(r.ExpiresAt)+".")))
		}
	}
	none := func(s string) { blocks = append(blocks, slack.NewSectionBlock(plain(s, maxLine), nil, nil)) }
	if h.Refused != "" {
		head("Not available to you")
		none(h.Refused)
	} else {
		head("Waiting for you")
		for i, r := range h.Waiting[:min(len(h.Waiting), homeRows)] {
			row("waiting", i, r)
		}
		if len(h.Waiting) == 0 {
			none("Nothing waits for your decision.")
		}
		head("Your requests")
		for i, r := range h.Mine[:min(len(h.Mine), homeRows)] {
			row("mine", i, r)
		}
		if len(h.Mine) == 0 {
			none("You have not asked for anything yet. Type " + a.cfg.Command + " help in a channel to see what you may do.")
		}
	}
	_, err := a.api.PublishViewContext(ctx, slack.PublishViewContextRequest{
		UserID: user,
		View:   slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks}},
	})
	return classify("views.publish", err)
}
