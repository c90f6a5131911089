package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Judge looks at an approved request with today's eyes, before its first step.
type Judge interface {
	// Again plans the request anew and asks today's policy. An error means
	// that it could not be found out now and is worth trying again.
	Again(ctx context.Context, r approval.Request) (Judgement, error)
}

// Judgement is what holds for a request today.
type Judgement struct {
	// Refused says why the request may not run any more, in a sentence for
	// people; empty when it may.
	Refused string
	Plan    approval.Plan
	Demands []approval.Demand
	// Policy is the digest of the policy that was asked.
	Policy string
	// Counts tells for each person who approved the rules for which they
	// would count today.
	Counts map[approval.Identity][]string
}

// Runner runs approved plans.
type Runner struct {
	Store  approval.Store
	Judge  Judge
	Kinds  map[string]Kind
	Logger *slog.Logger
	Times  Times
}

// Times are the pauses and deadlines of a Runner. The zero value of each
// means its default.
type Times struct {
	// Call bounds one write; a write that takes longer is in doubt. Default 30 s.
	Call time.Duration
	// Settle is how long after the end of a doubtful call its effect may
	// still appear. Default 10 s.
	Settle time.Duration
	// Apart separates the two readings that let a creation be sent again.
	// Default 15 s.
	Apart time.Duration
	// GiveUp is how long a step that was never sent is tried while Qlik
	// cannot be reached. Default 30 min.
	GiveUp time.Duration
	// Doubt is how long a step in doubt is looked at before a person is
	// asked. Default 15 min.
	Doubt time.Duration
}

func (t Times) orDefaults() Times {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&t.Call, 30*time.Second)
	set(&t.Settle, 10*time.Second)
	set(&t.Apart, 15*time.Second)
	set(&t.GiveUp, 30*time.Minute)
	set(&t.Doubt, 15*time.Minute)
	return t
}

// recheckAfter is how often a request in doubt is looked at by itself, long
// after a person was asked.
const recheckAfter = 10 * time.Minute

// Handle runs the request of the claimed task as far as it goes now. It is
// the Handler of approval.TaskRun.
func (x *Runner) Handle(ctx context.Context, c approval.Claim) error {
	r, err := x.Store.Request(ctx, c.Request)
	if err != nil {
		return fmt.Errorf("run %s: %w", c.Request, err)
	}
	if r.State == approval.Approved {
		if r, err = x.begin(ctx, c, r); err != nil {
			return err
		}
	}
	switch r.State {
	case approval.Running, approval.Unknown:
		return x.steps(ctx, c, r)
	case approval.Waiting, approval.Succeeded, approval.PartlySucceeded, approval.Failed,
		approval.Denied, approval.Cancelled, approval.Expired, approval.Approved:
	}
	// Ended, put back to the approvers, or cancelled while the task waited.
	return x.drop(ctx, c)
}

// drop ends a task that has nothing to do (any more).
func (x *Runner) drop(ctx context.Context, c approval.Claim) error {
	if err := x.Store.Append(ctx, approval.Effects{Finish: &c}); err != nil && !errors.Is(err, approval.ErrLost) {
		return fmt.Errorf("end task %s: %w", c.Key, err)
	}
	return nil
}

// begin judges an approved request again and starts it, puts it back to the
// approvers, or ends it. In every case but a start the claim is left for
// Handle to drop.
func (x *Runner) begin(ctx context.Context, c approval.Claim, r approval.Request) (approval.Request, error) {
	if time.Now().After(r.ExecuteBy) {
		return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.Abandon(approval.Expired, "It was approved, but could not be started in time. Nothing was changed.", now)
		})
	}
	jctx, cancel := context.WithDeadline(ctx, r.ExecuteBy)
	defer cancel()
	j, err := x.Judge.Again(jctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		return r, x.postpone(ctx, c, r, err)
	}
	if j.Refused != "" {
		return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.Abandon(approval.Failed, j.Refused+" Nothing was changed.", now)
		})
	}
	digest, err := j.Plan.Digest()
	if err != nil {
		return r, err
	}
	changed := digest != r.Digest
	switch {
	case len(j.Plan.Steps) == 0:
		return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.Abandon(approval.Succeeded, "It was so already when it was to run: "+j.Plan.Nothing+" The bot changed nothing.", now)
		})
	case changed, !r.StillHolds(j.Demands, j.Counts):
		notice := "Something changed between the approval and the run, so the plan is shown anew and asks again. Nothing was changed."
		if !changed {
			notice = "The approvals are not enough for the policy as it is now, so this asks again. Nothing was changed."
		}
		return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.Replan(j.Plan, j.Demands, j.Policy, notice, now)
		})
	}
	return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
		return approval.Effects{Tasks: []approval.Task{r.CardTask(now)}}, r.Start()
	})
}

