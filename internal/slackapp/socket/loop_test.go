package socket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheWantedConnectionsComeUpAndReadyCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		gate := make(chan struct{})
		s.script = func(c *fakeConn) { <-gate; c.hello(0) }
		r := runLoop(t, s, nil)
		synctest.Wait()
		select {
		case <-r.Ready():
			t.Fatal("ready before any hello")
		default:
		}
		if got := r.Status(); got.Up != 0 || got.Connecting != 2 {
			t.Errorf("before hello: up %d, connecting %d, want 0 and 2", got.Up, got.Connecting)
		}
		close(gate)
		<-r.Ready()
		synctest.Wait()
		got := r.Status()
		if got.Up != 2 || got.Connecting != 0 || got.NumConnections != 2 || got.Ghosts != 0 || got.LastHello.IsZero() {
			t.Errorf("after hello: %+v", got)
		}
		if err := r.end(); err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestAReplacementIsUpBeforeTheOldConnectionIsClosed(t *testing.T) {
	for _, reason := range []string{ReasonWarning, ReasonRefreshRequested, "some_new_reason"} {
		t.Run(reason, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newFakeSlack(t)
				s.open = func(ctx context.Context, n int) (string, error) {
					if n > 1 && !sleep(ctx, 5*time.Second) { // Slack is slow with the replacement
						return "", ctx.Err()
					}
					return s.address(), nil
				}
				r := runLoop(t, s, func(c *Config) { c.Connections = 1 })
				r.up(1)
				time.Sleep(time.Hour)
				old := s.all()[0]
				old.disconnect(reason)
				old.disconnect(reason) // commonly said twice
				time.Sleep(4 * time.Second)
				if got := r.Status(); got.Up != 1 || got.Leaving != 1 {
					t.Fatalf("before the replacement is up: up %d, leaving %d, want 1 and 1", got.Up, got.Leaving)
				}
				old.command("E-late")
				time.Sleep(1500 * time.Millisecond)
				if n := len(s.all()); n != 2 {
					t.Fatalf("%d connections were made, want 2", n)
				}
				if old.gone() {
					t.Fatal("the old connection is closed right after the hello of the new one")
				}
				old.command("E-later")
				time.Sleep(20 * time.Second)
				if !old.gone() || old.closeCode() != 1000 {
					t.Errorf("the old connection: gone %t, close code %d, want a close frame 1000", old.gone(), old.closeCode())
				}
				if diff := cmp.Diff([]string{"E-late", "E-later"}, old.acks()); diff != "" {
					t.Errorf("acknowledged on the old connection (-want +got):\n%s", diff)
				}
				if got := r.Status(); got.Up != 1 || got.Leaving != 0 {
					t.Errorf("afterwards: up %d, leaving %d, want 1 and 0", got.Up, got.Leaving)
				}
				key := reason
				if key == "some_new_reason" {
					key = ReasonOther
				}
				if diff := cmp.Diff(map[string]uint64{key: 2}, r.Status().Counts.Disconnects); diff != "" {
					t.Errorf("disconnects (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAnOldConnectionWaitsForItsHandlersButNotForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		free := make(chan struct{})
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.Handle = func(ctx context.Context, e *Envelope) {
				switch e.ID {
				case "E-slow":
					time.Sleep(20 * time.Second)
				case "E-middling":
					time.Sleep(5 * time.Second)
				case "E-stuck":
					<-free
				}
				_ = e.Ack(ctx, nil)
			}
		})
		r.up(1)
		time.Sleep(time.Hour)
		first := s.live()[0]
		first.command("E-slow")
		first.disconnect(ReasonRefreshRequested)
		time.Sleep(12 * time.Second)
		first.command("E-middling") // ends when all has been quiet for long, except for E-slow
		time.Sleep(6 * time.Second)
		first.command("E-quick")
		time.Sleep(7 * time.Second)
		if diff := cmp.Diff([]string{"E-middling", "E-quick", "E-slow"}, first.acks()); diff != "" {
			t.Errorf("the handlers could not acknowledge (-want +got):\n%s", diff)
		}
		if !first.gone() {
			t.Error("the old connection is open although its handler has ended")
		}
		time.Sleep(time.Hour)
		second := s.live()[0]
		second.command("E-stuck")
		second.disconnect(ReasonRefreshRequested)
		time.Sleep(29 * time.Second)
		if second.gone() {
			t.Error("the old connection was closed while its handler ran")
		}
		time.Sleep(3 * time.Second)
		if !second.gone() || second.closeCode() != 1000 {
			t.Error("the old connection is open after its time was up")
		}
		close(free)
		synctest.Wait()
		if got := r.Status().Counts; got.AcksFailed != 1 || len(s.live()[0].acks()) != 0 {
			t.Errorf("failed acknowledgements %d, want 1; on the new connection: %q, want none", got.AcksFailed, s.live()[0].acks())
		}
	})
}

