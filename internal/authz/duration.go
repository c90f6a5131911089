package authz

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrDuration is what every error of [ParseDuration] is.
var ErrDuration = errors.New("not a duration such as 30m, 4h, 2d or 1w")

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// ParseDuration reads one whole number above zero and one unit: m (minutes),
// h, d (24 hours) or w (7 days). Nothing else is a duration here: no seconds,
// fractions, signs, spaces or sums such as 1h30m.
func ParseDuration(s string) (time.Duration, error) {
	if len(s) < 2 {
		return 0, ErrDuration
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	case 'd':
		unit = day
	case 'w':
		unit = week
	default:
		return 0, ErrDuration
	}
	digits := s[:len(s)-1]
	if strings.Trim(digits, "0123456789") != "" {
		return 0, ErrDuration
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%w: the number is too large", ErrDuration)
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: it must be longer than zero", ErrDuration)
	}
	return time.Duration(n) * unit, nil
}

// FormatDuration writes d as [ParseDuration] reads it, in the largest unit that
// divides it: 24h is 1d, 36h is 36h. A duration that is not a whole number of
// minutes above zero comes out as [time.Duration.String] writes it.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return d.String()
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{week, "w"}, {day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return d.String()
}
