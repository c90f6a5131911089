package authz

import "slices"

// Facts is everything that a verdict may depend on. The caller resolves it from
// fresh sources; a fact that it does not have stays empty and counts as no.
//
// A command that concerns several tenants is asked about once for each.
type Facts struct {
	Caller  Person
	Channel string // where it was asked; empty: in no channel, such as Home
	Command string // a name of the catalogue
	Tenant  string // a label of the configuration
	Reason  string // as typed; empty: none
	// Effects is what the plan would do to administrator power; nil before a
	// change has been planned. Reads have no plan and leave it nil.
	Effects *Effects
}

// Effects is what a plan's steps do to administrator power together, through
// groups, blueprints and invitations too.
type Effects struct {
	GivesAdmin, TakesAdmin bool
}

// Outcome is the answer of a verdict. Outcomes are ordered by what they grant.
type Outcome int

// The outcomes. The zero Outcome refuses.
const (
	Refused  Outcome = iota
	Possible         // not refused so far; ask again with the plan's Effects
	Allowed          // final, once the Demands are met
)

func (o Outcome) String() string {
	switch o {
	case Possible:
		return "possible"
	case Allowed:
		return "allowed"
	default:
		return "refused"
	}
}

// Match says whether a rule, or one selector of it, matches.
type Match int

// The matches. A rule as a whole is never MatchUnknown: what is unknown counts
// as no for an allow rule and as yes for the others.
const (
	MatchNo      Match = iota
	MatchUnknown       // a fact could not be resolved
	MatchOpen          // the plan decides it
	MatchYes
)

func (m Match) String() string {
	switch m {
	case MatchUnknown:
		return "unknown"
	case MatchOpen:
		return "open"
	case MatchYes:
		return "yes"
	default:
		return "no"
	}
}

// Verdict is the policy's answer with its reasons. It does not depend on the
// order of the rules in the file.
type Verdict struct {
	Outcome Outcome
	Command string
	Tenant  string
	// Refusals are all the reasons for which it is refused, sorted by rule.
	// There is at least one when Outcome is Refused and none otherwise.
	Refusals []Refusal
	// Demands are the approvals that the matching require rules ask for,
	// sorted by rule. They are listed for a refused request too.
	Demands []Demand
	// Confirm says that the caller has to confirm: it is a change and no rule
	// that matches so far demands approvals.
	Confirm bool
	// Rules holds the result of every rule, sorted by name. It is empty when
	// the facts were too incomplete to judge any.
	Rules  []RuleResult
	Policy string // digest of the policy that judged
}

// RuleResult is one rule's part in a verdict.
type RuleResult struct {
	Rule   string
	Line   int // in the policy file
	Effect Effect
	Match  Match
	Facts  []Fact // one for each selector that was judged
	Asks   string // what a require rule asks for, for people: "2 approvals from group ops within 4h"
	// Groups are the policy's groups that the rule's who names; empty when it
	// names anyone or was left out.
	Groups []string
}

// Fact is what one selector of a rule was compared with, and the result.
type Fact struct {
	Selector string // "who", "commands" or "tenants", as in the policy file
	Match    Match
	Text     string // for people: "the caller is in group ops"
}

// Kind tells refusals apart without reading their text.
type Kind string

// The kinds of refusal.
const (
	NotAllowed   Kind = "not-allowed"   // no allow rule matches
	Denied       Kind = "denied"        // a deny rule matches
	WrongChannel Kind = "wrong-channel" // a require rule names other channels
	NeedsReason  Kind = "needs-reason"  // a require rule wants a reason, or another one
	UnknownFact  Kind = "unknown-fact"  // no such command or tenant, or no verified caller
	PlanExceeds  Kind = "plan-exceeds"  // the plan does what its command says it never does
)

// Refusal is one reason for which a request is refused.
type Refusal struct {
	Kind     Kind
	Rule     string   // the rule that refuses; empty when none does
	Text     string   // a sentence or two for the caller: what is wrong and what to do
	Groups   []string // NotAllowed: the policy's groups that some rule does allow it to
	Channels []string // WrongChannel: where the rule lets it be asked
}

// Allowed says whether the answer is a final yes. The Demands, and Confirm,
// still stand between it and execution.
func (v Verdict) Allowed() bool { return v.Outcome == Allowed }

// MayAsk says whether the caller could get somewhere with this command: it is
// not refused, or only for what the caller can mend alone by giving a reason or
// asking in another channel. It decides what help lists, and nothing else.
func (v Verdict) MayAsk() bool {
	return !slices.ContainsFunc(v.Refusals, func(r Refusal) bool {
		return r.Kind != NeedsReason && r.Kind != WrongChannel
	})
}
