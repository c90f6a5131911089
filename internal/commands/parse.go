package commands

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/spelling"
)

// Args is what was typed after a command's name, taken apart and checked as
// far as it can be without knowing the command.
type Args struct {
	// Words are the arguments that are not keywords, in order.
	Words []Word
	// Tenant is the label after "on", or the default tenant; empty when the
	// command takes none, and where it was left out and there is no default.
	Tenant string
	// From is the label after "from"; empty when it was left out.
	From string
	// As are the values after "as".
	As []string
	// Lang is the value after "lang", as typed.
	Lang   string
	Reason string
	// Source is the configured source tenant; empty when there is none.
	Source string
}

// Limits of what may be typed.
const (
	maxReason = 1000 // characters
	maxWord   = 512  // characters of one value
	maxRoles  = 20
)

var keywords = []Keyword{KeyOn, KeyFrom, KeyAs, KeyFor, KeyUrgent, KeyBecause}

// isKeyword says whether the word, in lower case, is a keyword anywhere.
func isKeyword(w string) bool { return slices.Contains(keywords, Keyword(w)) || w == string(KeyLang) }

// takes says whether the word is a keyword in that command.
func (s Spec) takes(k Keyword) bool { return slices.Contains(s.Keywords, k) }

// keyword reads a word as a keyword of the command. value is what follows an
// equals sign, when glued is true. option says that the word looks like an
// option, with dashes before it, whether or not there is such a keyword.
func (s Spec) keyword(w Word) (k Keyword, value Word, glued, option bool) {
	atoms := w.atoms
	dashes := 0
	for dashes < len(atoms) && atoms[dashes].token == nil && !atoms[dashes].quoted && isDash(atoms[dashes].r) {
		dashes++
	}
	// A long dash is two hyphens that a phone has joined.
	option = dashes >= 2 || dashes == 1 && atoms[0].r != '-'
	end := dashes
	for end < len(atoms) && atoms[end].token == nil && !atoms[end].quoted && atoms[end].r != '=' {
		end++
	}
	glued = end < len(atoms) && atoms[end].token == nil && !atoms[end].quoted
	if end < len(atoms) && !glued {
		return "", Word{}, false, option // a quoted or linked part before any "="
	}
	name := Keyword(strings.ToLower(Word{atoms: atoms[dashes:end]}.Text()))
	if !slices.Contains(keywords, name) && (name != KeyLang || !s.takes(KeyLang)) {
		return "", Word{}, false, option
	}
	if glued {
		value = Word{atoms: atoms[end+1:]}
	}
	return name, value, glued, option
}

// parsed is a line with the command found in it.
type parsed struct {
	args Args
	seen map[Keyword]bool
}

// parseArgs reads the words after a command's name.
func parseArgs(s Spec, l line, words []Word, d Defaults) (parsed, error) {
	p := parsed{seen: map[Keyword]bool{}}
	p.args.Source = d.SourceTenant
	for at := 0; at < len(words); {
		w := words[at]
		at++
		k, value, glued, option := s.keyword(w)
		if k == "" {
			if option && len(w.atoms) > 1 {
				return parsed{}, &UsageError{Say: fmt.Sprintf("There is no option %s.", show(w.Text())), Hint: s.hint()}
			}
			if n := len([]rune(w.Text())); n > maxWord && len(w.split(separators)) == 1 {
				return parsed{}, &UsageError{Say: fmt.Sprintf("One of the words is %d characters long; %d is the most.", n, maxWord)}
			}
			p.args.Words = append(p.args.Words, w)
			continue
		}
		next := func() (Word, bool) {
			if glued && len(value.atoms) > 0 {
				glued = false
				return value, true
			}
			if at == len(words) {
				return Word{}, false
			}
			if other, _, _, _ := s.keyword(words[at]); other != "" {
				return Word{}, false
			}
			at++
			return words[at-1], true
		}
		if err := p.applies(s, k, next); err != nil {
			return parsed{}, err
		}
		if err := p.read(s, k, next, func() *Word {
			if at == len(words) {
				return nil
			}
			return &words[at]
		}, d); err != nil {
			return parsed{}, err
		}
	}
	if l.because {
		if err := p.reason(l.reason); err != nil {
			return parsed{}, err
		}
	}
	if s.takes(KeyOn) && p.args.Tenant == "" {
		p.args.Tenant = d.DefaultTenant
	}
	return p, nil
}

func (p *parsed) reason(reason string) error {
	switch n := len([]rune(reason)); {
	case n == 0:
		return &UsageError{Say: "There is no reason after \"because\".", Hint: "Write it after the word, to the end of the line.", Field: FieldReason}
	case n > maxReason:
		return &UsageError{Say: fmt.Sprintf("The reason is %d characters long; %d is the most.", n, maxReason), Field: FieldReason}
	}
	p.args.Reason = reason
	return nil
}

// applies turns away a keyword that is repeated, that the command does not
// take, or that is not built yet.
func (p *parsed) applies(s Spec, k Keyword, next func() (Word, bool)) error {
	if p.seen[k] {
		return &UsageError{Say: fmt.Sprintf("%q stands there twice.", k), Hint: "Say it once; a value that happens to be that word goes into quotes."}
	}
	p.seen[k] = true
	if s.takes(k) {
		return nil
	}
	if slices.Contains(s.Later, k) {
		if w, ok := next(); k == KeyFor && (!ok || !durationPattern.MatchString(w.Text())) {
			return &UsageError{Say: `After "for" comes a duration such as 30m, 4h, 2d or 1w.`}
		}
		return laterKeyword(s, k)
	}
	return &UsageError{
		Say:  fmt.Sprintf("%q does not apply to %s.", k, s.Name),
		Hint: sentences(s.hint(), "A value that happens to be that word goes into quotes."),
	}
}

