package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnEnvelopeArrivesWholeAndIsAcknowledgedAsOneFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		type seen struct {
			ID, Type, Payload, RetryReason string
			Accepts                        bool
			Attempt                        int
			Connection                     int64
		}
		var got []seen
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.Handle = func(ctx context.Context, e *Envelope) {
				got = append(got, seen{e.ID, e.Type, string(e.Payload), e.RetryReason, e.AcceptsResponsePayload, e.RetryAttempt, e.Connection})
				if !e.Received.Equal(time.Now()) {
					t.Errorf("received at %s, want now", e.Received)
				}
				var answer any
				if e.AcceptsResponsePayload {
					answer = map[string]string{"text": "<https://example.com|" + strings.Repeat("&", 20000) + ">"}
				}
				if err := e.Ack(ctx, answer); err != nil {
					t.Errorf("Ack: %v", err)
				}
				if err := e.Ack(ctx, nil); !errors.Is(err, ErrAlreadyAcked) {
					t.Errorf("the second Ack returned %v", err)
				}
			}
		})
		r.up(1)
		c := s.live()[0]
		c.text(`{"envelope_id":"E1","type":"slash_commands","payload":{"text":"a"},"accepts_response_payload":true}`)
		synctest.Wait()
		c.text(`{"envelope_id":"E2","type":"events_api","payload":{"event":{}},"accepts_response_payload":false,"retry_attempt":2,"retry_reason":"timeout"}`)
		synctest.Wait()
		c.text(`{"envelope_id":"E3","type":"interactive","payload":{"type":"block_actions"},"accepts_response_payload":true,"retry_attempt":"x","debug_info":7}`)
		synctest.Wait()
		want := []seen{
			{"E1", TypeSlashCommands, `{"text":"a"}`, "", true, 0, 1},
			{"E2", TypeEventsAPI, `{"event":{}}`, "timeout", false, 2, 1},
			{"E3", TypeInteractive, `{"type":"block_actions"}`, "", true, 0, 1},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("handled (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"E1", "E2", "E3"}, c.acks()); diff != "" {
			t.Errorf("acknowledged (-want +got):\n%s", diff)
		}
		for _, f := range c.frames {
			if !f.fin || f.op != opText || !json.Valid(f.payload) {
				t.Errorf("frame of %d bytes: fin %t, opcode %d: not one whole text frame", len(f.payload), f.fin, f.op)
			}
		}
		if n := len(c.frames[0].payload); n < 20000 || n >= MaxAckBytes {
			t.Errorf("the large acknowledgement has %d bytes: & was escaped", n)
		}
		if got := r.Status().Counts; got.Envelopes != 3 || got.AcksWritten != 3 || got.AcksFailed != 0 || got.Unacknowledged != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnAcknowledgementGoesToTheDeliveringConnectionOrNowhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		free := make(chan struct{})
		errs := make(chan error, 1)
		r := runLoop(t, s, func(c *Config) {
			c.Handle = func(ctx context.Context, e *Envelope) {
				if e.ID == "E-held" {
					<-free
					errs <- e.Ack(ctx, nil)
					return
				}
				_ = e.Ack(ctx, nil)
			}
		})
		r.up(2)
		a, b := s.live()[0], s.live()[1]
		a.command("E-held")
		a.command("Ea")
		b.command("Eb")
		synctest.Wait()
		_ = a.nc.Close()
		r.up(2)
		close(free)
		if err := <-errs; !errors.Is(err, ErrConnectionGone) {
			t.Errorf("Ack for a connection that is gone returned %v", err)
		}
		synctest.Wait()
		for i, want := range [][]string{{"Ea"}, {"Eb"}, nil} {
			if diff := cmp.Diff(want, s.all()[i].acks()); diff != "" {
				t.Errorf("acknowledged on connection %d (-want +got):\n%s", i+1, diff)
			}
		}
		if got := r.Status().Counts; got.AcksFailed != 1 || got.Unacknowledged != 1 || got.Ends[EndDropped] != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnAcknowledgementThatCannotBeWrittenFailsInTimeAndCostsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		errs := make(chan error, 2)
		r := runLoop(t, s, func(c *Config) {
			c.Handle = func(ctx context.Context, e *Envelope) {
				if e.ID == "E2" { // its own patience is shorter than that of E1
					short, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					ctx = short
				}
				errs <- e.Ack(ctx, nil)
			}
		})
		r.up(2)
		c := s.live()[0]
		stall := make(chan struct{})
		defer close(stall)
		c.set(func() { c.stall = stall })
		c.frame(opPing, nil) // its pong is the last that the server reads
		synctest.Wait()
		start := time.Now()
		c.command("E1")
		synctest.Wait()
		c.command("E2")
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrConnectionGone) || time.Since(start) != time.Second {
			t.Errorf("the Ack that waited for the other returned %v after %s", err, time.Since(start))
		}
		if err := <-errs; !errors.Is(err, ErrConnectionGone) || time.Since(start) != 5*time.Second {
			t.Errorf("the Ack that was being written returned %v after %s", err, time.Since(start))
		}
		r.up(2)
		if n := len(s.all()); n != 3 {
			t.Errorf("%d connections were made, want 3", n)
		}
	})
}

