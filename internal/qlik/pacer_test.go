package qlik

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// most gives the largest number of times within any minute.
func most(times []time.Time) int {
	best, from := 0, 0
	for to := range times {
		for times[to].Sub(times[from]) >= time.Minute {
			from++
		}
		best = max(best, to-from+1)
	}
	return best
}

// flood calls the pacer from many goroutines at once and gives the times at
// which calls were let through during ten minutes.
func flood(t *testing.T, p *pacer, op Operation, bulk bool) []time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var times []time.Time
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for p.wait(ctx, op, bulk) == nil {
				mu.Lock()
				times = append(times, time.Now())
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return times
}

func TestNoMinuteExceedsThePublishedLimit(t *testing.T) {
	t.Parallel()
	for _, op := range []Operation{opUsersGet, opUsersPatch} {
		t.Run(op.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				times := flood(t, newPacer(), op, false)
				limit := op.Tier.PerMinute
				if n := most(times); n > limit || n < limit*9/10 {
					t.Errorf("%d calls in a minute; the limit is %d", n, limit)
				}
			})
		})
		t.Run(op.Name+"/bulk leaves a fifth", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				times := flood(t, newPacer(), op, true)
				limit := op.Tier.PerMinute
				if n := most(times); n > limit*4/5 || n < limit*7/10 {
					t.Errorf("%d bulk calls in a minute; the limit is %d", n, limit)
				}
			})
		})
	}
}

func TestAPersonDoesNotWaitBehindBulkWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 50 {
			go func() {
				for p.wait(ctx, opUsersPatch, true) == nil {
				}
			}()
		}
		time.Sleep(3 * time.Minute)
		for range 20 { // one each four seconds: fifteen a minute
			start := time.Now()
			if err := p.wait(t.Context(), opUsersPatch, false); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("waited %v", d)
			}
			time.Sleep(4 * time.Second)
		}
	})
}

func TestTiersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		p.pause(opUsersPatch, time.Hour)
		start := time.Now()
		for _, op := range []Operation{opUsersGet, {Name: "users.filter", Tier: Tier{Name: "special", PerMinute: 200}}} {
			if err := p.wait(t.Context(), op, false); err != nil || time.Since(start) != 0 {
				t.Errorf("%s: %v after %v", op.Name, err, time.Since(start))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, op := range []Operation{opUsersCreate, opUsersInvite, opToken} { // same tier
			var busy *busyError
			if err := p.wait(ctx, op, false); !errors.As(err, &busy) || busy.after != time.Hour || time.Since(start) != 0 {
				t.Errorf("%s: %v after %v", op.Name, err, time.Since(start))
			}
		}
	})
}

func TestSpecialOperationsHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	a := Operation{Name: "users.filter", Tier: Tier{Name: "special", PerMinute: 200}}
	b := Operation{Name: "groups.filter", Tier: Tier{Name: "special", PerMinute: 200}}
	if a.lane() == b.lane() || a.lane() == opUsersList.lane() {
		t.Error("special operations share a lane")
	}
	if opUsersList.lane() != opRolesList.lane() {
		t.Error("operations of a tier do not share their lane")
	}
}

func TestAWriteAfterA429WaitsOrIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, inOrder(reply(429, `{"errors":[{"code":"HTTP-429","title":"API rate limit reached.","detail":"You need to wait 13 seconds until limit is lifted."}]}`, "Retry-After", "13"), reply(204, "")))
		write := func() error { return f.client.Users.SetStatus(t.Context(), "u1", StatusActive) }
		err := write()
		exactlyOne(t, err, OutcomeNotSent)
		var e *Error
		if !errors.As(err, &e) || e.RetryAfter != 13*time.Second || e.Code != "HTTP-429" {
			t.Errorf("%#v", err)
		}
		start := time.Now()
		if err := write(); err != nil || time.Since(start) != 13*time.Second {
			t.Errorf("the next write: %v after %v", err, time.Since(start))
		}
		f.setAnswer(reply(429, "", "Retry-After", "600"))
		exactlyOne(t, write(), OutcomeNotSent)
		n := len(f.got())
		start = time.Now()
		err = write()
		exactlyOne(t, err, OutcomeNotSent)
		if !errors.Is(err, ErrRateLimited) || !errors.As(err, &e) || e.RetryAfter != 10*time.Minute {
			t.Errorf("while the tier is shut: %v", err)
		}
		if len(f.got()) != n || time.Since(start) != 0 {
			t.Error("something was sent or waited for")
		}
	})
}

