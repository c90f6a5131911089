package execution_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/store"
)

// ending is how one send of a write ends.
type ending int

const (
	done         ending = iota // it takes effect and is answered
	refused                    // it is refused, without effect
	notSent                    // it certainly had no effect
	lost                       // no answer, no effect
	lostAfter                  // no answer, and it took effect
	lostOddly                  // the same, with an error that nobody has classified
	lateEffect                 // no answer; it takes effect remote.late later
	saidDone                   // it is answered as done and takes no effect
	panics                     // the code that sends it panics after the effect
	hangs                      // no answer until the caller gives up; it took effect
	outcomeCount               // how many there are
)

func (e ending) String() string {
	return [outcomeCount]string{
		"done", "refused", "certainly without effect", "lost without effect", "lost after the effect",
		"lost after the effect with an odd error", "late effect", "said to be done", "panic", "hangs",
	}[e]
}

// remote is a pretended Qlik that counts what takes effect. It is a Kind.
type remote struct {
	repeat  execution.Repeat
	endings []ending // of the sends, in order; done after the last
	late    time.Duration

	mu      sync.Mutex // guards what follows
	sends   []time.Time
	effects map[string]int // by object
	looks   int
	// standing replaces what a look finds, unless it is nil.
	standing func(object string) (execution.Sight, error)
}

func (r *remote) Repeat() execution.Repeat { return r.repeat }

func (r *remote) Look(_ context.Context, w execution.Work) (execution.Sight, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks++
	if r.standing != nil {
		return r.standing(w.Step().Object)
	}
	if r.effects[w.Step().Object] > 0 {
		return execution.Sight{Standing: execution.Present}, nil
	}
	return execution.Sight{Standing: execution.Ready}, nil
}

func (r *remote) effect(object string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.effects[object]++
}

func (r *remote) Do(ctx context.Context, w execution.Work) (execution.Answer, error) {
	object := w.Step().Object
	r.mu.Lock()
	r.sends = append(r.sends, time.Now())
	end := done
	if len(r.endings) > 0 {
		end, r.endings = r.endings[0], r.endings[1:]
	}
	r.mu.Unlock()
	inDoubt := &execution.StepError{Class: execution.ErrInDoubt, Say: "No answer.", Cause: errors.New("connection reset")}
	switch end {
	case done:
		r.effect(object)
		return execution.Answer{Result: json.RawMessage(`{"id":"1"}`)}, nil
	case refused:
		return execution.Answer{}, &execution.StepError{Class: execution.ErrRefused, Say: "It is forbidden."}
	case notSent:
		return execution.Answer{}, &execution.StepError{Class: execution.ErrNotSent, Say: "Nobody is there."}
	case lost:
		return execution.Answer{}, inDoubt
	case lostAfter:
		r.effect(object)
		return execution.Answer{}, inDoubt
	case lostOddly:
		r.effect(object)
		return execution.Answer{}, errors.New("who knows")
	case lateEffect:
		time.AfterFunc(r.late, func() { r.effect(object) })
		return execution.Answer{}, inDoubt
	case saidDone:
		return execution.Answer{}, nil
	case panics:
		r.effect(object)
		panic("a mistake")
	case hangs:
		r.effect(object)
		<-ctx.Done()
		return execution.Answer{}, ctx.Err()
	default:
		panic("no such ending")
	}
}

func (r *remote) sent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sends)
}

// judge is a Judge that finds everything as it was, unless again is set.
type judge struct {
	again func(r approval.Request) (execution.Judgement, error)
}

func (j *judge) Again(_ context.Context, r approval.Request) (execution.Judgement, error) {
	if j.again != nil {
		return j.again(r)
	}
	return execution.Judgement{Plan: r.Plan}, nil
}

// world is a store with workers on it.
type world struct {
	t      *testing.T
	db     *store.Store
	remote *remote
	judge  *judge
	runner *execution.Runner
}

var (
	ana = approval.Identity{Team: "T1", User: "U0ANA"}
	ben = approval.Identity{Team: "T1", User: "U0BEN"}
)

func newWorld(t *testing.T, r *remote) *world {
	t.Helper()
	r.effects = map[string]int{}
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "bot.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, db: db, remote: r, judge: &judge{}}
	w.runner = &execution.Runner{
		Store: db, Judge: w.judge, Kinds: map[string]execution.Kind{"write": r}, Logger: slog.New(slog.DiscardHandler),
	}
	return w
}

// work starts workers and returns what ends them.
func (w *world) work() (stop func()) {
	workers := &execution.Workers{
		Queue: w.db, Logger: slog.New(slog.DiscardHandler), Lease: time.Minute,
		Lines: []execution.Line{
			{Kind: approval.TaskRun, Handle: w.runner.Handle, Limit: 2},
			{Kind: approval.TaskExpire, Handle: execution.ExpiryHandler(w.db), Limit: 1},
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- workers.Run(ctx) }()
	return func() {
		cancel()
		if err := <-over; err != nil {
			w.t.Error(err)
		}
	}
}

// ask stores a request of n steps, whose caller must confirm it, or with
// demands whose voters must approve.
func (w *world) ask(n int, demands ...approval.Demand) approval.Request {
	w.t.Helper()
	r := approval.Request{ID: "R1", Caller: ana, Command: "write", Tenant: "prod", Demands: demands, Plan: plan(n)}
	e, err := r.Open(time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.db.CreateRequest(w.t.Context(), r, e); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func plan(n int) approval.Plan {
	p := approval.Plan{Command: "write", Tenant: "prod", Title: "Write"}
	for i := range n {
		p.Steps = append(p.Steps, approval.Step{Kind: "write", Tenant: "prod", Object: fmt.Sprint("object ", i), Line: fmt.Sprint("write ", i)})
	}
	return p
}

func (w *world) decide(kind approval.DecisionKind, who approval.Identity) approval.Request {
	w.t.Helper()
	r, err := w.db.ChangeRequest(w.t.Context(), "R1", func(r *approval.Request) (approval.Effects, error) {
		return r.Decide(kind, approval.Voter{Identity: who}, r.Version, time.Now())
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) request() approval.Request {
	w.t.Helper()
	r, err := w.db.Request(w.t.Context(), "R1")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// wants compares where the request stands, what was sent and what took effect.
func (w *world) wants(state approval.State, sends, effects int) {
	w.t.Helper()
	r := w.request()
	total := 0
	w.remote.mu.Lock()
	for object, n := range w.remote.effects {
		total += n
		if n > 1 {
			w.t.Errorf("%s took effect %d times", object, n)
		}
	}
	w.remote.mu.Unlock()
	if r.State != state || w.remote.sent() != sends || total != effects {
		w.t.Errorf("the request is %s with %d sends and %d effects; want %s, %d, %d; steps %+v", r.State, w.remote.sent(), total, state, sends, effects, r.Steps)
	}
	if _, err := audit.Verify(w.db.Records(w.t.Context(), store.RecordFilter{})); err != nil {
		w.t.Error(err)
	}
	intents := 0
	for rec, err := range w.db.Records(w.t.Context(), store.RecordFilter{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if audit.Event(rec.Event) == audit.EventSending {
			intents++
		}
	}
	if intents < sends {
		w.t.Errorf("%d writes were sent, and %d intents are on record", sends, intents)
	}
}