// brokenPipe is a connection that can be read but, once broken, not written.
type brokenPipe struct {
	net.Conn
	broken *atomic.Bool
}

func (p brokenPipe) Write(b []byte) (int, error) {
	if p.broken.Load() {
		return 0, syscall.EPIPE
	}
	return p.Conn.Write(b)
}

func TestAConnectionThatCannotBeWrittenIsGivenUpAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		errs := make(chan error, 1)
		var broken atomic.Bool
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, n, a string) (net.Conn, error) {
				nc, err := s.ln.dial(ctx, n, a)
				return brokenPipe{nc, &broken}, err
			}}}
			c.Handle = func(ctx context.Context, e *Envelope) { errs <- e.Ack(ctx, nil) }
		})
		r.up(1)
		broken.Store(true)
		s.live()[0].command("E1")
		if err := <-errs; !errors.Is(err, ErrConnectionGone) || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Ack returned %v", err)
		}
		broken.Store(false)
		time.Sleep(2 * time.Second)
		if got := r.Status(); got.Up != 1 || got.Counts.Hellos != 2 {
			t.Errorf("two seconds later: up %d, hellos %d, want 1 and 2", got.Up, got.Counts.Hellos)
		}
	})
}

func TestAHandlerThatPanicsIsSurvivedAndLoggedWithItsStack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.Handle = func(ctx context.Context, e *Envelope) {
				switch e.ID {
				case "E1":
					panic("https://hooks.slack.example.com/" + ticket)
				case "E2":
					var none []string
					_ = none[len(e.ID)]
				}
				_ = e.Ack(ctx, nil)
			}
		})
		r.up(1)
		c := s.live()[0]
		for _, id := range []string{"E1", "E2", "E3"} {
			c.command(id)
			synctest.Wait()
		}
		if diff := cmp.Diff([]string{"E3"}, c.acks()); diff != "" {
			t.Errorf("acknowledged (-want +got):\n%s", diff)
		}
		if got := r.Status().Counts; got.Panics != 2 || got.Unacknowledged != 2 {
			t.Errorf("%d panics, %d unacknowledged, want 2 and 2", got.Panics, got.Unacknowledged)
		}
		for _, want := range []string{"deliver_test.go", "a value of type string", "index out of range"} {
			if r.logs.count(want) == 0 {
				t.Errorf("the log lacks %q:\n%s", want, r.logs)
			}
		}
	})
}

func TestAboveTheBoundEnvelopesAreLeftUnacknowledgedAndTheReaderGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		free := make(chan struct{})
		r := runLoop(t, s, func(c *Config) {
			c.MaxInFlight = 3
			c.Handle = func(ctx context.Context, e *Envelope) {
				<-free
				_ = e.Ack(ctx, nil)
			}
		})
		r.up(2)
		a, b := s.live()[0], s.live()[1]
		for i := range 5 {
			a.command(fmt.Sprintf("A%d", i))
			b.command(fmt.Sprintf("B%d", i))
		}
		time.Sleep(10 * time.Minute) // pings are answered meanwhile, or the connections would be replaced
		if got := r.Status(); got.InFlight != 3 || got.Counts.Refused != 7 || len(s.all()) != 2 {
			t.Errorf("in flight %d, refused %d, connections %d, want 3, 7 and 2", got.InFlight, got.Counts.Refused, len(s.all()))
		}
		close(free)
		synctest.Wait()
		a.command("A-after")
		synctest.Wait()
		if n := len(a.acks()) + len(b.acks()); n != 4 {
			t.Errorf("%d acknowledged, want 4", n)
		}
		if n := r.logs.count("level=WARN"); n != 2 {
			t.Errorf("%d warnings, want one when it began and one when it was over:\n%s", n, r.logs)
		}
	})
}

