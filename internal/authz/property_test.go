package authz_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qlik-chatops/bot/internal/authz"
)

// forEachWorld runs a property on many drawn policies and facts. Each is drawn
// from its number alone, so a failure comes back with the same name.
func forEachWorld(t *testing.T, property func(t *testing.T, d *draw)) {
	t.Helper()
	for seed := range uint64(500) {
		d := &draw{Rand: rand.New(rand.NewPCG(seed, 1))}
		if property(t, d); t.Failed() {
			t.Fatalf("world %d", seed)
		}
	}
}

type draw struct{ *rand.Rand }

func pick[T any](d *draw, from []T) T { return from[d.IntN(len(from))] }

// some draws one to three different words as a YAML list.
func (d *draw) some(words ...string) string {
	d.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return "[" + strings.Join(words[:1+d.IntN(min(3, len(words)))], ", ") + "]"
}

func (d *draw) selectors(effect string) string {
	var keys []string
	for _, key := range []string{
		"who: " + d.some("anyone", "ops", "approvers", "sre"),
		"commands: " + d.some(`"@read"`, `"@people"`, `"@change"`, `"@gives-admin"`, `"@takes-admin"`, `"space *"`, "invite", `"*"`, "tenant apply", "roles"),
		"tenants: " + d.some("prod", "staging", `"*"`),
	} {
		if effect == "allow" || d.IntN(2) == 0 {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ", ")
}

func (d *draw) rule(name, effect string) string {
	keys := []string{"name: " + name, "effect: " + effect}
	if s := d.selectors(effect); s != "" {
		keys = append(keys, s)
	}
	if effect == "require" {
		demands := []string{
			fmt.Sprintf("approvals: {count: %d, from: %s}", 1+d.IntN(2), d.some("ops", "approvers", "sre")),
			pick(d, []string{"reason: required", "reason: INC"}),
			"channels: " + d.some("C0OPS", "C0APPROVE"),
		}
		d.Shuffle(len(demands), func(i, j int) { demands[i], demands[j] = demands[j], demands[i] })
		keys = append(keys, demands[:1+d.IntN(len(demands))]...)
	}
	return "  - {" + strings.Join(keys, ", ") + "}"
}

func (d *draw) rules() []string {
	out := make([]string, 1+d.IntN(6))
	for i := range out {
		out[i] = d.rule(fmt.Sprintf("r%d", i), pick(d, []string{"allow", "allow", "allow", "require", "deny"}))
	}
	return out
}

func (d *draw) load(t *testing.T, items []string) *authz.Policy {
	t.Helper()
	return load(t, strings.Replace(rules(items...), "rules:", "  sre:       {usergroups: [S0SRE, S0DBA]}\nrules:", 1))
}

func (d *draw) facts() authz.Facts {
	f := authz.Facts{
		Caller:  authz.Person{Team: "T0HOME", User: pick(d, []string{"U0ANA", "U0BEN", "U0DAN", "U0EVE"}), UserGroups: map[string]bool{}},
		Channel: pick(d, []string{"", "C0OPS", "C0APPROVE"}),
		Command: pick(d, slices.Sorted(maps.Keys(world().Commands))),
		Tenant:  pick(d, []string{"prod", "staging"}),
		Reason:  pick(d, []string{"", "INC-7", "INC-7", "because I say so"}),
	}
	for _, g := range []string{"S0SRE", "S0DBA"} {
		switch d.IntN(4) {
		case 0: // unknown
		case 1:
			f.Caller.UserGroups[g] = true
		default:
			f.Caller.UserGroups[g] = false
		}
	}
	if all := effectsOf(f.Command); d.IntN(3) > 0 {
		f.Effects = pick(d, all)
	}
	return f
}

// effectsOf returns what plans of a command may do.
func effectsOf(command string) []*authz.Effects {
	c := world().Commands[command]
	all := []*authz.Effects{{}}
	if c.MayGiveAdmin {
		all = append(all, &authz.Effects{GivesAdmin: true})
	}
	if c.MayTakeAdmin {
		all = append(all, &authz.Effects{TakesAdmin: true})
	}
	if c.MayGiveAdmin && c.MayTakeAdmin {
		all = append(all, &authz.Effects{GivesAdmin: true, TakesAdmin: true})
	}
	return all
}

// lost returns what of the first is missing in the second.
func lost[T any](first, second []T) []T {
	return slices.DeleteFunc(slices.Clone(first), func(a T) bool {
		return slices.ContainsFunc(second, func(b T) bool { return cmp.Equal(a, b) })
	})
}

func TestAddingARequireOrADenyNeverWidensPower(t *testing.T) {
	t.Parallel()
	narrowed := 0
	forEachWorld(t, func(t *testing.T, d *draw) {
		items, f := d.rules(), d.facts()
		before := d.load(t, items).Ask(f)
		added := d.rule("added", pick(d, []string{"require", "deny"}))
		after := d.load(t, append(items, added)).Ask(f)
		if after.Outcome > before.Outcome {
			t.Errorf("%s became %s by adding\n%s\n%s", before.Outcome, after.Outcome, added, after.Tree())
		}
		if gone := lost(before.Demands, after.Demands); len(gone) > 0 {
			t.Errorf("demands %v went away by adding\n%s", gone, added)
		}
		if gone := lost(before.Refusals, after.Refusals); len(gone) > 0 {
			t.Errorf("refusals %v went away by adding\n%s", gone, added)
		}
		if before.Confirm && !after.Confirm && len(after.Demands) == 0 {
			t.Errorf("nobody confirms and nobody approves after adding\n%s", added)
		}
		if after.Outcome < before.Outcome {
			narrowed++
		}
	})
	if narrowed < 25 {
		t.Errorf("only %d of the worlds were narrowed at all; the test has lost its teeth", narrowed)
	}
}

func TestTheOrderOfRulesNeverMatters(t *testing.T) {
	t.Parallel()
	forEachWorld(t, func(t *testing.T, d *draw) {
		items, f := d.rules(), d.facts()
		one := d.load(t, items).Ask(f)
		d.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		other := d.load(t, items).Ask(f)
		if diff := cmp.Diff(one, other,
			cmpopts.IgnoreFields(authz.Verdict{}, "Policy"),
			cmpopts.IgnoreFields(authz.RuleResult{}, "Line"),
		); diff != "" {
			t.Error(diff)
		}
		if one.Explain() != other.Explain() {
			t.Error("the explanations differ")
		}
	})
}

func TestKnowingLessNeverAllowsMore(t *testing.T) {
	t.Parallel()
	p := func(d *draw) (*authz.Policy, authz.Facts, authz.Facts) {
		f := d.facts()
		less := f
		less.Caller.UserGroups = maps.Clone(f.Caller.UserGroups)
		return d.load(t, d.rules()), f, less
	}
	t.Run("a membership", func(t *testing.T) {
		t.Parallel()
		forEachWorld(t, func(t *testing.T, d *draw) {
			p, f, less := p(d)
			delete(less.Caller.UserGroups, pick(d, []string{"S0SRE", "S0DBA"}))
			more, fewer := p.Ask(f), p.Ask(less)
			if fewer.Outcome > more.Outcome {
				t.Errorf("%s became %s\n%s", more.Outcome, fewer.Outcome, fewer.Tree())
			}
			// A membership that is known to be none may lift a demand, but
			// forgetting one never does.
			if gone := lost(more.Demands, fewer.Demands); len(gone) > 0 {
				t.Errorf("demands %v went away", gone)
			}
		})
	})
	t.Run("the channel or the reason", func(t *testing.T) {
		t.Parallel()
		forEachWorld(t, func(t *testing.T, d *draw) {
			p, f, less := p(d)
			*pick(d, []*string{&less.Channel, &less.Reason}) = ""
			if more, fewer := p.Ask(f), p.Ask(less); fewer.Outcome > more.Outcome || len(lost(more.Demands, fewer.Demands)) > 0 {
				t.Errorf("%s became %s\n%s", more.Outcome, fewer.Outcome, fewer.Tree())
			}
		})
	})
	t.Run("who, what or where", func(t *testing.T) {
		t.Parallel()
		forEachWorld(t, func(t *testing.T, d *draw) {
			p, _, less := p(d)
			*pick(d, []*string{&less.Caller.Team, &less.Caller.User, &less.Command, &less.Tenant}) = ""
			if v := p.Ask(less); v.Outcome != authz.Refused {
				t.Errorf("%s", v.Tree())
			}
		})
	})
}

func TestTheAnswerBeforeThePlanKeepsItsPromise(t *testing.T) {
	t.Parallel()
	turned := map[authz.Outcome]int{}
	forEachWorld(t, func(t *testing.T, d *draw) {
		p, f := d.load(t, d.rules()), d.facts()
		f.Effects = nil
		before := p.Ask(f)
		reachable := false
		for _, f.Effects = range effectsOf(f.Command) {
			after := p.Ask(f)
			turned[after.Outcome]++
			if after.Outcome == authz.Possible {
				t.Errorf("still open with a plan\n%s", after.Tree())
			}
			if before.Outcome == authz.Refused && after.Outcome != authz.Refused {
				t.Errorf("refused before the plan and %s after\n%s", after.Outcome, before.Tree())
			}
			if before.Outcome == authz.Allowed && after.Outcome != authz.Allowed && *f.Effects == (authz.Effects{}) {
				t.Errorf("allowed for good and then %s\n%s", after.Outcome, after.Tree())
			}
			if gone := lost(before.Demands, after.Demands); len(gone) > 0 {
				t.Errorf("demands %v went away with the plan", gone)
			}
			reachable = reachable || after.Allowed()
		}
		if world().Commands[f.Command].Class == authz.Change && before.Outcome == authz.Allowed {
			t.Errorf("a change was allowed for good before its plan\n%s", before.Tree())
		}
		if reachable && before.Outcome == authz.Refused {
			t.Errorf("some plan is allowed, and it was refused before\n%s", before.Tree())
		}
	})
	if turned[authz.Allowed] < 100 || turned[authz.Refused] < 100 {
		t.Errorf("the worlds are too much alike: %v", turned)
	}
}

func TestNothingIsAllowedUnlessSomeAllowRuleMatches(t *testing.T) {
	t.Parallel()
	forEachWorld(t, func(t *testing.T, d *draw) {
		v := d.load(t, d.rules()).Ask(d.facts())
		allowing := slices.ContainsFunc(v.Rules, func(r authz.RuleResult) bool { return r.Effect == authz.Allow && r.Match == authz.MatchYes })
		denying := slices.ContainsFunc(v.Rules, func(r authz.RuleResult) bool { return r.Effect == authz.Deny && r.Match == authz.MatchYes })
		if v.Allowed() && (!allowing || denying) {
			t.Error(v.Tree())
		}
		if (v.Outcome == authz.Refused) != (len(v.Refusals) > 0) {
			t.Errorf("refused without a reason, or a reason without refusing\n%s", v.Tree())
		}
	})
}
