package execution_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
)

// aboutToSendAgain says whether the first step was sent, was then read to have
// had no effect, and is to be sent once more.
func (w *world) aboutToSendAgain() bool {
	s := w.request().Steps[0]
	return s.State == approval.StepPlanned && s.Sends > 0
}

// TestALateEffectOfAnEarlierSendIsOursAndDone: two readings showed nothing, so
// it was to be sent again, and then it is there. Nobody is told that nothing
// was sent.
func TestALateEffectOfAnEarlierSendIsOursAndDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &remote{repeat: two, endings: []ending{lost}})
		w.remote.standing = func(string) (execution.Sight, error) {
			if w.aboutToSendAgain() {
				return execution.Sight{Standing: execution.Present}, nil
			}
			return execution.Sight{Standing: execution.Ready}, nil
		}
		defer w.work()()
		w.ask(1)
		w.decide(approval.Confirm, ana)
		time.Sleep(10 * time.Minute)
		w.wants(approval.Succeeded, 1, 0)
		r := w.request()
		if s := r.Steps[0]; s.State != approval.StepDone || strings.Contains(s.Note+r.Outcome, "nothing was sent") {
			t.Errorf("the step is %s: %q; the outcome is %q", s.State, s.Note, r.Outcome)
		}
	})
}

// TestWhatReadingCannotExplainAfterAnEarlierSendIsDoubt: it may be the doing
// of that send, so it is neither a failure nor nobody's.
func TestWhatReadingCannotExplainAfterAnEarlierSendIsDoubt(t *testing.T) {
	t.Parallel()
	for name, sight := range map[string]execution.Sight{
		"something else is found": {Standing: execution.Changed, Why: "It has another name."},
		"it cannot be made out":   {},
		"a standing nobody knows": {Standing: 99},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, &remote{repeat: two, endings: []ending{lost}})
				w.remote.standing = func(string) (execution.Sight, error) {
					if w.aboutToSendAgain() {
						return sight, nil
					}
					return execution.Sight{Standing: execution.Ready}, nil
				}
				defer w.work()()
				w.ask(1)
				w.decide(approval.Confirm, ana)
				time.Sleep(5 * time.Minute)
				w.wants(approval.Unknown, 1, 0)
				if s := w.request().Steps[0]; s.State != approval.StepDoubt || strings.Contains(s.Error, "nothing was sent") {
					t.Errorf("the step is %s: %q", s.State, s.Error)
				}
			})
		})
	}
}

// TestTheFirstWriteIsNotSentAfterTheTimeThatTheApprovalGave: whatever it was
// that took the time.
func TestTheFirstWriteIsNotSentAfterTheTimeThatTheApprovalGave(t *testing.T) {
	t.Parallel()
	const within = approval.DefaultExecuteWithin
	expired := func(t *testing.T, w *world) {
		t.Helper()
		w.wants(approval.Expired, 0, 0)
		r := w.request()
		if !strings.Contains(r.Outcome, "Nothing was changed.") {
			t.Errorf("it says %q", r.Outcome)
		}
		for i, s := range r.Steps {
			if s.State != approval.StepSkipped || s.Error == "" {
				t.Errorf("step %d is %+v", i, s)
			}
		}
	}
	t.Run("Qlik cannot be reached meanwhile", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: one})
			begin := time.Now()
			w.remote.standing = func(string) (execution.Sight, error) {
				if time.Since(begin) < within {
					return execution.Sight{}, &execution.StepError{Class: execution.ErrNotSent, Say: "Nobody is there."}
				}
				return execution.Sight{Standing: execution.Ready}, nil
			}
			defer w.work()()
			w.ask(2)
			w.decide(approval.Confirm, ana)
			time.Sleep(within - time.Minute)
			w.wants(approval.Running, 0, 0)
			time.Sleep(10 * time.Minute)
			expired(t, w)
		})
	})
	t.Run("the bot is stopped meanwhile", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: one})
			w.remote.standing = func(string) (execution.Sight, error) {
				return execution.Sight{}, &execution.StepError{Class: execution.ErrNotSent, Say: "Nobody is there."}
			}
			stop := w.work()
			w.ask(2)
			w.decide(approval.Confirm, ana)
			time.Sleep(time.Minute)
			w.wants(approval.Running, 0, 0)
			stop()
			w.remote.standing = nil
			time.Sleep(within)
			defer w.work()()
			time.Sleep(2 * time.Minute)
			expired(t, w)
		})
	})
	t.Run("the bot is stopped before it began", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: one})
			w.ask(2)
			w.decide(approval.Confirm, ana)
			time.Sleep(within + time.Second)
			defer w.work()()
			time.Sleep(2 * time.Minute)
			expired(t, w)
		})
	})
	t.Run("the time runs out during the look", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: one})
			begin := time.Now()
			w.judge.again = func(r approval.Request) (execution.Judgement, error) {
				time.Sleep(time.Until(begin.Add(within - time.Second)))
				return execution.Judgement{Plan: r.Plan}, nil
			}
			w.remote.standing = func(string) (execution.Sight, error) {
				time.Sleep(5 * time.Second)
				return execution.Sight{Standing: execution.Ready}, nil
			}
			defer w.work()()
			w.ask(2)
			w.decide(approval.Confirm, ana)
			time.Sleep(within + time.Minute)
			expired(t, w)
		})
	})
	t.Run("a later write may come later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: one, endings: []ending{done, notSent, notSent, notSent}})
			stop := w.work()
			w.ask(2)
			w.decide(approval.Confirm, ana)
			time.Sleep(time.Second)
			stop()
			time.Sleep(within)
			defer w.work()()
			time.Sleep(2 * time.Minute)
			w.wants(approval.Succeeded, 5, 2)
		})
	})
}

// TestWhatWasTriedForTooLongIsNotSentWhenTheBotWakes: the time went by while it
// was stopped. What has come true by then is not called a failure.
func TestWhatWasTriedForTooLongIsNotSentWhenTheBotWakes(t *testing.T) {
	t.Parallel()
	for _, landed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &remote{repeat: one, endings: slices.Repeat([]ending{notSent}, 100)})
			stop := w.work()
			w.ask(1)
			w.decide(approval.Confirm, ana)
			time.Sleep(time.Minute)
			stop()
			sends := w.remote.sent()
			time.Sleep(31 * time.Minute)
			state, effects := approval.Failed, 0
			if landed {
				w.remote.effect("object 0")
				state, effects = approval.Succeeded, 1
			}
			defer w.work()()
			time.Sleep(10 * time.Minute)
			w.wants(state, sends, effects)
		})
	}
}
