package approval

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qlik-chatops/bot/internal/audit"
)

// Kinds of tasks that a request owes.
const (
	TaskRun    = "run"    // run the approved plan
	TaskCard   = "card"   // make the cards show the request as it stands
	TaskExpire = "expire" // the time for votes is over
)

// RunKey is the key of the task that runs the plan.
func (r *Request) RunKey() string { return TaskRun + ":" + r.ID }

// CardKey is the key of the task that brings the cards up to date.
func (r *Request) CardKey() string { return TaskCard + ":" + r.ID }

// ExpiryKey is the key of the task that ends the time for votes.
func (r *Request) ExpiryKey() string { return TaskExpire + ":" + r.ID }

// RunTask runs the plan. Plans on one tenant run one after the other.
func (r *Request) RunTask(at time.Time) Task {
	return Task{Key: r.RunKey(), Kind: TaskRun, Request: r.ID, Lane: "tenant:" + r.Tenant, RunAt: at}
}

// CardTask brings the cards up to date.
func (r *Request) CardTask(at time.Time) Task {
	return Task{Key: r.CardKey(), Kind: TaskCard, Request: r.ID, RunAt: at}
}

// ExpiryTask ends the time for votes.
func (r *Request) ExpiryTask() Task {
	return Task{Key: r.ExpiryKey(), Kind: TaskExpire, Request: r.ID, RunAt: r.ExpiresAt}
}

// Open makes a new request wait for its votes. The caller has filled in who
// asks for what, the plan and the demands.
func (r *Request) Open(now time.Time) (Effects, error) {
	digest, err := r.Plan.Digest()
	if err != nil {
		return Effects{}, err
	}
	if r.Caller.Team == "" || r.Caller.User == "" {
		return Effects{}, fmt.Errorf("request %s: nobody asks for it", r.ID)
	}
	if err := askable(r.Plan, r.Demands); err != nil {
		return Effects{}, fmt.Errorf("request %s: %w", r.ID, err)
	}
	r.Version, r.State, r.Digest = 1, Waiting, digest
	r.CreatedAt = now
	r.ExpiresAt = now.Add(ExpiresIn(r.Demands))
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventPlanned, r.Caller, string(Waiting), r.Plan.Title)},
		Tasks:   []Task{r.CardTask(now), r.ExpiryTask()},
	}, nil
}

// askable refuses what no approval could make sense of: votes are counted by
// the rule's name, and a demand for nobody's vote would be no demand.
func askable(p Plan, demands []Demand) error {
	if len(p.Steps) == 0 {
		return errors.New("a plan without steps asks nobody")
	}
	seen := make(map[string]bool, len(demands))
	for _, d := range demands {
		switch {
		case d.Rule == "" || seen[d.Rule]:
			return fmt.Errorf("two demands, or one without a name, would share their votes: %q", d.Rule)
		case d.Count < 1:
			return fmt.Errorf("the demand of rule %q asks for %d approvals", d.Rule, d.Count)
		}
		seen[d.Rule] = true
	}
	return nil
}

// Expire ends a request whose time for votes is over. It does nothing to one
// that is not waiting or not yet due.
func (r *Request) Expire(now time.Time) (Effects, bool) {
	if r.State != Waiting || now.Before(r.ExpiresAt) {
		return Effects{}, false
	}
	what := "Nobody decided in time"
	if r.Confirms() {
		what = "It was not confirmed in time"
	} else if len(r.Votes()) > 0 {
		what = "Not enough people approved in time"
	}
	r.end(Expired, what+". Nothing was changed.", now)
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventExpired, Identity{}, string(Expired), what)},
		Tasks:   []Task{r.CardTask(now)},
	}, true
}

// Replan puts a changed plan, or changed demands, before the approvers: a new
// version without votes. Only a request that has not written anything can be
// put back.
func (r *Request) Replan(plan Plan, demands []Demand, policy, notice string, now time.Time) (Effects, error) {
	if r.State != Approved {
		return Effects{}, fmt.Errorf("request %s is %s and cannot be planned anew", r.ID, r.State)
	}
	if err := askable(plan, demands); err != nil {
		return Effects{}, fmt.Errorf("request %s: %w", r.ID, err)
	}
	digest, err := plan.Digest()
	if err != nil {
		return Effects{}, err
	}
	r.Version++
	r.State = Waiting
	r.Plan, r.Digest, r.Demands, r.Policy, r.Notice = plan, digest, demands, policy, notice
	r.ExecuteBy = time.Time{}
	r.Outcome = ""
	r.ExpiresAt = now.Add(ExpiresIn(demands))
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventReplan, Identity{}, string(Waiting), notice)},
		Tasks:   []Task{r.CardTask(now), r.ExpiryTask()},
	}, nil
}

// Start moves an approved request to running, just before its first step.
func (r *Request) Start() error {
	if r.State != Approved {
		return fmt.Errorf("request %s is %s and cannot start", r.ID, r.State)
	}
	r.State = Running
	r.Outcome = ""
	r.Steps = make([]StepRecord, len(r.Plan.Steps))
	for i := range r.Steps {
		r.Steps[i].State = StepPlanned
	}
	return nil
}

// Abandon ends an approved request before its first step; s is one of the
// states that end it.
func (r *Request) Abandon(s State, outcome string, now time.Time) (Effects, error) {
	if r.State != Approved {
		return Effects{}, fmt.Errorf("request %s is %s and cannot be abandoned", r.ID, r.State)
	}
	if !s.Ended() {
		return Effects{}, fmt.Errorf("request %s: %s is no end", r.ID, s)
	}
	r.end(s, outcome, now)
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventEnded, Identity{}, string(s), outcome)},
		Tasks:   []Task{r.CardTask(now)},
	}, nil
}

