package config

import (
	"fmt"
	"io"
	"log/slog"
)

// What a Secret prints as, whatever the verb or the encoding.
const (
	redacted = "[secret]"
	unset    = "[not set]"
)

// Secret holds a text that must not be printed: a token, a client secret, a
// private key, an address with a password in it. Every usual way of turning it
// into text gives a placeholder; [Secret.Reveal] is the only way to the text.
//
// The text stands behind a pointer because fmt cannot call the methods of a
// value in somebody's unexported field: it then prints an address, not the text.
// Two Secrets are compared with [Secret.Equal], not with ==.
//
// The zero value is a secret that is not set.
type Secret struct {
	text *string
}

// NewSecret keeps text as a secret. An empty text is a secret that is not set.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal gives the text itself, for the one call that needs it. What it returns
// is no longer protected.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal reports whether both hold the same text.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// Decode takes the value of an environment variable. It is called by envconfig,
// which prints the raw value when decoding fails; therefore it never fails, and
// what is wrong with the value is found afterwards, without an echo.
func (s *Secret) Decode(value string) error {
	*s = NewSecret(value)
	return nil
}

// String gives a placeholder.
func (s Secret) String() string {
	if s.text == nil {
		return unset
	}
	return redacted
}

// GoString gives the placeholder for %#v.
func (s Secret) GoString() string { return s.String() }

// Format gives the placeholder for every verb, flag and width.
func (s Secret) Format(f fmt.State, _ rune) {
	// A formatter has nowhere to report a failed write: fmt ignores it too.
	_, _ = io.WriteString(f, s.String())
}

// MarshalText gives the placeholder to every encoder of text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON gives the placeholder as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue gives the placeholder to slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
