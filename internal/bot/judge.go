package bot

import (
	"context"
	"errors"
	"slices"

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
		j.Refused = "It was not run: " + no.say.Title
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
	b.keepMembers(j.Demands, r.Demands)
	j.Counts, err = b.countAgain(ctx, r, j)
	return j, err
}

// keepMembers has a demand of today know its user groups as they were when
// the request was made: whoever joined later still does not count.
func (b *Bot) keepMembers(today, then []approval.Demand) {
	for i := range today {
		for _, d := range then {
			if d.Rule == today[i].Rule && slices.Equal(d.UserGroups, today[i].UserGroups) {
				today[i].Members = d.Members
			}
		}
	}
}

// countAgain finds out for each person who approved where they would count now.
func (b *Bot) countAgain(ctx context.Context, r approval.Request, j execution.Judgement) (map[approval.Identity][]string, error) {
	votes := r.Votes()
	r.Demands, r.Plan = j.Demands, j.Plan
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
