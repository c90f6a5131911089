package authz_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/authz"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	type facts = authz.Facts
	for _, c := range []struct {
		name  string
		rules []string
		facts facts
		edit  func(*facts)
		want  string
	}{
		{name: "an allowed read names its rule",
			rules: []string{anyoneMayRead}, facts: ana("roles"),
			want: `Allowed: roles on prod.
- Rule "anyone-may-read" allows it.`},
		{name: "an allowed change without approvals says who confirms",
			rules: []string{opsMayChange}, facts: ana("space create"),
			want: `Allowed: space create on prod.
- Rule "ops-may-change" allows it.
- No approvals are required; you confirm it yourself.`},
		{name: "an allowed change says whose approvals it needs",
			rules: []string{opsMayChange, powerNeedsTwo}, facts: ana("add-admin"),
			edit: func(f *facts) { f.Reason = "new lead"; f.Effects = &authz.Effects{GivesAdmin: true} },
			want: `Allowed: add-admin on prod.
- Rule "ops-may-change" allows it.
- Rule "power-needs-two" requires 2 approvals from group approvers within 4h. It must start within 15m after that.`},
		{name: "before the plan it says what the plan decides",
			rules: []string{opsMayChange, powerNeedsTwo, `  - {name: hands-off, effect: deny, commands: ["@takes-admin"]}`},
			facts: ana("tenant apply"), edit: func(f *facts) { f.Effects = nil },
			want: `Possible: tenant apply on prod.
- Rule "ops-may-change" allows it.
- Rule "hands-off" may refuse it: the plan decides whether it takes administrator power.
- Rule "power-needs-two" may require 2 approvals from group approvers within 4h and a reason: the plan decides whether it gives or takes administrator power.
- The answer is final when the plan is known.`},
		{name: "a denial gives the rule's message",
			rules: []string{opsMayChange, noSpaceDeletion}, facts: ana("space delete"),
			want: `Refused: space delete on prod.
- Rule "no-space-deletion": Spaces are kept.`},
		{name: "a denial without a message still has a sentence",
			rules: []string{opsMayChange, `  - {name: freeze, effect: deny}`}, facts: ana("space delete"),
			want: `Refused: space delete on prod.
- Rule "freeze": The policy does not permit this.`},
		{name: "a denial for an unknown membership says so",
			rules: []string{`  - {name: a, effect: allow, who: [anyone], commands: ["*"], tenants: ["*"]}`, `  - {name: d, effect: deny, who: [ops], message: Not ops.}`},
			facts: ana("roles"), edit: func(f *facts) { f.Caller = authz.Person{Team: "T0HOME", User: "U0EVE"} },
			want: `Refused: roles on prod.
- Rule "d": Not ops. (The rule may not be about you: whether the caller is in group ops is unknown (user group S0SRE could not be looked up), and what is unknown is refused. Try again in a minute.)`},
		{name: "not being allowed says who is",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller = person("U0EVE") },
			want: `Refused: space create on prod.
- No rule allows you space create on prod. Rule "ops-may-change" allows it to group ops; ask somebody there.`},
		{name: "not being allowed says where it would be",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["*"], tenants: [staging]}`}, facts: ana("roles"),
			want: `Refused: roles on prod.
- No rule allows you roles on prod. Rule "a" allows it to you elsewhere: the rule is about staging, not prod.`},
		{name: "not being allowed says what could not be looked up",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller = authz.Person{Team: "T0HOME", User: "U0EVE"} },
			want: `Refused: space create on prod.
- No rule allows you space create on prod. Rule "ops-may-change" would allow it to group ops, but whether the caller is in group ops is unknown (user group S0SRE could not be looked up). Try again in a minute.`},
		{name: "not being allowed says what the plan does beside",
			rules: []string{`  - {name: takers, effect: allow, who: [ops], commands: ["@takes-admin"], tenants: [prod]}`}, facts: ana("tenant apply"),
			edit: func(f *facts) { f.Effects = &authz.Effects{GivesAdmin: true, TakesAdmin: true} },
			want: `Refused: tenant apply on prod.