func TestAReplacedConnectionIsLeftForSlackToClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, nil)
		r.up(2)
		time.Sleep(time.Hour)
		old := s.live()[0]
		old.disconnect(ReasonWarning)
		for i := range 5 { // in step with Timing.Quiet, so that closing by ourselves would cross one
			time.Sleep(2 * time.Second)
			old.command(fmt.Sprintf("E%d", i))
		}
		synctest.Wait()
		old.frame(opClose, []byte{0x03, 0xe8})
		synctest.Wait()
		if diff := cmp.Diff([]string{"E0", "E1", "E2", "E3", "E4"}, old.acks()); diff != "" {
			t.Errorf("acknowledged on the old connection (-want +got):\n%s", diff)
		}
		if got := r.Status(); got.Up != 2 || got.Counts.Ends[EndClosedBySlack] != 1 || old.closeCode() != 1000 {
			t.Errorf("up %d, ends %v, answered with close code %d", got.Up, got.Counts.Ends, old.closeCode())
		}
	})
}

func TestWhileTheReplacementFailsTheOldConnectionServesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		s.open = func(_ context.Context, n int) (string, error) {
			if n > 1 && n < 8 {
				return "", errors.New("no route to host")
			}
			return s.address(), nil
		}
		r := runLoop(t, s, func(c *Config) { c.Connections = 1 })
		r.up(1)
		time.Sleep(time.Hour)
		old := s.live()[0]
		old.disconnect(ReasonRefreshRequested)
		time.Sleep(time.Minute)
		old.command("E1")
		synctest.Wait()
		if diff := cmp.Diff([]string{"E1"}, old.acks()); diff != "" {
			t.Errorf("acknowledged on the old connection (-want +got):\n%s", diff)
		}
		if p := r.Status().Problem; p == "" {
			t.Error("the status tells of no problem")
		}
		time.Sleep(10 * time.Minute)
		if live := s.live(); len(live) != 1 || live[0] == old {
			t.Errorf("%d connections are open, want the replacement alone", len(live))
		}
		if p := r.Status().Problem; p != "" {
			t.Errorf("the problem is over, but the status says %q", p)
		}
	})
}

func TestNoMoreThanTenConnectionsAreOpenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, func(c *Config) { c.Connections = 10 })
		r.up(10)
		time.Sleep(time.Hour)
		for _, c := range s.live() {
			c.disconnect(ReasonRefreshRequested)
		}
		time.Sleep(time.Hour)
		if got := r.Status(); got.Up != 10 || got.Leaving != 0 || len(s.all()) != 20 {
			t.Errorf("up %d, leaving %d, made %d, want 10, 0 and 20", got.Up, got.Leaving, len(s.all()))
		}
		if s.most > MaxConnections {
			t.Errorf("%d connections were open at once", s.most)
		}
	})
}

