package authz

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/qlik-chatops/bot/internal/spelling"
)

// What a demand for approvals means where it does not say.
const (
	defaultExpiresIn     = 24 * time.Hour
	defaultExecuteWithin = 15 * time.Minute
	longestDuration      = 365 * day // for both
)

// everyone is the word for any full member of the bot's own workspace.
const everyone = "anyone"

// policy reads the whole document into p.
func (l *loader) policy(root *yaml.Node, p *Policy) {
	var rules *yaml.Node
	if root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value == "rules" {
				rules = root.Content[i+1]
				break
			}
		}
	}
	l.check(root, rules, 0)

	top := l.fields(root, "a policy", []string{"version", "operators", "groups", "rules"})
	if top == nil {
		return
	}
	if f, ok := top["version"]; !ok {
		l.problem(root.Line, "\"version\" is missing; write \"version: 1\"")
	} else if f.value.Kind != yaml.ScalarNode || f.value.Tag != "!!int" || f.value.Value != "1" {
		l.problem(f.value.Line, "\"version\" must be the number 1, the only version there is")
	}
	all := Set{}
	if f, ok := top["operators"]; ok {
		p.operators, _ = l.set(f.value, "\"operators\"")
		all = p.operators
	}
	l.groups = make(map[string]group)
	if f, ok := top["groups"]; ok {
		l.readGroups(f.value)
	}
	for _, name := range keysOf(l.groups) {
		all = all.union(l.groups[name].set)
	}
	p.userGroups = all.UserGroups
	switch f, ok := top["rules"]; {
	case !ok:
		l.problem(root.Line, "\"rules\" is missing, and a policy without rules allows nothing; to refuse everything on purpose write a deny rule")
	case !l.isKind(f.value, yaml.SequenceNode, "\"rules\"", "a list of rules"):
	case len(f.value.Content) == 0:
		l.problem(f.line, "\"rules\" is empty, and a policy without rules allows nothing; to refuse everything on purpose write a deny rule")
	default:
		p.rules = l.readRules(f.value)
	}
}

// readGroups fills l.groups.
func (l *loader) readGroups(n *yaml.Node) {
	if !l.isKind(n, yaml.MappingNode, "\"groups\"", "a mapping from names to people") {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			continue // reported by check
		}
		if _, twice := l.groups[key.Value]; twice {
			continue // reported by check
		}
		switch {
		case key.Value == everyone:
			l.problem(key.Line, "a group cannot be called \"anyone\", which means every full member")
		case !isName(key.Value):
			l.problem(key.Line, "%s is no name for a group; use letters, digits, \"-\" and \"_\", beginning with a letter", quote(key.Value))
		}
		set, whole := l.set(value, "group "+quote(key.Value))
		set.Groups = []string{key.Value}
		l.groups[key.Value] = group{set: set, whole: whole}
	}
}

// set reads {users: […], usergroups: […]}. whole is false when anything was
// wrong with it.
func (l *loader) set(n *yaml.Node, what string) (s Set, whole bool) {
	f := l.fields(n, what, []string{"users", "usergroups"})
	if f == nil {
		return Set{}, false
	}
	whole = len(n.Content) == 2*len(f)
	read := func(key, example string, ok func(string) bool, wanted string) []string {
		v, present := f[key]
		if !present {
			return nil
		}
		words, good := l.words(v.value, quote(key)+" of "+what, example)
		whole = whole && good
		var ids []string
		for _, w := range words {
			if !ok(w.text) {
				l.problem(w.line, "%s in %s is not %s%s", quote(w.text), what, wanted, otherID(w.text))
				whole = false
				continue
			}
			ids = append(ids, w.text)
		}
		slices.Sort(ids)
		return ids
	}
	s.Users = read("users", "[U0ANA]", isUserID, "a Slack user ID (U… or W…)")
	s.UserGroups = read("usergroups", "[S0OPS]", isUserGroupID, "a Slack user group ID (S…)")
	if len(f) == 0 {
		l.problem(n.Line, "%s names nobody; give it \"users\" or \"usergroups\"", what)
		whole = false
	}
	return s, whole
}

// otherID explains what stands where an ID was wanted.
func otherID(s string) string {
	switch {
	case isUserID(s):
		return "; it is a user ID and belongs under \"users\""
	case isUserGroupID(s):
		return "; it is a user group ID and belongs under \"usergroups\""
	case isChannelID(s):
		return "; it is a channel ID"
	default:
		return "; names and e-mail addresses are not accepted because they can pass to somebody else"
	}
}

// The forms of Slack's IDs: a letter for the kind, then capitals and digits. They
// keep out names, mentions and addresses; whether an ID exists only Slack knows.
func isUserID(s string) bool      { return isID(s, "UW") }
func isUserGroupID(s string) bool { return isID(s, "S") }
func isChannelID(s string) bool   { return isID(s, "CG") }

