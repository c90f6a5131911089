package store_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/store"
)

// effectTests are about tasks as part of what a change brings about.
var effectTests = map[string]func(*testing.T, *database){
	"a request, its records and its tasks come together": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{
			Records: []audit.Entry{{Request: "R-1", Event: audit.EventPlanned}},
			Tasks:   []approval.Task{task("card:R-1", time.Now()), task("run:R-1", time.Now().Add(time.Hour))},
		})
		if n := d.verified(t); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
		d.claimsKey(t, "card:R-1")
		d.claimsNothing(t)
	},
	"finishing in a change ends the task with it": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{Tasks: []approval.Task{task("run:R-1", time.Now())}})
		c := d.claims(t)
		_, err := d.ChangeRequest(t.Context(), "R-1", func(*approval.Request) (approval.Effects, error) {
			return approval.Effects{Finish: &c}, nil
		})
		check(t, err)
		time.Sleep(2 * lease)
		d.claimsNothing(t)
	},
	"a change for a lost claim stores nothing": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{Tasks: []approval.Task{task("run:R-1", time.Now())}})
		before := must(d.Request(t.Context(), "R-1"))
		lost := d.claims(t)
		time.Sleep(lease)
		held := d.claimsKey(t, "run:R-1")
		for name, e := range map[string]approval.Effects{
			"finish": {Finish: &lost}, "hold": {Hold: &lost},
		} {
			_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
				r.State = approval.Running
				e.Records = []audit.Entry{{Event: audit.EventSending}}
				e.Tasks = []approval.Task{task("card:R-1", time.Now())}
				return e, nil
			})
			if !errors.Is(err, approval.ErrLost) {
				t.Errorf("%s: the error is %v, want ErrLost", name, err)
			}
			wantErr(t, d.Append(t.Context(), e), approval.ErrLost)
		}
		same(t, "request", must(d.Request(t.Context(), "R-1")), before)
		if n := d.verified(t); n != 0 {
			t.Errorf("%d records were written", n)
		}
		d.claimsNothing(t)
		d.finishes(t, held)
	},
	"holding keeps the claim and does not make the lease longer": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		c := d.claims(t)
		time.Sleep(lease - time.Millisecond)
		check(t, d.Append(t.Context(), approval.Effects{Hold: &c}))
		time.Sleep(time.Millisecond)
		wantErr(t, d.Append(t.Context(), approval.Effects{Hold: &c}), approval.ErrLost)
	},
	"a claim cannot be finished twice": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		c := d.claims(t)
		d.finishes(t, c)
		wantErr(t, d.Append(t.Context(), approval.Effects{Finish: &c}), approval.ErrLost)
		wantErr(t, d.Append(t.Context(), approval.Effects{Hold: &c}), approval.ErrLost)
	},
	"a finish that comes after the lease counts as long as nobody took the task": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		c := d.claims(t)
		time.Sleep(2 * lease)
		d.finishes(t, c)
		d.claimsNothing(t)
	},
	"a claim of before a restart is lost even when the task is claimed no more": func(t *testing.T, d *database) {
		if !d.engine.single {
			t.Skip("another process may still be at work")
		}
		d.put(t, task("run:R-1", time.Now()))
		old := d.claims(t)
		d.restart(t)
		wantErr(t, d.Append(t.Context(), approval.Effects{Finish: &old}), approval.ErrLost)
		again := d.claimsKey(t, "run:R-1")
		if again.Attempt != 2 || again.Token == old.Token {
			t.Errorf("attempt %d with token %d, after token %d", again.Attempt, again.Token, old.Token)
		}
	},
	"a task that was taken away and added anew does not know the old claim": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		old := d.claims(t)
		d.finishes(t, old)
		time.Sleep(time.Second)
		must(d.Purge(t.Context(), time.Now()))
		d.put(t, task("run:R-1", time.Now()))
		d.claims(t)
		wantErr(t, d.Append(t.Context(), approval.Effects{Finish: &old}), approval.ErrLost)
	},
	"cancelling takes a waiting task away": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()), task("run:R-2", time.Now()))
		check(t, d.Append(t.Context(), approval.Effects{Cancel: []string{"run:R-1", "run:unheard-of"}}))
		d.claimsKey(t, "run:R-2")
		d.claimsNothing(t)
	},
	"cancelling leaves a running task alone, but not its running once more": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		c := d.claims(t)
		d.put(t, task("run:R-1", time.Now()))
		check(t, d.Append(t.Context(), approval.Effects{Cancel: []string{"run:R-1"}}))
		d.finishes(t, c)
		d.claimsNothing(t)
	},
	"cancelling and adding in one change adds": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now().Add(time.Second)))
		check(t, d.Append(t.Context(), approval.Effects{
			Cancel: []string{"run:R-1"}, Tasks: []approval.Task{task("run:R-1", time.Now().Add(time.Hour))},
		}))
		time.Sleep(time.Minute)
		d.claimsNothing(t)
		time.Sleep(time.Hour)
		d.claimsKey(t, "run:R-1")
	},
	"finishing and adding the same task in one change runs it once more": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now()))
		c := d.claims(t)
		check(t, d.Append(t.Context(), approval.Effects{Finish: &c, Tasks: []approval.Task{task("card:R-1", time.Now())}}))
		if c = d.claims(t); c.Attempt != 1 {
			t.Errorf("attempt %d, want 1", c.Attempt)
		}
	},
	"a task without a key or a kind is an error": func(t *testing.T, d *database) {
		for _, bad := range []approval.Task{{Key: "x"}, {Kind: "x"}} {
			if d.Append(t.Context(), approval.Effects{Tasks: []approval.Task{bad}}) == nil {
				t.Errorf("%+v was stored", bad)
			}
		}
	},
	"a Slack envelope that comes twice is one task, also after it is done and after a restart": func(t *testing.T, d *database) {
		envelope := approval.Effects{Tasks: []approval.Task{{
			Key: "slack:E-1", Kind: "slack", Body: json.RawMessage(`{"response":"first"}`), RunAt: time.Now(), Once: true,
		}}}
		again := approval.Effects{Tasks: []approval.Task{envelope.Tasks[0]}}
		again.Tasks[0].Body = json.RawMessage(`{"response":"second"}`)
		added := func(e approval.Effects, want ...string) {
			t.Helper()
			same(t, "added tasks", must(d.AppendNew(t.Context(), e)), want)
		}
		added(envelope, "slack:E-1")
		added(again) // while it waits
		c := d.claims(t)
		if string(c.Body) != `{"response":"first"}` || !c.Once {
			t.Errorf("claimed %+v", c)
		}
		added(again) // while it runs
		d.finishes(t, c)
		added(again) // when it is done
		d.restart(t)
		added(again)
		d.claimsNothing(t)
	},
	"a Slack envelope that was cancelled stays known": func(t *testing.T, d *database) {
		e := approval.Effects{Tasks: []approval.Task{{Key: "slack:E-1", Kind: "slack", Once: true}}}
		check(t, d.Append(t.Context(), e))
		check(t, d.Append(t.Context(), approval.Effects{Cancel: []string{"slack:E-1"}}))
		same(t, "added tasks", must(d.AppendNew(t.Context(), e)), []string{})
		d.claimsNothing(t)
	},
	"the body of a task is gone from the table when it is done": func(t *testing.T, d *database) {
		body := func() (body string) {
			check(t, d.engine.raw(t, d.address).QueryRowContext(t.Context(), `SELECT body FROM task WHERE key = 'slack:E-1'`).Scan(&body))
			return body
		}
		d.put(t, approval.Task{Key: "slack:E-1", Kind: "slack", Body: json.RawMessage(`{"x":1}`), Once: true})
		c := d.claims(t)
		if got := body(); got != `{"x":1}` {
			t.Errorf("the body of the running task is %q", got)
		}
		d.finishes(t, c)
		if got := body(); got != "" {
			t.Errorf("the body of the task that is done is %q", got)
		}
	},
}