// postpone tries the judgement again later and lets the card say so.
func (x *Runner) postpone(ctx context.Context, c approval.Claim, r approval.Request, cause error) error {
	at := time.Now().Add(pause(c.Attempt))
	say := "Approved. Qlik or Slack cannot be asked at the moment; trying again until the approval runs out."
	x.Logger.Warn("cannot judge a request again yet", "request", r.ID, "tenant", r.Tenant, "error", cause)
	if r.Outcome != say {
		_, err := x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			r.Outcome = say
			return approval.Effects{Tasks: []approval.Task{r.CardTask(now)}}, nil
		})
		if err != nil {
			return err
		}
	}
	if at.After(r.ExecuteBy) {
		at = r.ExecuteBy.Add(time.Millisecond)
	}
	return Later(at, "could not be judged again")
}

// change stores a change of the request under the claim. It fails with
// approval.ErrLost when the claim is somebody else's, and does nothing when
// the request is no longer in the state in which it was read.
func (x *Runner) change(ctx context.Context, c approval.Claim, was approval.Request, fn func(*approval.Request, time.Time) (approval.Effects, error)) (approval.Request, error) {
	return x.Store.ChangeRequest(ctx, was.ID, func(r *approval.Request) (approval.Effects, error) {
		if r.State != was.State || r.Version != was.Version {
			// Somebody cancelled it in between: leave it.
			return approval.Effects{Hold: &c}, nil
		}
		e, err := fn(r, time.Now())
		e.Hold = &c
		return e, err
	})
}

// steps runs the steps that are open, one after the other, and ends the
// request when none is.
func (x *Runner) steps(ctx context.Context, c approval.Claim, r approval.Request) error {
	var err error
	for i := range r.Steps {
		if r.Steps[i].State == approval.StepDoubt {
			if r, err = x.lookAgain(ctx, c, r, i); err != nil {
				return err
			}
		}
		for open(r.Steps[i].State) {
			if r, err = x.advance(ctx, c, r, i); err != nil {
				return err
			}
			if r.State.Ended() {
				return x.drop(ctx, c)
			}
		}
		if r.Steps[i].State == approval.StepDoubt {
			break
		}
		if r.Steps[i].State == approval.StepFailed {
			n := i + 1
			r, err = x.change(ctx, c, r, func(r *approval.Request, _ time.Time) (approval.Effects, error) {
				r.GiveUpRest(fmt.Sprintf("Not tried, because step %d failed.", n))
				return approval.Effects{}, nil
			})
			if err != nil {
				return err
			}
			break
		}
	}
	r, err = x.Store.ChangeRequest(ctx, r.ID, func(r *approval.Request) (approval.Effects, error) {
		now := time.Now()
		if r.State == approval.Unknown && r.Tally().Doubt > 0 {
			return approval.Effects{Hold: &c}, nil // still in doubt; nothing new to tell
		}
		e, err := r.Finish(now)
		e.Finish = &c
		if r.State == approval.Unknown {
			// The claim stays: the bot goes on looking, seldom.
			e.Finish, e.Hold = nil, &c
		}
		return e, err
	})
	if err != nil {
		return err
	}
	x.Logger.Info("request ended or in doubt", "request", r.ID, "tenant", r.Tenant, "state", string(r.State))
	if r.State == approval.Unknown {
		return Later(time.Now().Add(recheckAfter), "in doubt")
	}
	return nil
}

