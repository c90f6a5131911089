package commands

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FromForm reads a command from the values of its form, by field name, with
// the same checks as for typed text. Values are as people wrote them, without
// Slack's escapes; a picked Slack user is "<@ID>". Problems are returned by
// field name; what is about no field is under "". The invocation is whole only
// when there is no problem.
func (c *Catalogue) FromForm(command string, values map[string][]string, d Defaults) (Invocation, map[string]error) {
	build, ok := c.built[command]
	if !ok {
		return Invocation{}, map[string]error{"": &UsageError{Say: fmt.Sprintf("There is no command %s.", show(command))}}
	}
	cmd := build()
	s := cmd.Spec()
	problems := map[string]error{}
	a := Args{Source: d.SourceTenant}
	known := map[string]bool{}
	for _, f := range s.Fields {
		known[f.Name] = true
		given := values[f.Name]
		if len(given) == 0 {
			continue
		}
		if err := a.fill(f, given, d); err != nil {
			problems[f.Name] = err
		}
	}
	for name := range values {
		if !known[name] {
			problems[""] = &UsageError{Say: fmt.Sprintf("%s has no field %s.", s.Name, show(name))}
		}
	}
	if s.takes(KeyOn) && a.Tenant == "" && problems[FieldTenant] == nil {
		a.Tenant = d.DefaultTenant
	}
	inv, err := finish(cmd, a, "")
	var missing *MissingError
	var usage *UsageError
	switch {
	case errors.As(err, &missing):
		for _, name := range missing.Fields {
			if problems[name] == nil {
				problems[name] = &UsageError{Say: "This is needed.", Field: name}
			}
		}
	case errors.As(err, &usage):
		if problems[usage.Field] == nil {
			problems[usage.Field] = err
		}
	case err != nil:
		problems[""] = err
	}
	if len(problems) > 0 {
		return Invocation{}, problems
	}
	typed := cmd.Typed()
	typed.Tenant, typed.Reason = inv.Tenant, inv.Reason
	inv.Text = unescape(format(inv.Command, typed))
	return inv, nil
}

// fill puts the values of one field where typed text would have put them.
func (a *Args) fill(f Field, values []string, d Defaults) error {
	values = slices.Clone(values)
	for i, v := range values {
		values[i] = strings.TrimSpace(clean(v))
	}
	joined := strings.TrimSpace(strings.Join(values, " "))
	if joined == "" {
		return nil
	}
	switch f.Control {
	case ControlTenant:
		k := KeyOn
		if f.Name == FieldFrom {
			k = KeyFrom
		}
		label, err := tenantLabel(joined, k, d)
		if err != nil {
			return err
		}
		if k == KeyFrom {
			a.From = label
		} else {
			a.Tenant = label
		}
	case ControlPerson:
		if len(joined) > 3 && strings.HasPrefix(joined, "<@") && strings.HasSuffix(joined, ">") {
			if t := readToken(joined[1 : len(joined)-1]); t.user != "" {
				a.Words = append(a.Words, mentionOf(t.user))
				return nil
			}
		}
		return a.word(joined)
	case ControlEmails:
		for _, address := range strings.FieldsFunc(joined, func(r rune) bool { return r == ' ' || strings.ContainsRune(separators, r) }) {
			a.Words = append(a.Words, wordOf(address))
		}
	case ControlRoles:
		for _, v := range values {
			for _, role := range strings.Split(v, ",") {
				if role = strings.TrimSpace(role); role != "" {
					a.As = append(a.As, role)
				}
			}
		}
	case ControlText:
		if f.Name == FieldLang {
			a.Lang = joined
			return nil
		}
		return a.word(joined)
	case ControlReason:
		p := parsed{}
		if err := p.reason(strings.Join(strings.Fields(joined), " ")); err != nil {
			return err
		}
		a.Reason = p.args.Reason
	}
	return nil
}

func (a *Args) word(value string) error {
	if n := len([]rune(value)); n > maxWord {
		return &UsageError{Say: fmt.Sprintf("That is %d characters long; %d is the most.", n, maxWord)}
	}
	a.Words = append(a.Words, wordOf(value))
	return nil
}

// given is what was typed, as a form's values, so that the form opens filled
// in.
func given(s Spec, a Args, more map[string][]string) map[string][]string {
	values := map[string][]string{}
	set := func(name, v string) {
		if v != "" {
			values[name] = []string{v}
		}
	}
	for _, f := range s.Fields {
		switch {
		case f.Name == FieldTenant:
			set(f.Name, a.Tenant)
		case f.Name == FieldFrom:
			set(f.Name, a.From)
		case f.Name == FieldLang:
			set(f.Name, a.Lang)
		case f.Control == ControlRoles:
			set(f.Name, strings.Join(a.As, ", "))
		case f.Control == ControlReason:
			set(f.Name, a.Reason)
		}
	}
	maps.Copy(values, more)
	return values
}
