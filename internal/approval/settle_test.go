package approval_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/approval"
)

// running is a request of Ana's that has begun, with these records of its two
// steps.
func running(t *testing.T, steps ...approval.StepRecord) *approval.Request {
	t.Helper()
	r := opened(t)
	decides(t, r, approval.Confirm, ana)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	copy(r.Steps, steps)
	return r
}

func finish(t *testing.T, r *approval.Request) {
	t.Helper()
	if _, err := r.Finish(start); err != nil {
		t.Fatal(err)
	}
}

// items are objects named a, b, … in these states.
func items(states ...approval.ItemState) (list []approval.Item) {
	for i, s := range states {
		list = append(list, approval.Item{Name: string(rune('a' + i)), State: s})
	}
	return list
}

func TestWhatRunsLapsesOnlyWhileNothingWasSent(t *testing.T) {
	t.Parallel()
	t.Run("nothing was sent", func(t *testing.T) {
		t.Parallel()
		r := running(t)
		e, err := r.Lapse(start.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		inState(t, r, approval.Expired)
		wantLists(t, "records", events(e), []string{"ended expired"})
		wantLists(t, "tasks", keys(e), []string{"card:R-1"})
		if !strings.Contains(r.Outcome, "Nothing was changed.") || !r.EndedAt.Equal(start.Add(time.Hour)) {
			t.Errorf("ended at %v: %q", r.EndedAt, r.Outcome)
		}
		for i, s := range r.Steps {
			if s.State != approval.StepSkipped || s.Error == "" {
				t.Errorf("step %d is %+v", i, s)
			}
			if _, err := r.SendStep(i, start.Add(time.Hour)); err == nil {
				t.Errorf("step %d can still be sent", i)
			}
		}
	})
	for name, r := range map[string]*approval.Request{
		"it is being sent":                        running(t, approval.StepRecord{State: approval.StepSending, Sends: 1}),
		"it was sent and certainly had no effect": running(t, approval.StepRecord{State: approval.StepPlanned, Sends: 1}),
		"another step is done":                    running(t, approval.StepRecord{State: approval.StepDone, Sends: 1}),
		"it only waits":                           opened(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := frozen(t, r)
			if _, err := r.Lapse(start.Add(time.Hour)); err == nil {
				t.Error("it lapsed")
			}
			if diff := cmp.Diff(before, frozen(t, r)); diff != "" {
				t.Errorf("it was changed:\n%s", diff)
			}
		})
	}
}

func TestTheOutcomeSaysOnlyWhatIsTrue(t *testing.T) {
	t.Parallel()
	done, skipped := approval.StepRecord{State: approval.StepDone, Sends: 1}, approval.StepRecord{State: approval.StepSkipped}
	failed := approval.StepRecord{State: approval.StepFailed}
	for name, c := range map[string]struct {
		steps    []approval.StepRecord
		word     bool // a person said that a step happened
		state    approval.State
		says     string
		saysNot  string
		exactly  bool
		verified bool
	}{
		"everything was so already": {steps: []approval.StepRecord{skipped, skipped}, state: approval.Succeeded, says: "It was so already; nothing was sent.", exactly: true},
		"all done":                  {steps: []approval.StepRecord{done, done}, state: approval.Succeeded, verified: true},
		"done, the rest so already": {steps: []approval.StepRecord{done, skipped}, state: approval.Succeeded, verified: true, saysNot: "nothing was sent"},
		"sent, and needless after that": {
			steps: []approval.StepRecord{skipped, {State: approval.StepSkipped, Sends: 1}}, state: approval.Succeeded, verified: true, saysNot: "nothing was sent",
		},
		"done by a person's word":   {steps: []approval.StepRecord{done, done}, word: true, state: approval.Succeeded, says: "said by a person"},
		"partly by a person's word": {steps: []approval.StepRecord{done, failed}, word: true, state: approval.PartlySucceeded, says: "by what a person said"},
		"one done and one not":      {steps: []approval.StepRecord{done, failed}, state: approval.PartlySucceeded, verified: true, saysNot: "Nothing was changed"},
		"something was changed for one object": {
			steps: []approval.StepRecord{{State: approval.StepDone, Items: items(approval.ItemPartly)}, skipped}, state: approval.PartlySucceeded, verified: true, saysNot: "Nothing was changed",
		},
		"something was changed by a step that failed": {
			steps: []approval.StepRecord{{State: approval.StepFailed, Items: items(approval.ItemFailed, approval.ItemPartly)}, {State: approval.StepSkipped, Error: "given up"}},
			state: approval.PartlySucceeded, verified: true, saysNot: "Nothing was changed",
		},
		"nothing done": {steps: []approval.StepRecord{failed, {State: approval.StepSkipped, Error: "given up"}}, state: approval.Failed, says: "Nothing was changed."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := running(t, c.steps...)
			if c.word {
				r.Decisions = append(r.Decisions, approval.Decision{Kind: approval.Happened, By: ana.Identity, Version: r.Version})
			}
			finish(t, r)
			inState(t, r, c.state)
			if !strings.Contains(r.Outcome, c.says) || (c.exactly && r.Outcome != c.says) || (c.saysNot != "" && strings.Contains(r.Outcome, c.saysNot)) {
				t.Errorf("it says %q", r.Outcome)
			}
			if strings.Contains(r.Outcome, "verified") != c.verified {
				t.Errorf("verified %t, and it says %q", c.verified, r.Outcome)
			}
		})
	}
}

