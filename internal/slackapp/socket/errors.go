package socket

import (
	"errors"
	"time"
)

var (
	// ErrAlreadyAcked is returned by a second [Envelope.Ack], also by one made
	// while the first is still being written.
	ErrAlreadyAcked = errors.New("socket: this envelope was acknowledged before")

	// ErrAckTooLarge means that an acknowledgement would have [MaxAckBytes] or
	// more. Nothing was written; the caller can acknowledge with less.
	ErrAckTooLarge = errors.New("socket: the acknowledgement is too large for Slack")

	// ErrPayloadNotAccepted means that the envelope takes no payload in its
	// acknowledgement. Nothing was written; the caller can acknowledge without.
	ErrPayloadNotAccepted = errors.New("socket: this envelope takes no payload in its acknowledgement")

	// ErrConnectionGone means that the connection that delivered the envelope
	// is gone, or broke while the acknowledgement was written. Slack did not
	// get it. No other connection is tried: that Slack would take it there is
	// documented nowhere.
	ErrConnectionGone = errors.New("socket: the connection that delivered this envelope is gone")
)

// errNotAMessage means that a frame is not what Slack is known to send.
var errNotAMessage = errors.New("socket: the frame is not a message of Socket Mode")

// FatalError is an error that trying again cannot mend, such as a revoked
// token. [Config.Open] returns it, and [Loop.Run] returns it in turn.
type FatalError struct {
	// Reason is one or two plain sentences for the operator: what happened and
	// what to do.
	Reason string
	// Err is the cause, or nil.
	Err error
}

// Error returns the reason.
func (e *FatalError) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *FatalError) Unwrap() error { return e.Err }

// Fatal reports whether err is or wraps a [*FatalError].
func Fatal(err error) bool {
	var f *FatalError
	return errors.As(err, &f)
}

// retryAfter returns how long the server asked us to wait, from an error that
// carries it.
func retryAfter(err error) (time.Duration, bool) {
	var ra interface{ RetryAfter() time.Duration }
	if !errors.As(err, &ra) {
		return 0, false
	}
	return ra.RetryAfter(), true
}
