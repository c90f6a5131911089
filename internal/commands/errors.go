package commands

import "strings"

// UsageError says that what was typed is not understood. Nothing was read or
// changed.
type UsageError struct {
	// Say is what is wrong, in a sentence or two.
	Say string
	// Hint is what to do instead; it may be empty.
	Hint string
	// Field is the form field that it is about, where there is one.
	Field string
}

func (e *UsageError) Error() string { return sentences(e.Say, e.Hint) }

// MissingError says that required arguments are missing; a form can ask for
// them.
type MissingError struct {
	Command string
	// Fields are the names of what is missing, in the order of the form.
	Fields []string
	// Given is what was typed already, by field name, in the form in which
	// FromForm takes it: one value for each field.
	Given map[string][]string
}

func (e *MissingError) Error() string {
	return e.Command + " needs more: " + strings.Join(e.Fields, ", ") + "."
}

// NotBuiltError says that something is part of the language but not built
// yet, so that it is refused rather than ignored.
type NotBuiltError struct {
	// What is the command or keyword.
	What string
	Say  string
}

func (e *NotBuiltError) Error() string { return e.Say }

// RefusedError says that a command was understood and cannot be done. Nothing
// was changed.
type RefusedError struct {
	// Say is what is the matter, and that nothing was changed.
	Say string
	// Hint is what to do next; it may be empty.
	Hint string
	// Temporary says that the same command may succeed a little later.
	Temporary bool
	// Cause is for the log and never for people.
	Cause error
}

func (e *RefusedError) Error() string { return sentences(e.Say, e.Hint) }

func (e *RefusedError) Unwrap() error { return e.Cause }

func sentences(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " ")
}