// lookAgain looks once at a step in doubt. What is in doubt is never sent
// again: the people who agreed to it have been told that it may not have
// happened, and may have acted on that.
func (x *Runner) lookAgain(ctx context.Context, c approval.Claim, r approval.Request, i int) (approval.Request, error) {
	kind, ok := x.Kinds[r.Plan.Steps[i].Kind]
	if !ok {
		return r, nil
	}
	sight, err := x.look(ctx, kind, r, i)
	if err != nil {
		x.Logger.Warn("cannot look at a step in doubt", "request", r.ID, "tenant", r.Tenant, "error", err)
		return r, nil
	}
	var to approval.StepState
	var say string
	rec := r.Steps[i]
	switch {
	case sight.Standing == Present:
		to, say = approval.StepDone, "It was in doubt; reading it back shows that it happened."
	case sight.Standing == Needless:
		to, say = approval.StepSkipped, sight.Why
	case sight.Standing == Ready && !rec.Answered && rec.Absent > 0 && time.Since(rec.LookAt) >= x.Times.orDefaults().Apart:
		to, say = approval.StepFailed, "It was in doubt; two readings show that it did not happen. It was not sent again: please ask anew."
	case sight.Standing == Ready && !rec.Answered && rec.Absent == 0:
		return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return approval.Effects{}, r.AbsentStep(i, now)
		})
	default:
		return r, nil
	}
	return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
		e, err := r.EndStep(i, to, say, sight.Result, sight.Items, now)
		if err == nil && r.Tally().Doubt == 0 {
			r.Resume()
		}
		return e, err
	})
}

// open says whether a step is to be worked on.
func open(s approval.StepState) bool {
	return s == approval.StepPlanned || s == approval.StepSending
}

// advance takes one step one stage further and stores that.
func (x *Runner) advance(ctx context.Context, c approval.Claim, r approval.Request, i int) (approval.Request, error) {
	kind, ok := x.Kinds[r.Plan.Steps[i].Kind]
	if !ok {
		return x.endStep(ctx, c, r, i, approval.StepFailed, "This version of the bot does not know this kind of step.", Sight{})
	}
	if r.Steps[i].State == approval.StepPlanned {
		return x.send(ctx, c, r, i, kind)
	}
	return x.settle(ctx, c, r, i, kind)
}

// send looks at the object and, when it is as planned, sends the write.
func (x *Runner) send(ctx context.Context, c approval.Claim, r approval.Request, i int, kind Kind) (approval.Request, error) {
	times := x.Times.orDefaults()
	if !r.Sent() && time.Now().After(r.ExecuteBy) {
		return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.Lapse(now)
		})
	}
	if r.Steps[i].StartedAt.IsZero() {
		var err error
		if r, err = x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			r.Steps[i].StartedAt = now
			return approval.Effects{}, nil
		}); err != nil {
			return r, err
		}
	}
	sight, err := x.look(ctx, kind, r, i)
	if err != nil {
		return x.unreachable(ctx, c, r, i, times, err)
	}
	// A write that was sent before, and seemed to have had no effect, may have
	// taken effect late: what is found now may be its doing.
	again := r.Steps[i].Sends > 0
	switch sight.Standing {
	case Present:
		if again {
			return x.endStep(ctx, c, r, i, approval.StepDone, "No clear answer had come; reading it back shows that it is so now.", sight)
		}
		return x.endStep(ctx, c, r, i, approval.StepSkipped, "It was so already; nothing was sent.", sight)
	case Needless:
		return x.endStep(ctx, c, r, i, approval.StepSkipped, sight.Why, sight)
	case Changed:
		if again {
			return x.endStep(ctx, c, r, i, approval.StepDoubt, "It was sent before without a clear answer, and reading shows something else now: "+sight.Why, sight)
		}
		return x.endStep(ctx, c, r, i, approval.StepFailed, orElse(sight.Why, "Somebody changed it in the meantime; nothing was sent."), sight)
	case Ready:
		if time.Since(r.Steps[i].StartedAt) > times.GiveUp {
			return x.giveUp(ctx, c, r, i, "")
		}
	default:
		if again {
			return x.endStep(ctx, c, r, i, approval.StepDoubt, "It was sent before without a clear answer, and it could not be made out how this stands now.", sight)
		}
		return x.endStep(ctx, c, r, i, approval.StepFailed, "It could not be made out how this stands; nothing was sent.", sight)
	}
	r, err = x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
		if !r.Sent() && now.After(r.ExecuteBy) {
			return r.Lapse(now) // the look took too long
		}
		return r.SendStep(i, now)
	})
	if err != nil || r.State.Ended() {
		return r, err
	}
	if r.Steps[i].State != approval.StepSending {
		return r, fmt.Errorf("request %s: step %d: the intent was not stored", r.ID, i)
	}
	answer, err := x.do(ctx, kind, r, i, times)
	return x.answered(ctx, c, r, i, answer, err)
}

// do sends the write with a deadline of its own, so that a stop of the bot
// leaves it time to end rather than in doubt.
func (x *Runner) do(ctx context.Context, kind Kind, r approval.Request, i int, times Times) (Answer, error) {
	dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), times.Call)
	defer cancel()
	return kind.Do(dctx, Work{Request: r.ID, Plan: r.Plan, Index: i, Records: r.Steps})
}