func TestWhatCannotBeReadIsAcknowledgedIfItHasAnIDAndCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.Handle = func(_ context.Context, e *Envelope) { t.Errorf("handled %s", e.ID) }
		})
		r.up(1)
		c := s.live()[0]
		for _, frame := range []string{
			`{"envelope_id":"U1","type":"slash_commands","payload":{"text":"cut o`,
			`{"type":"slash_commands","payload":{},"envelope_id":"U2"`,
			`{"envelope_id":"U3","type":7,"payload":{}}`,
			`{"envelope_id":"U4","type":"interactive","payload":"text"}`,
			`{"envelope_id":"U5","type":"interactive"}`,
			`{"envelope_id":"U6"}`,
			`{"envelope_id":12,"type":"interactive","payload":{"envelope_id":"no"}}`,
			`{"type":"events_api","payload":{}}`,
			``, `null`, `[]`, `garbage`, "\x00\xff",
		} {
			c.text(frame)
			synctest.Wait()
		}
		c.frame(opBinary, []byte(`{"envelope_id":"U7","type":"slash_commands","payload":{}}`))
		synctest.Wait()
		if diff := cmp.Diff([]string{"U1", "U2", "U3", "U4", "U5", "U6", "U7"}, c.acks()); diff != "" {
			t.Errorf("acknowledged (-want +got):\n%s", diff)
		}
		if got := r.Status().Counts; got.Unparseable != 14 || got.Envelopes != 0 || got.AcksWritten != 7 {
			t.Errorf("unparseable %d, handled %d, acknowledged %d, want 14, 0 and 7", got.Unparseable, got.Envelopes, got.AcksWritten)
		}
		if len(s.all()) != 1 || r.Status().Up != 1 {
			t.Error("garbage cost the connection")
		}
	})
}

func TestMessagesOfUnknownTypesAreAcknowledgedCountedAndLoggedOncePerType(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.Handle = func(_ context.Context, e *Envelope) { t.Errorf("handled %s", e.ID) }
		})
		r.up(1)
		c := s.live()[0]
		for _, frame := range []string{
			`{"envelope_id":"E1","type":"telepathy","payload":{}}`,
			`{"envelope_id":"E2","type":"telepathy","payload":{}}`,
			`{"type":"telepathy"}`,
			`{"envelope_id":"E3","type":"telekinesis"}`,
		} {
			c.text(frame)
			synctest.Wait()
		}
		if diff := cmp.Diff([]string{"E1", "E2", "E3"}, c.acks()); diff != "" {
			t.Errorf("acknowledged (-want +got):\n%s", diff)
		}
		if got := r.Status().Counts.UnknownTypes; got != 4 {
			t.Errorf("%d counted, want 4", got)
		}
		for i := range 1000 {
			c.text(fmt.Sprintf(`{"type":"flood %d"}`, i))
		}
		synctest.Wait()
		if n := r.logs.count("telepathy"); n != 1 {
			t.Errorf("telepathy was logged %d times, want once", n)
		}
		if n := r.logs.count("level=WARN"); n > 40 {
			t.Errorf("a flood of types was logged %d times", n)
		}
	})
}

func TestAHugeFrameCostsItsConnectionAndNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, func(c *Config) { c.MaxFrame = 1 << 16 })
		r.up(2)
		time.Sleep(time.Hour)
		a, b := s.live()[0], s.live()[1]
		a.text(`{"envelope_id":"E1","type":"events_api","payload":{"x":"` + strings.Repeat("x", 1<<15) + `"}}`)
		b.text(`{"envelope_id":"E2","type":"events_api","payload":{"x":"` + strings.Repeat("x", 1<<16) + `"}}`)
		time.Sleep(30 * time.Second)
		if got := r.Status(); got.Up != 2 || got.Counts.Ends[EndTooLarge] != 1 || a.gone() || b.closeCode() != 1009 {
			t.Errorf("up %d, ends %v, the other gone %t, close code %d", got.Up, got.Counts.Ends, a.gone(), b.closeCode())
		}
		if diff := cmp.Diff([]string{"E1"}, a.acks()); diff != "" {
			t.Errorf("acknowledged (-want +got):\n%s", diff)
		}
	})
}

func TestBrokenFramingCostsTheConnectionAndNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, nil)
		r.up(2)
		time.Sleep(time.Hour)
		a := s.live()[0]
		_, _ = a.nc.Write(bytes.Repeat([]byte{0xff}, 64))
		time.Sleep(30 * time.Second)
		if got := r.Status(); got.Up != 2 || len(s.all()) != 3 {
			t.Errorf("up %d, made %d, want 2 and 3", got.Up, len(s.all()))
		}
	})
}