func isID(s, first string) bool {
	return len(s) >= 3 && len(s) <= 30 && strings.Contains(first, s[:1]) &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

func isName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && len(s) <= 60 && strings.Contains(letters, s[:1]) &&
		strings.Trim(s, letters+"0123456789-_") == ""
}

func (l *loader) readRules(n *yaml.Node) []rule {
	var rules []rule
	lines := make(map[string]int) // of the rules by name
	for i, item := range n.Content {
		l.rule = "#" + strconv.Itoa(i+1)
		if name := nameOf(item); name != "" {
			l.rule = name
		}
		l.check(item, nil, 2)
		r := l.readRule(item)
		if first, twice := lines[r.name]; twice && r.name != "" {
			l.problem(r.line, "there is a rule with this name already, in line %d", first)
		} else {
			lines[r.name] = r.line
		}
		rules = append(rules, r)
	}
	l.rule = ""
	return rules
}

// nameOf looks for a rule's name without reporting anything, so that every
// problem of the rule can bear it.
func nameOf(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key, v := n.Content[i], n.Content[i+1]; key.Value == "name" && v.Kind == yaml.ScalarNode && v.Tag == "!!str" {
				return v.Value
			}
		}
	}
	return ""
}

func (l *loader) readRule(n *yaml.Node) rule {
	r := rule{line: n.Line}
	f := l.fields(n, "a rule",
		[]string{"name", "effect", "who", "commands", "tenants", "channels", "reason", "message", "approvals"},
		"when", "max_duration", "review")
	if f == nil {
		return r
	}
	if v, ok := f["name"]; !ok {
		l.problem(n.Line, "\"name\" is missing; refusals and records call a rule by its name")
	} else {
		r.name, _ = l.text(v.value, "\"name\"", 80)
	}
	r.effect = l.readEffect(n, f)
	l.readSelectors(n, f, &r)

	// Each effect has keys of its own, and one that would be ignored is an error.
	own := func(key string, effect Effect, read func(*yaml.Node)) {
		switch v, ok := f[key]; {
		case !ok:
		case r.effect != "" && r.effect != effect:
			l.problem(v.line, "%s belongs to %s rules and means nothing in one that says %s", quote(key), effect, r.effect)
		default:
			read(v.value)
		}
	}
	own("message", Deny, func(v *yaml.Node) { r.message, _ = l.text(v, "\"message\"", 300) })
	own("channels", Require, func(v *yaml.Node) { r.channels = l.readChannels(v) })
	own("reason", Require, func(v *yaml.Node) { r.reason = l.readReason(v) })
	own("approvals", Require, func(v *yaml.Node) { r.demand = l.readApprovals(v, r.name) })
	if r.effect == Require && !anyOf(f, "approvals", "reason", "channels", "max_duration") {
		l.problem(n.Line, "the rule requires nothing; give it \"approvals\", \"reason\" or \"channels\"")
	}
	return r
}

func anyOf(f map[string]field, keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { _, ok := f[k]; return ok })
}

// readEffect returns "" after any problem, so that no other key of the rule is
// judged by an effect that nobody wrote.
func (l *loader) readEffect(n *yaml.Node, f map[string]field) Effect {
	const choices = "write allow, require or deny"
	v, ok := f["effect"]
	if !ok {
		l.problem(n.Line, "\"effect\" is missing; %s", choices)
		return ""
	}
	text, ok := l.text(v.value, "\"effect\"", 100)
	switch e := Effect(text); {
	case !ok:
	case e == Allow, e == Require, e == Deny:
		return e
	case text == "bypass":
		l.problem(v.value.Line, "effect \"bypass\" is not built yet; the policy is refused because reading it without this rule would change what it means")
	default:
		l.problem(v.value.Line, "there is no effect %s; %s.%s", quote(text), choices,
			l.suggest(text, []string{string(Allow), string(Require), string(Deny)}))
	}
	return ""
}

func (l *loader) readSelectors(n *yaml.Node, f map[string]field, r *rule) {
	for _, s := range []struct {
		key  string
		read func(*yaml.Node)
		all  string
	}{
		{"who", func(v *yaml.Node) { r.who = l.readWho(v) }, "[anyone] means every full member"},
		{"commands", func(v *yaml.Node) { r.commands = l.readCommands(v) }, "[\"@read\"] means every read that names no people, [\"*\"] every command"},
		{"tenants", func(v *yaml.Node) { r.tenants = l.readTenants(v) }, "[\"*\"] means every tenant"},
	} {
		if v, ok := f[s.key]; ok {
			s.read(v.value)
		} else if r.effect == Allow {
			l.problem(n.Line, "%q is missing, and an allow rule must say it; %s", s.key, s.all)
		}
	}
}