func TestABulkWriteWaitsAsLongAsItsCallerDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, inOrder(reply(429, "", "Retry-After", "60"), reply(204, "")))
		bulk := f.client.Bulk()
		exactlyOne(t, bulk.Users.SetStatus(t.Context(), "u1", StatusActive), OutcomeNotSent)
		start := time.Now()
		if err := bulk.Users.SetStatus(t.Context(), "u1", StatusActive); err != nil || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		f.setAnswer(slowly(time.Hour, drop))
		start = time.Now()
		exactlyOne(t, bulk.Users.SetStatus(t.Context(), "u1", StatusActive), OutcomeUnknown)
		if d := time.Since(start); d != defaultTimeout {
			t.Errorf("the exchange itself took %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		f.setAnswer(reply(429, "", "Retry-After", "60"))
		exactlyOne(t, bulk.Users.SetStatus(ctx, "u1", StatusActive), OutcomeNotSent)
		time.AfterFunc(time.Second, cancel)
		err := bulk.Users.SetStatus(ctx, "u1", StatusActive)
		exactlyOne(t, err, OutcomeNotSent)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestReadsAreTriedAgain(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		answer  http.HandlerFunc
		ok      bool
		tries   int
		atLeast time.Duration
		atMost  time.Duration
	}{
		{"after a 500", inOrder(reply(500, ""), me), true, 2, 0, time.Second},
		{"after HTML from a gateway", inOrder(html(502), html(503), me), true, 3, 0, 2 * time.Second},
		{"after an answer cut in the middle", inOrder(truncated(200, `{"id":`), me), true, 2, 0, time.Second},
		{"after 429 as Qlik wants", inOrder(reply(429, "", "Retry-After", "7"), me), true, 2, 7 * time.Second, 8 * time.Second},
		{"after 503 as Qlik wants", inOrder(reply(503, "", "Retry-After", "3"), me), true, 2, 3 * time.Second, 4 * time.Second},
		{"after 429 without a word, a second", inOrder(reply(429, ""), me), true, 2, time.Second, 2 * time.Second},
		{"after 503 with a date", inOrder(reply(503, "", "Retry-After", "Sat, 01 Jan 2000 00:00:09 GMT"), me), true, 2, 8 * time.Second, 9 * time.Second},
		{"but not for ever", reply(500, ""), false, 3, 0, 2 * time.Second},
		{"but not past the deadline", reply(429, "", "Retry-After", "21"), false, 1, 0, 0},
		{"but not after 400", reply(400, ""), false, 1, 0, 0},
		{"but not after 404", reply(404, ""), false, 1, 0, 0},
		{"but not after 501", reply(501, ""), false, 1, 0, 0},
		{"but not after nonsense", html(200), false, 1, 0, 0},
		{"but not when the time is up", slowly(30*time.Second, me), false, 1, defaultTimeout, defaultTimeout},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, c.answer)
				start := time.Now()
				err := read(t.Context(), f.client)
				if (err == nil) != c.ok {
					t.Errorf("error %v", err)
				}
				if n := len(f.got()); n != c.tries {
					t.Errorf("tried %d times, want %d", n, c.tries)
				}
				if d := time.Since(start); d < c.atLeast || d > c.atMost {
					t.Errorf("took %v", d)
				}
				last := f.lastCall()
				if last.Operation != "tenants.me" || last.Attempts != c.tries || last.Write || last.Latency != time.Since(start) || !errors.Is(last.Err, err) {
					t.Errorf("observed %+v", last)
				}
			})
		})
	}
}

func TestACancelledReadIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, slowly(10*time.Second, me))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := read(ctx, f.client)
		if !errors.Is(err, context.Canceled) || len(f.got()) != 1 {
			t.Errorf("%v, %d requests", err, len(f.got()))
		}
	})
}

func TestAPauseThatBeginsWhileWaitingForATurnIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		for start := time.Now(); time.Since(start) == 0; { // until the burst is used up
			if err := p.wait(t.Context(), opUsersPatch, false); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		time.AfterFunc(100*time.Millisecond, func() { p.pause(opUsersPatch, 5*time.Second) })
		if err := p.wait(t.Context(), opUsersPatch, false); err != nil || time.Since(start) != 5100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