func TestWhenSocketModeIsSwitchedOffTheLoopWaitsLongAndRecovers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, nil)
		r.up(2)
		time.Sleep(time.Hour)
		for _, c := range s.live() {
			c.disconnect(ReasonLinkDisabled)
			_ = c.nc.Close()
		}
		time.Sleep(5*time.Minute - time.Second)
		if n := len(s.openTimes()); n != 2 {
			t.Errorf("%d connections asked for within five minutes, want none but the first 2", n)
		}
		if p := r.Status().Problem; !strings.Contains(p, "switched off") {
			t.Errorf("the status says %q", p)
		}
		if n := r.logs.count("level=ERROR"); n != 1 {
			t.Errorf("%d errors logged, want 1", n)
		}
		time.Sleep(time.Minute)
		if got := r.Status(); got.Up != 2 || got.Problem != "" {
			t.Errorf("after it was switched on again: up %d, problem %q", got.Up, got.Problem)
		}
	})
}

func TestAConnectionTooManyIsNotReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, helloFirst := range []bool{true, false} {
			s := newFakeSlack(t)
			s.script = func(c *fakeConn) {
				if c.number != 2 || helloFirst {
					c.hello(0)
				}
				if c.number == 2 {
					c.disconnect(ReasonTooManyWebsockets)
				}
			}
			r := runLoop(t, s, nil)
			time.Sleep(29 * time.Second)
			if n := len(s.openTimes()); n != 2 {
				t.Errorf("hello first %t: %d connections asked for within half a minute, want 2", helloFirst, n)
			}
			if p := r.Status().Problem; !strings.Contains(p, "full number") {
				t.Errorf("hello first %t: the status says %q", helloFirst, p)
			}
			r.up(2)
			if c := s.all()[1]; c.closeCode() != 1000 {
				t.Errorf("hello first %t: the connection too many was left with close code %d, want 1000", helloFirst, c.closeCode())
			}
			if err := r.end(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAFatalErrorEndsRunAndClosesTheOtherConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		cause := errors.New("token_revoked")
		s.open = func(_ context.Context, n int) (string, error) {
			if n > 2 {
				return "", fmt.Errorf("call Slack: %w", &FatalError{Reason: "Slack revoked the app token. Make a new one.", Err: cause})
			}
			return s.address(), nil
		}
		r := runLoop(t, s, nil)
		r.up(2)
		time.Sleep(time.Hour)
		s.live()[0].disconnect(ReasonRefreshRequested)
		<-r.done
		var fatal *FatalError
		if !errors.As(r.err, &fatal) || fatal.Reason != "Slack revoked the app token. Make a new one." || !errors.Is(r.err, cause) {
			t.Errorf("Run returned %v", r.err)
		}
		for _, c := range s.all() {
			if c.closeCode() != 1000 {
				t.Errorf("connection %d: close code %d, want 1000", c.number, c.closeCode())
			}
		}
	})
}

// rateLimited is what a Web API client gives for a 429.
type rateLimited time.Duration

func (rateLimited) Error() string               { return "slack rate limit exceeded" }
func (r rateLimited) RetryAfter() time.Duration { return time.Duration(r) }

func TestARetryAfterHoldsForAllConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		start := time.Now()
		s.open = func(_ context.Context, n int) (string, error) {
			if n == 3 {
				return "", fmt.Errorf("open: %w", rateLimited(7*time.Minute))
			}
			return s.address(), nil
		}
		r := runLoop(t, s, func(c *Config) { c.Connections = 3 })
		time.Sleep(time.Minute)
		if n := len(s.openTimes()); n != 3 {
			t.Fatalf("%d calls, want 3", n)
		}
		_ = s.live()[0].nc.Close() // another slot wants to open, too
		time.Sleep(time.Hour)
		calls := s.openTimes()
		if wait := calls[3].Sub(calls[2]); wait < 7*time.Minute || wait > 9*time.Minute {
			t.Errorf("the call after Retry-After came %s later, want after 7 min", wait)
		}
		if got := r.Status().Up; got != 3 {
			t.Errorf("%d up, want 3 (since %s)", got, time.Since(start))
		}
	})
}

