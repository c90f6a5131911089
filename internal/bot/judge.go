package bot

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// Again plans an approved request anew and asks today's policy, just before
// its first step. It is the execution.Judge.
func (b *Bot) Again(ctx context.Context, r approval.Request) (execution.Judgement, error) {
	j := execution.Judgement{Policy: b.policy.Digest()}
	who, _, err := b.person(ctx, r.Caller)
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		j.Refused = "It was not run, because the person who asked may not use the bot any more."
		return j, nil
	}
	if err != nil {
		return j, err
	}
	facts := authz.Facts{Caller: who, Channel: r.Channel, Command: r.Command, Tenant: r.Tenant, Reason: r.Reason}
	if v := b.policy.Ask(facts); v.Outcome == authz.Refused {
		j.Refused = "It was not run, because the policy does not allow it (any more)."
		return j, nil
	}
	change, err := b.cat.Decode(r.Command, r.Args)
	if err != nil {
		b.log.Error("a stored command cannot be read", "request", r.ID, "error", err)
		j.Refused = "It was not run, because this version of the bot cannot read the command any more."
		return j, nil
	}
	j.Plan, err = b.plan(ctx, change, r.Caller)
	var no *refused
	if errors.As(err, &no) && !no.temporary {
		j.Refused = "It was not run: " + strings.TrimSuffix(no.say.Title, " Nothing was changed.")
		return j, nil
	}
	if err != nil {
		return j, err
	}
	if !within(j.Plan, r.Tenant) {
		j.Refused = "It was not run, because the plan reaches another tenant than the one that was judged."
		return j, nil
	}
	facts.Effects = &authz.Effects{GivesAdmin: j.Plan.GivesAdmin(), TakesAdmin: j.Plan.TakesAdmin()}
	v := b.policy.Ask(facts)
	if !v.Allowed() {
		j.Refused = "It was not run, because the policy does not allow it (any more)."
		return j, nil
	}
	if j.Demands, err = b.demands(ctx, v.Demands); err != nil {
		return j, err
	}
	counted := keepMembers(j.Demands, r.Demands)
	if why := unreachable(j.Demands, r.Caller, j.Plan.Targets); why != "" {
		j.Refused = "It was not run, because the policy asks for more approvals now than anybody could give."
		return j, nil
	}
	if len(j.Demands) > 0 && slices.ContainsFunc(r.Cards, func(at approval.Card) bool { return strings.HasPrefix(at.Channel, "D") }) {
		j.Refused = "It was not run, because the policy asks for approvals now, and nobody else sees a direct message. Ask again in a channel."
		return j, nil
	}
	j.Counts, err = b.countAgain(ctx, r, j.Plan, counted)
	return j, err
}

// keepMembers has a demand of today know its user groups as they were when
// the request was made: whoever joined later still does not count. It returns
// the demands by which earlier votes are counted. Where nobody noted then who
// was in a group, nobody counts for being in it now, so that the request asks
// again.
func keepMembers(today, then []approval.Demand) []approval.Demand {
	counted := slices.Clone(today)
	for i := range today {
		known := slices.IndexFunc(then, func(d approval.Demand) bool {
			return d.Rule == today[i].Rule && slices.Equal(d.UserGroups, today[i].UserGroups)
		})
		if known >= 0 {
			today[i].Members = then[known].Members
			counted[i].Members = then[known].Members
		} else {
			counted[i].Members = nil
		}
	}
	return counted
}

// countAgain finds out for each person who approved where they would count now.
func (b *Bot) countAgain(ctx context.Context, r approval.Request, plan approval.Plan, demands []approval.Demand) (map[approval.Identity][]string, error) {
	votes := r.Votes()
	r.Demands, r.Plan = demands, plan
	counts := map[approval.Identity][]string{}
	for _, vote := range votes {
		m, err := b.slack.Member(ctx, vote.By)
		var stranger *slackapp.StrangerError
		if errors.As(err, &stranger) {
			continue
		}
		if err != nil {
			return nil, err
		}
		voter, err := b.voter(ctx, r, m)
		if err != nil {
			return nil, err
		}
		if rules, no := r.Counts(voter); no == nil {
			counts[vote.By] = rules
		}
	}
	return counts, nil
}
