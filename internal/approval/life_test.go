package approval_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

func TestANewRequestWaitsAndItsCardAndItsDeadlineAreOwed(t *testing.T) {
	t.Parallel()
	r := &approval.Request{ID: "R-1", Caller: ana.Identity, Tenant: "prod", Plan: plan(), Demands: []approval.Demand{two(), security()}}
	e, err := r.Open(start)
	if err != nil {
		t.Fatal(err)
	}
	inState(t, r, approval.Waiting)
	digest, err := r.Plan.Digest()
	if err != nil || r.Version != 1 || r.Digest != digest || !r.CreatedAt.Equal(start) {
		t.Errorf("version %d, digest %s (%v), made at %v", r.Version, r.Digest, err, r.CreatedAt)
	}
	// The shortest of the demands counts.
	if want := start.Add(2 * time.Hour); !r.ExpiresAt.Equal(want) {
		t.Errorf("it expires at %v, want %v", r.ExpiresAt, want)
	}
	wantLists(t, "records", events(e), []string{"planned waiting"})
	wantLists(t, "tasks", keys(e), []string{"card:R-1", "expire:R-1"})
	for _, task := range e.Tasks {
		want := start
		if task.Kind == approval.TaskExpire {
			want = r.ExpiresAt
		}
		if !task.RunAt.Equal(want) || task.Request != "R-1" || task.Once {
			t.Errorf("the task is %+v", task)
		}
	}
}