// Finish ends a running (or doubtful) request by what its steps came to. With
// a step in doubt the state is Unknown, which a later Finish may settle.
func (r *Request) Finish(now time.Time) (Effects, error) {
	if r.State != Running && r.State != Unknown {
		return Effects{}, fmt.Errorf("request %s is %s and cannot finish", r.ID, r.State)
	}
	if len(r.Steps) != len(r.Plan.Steps) {
		return Effects{}, fmt.Errorf("request %s has %d steps and records of %d", r.ID, len(r.Plan.Steps), len(r.Steps))
	}
	t := r.Tally()
	switch {
	case t.Doubt > 0:
		r.State, r.Outcome = Unknown, "It could not be found out whether a step took effect. A person has to look."
	case t.Open > 0:
		return Effects{}, fmt.Errorf("request %s has %d open steps and cannot finish", r.ID, t.Open)
	case t.Failed == 0:
		r.end(Succeeded, r.success(), now)
	case t.Done > 0 && r.tookWord():
		r.end(PartlySucceeded, "Some of it was done, in part by what a person said and the bot could not read back; the rest was not done.", now)
	case t.Done > 0:
		r.end(PartlySucceeded, "Some of it was done and verified; the rest was not done.", now)
	default:
		r.end(Failed, "It was not done. Nothing was changed.", now)
	}
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventEnded, Identity{}, string(r.State), r.Outcome)},
		Tasks:   []Task{r.CardTask(now)},
	}, nil
}

// success says in which way it came to be as it was wanted.
func (r *Request) success() string {
	if r.tookWord() {
		return "Done. That one step happened was said by a person; the bot could not read it back."
	}
	for _, s := range r.Steps {
		// What was sent and then proved needless was not so already.
		if s.State != StepSkipped || s.Sends > 0 {
			return "Done and verified by reading back."
		}
	}
	return "It was so already; nothing was sent."
}

// tookWord says whether a step counts as done because a person said so.
func (r *Request) tookWord() bool {
	return slices.ContainsFunc(r.Decisions, func(d Decision) bool {
		return d.Kind == Happened && d.Version == r.Version
	})
}

// Lapse ends a running request of which nothing was sent in the time that the
// approvals gave it. Its steps stand still from then on.
func (r *Request) Lapse(now time.Time) (Effects, error) {
	if r.State != Running || r.Sent() {
		return Effects{}, fmt.Errorf("request %s is %s and cannot lapse", r.ID, r.State)
	}
	r.GiveUpRest("Not tried: the time for it was over.")
	r.end(Expired, "It was approved, but its first write could not be sent in time. Nothing was changed.", now)
	return Effects{
		Records: []audit.Entry{r.Entry(audit.EventEnded, Identity{}, string(Expired), r.Outcome)},
		Tasks:   []Task{r.CardTask(now)},
	}, nil
}

// Sent says whether any write of the request was ever sent.
func (r *Request) Sent() bool {
	return slices.ContainsFunc(r.Steps, func(s StepRecord) bool { return s.Sends > 0 })
}

// Tally counts steps, and where a step goes over many objects, its items.
type Tally struct{ Done, Failed, Doubt, Open int }

// Tally counts how the steps stand. A state that it does not know counts as
// doubt.
func (r *Request) Tally() Tally {
	var t Tally
	for i := range r.Steps {
		one := r.Steps[i].tally()
		t.Done, t.Failed, t.Doubt, t.Open = t.Done+one.Done, t.Failed+one.Failed, t.Doubt+one.Doubt, t.Open+one.Open
	}
	return t
}

// tally is the Tally of one step.
func (s *StepRecord) tally() Tally {
	var t Tally
	switch s.State {
	case StepDone:
		t.add(*s)
	case StepFailed:
		t.add(*s)
		// A failure that no item owns up to is still one.
		if t.Failed == 0 {
			t.Failed++
		}
	case StepSkipped:
		if s.Error != "" {
			t.Failed++
		}
	case StepPlanned, StepSending:
		t.Open++
	default: // StepDoubt, or a state that is not known
		t.Doubt++
	}
	return t
}

func (t *Tally) add(s StepRecord) {
	if len(s.Items) == 0 {
		if s.State == StepDone {
			t.Done++
		}
		return
	}
	for _, i := range s.Items {
		switch {
		case i.State.doubtful():
			t.Doubt++
		case i.State == ItemFailed:
			t.Failed++
		case i.State == ItemPartly:
			t.Done++
			t.Failed++
		default:
			t.Done++
		}
	}
}

// StillHolds says whether what was decided on this version is enough for the
// demands of today. counts tells, for each person who approved, the rules for
// which they would count today; whoever is missing there counts for none.
func (r *Request) StillHolds(demands []Demand, counts map[Identity][]string) bool {
	if len(demands) == 0 {
		// Nobody is asked today. Approvals are more than a confirmation, so
		// either is enough.
		return true
	}
	votes := r.Votes()
	for _, d := range demands {
		n := 0
		for _, v := range votes {
			for _, rule := range counts[v.By] {
				if rule == d.Rule {
					n++
					break
				}
			}
		}
		if n < d.Count {
			return false
		}
	}
	return true
}
