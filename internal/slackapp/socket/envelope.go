package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// MaxAckBytes is the size at which Slack silently drops a frame that we send.
// An acknowledgement must be smaller. Slack documents no number; this one was
// measured by the authors of slack-go and of other clients.
const MaxAckBytes = 20480

// The types of envelopes that are handed to [Config.Handle].
const (
	TypeSlashCommands = "slash_commands"
	TypeInteractive   = "interactive"
	TypeEventsAPI     = "events_api"
)

// Envelope is one delivery by Slack.
type Envelope struct {
	// ID is Slack's envelope_id.
	ID string
	// Type is one of the Type constants.
	Type string
	// Payload is the JSON object inside, of which nothing is checked.
	Payload json.RawMessage
	// AcceptsResponsePayload tells whether Ack may carry a payload.
	AcceptsResponsePayload bool
	// RetryAttempt and RetryReason are 0 and "" on the first delivery. Only
	// events are delivered again.
	RetryAttempt int
	RetryReason  string
	// Received is when the frame had been read. Slack wants the acknowledgement
	// within three seconds of sending it.
	Received time.Time
	// Connection is the number of the connection that delivered it, as in logs.
	Connection int64

	write func(ctx context.Context, frame []byte) error

	// mu is held while an acknowledgement is made; it guards acked.
	mu    sync.Mutex
	acked bool
}

// NewEnvelope reads an envelope from a frame as Slack sends it. Its
// acknowledgement is given to write, at most once with success. A [Loop] makes
// its envelopes in the same way; the function is exported so that handlers can
// be tested without a connection.
func NewEnvelope(frame []byte, write func(ctx context.Context, frame []byte) error) (*Envelope, error) {
	m, err := parseMessage(frame)
	if err != nil {
		return nil, err
	}
	if !known(m.Type) {
		return nil, fmt.Errorf("socket: %q is not the type of an envelope that is handled", clip(m.Type))
	}
	return m.envelope(write)
}

// Ack acknowledges the envelope on the connection that delivered it. payload is
// encoded as JSON; nil means none. A nil error means that the frame was written
// to the network as one unfragmented frame, which is all that can be known:
// Slack does not answer.
//
// ctx bounds the wait for other writers of the connection. It does not cut off
// a frame half written, which would cost the connection; Timing.Ack bounds
// that. Errors are [ErrAlreadyAcked], [ErrAckTooLarge],
// [ErrPayloadNotAccepted], [ErrConnectionGone], the error of ctx, or one of the
// encoding. After all but the first Ack may be called again.
func (e *Envelope) Ack(ctx context.Context, payload any) error {
	if !e.mu.TryLock() {
		return ErrAlreadyAcked
	}
	defer e.mu.Unlock()
	if e.acked {
		return ErrAlreadyAcked
	}
	if raw, ok := payload.(json.RawMessage); ok && len(raw) == 0 {
		payload = nil
	}
	if payload != nil && !e.AcceptsResponsePayload {
		return ErrPayloadNotAccepted
	}
	frame, err := ackFrame(e.ID, payload)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("acknowledge envelope %q: %w", clip(e.ID), err)
	}
	if err := e.write(ctx, frame); err != nil {
		return fmt.Errorf("acknowledge envelope %q: %w", clip(e.ID), err)
	}
	e.acked = true
	return nil
}

// Acked reports whether an acknowledgement has been written. While one is being
// written it waits for its outcome.
func (e *Envelope) Acked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.acked
}

// ackFrame encodes an acknowledgement. HTML is not escaped: that would only
// cost bytes of the few there are.
func ackFrame(id string, payload any) ([]byte, error) {
	ack := struct {
		EnvelopeID string `json:"envelope_id"`
		Payload    any    `json:"payload,omitempty"`
	}{id, payload}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ack); err != nil {
		return nil, fmt.Errorf("encode the acknowledgement of envelope %q: %w", clip(id), err)
	}
	frame := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(frame) >= MaxAckBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, and %d are the most", ErrAckTooLarge, len(frame), MaxAckBytes-1)
	}
	return frame, nil
}
