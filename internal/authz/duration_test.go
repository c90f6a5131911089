package authz_test

import (
	"errors"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/authz"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"1m": time.Minute, "30m": 30 * time.Minute, "4h": 4 * time.Hour, "2d": 2 * day, "1w": 7 * day, "007m": 7 * time.Minute,
		// Not durations:
		"": 0, "h": 0, "4": 0, "0h": 0, "-4h": 0, "+4h": 0, "4.5h": 0, "1h30m": 0, "4 h": 0, " 4h": 0, "4H": 0, "30s": 0, "4y": 0, "٤h": 0,
		"9223372036854775807m": 0, "99999999999999999999w": 0,
	} {
		got, err := authz.ParseDuration(s)
		if got != want || (want == 0) != errors.Is(err, authz.ErrDuration) {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
}

func TestFormatDurationUsesTheLargestUnitThatFits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", 90 * time.Minute: "90m", 4 * time.Hour: "4h", 24 * time.Hour: "1d", 36 * time.Hour: "36h",
		7 * 24 * time.Hour: "1w", 8 * 24 * time.Hour: "8d", 0: "0s", 90 * time.Second: "1m30s", -time.Hour: "-1h0m0s",
	} {
		if got := authz.FormatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
