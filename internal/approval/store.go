package approval

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/qlik-chatops/bot/internal/audit"
)

// ErrNoRequest says that there is no request of that ID.
var ErrNoRequest = errors.New("no such request")

// ErrLost says that the task in hand belongs to somebody else by now, so
// that nothing of the change was stored.
var ErrLost = errors.New("the task was taken over by another worker")

// Task is work that is owed and must survive a restart: a step to run, a card
// to edit, a deadline. A task is due at RunAt and may run more than once; what
// it does is guarded by the request's state.
type Task struct {
	// Key names the task. Adding a task whose key exists moves the existing
	// one to the earlier of both times, revives it when it was done, and makes
	// it run once more when it is running. A task with Once is left as it is.
	Key  string
	Kind string
	// Request is the request's ID, or empty.
	Request string
	// Lane names what must not happen side by side: of the tasks of one lane
	// at most one runs at a time. Empty is no lane.
	Lane  string
	Body  json.RawMessage
	RunAt time.Time
	Once  bool
}

// Claim is a task in a worker's hands. Token is new for each claim; whoever
// finishes must still hold it.
type Claim struct {
	Task
	Token   int64
	Attempt int // 1 on the first
}

// Effects are what must be stored together with a changed request.
type Effects struct {
	// Records are appended to the audit chain, in this order.
	Records []audit.Entry
	// Tasks are added, and those of the keys in Cancel that are not running
	// are taken away.
	Tasks  []Task
	Cancel []string
	// Finish ends the claim as done, in the same transaction. If the claim
	// was lost, nothing is stored and the error is ErrLost.
	Finish *Claim
	// Hold keeps the claim, but demands that it is still held; the same error.
	Hold *Claim
}

// Store keeps requests. Every method is one transaction; what it returns is
// on the disk.
type Store interface {
	// CreateRequest stores a new request. An ID that exists is an error.
	CreateRequest(ctx context.Context, r Request, e Effects) error
	// Request reads one, or fails with ErrNoRequest.
	Request(ctx context.Context, id string) (Request, error)
	// ChangeRequest reads the request under a lock, lets change work on it
	// and stores it with the effects, its Revision one higher. When change
	// fails, nothing is stored and its error comes back unwrapped.
	ChangeRequest(ctx context.Context, id string, change func(*Request) (Effects, error)) (Request, error)
	// OpenRequests are those that have not ended, oldest first.
	OpenRequests(ctx context.Context) ([]Request, error)
	// RecentRequests are the newest ones, newest first, at most limit.
	RecentRequests(ctx context.Context, limit int) ([]Request, error)
	// Append writes records that belong to no stored request, and adds or
	// finishes tasks with them.
	Append(ctx context.Context, e Effects) error
}
