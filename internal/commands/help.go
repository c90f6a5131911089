package commands

import (
	"context"
	"fmt"
	"strings"
)

// help lists what the asker may do, or explains one command.
type help struct {
	Command string `json:"command,omitempty"`
}

func (*help) Spec() Spec {
	return Spec{
		Name: "help", Summary: "List what you may ask for, or explain one command", Usage: "[<command>]",
		Examples: []string{"help", "help add-admin"},
		Class:    ClassRead, Touches: "none",
	}
}

func (c *help) Parse(a Args) error {
	var words []string
	for _, w := range a.Words {
		words = append(words, strings.ToLower(undash(w.Text())))
	}
	c.Command = strings.Join(words, " ")
	return nil
}

func (c *help) Typed() Args {
	var a Args
	for _, w := range strings.Fields(c.Command) {
		a.Words = append(a.Words, wordOf(w))
	}
	return a
}

func (c *help) Answer(_ context.Context, w World) (Reply, error) {
	if w.Catalogue == nil {
		return Reply{}, refused("", "There is no list of commands.")
	}
	may := func(s Spec) bool { return s.Ungoverned || w.Allowed != nil && w.Allowed(s.Name) }
	if c.Command != "" {
		return c.explain(w.Catalogue, may)
	}
	r := Reply{Title: "What you may ask for"}
	t := &Table{Head: []string{"Command", "What it does"}}
	for _, s := range w.Catalogue.Specs() {
		if may(s) {
			t.Rows = append(t.Rows, []string{s.Line(), s.Summary})
		}
	}
	r.Sections = []Section{
		{Table: t},
		{Title: "How it is written", Lines: []string{
			"Words, in any order after the command's name; a value with spaces goes into quotes.",
			"A person is a Slack mention, an e-mail address, a Qlik user ID, or subject:<value>.",
			"\"because\" and all that follows is the reason.",
			"A command without its arguments opens a form. \"help <command>\" says more.",
		}},
	}
	return r, nil
}

func (c *help) explain(catalogue *Catalogue, may func(Spec) bool) (Reply, error) {
	s, ok := catalogue.Lookup(c.Command)
	if !ok {
		if l, later := catalogue.later[c.Command]; later {
			return Reply{Title: l.Name, Lines: []string{l.refuse().Say}}, nil
		}
		words := make([]Word, 0, 2)
		for _, w := range strings.Fields(c.Command) {
			words = append(words, bareWord(w))
		}
		_, _, err := catalogue.find(words)
		if err == nil {
			err = &UsageError{Say: fmt.Sprintf("There is no command %s.", show(c.Command)), Hint: "\"help\" lists the commands."}
		}
		return Reply{}, err
	}
	r := Reply{Title: s.Name, Lines: []string{s.Summary + "."}}
	if !may(s) {
		r.Lines = append(r.Lines, "You may not ask for this here.")
		return r, nil
	}
	r.Sections = append(r.Sections, Section{Title: "How it is written", Lines: []string{s.Line()}})
	if len(s.Examples) > 0 {
		r.Sections = append(r.Sections, Section{Title: "Examples", Lines: s.Examples})
	}
	return r, nil
}

func bareWord(s string) Word {
	var w Word
	for _, r := range s {
		w.atoms = append(w.atoms, atom{r: r})
	}
	return w
}
