package authz_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/authz"
)

func TestTheVerdict(t *testing.T) {
	t.Parallel()
	type facts = authz.Facts
	var (
		givesAdmin = &authz.Effects{GivesAdmin: true}
		takesAdmin = &authz.Effects{TakesAdmin: true}
		givesTakes = &authz.Effects{GivesAdmin: true, TakesAdmin: true}
	)
	for _, c := range []struct {
		name  string
		rules []string
		facts facts // of ana, in ops, on prod, in C0OPS, with a plan that leaves admin power alone
		edit  func(*facts)
		want  authz.Outcome
		kinds []authz.Kind
	}{
		{name: "nothing is allowed without an allow rule",
			rules: []string{noSpaceDeletion}, facts: ana("roles"),
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "an allow rule allows what it covers",
			rules: []string{opsMayChange}, facts: ana("space create"), want: authz.Allowed},
		{name: "an allow rule does not allow another class",
			rules: []string{opsMayChange}, facts: ana("roles"),
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "reads that show people are not plain reads",
			rules: []string{anyoneMayRead}, facts: ana("admins"),
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "an allow rule does not allow somebody else",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller = person("U0EVE") },
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "a member of the user group is somebody of the group",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller = person("U0EVE"); f.Caller.UserGroups["S0SRE"] = true },
			want: authz.Allowed},
		{name: "a membership that could not be looked up allows nothing",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller = person("U0EVE"); f.Caller.UserGroups = nil },
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "somebody listed by ID needs no lookup",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller.UserGroups = nil }, want: authz.Allowed},
		{name: "an allow rule does not allow on another tenant",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["*"], tenants: [staging]}`}, facts: ana("roles"),
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "a star stands for every tenant",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["*"], tenants: ["*"]}`}, facts: ana("roles"), want: authz.Allowed},
		{name: "a pattern covers what it fits",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["space *"], tenants: [prod]}`}, facts: ana("space delete"), want: authz.Allowed},
		{name: "a name covers nothing that only begins with it",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: [space list], tenants: [prod]}`}, facts: ana("space show"),
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},

		{name: "one matching deny refuses whatever is allowed",
			rules: []string{opsMayChange, noSpaceDeletion}, facts: ana("space delete"),
			want: authz.Refused, kinds: []authz.Kind{authz.Denied}},
		{name: "a deny about other commands refuses nothing",
			rules: []string{opsMayChange, noSpaceDeletion}, facts: ana("space create"), want: authz.Allowed},
		{name: "a deny without selectors refuses everything",
			rules: []string{opsMayChange, `  - {name: freeze, effect: deny}`}, facts: ana("space create"),
			want: authz.Refused, kinds: []authz.Kind{authz.Denied}},
		{name: "a deny about other people refuses nobody else",
			rules: []string{opsMayChange, `  - {name: d, effect: deny, who: [approvers]}`}, facts: ana("space create"), want: authz.Allowed},
		{name: "a deny refuses somebody whose membership could not be looked up",
			rules: []string{`  - {name: a, effect: allow, who: [anyone], commands: ["*"], tenants: ["*"]}`, `  - {name: d, effect: deny, who: [ops]}`},
			facts: ana("space create"), edit: func(f *facts) { f.Caller = person("U0EVE"); f.Caller.UserGroups = nil },
			want: authz.Refused, kinds: []authz.Kind{authz.Denied}},
		{name: "every refusal is told at once",
			rules: []string{noSpaceDeletion, powerNeedsTwo, `  - {name: here, effect: require, channels: [C0APPROVE], reason: required}`},
			facts: ana("space delete"),
			want:  authz.Refused, kinds: []authz.Kind{authz.WrongChannel, authz.NeedsReason, authz.Denied, authz.NotAllowed}},

		{name: "a reason that is required and missing refuses",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: required}`}, facts: ana("space create"),
			want: authz.Refused, kinds: []authz.Kind{authz.NeedsReason}},
		{name: "a reason of spaces is none",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: required}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Reason = " \t" }, want: authz.Refused, kinds: []authz.Kind{authz.NeedsReason}},
		{name: "any reason will do where one is required",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: required}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Reason = "new team" }, want: authz.Allowed},
		{name: "a pattern may match anywhere in the reason",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: 'INC-\d+'}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Reason = "see INC-7, again" }, want: authz.Allowed},
		{name: "an anchored pattern matches where it is anchored",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: '^INC-\d+$'}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Reason = "see INC-7" }, want: authz.Refused, kinds: []authz.Kind{authz.NeedsReason}},
		{name: "a pattern that fits nothing at all still wants a reason",
			rules: []string{opsMayChange, `  - {name: r, effect: require, reason: '.*'}`}, facts: ana("space create"),
			want: authz.Refused, kinds: []authz.Kind{authz.NeedsReason}},
		{name: "a channel rule refuses in another channel",
			rules: []string{opsMayChange, `  - {name: r, effect: require, channels: [C0APPROVE]}`}, facts: ana("space create"),
			want: authz.Refused, kinds: []authz.Kind{authz.WrongChannel}},
		{name: "a channel rule refuses outside channels",
			rules: []string{opsMayChange, `  - {name: r, effect: require, channels: [C0APPROVE]}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Channel = "" }, want: authz.Refused, kinds: []authz.Kind{authz.WrongChannel}},
		{name: "a channel rule lets ask in its channels",
			rules: []string{opsMayChange, `  - {name: r, effect: require, channels: [C0APPROVE, C0OPS]}`}, facts: ana("space create"), want: authz.Allowed},

		{name: "a caller without a workspace is nobody",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller.Team = "" }, want: authz.Refused, kinds: []authz.Kind{authz.UnknownFact}},
		{name: "a caller without an ID is nobody",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Caller.User = "" }, want: authz.Refused, kinds: []authz.Kind{authz.UnknownFact}},
		{name: "an unknown command is refused under the widest policy",
			rules: []string{`  - {name: a, effect: allow, who: [anyone], commands: ["*"], tenants: ["*"]}`}, facts: ana("space crate"),
			want: authz.Refused, kinds: []authz.Kind{authz.UnknownFact}},
		{name: "a command that no rule governs is not allowed by rules",
			rules: []string{`  - {name: a, effect: allow, who: [anyone], commands: ["*"], tenants: ["*"]}`}, facts: ana("request approve"),
			want: authz.Refused, kinds: []authz.Kind{authz.UnknownFact}},
		{name: "an unknown tenant is refused under the widest policy",
			rules: []string{`  - {name: a, effect: allow, who: [anyone], commands: ["*"], tenants: ["*"]}`}, facts: ana("roles"),
			edit: func(f *facts) { f.Tenant = "" }, want: authz.Refused, kinds: []authz.Kind{authz.UnknownFact}},

		// Administrator power.
		{name: "a change is possible before its plan",
			rules: []string{opsMayChange}, facts: ana("space create"),
			edit: func(f *facts) { f.Effects = nil }, want: authz.Possible},
		{name: "a read needs no plan",
			rules: []string{anyoneMayRead}, facts: ana("roles"),
			edit: func(f *facts) { f.Effects = nil }, want: authz.Allowed},
		{name: "a change that nobody allows is refused before its plan",
			rules: []string{anyoneMayRead}, facts: ana("space create"),
			edit: func(f *facts) { f.Effects = nil }, want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "a deny about admin power waits for the plan",
			rules: []string{opsMayChange, `  - {name: d, effect: deny, commands: ["@gives-admin"]}`}, facts: ana("invite"),
			edit: func(f *facts) { f.Effects = nil }, want: authz.Possible},
		{name: "a deny about admin power refuses the plan that gives it",
			rules: []string{opsMayChange, `  - {name: d, effect: deny, commands: ["@gives-admin"]}`}, facts: ana("invite"),
			edit: func(f *facts) { f.Effects = givesAdmin }, want: authz.Refused, kinds: []authz.Kind{authz.Denied}},
		{name: "a deny about admin power lets the same command do less",
			rules: []string{opsMayChange, `  - {name: d, effect: deny, commands: ["@gives-admin"]}`}, facts: ana("invite"), want: authz.Allowed},
		{name: "an allow by admin power alone is possible before the plan",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin"], tenants: [prod]}`}, facts: ana("invite"),
			edit: func(f *facts) { f.Effects = nil }, want: authz.Possible},
		{name: "an allow by admin power alone refuses commands that never have it",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin"], tenants: [prod]}`}, facts: ana("space create"),
			edit: func(f *facts) { f.Effects = nil }, want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "an allow by admin power allows the plan that gives it",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin"], tenants: [prod]}`}, facts: ana("invite"),
			edit: func(f *facts) { f.Effects = givesAdmin }, want: authz.Allowed},
		{name: "an allow by admin power refuses the plan that gives none",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin"], tenants: [prod]}`}, facts: ana("invite"),
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "taking admin power does not cover giving it in the same plan",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@takes-admin"], tenants: [prod]}`}, facts: ana("tenant apply"),
			edit: func(f *facts) { f.Effects = givesTakes }, want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "giving admin power does not cover taking it in the same plan",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin"], tenants: [prod]}`}, facts: ana("tenant apply"),
			edit: func(f *facts) { f.Effects = givesTakes }, want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "one rule that names both covers both",
			rules: []string{`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin", "@takes-admin"], tenants: [prod]}`}, facts: ana("tenant apply"),
			edit: func(f *facts) { f.Effects = givesTakes }, want: authz.Allowed},
		{name: "two rules that name one each do not add up",
			rules: []string{
				`  - {name: a, effect: allow, who: [ops], commands: ["@gives-admin"], tenants: [prod]}`,
				`  - {name: b, effect: allow, who: [ops], commands: ["@takes-admin"], tenants: [prod]}`},
			facts: ana("tenant apply"), edit: func(f *facts) { f.Effects = givesTakes },
			want: authz.Refused, kinds: []authz.Kind{authz.NotAllowed}},
		{name: "a deny about one power refuses a plan with both",
			rules: []string{opsMayChange, `  - {name: d, effect: deny, commands: ["@takes-admin"]}`}, facts: ana("tenant apply"),
			edit: func(f *facts) { f.Effects = givesTakes }, want: authz.Refused, kinds: []authz.Kind{authz.Denied}},
		{name: "a plan that does more than its command ever may is refused",
			rules: []string{opsMayChange}, facts: ana("invite"),
			edit: func(f *facts) { f.Effects = takesAdmin }, want: authz.Refused, kinds: []authz.Kind{authz.PlanExceeds}},
		{name: "a read with effects is refused",
			rules: []string{anyoneMayRead}, facts: ana("roles"),
			edit: func(f *facts) { f.Effects = givesAdmin }, want: authz.Refused, kinds: []authz.Kind{authz.PlanExceeds}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.edit != nil {
				c.edit(&c.facts)
			}
			v := load(t, rules(c.rules...)).Ask(c.facts)
			var kinds []authz.Kind
			for _, r := range v.Refusals {
				kinds = append(kinds, r.Kind)
				if r.Text == "" {
					t.Errorf("a refusal without a sentence: %+v", r)
				}
			}
			if v.Outcome != c.want || v.Allowed() != (c.want == authz.Allowed) {
				t.Errorf("%s, want %s\n%s", v.Outcome, c.want, v.Tree())
			}
			if diff := cmp.Diff(c.kinds, kinds); diff != "" {
				t.Errorf("%s\n%s", diff, v.Tree())
			}
		})
	}
}