// TestAfterAPersonsWordNothingStaysInDoubt: whatever was in doubt, the request
// comes to an end, and what was read stands.
func TestAfterAPersonsWordNothingStaysInDoubt(t *testing.T) {
	t.Parallel()
	const (
		isDone, isThere, isFailed, isPartly, isDoubt = approval.ItemDone, approval.ItemThere, approval.ItemFailed, approval.ItemPartly, approval.ItemDoubt
	)
	for name, c := range map[string]struct {
		step          approval.StepRecord
		happened, not []approval.ItemState // the items after that word
		ends, endsNot approval.State
	}{
		"a step": {
			step: approval.StepRecord{State: approval.StepDoubt}, ends: approval.Succeeded, endsNot: approval.Failed,
		},
		"a step in no known state": {
			step: approval.StepRecord{State: "invented"}, ends: approval.Succeeded, endsNot: approval.Failed,
		},
		"a step with objects, of which one was read": {
			step:     approval.StepRecord{State: approval.StepDoubt, Items: items(isDone, isDoubt, isDoubt)},
			happened: []approval.ItemState{isDone, isDone, isDone}, ends: approval.Succeeded,
			not: []approval.ItemState{isDone, isFailed, isFailed}, endsNot: approval.PartlySucceeded,
		},
		"what reading did not show happened, if the person says so": {
			step:     approval.StepRecord{State: approval.StepDoubt, Items: items(isThere, isFailed)},
			happened: []approval.ItemState{isThere, isDone}, ends: approval.Succeeded,
			not: []approval.ItemState{isThere, isFailed}, endsNot: approval.PartlySucceeded,
		},
		"what happened in part did not happen whole": {
			step:     approval.StepRecord{State: approval.StepDoubt, Items: items(isPartly, isDoubt)},
			happened: []approval.ItemState{isPartly, isDone}, ends: approval.PartlySucceeded,
			not: []approval.ItemState{isPartly, isFailed}, endsNot: approval.PartlySucceeded,
		},
		"an object of a step that is done": {
			step:     approval.StepRecord{State: approval.StepDone, Items: items(isDone, isFailed, isDoubt)},
			happened: []approval.ItemState{isDone, isFailed, isDone}, ends: approval.PartlySucceeded,
			not: []approval.ItemState{isDone, isFailed, isFailed}, endsNot: approval.PartlySucceeded,
		},
		"an object of a step that failed": {
			step:     approval.StepRecord{State: approval.StepFailed, Items: items(isFailed, isDoubt)},
			happened: []approval.ItemState{isFailed, isDone}, ends: approval.PartlySucceeded,
			not: []approval.ItemState{isFailed, isFailed}, endsNot: approval.Failed,
		},
		"an object in no known state": {
			step:     approval.StepRecord{State: approval.StepDoubt, Items: items("invented")},
			happened: []approval.ItemState{isDone}, ends: approval.Succeeded,
			not: []approval.ItemState{isFailed}, endsNot: approval.Failed,
		},
	} {
		for _, kind := range []approval.DecisionKind{approval.Happened, approval.NotHappened} {
			t.Run(name+": "+string(kind), func(t *testing.T) {
				t.Parallel()
				step := c.step
				step.Items = append([]approval.Item(nil), c.step.Items...)
				r := running(t, step, approval.StepRecord{State: approval.StepSkipped})
				finish(t, r)
				inState(t, r, approval.Unknown)
				e := decides(t, r, kind, ana)
				wantLists(t, "tasks", keys(e), []string{"card:R-1", "run:R-1"})
				inState(t, r, approval.Running)
				want, end := c.happened, c.ends
				if kind == approval.NotHappened {
					want, end = c.not, c.endsNot
				}
				var got []approval.ItemState
				for _, it := range r.Steps[0].Items {
					got = append(got, it.State)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the items:\n%s", diff)
				}
				finish(t, r)
				inState(t, r, end)
				if kind == approval.Happened && strings.Contains(r.Outcome, "done and verified") {
					t.Errorf("it says %q", r.Outcome)
				}
			})
		}
	}
}

// TestSomebodyWhoMightBeTheTargetDecidesNothingButTheirOwnRequest: that it is
// about them cannot be ruled out.
func TestSomebodyWhoMightBeTheTargetDecidesNothingButTheirOwnRequest(t *testing.T) {
	t.Parallel()
	unsure := func(v approval.Voter) approval.Voter { v.Unsure = true; return v }
	r := opened(t, two(), security())
	for _, kind := range []approval.DecisionKind{approval.Approve, approval.Deny} {
		refused(t, r, kind, unsure(ben), 1, start, approval.RefusedTarget)
		refused(t, r, kind, unsure(in(cleo, "S0SEC")), 1, start, approval.RefusedTarget)
	}
	if rules, no := r.Counts(unsure(ben)); no == nil || len(rules) != 0 {
		t.Errorf("they count for %q", rules)
	}
	r.State, r.Steps = approval.Unknown, []approval.StepRecord{{State: approval.StepDoubt}, {State: approval.StepSkipped}}
	for _, kind := range []approval.DecisionKind{approval.Happened, approval.NotHappened, approval.Recheck} {
		refused(t, r, kind, unsure(ben), 1, start, approval.RefusedTarget)
	}

	r = opened(t, two())
	decides(t, r, approval.Cancel, unsure(ana))
	inState(t, r, approval.Cancelled)

	r = opened(t, two())
	decides(t, r, approval.Approve, ben)
	decides(t, r, approval.Withdraw, unsure(ben))
	if len(r.Votes()) != 0 {
		t.Error("an own approval cannot be taken back")
	}
}