// queueTests are about when a task may be claimed.
var queueTests = map[string]func(*testing.T, *database){
	"a task comes out as it went in": func(t *testing.T, d *database) {
		want := approval.Task{
			Key: "run:R-1", Kind: "run", Request: "R-1", Lane: "tenant:prod",
			Body: json.RawMessage(`{"a":"<b>"}`), RunAt: time.Now().UTC(), Once: true,
		}
		d.put(t, want)
		c := d.claims(t)
		same(t, "task", c.Task, want)
		if c.Attempt != 1 || c.Token == 0 {
			t.Errorf("attempt %d, token %d", c.Attempt, c.Token)
		}
	},
	"tasks come out in the order in which they fell due, then in that in which they were added": func(t *testing.T, d *database) {
		now := time.Now()
		d.put(t, task("run:z", now), task("run:late", now.Add(time.Second)), task("run:a", now), task("run:early", now.Add(-time.Second)))
		time.Sleep(time.Minute)
		for _, want := range []string{"run:early", "run:z", "run:a", "run:late"} {
			d.claimsKey(t, want)
		}
		d.claimsNothing(t)
	},
	"a task is due at its time and not a millisecond before": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now().Add(time.Hour)))
		time.Sleep(time.Hour - time.Millisecond)
		d.claimsNothing(t)
		time.Sleep(time.Millisecond)
		d.claims(t)
	},
	"a task without a time is due at once": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Time{}))
		d.claims(t)
	},
	"only tasks of the kinds that were asked for come out": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now()))
		for _, other := range [][]string{nil, {}, {"run"}, {"car"}, {"%"}} {
			if _, ok, err := d.Claim(t.Context(), other, lease); ok || err != nil {
				t.Errorf("kinds %q: %v, %v", other, ok, err)
			}
			if _, ok, err := d.NextDue(t.Context(), other); ok || err != nil {
				t.Errorf("next of kinds %q: %v, %v", other, ok, err)
			}
		}
		d.claims(t)
	},
	"more kinds at once than there are places for are an error": func(t *testing.T, d *database) {
		many := make([]string, 13)
		if _, _, err := d.Claim(t.Context(), many, lease); err == nil {
			t.Error("claim: no error")
		}
		if _, _, err := d.NextDue(t.Context(), many); err == nil {
			t.Error("next due: no error")
		}
		d.put(t, task("card:R-1", time.Now()))
		many = append(many[:11], "card")
		if _, ok, err := d.Claim(t.Context(), many, lease); !ok || err != nil {
			t.Errorf("the last of twelve kinds: %v, %v", ok, err)
		}
	},
	"a task with Once leaves whatever has its key as it is": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now().Add(time.Hour)))
		same(t, "added tasks", must(d.AppendNew(t.Context(), approval.Effects{Tasks: []approval.Task{
			{Key: "card:R-1", Kind: "card", Once: true, RunAt: time.Now()},
		}})), []string{})
		d.claimsNothing(t)
		time.Sleep(time.Hour)
		if c := d.claims(t); c.Once {
			t.Error("the task became another one")
		}
	},
	"a lease of nothing is an error": func(t *testing.T, d *database) {
		if _, _, err := d.Claim(t.Context(), kinds, 0); err == nil {
			t.Error("it was given")
		}
	},
	"nobody else gets a claimed task until its lease is over": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		first := d.claims(t)
		time.Sleep(lease - time.Millisecond)
		d.claimsNothing(t)
		time.Sleep(time.Millisecond)
		second := d.claims(t)
		if second.Attempt != 2 || second.Token == first.Token {
			t.Errorf("attempt %d with token %d, after token %d", second.Attempt, second.Token, first.Token)
		}
	},
	"a lease can be made longer again and again, but not once it is over": func(t *testing.T, d *database) {
		d.put(t, task("run:R-1", time.Now()))
		c := d.claims(t)
		for range 5 {
			time.Sleep(lease - time.Millisecond)
			check(t, d.Renew(t.Context(), c, lease))
		}
		d.claimsNothing(t)
		time.Sleep(lease)
		wantErr(t, d.Renew(t.Context(), c, lease), approval.ErrLost)
		d.claims(t)
		wantErr(t, d.Renew(t.Context(), c, lease), approval.ErrLost)
	},
	"a task that was put back is due when it was put back to, and counts its attempts": func(t *testing.T, d *database) {
		d.put(t, approval.Task{Key: "run:R-1", Kind: "run", Body: json.RawMessage(`1`)})
		c := d.claims(t)
		check(t, d.Retry(t.Context(), c, time.Now().Add(time.Minute), "made up\x00"))
		wantErr(t, d.Retry(t.Context(), c, time.Now(), ""), approval.ErrLost)
		time.Sleep(time.Minute - time.Millisecond)
		d.claimsNothing(t)
		time.Sleep(time.Millisecond)
		again := d.claims(t)
		if again.Attempt != 2 || string(again.Body) != `1` {
			t.Errorf("attempt %d with body %s", again.Attempt, again.Body)
		}
	},
	"adding a task that waits moves it forward and never back": func(t *testing.T, d *database) {
		now := time.Now()
		d.put(t, task("card:R-1", now.Add(time.Hour)))
		d.put(t, task("card:R-1", now.Add(time.Minute)))
		d.put(t, task("card:R-1", now.Add(2*time.Hour)))
		time.Sleep(time.Minute)
		d.finishes(t, d.claims(t))
		time.Sleep(24 * time.Hour)
		d.claimsNothing(t)
	},
	"adding a task that is done brings it back, for its new time and with its new body": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now()))
		d.finishes(t, d.claims(t))
		d.put(t, approval.Task{Key: "card:R-1", Kind: "run", Request: "R-1", Lane: "l", Body: json.RawMessage(`2`), RunAt: time.Now().Add(time.Hour)})
		d.claimsNothing(t)
		time.Sleep(time.Hour)
		if c := d.claims(t); c.Attempt != 1 || string(c.Body) != `2` || c.Kind != "run" || c.Lane != "l" || c.Request != "R-1" {
			t.Errorf("claimed %+v", c)
		}
	},
	"adding a task that runs makes it run once more, and only once": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now()))
		c := d.claims(t)
		d.put(t, approval.Task{Key: "card:R-1", Kind: "card", Body: json.RawMessage(`2`)})
		d.put(t, approval.Task{Key: "card:R-1", Kind: "card", Body: json.RawMessage(`3`)})
		d.claimsNothing(t)
		d.finishes(t, c)
		if c = d.claims(t); c.Attempt != 1 || string(c.Body) != `3` {
			t.Errorf("attempt %d with body %s", c.Attempt, c.Body)
		}
		d.finishes(t, c)
		d.claimsNothing(t)
	},
	"adding a running task for later makes it run once more at that time": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now()))
		c := d.claims(t)
		d.put(t, task("card:R-1", time.Now().Add(2*time.Hour)))
		d.put(t, task("card:R-1", time.Now().Add(time.Hour)))
		// A try in between does not use it up.
		check(t, d.Retry(t.Context(), c, time.Now().Add(time.Second), "made up"))
		time.Sleep(time.Second)
		d.finishes(t, d.claims(t))
		time.Sleep(time.Hour - 2*time.Second)
		d.claimsNothing(t)
		time.Sleep(time.Second)
		d.finishes(t, d.claims(t))
		time.Sleep(24 * time.Hour)
		d.claimsNothing(t)
	},
	"running once more does not shorten a wait that has its reason": func(t *testing.T, d *database) {
		d.put(t, task("card:R-1", time.Now()))
		c := d.claims(t)
		d.put(t, task("card:R-1", time.Now()))
		check(t, d.Retry(t.Context(), c, time.Now().Add(time.Minute), "told to wait a minute"))
		d.claimsNothing(t)
		time.Sleep(time.Minute)
		// This run is the one that was asked for.
		d.finishes(t, d.claims(t))
		d.claimsNothing(t)
	},
	"the next due time is the earliest at which something can be claimed": func(t *testing.T, d *database) {
		next := func(want time.Time) {
			t.Helper()
			at, ok, err := d.NextDue(t.Context(), kinds)
			check(t, err)
			if ok == want.IsZero() || !at.Equal(want) {
				t.Errorf("next due at %v (%v), want %v", at, ok, want)
			}
		}
		now := time.Now()
		next(time.Time{})
		d.put(t, task("run:R-1", now.Add(time.Hour)), task("run:R-2", now.Add(2*time.Hour)), task("other:R-3", now))
		next(now.Add(time.Hour))
		time.Sleep(90 * time.Minute)
		next(now.Add(time.Hour)) // it is past
		c := d.claims(t)
		next(time.Now().Add(lease)) // the lease may end unused
		d.finishes(t, c)
		next(now.Add(2 * time.Hour))
	},
	"whoever waits is told of what was added, put back or runs once more, and of nothing else": func(t *testing.T, d *database) {
		told := func(what string, want bool, do func()) {
			t.Helper()
			c := d.Added()
			do()
			if isClosed(c) != want {
				t.Errorf("%s: told %v, want %v", what, !want, want)
			}
		}
		var c approval.Claim
		told("add", true, func() { d.put(t, task("run:R-1", time.Now())) })
		told("claim", false, func() { c = d.claims(t) })
		told("renew", false, func() { check(t, d.Renew(t.Context(), c, lease)) })
		told("put back", true, func() { check(t, d.Retry(t.Context(), c, time.Now(), "")) })
		c = d.claims(t)
		told("finish", false, func() { d.finishes(t, c) })
		d.put(t, task("run:R-1", time.Now()))
		c = d.claims(t)
		d.put(t, task("run:R-1", time.Now()))
		told("finish of one that runs once more", true, func() { d.finishes(t, c) })
		d.put(t, approval.Task{Key: "slack:E-1", Kind: "slack", Once: true})
		told("an envelope that was known", false, func() { d.put(t, approval.Task{Key: "slack:E-1", Kind: "slack", Once: true}) })
		told("records only", false, func() { d.writes(t, entry("x")) })
		told("a change that fails", false, func() {
			wantErr(t, d.Append(t.Context(), approval.Effects{Finish: &c, Tasks: []approval.Task{task("run:R-9", time.Now())}}), approval.ErrLost)
		})
	},
}