// read takes the value of a keyword. peek shows the word after it.
func (p *parsed) read(s Spec, k Keyword, next func() (Word, bool), peek func() *Word, d Defaults) error {
	w, ok := next()
	if !ok {
		return &UsageError{Say: fmt.Sprintf("After %q comes %s.", k, valueOf(k)), Hint: s.hint()}
	}
	switch k {
	case KeyOn, KeyFrom:
		label, err := tenantLabel(w.Text(), k, d)
		if err != nil {
			return err
		}
		if k == KeyOn {
			p.args.Tenant = label
		} else {
			p.args.From = label
		}
	case KeyLang:
		p.args.Lang = w.Text()
	case KeyAs:
		return p.readRoles(w, next, peek)
	case KeyFor, KeyUrgent, KeyBecause:
		// No command takes these here: the first two are not built, and the
		// reason was taken off before.
		return &UsageError{Say: fmt.Sprintf("%q does not apply to %s.", k, s.Name), Hint: s.hint()}
	}
	return nil
}

// readRoles reads role names separated by commas: A, B ,C.
func (p *parsed) readRoles(w Word, next func() (Word, bool), peek func() *Word) error {
	empty := &UsageError{Say: "Between the commas after \"as\" a role is missing.",
		Hint: "Write as RoleOne, RoleTwo; a name with spaces goes into quotes.", Field: FieldRoles}
	var names []string
	open := true // a name is due
	for {
		for i, part := range w.split(",") {
			if i > 0 {
				if open {
					return empty
				}
				open = true
			}
			if len(part.atoms) == 0 {
				continue
			}
			if !open {
				return empty
			}
			names = append(names, part.Text())
			open = false
		}
		follows := peek()
		if !open && (follows == nil || !startsWithComma(*follows)) {
			break
		}
		var ok bool
		if w, ok = next(); !ok {
			return empty
		}
	}
	for _, n := range names {
		if strings.TrimSpace(n) == "" {
			return empty
		}
	}
	p.args.As = names
	return nil
}

func startsWithComma(w Word) bool {
	return len(w.atoms) > 0 && w.atoms[0].token == nil && !w.atoms[0].quoted && w.atoms[0].r == ','
}

func valueOf(k Keyword) string {
	switch k {
	case KeyOn, KeyFrom:
		return "a tenant"
	case KeyAs:
		return "a role"
	case KeyFor:
		return "a duration such as 4h"
	case KeyLang:
		return "a language of two letters, such as de"
	case KeyUrgent, KeyBecause:
	}
	return "a value"
}

// tenantLabel finds the tenant that was meant.
func tenantLabel(typed string, k Keyword, d Defaults) (string, error) {
	label := strings.ToLower(undash(strings.TrimSpace(typed)))
	if slices.Contains(d.Tenants, label) {
		return label, nil
	}
	field := FieldTenant
	if k == KeyFrom {
		field = FieldFrom
	}
	hint := "The tenants are: " + strings.Join(d.Tenants, ", ") + "."
	if best := spelling.Nearest(label, d.Tenants); best != "" {
		hint = fmt.Sprintf("Did you mean %s? ", best) + hint
	}
	return "", &UsageError{Say: fmt.Sprintf("There is no tenant %s.", show(typed)), Hint: hint, Field: field}
}

// durationPattern is one whole number above zero and one unit: minutes, hours,
// days or weeks.
var durationPattern = regexp.MustCompile(`^[1-9][0-9]{0,5}[mhdw]$`)

// hint is the command's usage as a sentence.
func (s Spec) hint() string { return "It is written: " + s.Line() }

// Line is the whole usage in one line, without the slash command.
func (s Spec) Line() string { return strings.TrimSpace(s.Name + " " + s.Usage) }

// show makes typed text fit for a sentence: quoted and not too long.
func show(s string) string {
	const most = 60
	r := []rune(clean(s))
	if len(r) > most {
		r = append(r[:most-1:most-1], '…')
	}
	return `"` + string(r) + `"`
}

// format writes a command line that parses to the same arguments. It is in
// Slack's escaped form.
func format(name string, a Args) string {
	parts := []string{name}
	for _, w := range a.Words {
		parts = append(parts, w.typed())
	}
	if a.From != "" {
		parts = append(parts, string(KeyFrom), typed(a.From))
	}
	if len(a.As) > 0 {
		roles := make([]string, len(a.As))
		for i, r := range a.As {
			roles[i] = typed(r)
		}
		parts = append(parts, string(KeyAs), strings.Join(roles, ", "))
	}
	if a.Lang != "" {
		parts = append(parts, string(KeyLang), typed(a.Lang))
	}
	if a.Tenant != "" {
		parts = append(parts, string(KeyOn), typed(a.Tenant))
	}
	if a.Reason != "" {
		parts = append(parts, string(KeyBecause), escaper.Replace(a.Reason))
	}
	return strings.Join(parts, " ")
}