func TestInAStormAtMostAHandfulOfConnectionsAreAskedForInAMinute(t *testing.T) {
	storms := map[string]func(*fakeSlack){
		"dropped after hello":     func(s *fakeSlack) { s.script = func(c *fakeConn) { c.hello(0); _ = c.nc.Close() } },
		"dropped before hello":    func(s *fakeSlack) { s.script = func(c *fakeConn) { _ = c.nc.Close() } },
		"closed after hello":      func(s *fakeSlack) { s.script = func(c *fakeConn) { c.hello(0); c.frame(opClose, []byte{0x03, 0xe9}) } },
		"refreshed after hello":   func(s *fakeSlack) { s.script = func(c *fakeConn) { c.hello(0); c.disconnect(ReasonRefreshRequested) } },
		"warned instead of hello": func(s *fakeSlack) { s.script = func(c *fakeConn) { c.disconnect(ReasonWarning) } },
		"too many":                func(s *fakeSlack) { s.script = func(c *fakeConn) { c.hello(0); c.disconnect(ReasonTooManyWebsockets) } },
		"handshake refused":       func(s *fakeSlack) { s.status = http.StatusForbidden },
		"open fails": func(s *fakeSlack) {
			s.open = func(context.Context, int) (string, error) { return "", errors.New("internal_error") }
		},
		"open gives nonsense": func(s *fakeSlack) {
			s.open = func(context.Context, int) (string, error) { return "ws://a b/" + ticket + "%zz", nil }
		},
		"lives as long as it must": func(s *fakeSlack) {
			s.script = func(c *fakeConn) { c.hello(0); c.sleep(61 * time.Second); _ = c.nc.Close() }
		},
		"huge frame after hello": func(s *fakeSlack) {
			s.script = func(c *fakeConn) { c.hello(0); c.text(strings.Repeat("x", 1<<13)) }
		},
	}
	for name, storm := range storms {
		for _, connections := range []int{1, 2, 10} {
			t.Run(fmt.Sprintf("%s, %d connections", name, connections), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newFakeSlack(t)
					storm(s)
					r := runLoop(t, s, func(c *Config) { c.Connections, c.MaxFrame = connections, 1<<12 })
					time.Sleep(10 * time.Minute)
					_ = r.end()
					calls := s.openTimes()
					if len(calls) < 5 {
						t.Errorf("only %d calls in ten minutes: the loop gave up", len(calls))
					}
					for i := range calls {
						if j := i + 6; j < len(calls) && calls[j].Sub(calls[i]) <= time.Minute {
							t.Fatalf("seven calls within %s", calls[j].Sub(calls[i]))
						}
					}
				})
			})
		}
	}
}

func TestTheBackoffIsForgottenOnlyAfterAHealthySpell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		var life atomic.Int64
		s.script = func(c *fakeConn) {
			c.hello(0)
			c.sleep(time.Duration(life.Load()))
			_ = c.nc.Close()
		}
		life.Store(int64(30 * time.Second)) // up, but not for long
		r := runLoop(t, s, func(c *Config) { c.Connections = 1 })
		time.Sleep(20 * time.Minute)
		calls := s.openTimes()
		if gap := calls[len(calls)-1].Sub(calls[len(calls)-2]); gap < time.Minute {
			t.Errorf("after many short lives of 30 s the calls are %s apart, want a minute or more", gap)
		}
		life.Store(int64(2 * time.Minute))
		time.Sleep(20 * time.Minute)
		calls = s.openTimes()
		if gap := calls[len(calls)-1].Sub(calls[len(calls)-2]); gap > 2*time.Minute+2*time.Second {
			t.Errorf("after healthy lives of 2 min the calls are %s apart, want no wait to speak of", gap)
		}
		known := len(calls)
		life.Store(int64(30 * time.Second))
		time.Sleep(5 * time.Minute)
		_ = r.end()
		calls = s.openTimes()[known:]
		if gap := calls[1].Sub(calls[0]); gap > 32*time.Second {
			t.Errorf("after the first short life again the calls are %s apart, want a second more than 30 s", gap)
		}
	})
}

