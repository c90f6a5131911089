package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Kind is one kind of write, such as creating a user: how to look, how to do
// it, and how far it may be repeated. The kinds are a closed set, so that a
// stored plan can run after a restart and by a newer binary.
type Kind interface {
	// Look reads the step's object and says how it stands. It never writes.
	// It is called before the write (is it so already? has somebody changed
	// it?), after it (verification) and when the write's outcome is in doubt.
	Look(ctx context.Context, w Work) (Sight, error)
	// Do sends the write, once. Its error is one of ErrNotSent, ErrRefused
	// or ErrInDoubt (wrapped, or a *NotSentError); any other error is treated
	// as ErrInDoubt. A nil error means that Qlik said it was done, which is
	// still to be verified.
	Do(ctx context.Context, w Work) (Answer, error)
	// Repeat says what may follow a doubt that reading showed without effect.
	Repeat() Repeat
}

// Work is a step with what is known when it runs.
type Work struct {
	Request string // ID
	Plan    approval.Plan
	Index   int
	// Records are those of all steps of the plan, so that a step can use what
	// an earlier one brought about.
	Records []approval.StepRecord
}

// Step is the step itself.
func (w Work) Step() approval.Step { return w.Plan.Steps[w.Index] }

// Record is the step's own record.
func (w Work) Record() approval.StepRecord { return w.Records[w.Index] }

// Standing is how a step's object stands, as read.
type Standing int

// The standings. The zero value is none of them and counts as Changed.
const (
	// Ready: the object is as it was when the step was planned, or as an
	// earlier part of the same step left it; the write may be sent.
	Ready Standing = iota + 1
	// Present: the object is as the step wants it.
	Present
	// Needless: the step does not apply (any more), and that is no failure.
	Needless
	// Changed: the object is neither as planned nor as wanted.
	Changed
)

// Sight is what a look found.
type Sight struct {
	Standing Standing
	// Why is a sentence for people where the standing is Needless or Changed.
	Why string
	// Result replaces the record's result when it is not nil.
	Result json.RawMessage
	// Items replaces the record's items when it is not nil.
	Items []approval.Item
}

// Answer is what Qlik said to a write.
type Answer struct {
	Result json.RawMessage
	Items  []approval.Item
}

// Repeat says how far a kind of write may be sent again after a doubt.
type Repeat int

// The ways to repeat. The zero value is the careful one.
const (
	// Never: a person is asked.
	Never Repeat = iota
	// AfterTwoLooks: after two readings some time apart that both found no
	// effect. For creations with a natural key.
	AfterTwoLooks
	// AfterOneLook: setting what is then so; a second time changes nothing.
	AfterOneLook
)

// What an error of Kind.Do means for the object.
var (
	// ErrNotSent: certainly without effect, and worth trying again.
	ErrNotSent = errors.New("certainly without effect")
	// ErrRefused: certainly without effect, and trying again is of no use.
	ErrRefused = errors.New("refused")
	// ErrInDoubt: it may have taken effect, or may yet.
	ErrInDoubt = errors.New("outcome unknown")
)

// StepError is an error of Kind.Do or Kind.Look in its three parts: what it
// means, what to tell people, and the cause for the log.
type StepError struct {
	// Class is ErrNotSent, ErrRefused or ErrInDoubt.
	Class error
	// Say is a sentence for people, without secrets.
	Say string
	// After is the least time to wait before trying again; zero is any.
	After time.Duration
	Cause error
}

func (e *StepError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%v: %s", e.Class, e.Say)
	}
	return fmt.Sprintf("%v: %s: %v", e.Class, e.Say, e.Cause)
}

func (e *StepError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Class}
	}
	return []error{e.Class, e.Cause}
}
