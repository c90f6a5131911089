package execution_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
)

const (
	never = execution.Never
	two   = execution.AfterTwoLooks
	one   = execution.AfterOneLook
)

// TestEveryEndingOfAWriteIsSettledWithoutASecondEffect goes over the ways in
// which sends can end and over how far a kind may be repeated.
func TestEveryEndingOfAWriteIsSettledWithoutASecondEffect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endings []ending
		late    time.Duration
		repeat  []execution.Repeat
		state   approval.State
		sends   int
		effects int
	}{
		{endings: []ending{done}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{refused}, repeat: []execution.Repeat{never, two, one}, state: approval.Failed, sends: 1},
		{endings: []ending{notSent}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 2, effects: 1},
		{endings: []ending{notSent, notSent, lostAfter}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 3, effects: 1},
		{endings: []ending{lostAfter}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{lostOddly}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{hangs}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{panics}, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{lost}, repeat: []execution.Repeat{two, one}, state: approval.Succeeded, sends: 2, effects: 1},
		{endings: []ending{lost, lost, lostAfter}, repeat: []execution.Repeat{two, one}, state: approval.Succeeded, sends: 3, effects: 1},
		// A person is asked; two looks by the bot, ten minutes apart, end it.
		{endings: []ending{lost}, repeat: []execution.Repeat{never}, state: approval.Failed, sends: 1},
		{endings: []ending{lost, refused}, repeat: []execution.Repeat{two, one}, state: approval.Failed, sends: 2},
		{endings: []ending{saidDone}, repeat: []execution.Repeat{never, two, one}, state: approval.Unknown, sends: 1},
		// The effect comes while the doubt is still settling, after that for
		// those that need two looks, or long after a person was asked.
		{endings: []ending{lateEffect}, late: 35 * time.Second, repeat: []execution.Repeat{never, two, one}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{lateEffect}, late: 50 * time.Second, repeat: []execution.Repeat{two}, state: approval.Succeeded, sends: 1, effects: 1},
		{endings: []ending{lateEffect}, late: 50 * time.Second, repeat: []execution.Repeat{never}, state: approval.Succeeded, sends: 1, effects: 1},
	} {
		for _, repeat := range c.repeat {
			t.Run(fmt.Sprintf("%v late %v repeat %d", c.endings, c.late, repeat), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, &remote{repeat: repeat, endings: slices.Clone(c.endings), late: c.late})
					defer w.work()()
					w.ask(1)
					w.decide(approval.Confirm, ana)
					time.Sleep(29 * time.Minute)
					w.wants(c.state, c.sends, c.effects)
				})
			})
		}
	}
}

func TestACreationIsSentAgainOnlyAfterTwoSeparateLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: two, endings: []ending{lost}})
		defer w.work()()
		w.ask(1)
		w.decide(approval.Confirm, ana)
		time.Sleep(10 * time.Minute)
		w.wants(approval.Succeeded, 2, 1)
		// The time of a call, of settling, and between two looks.
		if d := w.remote.sends[1].Sub(w.remote.sends[0]); d < 55*time.Second {
			t.Errorf("it was sent again after %v", d)
		}
	})
}

func TestWhatIsNeverReachedIsGivenUpWithoutEffect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one, endings: slices.Repeat([]ending{notSent}, 1000)})
		defer w.work()()
		w.ask(2)
		w.decide(approval.Confirm, ana)
		time.Sleep(25 * time.Minute)
		if r := w.request(); r.State != approval.Running {
			t.Errorf("after 25 minutes it is %s", r.State)
		}
		time.Sleep(10 * time.Minute)
		w.wants(approval.Failed, w.remote.sent(), 0)
		if n := w.remote.sent(); n > 60 {
			t.Errorf("it was tried %d times in half an hour", n)
		}
	})
}