func TestAHalfOpenConnectionIsReplaced(t *testing.T) {
	t.Run("the peer swallows everything", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newFakeSlack(t)
			r := runLoop(t, s, nil)
			r.up(2)
			time.Sleep(time.Hour)
			c := s.live()[0]
			c.set(func() { c.deaf = true })
			time.Sleep(45 * time.Second)
			if got := r.Status(); got.Up != 2 || len(s.all()) != 3 || got.Counts.Ends[EndSilent] != 1 {
				t.Errorf("up %d, made %d, silent %d, want 2, 3 and 1", got.Up, len(s.all()), got.Counts.Ends[EndSilent])
			}
			if c.closeCode() != 1000 {
				t.Errorf("the silent connection was left with close code %d, want 1000 in case somebody listens", c.closeCode())
			}
		})
	})
	t.Run("the peer does not read", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newFakeSlack(t)
			r := runLoop(t, s, nil)
			r.up(2)
			time.Sleep(time.Hour)
			c := s.live()[0]
			stall := make(chan struct{})
			defer close(stall)
			c.set(func() { c.stall = stall }) // its reader stops at the next frame
			time.Sleep(45 * time.Second)
			if got := r.Status(); got.Up != 2 || got.Counts.Hellos != 3 {
				t.Errorf("up %d, hellos %d, want 2 and 3", got.Up, got.Counts.Hellos)
			}
		})
	})
}

func TestAServerThatStopsPingingIsReplacedThoughItAnswersPings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		s.script = func(c *fakeConn) {
			c.hello(0)
			for c.number != 1 || time.Since(c.opened) < time.Hour {
				if !c.sleep(25 * time.Second) {
					return
				}
				c.frame(opPing, nil)
			}
		}
		r := runLoop(t, s, nil)
		r.up(2)
		time.Sleep(time.Hour + 70*time.Second)
		if n := len(s.all()); n != 2 {
			t.Errorf("%d connections were made within three intervals of the last ping, want 2", n)
		}
		time.Sleep(50 * time.Second)
		if got := r.Status(); got.Up != 2 || got.Counts.Ends[EndServerQuiet] != 1 || !s.all()[0].gone() {
			t.Errorf("up %d, ends %v", got.Up, got.Counts.Ends)
		}
	})
}

func TestAQuietButLiveConnectionStays(t *testing.T) {
	t.Run("the server never pings", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newFakeSlack(t)
			r := runLoop(t, s, nil)
			r.up(2)
			time.Sleep(24 * time.Hour)
			if n := len(s.all()); n != 2 {
				t.Errorf("%d connections were made in a day, want 2", n)
			}
		})
	})
	t.Run("the server pings and answers no ping", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newFakeSlack(t)
			s.script = func(c *fakeConn) {
				c.set(func() { c.mute = true })
				c.hello(0)
				for c.sleep(12 * time.Second) {
					c.frame(opPing, []byte("Ping from applink-1"))
				}
			}
			r := runLoop(t, s, nil)
			r.up(2)
			time.Sleep(time.Hour)
			if n := len(s.all()); n != 2 {
				t.Errorf("%d connections were made in an hour, want 2", n)
			}
			c := s.all()[0]
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.pongs < 290 {
				t.Errorf("%d pings of Slack were answered, want 300", c.pongs)
			}
		})
	})
}

func TestASlowHelloAndASlowOpenAreGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		s.open = func(ctx context.Context, n int) (string, error) {
			if n == 1 {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return s.address(), nil
		}
		s.script = func(c *fakeConn) {
			if c.number > 1 {
				c.hello(0)
			}
		}
		r := runLoop(t, s, func(c *Config) { c.Connections = 1 })
		time.Sleep(2 * time.Minute)
		got := r.Status()
		if got.Up != 1 || got.Counts.Opens != 3 || got.Counts.OpenFailures != 2 || got.Counts.Ends[EndNoHello] != 1 {
			t.Errorf("%+v", got)
		}
		if c := s.all()[0]; c.closeCode() != 1000 {
			t.Errorf("the connection without hello was left with close code %d", c.closeCode())
		}
	})
}

func TestGhostsAreNoticedAndLoggedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		var ghosts atomic.Int64
		ghosts.Store(3)
		s.script = func(c *fakeConn) { c.hello(2 + int(ghosts.Load())) }
		r := runLoop(t, s, nil)
		r.up(2)
		if got := r.Status(); got.Ghosts != 3 || got.NumConnections != 5 || got.Counts.GhostHellos == 0 {
			t.Errorf("ghosts %d of %d, want 3 of 5", got.Ghosts, got.NumConnections)
		}
		time.Sleep(time.Hour)
		s.live()[0].disconnect(ReasonRefreshRequested)
		time.Sleep(time.Minute)
		if n := r.logs.count("level=WARN"); n != 1 {
			t.Errorf("%d warnings, want 1:\n%s", n, r.logs)
		}
		ghosts.Store(0)
		s.live()[0].disconnect(ReasonRefreshRequested)
		time.Sleep(time.Minute)
		if got := r.Status(); got.Ghosts != 0 {
			t.Errorf("%d ghosts after they had gone", got.Ghosts)
		}
	})
}

func TestNoClickIsLostAcrossFiftyRefreshes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		var mu sync.Mutex
		handled := map[string]int{}
		r := runLoop(t, s, func(c *Config) {
			c.Handle = func(ctx context.Context, e *Envelope) {
				time.Sleep(700 * time.Millisecond) // the click is stored
				mu.Lock()
				handled[e.ID]++
				mu.Unlock()
				if err := e.Ack(ctx, nil); err != nil {
					t.Errorf("acknowledge %s: %v", e.ID, err)
				}
			}
		})
		r.up(2)

		// Slack sends to any connection that it has not asked to be replaced.
		asked := map[*fakeConn]bool{}
		sent := map[string]*fakeConn{}
		send := func(i int) {
			live := slices.DeleteFunc(s.live(), func(c *fakeConn) bool { return asked[c] })
			if len(live) == 0 {
				t.Fatal("no connection is there to send to")
			}
			c := live[i%len(live)]
			id := fmt.Sprintf("E%d", i)
			sent[id] = c
			c.command(id)
		}
		n := 0
		for refresh := range 50 {
			for range 200 {
				send(n)
				n++
				time.Sleep(350 * time.Millisecond)
			}
			c := slices.DeleteFunc(s.live(), func(c *fakeConn) bool { return asked[c] })[0]
			if refresh%2 == 0 {
				c.disconnect(ReasonRefreshRequested)
			} else {
				c.disconnect(ReasonWarning)
			}
			// Up to the frame of disconnect it delivered; so it does once more.
			id := fmt.Sprintf("R%d", refresh)
			sent[id] = c
			c.command(id)
			asked[c] = true
		}
		time.Sleep(time.Minute)
		if err := r.end(); err != nil {
			t.Error(err)
		}
		acked := map[string]*fakeConn{}
		for _, c := range s.all() {
			if c.closeCode() != 1000 {
				t.Errorf("connection %d was left with close code %d", c.number, c.closeCode())
			}
			for _, id := range c.acks() {
				if acked[id] != nil {
					t.Errorf("%s was acknowledged twice", id)
				}
				acked[id] = c
			}
		}
		for id, c := range sent {
			if handled[id] != 1 || acked[id] != c {
				t.Errorf("%s: handled %d times, acknowledged on its connection: %t", id, handled[id], acked[id] == c)
			}
		}
		if got := len(s.all()); got != 52 {
			t.Errorf("%d connections were made, want 52", got)
		}
	})
}

func TestALoopRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := runLoop(t, newFakeSlack(t), nil)
		r.up(2)
		_ = r.end()
		if err := r.Run(context.Background()); err == nil {
			t.Error("a second Run was accepted")
		}
	})
}
