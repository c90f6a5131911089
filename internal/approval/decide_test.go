package approval_test

import (
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// act is one decision, at the request's current version unless said otherwise.
type act struct {
	kind    approval.DecisionKind
	who     approval.Voter
	refused approval.RefusalCode // empty: it counts
}

func yes(v approval.Voter) act { return act{kind: approval.Approve, who: v} }
func no(v approval.Voter) act  { return act{kind: approval.Deny, who: v} }
func but(a act, code approval.RefusalCode) act {
	a.refused = code
	return a
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	late := func(d approval.Demand) approval.Demand { d.LateMembers = true; return d }
	otherTeam := func(v approval.Voter) approval.Voter { v.Team = "T2"; return v }
	target := func(v approval.Voter) approval.Voter { v.Target = true; return v }
	for _, test := range []struct {
		name    string
		demands []approval.Demand
		targets []approval.Target // besides none, who is linked to Slack
		acts    []act
		want    approval.State
	}{
		{name: "the caller's confirmation is enough where nothing is demanded",
			acts: []act{{kind: approval.Confirm, who: ana}}, want: approval.Approved},
		{name: "nobody but the caller can confirm",
			acts: []act{{approval.Confirm, ben, approval.RefusedNotAsked}}, want: approval.Waiting},
		{name: "a namesake of another team cannot confirm",
			acts: []act{{approval.Confirm, otherTeam(ana), approval.RefusedNotAsked}}, want: approval.Waiting},
		{name: "nobody can approve what nobody was asked to approve",
			acts: []act{but(yes(ben), approval.RefusedState)}, want: approval.Waiting},
		{name: "nobody can deny what nobody was asked to decide, for they are not named",
			acts: []act{but(no(ben), approval.RefusedNotAsked)}, want: approval.Waiting},
		{name: "the caller confirms also what they are themselves the target of, when nothing is demanded",
			acts: []act{{kind: approval.Confirm, who: target(ana)}}, want: approval.Approved},

		{name: "one approval of two is not enough",
			demands: []approval.Demand{two()}, acts: []act{yes(ben)}, want: approval.Waiting},
		{name: "two approvals of two are enough",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), yes(dan)}, want: approval.Approved},
		{name: "a second approval of the same person does not count",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), but(yes(ben), approval.RefusedTwice)}, want: approval.Waiting},
		{name: "the caller cannot confirm what others must approve",
			demands: []approval.Demand{two()}, acts: []act{{approval.Confirm, ana, approval.RefusedState}}, want: approval.Waiting},
		{name: "somebody who is not named does not count",
			demands: []approval.Demand{two()}, acts: []act{but(yes(finn), approval.RefusedNotAsked)}, want: approval.Waiting},
		{name: "somebody who is not named cannot deny",
			demands: []approval.Demand{two()}, acts: []act{but(no(finn), approval.RefusedNotAsked)}, want: approval.Waiting},
		{name: "one denial ends it, whatever approvals there are",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), no(dan)}, want: approval.Denied},
		{name: "whoever approved may still deny",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), no(ben)}, want: approval.Denied},
		{name: "nothing follows on a denial",
			demands: []approval.Demand{two()}, want: approval.Denied,
			acts: []act{no(ben), but(yes(dan), approval.RefusedEnded), {approval.Cancel, ana, approval.RefusedEnded}, {approval.Withdraw, ben, approval.RefusedEnded}}},

		{name: "the caller's own approval never counts, although the policy names them",
			demands: []approval.Demand{{Rule: "a", Count: 1, Users: []string{"U0ANA", "U0BEN"}}},
			acts:    []act{but(yes(ana), approval.RefusedOwn)}, want: approval.Waiting},
		{name: "the caller's own approval never counts through a user group either",
			demands: []approval.Demand{{Rule: "a", Count: 1, UserGroups: []string{"S1"}, Members: []string{"U0ANA"}}},
			acts:    []act{but(yes(in(ana, "S1")), approval.RefusedOwn)}, want: approval.Waiting},
		{name: "the caller cancels and does not deny",
			demands: []approval.Demand{{Rule: "a", Count: 1, Users: []string{"U0ANA"}}},
			acts:    []act{but(no(ana), approval.RefusedOwn), {kind: approval.Cancel, who: ana}}, want: approval.Cancelled},
		{name: "the target's approval never counts",
			demands: []approval.Demand{two()}, acts: []act{but(yes(target(ben)), approval.RefusedTarget)}, want: approval.Waiting},
		{name: "the target cannot deny either",
			demands: []approval.Demand{two()}, acts: []act{but(no(target(ben)), approval.RefusedTarget)}, want: approval.Waiting},
		{name: "a target whom the plan names by Slack ID does not count, even when nobody noticed",
			demands: []approval.Demand{two()}, targets: []approval.Target{{Slack: "U0BEN"}},
			acts: []act{but(yes(ben), approval.RefusedTarget), yes(dan), yes(cleo)}, want: approval.Approved},
		{name: "a target who is not linked to Slack is nobody's equal",
			demands: []approval.Demand{two()}, targets: []approval.Target{{Email: "eve@example.com"}},
			acts: []act{yes(ben), yes(dan)}, want: approval.Approved},

		{name: "a member of the group counts",
			demands: []approval.Demand{security()}, acts: []act{yes(in(cleo, "S0SEC"))}, want: approval.Approved},
		{name: "a member of then who has left the group does not count",
			demands: []approval.Demand{security()}, acts: []act{but(yes(cleo), approval.RefusedNotAsked)}, want: approval.Waiting},
		{name: "whoever joined the group afterwards does not count",
			demands: []approval.Demand{security()}, acts: []act{but(yes(in(dan, "S0SEC")), approval.RefusedLate)}, want: approval.Waiting},
		{name: "whoever joined the group afterwards cannot deny",
			demands: []approval.Demand{security()}, acts: []act{but(no(in(dan, "S0SEC")), approval.RefusedLate)}, want: approval.Waiting},
		{name: "whoever joined afterwards counts where the demand says so",
			demands: []approval.Demand{late(security())}, acts: []act{yes(in(dan, "S0SEC"))}, want: approval.Approved},
		{name: "a member of another group does not count",
			demands: []approval.Demand{late(security())}, acts: []act{but(yes(in(dan, "S0OTHER", "")), approval.RefusedNotAsked)}, want: approval.Waiting},
		{name: "whoever is named besides the group counts whenever they joined it",
			demands: []approval.Demand{{Rule: "a", Count: 1, Users: []string{"U0DAN"}, UserGroups: []string{"S0SEC"}}},
			acts:    []act{yes(in(dan, "S0SEC"))}, want: approval.Approved},

		{name: "each demand must be met",
			demands: []approval.Demand{two(), security()}, acts: []act{yes(ben), yes(dan)}, want: approval.Waiting},
		{name: "one person in two demands counts once in each",
			demands: []approval.Demand{two(), security()}, acts: []act{yes(in(cleo, "S0SEC")), yes(ben)}, want: approval.Approved},
		{name: "one person in two demands does not count twice in one",
			demands: []approval.Demand{two(), security()}, acts: []act{yes(in(cleo, "S0SEC"))}, want: approval.Waiting},
		{name: "somebody who is late for one demand counts for the other alone",
			demands: []approval.Demand{two(), security()}, acts: []act{yes(in(dan, "S0SEC")), yes(ben)}, want: approval.Waiting},

		{name: "an approval that was taken back does not count",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), {kind: approval.Withdraw, who: ben}, yes(dan)}, want: approval.Waiting},
		{name: "an approval that was taken back can be given again, and counts once",
			demands: []approval.Demand{two()}, want: approval.Waiting,
			acts: []act{yes(ben), {kind: approval.Withdraw, who: ben}, yes(ben), but(yes(ben), approval.RefusedTwice)}},
		{name: "taking back takes nobody else's approval",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), {approval.Withdraw, dan, approval.RefusedNotAsked}, yes(dan)}, want: approval.Approved},
		{name: "an approval cannot be taken back twice",
			demands: []approval.Demand{two()}, want: approval.Waiting,
			acts: []act{yes(ben), {kind: approval.Withdraw, who: ben}, {approval.Withdraw, ben, approval.RefusedNotAsked}}},
		{name: "after the last approval none can be taken back",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), yes(dan), {approval.Withdraw, ben, approval.RefusedState}}, want: approval.Approved},
		{name: "after the last approval nobody can deny any more",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), yes(dan), but(no(cleo), approval.RefusedState)}, want: approval.Approved},
		{name: "an approval after the last one is turned away",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), yes(dan), but(yes(cleo), approval.RefusedState)}, want: approval.Approved},
		{name: "a second click on the confirmation is turned away",
			acts: []act{{kind: approval.Confirm, who: ana}, {approval.Confirm, ana, approval.RefusedState}}, want: approval.Approved},

		{name: "the caller can cancel while it waits",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), {kind: approval.Cancel, who: ana}}, want: approval.Cancelled},
		{name: "the caller can cancel what is approved and has not begun",
			demands: []approval.Demand{two()}, acts: []act{yes(ben), yes(dan), {kind: approval.Cancel, who: ana}}, want: approval.Cancelled},
		{name: "nobody else can cancel",
			demands: []approval.Demand{two()}, acts: []act{{approval.Cancel, ben, approval.RefusedNotAsked}, {approval.Cancel, otherTeam(ana), approval.RefusedNotAsked}}, want: approval.Waiting},

		{name: "the same user ID of another team is somebody else",
			demands: []approval.Demand{two(), security()}, want: approval.Waiting,
			acts: []act{but(yes(otherTeam(ben)), approval.RefusedNotAsked), but(yes(otherTeam(in(cleo, "S0SEC"))), approval.RefusedNotAsked), but(no(otherTeam(ben)), approval.RefusedNotAsked)}},
		{name: "the caller's user ID of another team is not a way round",
			demands: []approval.Demand{{Rule: "a", Count: 1, Users: []string{"U0ANA"}}},
			acts:    []act{but(yes(otherTeam(ana)), approval.RefusedNotAsked)}, want: approval.Waiting},
		{name: "nobody at all may do nothing at all",
			demands: []approval.Demand{{Rule: "a", Count: 1, Users: []string{"", "U0BEN"}, UserGroups: []string{""}, Members: []string{""}, LateMembers: true}},
			acts: []act{
				but(yes(approval.Voter{}), approval.RefusedNotAsked),
				but(yes(approval.Voter{UserGroups: []string{""}}), approval.RefusedNotAsked),
				but(yes(approval.Voter{Identity: approval.Identity{User: "U0BEN"}}), approval.RefusedNotAsked),
				but(yes(approval.Voter{Identity: approval.Identity{Team: "T1"}}), approval.RefusedNotAsked),
				but(no(approval.Voter{}), approval.RefusedNotAsked),
				{approval.Confirm, approval.Voter{}, approval.RefusedNotAsked},
				{approval.Cancel, approval.Voter{}, approval.RefusedNotAsked},
				{approval.Withdraw, approval.Voter{}, approval.RefusedNotAsked},
			}, want: approval.Waiting},
		{name: "a decision of no known kind is turned away",
			demands: []approval.Demand{two()}, want: approval.Waiting,
			acts: []act{{"", ben, approval.RefusedState}, {"Approve", ben, approval.RefusedState}, {"approve ", ben, approval.RefusedState}, {"force", ana, approval.RefusedState}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for i := range test.demands {
				test.demands[i].ExpiresIn = time.Hour
			}
			r := opened(t, test.demands...)
			r.Plan.Targets = append(r.Plan.Targets, test.targets...)
			counted := 0
			for _, a := range test.acts {
				if a.refused != "" {
					refused(t, r, a.kind, a.who, r.Version, start, a.refused)
					continue
				}
				decides(t, r, a.kind, a.who)
				counted++
			}
			inState(t, r, test.want)
			if len(r.Decisions) != counted {
				t.Errorf("%d decisions are kept, want %d", len(r.Decisions), counted)
			}
		})
	}
}

