package slackapp

import (
	"context"
	"fmt"
	"strconv"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
)

// A modal holds 100 blocks and 250 kB; this much of it is used for the plan.
const (
	detailBlocks = 90
	detailBytes  = 200_000
)

// detailLines is everything that a request will do or did, in full.
func detailLines(r approval.Request) []string {
	ls := []string{fmt.Sprintf("%s · %s · tenant %s · version %d", r.ID, r.State, r.Tenant, r.Version)}
	if r.Notice != "" {
		ls = append(ls, r.Notice)
	}
	for _, f := range r.Plan.Facts {
		ls = append(ls, f.Label+": "+f.Value)
	}
	ls = append(ls, stepLines(r, true)...)
	for _, n := range r.Plan.Notes {
		ls = append(ls, "Note: "+n)
	}
	if r.Reason != "" {
		ls = append(ls, "Reason: "+r.Reason)
	}
	ls = append(ls, "Typed: "+r.Text)
	if r.Outcome != "" {
		ls = append(ls, r.Outcome)
	}
	ls = append(ls, "Plan "+r.Digest, "Policy "+r.Policy)
	return wrapAll(ls)
}

// wrapAll is wrap for many lines.
func wrapAll(ls []string) []string {
	var all []string
	for _, l := range ls {
		all = append(all, wrap(l)...)
	}
	return all
}

// wrap cuts a line into pieces that are shown whole, at spaces where there are
// some.
func wrap(l string) []string {
	rest := []rune(clean(l, len(l)+2))
	var ls []string
	for len(rest) >= maxLine {
		cut := maxLine - 1
		for i := cut; i > cut/2; i-- {
			if rest[i] == ' ' {
				cut = i
				break
			}
		}
		ls = append(ls, string(rest[:cut]))
		rest = rest[cut:]
	}
	return append(ls, string(rest))
}

// readable says whether a person can read the whole plan behind Details. What
// cannot be read in full is not offered for a decision.
func readable(r approval.Request) bool {
	all := detailLines(r)
	bytes := 0
	for _, l := range all {
		bytes += len(l) + 8
	}
	return bytes <= detailBytes && len(chunks(all)) <= detailBlocks
}

// OpenDetails shows a request in full, to the person alone.
func (a *App) OpenDetails(ctx context.Context, trigger string, r approval.Request) error {
	var blocks []slack.Block
	for i, chunk := range chunks(detailLines(r)) {
		if i == detailBlocks {
			blocks = append(blocks, slack.NewSectionBlock(plain("The rest does not fit here.", maxLine), nil, nil))
			break
		}
		blocks = append(blocks, slack.NewSectionBlock(lines(chunk, maxLine), nil, nil, slack.SectionBlockOptionBlockID("d"+strconv.Itoa(i))))
	}
	_, err := a.api.OpenViewContext(ctx, trigger, slack.ModalViewRequest{
		Type: slack.VTModal, Title: plain("Details of "+r.ID, 24), Close: plain("Close", 24),
		Blocks: slack.Blocks{BlockSet: blocks}, CallbackID: "details",
	})
	return classify("views.open", err)
}