// TestBeforeAWriteIsSentItsObjectIsLookedAt: nothing is sent for what is so
// already, does not apply, was changed, or cannot be made out.
func TestBeforeAWriteIsSentItsObjectIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sight execution.Sight
		err   error
		state approval.State
	}{
		"so already":        {sight: execution.Sight{Standing: execution.Present}, state: approval.Succeeded},
		"does not apply":    {sight: execution.Sight{Standing: execution.Needless, Why: "It does not apply."}, state: approval.Succeeded},
		"changed":           {sight: execution.Sight{Standing: execution.Changed, Why: "Changed."}, state: approval.Failed},
		"not made out":      {sight: execution.Sight{}, state: approval.Failed},
		"may not look":      {err: &execution.StepError{Class: execution.ErrRefused, Say: "No."}, state: approval.Failed},
		"cannot look":       {err: &execution.StepError{Class: execution.ErrNotSent, Say: "Nobody there."}, state: approval.Expired},
		"an odd error":      {err: errors.New("who knows"), state: approval.Expired},
		"an unknown number": {sight: execution.Sight{Standing: 99}, state: approval.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, &remote{repeat: one})
				w.remote.standing = func(string) (execution.Sight, error) { return c.sight, c.err }
				defer w.work()()
				w.ask(1)
				w.decide(approval.Confirm, ana)
				time.Sleep(40 * time.Minute)
				w.wants(c.state, 0, 0)
			})
		})
	}
}

func TestAStepThatFailsStopsThoseAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one, endings: []ending{done, refused}})
		defer w.work()()
		w.ask(3)
		w.decide(approval.Confirm, ana)
		time.Sleep(time.Minute)
		w.wants(approval.PartlySucceeded, 2, 1)
		r := w.request()
		if s := r.Steps[2]; s.State != approval.StepSkipped || !strings.Contains(s.Error, "step 2 failed") {
			t.Errorf("the third step is %+v", s)
		}
	})
}

// TestAPersonSettlesADoubt: the steps after the one in doubt wait for that.
func TestAPersonSettlesADoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    approval.DecisionKind
		landed  bool // it took effect by then
		state   approval.State
		effects int
	}{
		"it happened":               {kind: approval.Happened, state: approval.Succeeded, effects: 1},
		"it did not happen":         {kind: approval.NotHappened, state: approval.Failed},
		"look again, and it is so":  {kind: approval.Recheck, landed: true, state: approval.Succeeded, effects: 2},
		"look again, and it is not": {kind: approval.Recheck, state: approval.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, &remote{repeat: never, endings: []ending{lost}})
				defer w.work()()
				w.ask(2)
				w.decide(approval.Confirm, ana)
				time.Sleep(2 * time.Minute)
				w.wants(approval.Unknown, 1, 0)
				if c.landed {
					w.remote.effect("object 0")
				}
				w.decide(c.kind, ana)
				time.Sleep(5 * time.Second)
				sends := 1
				if c.state == approval.Succeeded {
					sends = 2 // of the second step
				}
				w.wants(c.state, sends, c.effects)
			})
		})
	}
}

// TestADoubtThatReadingSettlesLaterIsNotSentAgain: the people were told that
// it may not have happened, and may have acted on that.
func TestADoubtThatReadingSettlesLaterIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, landed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: never, endings: []ending{lost}})
			defer w.work()()
			w.ask(1)
			w.decide(approval.Confirm, ana)
			time.Sleep(2 * time.Minute)
			w.wants(approval.Unknown, 1, 0)
			state, effects := approval.Failed, 0
			if landed {
				w.remote.effect("object 0")
				state, effects = approval.Succeeded, 1
			}
			time.Sleep(45 * time.Minute)
			w.wants(state, 1, effects)
		})
	}
}

