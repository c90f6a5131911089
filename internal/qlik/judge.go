package qlik

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// judge makes the error of whatever is not success. It decides by the status
// and by what is known of the sending, never by text.
func (k *core) judge(op Operation, got received, err error, hidden []string) error {
	e := k.fail(op, OutcomeUnknown)
	e.Status = got.status
	if got.status == 0 {
		if got.unsent {
			e.outcome = OutcomeNotSent
		}
		e.cause = safeCause(err, hidden)
		if !errors.Is(err, context.Canceled) {
			e.kind = ErrUnavailable
		}
		return e
	}
	if err != nil {
		// The status came, the body did not: a yes without its content is
		// worth nothing, a no is a no.
		e.cause = safeCause(err, hidden)
	}
	if !op.accepts(got.status) {
		env := parseEnvelope(got.body, hidden)
		e.TraceID, e.Errors = env.traceID, env.entries
		if len(e.Errors) > 0 {
			first := e.Errors[0]
			e.Code, e.Title, e.Detail, e.Pointer = first.Code, first.Title, first.Detail, first.Pointer
		} else if err == nil {
			e.note = describeBody(got)
		}
	}
	if e.TraceID == "" {
		e.TraceID = clean(hide(got.header.Get("X-B3-Traceid"), hidden), maxTitle)
	}
	after, said := retryAfter(got.header)
	e.RetryAfter = after
	switch s := got.status; {
	case s == http.StatusMultiStatus && !op.accepts(s):
		return &PartialError{Operation: op.Name, Tenant: k.label, TraceID: e.TraceID, Errors: e.Errors}
	case s == http.StatusTooManyRequests:
		if e.RetryAfter == 0 {
			e.RetryAfter = time.Second
		}
		k.pacer.pause(op, e.RetryAfter)
		e.outcome = OutcomeNotSent
	case s == http.StatusRequestTimeout:
	case 400 <= s && s < 500:
		e.outcome = OutcomeRefused
	case s == http.StatusServiceUnavailable && said:
		e.outcome = OutcomeNotSent
	case 500 <= s && s < 600:
	case err != nil && !errors.Is(err, ErrGarbled):
		e.kind = ErrUnavailable // cut in the middle
	default:
		e.kind = ErrGarbled
	}
	return e
}

// passing says whether a read that met this may do better soon.
func (e *Error) passing() bool {
	if errors.Is(e.cause, context.Canceled) {
		return false
	}
	switch e.Status {
	case 0:
		return errors.Is(e.kind, ErrUnavailable)
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Status < 300 && errors.Is(e.kind, ErrUnavailable) // cut in the middle of its body
}

// retryAfter reads the header in either form (RFC 9110, 10.2.3).
func retryAfter(h http.Header) (after time.Duration, said bool) {
	const longest = time.Hour // what is longer is no figure of a rate limit
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, int(longest.Seconds()))) * time.Second, true
	}
	if t, err := http.ParseTime(value); err == nil {
		return max(0, min(time.Until(t), longest)), true
	}
	return 0, false
}

// safeCause keeps what an error is and drops what it may show: the address
// with its query, and secrets.
func safeCause(err error, hidden []string) error {
	if err == nil {
		return nil
	}
	var outer *url.Error
	for errors.As(err, &outer) {
		if err = outer.Err; err == nil {
			return nil
		}
	}
	return &cause{text: clean(hide(err.Error(), hidden), maxDetail), err: err}
}

// cause is an error under another text. What it stands for can be recognised
// but not had: its own text may hold whatever came over the wire.
type cause struct {
	text string
	err  error
}

func (c *cause) Error() string        { return c.text }
func (c *cause) Is(target error) bool { return errors.Is(c.err, target) }

// Timeout lets a cause stand where a net.Error is looked for.
func (c *cause) Timeout() bool {
	var n net.Error
	return errors.As(c.err, &n) && n.Timeout()
}

// hide takes secrets out of a text, also where they are percent-encoded.
func hide(s string, hidden []string) string {
	for _, h := range hidden {
		if h == "" {
			continue
		}
		s = strings.ReplaceAll(s, h, "[hidden]")
		s = strings.ReplaceAll(s, url.QueryEscape(h), "[hidden]")
	}
	return s
}
