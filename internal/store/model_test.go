package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// modelTask is a task as the comments of approval.Task and execution.Queue
// describe it, without any thought of how it is stored.
type modelTask struct {
	approval.Task
	order   int // of its addition
	state   string
	again   time.Time
	lease   time.Time
	attempt int
	token   int64
}

type model struct {
	tasks map[string]*modelTask
	adds  int
}

func (m *model) add(t approval.Task, now time.Time) {
	m.adds++
	old, known := m.tasks[t.Key]
	switch {
	case !known:
		m.tasks[t.Key] = &modelTask{Task: t, order: m.adds, state: "ready"}
	case old.Once || t.Once:
	case old.state == "done":
		*old = modelTask{Task: t, order: m.adds, state: "ready"}
	case old.state == "ready":
		if t.RunAt.Before(old.RunAt) {
			old.RunAt = t.RunAt
		}
	case old.state == "running":
		if old.again.IsZero() || t.RunAt.Before(old.again) {
			old.again = t.RunAt
		}
	}
}

// due is when the task may be claimed, were its lane free.
func (t *modelTask) due() time.Time {
	if t.state == "running" {
		return t.lease
	}
	return t.RunAt
}

// busy is until when another task keeps the lane, or the zero time.
func (m *model) busy(t *modelTask, now time.Time) (until time.Time) {
	for _, o := range m.tasks {
		if t.Lane != "" && o.Key != t.Key && o.Lane == t.Lane && o.state == "running" && o.lease.After(now) && o.lease.After(until) {
			until = o.lease
		}
	}
	return until
}

func (m *model) claimable(now time.Time) *modelTask {
	var best *modelTask
	for _, t := range m.tasks {
		if t.state == "done" || t.due().After(now) || !m.busy(t, now).IsZero() {
			continue
		}
		if best == nil || t.RunAt.Before(best.RunAt) || t.RunAt.Equal(best.RunAt) && t.order < best.order {
			best = t
		}
	}
	return best
}

func (m *model) nextDue(now time.Time) (at time.Time, ok bool) {
	for _, t := range m.tasks {
		if t.state == "done" {
			continue
		}
		due := t.due()
		if until := m.busy(t, now); until.After(due) {
			due = until
		}
		if !ok || due.Before(at) {
			at, ok = due, true
		}
	}
	return at, ok
}

