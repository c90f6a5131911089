package authz

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

// Class is the static part of what a command does. A rule names it as @read,
// @people or @change.
type Class int

// The classes. The zero Class is none of them, and a command that has it is
// refused by [Load].
const (
	Read   Class = iota + 1 // reads that name no people
	People                  // reads that show people, and the audit record
	Change                  // everything that writes
)

// String returns the word that names the class in a policy file.
func (c Class) String() string {
	switch c {
	case Read:
		return "@read"
	case People:
		return "@people"
	case Change:
		return "@change"
	default:
		return "no class"
	}
}

// The classes of a command that its plan decides.
const (
	wordGivesAdmin = "@gives-admin"
	wordTakesAdmin = "@takes-admin"
)

// Command is what a policy has to know of one command.
type Command struct {
	Class Class
	// MayGiveAdmin and MayTakeAdmin say what a plan of this command could do
	// at most, on any path: directly, through a group, a blueprint or an
	// invitation. They decide whether a rule about @gives-admin or
	// @takes-admin stays open until the plan is known. A plan that does more
	// than its command may do is refused.
	MayGiveAdmin, MayTakeAdmin bool
}

// Known is the world as the policy file may speak of it: the command catalogue
// and the tenant labels of the configuration.
type Known struct {
	Commands map[string]Command // by the name that people type: "space create"
	// NotGoverned are commands that exist but that no rule decides, such as
	// approving a request. A policy that names one is refused with that
	// explanation, because a rule about it would do nothing.
	NotGoverned []string
	Tenants     []string
}

func (k Known) clone() Known {
	return Known{
		Commands:    maps.Clone(k.Commands),
		NotGoverned: slices.Clone(k.NotGoverned),
		Tenants:     slices.Clone(k.Tenants),
	}
}

// Effect is what a rule does when it matches.
type Effect string

// The effects that are built.
const (
	Allow   Effect = "allow"
	Require Effect = "require"
	Deny    Effect = "deny"
)

// Policy is one loaded policy file. It never changes after [Load] and may be
// used by several goroutines.
type Policy struct {
	digest     string
	known      Known
	operators  Set
	userGroups []string
	rules      []rule // by name
}

type rule struct {
	name   string
	line   int
	effect Effect

	// Selectors; nil means left out, which matches everything.
	who      *whoSelector
	commands *commandSelector
	tenants  *tenantSelector

	message  string   // deny
	channels []string // require; nil: anywhere
	reason   *reason  // require; nil: none demanded
	demand   *Demand  // require; nil: no approvals demanded
}

// reason is a demand for a reason; with a pattern, one that matches it.
type reason struct {
	pattern *regexp.Regexp // nil: any reason will do
}

// Digest is the SHA-256, in lower-case hex, of the bytes that were loaded: what
// `sha256sum` prints for the file. The audit record names it, and anybody who
// holds the file can check it without this program.
func (p *Policy) Digest() string { return p.digest }

// Operators are the people who may pause and resume the bot and who are told
// when something is wrong. The set is empty when the policy names none.
func (p *Policy) Operators() Set { return p.operators.clone() }

// UserGroups returns every Slack user group that the policy names, sorted. The
// caller resolves the membership in each of them for every [Person] it asks
// about.
func (p *Policy) UserGroups() []string { return slices.Clone(p.userGroups) }

// Person is somebody as the caller has verified and resolved them.
type Person struct {
	Team string // workspace ID; never empty for a verified person
	User string // user ID
	// UserGroups says, for each of [Policy.UserGroups], whether the person is
	// in it. A group that is absent is unknown, and unknown counts against
	// the person: it satisfies no allow rule and no demand, and it does match
	// deny and require rules.
	UserGroups map[string]bool
}

// Set is a set of people: these users and the members of these user groups.
type Set struct {
	Groups     []string `json:"groups,omitempty"`     // the policy's group names that it was written as, for people to read
	Users      []string `json:"users,omitempty"`      // user IDs, sorted
	UserGroups []string `json:"usergroups,omitempty"` // user group IDs, sorted
}

// Countable returns the number of people in the set, and false when the set
// names a user group, whose size only its service knows.
func (s Set) Countable() (int, bool) {
	return len(s.Users), len(s.UserGroups) == 0
}

func (s Set) clone() Set {
	return Set{
		Groups:     slices.Clone(s.Groups),
		Users:      slices.Clone(s.Users),
		UserGroups: slices.Clone(s.UserGroups),
	}
}

// union adds the people of t; both sets stay sorted and free of duplicates.
func (s Set) union(t Set) Set {
	merge := func(a, b []string) []string {
		return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
	}
	return Set{
		Groups:     merge(s.Groups, t.Groups),
		Users:      merge(s.Users, t.Users),
		UserGroups: merge(s.UserGroups, t.UserGroups),
	}
}

// Demand is a require rule's demand for approvals. It is stored with the
// request it was made for.
type Demand struct {
	Rule  string `json:"rule"`
	Count int    `json:"count"` // at least 1; one person counts once
	From  Set    `json:"from"`
	// ExpiresIn is how long the approvals may take to arrive.
	ExpiresIn time.Duration `json:"expires_in"`
	// ExecuteWithin is how long after the last approval the change may begin.
	ExecuteWithin time.Duration `json:"execute_within"`
	// LateMembers lets people vote who joined a user group of From after the
	// request was made. Who counts is decided by package approval, which knows
	// the request.
	LateMembers bool `json:"late_members,omitempty"`
}