func TestAtTheEndHandlersFinishAcknowledgementsGoOutAndConnectionsAreClosedProperly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, func(c *Config) {
			c.Handle = func(ctx context.Context, e *Envelope) {
				time.Sleep(6 * time.Second)
				if err := e.Ack(ctx, nil); err != nil {
					t.Errorf("acknowledge %s: %v", e.ID, err)
				}
			}
		})
		r.up(2)
		for i, c := range s.live() {
			c.command(fmt.Sprintf("E%d", i))
		}
		synctest.Wait()
		r.stop()
		synctest.Wait()
		s.live()[0].command("E-too-late")
		synctest.Wait()
		start := time.Now()
		<-r.done
		if r.err != nil || time.Since(start) != 6*time.Second {
			t.Errorf("Run returned %v after %s, want nil after the handlers' 6 s", r.err, time.Since(start))
		}
		for i, c := range s.all() {
			if diff := cmp.Diff([]string{fmt.Sprintf("E%d", i)}, c.acks()); diff != "" {
				t.Errorf("acknowledged on connection %d (-want +got):\n%s", i+1, diff)
			}
			if c.closeCode() != 1000 {
				t.Errorf("connection %d was left with close code %d", i+1, c.closeCode())
			}
		}
		if got := r.Status(); got.Counts.Refused != 1 || got.Up != 0 || got.InFlight != 0 {
			t.Errorf("refused %d, up %d, in flight %d, want 1, 0 and 0", got.Counts.Refused, got.Up, got.InFlight)
		}
	})
}

func TestAtTheEndAHandlerIsToldToStopAfterTheDrainTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		var told time.Duration
		var start time.Time
		r := runLoop(t, s, func(c *Config) {
			c.Handle = func(ctx context.Context, e *Envelope) {
				<-ctx.Done()
				told = time.Since(start)
			}
		})
		r.up(2)
		s.live()[0].command("E1")
		synctest.Wait()
		start = time.Now()
		if err := r.end(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if told != 10*time.Second {
			t.Errorf("the handler was told after %s, want 10 s", told)
		}
	})
}

func TestAHandlerThatDoesNotStopIsLeftBehindAndSaid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		free := make(chan struct{})
		defer close(free)
		r := runLoop(t, s, func(c *Config) {
			c.Handle = func(context.Context, *Envelope) { <-free }
		})
		r.up(2)
		s.live()[0].command("E1")
		synctest.Wait()
		start := time.Now()
		err := r.end()
		if err == nil || !strings.Contains(err.Error(), "1 handlers") || time.Since(start) > 12*time.Second {
			t.Errorf("Run returned %v after %s", err, time.Since(start))
		}
		if code := s.all()[0].closeCode(); code != 1000 {
			t.Errorf("close code %d, want 1000", code)
		}
	})
}

func TestTheEndDoesNotWaitForAPeerThatIsNotThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		r := runLoop(t, s, nil)
		r.up(2)
		stall := make(chan struct{})
		defer close(stall)
		s.live()[0].set(func() { s.live()[0].deaf = true })
		s.live()[1].set(func() { s.live()[1].stall = stall })
		start := time.Now()
		if err := r.end(); err != nil || time.Since(start) > 11*time.Second {
			t.Errorf("Run returned %v after %s, want nil within 10 s", err, time.Since(start))
		}
	})
}

func TestTheEndComesAtOnceWhileConnecting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		s.open = func(ctx context.Context, _ int) (string, error) { <-ctx.Done(); return "", ctx.Err() }
		r := runLoop(t, s, nil)
		synctest.Wait()
		start := time.Now()
		if err := r.end(); err != nil || time.Since(start) != 0 {
			t.Errorf("Run returned %v after %s, want nil at once", err, time.Since(start))
		}
	})
}

func TestAnEnvelopeOnAConnectionBeingClosedIsNotHandled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newFakeSlack(t)
		var mu sync.Mutex
		var handled []string
		r := runLoop(t, s, func(c *Config) {
			c.Connections = 1
			c.Handle = func(ctx context.Context, e *Envelope) {
				mu.Lock()
				handled = append(handled, e.ID)
				mu.Unlock()
				_ = e.Ack(ctx, nil)
			}
		})
		r.up(1)
		time.Sleep(time.Hour)
		old := s.live()[0]
		old.set(func() { old.deaf = true }) // does not answer the close frame
		old.disconnect(ReasonRefreshRequested)
		time.Sleep(16 * time.Second)
		if old.closeCode() != 1000 {
			t.Fatal("the old connection is not being closed")
		}
		old.command("E-crossed")
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(handled) != 0 || len(old.acks()) != 0 {
			t.Errorf("handled %q, acknowledged %q, want none", handled, old.acks())
		}
	})
}