- No rule allows you tenant apply on prod. Rule "takers" does not: the plan also gives administrator power, which the rule does not name.`},
		{name: "what nobody may do says who can change that",
			rules: []string{opsMayChange}, facts: ana("roles"),
			want: `Refused: roles on prod.
- No rule allows you roles on prod. The people who keep the policy file can add a rule that does.`},
		{name: "what the caller can mend comes with what else is needed",
			rules: []string{opsMayChange, powerNeedsTwo, `  - {name: there, effect: require, channels: [C0B, C0A]}`}, facts: ana("add-admin"),
			edit: func(f *facts) { f.Effects = &authz.Effects{GivesAdmin: true} },
			want: `Refused: add-admin on prod.
- Rule "power-needs-two": A reason is required. Ask again with "because …" at the end of the command.
- Rule "there": This may be asked only in channel C0A or C0B. Ask again there.
- Rule "power-needs-two" requires 2 approvals from group approvers within 4h. It must start within 15m after that.`},
		{name: "a missing reason that has to match says what",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: '^INC-\d+'}`}, facts: ana("space create"),
			want: `Refused: space create on prod.
- Rule "r": A reason is required that matches ^INC-\d+. Ask again with "because …" at the end of the command.`},
		{name: "a reason that does not match says what would",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: '^INC-\d+'}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Reason = "please" },
			want: `Refused: space create on prod.
- Rule "r": The reason must match ^INC-\d+. Ask again with such a reason after "because".`},
		{name: "what does not exist is shown in quotes",
			rules: []string{opsMayChange}, facts: ana("space crate"),
			edit: func(f *facts) { f.Caller.User = ""; f.Tenant = "<!channel>\u202e" },
			want: `Refused: space crate on "<!channel>\u202e".
- It could not be verified who is asking.
- There is no command "space crate". Did you mean "space create"?
- There is no tenant "<!channel>\u202e". The tenants are prod, staging.`},
		{name: "facts that are missing altogether are named",
			rules: []string{opsMayChange}, facts: facts{},
			want: `Refused: (no command) on (no tenant).
- It could not be verified who is asking.
- It could not be told which command this is.
- It could not be told which tenant this is about.`},
		{name: "a command that rules do not govern says so",
			rules: []string{opsMayChange}, facts: ana("help"),
			want: `Refused: help on prod.
- help is not decided by the rules of the policy, so the rules cannot allow it.`},
		{name: "a plan beyond its command is a fault of the bot",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Effects = &authz.Effects{GivesAdmin: true} },
			want: `Refused: space create on prod.
- The plan would change administrator power, which space create is declared never to do. That is a fault of the bot; please report it to its operators.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.edit != nil {
				c.edit(&c.facts)
			}
			if diff := cmp.Diff(c.want, load(t, rules(c.rules...)).Ask(c.facts).Explain()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheTreeNamesEveryRuleWithTheFactsThatDecidedIt(t *testing.T) {
	t.Parallel()
	f := ana("tenant apply")
	f.Effects = nil
	f.Caller = authz.Person{Team: "T0HOME", User: "U0EVE", UserGroups: map[string]bool{"S0SRE": true}}
	got := load(t, rules(powerNeedsTwo, opsMayChange, noSpaceDeletion,
		`  - {name: staging, effect: allow, who: [approvers], commands: ["tenant *", roles], tenants: [staging]}`)).Ask(f).Tree()
	want := `possible: tenant apply on prod
  deny no-space-deletion (line 8): does not match
    commands: no, the rule does not cover tenant apply
    tenants: yes, the rule is about every tenant
    who: yes, the rule is about everybody
  allow ops-may-change (line 7): matches
    commands: yes, tenant apply is a @change
    tenants: yes, the rule names prod
    who: yes, the caller is in group ops (user group S0SRE)
  require power-needs-two (line 6): may match, the plan decides
    commands: open, the plan decides whether it gives or takes administrator power
    tenants: yes, the rule names prod
    who: yes, the rule is about everybody
    requires 2 approvals from group approvers within 4h and a reason
  allow staging (line 9): does not match
    commands: yes, tenant apply fits the pattern "tenant *"
    tenants: no, the rule is about staging, not prod
    who: no, the caller is not in group approvers
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
