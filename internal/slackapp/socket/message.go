package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// message is any JSON text that Slack sends: hello, disconnect or an envelope
// (API page "Using Socket Mode").
type message struct {
	Type string `json:"type"`

	EnvelopeID             string          `json:"envelope_id"`
	Payload                json.RawMessage `json:"payload"`
	AcceptsResponsePayload bool            `json:"accepts_response_payload"`
	RetryAttempt           int             `json:"retry_attempt"`
	RetryReason            string          `json:"retry_reason"`

	// Of hello. DebugInfo.ApproximateConnectionTime is in seconds.
	NumConnections int `json:"num_connections"`
	DebugInfo      struct {
		Host                      string `json:"host"`
		ApproximateConnectionTime int    `json:"approximate_connection_time"`
	} `json:"debug_info"`

	// Of disconnect.
	Reason string `json:"reason"`
}

func known(typ string) bool {
	return typ == TypeSlashCommands || typ == TypeInteractive || typ == TypeEventsAPI
}

// parseMessage decodes one frame. A side field of an unexpected type is left
// empty rather than costing the message: a click must not be lost because
// debug_info changed its shape.
func parseMessage(frame []byte) (*message, error) {
	var m message
	if err := json.Unmarshal(frame, &m); err != nil {
		var shape *json.UnmarshalTypeError
		if !errors.As(err, &shape) {
			return nil, errNotAMessage
		}
	}
	if m.Type == "" {
		return nil, errNotAMessage
	}
	return &m, nil
}

// envelope makes the envelope of a message of a known type.
func (m *message) envelope(write func(context.Context, []byte) error) (*Envelope, error) {
	if m.EnvelopeID == "" {
		return nil, fmt.Errorf("%w: it has no envelope_id", errNotAMessage)
	}
	if p := bytes.TrimSpace(m.Payload); len(p) == 0 || p[0] != '{' {
		return nil, fmt.Errorf("%w: its payload is not an object", errNotAMessage)
	}
	return &Envelope{
		ID: m.EnvelopeID, Type: m.Type, Payload: m.Payload,
		AcceptsResponsePayload: m.AcceptsResponsePayload,
		RetryAttempt:           m.RetryAttempt, RetryReason: m.RetryReason,
		Received: time.Now(), write: write,
	}, nil
}

// envelopeIDInText finds an ID in a text that is no JSON, for example because
// it was cut off. What people type cannot pass for it: inside a JSON string
// the quotation marks are escaped.
var envelopeIDInText = regexp.MustCompile(`"envelope_id"\s*:\s*"([^"\\\x00-\x1f]{1,128})"`)

// salvageID pulls the envelope_id out of a frame that could not be parsed, or
// returns "".
func salvageID(frame []byte) string {
	var top map[string]json.RawMessage
	if json.Unmarshal(frame, &top) == nil {
		var id string
		if json.Unmarshal(top["envelope_id"], &id) != nil {
			return ""
		}
		return id
	}
	if m := envelopeIDInText.FindSubmatch(frame); m != nil && utf8.Valid(m[1]) {
		return string(m[1])
	}
	return ""
}

// clip shortens a text of Slack's for a log or an error.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
