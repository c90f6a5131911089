package approval

import (
	"encoding/json"
	"time"
)

// State is where a request stands. The words are public: they begin the text
// of every card.
type State string

// The states, and nothing else.
const (
	Waiting         State = "waiting"          // for approvals, or for the caller's confirmation
	Approved        State = "approved"         // every demand is met; nothing has been written yet
	Running         State = "running"          // a first step has been sent, or is about to be
	Succeeded       State = "succeeded"        // every step done and verified
	PartlySucceeded State = "partly succeeded" // some steps done, some not, and no more will be
	Failed          State = "failed"           // no step took effect, and none will
	Unknown         State = "unknown"          // a step is in doubt and a person is asked
	Denied          State = "denied"
	Cancelled       State = "cancelled"
	Expired         State = "expired"
)

// Ended says whether a request in this state will never change again.
// Unknown is not an end: it is settled later.
func (s State) Ended() bool {
	switch s {
	case Succeeded, PartlySucceeded, Failed, Denied, Cancelled, Expired:
		return true
	case Waiting, Approved, Running, Unknown:
		return false
	}
	return false
}

// Identity is a person: the team (or, on Enterprise Grid, the organisation)
// and the user ID of Slack's envelope. Names are never identity.
type Identity struct {
	Team string `json:"team"`
	User string `json:"user"`
}

// Request is one change that somebody asked for, from typing to its end.
type Request struct {
	// ID is short enough to be typed on a phone.
	ID string
	// Version is the number of the plan that people are shown. It grows when
	// the plan changes, and a click on an older version counts for nothing.
	Version int
	// Revision grows with every stored change of any kind.
	Revision int64

	State  State
	Caller Identity
	// Channel is where the command was typed.
	Channel string
	// Text is what was typed, without the slash command itself.
	Text string
	// Command and Args are the parsed command: its catalogue name and its
	// arguments as the command's own JSON, from which it is planned again.
	Command string
	Args    json.RawMessage
	Tenant  string
	Reason  string

	Plan   Plan
	Digest string // of Plan
	// Policy is the digest of the policy under which the demands were made.
	Policy  string
	Demands []Demand
	// Decisions of all versions, oldest first.
	Decisions []Decision
	// Steps are the records of Plan.Steps, by index; empty until it runs.
	Steps []StepRecord

	CreatedAt time.Time
	ExpiresAt time.Time // for the votes
	ExecuteBy time.Time // zero until approved: the first step must start before
	EndedAt   time.Time // zero until ended

	// Outcome is one sentence on how it ended or stands, for people.
	Outcome string
	// Notice tells why the plan or its demands changed after an earlier
	// version; empty on the first.
	Notice string

	// Cards are the places where the request's card stands.
	Cards []Card
}

// Card is one message that shows the request.
type Card struct {
	Channel string `json:"channel"`
	// TS is Slack's message timestamp, empty until it was posted.
	TS string `json:"ts"`
	// Shown is the revision that the message showed when it was posted.
	Shown int64 `json:"shown"`
}

// Demand is what one rule of the policy asks of this request.
type Demand struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"`
	// Users and UserGroups are whose approval counts.
	Users      []string `json:"users,omitempty"`
	UserGroups []string `json:"usergroups,omitempty"`
	// Members are the people who were in one of UserGroups when the request
	// was made. Whoever joined later does not count unless LateMembers.
	Members       []string      `json:"members,omitempty"`
	LateMembers   bool          `json:"late_members,omitempty"`
	ExpiresIn     time.Duration `json:"expires_in"`
	ExecuteWithin time.Duration `json:"execute_within"`
}

// DecisionKind is what a person did.
type DecisionKind string

// The kinds of decisions.
const (
	Confirm  DecisionKind = "confirm"  // the caller, where no approvals are demanded
	Approve  DecisionKind = "approve"  // somebody whom a demand names
	Deny     DecisionKind = "deny"     // the same; ends the request
	Cancel   DecisionKind = "cancel"   // the caller; ends the request
	Withdraw DecisionKind = "withdraw" // takes an own approval back before the quorum

	// About a step in doubt, by those who may decide on the request:
	Happened    DecisionKind = "happened"     // it took effect
	NotHappened DecisionKind = "not-happened" // it did not
	Recheck     DecisionKind = "recheck"      // the bot shall look again
)

// Decision is one person's word on one version of a plan.
type Decision struct {
	Kind DecisionKind
	By   Identity
	At   time.Time
	// Version and Digest are of the plan that the person was shown.
	Version int
	Digest  string
	// Demands are the rules for which the vote counts.
	Demands []string
}

