package socket

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewRefusesAConfigurationThatCannotWork(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{
			Open:        func(context.Context) (string, error) { return "", nil },
			Handle:      func(context.Context, *Envelope) {},
			Logger:      slog.New(slog.DiscardHandler),
			Connections: 2,
		}
	}
	if _, err := New(good()); err != nil {
		t.Errorf("a good configuration was refused: %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"no Open":                  func(c *Config) { c.Open = nil },
		"no Handle":                func(c *Config) { c.Handle = nil },
		"no Logger":                func(c *Config) { c.Logger = nil },
		"no connections":           func(c *Config) { c.Connections = 0 },
		"eleven connections":       func(c *Config) { c.Connections = 11 },
		"negative bound":           func(c *Config) { c.MaxInFlight = -1 },
		"negative frame":           func(c *Config) { c.MaxFrame = -1 },
		"negative duration":        func(c *Config) { c.Timing.Drain = -1 },
		"back-off upside down":     func(c *Config) { c.Timing.BackoffMin = time.Hour },
		"pings rarer than silence": func(c *Config) { c.Timing.PingEvery = time.Minute },
	} {
		c := good()
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// recorder is what an envelope without a connection writes to.
type recorder struct {
	frames []string
	err    error
}

func (r *recorder) write(_ context.Context, frame []byte) error {
	if r.err == nil {
		r.frames = append(r.frames, string(frame))
	}
	return r.err
}

func testEnvelope(t *testing.T, accepts bool) (*Envelope, *recorder) {
	t.Helper()
	frame, err := json.Marshal(map[string]any{"envelope_id": "E1", "type": TypeInteractive, "payload": struct{}{}, "accepts_response_payload": accepts})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	e, err := NewEnvelope(frame, r.write)
	if err != nil {
		t.Fatal(err)
	}
	return e, r
}

func TestTheFrameOfAnAcknowledgement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		payload any
		want    string
	}{
		"nothing":         {nil, `{"envelope_id":"E1"}`},
		"no raw JSON":     {json.RawMessage(nil), `{"envelope_id":"E1"}`},
		"an empty object": {struct{}{}, `{"envelope_id":"E1","payload":{}}`},
		"raw JSON":        {json.RawMessage(`{"response_action":"clear"}`), `{"envelope_id":"E1","payload":{"response_action":"clear"}}`},
		"mrkdwn":          {map[string]string{"text": "<@U1> & co"}, `{"envelope_id":"E1","payload":{"text":"<@U1> & co"}}`},
	} {
		e, r := testEnvelope(t, true)
		if err := e.Ack(t.Context(), c.payload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(r.frames, "\n"); got != c.want {
			t.Errorf("%s: wrote %s, want %s", name, got, c.want)
		}
	}
}

func TestAnAcknowledgementOfTheSizeThatSlackDropsIsNotWritten(t *testing.T) {
	t.Parallel()
	e, r := testEnvelope(t, true)
	rest := len(`{"envelope_id":"E1","payload":""}`)
	if err := e.Ack(t.Context(), strings.Repeat("x", MaxAckBytes-rest)); !errors.Is(err, ErrAckTooLarge) || e.Acked() || len(r.frames) != 0 {
		t.Errorf("with %d bytes: %v, wrote %d frames", MaxAckBytes, err, len(r.frames))
	}
	if err := e.Ack(t.Context(), strings.Repeat("x", MaxAckBytes-rest-1)); err != nil || !e.Acked() || len(r.frames[0]) != MaxAckBytes-1 {
		t.Errorf("with %d bytes: %v", MaxAckBytes-1, err)
	}
}

func TestAfterAFailedAcknowledgementAnotherMayBeTried(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	plain, r := testEnvelope(t, false)
	if err := plain.Ack(t.Context(), "text"); !errors.Is(err, ErrPayloadNotAccepted) {
		t.Errorf("a payload that is not accepted: %v", err)
	}
	if err := plain.Ack(over, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is over: %v", err)
	}
	r.err = ErrConnectionGone
	if err := plain.Ack(t.Context(), nil); !errors.Is(err, ErrConnectionGone) || plain.Acked() {
		t.Errorf("a connection that is gone: %v", err)
	}
	r.err = nil
	if err := plain.Ack(t.Context(), nil); err != nil || !plain.Acked() {
		t.Errorf("at last: %v", err)
	}
	if err := plain.Ack(t.Context(), nil); !errors.Is(err, ErrAlreadyAcked) || len(r.frames) != 1 {
		t.Errorf("once more: %v, %d frames", err, len(r.frames))
	}
	rich, _ := testEnvelope(t, true)
	if err := rich.Ack(t.Context(), func() {}); err == nil || rich.Acked() {
		t.Errorf("a payload that is no JSON: %v", err)
	}
}

func TestOfTwoAcknowledgementsAtTheSameTimeOneIsWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		free := make(chan struct{})
		frames := 0
		e, err := NewEnvelope([]byte(`{"envelope_id":"E1","type":"events_api","payload":{}}`), func(context.Context, []byte) error {
			frames++
			<-free
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		first := make(chan error)
		go func() { first <- e.Ack(t.Context(), nil) }()
		synctest.Wait()
		if err := e.Ack(t.Context(), nil); !errors.Is(err, ErrAlreadyAcked) {
			t.Errorf("the second returned %v", err)
		}
		close(free)
		if err := <-first; err != nil || frames != 1 {
			t.Errorf("the first returned %v; %d frames", err, frames)
		}
	})
}

