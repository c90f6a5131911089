package approval

import (
	"fmt"
	"slices"
	"time"

	"github.com/qlik-chatops/bot/internal/audit"
)

// Voter is what is known about the person who decides, found out anew for
// this decision. The zero Voter may do nothing.
type Voter struct {
	Identity
	// UserGroups are the Slack user groups, among those that the request's
	// demands name, that the person is in now.
	UserGroups []string
	// Target says that the plan is about this person, or that they gain by it.
	Target bool
	// Unsure says that this cannot be ruled out, because too little is known
	// about the person. It counts like Target.
	Unsure bool
}

// RefusalCode is why a decision was turned away.
type RefusalCode string

// The refusals.
const (
	RefusedEnded    RefusalCode = "ended"
	RefusedVersion  RefusalCode = "version"
	RefusedOwn      RefusalCode = "own"
	RefusedTarget   RefusalCode = "target"
	RefusedNotAsked RefusalCode = "not-asked"
	RefusedLate     RefusalCode = "late"
	RefusedTwice    RefusalCode = "twice"
	RefusedState    RefusalCode = "state"
)

// Refusal is a decision that does not count. Text is for the person.
type Refusal struct {
	Code RefusalCode
	Text string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(code RefusalCode, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Counts names the demands for which this voter's approval counts. When it
// counts for none, the refusal says why.
func (r *Request) Counts(v Voter) ([]string, *Refusal) {
	if v.Identity == r.Caller {
		return nil, refuse(RefusedOwn, "You asked for %s yourself, so your vote does not count. Nothing was changed.", r.ID)
	}
	if v.Unsure {
		return nil, refuse(RefusedTarget, "Slack does not show your e-mail address, so it cannot be ruled out that %s is about you, and your vote does not count. Nothing was changed.", r.ID)
	}
	if v.Target || r.about(v.User) {
		return nil, refuse(RefusedTarget, "%s is about you, so your vote does not count. Nothing was changed.", r.ID)
	}
	var rules []string
	late := false
	for _, d := range r.Demands {
		switch d.admits(v, r.Caller.Team) {
		case admitted:
			rules = append(rules, d.Rule)
		case tooLate:
			late = true
		case notNamed:
		}
	}
	if len(rules) > 0 {
		return rules, nil
	}
	if late {
		return nil, refuse(RefusedLate, "You joined the approvers after %s was made, so your vote does not count. Nothing was changed.", r.ID)
	}
	return nil, refuse(RefusedNotAsked, "You are not among those who may decide on %s. Nothing was changed.", r.ID)
}

// about says whether the plan names this Slack user as one of its targets.
func (r *Request) about(user string) bool {
	return user != "" && slices.ContainsFunc(r.Plan.Targets, func(t Target) bool { return t.Slack == user })
}

type admission int

const (
	notNamed admission = iota
	tooLate
	admitted
)

// admits says whether the demand names the voter. Policy files name user IDs
// only, so the team must be the one where the request was made.
func (d Demand) admits(v Voter, team string) admission {
	if v.User == "" || v.Team == "" || v.Team != team {
		return notNamed
	}
	if slices.Contains(d.Users, v.User) {
		return admitted
	}
	for _, g := range d.UserGroups {
		if !slices.Contains(v.UserGroups, g) {
			continue
		}
		if d.LateMembers || slices.Contains(d.Members, v.User) {
			return admitted
		}
		return tooLate
	}
	return notNamed
}

// Decide applies one decision and returns what must be stored with it. The
// request is changed only when the error is nil. version is that of the plan
// which the person was shown.
func (r *Request) Decide(kind DecisionKind, v Voter, version int, now time.Time) (Effects, error) {
	switch kind {
	case Happened, NotHappened, Recheck:
		return r.settle(kind, v, version, now)
	case Confirm, Approve, Deny, Cancel, Withdraw:
	}
	if v.Team == "" || v.User == "" {
		return Effects{}, refuse(RefusedNotAsked, "It could not be found out who you are, so you cannot decide on %s. Nothing was changed.", r.ID)
	}
	if refusal := r.decidable(kind, version, now); refusal != nil {
		return Effects{}, refusal
	}
	d := Decision{Kind: kind, By: v.Identity, At: now, Version: r.Version, Digest: r.Digest}
	switch kind {
	case Confirm:
		if !r.Confirms() {
			return Effects{}, refuse(RefusedState, "%s needs the approval of others; it cannot be confirmed by whoever asked. Nothing was changed.", r.ID)
		}
		if v.Identity != r.Caller {
			return Effects{}, refuse(RefusedNotAsked, "Only the person who asked for %s can confirm it. Nothing was changed.", r.ID)
		}
	case Approve:
		if r.Confirms() {
			return Effects{}, refuse(RefusedState, "%s asks for no approvals; whoever asked confirms it. Nothing was changed.", r.ID)
		}
		rules, refusal := r.Counts(v)
		if refusal != nil {
			return Effects{}, refusal
		}
		for _, vote := range r.Votes() {
			if vote.By == v.Identity {
				return Effects{}, refuse(RefusedTwice, "Your approval of %s is already counted.", r.ID)
			}
		}
		d.Demands = rules
	case Deny:
		if _, refusal := r.Counts(v); refusal != nil {
			return Effects{}, refusal
		}
	case Cancel:
		if v.Identity != r.Caller {
			return Effects{}, refuse(RefusedNotAsked, "Only the person who asked for %s can cancel it. Nothing was changed.", r.ID)
		}
	case Withdraw:
		voted := slices.ContainsFunc(r.Votes(), func(d Decision) bool { return d.By == v.Identity })
		if !voted {
			return Effects{}, refuse(RefusedNotAsked, "There is no approval of yours on %s to take back.", r.ID)
		}
	default:
		return Effects{}, refuse(RefusedState, "That is not a decision that %s knows. Nothing was changed.", r.ID)
	}

	r.Decisions = append(r.Decisions, d)
	e := Effects{Records: []audit.Entry{r.Entry(audit.EventDecided, v.Identity, string(kind), decisionDetail(d))}}
	switch kind {
	case Deny:
		r.end(Denied, "Denied. Nothing was changed.", now)
		e.Cancel = append(e.Cancel, r.ExpiryKey())
		e.Records = append(e.Records, r.Entry(audit.EventEnded, Identity{}, string(Denied), ""))
	case Cancel:
		r.end(Cancelled, "Cancelled by the person who asked. Nothing was changed.", now)
		e.Cancel = append(e.Cancel, r.ExpiryKey(), r.RunKey())
		e.Records = append(e.Records, r.Entry(audit.EventEnded, Identity{}, string(Cancelled), ""))
	case Confirm, Approve:
		if r.met() {
			e.Records = append(e.Records, r.approve(now))
			e.Cancel = append(e.Cancel, r.ExpiryKey())
			e.Tasks = append(e.Tasks, r.RunTask(now))
		}
	case Withdraw, Happened, NotHappened, Recheck:
	}
	e.Tasks = append(e.Tasks, r.CardTask(now))
	return e, nil
}

// settle takes a person's word on a step in doubt.
func (r *Request) settle(kind DecisionKind, v Voter, version int, now time.Time) (Effects, error) {
	switch {
	case r.State.Ended():
		return Effects{}, refuse(RefusedEnded, "%s has already ended: %s. Your click changed nothing.", r.ID, r.State)
	case r.State != Unknown:
		return Effects{}, refuse(RefusedState, "%s is not in doubt, so there is nothing to settle. Your click changed nothing.", r.ID)
	case version != r.Version:
		return Effects{}, refuse(RefusedVersion, "The plan of %s has changed since that card was shown. Please look at the current card. Your click changed nothing.", r.ID)
	}
	// Whoever asked knows the matter and may have the bot look again, but
	// their word alone settles only what nobody else was asked about.
	if v.Identity != r.Caller || (!r.Confirms() && kind != Recheck) {
		if _, refusal := r.Counts(v); refusal != nil {
			return Effects{}, refusal
		}
	}
	d := Decision{Kind: kind, By: v.Identity, At: now, Version: r.Version, Digest: r.Digest}
	r.Decisions = append(r.Decisions, d)
	e := Effects{
		Records: []audit.Entry{r.Entry(audit.EventDecided, v.Identity, string(kind), decisionDetail(d))},
		Tasks:   []Task{r.CardTask(now), r.RunTask(now)},
	}
	if kind == Recheck {
		return e, nil
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.tally().Doubt == 0 {
			continue
		}
		item := Item{State: ItemFailed, Why: "a person looked and said that it did not happen"}
		if kind == Happened {
			item = Item{State: ItemDone, Why: "a person looked and said that it happened"}
		}
		// A step that ended otherwise has a doubt about some of its objects only.
		whole := s.State != StepDone && s.State != StepFailed
		switch {
		case whole && kind == Happened:
			s.State, s.Error = StepDone, ""
			s.Note = "A person looked and said that it happened; the bot could not read it back."
		case whole:
			s.State = StepFailed
			s.Error = "A person looked and said that it did not happen."
		}
		// What was read stands; what could not be read is as the person says.
		for n, it := range s.Items {
			if it.State.doubtful() || (whole && kind == Happened && it.State == ItemFailed) {
				s.Items[n].State, s.Items[n].Why = item.State, item.Why
			}
		}
		e.Records = append(e.Records, r.Entry(audit.EventStep, v.Identity, string(s.State), r.Plan.Steps[i].Line))
	}
	r.State, r.Outcome = Running, ""
	return e, nil
}

// decidable turns away what no voter could do now.
func (r *Request) decidable(kind DecisionKind, version int, now time.Time) *Refusal {
	if r.State.Ended() {
		return refuse(RefusedEnded, "%s has already ended: %s. Your click changed nothing.", r.ID, r.State)
	}
	if r.State != Waiting && (kind != Cancel || r.State != Approved) {
		return refuse(RefusedState, "%s is %s by now, so this decision comes too late. Your click changed nothing.", r.ID, r.State)
	}
	if version != r.Version {
		return refuse(RefusedVersion, "The plan of %s has changed since that card was shown. Please look at the current card and decide there. Your click changed nothing.", r.ID)
	}
	if r.State == Waiting && !now.Before(r.ExpiresAt) {
		return refuse(RefusedEnded, "The time for deciding on %s is over. Nothing was changed.", r.ID)
	}
	return nil
}

func decisionDetail(d Decision) string {
	if len(d.Demands) == 0 {
		return fmt.Sprintf("version %d", d.Version)
	}
	return fmt.Sprintf("version %d, counts for %v", d.Version, d.Demands)
}

// approve moves a waiting request on once its demands are met.
func (r *Request) approve(now time.Time) audit.Entry {
	r.State = Approved
	r.ExecuteBy = now.Add(r.executeWithin())
	r.Outcome = "Approved; about to run."
	return r.Entry(audit.EventApproved, Identity{}, "approved", fmt.Sprintf("to start before %s", r.ExecuteBy.UTC().Format(time.RFC3339)))
}

func (r *Request) end(s State, outcome string, now time.Time) {
	r.State = s
	r.Outcome = outcome
	r.EndedAt = now
}

// Entry is an audit entry about this request as it stands.
func (r *Request) Entry(event audit.Event, by Identity, outcome, detail string) audit.Entry {
	return audit.Entry{
		Request: r.ID, Event: event, Actor: audit.Actor{Team: by.Team, User: by.User},
		Tenant: r.Tenant, Command: r.Command, Outcome: outcome, Detail: detail,
		Policy: r.Policy, Plan: r.Digest,
	}
}