func (l *loader) readWho(n *yaml.Node) *whoSelector {
	s := &whoSelector{}
	words, _ := l.words(n, "\"who\"", "[ops]")
	for _, w := range words {
		if w.text == everyone {
			s.anyone = true
		} else if g, ok := l.group(w, "\"who\"", everyone); ok {
			s.groups = append(s.groups, namedGroup{name: w.text, set: g.set})
		}
	}
	slices.SortFunc(s.groups, func(a, b namedGroup) int { return strings.Compare(a.name, b.name) })
	return s
}

// group finds a named group and reports one that does not exist.
func (l *loader) group(w word, what string, also ...string) (group, bool) {
	g, ok := l.groups[w.text]
	switch {
	case ok:
	case isUserID(w.text) || isUserGroupID(w.text):
		l.problem(w.line, "%s takes the names of groups; put %s into one under \"groups\"", what, w.text)
	default:
		l.problem(w.line, "there is no group %s.%s", quote(w.text), l.suggest(w.text, append(keysOf(l.groups), also...)))
	}
	return g, ok
}

func (l *loader) readCommands(n *yaml.Node) *commandSelector {
	s := &commandSelector{names: make(map[string]string)}
	words, _ := l.words(n, "\"commands\"", "[\"@read\"]")
	for _, w := range words {
		switch {
		case strings.HasPrefix(w.text, "@"):
			l.readClass(w, s)
		case strings.Contains(w.text, "*"):
			found := false
			for _, c := range l.commands {
				if fits(w.text, c) {
					found = true
					if _, named := s.names[c]; !named {
						s.names[c] = w.text
					}
				}
			}
			if !found {
				l.problem(w.line, "the pattern %s fits no command", quote(w.text))
			}
		case slices.Contains(l.commands, w.text):
			s.names[w.text] = w.text
		case slices.Contains(l.known.NotGoverned, w.text):
			l.problem(w.line, "the command %s is not decided by rules, so a rule about it would do nothing", quote(w.text))
		default:
			l.problem(w.line, "there is no command %s.%s", quote(w.text), l.suggest(w.text, l.commands))
		}
	}
	return s
}

func (l *loader) readClass(w word, s *commandSelector) {
	switch w.text {
	case Read.String():
		s.classes = append(s.classes, Read)
	case People.String():
		s.classes = append(s.classes, People)
	case Change.String():
		s.classes = append(s.classes, Change)
	case wordGivesAdmin:
		s.gives = true
	case wordTakesAdmin:
		s.takes = true
	default:
		classes := []string{Read.String(), People.String(), Change.String(), wordGivesAdmin, wordTakesAdmin}
		l.problem(w.line, "there is no class %s; there are %s.%s", quote(w.text), list(classes, "and"), l.suggest(w.text, classes))
	}
}

func (l *loader) readTenants(n *yaml.Node) *tenantSelector {
	s := &tenantSelector{}
	words, _ := l.words(n, "\"tenants\"", "[\"*\"]")
	for _, w := range words {
		switch {
		case w.text == "*":
			s.all = true
		case slices.Contains(l.known.Tenants, w.text):
			s.labels = append(s.labels, w.text)
		default:
			l.problem(w.line, "there is no tenant %s.%s", quote(w.text), l.suggest(w.text, l.known.Tenants))
		}
	}
	slices.Sort(s.labels)
	return s
}

func (l *loader) readChannels(n *yaml.Node) []string {
	channels := []string{} // never nil: nil would mean anywhere
	words, _ := l.words(n, "\"channels\"", "[C0APPROVE]")
	for _, w := range words {
		if isChannelID(w.text) {
			channels = append(channels, w.text)
		} else {
			l.problem(w.line, "%s in \"channels\" is not a Slack channel ID (C… or G…); names are not accepted because they can pass to another channel", quote(w.text))
		}
	}
	slices.Sort(channels)
	return channels
}

func (l *loader) readReason(n *yaml.Node) *reason {
	const required = "required"
	text, ok := l.text(n, "\"reason\"", 300)
	if !ok || text == required {
		return &reason{}
	}
	if spelling.Nearest(text, []string{required, "require", "true", "yes"}) != "" {
		l.problem(n.Line, "\"reason\" is %s, which would be a regular expression; write \"required\", or put it in parentheses if that is what a reason must contain", quote(text))
		return &reason{}
	}
	re, err := regexp.Compile(text)
	if err != nil {
		l.problem(n.Line, "\"reason\" is neither \"required\" nor a regular expression: %v", err)
	}
	return &reason{pattern: re}
}
