package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/authz"
	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/slackapp"
)

// judged is what the policy and the tenants say of a command as of now.
type judged struct {
	member  slackapp.Member // who asks
	plan    approval.Plan
	verdict authz.Verdict // allows it; its demands stand
}

// errElsewhere is a plan that would change another tenant than the policy was
// asked about. It is a fault of the command, not of whoever typed it.
var errElsewhere = errors.New("the plan reaches another tenant than the one that was judged")

// judge is the one way from words to a plan: who asks, whether the policy lets
// them plan it, the plan, and whether the policy allows that plan. New requests
// and approved ones about to run take it alike. Its error is a *refused where
// the answer is no, and any other where it could not be found out.
func (b *Bot) judge(ctx context.Context, a asked) (judged, error) {
	who, member, err := b.person(ctx, a.who())
	var stranger *slackapp.StrangerError
	if errors.As(err, &stranger) {
		return judged{}, &refused{
			why: "not a member: " + stranger.Rule, kind: "refused", because: "the person who asked may not use the bot any more.",
			say: commands.Reply{Title: stranger.Say, Lines: []string{"Nothing was changed."}},
		}
	}
	if err != nil {
		return judged{}, err
	}
	facts := authz.Facts{Caller: who, Channel: a.To.Channel, Command: a.Command, Tenant: a.Tenant, Reason: a.Reason}
	if v := b.policy.Ask(facts); v.Outcome == authz.Refused {
		return judged{}, refusedBy(v)
	}
	change, err := b.cat.Decode(a.Command, a.Args)
	if err != nil {
		b.log.Error("a stored command cannot be read", "request", a.ID, "error", err)
		return judged{}, &refused{
			why: "the stored command cannot be read", kind: "refused", because: "this version of the bot cannot read the command any more.",
			say: commands.Reply{Title: "This version of the bot cannot read that command any more. Nothing was changed.", Lines: []string{"Please type it again."}},
		}
	}
	plan, err := b.plan(ctx, change, a.who())
	if err != nil {
		return judged{}, err
	}
	if !within(plan, a.Tenant) {
		return judged{}, fmt.Errorf("%s on %s: %w", a.Command, a.Tenant, errElsewhere)
	}
	facts.Effects = &authz.Effects{GivesAdmin: plan.GivesAdmin(), TakesAdmin: plan.TakesAdmin()}
	verdict := b.policy.Ask(facts)
	if !verdict.Allowed() {
		return judged{}, refusedBy(verdict)
	}
	return judged{member: member, plan: plan, verdict: verdict}, nil
}

// Again plans an approved request anew and asks today's policy, just before
// its first step. It is the execution.Judge.
func (b *Bot) Again(ctx context.Context, r approval.Request) (execution.Judgement, error) {
	j := execution.Judgement{Policy: b.policy.Digest()}
	today, err := b.judge(ctx, asked{
		ID: r.ID, To: slackapp.ReplyTo{Who: r.Caller, Channel: r.Channel},
		Command: r.Command, Args: r.Args, Tenant: r.Tenant, Reason: r.Reason,
	})
	var no *refused
	switch {
	case errors.Is(err, errElsewhere):
		j.Refused = "It was not run, because the plan reaches another tenant than the one that was judged."
		return j, nil
	case errors.As(err, &no) && no.because != "":
		j.Refused = "It was not run, because " + no.because
		return j, nil
	case errors.As(err, &no) && !no.temporary:
		j.Refused = "It was not run: " + strings.TrimSuffix(no.say.Title, " Nothing was changed.")
		return j, nil
	case err != nil:
		return j, err
	}
	j.Plan = today.plan
	if j.Demands, err = b.demands(ctx, today.verdict.Demands); err != nil {
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