// answered stores what the answer to a write means.
func (x *Runner) answered(ctx context.Context, c approval.Claim, r approval.Request, i int, a Answer, cause error) (approval.Request, error) {
	// What was sent must be noted even when the bot is going down.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	log := x.Logger.With("request", r.ID, "tenant", r.Tenant, "op", r.Plan.Steps[i].Kind)
	say, after := words(cause)
	switch {
	case cause == nil:
		return x.change(ctx, c, r, func(r *approval.Request, _ time.Time) (approval.Effects, error) {
			return approval.Effects{}, r.AnswerStep(i, a.Result, a.Items)
		})
	case errors.Is(cause, ErrNotSent):
		log.Warn("a write had no effect and will be tried again", "error", cause)
		r, err := x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.UnsendStep(i, orElse(say, "Qlik could not be reached; trying again."), nil, nil, now)
		})
		if err != nil {
			return r, err
		}
		return x.giveUpOrLater(ctx, c, r, i, max(after, pause(r.Steps[i].Sends)), say)
	case errors.Is(cause, ErrRefused):
		log.Warn("a write was refused", "error", cause)
		return x.endStep(ctx, c, r, i, approval.StepFailed, orElse(say, "Qlik refused it."), Sight{Items: a.Items, Result: a.Result})
	default:
		log.Warn("the outcome of a write is unknown; it will be read", "error", cause)
		r, err := x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			return r.DoubtfulStep(i, "No clear answer came back; reading to find out whether it happened.", a.Result, a.Items, now)
		})
		return r, err
	}
}

// settle reads whether a sent write took effect.
func (x *Runner) settle(ctx context.Context, c approval.Claim, r approval.Request, i int, kind Kind) (approval.Request, error) {
	times := x.Times.orDefaults()
	rec := r.Steps[i]
	// Without an answer the effect may still be on its way.
	settled := rec.SentAt
	if !rec.Answered {
		settled = rec.SentAt.Add(times.Call + times.Settle)
	}
	over := time.Since(rec.SentAt) > times.Call+times.Settle+times.Doubt
	sight, err := x.look(ctx, kind, r, i)
	if err != nil {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		say, after := words(err)
		if over {
			return x.endStep(ctx, c, r, i, approval.StepDoubt, "It was sent, and whether it took effect could not be read: "+orElse(say, "Qlik did not answer."), Sight{})
		}
		x.Logger.Warn("cannot read back yet", "request", r.ID, "tenant", r.Tenant, "error", err)
		return r, Later(time.Now().Add(max(after, pause(c.Attempt))), "cannot read back yet")
	}
	switch sight.Standing {
	case Present:
		note := ""
		if !rec.Answered {
			note = "No clear answer came back; reading it back shows that it happened."
		}
		return x.endStep(ctx, c, r, i, approval.StepDone, note, sight)
	case Needless:
		return x.endStep(ctx, c, r, i, approval.StepSkipped, sight.Why, sight)
	case Changed:
		if time.Now().Before(settled) {
			return r, Later(settled, "waiting for a doubtful write to settle")
		}
		return x.endStep(ctx, c, r, i, approval.StepDoubt, "It was sent, but reading it back shows something else: "+sight.Why, sight)
	case Ready:
	default:
		return x.endStep(ctx, c, r, i, approval.StepDoubt, "It was sent, but it could not be made out how this stands now.", sight)
	}
	// No effect so far.
	if time.Now().Before(settled) {
		return r, Later(settled, "waiting for a doubtful write to settle")
	}
	if rec.Answered {
		// Qlik said yes; lists may lag, so read again for a while.
		if over {
			return x.endStep(ctx, c, r, i, approval.StepDoubt, "Qlik answered that it was done, but it cannot be read back.", sight)
		}
		return r, Later(time.Now().Add(pause(c.Attempt)), "not visible yet")
	}
	switch kind.Repeat() {
	case AfterOneLook:
	case AfterTwoLooks:
		if rec.Absent > 0 && time.Since(rec.LookAt) < times.Apart {
			return r, Later(rec.LookAt.Add(times.Apart), "waiting for the second reading")
		}
		if rec.Absent == 0 {
			r, err = x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
				return approval.Effects{}, r.AbsentStep(i, now)
			})
			if err != nil {
				return r, err
			}
			return r, Later(time.Now().Add(times.Apart), "waiting for the second reading")
		}
	case Never:
		return x.endStep(ctx, c, r, i, approval.StepDoubt, "It was sent and no answer came; it must not be sent twice, so a person has to look.", sight)
	}
	r, err = x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
		return r.UnsendStep(i, "No clear answer came, and reading shows what did not happen; sending that again.", sight.Result, sight.Items, now)
	})
	if err != nil {
		return r, err
	}
	return x.giveUpOrLater(ctx, c, r, i, 0, "Qlik gave no clear answer.")
}