func TestNewEnvelopeRefusesWhatIsNoEnvelope(t *testing.T) {
	t.Parallel()
	for _, frame := range []string{
		``, `{`, `{}`, `{"type":"hello"}`, `{"type":"events_api","payload":{}}`,
		`{"type":"events_api","envelope_id":"E1","payload":[]}`, `{"type":"other","envelope_id":"E1","payload":{}}`,
	} {
		if e, err := NewEnvelope([]byte(frame), nil); err == nil {
			t.Errorf("%s gave %+v", frame, e)
		}
	}
}

func TestAnIDIsSalvagedFromBrokenTextButNotFromWhatPeopleType(t *testing.T) {
	t.Parallel()
	for frame, want := range map[string]string{
		`{"envelope_id":"E1","payl`:                                    "E1",
		`{"payload":{"text":"\"envelope_id\":\"E2\""},"envelope_id":"`: "",
		`{"payload":{"text":"\"envelope_id\":\"E2\" `:                  "",
		`{"payload":{"envelope_id":"inner"}}`:                          "",
		`{ "envelope_id" : "E3" , nonsense`:                            "E3",
		`{"envelope_id":null}`:                                         "",
		`{"envelope_id":""`:                                            "",
		"{\"envelope_id\":\"E\xff\"":                                   "",
		`{"envelope_id":"` + strings.Repeat("E", 200) + `"`:            "",
	} {
		if got := salvageID([]byte(frame)); got != want {
			t.Errorf("%s: %q, want %q", frame, got, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, frame := range []string{
		`{"envelope_id":"E1","type":"slash_commands","payload":{"text":"a"},"accepts_response_payload":true}`,
		`{"envelope_id":"E1","type":"events_api","payload":{},"retry_attempt":"x"}`,
		`{"type":"hello","num_connections":2,"debug_info":[]}`,
		`{"type":"disconnect","reason":"warning"}`,
		`{"payload":{"text":"\"envelope_id\":\"E2\""},"envelope_id":"`,
		"\x00\xff", `null`, `{"envelope_id":"E`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		r := &recorder{}
		if e, err := NewEnvelope(frame, r.write); err == nil {
			if e.ID == "" || !known(e.Type) || !json.Valid(e.Payload) || e.Payload[0] != '{' {
				t.Errorf("made %+v", e)
			}
			if e.Ack(t.Context(), nil) == nil && !json.Valid([]byte(r.frames[0])) {
				t.Errorf("acknowledged with %q", r.frames[0])
			}
		}
		if id := salvageID(frame); id != "" {
			if ack, err := ackFrame(id, nil); err == nil && !json.Valid(ack) {
				t.Errorf("acknowledged %q with %q", id, ack)
			}
		}
	})
}

func TestBackoffDoublesUpToItsLimitWithJitterAndForgets(t *testing.T) {
	t.Parallel()
	b := backoff{min: time.Second, max: 10 * time.Second}
	different := false
	for round := range 50 {
		for i, span := range []time.Duration{
			time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second,
		} {
			got := b.next()
			if got < span/2 || got > span {
				t.Fatalf("round %d, wait %d: %s is not between %s and %s", round, i, got, span/2, span)
			}
			different = different || got != span
		}
		b.forget()
	}
	if !different {
		t.Error("no jitter in 300 waits")
	}
}

func TestThePacerSavesUpTwoCallsAndHonoursAHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pacer{every: 15 * time.Second, burst: 2}
		start := time.Now()
		var at []time.Duration
		call := func() {
			if !p.wait(t.Context()) {
				t.Fatal("the context is over")
			}
			at = append(at, time.Since(start))
		}
		for range 4 {
			call()
		}
		time.Sleep(time.Hour - 30*time.Second)
		for range 3 {
			call()
		}
		go func() { time.Sleep(5 * time.Second); p.hold(time.Minute); p.hold(time.Second) }()
		call()
		want := []time.Duration{0, 0, 15 * time.Second, 30 * time.Second, time.Hour, time.Hour, time.Hour + 15*time.Second, time.Hour + 80*time.Second}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("call %d at %s, want %s", i+1, at[i], want[i])
			}
		}
	})
}

func TestFatalKnowsAWrappedFatalError(t *testing.T) {
	t.Parallel()
	if Fatal(nil) || Fatal(errors.New("x")) || !Fatal(errors.Join(errors.New("x"), &FatalError{Reason: "y"})) {
		t.Error("wrong")
	}
}

func BenchmarkEnvelopeToAcknowledgement(b *testing.B) {
	s := newFakeSlack(b)
	acked := make(chan struct{}, 1)
	r := runLoop(b, s, func(c *Config) {
		c.Connections = 1
		c.Handle = func(ctx context.Context, e *Envelope) {
			if err := e.Ack(ctx, nil); err != nil {
				b.Error(err)
			}
			acked <- struct{}{}
		}
	})
	<-r.Ready()
	c := s.live()[0]
	frame := `{"envelope_id":"E1","type":"slash_commands","accepts_response_payload":true,"payload":{"text":"` + strings.Repeat("a", 1500) + `"}}`
	b.ReportAllocs()
	for b.Loop() {
		c.text(frame)
		<-acked
	}
}
