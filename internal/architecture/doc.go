// Package architecture holds the rules of this tree as tests that fail: which
// package may import which, who alone may touch a library or the environment,
// and what every package owes its readers. It has no code of its own to call.
//
// A rule that is in the way is changed here, in the same commit as the code that
// needs it, with the reason in its line. What it refuses is the exception that
// nobody wrote down.
package architecture