// TestWhatWasApprovedIsJudgedAgainBeforeItsFirstWrite: unless everything is as
// it was, nothing is written.
func TestWhatWasApprovedIsJudgedAgainBeforeItsFirstWrite(t *testing.T) {
	t.Parallel()
	demand := approval.Demand{Rule: "four eyes", Count: 1, Users: []string{"U0BEN"}, ExpiresIn: time.Hour, ExecuteWithin: 15 * time.Minute}
	counts := map[approval.Identity][]string{ben: {"four eyes"}}
	same := func(r approval.Request) execution.Judgement {
		return execution.Judgement{Plan: r.Plan, Demands: r.Demands, Counts: counts}
	}
	for name, c := range map[string]struct {
		again   func(r approval.Request) (execution.Judgement, error)
		state   approval.State
		version int
		sends   int
	}{
		"all as it was": {
			again: func(r approval.Request) (execution.Judgement, error) { return same(r), nil },
			state: approval.Succeeded, version: 1, sends: 1,
		},
		"it is refused now": {
			again: func(approval.Request) (execution.Judgement, error) { return execution.Judgement{Refused: "No."}, nil },
			state: approval.Failed, version: 1,
		},
		"the plan is another": {
			again: func(r approval.Request) (execution.Judgement, error) {
				j := same(r)
				j.Plan = plan(2)
				return j, nil
			},
			state: approval.Waiting, version: 2,
		},
		"there is nothing left to do": {
			again: func(r approval.Request) (execution.Judgement, error) {
				j := same(r)
				j.Plan = plan(0)
				j.Plan.Nothing = "It is so."
				return j, nil
			},
			state: approval.Succeeded, version: 1,
		},
		"only the wording is another": {
			again: func(r approval.Request) (execution.Judgement, error) {
				j := same(r)
				j.Plan.Title = "Write, in better words"
				return j, nil
			},
			state: approval.Succeeded, version: 1, sends: 1,
		},
		"more approvals are demanded": {
			again: func(r approval.Request) (execution.Judgement, error) {
				j := same(r)
				j.Demands = append(slices.Clone(j.Demands), approval.Demand{Rule: "and more", Count: 1, Users: []string{"U0CLEO"}, ExpiresIn: time.Hour, ExecuteWithin: time.Minute})
				return j, nil
			},
			state: approval.Waiting, version: 2,
		},
		"the approver does not count any more": {
			again: func(r approval.Request) (execution.Judgement, error) {
				j := same(r)
				j.Counts = nil
				return j, nil
			},
			state: approval.Waiting, version: 2,
		},
		"it cannot be found out in time": {
			again: func(approval.Request) (execution.Judgement, error) {
				return execution.Judgement{}, errors.New("nobody there")
			},
			state: approval.Expired, version: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, &remote{repeat: one})
				w.judge.again = c.again
				defer w.work()()
				w.ask(1, demand)
				w.decide(approval.Approve, ben)
				time.Sleep(20 * time.Minute)
				w.wants(c.state, c.sends, c.sends)
				if r := w.request(); r.Version != c.version || r.State == approval.Waiting && (len(r.Votes()) != 0 || r.Notice == "") {
					t.Errorf("the request is at version %d with %d votes: %q", r.Version, len(r.Votes()), r.Notice)
				}
			})
		})
	}
}

func TestAJudgementThatComesThroughInTheEndRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one})
		begin := time.Now()
		w.judge.again = func(r approval.Request) (execution.Judgement, error) {
			if time.Since(begin) < 5*time.Minute {
				return execution.Judgement{}, errors.New("nobody there")
			}
			return execution.Judgement{Plan: r.Plan}, nil
		}
		defer w.work()()
		w.ask(1)
		w.decide(approval.Confirm, ana)
		time.Sleep(time.Minute)
		if r := w.request(); r.State != approval.Approved || !strings.Contains(r.Outcome, "trying again") {
			t.Errorf("meanwhile it is %s: %q", r.State, r.Outcome)
		}
		time.Sleep(6 * time.Minute)
		w.wants(approval.Succeeded, 1, 1)
	})
}

func TestACancelledRequestIsNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one})
		w.judge.again = func(approval.Request) (execution.Judgement, error) {
			return execution.Judgement{}, errors.New("nobody there")
		}
		defer w.work()()
		w.ask(1)
		w.decide(approval.Confirm, ana)
		time.Sleep(10 * time.Second)
		w.decide(approval.Cancel, ana)
		w.judge.again = nil
		time.Sleep(10 * time.Minute)
		w.wants(approval.Cancelled, 0, 0)
	})
}

