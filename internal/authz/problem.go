package authz

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a policy file.
type Problem struct {
	Line int    // from 1
	Rule string // the rule's name; "#3" for the third rule when it has none; empty outside rules
	Text string // what is wrong and what to write instead
}

func (p Problem) Error() string {
	if p.Rule == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d: rule %s: %s", p.Line, quote(p.Rule), p.Text)
}

// Problems is the error of [Load]: everything that is wrong with the file, by
// line. It is never empty.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each Problem.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errs
}