func TestDemands(t *testing.T) {
	t.Parallel()
	approvers := authz.Set{Groups: []string{"approvers"}, Users: []string{"U0BEN", "U0CLEO", "U0DAN"}}
	f := ana("add-admin")
	f.Reason = "new lead"
	f.Effects = &authz.Effects{GivesAdmin: true}

	t.Run("a demand carries what the rule says", func(t *testing.T) {
		t.Parallel()
		v := load(t, rules(opsMayChange, powerNeedsTwo)).Ask(f)
		want := []authz.Demand{{
			Rule: "power-needs-two", Count: 2, From: approvers,
			ExpiresIn: 4 * time.Hour, ExecuteWithin: 15 * time.Minute,
		}}
		if diff := cmp.Diff(want, v.Demands); diff != "" || !v.Allowed() || v.Confirm {
			t.Errorf("%s %s", v.Tree(), diff)
		}
	})
	t.Run("what it leaves out is a day and a quarter of an hour", func(t *testing.T) {
		t.Parallel()
		v := load(t, rules(opsMayChange, `  - {name: r, effect: require, approvals: {count: 1, from: [ops], late_members: true}}`)).Ask(f)
		want := []authz.Demand{{
			Rule: "r", Count: 1, ExpiresIn: 24 * time.Hour, ExecuteWithin: 15 * time.Minute, LateMembers: true,
			From: authz.Set{Groups: []string{"ops"}, Users: []string{"U0ANA", "U0BEN"}, UserGroups: []string{"S0SRE"}},
		}}
		if diff := cmp.Diff(want, v.Demands); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("every matching rule adds its own", func(t *testing.T) {
		t.Parallel()
		v := load(t, rules(opsMayChange, powerNeedsTwo, `  - {name: one-of-ops, effect: require, approvals: {count: 1, from: [ops]}}`)).Ask(f)
		if len(v.Demands) != 2 || v.Demands[0].Rule != "one-of-ops" || v.Demands[1].Rule != "power-needs-two" {
			t.Errorf("%+v", v.Demands)
		}
	})
	t.Run("a demand about admin power is not made before the plan", func(t *testing.T) {
		t.Parallel()
		f := f
		f.Effects, f.Reason = nil, ""
		v := load(t, rules(opsMayChange, powerNeedsTwo)).Ask(f)
		if v.Outcome != authz.Possible || len(v.Demands) != 0 {
			t.Error(v.Tree())
		}
	})
	t.Run("a demand applies to somebody whose membership could not be looked up", func(t *testing.T) {
		t.Parallel()
		f := f
		f.Caller = authz.Person{Team: "T0HOME", User: "U0EVE"}
		v := load(t, rules(`  - {name: a, effect: allow, who: [anyone], commands: ["*"], tenants: ["*"]}`,
			`  - {name: r, effect: require, who: [ops], approvals: {count: 1, from: [approvers]}}`)).Ask(f)
		if len(v.Demands) != 1 {
			t.Error(v.Tree())
		}
	})
	t.Run("a change without approvals asks its caller to confirm", func(t *testing.T) {
		t.Parallel()
		if v := load(t, rules(opsMayChange)).Ask(f); !v.Confirm {
			t.Error(v.Tree())
		}
	})
	t.Run("a read asks nobody to confirm", func(t *testing.T) {
		t.Parallel()
		if v := load(t, rules(anyoneMayRead)).Ask(ana("roles")); v.Confirm {
			t.Error(v.Tree())
		}
	})
	t.Run("what a verdict hands out cannot change the policy", func(t *testing.T) {
		t.Parallel()
		p := load(t, rules(opsMayChange, powerNeedsTwo))
		p.Ask(f).Demands[0].From.Users[0] = "U0EVE"
		p.UserGroups()[0] = "S0EVIL"
		if diff := cmp.Diff(approvers, p.Ask(f).Demands[0].From); diff != "" || p.UserGroups()[0] != "S0SRE" {
			t.Error(diff)
		}
	})
}

func TestHelpListsWhatTheCallerCouldStillAskFor(t *testing.T) {
	t.Parallel()
	p := load(t, rules(opsMayChange, noSpaceDeletion, `  - {name: r, effect: require, reason: required, channels: [C0APPROVE]}`))
	for command, want := range map[string]bool{
		"space create": true,  // a reason and another channel will do
		"space delete": false, // denied
		"roles":        false, // allowed to nobody
		"no such":      false,
	} {
		f := ana(command)
		f.Effects = nil
		if got := p.Ask(f).MayAsk(); got != want {
			t.Errorf("%s: got %v", command, got)
		}
	}
}

func TestAZeroPolicyAllowsNothing(t *testing.T) {
	t.Parallel()
	if v := new(authz.Policy).Ask(ana("roles")); v.Outcome != authz.Refused || len(v.Refusals) == 0 {
		t.Error(v.Tree())
	}
}