// TestTheQueueDoesWhatItsCommentsSay plays long random games against the
// model, on a queue of few keys and lanes, so that everything meets.
func TestTheQueueDoesWhatItsCommentsSay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { playQueue(t, open(t, sqliteEngine), rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func playQueue(t *testing.T, d *database, rng *rand.Rand) {
	m := &model{tasks: map[string]*modelTask{}}
	var claims []approval.Claim // all that were ever handed out
	var log []string
	note := func(format string, args ...any) {
		log = append(log, fmt.Sprintf("%s: ", time.Now().Format("05.000"))+fmt.Sprintf(format, args...))
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\nafter:\n%q", fmt.Sprintf(format, args...), log[max(0, len(log)-25):])
	}
	soon := func() time.Time { return time.Now().Add(time.Duration(rng.IntN(90)-30) * time.Second) }
	anyClaim := func() (approval.Claim, *modelTask, bool) {
		if len(claims) == 0 {
			return approval.Claim{}, nil, false
		}
		// Mostly a recent one; an old one is most likely lost.
		c := claims[max(0, len(claims)-1-rng.IntN(6))]
		mt, known := m.tasks[c.Key]
		return c, mt, known && mt.state == "running" && mt.token == c.Token
	}
	expectLost := func(what string, err error, held bool) {
		t.Helper()
		if held {
			check(t, err)
		} else {
			wantErr(t, err, approval.ErrLost)
		}
		note("%s held=%v", what, held)
	}
	for range 600 {
		now := time.Now()
		switch rng.IntN(12) {
		case 0, 1, 2:
			key := rng.IntN(6)
			task := approval.Task{Key: fmt.Sprintf("run:%d", key), Kind: "run", RunAt: soon(), Once: key == 5}
			if key < 4 {
				task.Lane = fmt.Sprintf("lane %d", key/2)
			}
			note("add %s at %v", task.Key, task.RunAt.Format("05.000"))
			d.put(t, task)
			m.add(task, now)
		case 3, 4, 5:
			length := time.Duration(rng.IntN(60)+1) * time.Second
			c, ok, err := d.Claim(t.Context(), kinds, length)
			check(t, err)
			want := m.claimable(now)
			note("claim %s", c.Key)
			if ok != (want != nil) || ok && c.Key != want.Key {
				fail("claimed %v %q, want %+v", ok, c.Key, want)
			}
			if !ok {
				break
			}
			want.state, want.lease, want.token = "running", now.Add(length), c.Token
			want.attempt++
			if !want.again.After(now) {
				want.again = time.Time{}
			}
			if c.Attempt != want.attempt || !c.RunAt.Equal(want.RunAt) {
				fail("claimed %+v, want %+v", c, want)
			}
			if slices.ContainsFunc(claims, func(o approval.Claim) bool { return o.Token == c.Token }) {
				fail("token %d was given twice", c.Token)
			}
			claims = append(claims, c)
		case 6, 7:
			c, mt, held := anyClaim()
			if c.Key == "" {
				break
			}
			told := d.Added()
			expectLost("finish "+c.Key, d.Append(t.Context(), approval.Effects{Finish: &c}), held)
			if !held {
				break
			}
			wake := mt.Lane != ""
			if mt.state = "done"; !mt.again.IsZero() {
				mt.state, mt.RunAt, mt.again, mt.attempt, wake = "ready", mt.again, time.Time{}, 0, true
			}
			if isClosed(told) != wake {
				fail("told %v, want %v", !wake, wake)
			}
		case 8:
			c, mt, held := anyClaim()
			if c.Key == "" {
				break
			}
			at := soon()
			expectLost("retry "+c.Key, d.Retry(t.Context(), c, at, "made up"), held)
			if held {
				mt.state, mt.RunAt = "ready", at
			}
		case 9:
			c, mt, held := anyClaim()
			if c.Key == "" {
				break
			}
			held = held && mt.lease.After(now)
			if rng.IntN(2) == 0 {
				expectLost("hold "+c.Key, d.Append(t.Context(), approval.Effects{Hold: &c}), held)
				break
			}
			expectLost("renew "+c.Key, d.Renew(t.Context(), c, lease), held)
			if held {
				mt.lease = now.Add(lease)
			}
		case 10:
			time.Sleep(time.Duration(rng.IntN(40_000)) * time.Millisecond)
		case 11:
			key := fmt.Sprintf("run:%d", rng.IntN(5))
			switch rng.IntN(8) {
			case 0:
				note("restart")
				d.restart(t)
				for _, mt := range m.tasks {
					if mt.state == "running" {
						mt.state, mt.token = "ready", 0
					}
				}
			case 1:
				note("cancel %s", key)
				check(t, d.Append(t.Context(), approval.Effects{Cancel: []string{key}}))
				if mt, ok := m.tasks[key]; ok && mt.state == "ready" {
					delete(m.tasks, key)
				} else if ok {
					mt.again = time.Time{}
				}
			}
		}
		at, ok, err := d.NextDue(t.Context(), kinds)
		check(t, err)
		wantAt, wantOK := m.nextDue(time.Now())
		if ok != wantOK || !at.Equal(wantAt) {
			fail("next due %v %v, want %v %v", ok, at, wantOK, wantAt)
		}
		running := map[string]int{}
		for _, mt := range m.tasks {
			if mt.Lane != "" && mt.state == "running" && mt.lease.After(time.Now()) {
				if running[mt.Lane]++; running[mt.Lane] > 1 {
					fail("two tasks run in lane %s", mt.Lane)
				}
			}
		}
	}
}