// unreachable handles a look before a write that failed.
func (x *Runner) unreachable(ctx context.Context, c approval.Claim, r approval.Request, i int, times Times, cause error) (approval.Request, error) {
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	say, after := words(cause)
	if errors.Is(cause, ErrRefused) {
		return x.endStep(ctx, c, r, i, approval.StepFailed, orElse(say, "Qlik refused to show how this stands, so it was not sent."), Sight{})
	}
	x.Logger.Warn("cannot look before a write", "request", r.ID, "tenant", r.Tenant, "error", cause)
	return x.giveUpOrLater(ctx, c, r, i, max(after, pause(c.Attempt)), say)
}

// giveUpOrLater tries a step that is certainly without effect again after d,
// or closes it when it has been tried for long enough.
func (x *Runner) giveUpOrLater(ctx context.Context, c approval.Claim, r approval.Request, i int, d time.Duration, say string) (approval.Request, error) {
	if r.Steps[i].State != approval.StepPlanned {
		return r, nil
	}
	if time.Since(r.Steps[i].StartedAt) > x.Times.orDefaults().GiveUp {
		return x.giveUp(ctx, c, r, i, say)
	}
	if d == 0 {
		return r, nil
	}
	if r.Steps[i].Note == "" && say != "" {
		var err error
		if r, err = x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
			r.Steps[i].Note = say + " Trying again."
			return approval.Effects{Tasks: []approval.Task{r.CardTask(now)}}, nil
		}); err != nil {
			return r, err
		}
	}
	return r, Later(time.Now().Add(d), "to be tried again")
}

// giveUp closes a step that was tried for long enough.
func (x *Runner) giveUp(ctx context.Context, c approval.Claim, r approval.Request, i int, say string) (approval.Request, error) {
	why := "Given up after trying for long. Nothing of it was sent. "
	if r.Steps[i].Sends > 0 {
		why = "Given up after trying for long. What reading did not show as done was not done. "
	}
	return x.endStep(ctx, c, r, i, approval.StepFailed, strings.TrimSpace(why+say), Sight{})
}

func (x *Runner) look(ctx context.Context, kind Kind, r approval.Request, i int) (Sight, error) {
	lctx, cancel := context.WithTimeout(ctx, x.Times.orDefaults().Call)
	defer cancel()
	return kind.Look(lctx, Work{Request: r.ID, Plan: r.Plan, Index: i, Records: r.Steps})
}

func (x *Runner) endStep(ctx context.Context, c approval.Claim, r approval.Request, i int, to approval.StepState, say string, s Sight) (approval.Request, error) {
	return x.change(ctx, c, r, func(r *approval.Request, now time.Time) (approval.Effects, error) {
		return r.EndStep(i, to, say, s.Result, s.Items, now)
	})
}

// words takes the sentence for people and the pause out of an error.
func words(err error) (say string, after time.Duration) {
	var step *StepError
	if errors.As(err, &step) {
		return step.Say, step.After
	}
	return "", 0
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// ExpiryHandler ends the time for votes when it is over.
func ExpiryHandler(store approval.Store) Handler {
	return func(ctx context.Context, c approval.Claim) error {
		var at time.Time
		_, err := store.ChangeRequest(ctx, c.Request, func(r *approval.Request) (approval.Effects, error) {
			now := time.Now()
			if r.State == approval.Waiting && now.Before(r.ExpiresAt) {
				at = r.ExpiresAt // the deadline was moved
				return approval.Effects{Hold: &c}, nil
			}
			e, _ := r.Expire(now)
			e.Finish = &c
			return e, nil
		})
		if errors.Is(err, approval.ErrNoRequest) {
			return store.Append(ctx, approval.Effects{Finish: &c})
		}
		if err != nil {
			return err
		}
		if !at.IsZero() {
			return Later(at, "not due yet")
		}
		return nil
	}
}
