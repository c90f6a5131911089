package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/spelling"
)

// all lists every command that is built: one line each.
func all() []func() Command {
	return []func() Command{
		func() Command { return new(addAdmin) },
		func() Command { return new(invite) },
		func() Command { return new(help) },
		func() Command { return new(requests) },
		func() Command { return new(requestShow) },
		func() Command { return new(requestApprove) },
		func() Command { return new(requestDeny) },
		func() Command { return new(requestCancel) },
		func() Command { return new(tenants) },
	}
}

// Catalogue knows every command by name. It never changes and may be used by
// several goroutines.
type Catalogue struct {
	order []string
	built map[string]func() Command
	later map[string]Later
}

// New makes the catalogue.
func New() *Catalogue {
	c := &Catalogue{built: map[string]func() Command{}, later: map[string]Later{}}
	for _, build := range all() {
		name := build().Spec().Name
		c.order = append(c.order, name)
		c.built[name] = build
	}
	for _, l := range laterCommands() {
		c.later[l.Name] = l
	}
	return c
}

// Specs are those of all commands that are built, in the order of the list.
func (c *Catalogue) Specs() []Spec {
	specs := make([]Spec, len(c.order))
	for i, name := range c.order {
		specs[i] = c.built[name]().Spec()
	}
	return specs
}

// Later are the commands that are not built yet, by name.
func (c *Catalogue) Later() []Later {
	var later []Later
	for _, name := range slices.Sorted(maps.Keys(c.later)) {
		later = append(later, c.later[name])
	}
	return later
}

// Lookup finds the description of a command by its name.
func (c *Catalogue) Lookup(name string) (Spec, bool) {
	build, ok := c.built[name]
	if !ok {
		return Spec{}, false
	}
	return build().Spec(), true
}

// names are those of all commands, built or not.
func (c *Catalogue) names() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for n := range c.built {
			if !yield(n) {
				return
			}
		}
		for n := range c.later {
			if !yield(n) {
				return
			}
		}
	})
}

// Invocation is one command as it was asked for.
type Invocation struct {
	// Command is the catalogue name.
	Command string
	// Args is the command's own JSON, for Decode.
	Args json.RawMessage
	// Tenant is the label of the tenant that it is about; empty for commands
	// that take none.
	Tenant string
	Reason string
	// Text is the line as a person typed it, without the slash command and
	// without Slack's escapes; for a form, the line that would have said it.
	Text string

	command Command
}

// Change is the command where it changes something.
func (i Invocation) Change() (Change, bool) {
	c, ok := i.command.(Change)
	return c, ok
}

// Read is the command where it only answers.
func (i Invocation) Read() (Read, bool) {
	r, ok := i.command.(Read)
	return r, ok
}

// Spec describes the command.
func (i Invocation) Spec() Spec { return i.command.Spec() }

// Parse reads what stood after the slash command, as Slack sent it (with
// should_escape or without). Its error is a *UsageError, *MissingError or
// *NotBuiltError. An empty line is "help".
func (c *Catalogue) Parse(text string, d Defaults) (Invocation, error) {
	l, err := readLine(text)
	if err != nil {
		return Invocation{}, err
	}
	if len(l.words) == 0 && !l.because {
		return c.Parse("help", d)
	}
	name, words, err := c.find(l.words)
	if err != nil {
		return Invocation{}, err
	}
	cmd := c.built[name]()
	p, err := parseArgs(cmd.Spec(), l, words, d)
	if err != nil {
		return Invocation{}, err
	}
	return finish(cmd, p.args, l.text)
}

// finish gives the arguments to the command and makes the invocation.
func finish(cmd Command, a Args, text string) (Invocation, error) {
	s := cmd.Spec()
	err := cmd.Parse(a)
	var missing *MissingError
	if err != nil && !errors.As(err, &missing) {
		return Invocation{}, err
	}
	if s.takes(KeyOn) && a.Tenant == "" {
		if missing == nil {
			missing = &MissingError{}
		}
		missing.Fields = append(missing.Fields, FieldTenant)
	}
	if missing != nil {
		missing.Command = s.Name
		missing.Fields = inFormOrder(s, missing.Fields)
		missing.Given = given(s, a, missing.Given)
		return Invocation{}, missing
	}
	args, err := json.Marshal(cmd)
	if err != nil {
		return Invocation{}, fmt.Errorf("arguments of %s: %w", s.Name, err)
	}
	return Invocation{Command: s.Name, Args: args, Tenant: a.Tenant, Reason: a.Reason, Text: text, command: cmd}, nil
}

