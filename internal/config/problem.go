package config

import (
	"cmp"
	"slices"
	"strings"
)

// Problem says what is wrong with one variable.
type Problem struct {
	Variable string // its name, as the environment has it
	Text     string // what is wrong and what to do; never what the variable holds
}

// String gives the problem as one line.
func (p Problem) String() string { return p.Variable + ": " + p.Text }

// Problems is everything that is wrong with the configuration, sorted by
// variable. It is the error that [Read] returns.
type Problems []Problem

// Error gives one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by variable and drops what was said twice.
func (p Problems) sorted() Problems {
	slices.SortFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(p)
}
