package authz

import (
	"fmt"
	"slices"
	"strings"
)

// Ask judges the facts. Without Effects a change is Refused or at best
// [Possible], and Refused then means that no plan could change the answer; with
// Effects the answer is final. Reads are final at once.
//
// [Possible] permits planning with a client that can only read, and nothing
// else.
func (p *Policy) Ask(f Facts) Verdict {
	v := Verdict{Command: f.Command, Tenant: f.Tenant, Policy: p.digest}

	c, known := p.known.Commands[f.Command]
	if v.Refusals = p.unknown(f, known); len(v.Refusals) > 0 {
		return v
	}
	if c.Class != Change && f.Effects == nil {
		f.Effects = &Effects{} // a read has no plan, and nothing is open about it
	}
	if e := f.Effects; e != nil && (e.GivesAdmin && !c.MayGiveAdmin || e.TakesAdmin && !c.MayTakeAdmin) {
		v.Refusals = append(v.Refusals, Refusal{Kind: PlanExceeds, Text: fmt.Sprintf(
			"The plan would change administrator power, which %s is declared never to do. "+
				"That is a fault of the bot; please report it to its operators.", f.Command)})
	}

	allowed := MatchNo
	v.Rules = make([]RuleResult, 0, len(p.rules))
	for i := range p.rules {
		r := &p.rules[i]
		res := r.result(f, c)
		v.Rules = append(v.Rules, res)
		switch r.effect {
		case Allow:
			allowed = max(allowed, res.Match)
		case Deny:
			if res.Match == MatchYes {
				v.Refusals = append(v.Refusals, r.denial(res))
			}
		case Require:
			if res.Match == MatchYes {
				v.Refusals = append(v.Refusals, r.unmet(f)...)
				if r.demand != nil {
					d := *r.demand
					d.From = d.From.clone()
					v.Demands = append(v.Demands, d)
				}
			}
		}
	}
	if allowed == MatchNo {
		v.Refusals = append(v.Refusals, p.notAllowed(f, c, v.Rules))
	}
	v.Confirm = c.Class == Change && len(v.Demands) == 0

	switch {
	case len(v.Refusals) > 0:
		v.Outcome = Refused
	case f.Effects != nil && allowed == MatchYes:
		v.Outcome = Allowed
	default:
		v.Outcome = Possible
	}
	return v
}

// unknown refuses facts that no rule can be judged on.
func (p *Policy) unknown(f Facts, commandKnown bool) []Refusal {
	var out []Refusal
	add := func(format string, args ...any) {
		out = append(out, Refusal{Kind: UnknownFact, Text: fmt.Sprintf(format, args...)})
	}
	if f.Caller.Team == "" || f.Caller.User == "" {
		add("It could not be verified who is asking.")
	}
	switch {
	case commandKnown:
	case f.Command == "":
		add("It could not be told which command this is.")
	case slices.Contains(p.known.NotGoverned, f.Command):
		add("%s is not decided by the rules of the policy, so the rules cannot allow it.", f.Command)
	default:
		add("There is no command %s.%s", quote(f.Command), didYouMean(f.Command, keysOf(p.known.Commands)))
	}
	switch {
	case f.Tenant == "":
		add("It could not be told which tenant this is about.")
	case !slices.Contains(p.known.Tenants, f.Tenant):
		add("There is no tenant %s. The tenants are %s.", quote(f.Tenant), strings.Join(p.known.Tenants, ", "))
	}
	return out
}

func (r *rule) denial(res RuleResult) Refusal {
	text := r.message
	if text == "" {
		text = "The policy does not permit this."
	}
	for _, fact := range res.Facts {
		if fact.Match == MatchUnknown {
			text += " (The rule may not be about you: " + fact.Text + ", and what is unknown is refused. Try again in a minute.)"
		}
	}
	return Refusal{Kind: Denied, Rule: r.name, Text: text}
}

// unmet returns what a matching require rule asks for that was not given, as
// far as the caller can give it by asking again.
func (r *rule) unmet(f Facts) []Refusal {
	var out []Refusal
	if r.channels != nil && !slices.Contains(r.channels, f.Channel) {
		text := "This may be asked only in channel " + list(r.channels, "or") + ". Ask again there."
		out = append(out, Refusal{Kind: WrongChannel, Rule: r.name, Text: text, Channels: slices.Clone(r.channels)})
	}
	if r.reason != nil && !r.reason.satisfied(f.Reason) {
		var text string
		switch {
		case strings.TrimSpace(f.Reason) == "" && r.reason.pattern == nil:
			text = "A reason is required. Ask again with \"because …\" at the end of the command."
		case strings.TrimSpace(f.Reason) == "":
			text = fmt.Sprintf("A reason is required that matches %s. Ask again with \"because …\" at the end of the command.", r.reason.pattern)
		default:
			text = fmt.Sprintf("The reason must match %s. Ask again with such a reason after \"because\".", r.reason.pattern)
		}
		out = append(out, Refusal{Kind: NeedsReason, Rule: r.name, Text: text})
	}
	return out
}

// notAllowed explains which rules would have allowed the command had one thing
// been otherwise, and whom they do allow it.
func (p *Policy) notAllowed(f Facts, c Command, rules []RuleResult) Refusal {
	ref := Refusal{Kind: NotAllowed}
	var hints []string
	for i, r := range rules {
		fact, ok := r.onlyMiss()
		if r.Effect != Allow || !ok {
			continue
		}
		switch {
		case fact.Selector == "who" && fact.Match == MatchUnknown:
			hints = append(hints, fmt.Sprintf("Rule %q would allow it to %s, but %s. Try again in a minute.",
				r.Rule, groupWords(r.Groups, "and"), fact.Text))
			ref.Groups = append(ref.Groups, r.Groups...)
		case fact.Selector == "who":
			hints = append(hints, fmt.Sprintf("Rule %q allows it to %s; ask somebody there.",
				r.Rule, groupWords(r.Groups, "and")))
			ref.Groups = append(ref.Groups, r.Groups...)
		case fact.Selector == "tenants":
			hints = append(hints, fmt.Sprintf("Rule %q allows it to you elsewhere: %s.", r.Rule, fact.Text))
		case p.rules[i].commands.couldMatch(c):
			hints = append(hints, fmt.Sprintf("Rule %q does not: %s.", r.Rule, fact.Text))
		}
	}
	slices.Sort(ref.Groups)
	ref.Groups = slices.Compact(ref.Groups)
	ref.Text = fmt.Sprintf("No rule allows you %s on %s.", f.Command, f.Tenant)
	if len(hints) == 0 {
		hints = []string{"The people who keep the policy file can add a rule that does."}
	}
	ref.Text += " " + strings.Join(hints, " ")
	return ref
}

// onlyMiss returns the one selector for which the rule does not match, and
// false when there is none or more than one.
func (r RuleResult) onlyMiss() (Fact, bool) {
	var miss Fact
	n := 0
	for _, f := range r.Facts {
		if f.Match == MatchNo || f.Match == MatchUnknown {
			miss = f
			n++
		}
	}
	return miss, n == 1
}