// find takes the command's name off the words: the longest one that matches.
func (c *Catalogue) find(words []Word) (string, []Word, error) {
	const longest = 3
	var names []string
	for i := 0; i < len(words) && i < longest && words[i].bare(); i++ {
		names = append(names, strings.ToLower(undash(words[i].Text())))
	}
	for n := len(names); n > 0; n-- {
		name := strings.Join(names[:n], " ")
		if _, ok := c.built[name]; ok {
			return name, words[n:], nil
		}
		if l, ok := c.later[name]; ok {
			return "", nil, l.refuse()
		}
	}
	return "", nil, c.unknown(words, names)
}

// unknown says what may have been meant.
func (c *Catalogue) unknown(words []Word, names []string) error {
	known := c.names()
	if len(names) == 0 {
		say := "A command comes first."
		if len(words) > 0 {
			say = fmt.Sprintf("A command comes first, and %s is none.", show(words[0].Text()))
		}
		return &UsageError{Say: say, Hint: "\"help\" lists the commands."}
	}
	var second []string
	for _, n := range known {
		if rest, ok := strings.CutPrefix(n, names[0]+" "); ok {
			second = append(second, rest)
		}
	}
	if len(second) > 0 {
		say := fmt.Sprintf("After %q comes one of: %s.", names[0], strings.Join(second, ", "))
		if len(names) > 1 {
			if best := spelling.Nearest(names[1], second); best != "" {
				say += fmt.Sprintf(" Did you mean \"%s %s\"?", names[0], best)
			}
		}
		return &UsageError{Say: say, Hint: "\"help\" lists the commands."}
	}
	if isKeyword(names[0]) {
		return &UsageError{Say: fmt.Sprintf("A command comes first; %q stands after it.", names[0]), Hint: "\"help\" lists the commands."}
	}
	var best string
	for n := min(2, len(names)); n > 0 && best == ""; n-- {
		if best = spelling.Nearest(strings.Join(names[:n], " "), known); best == "" {
			best = spelling.Nearest(strings.Join(names[:n], "-"), known)
		}
	}
	hint := "\"help\" lists the commands."
	if best != "" {
		hint = fmt.Sprintf("Did you mean %q? ", best) + hint
	}
	return &UsageError{Say: fmt.Sprintf("There is no command %s.", show(words[0].Text())), Hint: hint}
}

// Decode makes a stored change again, to be planned anew.
func (c *Catalogue) Decode(name string, args json.RawMessage) (Change, error) {
	build, ok := c.built[name]
	if !ok {
		return nil, fmt.Errorf("decode %q: no such command", name)
	}
	change, ok := build().(Change)
	if !ok {
		return nil, fmt.Errorf("decode %q: it changes nothing", name)
	}
	dec := json.NewDecoder(strings.NewReader(string(args)))
	// An argument that this program does not know must not be skipped.
	dec.DisallowUnknownFields()
	if err := dec.Decode(change); err != nil {
		return nil, fmt.Errorf("decode %q: %w", name, err)
	}
	return change, nil
}

// Format writes the line that parses to the same invocation, in the escaped
// form in which Slack sends text.
func (c *Catalogue) Format(i Invocation) (string, error) {
	build, ok := c.built[i.Command]
	if !ok {
		return "", fmt.Errorf("format %q: no such command", i.Command)
	}
	cmd := build()
	if err := json.Unmarshal(i.Args, cmd); err != nil {
		return "", fmt.Errorf("format %q: %w", i.Command, err)
	}
	a := cmd.Typed()
	a.Tenant, a.Reason = i.Tenant, i.Reason
	return format(i.Command, a), nil
}

// inFormOrder sorts the names of fields as the form shows them.
func inFormOrder(s Spec, names []string) []string {
	var sorted []string
	for _, f := range s.Fields {
		if slices.Contains(names, f.Name) {
			sorted = append(sorted, f.Name)
		}
	}
	return sorted
}