func TestWhatMakesNoSenseIsNotOpened(t *testing.T) {
	t.Parallel()
	demand := func(change func(*approval.Demand)) []approval.Demand {
		d := two()
		change(&d)
		return []approval.Demand{security(), d}
	}
	for name, spoil := range map[string]func(*approval.Request){
		"a plan without steps":            func(r *approval.Request) { r.Plan.Steps = nil },
		"a request of nobody":             func(r *approval.Request) { r.Caller = approval.Identity{} },
		"a caller without a team":         func(r *approval.Request) { r.Caller.Team = "" },
		"a demand for no approval":        func(r *approval.Request) { r.Demands = demand(func(d *approval.Demand) { d.Count = 0 }) },
		"a demand for fewer than none":    func(r *approval.Request) { r.Demands = demand(func(d *approval.Demand) { d.Count = -1 }) },
		"a demand without a name":         func(r *approval.Request) { r.Demands = demand(func(d *approval.Demand) { d.Rule = "" }) },
		"two demands of one name":         func(r *approval.Request) { r.Demands = demand(func(d *approval.Demand) { d.Rule = "security-agrees" }) },
		"a step that is not JSON":         func(r *approval.Request) { r.Plan.Steps[0].Params = json.RawMessage("{") },
		"a step that two ways can hash":   func(r *approval.Request) { r.Plan.Steps[0].Params = json.RawMessage(`{"a":1,"a":2}`) },
		"a step with too large a number":  func(r *approval.Request) { r.Plan.Steps[0].Before = json.RawMessage(`[9007199254740993]`) },
		"an object that is not even text": func(r *approval.Request) { r.Plan.Steps[0].Object = "\xff" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &approval.Request{ID: "R-1", Caller: ana.Identity, Tenant: "prod", Plan: plan()}
			spoil(r)
			if _, err := r.Open(start); err == nil {
				t.Error("it was opened")
			}
			if r.State != "" {
				t.Errorf("it is %s", r.State)
			}
			if r.Caller.Team == "" {
				return
			}
			// The same plan and demands cannot come in by planning anew.
			approved := opened(t)
			decides(t, approved, approval.Confirm, ana)
			if _, err := approved.Replan(r.Plan, r.Demands, "p", "", start); err == nil {
				t.Error("it was planned anew")
			}
			inState(t, approved, approval.Approved)
			if approved.Version != 1 {
				t.Errorf("version %d", approved.Version)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		demands []approval.Demand
		acts    []act
		after   time.Duration
		want    approval.State
		says    string
	}{
		{"a request expires at the very instant", []approval.Demand{two()}, nil, 4 * time.Hour, approval.Expired, "Nobody decided"},
		{"and not a nanosecond before", []approval.Demand{two()}, nil, 4*time.Hour - 1, approval.Waiting, ""},
		{"some approvals do not save it", []approval.Demand{two()}, []act{yes(ben)}, 5 * time.Hour, approval.Expired, "Not enough"},
		{"a confirmation that does not come is said to be that", nil, nil, time.Hour, approval.Expired, "not confirmed"},
		{"what is approved does not expire", []approval.Demand{two()}, []act{yes(ben), yes(dan)}, 5 * time.Hour, approval.Approved, ""},
		{"what was denied does not expire", []approval.Demand{two()}, []act{no(ben)}, 5 * time.Hour, approval.Denied, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := opened(t, test.demands...)
			for _, a := range test.acts {
				decides(t, r, a.kind, a.who)
			}
			before := frozen(t, r)
			e, ok := r.Expire(start.Add(test.after))
			inState(t, r, test.want)
			if ok != (test.want == approval.Expired) {
				t.Errorf("it says %v", ok)
			}
			if !ok {
				if frozen(t, r) != before || len(e.Records)+len(e.Tasks) > 0 {
					t.Error("an expiry that does nothing did something")
				}
				return
			}
			if !strings.Contains(r.Outcome, test.says) || !strings.Contains(r.Outcome, "Nothing was changed") {
				t.Errorf("it says %q", r.Outcome)
			}
			wantLists(t, "records", events(e), []string{"expired expired"})
			wantLists(t, "tasks", keys(e), []string{"card:R-1"})
			if _, again := r.Expire(start.Add(test.after)); again {
				t.Error("it expired twice")
			}
		})
	}
}

func TestTheFirstStepMustStartWithinTheShortestTimeThatADemandAllows(t *testing.T) {
	t.Parallel()
	r := opened(t, two(), security())
	decides(t, r, approval.Approve, in(cleo, "S0SEC"))
	at := start.Add(time.Hour)
	if _, err := r.Decide(approval.Approve, ben, 1, at); err != nil {
		t.Fatal(err)
	}
	if want := at.Add(10 * time.Minute); !r.ExecuteBy.Equal(want) {
		t.Errorf("it may start before %v, want %v", r.ExecuteBy, want)
	}
	r = opened(t)
	decides(t, r, approval.Confirm, ana)
	if want := start.Add(approval.DefaultExecuteWithin); !r.ExecuteBy.Equal(want) {
		t.Errorf("it may start before %v, want %v", r.ExecuteBy, want)
	}
}

func TestAChangedPlanStartsWithoutVotes(t *testing.T) {
	t.Parallel()
	r := opened(t, two())
	decides(t, r, approval.Approve, ben)
	decides(t, r, approval.Approve, dan)
	changed := plan()
	changed.Steps[0].Object = "other@example.com"
	old := r.Digest
	later := start.Add(time.Hour)
	e, err := r.Replan(changed, []approval.Demand{two()}, "policy-2", "Eve has another address.", later)
	if err != nil {
		t.Fatal(err)
	}
	inState(t, r, approval.Waiting)
	if r.Version != 2 || r.Digest == old || r.Policy != "policy-2" || !r.ExecuteBy.IsZero() || !r.ExpiresAt.Equal(later.Add(4*time.Hour)) {
		t.Errorf("planned anew as %+v", r)
	}
	if len(r.Votes()) != 0 || len(r.Decisions) != 2 {
		t.Errorf("%d votes stand, %d decisions are kept", len(r.Votes()), len(r.Decisions))
	}
	wantLists(t, "records", events(e), []string{"replanned waiting"})
	wantLists(t, "tasks", keys(e), []string{"card:R-1", "expire:R-1"})
	// Who approved the old plan approves the new one anew, and may not take
	// back what no longer stands.
	refused(t, r, approval.Withdraw, ben, 2, later, approval.RefusedNotAsked)
	for _, v := range []approval.Voter{ben, cleo} {
		inState(t, r, approval.Waiting)
		if _, err := r.Decide(approval.Approve, v, 2, later); err != nil {
			t.Fatal(err)
		}
	}
	inState(t, r, approval.Approved)
}

func TestAPolicyThatHasBecomeStricterAsksOthersAfterAConfirmation(t *testing.T) {
	t.Parallel()
	r := opened(t)
	decides(t, r, approval.Confirm, ana)
	if _, err := r.Replan(plan(), []approval.Demand{two()}, "policy-2", "", start); err != nil {
		t.Fatal(err)
	}
	refused(t, r, approval.Confirm, ana, 2, start, approval.RefusedState)
	decides(t, r, approval.Approve, ben)
	inState(t, r, approval.Waiting)
}

// TestEachStateAllowsOnlyWhatFollowsIt tries every move in every state.
func TestEachStateAllowsOnlyWhatFollowsIt(t *testing.T) {
	t.Parallel()
	moves := map[string]struct {
		from []approval.State
		move func(*approval.Request) error
	}{
		"plan anew": {[]approval.State{approval.Approved}, func(r *approval.Request) error {
			_, err := r.Replan(plan(), nil, "", "", start)
			return err
		}},
		"start": {[]approval.State{approval.Approved}, func(r *approval.Request) error { return r.Start() }},
		"abandon": {[]approval.State{approval.Approved}, func(r *approval.Request) error {
			_, err := r.Abandon(approval.Failed, "No.", start)
			return err
		}},
		"finish": {[]approval.State{approval.Running, approval.Unknown}, func(r *approval.Request) error {
			_, err := r.Finish(start)
			return err
		}},
		"cancel": {[]approval.State{approval.Waiting, approval.Approved}, func(r *approval.Request) error {
			_, err := r.Decide(approval.Cancel, ana, r.Version, start)
			return err
		}},
		"confirm": {[]approval.State{approval.Waiting}, func(r *approval.Request) error {
			_, err := r.Decide(approval.Confirm, ana, r.Version, start)
			return err
		}},
	}
	for _, s := range []approval.State{
		approval.Waiting, approval.Approved, approval.Running, approval.Succeeded, approval.PartlySucceeded,
		approval.Failed, approval.Unknown, approval.Denied, approval.Cancelled, approval.Expired, "", "invented",
	} {
		for name, m := range moves {
			r := opened(t)
			r.State = s
			if s == approval.Running || s == approval.Unknown {
				r.Steps = []approval.StepRecord{{State: approval.StepDone}, {State: approval.StepDone}}
			}
			allowed := false
			for _, from := range m.from {
				allowed = allowed || from == s
			}
			before := frozen(t, r)
			if err := m.move(r); (err == nil) != allowed {
				t.Errorf("%s from %q: the error is %v, allowed %v", name, s, err, allowed)
			}
			if !allowed && frozen(t, r) != before {
				t.Errorf("%s from %q is not allowed and changed the request", name, s)
			}
		}
	}
}

func TestARequestIsAbandonedOnlyToAnEnd(t *testing.T) {
	t.Parallel()
	for _, s := range []approval.State{approval.Waiting, approval.Approved, approval.Running, approval.Unknown, "", "invented"} {
		r := opened(t)
		decides(t, r, approval.Confirm, ana)
		if _, err := r.Abandon(s, "", start); err == nil {
			t.Errorf("it was abandoned as %q", s)
		}
		inState(t, r, approval.Approved)
	}
	r := opened(t)
	decides(t, r, approval.Confirm, ana)
	e, err := r.Abandon(approval.Expired, "Too late. Nothing was changed.", start)
	if err != nil {
		t.Fatal(err)
	}
	inState(t, r, approval.Expired)
	wantLists(t, "records", events(e), []string{"ended expired"})
	wantLists(t, "tasks", keys(e), []string{"card:R-1"})
	if !r.EndedAt.Equal(start) || r.Outcome == "" {
		t.Errorf("ended at %v: %q", r.EndedAt, r.Outcome)
	}
}

func TestHowItEndsIsWhatItsStepsCameTo(t *testing.T) {
	t.Parallel()
	step := func(s approval.StepState, items ...approval.ItemState) approval.StepRecord {
		r := approval.StepRecord{State: s}
		for _, i := range items {
			r.Items = append(r.Items, approval.Item{Name: "x", State: i})
		}
		return r
	}
	givenUp := approval.StepRecord{State: approval.StepSkipped, Error: "an earlier step failed"}
	for _, test := range []struct {
		name  string
		steps []approval.StepRecord
		want  approval.State // empty: it cannot end yet
	}{
		{"all done", []approval.StepRecord{step(approval.StepDone), step(approval.StepDone)}, approval.Succeeded},
		{"done, or not needed", []approval.StepRecord{step(approval.StepDone), step(approval.StepSkipped)}, approval.Succeeded},
		{"one failed, the rest given up", []approval.StepRecord{step(approval.StepFailed), givenUp}, approval.Failed},
		{"one done, one failed", []approval.StepRecord{step(approval.StepDone), step(approval.StepFailed)}, approval.PartlySucceeded},
		{"one done, the rest given up", []approval.StepRecord{step(approval.StepDone), givenUp}, approval.PartlySucceeded},
		{"one in doubt", []approval.StepRecord{step(approval.StepDone), step(approval.StepDoubt)}, approval.Unknown},
		{"doubt outweighs failure", []approval.StepRecord{step(approval.StepFailed), step(approval.StepDoubt)}, approval.Unknown},
		{"one still to be done", []approval.StepRecord{step(approval.StepDone), step(approval.StepPlanned)}, ""},
		{"one on its way", []approval.StepRecord{step(approval.StepDone), step(approval.StepSending)}, ""},
		{"every object done or so already", []approval.StepRecord{step(approval.StepDone, approval.ItemDone, approval.ItemThere), step(approval.StepDone)}, approval.Succeeded},
		{"one object failed", []approval.StepRecord{step(approval.StepDone, approval.ItemDone, approval.ItemFailed), step(approval.StepDone)}, approval.PartlySucceeded},
		{"every object failed", []approval.StepRecord{step(approval.StepFailed, approval.ItemFailed, approval.ItemFailed), givenUp}, approval.Failed},
		{"one object in doubt", []approval.StepRecord{step(approval.StepDone, approval.ItemDone, approval.ItemDoubt), step(approval.StepDone)}, approval.Unknown},
		{"a step that failed although none of its objects did is no success", []approval.StepRecord{step(approval.StepFailed, approval.ItemDone), step(approval.StepSkipped)}, approval.PartlySucceeded},
		{"a step in no state is doubt", []approval.StepRecord{step(approval.StepDone), step("")}, approval.Unknown},
		{"an object in no state is doubt", []approval.StepRecord{step(approval.StepDone, approval.ItemDone, ""), step(approval.StepDone)}, approval.Unknown},
		{"no records of its steps", nil, ""},
		{"records of some of its steps", []approval.StepRecord{step(approval.StepDone)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := opened(t)
			r.State, r.Steps = approval.Running, test.steps
			e, err := r.Finish(start)
			if test.want == "" {
				if err == nil {
					t.Errorf("it ended as %s", r.State)
				}
				inState(t, r, approval.Running)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			inState(t, r, test.want)
			wantLists(t, "records", events(e), []string{"ended " + string(test.want)})
			wantLists(t, "tasks", keys(e), []string{"card:R-1"})
			if r.Outcome == "" || r.State.Ended() == r.EndedAt.IsZero() {
				t.Errorf("ended at %v: %q", r.EndedAt, r.Outcome)
			}
		})
	}
}

func TestADoubtIsSettledLater(t *testing.T) {
	t.Parallel()
	r := opened(t)
	decides(t, r, approval.Confirm, ana)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	inState(t, r, approval.Running)
	if len(r.Steps) != len(r.Plan.Steps) || r.Steps[0].State != approval.StepPlanned {
		t.Fatalf("the steps are %+v", r.Steps)
	}
	refused(t, r, approval.Cancel, ana, 1, start, approval.RefusedState)
	r.Steps[0].State, r.Steps[1].State = approval.StepDone, approval.StepDoubt
	if _, err := r.Finish(start); err != nil {
		t.Fatal(err)
	}
	inState(t, r, approval.Unknown)
	if !r.EndedAt.IsZero() {
		t.Error("a doubt is no end")
	}
	r.Steps[1].State = approval.StepDone
	if _, err := r.Finish(start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	inState(t, r, approval.Succeeded)
}

func TestOnlyEndsAreEnds(t *testing.T) {
	t.Parallel()
	for s, want := range map[approval.State]bool{
		approval.Waiting: false, approval.Approved: false, approval.Running: false, approval.Unknown: false, "": false, "invented": false,
		approval.Succeeded: true, approval.PartlySucceeded: true, approval.Failed: true,
		approval.Denied: true, approval.Cancelled: true, approval.Expired: true,
	} {
		if s.Ended() != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestApprovalsHoldForTheDemandsOfToday(t *testing.T) {
	t.Parallel()
	one := two()
	one.Count = 1
	three := two()
	three.Count = 3
	for _, test := range []struct {
		name    string
		demands []approval.Demand
		counts  map[approval.Identity][]string
		want    bool
	}{
		{"the same demand, the same people", []approval.Demand{two()}, map[approval.Identity][]string{ben.Identity: {"needs-two"}, dan.Identity: {"needs-two"}}, true},
		{"fewer are demanded", []approval.Demand{one}, map[approval.Identity][]string{ben.Identity: {"needs-two"}, dan.Identity: nil}, true},
		{"nobody is asked any more", nil, nil, true},
		{"one of them would not count today", []approval.Demand{two()}, map[approval.Identity][]string{ben.Identity: {"needs-two"}}, false},
		{"more are demanded", []approval.Demand{three}, map[approval.Identity][]string{ben.Identity: {"needs-two"}, dan.Identity: {"needs-two"}}, false},
		{"another demand has come", []approval.Demand{two(), security()}, map[approval.Identity][]string{ben.Identity: {"needs-two"}, dan.Identity: {"needs-two"}}, false},
		{"somebody counts twice for one demand", []approval.Demand{two()}, map[approval.Identity][]string{ben.Identity: {"needs-two", "needs-two"}}, false},
		{"people who did not approve count for nothing", []approval.Demand{two()}, map[approval.Identity][]string{ben.Identity: {"needs-two"}, cleo.Identity: {"needs-two"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := opened(t, two())
			decides(t, r, approval.Approve, ben)
			decides(t, r, approval.Approve, dan)
			if got := r.StillHolds(test.demands, test.counts); got != test.want {
				t.Errorf("it says %v", got)
			}
		})
	}
}