// laneTests are about tasks that must not run side by side.
var laneTests = map[string]func(*testing.T, *database){
	"of one lane one task runs at a time, and the next one is told when it ends": func(t *testing.T, d *database) {
		now := time.Now()
		d.put(t, inLane("run:R-1", "tenant:prod", now), inLane("run:R-2", "tenant:prod", now), inLane("run:R-3", "tenant:staging", now), task("run:R-4", now), task("run:R-5", now))
		first := d.claimsKey(t, "run:R-1")
		// Other lanes, and tasks without a lane, go on beside it.
		d.claimsKey(t, "run:R-3")
		d.claimsKey(t, "run:R-4")
		d.claimsKey(t, "run:R-5")
		d.claimsNothing(t)
		told := d.Added()
		d.finishes(t, first)
		if !isClosed(told) {
			t.Error("nobody was told that the lane is free")
		}
		d.claimsKey(t, "run:R-2")
	},
	"a lane is free when its task was put back": func(t *testing.T, d *database) {
		d.put(t, inLane("run:R-1", "l", time.Now()), inLane("run:R-2", "l", time.Now()))
		first := d.claims(t)
		check(t, d.Retry(t.Context(), first, time.Now().Add(time.Second), ""))
		second := d.claimsKey(t, "run:R-2")
		time.Sleep(time.Second)
		d.claimsNothing(t)
		d.finishes(t, second)
		d.claimsKey(t, "run:R-1")
	},
	"a lane is free when the lease of its task is over, and the one that has waited longest gets it": func(t *testing.T, d *database) {
		d.put(t, inLane("run:R-1", "l", time.Now()), inLane("run:R-2", "l", time.Now()))
		lost := d.claims(t)
		time.Sleep(lease - time.Millisecond)
		d.claimsNothing(t)
		time.Sleep(time.Millisecond)
		d.claimsKey(t, "run:R-1")
		d.claimsNothing(t)
		wantErr(t, d.Renew(t.Context(), lost, lease), approval.ErrLost)
	},
	"a claim that was late does not come back into a lane that was given away": func(t *testing.T, d *database) {
		now := time.Now()
		d.put(t, inLane("run:R-1", "l", now))
		late := d.claims(t)
		d.put(t, inLane("run:R-2", "l", now.Add(-time.Second)))
		time.Sleep(lease)
		d.claimsKey(t, "run:R-2")
		wantErr(t, d.Renew(t.Context(), late, lease), approval.ErrLost)
		wantErr(t, d.Append(t.Context(), approval.Effects{Hold: &late}), approval.ErrLost)
		d.claimsNothing(t)
	},
	"a task in a busy lane is due when the lease ends that keeps it busy": func(t *testing.T, d *database) {
		start := time.Now()
		d.put(t, inLane("run:R-1", "l", start), inLane("run:R-2", "l", start), inLane("run:R-3", "l", start.Add(time.Hour)))
		c := d.claims(t)
		due := func(want time.Time) {
			t.Helper()
			at, ok, err := d.NextDue(t.Context(), kinds)
			check(t, err)
			if !ok || !at.Equal(want) {
				t.Errorf("next due at %v, want %v", at, want)
			}
		}
		due(start.Add(lease))
		time.Sleep(lease / 2)
		check(t, d.Renew(t.Context(), c, lease))
		due(start.Add(lease * 3 / 2))
		d.finishes(t, c)
		due(start)
		d.finishes(t, d.claims(t))
		due(start.Add(time.Hour))
	},
	"a lane that another kind of worker keeps busy counts too": func(t *testing.T, d *database) {
		start := time.Now()
		d.put(t, inLane("other:R-1", "l", start), inLane("run:R-2", "l", start))
		c, ok, err := d.Claim(t.Context(), []string{"other"}, lease)
		check(t, err)
		if !ok {
			t.Fatal("nothing was claimed")
		}
		d.claimsNothing(t)
		at, _, err := d.NextDue(t.Context(), kinds)
		check(t, err)
		if !at.Equal(start.Add(lease)) {
			t.Errorf("next due at %v, want the end of the lease", at)
		}
		told := d.Added()
		d.finishes(t, c)
		if !isClosed(told) {
			t.Error("nobody was told that the lane is free")
		}
		d.claimsKey(t, "run:R-2")
	},
	"a worker that follows the next due time and what it is told never spins": func(t *testing.T, d *database) {
		d.put(t, inLane("run:R-1", "l", time.Now()), inLane("run:R-2", "l", time.Now()), inLane("run:R-3", "l", time.Now().Add(time.Hour)))
		long := d.claims(t)
		looks, ended := 0, make(chan struct{})
		go func() {
			defer close(ended)
			for done := 0; done < 2; looks++ {
				added := d.Added()
				c, ok, err := d.Claim(t.Context(), kinds, lease)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
					if err := d.Append(t.Context(), approval.Effects{Finish: &c}); err != nil {
						t.Error(err)
						return
					}
					continue
				}
				var timer <-chan time.Time
				if at, ok, err := d.NextDue(t.Context(), kinds); err != nil {
					t.Error(err)
					return
				} else if ok {
					timer = time.After(time.Until(at))
				}
				select {
				case <-added:
				case <-timer:
				}
			}
		}()
		const beats = 60
		for range beats {
			time.Sleep(lease / 2)
			check(t, d.Renew(t.Context(), long, lease))
		}
		d.finishes(t, long)
		<-ended
		if looks > beats+10 {
			t.Errorf("the worker looked %d times in %d half leases", looks, beats)
		}
	},
}

