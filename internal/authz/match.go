package authz

import (
	"fmt"
	"slices"
	"strings"
)

// whoSelector is a rule's who.
type whoSelector struct {
	anyone bool
	groups []namedGroup
}

type namedGroup struct {
	name string
	set  Set
}

// names returns the groups a person would have to be in; nil when everybody is.
func (w *whoSelector) names() []string {
	if w == nil || w.anyone {
		return nil
	}
	names := make([]string, len(w.groups))
	for i, g := range w.groups {
		names[i] = g.name
	}
	return names
}

func (w *whoSelector) match(p Person) (Match, string) {
	if w == nil {
		return MatchYes, "the rule is about everybody"
	}
	if w.anyone {
		return MatchYes, "the rule is about anyone"
	}
	unknown := ""
	for _, g := range w.groups {
		switch m, how := g.set.lookup(p); m {
		case MatchYes:
			return MatchYes, fmt.Sprintf("the caller is in group %s (%s)", g.name, how)
		case MatchUnknown:
			unknown = fmt.Sprintf("whether the caller is in group %s is unknown (%s could not be looked up)", g.name, how)
		case MatchNo, MatchOpen: // another group may still hold the caller; no plan decides who is in one
		}
	}
	if unknown != "" {
		return MatchUnknown, unknown
	}
	return MatchNo, "the caller is not in " + groupWords(w.names(), "or")
}

// lookup answers yes, no or unknown, with what decided it.
func (s Set) lookup(p Person) (Match, string) {
	if slices.Contains(s.Users, p.User) {
		return MatchYes, "user " + p.User
	}
	unknown := ""
	for _, g := range s.UserGroups {
		in, known := p.UserGroups[g]
		if in {
			return MatchYes, "user group " + g
		}
		if !known {
			unknown = g
		}
	}
	if unknown != "" {
		return MatchUnknown, "user group " + unknown
	}
	return MatchNo, ""
}

// commandSelector is a rule's commands.
type commandSelector struct {
	names        map[string]string // a command that is covered → the name or pattern that covers it
	classes      []Class
	gives, takes bool // @gives-admin, @takes-admin
}

// match judges the command called name. A nil e means that its plan is not
// known yet.
//
// For deny and require rules an admin class matches any plan that does that.
// An allow rule has to cover the whole of what the plan does to administrator
// power: one that names @takes-admin alone does not allow a plan that also
// gives it.
func (s *commandSelector) match(effect Effect, name string, c Command, e *Effects) (Match, string) {
	if s == nil {
		return MatchYes, "the rule is about every command"
	}
	if word, ok := s.names[name]; ok {
		if word == name {
			return MatchYes, "the rule names " + name
		}
		return MatchYes, fmt.Sprintf("%s fits the pattern %q", name, word)
	}
	if slices.Contains(s.classes, c.Class) {
		return MatchYes, fmt.Sprintf("%s is a %s", name, c.Class)
	}
	if !s.gives && !s.takes {
		return MatchNo, "the rule does not cover " + name
	}

	gives, takes := adminMatch(c.MayGiveAdmin, e, func(e *Effects) bool { return e.GivesAdmin }),
		adminMatch(c.MayTakeAdmin, e, func(e *Effects) bool { return e.TakesAdmin })
	switch {
	case s.gives && s.takes:
		return adminFact(max(gives, takes), "gives or takes administrator power", "neither gives nor takes administrator power")
	case s.gives:
		if effect == Allow && gives == MatchYes && takes == MatchYes {
			return MatchNo, "the plan also takes administrator power, which the rule does not name"
		}
		return adminFact(gives, "gives administrator power", "gives no administrator power")
	default:
		if effect == Allow && takes == MatchYes && gives == MatchYes {
			return MatchNo, "the plan also gives administrator power, which the rule does not name"
		}
		return adminFact(takes, "takes administrator power", "takes no administrator power")
	}
}

// couldMatch says whether some plan of c could match through an admin class.
func (s *commandSelector) couldMatch(c Command) bool {
	return s != nil && (s.gives && c.MayGiveAdmin || s.takes && c.MayTakeAdmin)
}

func adminMatch(may bool, e *Effects, does func(*Effects) bool) Match {
	switch {
	case e != nil && does(e):
		return MatchYes
	case e == nil && may:
		return MatchOpen
	default:
		return MatchNo
	}
}

func adminFact(m Match, does, doesNot string) (Match, string) {
	switch m {
	case MatchYes:
		return m, "the plan " + does
	case MatchOpen:
		return m, "the plan decides whether it " + does
	default:
		return m, "it " + doesNot
	}
}

// tenantSelector is a rule's tenants.
type tenantSelector struct {
	all    bool
	labels []string
}

func (s *tenantSelector) match(label string) (Match, string) {
	switch {
	case s == nil || s.all:
		return MatchYes, "the rule is about every tenant"
	case slices.Contains(s.labels, label):
		return MatchYes, "the rule names " + label
	default:
		return MatchNo, fmt.Sprintf("the rule is about %s, not %s", strings.Join(s.labels, ", "), label)
	}
}

// fits says whether name fits a pattern in which * stands for any run of
// characters, an empty one included.
func fits(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, last)
}

// result judges one rule.
func (r *rule) result(f Facts, c Command) RuleResult {
	res := RuleResult{
		Rule: r.name, Line: r.line, Effect: r.effect,
		Asks: r.asks(), Groups: r.who.names(),
	}
	add := func(selector string, m Match, text string) {
		res.Facts = append(res.Facts, Fact{Selector: selector, Match: m, Text: text})
	}
	m, text := r.commands.match(r.effect, f.Command, c, f.Effects)
	add("commands", m, text)
	m, text = r.tenants.match(f.Tenant)
	add("tenants", m, text)
	m, text = r.who.match(f.Caller)
	add("who", m, text)

	res.Match = MatchYes
	for _, fact := range res.Facts {
		m := fact.Match
		if m == MatchUnknown {
			// Unknown counts against the caller.
			m = MatchYes
			if r.effect == Allow {
				m = MatchNo
			}
		}
		res.Match = min(res.Match, m)
	}
	return res
}

// satisfied says whether the reason that was given will do.
func (r *reason) satisfied(given string) bool {
	given = strings.TrimSpace(given)
	return given != "" && (r.pattern == nil || r.pattern.MatchString(given))
}