// TestWhoeverLostTheClaimWritesNothing: its lease ran out and another worker
// has taken the request over.
func TestWhoeverLostTheClaimWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one})
		w.ask(1)
		w.decide(approval.Confirm, ana)
		claim := func() approval.Claim {
			c, ok, err := w.db.Claim(t.Context(), []string{approval.TaskRun}, 10*time.Second)
			if err != nil || !ok {
				t.Fatalf("no claim: %t %v", ok, err)
			}
			return c
		}
		first := claim()
		time.Sleep(11 * time.Second)
		second := claim()
		if err := w.runner.Handle(t.Context(), first); !errors.Is(err, approval.ErrLost) {
			t.Errorf("whoever lost the claim got %v", err)
		}
		w.wants(approval.Approved, 0, 0)
		if err := w.runner.Handle(t.Context(), second); err != nil {
			t.Error(err)
		}
		w.wants(approval.Succeeded, 1, 1)
	})
}

// TestTheClaimIsLostWhileTheWriteIsUnderWay: the one who sent it cannot store
// the answer; the other reads what came of it and sends nothing.
func TestTheClaimIsLostWhileTheWriteIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one, endings: []ending{hangs}})
		w.ask(1)
		w.decide(approval.Confirm, ana)
		first, _, err := w.db.Claim(t.Context(), []string{approval.TaskRun}, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- w.runner.Handle(t.Context(), first) }()
		time.Sleep(11 * time.Second) // the write hangs for thirty
		second, ok, err := w.db.Claim(t.Context(), []string{approval.TaskRun}, time.Minute)
		if err != nil || !ok {
			t.Fatalf("no claim: %t %v", ok, err)
		}
		if err := w.runner.Handle(t.Context(), second); err != nil {
			t.Error(err)
		}
		w.wants(approval.Succeeded, 1, 1)
		if err := <-ended; !errors.Is(err, approval.ErrLost) {
			t.Errorf("the first one ended with %v", err)
		}
		w.wants(approval.Succeeded, 1, 1)
	})
}

// TestAStopInTheMiddleLeavesNoDoubt: the write that is under way may end, its
// answer is stored, and the next start goes on from there.
func TestAStopInTheMiddleLeavesNoDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: never, endings: []ending{hangs}})
		stop := w.work()
		w.ask(3)
		w.decide(approval.Confirm, ana)
		time.Sleep(time.Second)
		stop()
		w.wants(approval.Running, 1, 1)
		defer w.work()()
		time.Sleep(time.Minute)
		w.wants(approval.Succeeded, 3, 3)
	})
}

func TestVotesRunOutWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one})
		defer w.work()()
		w.ask(1)
		// The time is extended before it is over: the old deadline does nothing.
		time.Sleep(50 * time.Minute)
		_, err := w.db.ChangeRequest(t.Context(), "R1", func(r *approval.Request) (approval.Effects, error) {
			r.ExpiresAt = r.ExpiresAt.Add(time.Hour)
			return approval.Effects{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.wants(approval.Waiting, 0, 0)
		time.Sleep(11 * time.Minute)
		w.wants(approval.Expired, 0, 0)
	})
}

func TestAKindThatNobodyKnowsIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: one})
		w.runner.Kinds = map[string]execution.Kind{}
		defer w.work()()
		w.ask(1)
		w.decide(approval.Confirm, ana)
		time.Sleep(time.Minute)
		w.wants(approval.Failed, 0, 0)
	})
}

// TestATaskDoesNotComeBeforeItsTime: a queue keeps whole milliseconds, and a
// task put back for a moment between two of them must not spin until then.
func TestATaskDoesNotComeBeforeItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{})
		at := time.Now().Add(time.Second + 300*time.Microsecond)
		var calls []time.Time
		workers := &execution.Workers{Queue: w.db, Logger: w.runner.Logger, Lease: time.Minute, Lines: []execution.Line{{
			Kind: "tick", Limit: 1, Handle: func(ctx context.Context, c approval.Claim) error {
				calls = append(calls, time.Now())
				if time.Now().Before(at) {
					return execution.Later(at, "not yet")
				}
				return w.db.Append(ctx, approval.Effects{Finish: &c})
			},
		}}}
		if err := w.db.Append(t.Context(), approval.Effects{Tasks: []approval.Task{{Key: "tick", Kind: "tick", RunAt: time.Now()}}}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := workers.Run(ctx); err != nil {
			t.Error(err)
		}
		if len(calls) != 2 || calls[1].Before(at) {
			t.Errorf("it was called at %v", calls)
		}
	})
}