func inLane(key, lane string, at time.Time) approval.Task {
	t := task(key, at)
	t.Lane = lane
	return t
}

var purgeTests = map[string]func(*testing.T, *database){
	"purging removes old ended requests with all that belongs to them, and old done tasks": func(t *testing.T, d *database) {
		end := func(id string, s approval.State) {
			t.Helper()
			d.create(t, id, approval.Effects{Records: []audit.Entry{{Request: id, Event: audit.EventPlanned}}})
			_, err := d.ChangeRequest(t.Context(), id, func(r *approval.Request) (approval.Effects, error) {
				r.State = s
				if s.Ended() {
					r.EndedAt = time.Now()
				}
				r.Decisions = []approval.Decision{{Kind: approval.Approve}}
				r.Steps = []approval.StepRecord{{State: approval.StepDone}}
				r.Cards = []approval.Card{{Channel: "C1"}}
				return approval.Effects{}, nil
			})
			check(t, err)
		}
		end("R-old", approval.Succeeded)
		end("R-owed", approval.Denied)
		end("R-unknown", approval.Unknown)
		end("R-waiting", approval.Waiting)
		envelope := approval.Task{Key: "slack:E-1", Kind: "slack", Once: true}
		d.put(t, envelope)
		d.finishes(t, d.claims(t))
		time.Sleep(time.Hour)
		cut := time.Now()
		d.put(t, approval.Task{Key: "card:R-owed", Kind: "card", Request: "R-owed", RunAt: cut.Add(time.Hour)})
		end("R-new", approval.Failed)
		envelope.Key = "slack:E-2"
		d.put(t, envelope)
		d.finishes(t, d.claims(t))

		same(t, "purged", must(d.Purge(t.Context(), cut)), store.Purged{Requests: 1, Tasks: 1})
		same(t, "purged again", must(d.Purge(t.Context(), cut)), store.Purged{})
		_, err := d.Request(t.Context(), "R-old")
		wantErr(t, err, approval.ErrNoRequest)
		for _, id := range []string{"R-owed", "R-unknown", "R-waiting", "R-new"} {
			must(d.Request(t.Context(), id))
		}
		db := d.engine.raw(t, d.address)
		for _, table := range []string{"request_body", "decision", "step", "card"} {
			var n int
			column := "request"
			check(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table+` WHERE `+column+` = 'R-old'`).Scan(&n))
			if n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if n := d.verified(t); n != 5 {
			t.Errorf("%d audit records, want all 5", n)
		}
		// An envelope that is still known, and one that was forgotten.
		same(t, "added", must(d.AppendNew(t.Context(), approval.Effects{Tasks: []approval.Task{envelope}})), []string{})
		envelope.Key = "slack:E-1"
		same(t, "added", must(d.AppendNew(t.Context(), approval.Effects{Tasks: []approval.Task{envelope}})), []string{"slack:E-1"})
	},
	"purging goes on until nothing is left to remove": func(t *testing.T, d *database) {
		var tasks []approval.Task
		for i := range 450 {
			tasks = append(tasks, approval.Task{Key: "slack:" + string(rune('A'+i%26)) + string(rune('a'+i/26)), Kind: "slack", Once: true})
		}
		var keys []string
		for _, t := range tasks {
			keys = append(keys, t.Key)
		}
		check(t, d.Append(t.Context(), approval.Effects{Tasks: tasks}))
		check(t, d.Append(t.Context(), approval.Effects{Cancel: keys}))
		time.Sleep(time.Second)
		same(t, "purged", must(d.Purge(t.Context(), time.Now())), store.Purged{Tasks: 450})
	},
}
