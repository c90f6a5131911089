package execution

import (
	"context"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// Queue hands out due tasks. It is the same database as approval.Store, so
// that a task is finished in the transaction of what it brought about
// (approval.Effects.Finish).
type Queue interface {
	// Claim takes one due task of the given kinds, the one that has been due
	// longest, whose lane is free. A running task whose lease is over counts
	// as due. ok is false when there is none.
	Claim(ctx context.Context, kinds []string, lease time.Duration) (c approval.Claim, ok bool, err error)
	// Renew makes the lease end that long from now, or fails with
	// approval.ErrLost.
	Renew(ctx context.Context, c approval.Claim, lease time.Duration) error
	// Retry puts a claimed task back, due at that time; why is for operators
	// and holds no secret. It fails with approval.ErrLost.
	Retry(ctx context.Context, c approval.Claim, at time.Time, why string) error
	// NextDue is when the next task of these kinds will be due, as far as is
	// known now; ok is false when none is.
	NextDue(ctx context.Context, kinds []string) (at time.Time, ok bool, err error)
	// Added returns a channel that is closed when tasks were added or put
	// back after the call.
	Added() <-chan struct{}
}
