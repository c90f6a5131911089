package authz

import (
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// readApprovals reads a demand for approvals. It never returns nil: a rule that
// asked for approvals demands some.
func (l *loader) readApprovals(n *yaml.Node, ruleName string) *Demand {
	d := &Demand{Rule: ruleName, ExpiresIn: defaultExpiresIn, ExecuteWithin: defaultExecuteWithin}
	f := l.fields(n, "\"approvals\"",
		[]string{"count", "from", "expires_in", "execute_within", "late_members"},
		"escalate")
	if f == nil {
		return d
	}
	if v, ok := f["count"]; ok {
		d.Count = l.readCount(v.value)
	} else {
		l.problem(n.Line, "\"count\" is missing; say how many approvals are needed")
	}
	if v, ok := f["from"]; ok {
		l.readFrom(v.value, d)
	} else {
		l.problem(n.Line, "\"from\" is missing; say whose approvals count")
	}
	if v, ok := f["expires_in"]; ok {
		d.ExpiresIn = l.readDuration(v.value, "\"expires_in\"")
	}
	if v, ok := f["execute_within"]; ok {
		d.ExecuteWithin = l.readDuration(v.value, "\"execute_within\"")
	}
	if v, ok := f["late_members"]; ok {
		switch {
		case v.value.Kind == yaml.ScalarNode && v.value.Tag == "!!bool":
			// true, True and TRUE are what YAML 1.2 calls true.
			d.LateMembers = v.value.Value[0] == 't' || v.value.Value[0] == 'T'
		case v.value.Kind != yaml.AliasNode:
			l.problem(v.value.Line, "\"late_members\" must be true or false")
		}
	}
	return d
}

// readCount returns 0 after a problem.
func (l *loader) readCount(n *yaml.Node) int {
	count, err := strconv.Atoi(n.Value)
	if n.Kind == yaml.AliasNode {
		return 0
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || count < 1 {
		l.problem(n.Line, "\"count\" must be a whole number, at least 1")
		return 0
	}
	return count
}

// readFrom reads whose approvals count, and refuses a quorum that nobody could
// reach as far as that can be told from the file.
func (l *loader) readFrom(n *yaml.Node, d *Demand) {
	words, whole := l.words(n, "\"from\"", "[approvers]")
	for _, w := range words {
		if w.text == everyone {
			l.problem(w.line, "\"from\" must name groups; \"anyone\" cannot be asked for an approval")
			whole = false
			continue
		}
		g, ok := l.group(w, "\"from\"")
		whole = whole && ok && g.whole
		d.From = d.From.union(g.set)
	}
	people, countable := d.From.Countable()
	if whole && countable && d.Count > people {
		l.problem(n.Line, "%d approvals are demanded and %s has %d people; nobody could ever get this approved",
			d.Count, groupWords(slices.Clone(d.From.Groups), "and"), people)
	}
}

// readDuration returns 0 after a problem.
func (l *loader) readDuration(n *yaml.Node, what string) time.Duration {
	if n.Kind == yaml.AliasNode {
		return 0
	}
	d, err := ParseDuration(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str" || err != nil:
		l.problem(n.Line, "%s must be a duration longer than zero, such as 30m, 4h, 2d or 1w", what)
		return 0
	case d > longestDuration:
		l.problem(n.Line, "%s must not be longer than %s", what, FormatDuration(longestDuration))
		return 0
	}
	return d
}
