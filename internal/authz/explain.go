package authz

import (
	"fmt"
	"strconv"
	"strings"
)

// Explain says for people what the answer is, which rules decided it and what
// to do next: one line for the answer and one for each reason. It says nothing
// about what was done or not done, which a verdict cannot know. The text is
// plain and names the policy's groups, not their members.
func (v Verdict) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s.", capital(v.Outcome.String()), v.subject())
	line := func(format string, args ...any) {
		b.WriteString("\n- ")
		fmt.Fprintf(&b, format, args...)
	}
	for _, r := range v.Refusals {
		if r.Rule == "" {
			line("%s", r.Text)
		} else {
			line("Rule %q: %s", r.Rule, r.Text)
		}
	}
	if v.Outcome != Refused {
		for _, r := range v.Rules {
			if r.Effect == Allow && r.Match == MatchYes {
				line("Rule %q allows it.", r.Rule)
			}
		}
	}
	if v.MayAsk() {
		for _, d := range v.Demands {
			line("Rule %q requires %s. It must start within %s after that.", d.Rule, d.words(), FormatDuration(d.ExecuteWithin))
		}
	}
	switch v.Outcome {
	case Refused: // the refusals have said why
	case Possible:
		for _, r := range v.Rules {
			if r.Match == MatchOpen {
				line("Rule %q %s: %s.", r.Rule, r.openWords(), r.openFact())
			}
		}
		line("The answer is final when the plan is known.")
	case Allowed:
		if v.Confirm {
			line("No approvals are required; you confirm it yourself.")
		}
	}
	return b.String()
}

// Tree writes the result of every rule with the facts that decided it.
func (v Verdict) Tree() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.Outcome, v.subject())
	for _, r := range v.Rules {
		fmt.Fprintf(&b, "  %s %s (line %d): %s\n", r.Effect, r.Rule, r.Line, matchWords(r.Match))
		for _, f := range r.Facts {
			fmt.Fprintf(&b, "    %s: %s, %s\n", f.Selector, f.Match, f.Text)
		}
		if r.Asks != "" {
			fmt.Fprintf(&b, "    requires %s\n", r.Asks)
		}
	}
	for _, r := range v.Refusals {
		fmt.Fprintf(&b, "  refused (%s): %s\n", r.Kind, r.Text)
	}
	return b.String()
}

func (v Verdict) subject() string {
	command, tenant := v.Command, v.Tenant
	if command == "" {
		command = "(no command)"
	}
	if tenant == "" {
		tenant = "(no tenant)"
	}
	return inert(command) + " on " + inert(tenant)
}

func (r RuleResult) openWords() string {
	switch r.Effect {
	case Allow:
		return "may allow it"
	case Deny:
		return "may refuse it"
	default:
		return "may require " + r.Asks
	}
}

func (r RuleResult) openFact() string {
	for _, f := range r.Facts {
		if f.Match == MatchOpen {
			return f.Text
		}
	}
	return ""
}

func matchWords(m Match) string {
	switch m {
	case MatchYes:
		return "matches"
	case MatchOpen:
		return "may match, the plan decides"
	default:
		return "does not match"
	}
}

// asks puts into words what a require rule asks for.
func (r *rule) asks() string {
	var parts []string
	if r.demand != nil {
		parts = append(parts, r.demand.words())
	}
	if r.reason != nil {
		if r.reason.pattern == nil {
			parts = append(parts, "a reason")
		} else {
			parts = append(parts, "a reason that matches "+r.reason.pattern.String())
		}
	}
	if r.channels != nil {
		parts = append(parts, "that it is asked in channel "+list(r.channels, "or"))
	}
	return list(parts, "and")
}

func (d Demand) words() string {
	noun := "approvals"
	if d.Count == 1 {
		noun = "approval"
	}
	return fmt.Sprintf("%d %s from %s within %s", d.Count, noun, groupWords(d.From.Groups, "and"), FormatDuration(d.ExpiresIn))
}

// groupWords is "group ops", or "groups ops and sre".
func groupWords(names []string, conjunction string) string {
	if len(names) == 1 {
		return "group " + names[0]
	}
	return "groups " + list(names, conjunction)
}

// list is "a", "a and b" or "a, b and c".
func list(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}

// quote shows a value that somebody wrote: in quotes, on one line, with
// nothing that is not printable, and cut when it is long.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.QuoteToGraphic(s)
}

// inert is s as it stands when it is short and printable, and quoted otherwise.
func inert(s string) string {
	if q := quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

func capital(s string) string {
	return strings.ToUpper(s[:1]) + s[1:]
}