func TestARequestOfNobodyCannotBeConfirmedByNobody(t *testing.T) {
	t.Parallel()
	r := opened(t)
	r.Caller = approval.Identity{}
	refused(t, r, approval.Confirm, approval.Voter{}, 1, start, approval.RefusedNotAsked)
	refused(t, r, approval.Cancel, approval.Voter{}, 1, start, approval.RefusedNotAsked)
}

func TestADecisionKeepsWhoWhenAndWhatTheySaw(t *testing.T) {
	t.Parallel()
	r := opened(t, two(), security())
	at := start.Add(time.Minute)
	if _, err := r.Decide(approval.Approve, in(cleo, "S0SEC"), 1, at); err != nil {
		t.Fatal(err)
	}
	d := r.Decisions[0]
	if d.By != cleo.Identity || !d.At.Equal(at) || d.Version != 1 || d.Digest != r.Digest || d.Digest == "" {
		t.Errorf("kept %+v", d)
	}
	wantLists(t, "it counts for", d.Demands, []string{"needs-two", "security-agrees"})
	if len(r.VotesFor("needs-two")) != 1 || len(r.VotesFor("security-agrees")) != 1 || len(r.VotesFor("other")) != 0 {
		t.Error("the votes for each demand are not counted")
	}
}

func TestWhatFollowsOnADecisionIsStoredWithIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		demands         []approval.Demand
		acts            []act
		events          []string
		tasks, canceled []string
	}{
		{"an approval that is not the last one", []approval.Demand{two()}, []act{yes(ben)},
			[]string{"decided approve"}, []string{"card:R-1"}, nil},
		{"the last approval", []approval.Demand{two()}, []act{yes(ben), yes(dan)},
			[]string{"decided approve", "approved approved"}, []string{"card:R-1", "run:R-1"}, []string{"expire:R-1"}},
		{"the confirmation", nil, []act{{kind: approval.Confirm, who: ana}},
			[]string{"decided confirm", "approved approved"}, []string{"card:R-1", "run:R-1"}, []string{"expire:R-1"}},
		{"a denial", []approval.Demand{two()}, []act{no(ben)},
			[]string{"decided deny", "ended denied"}, []string{"card:R-1"}, []string{"expire:R-1"}},
		{"a cancellation", []approval.Demand{two()}, []act{yes(ben), yes(dan), {kind: approval.Cancel, who: ana}},
			[]string{"decided cancel", "ended cancelled"}, []string{"card:R-1"}, []string{"expire:R-1", "run:R-1"}},
		{"taking back", []approval.Demand{two()}, []act{yes(ben), {kind: approval.Withdraw, who: ben}},
			[]string{"decided withdraw"}, []string{"card:R-1"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := opened(t, test.demands...)
			var e approval.Effects
			for _, a := range test.acts {
				e = decides(t, r, a.kind, a.who)
			}
			wantLists(t, "records", events(e), test.events)
			wantLists(t, "tasks", keys(e), test.tasks)
			wantLists(t, "cancelled", e.Cancel, test.canceled)
			last := test.acts[len(test.acts)-1].who
			if first := e.Records[0]; first.Actor.User != last.User || first.Actor.Team != "T1" || first.Request != "R-1" ||
				first.Tenant != "prod" || first.Command != "add-admin" || first.Policy != "policy-digest" || first.Plan != r.Digest {
				t.Errorf("the record is %+v", first)
			}
			for _, task := range e.Tasks {
				if task.Kind == approval.TaskRun && (task.Lane != "tenant:prod" || task.Request != "R-1") {
					t.Errorf("the task is %+v", task)
				}
			}
			if r.State.Ended() == r.EndedAt.IsZero() {
				t.Errorf("%s, ended at %v", r.State, r.EndedAt)
			}
		})
	}
}

func TestAClickOnAnOlderCardCountsForNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []approval.DecisionKind{approval.Approve, approval.Deny, approval.Withdraw, approval.Cancel, approval.Confirm} {
		r := opened(t, two())
		decides(t, r, approval.Approve, ben)
		decides(t, r, approval.Approve, dan)
		if _, err := r.Replan(plan(), []approval.Demand{two()}, "p2", "The plan has changed.", start); err != nil {
			t.Fatal(err)
		}
		who := cleo
		if kind == approval.Cancel || kind == approval.Confirm {
			who = ana
		}
		for _, version := range []int{1, 0, -1, 3} {
			refused(t, r, kind, who, version, start, approval.RefusedVersion)
		}
	}
}

func TestTheTimeForVotesEndsAtItsVeryInstant(t *testing.T) {
	t.Parallel()
	end := start.Add(4 * time.Hour)
	for _, kind := range []approval.DecisionKind{approval.Approve, approval.Deny} {
		r := opened(t, two())
		refused(t, r, kind, ben, 1, end, approval.RefusedEnded)
		refused(t, r, kind, ben, 1, end.Add(time.Nanosecond), approval.RefusedEnded)
		if _, err := r.Decide(kind, ben, 1, end.Add(-time.Nanosecond)); err != nil {
			t.Errorf("%s just before the end: %v", kind, err)
		}
	}
	r := opened(t)
	refused(t, r, approval.Confirm, ana, 1, start.Add(approval.DefaultConfirmWithin), approval.RefusedEnded)
	refused(t, r, approval.Cancel, ana, 1, start.Add(approval.DefaultConfirmWithin), approval.RefusedEnded)
}