// StepState is where a step stands.
type StepState string

// The states of a step.
const (
	StepPlanned StepState = "planned" // nothing was sent, or what was sent certainly had no effect
	StepSending StepState = "sending" // the intent is stored; it may have taken effect
	StepDone    StepState = "done"    // read back and found as planned
	StepFailed  StepState = "failed"  // certainly not done, and will not be tried again
	StepSkipped StepState = "skipped" // not needed, or given up because an earlier step failed
	StepDoubt   StepState = "doubt"   // reading could not settle it; a person is asked
)

// StepRecord is how far a step has come.
type StepRecord struct {
	State StepState
	// Sends counts how often the write was sent; Absent counts separated
	// readings after a doubtful send that found no effect.
	Sends  int
	Absent int
	// StartedAt is when the step was first looked at.
	StartedAt time.Time
	SentAt    time.Time // of the last send
	// Answered says that Qlik answered the last send with success; what is
	// left is to read it back.
	Answered bool
	// LookAt is the last reading that found no effect.
	LookAt time.Time
	// Result is what the step's kind keeps of the answer, such as new IDs.
	Result json.RawMessage
	// Items tell how it went for each object of a step over many.
	Items []Item
	// Error is why it failed, was given up or is in doubt, for people; Note is
	// what else there is to say, such as that it was so already.
	Error string
	Note  string
}

// ItemState is how it went for one object of a step over many.
type ItemState string

// The states of an item.
const (
	ItemDone   ItemState = "done"
	ItemThere  ItemState = "there" // was so already; nothing was sent for it
	ItemFailed ItemState = "failed"
	// ItemPartly: something was changed for it, but not all that it should.
	ItemPartly ItemState = "partly"
	ItemDoubt  ItemState = "doubt"
)

// doubtful says that the item is in doubt, or in a state that is not known.
func (s ItemState) doubtful() bool {
	switch s {
	case ItemDone, ItemThere, ItemFailed, ItemPartly:
		return false
	case ItemDoubt:
	}
	return true
}

// Item is one object of a step over many, such as one invited address.
type Item struct {
	Name  string    `json:"name"`
	State ItemState `json:"state"`
	Why   string    `json:"why,omitempty"`
}

// Votes are the approvals that stand for the current version, oldest first.
// A withdrawn approval is not among them.
func (r *Request) Votes() []Decision {
	var votes []Decision
	for _, d := range r.Decisions {
		if d.Version != r.Version {
			continue
		}
		switch d.Kind {
		case Approve:
			votes = append(votes, d)
		case Withdraw:
			kept := votes[:0:0]
			for _, v := range votes {
				if v.By != d.By {
					kept = append(kept, v)
				}
			}
			votes = kept
		case Confirm, Deny, Cancel, Happened, NotHappened, Recheck:
		}
	}
	return votes
}

// VotesFor are the votes that count for the demand of that rule.
func (r *Request) VotesFor(rule string) []Decision {
	var votes []Decision
	for _, v := range r.Votes() {
		for _, d := range v.Demands {
			if d == rule {
				votes = append(votes, v)
				break
			}
		}
	}
	return votes
}

// Confirms says whether the caller's own confirmation is what is awaited.
func (r *Request) Confirms() bool { return len(r.Demands) == 0 }

// met says whether every demand has its votes.
func (r *Request) met() bool {
	for _, d := range r.Demands {
		if len(r.VotesFor(d.Rule)) < d.Count {
			return false
		}
	}
	return true
}

// executeWithin is the shortest time that any demand allows between the last
// approval and the first step.
func (r *Request) executeWithin() time.Duration {
	shortest := DefaultExecuteWithin
	for i, d := range r.Demands {
		if i == 0 || d.ExecuteWithin < shortest {
			shortest = d.ExecuteWithin
		}
	}
	return shortest
}

// ExpiresIn is the shortest time that any demand gives the votes.
func ExpiresIn(demands []Demand) time.Duration {
	if len(demands) == 0 {
		return DefaultConfirmWithin
	}
	shortest := demands[0].ExpiresIn
	for _, d := range demands[1:] {
		shortest = min(shortest, d.ExpiresIn)
	}
	return shortest
}

// How long a request may wait where no demand says otherwise.
const (
	// DefaultConfirmWithin is how long the caller may take to confirm.
	DefaultConfirmWithin = time.Hour
	// DefaultExecuteWithin is how long after the confirmation the first step
	// may start.
	DefaultExecuteWithin = 15 * time.Minute
)
