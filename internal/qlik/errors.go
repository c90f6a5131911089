package qlik

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// What a call met. These are for errors.Is; several can hold for one error.
var (
	// ErrNotFound: 404, or a name that no object bears.
	ErrNotFound = errors.New("not found")
	// ErrConflict: 409, the subject, e-mail address or name is taken.
	ErrConflict = errors.New("conflict")
	// ErrForbidden: 403, a missing role or scope, or a feature that is off.
	ErrForbidden = errors.New("forbidden")
	// ErrUnauthorized: 401, also with a fresh token.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrRateLimited: 429, or a wait for the rate limit that does not fit into
	// the call's deadline. Error.RetryAfter says how long.
	ErrRateLimited = errors.New("rate limited")
	// ErrBadRequest: 400.
	ErrBadRequest = errors.New("bad request")
	// ErrUnavailable: no answer, or a 5xx.
	ErrUnavailable = errors.New("unavailable")
	// ErrCredentials: the tenant gives this OAuth client no token (400, 401 or
	// 403 from POST /oauth/token). Error.Hint says what to look at.
	ErrCredentials = errors.New("credentials not accepted")
	// ErrGarbled: an answer that cannot be understood. It never means "none".
	ErrGarbled = errors.New("answer not understood")
	// ErrInvalid: the call was refused here because its arguments cannot be
	// right, such as an empty ID.
	ErrInvalid = errors.New("invalid argument")
	// ErrReadOnly: a write was tried through a Reader.
	ErrReadOnly = errors.New("not a read operation")
)

// What became of a write. Every error of a write is exactly one of these or a
// *PartialError; errors of reads are none of them. See [Outcome].
var (
	// ErrNotSent: certainly without effect, and repeating it is safe. The
	// request did not leave, or it met a 429 or a 503 with Retry-After.
	ErrNotSent = errors.New("not sent")
	// ErrRefused: Qlik looked at it and said no. Repeating it unchanged is
	// pointless.
	ErrRefused = errors.New("refused")
	// ErrOutcomeUnknown: it may or may not have taken effect, now or a little
	// later. Only reading can tell.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// OutcomeKind says what became of a write.
type OutcomeKind int

// The outcomes of a write. The zero value is the one that claims nothing.
const (
	OutcomeUnknown OutcomeKind = iota // only reading can tell
	OutcomeDone                       // Qlik said that it is done
	OutcomeNotSent                    // certainly without effect; may be repeated
	OutcomeRefused                    // certainly without effect; Qlik said no
	OutcomePartial                    // done in part (207)
)

// String gives the outcome in a word or two.
func (k OutcomeKind) String() string {
	switch k {
	case OutcomeDone:
		return "done"
	case OutcomeNotSent:
		return "not sent"
	case OutcomeRefused:
		return "refused"
	case OutcomePartial:
		return "done in part"
	default:
		return "outcome unknown"
	}
}

// Outcome says what the error of a write means for the tenant. An error that
// does not come from this package is OutcomeUnknown.
func Outcome(err error) OutcomeKind {
	if err == nil {
		return OutcomeDone
	}
	var partial *PartialError
	switch {
	case errors.As(err, &partial):
		return OutcomePartial
	case errors.Is(err, ErrOutcomeUnknown):
		return OutcomeUnknown
	case errors.Is(err, ErrNotSent):
		return OutcomeNotSent
	case errors.Is(err, ErrRefused):
		return OutcomeRefused
	default:
		return OutcomeUnknown
	}
}

// Error is what one call to Qlik met. Code, Title, Detail, Pointer and TraceID
// are Qlik's own words, cleaned of control characters, cut to a length, and
// with the token and the client's secret taken out should Qlik repeat them.
// They are text from outside: show them as plain text only.
type Error struct {
	// Operation is the name of the Operation, such as "users.create".
	Operation string
	// Tenant is the tenant's label.
	Tenant string
	// Status is the HTTP status; 0 when there was no answer.
	Status int
	// Code, Title, Detail and Pointer are those of the first entry of the
	// error envelope. Pointer is a JSON pointer or the name of a parameter.
	Code, Title, Detail, Pointer string
	// TraceID is for Qlik's support; often empty.
	TraceID string
	// RetryAfter is how long Qlik wants to be left alone; 0 when not said.
	RetryAfter time.Duration
	// Errors are all entries of the envelope.
	Errors []ErrorEntry

	write   bool        // outcome means something
	outcome OutcomeKind // of a write
	kind    error       // one of the first group of sentinels, besides Status
	cause   error       // without addresses; may be nil
	note    string      // our own words, when there are none of Qlik's
}

// ErrorEntry is one entry of an error envelope.
type ErrorEntry struct {
	Code, Title, Detail, Pointer string
}

// String gives the entry in one line.
func (e ErrorEntry) String() string {
	var b strings.Builder
	for _, part := range []string{e.Title, e.Detail} {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	if e.Code != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("(" + e.Code + ")")
	}
	return b.String()
}

// Error says what was called, where, and what came of it.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: ", e.Operation, e.Tenant)
	if e.write {
		b.WriteString(e.outcome.String() + ": ")
	}
	parts := make([]string, 0, 5)
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", e.Status))
	}
	if entry := (ErrorEntry{Code: e.Code, Title: e.Title, Detail: e.Detail}).String(); entry != "" {
		parts = append(parts, entry)
	}
	if e.note != "" {
		parts = append(parts, e.note)
	}
	if e.cause != nil {
		parts = append(parts, e.cause.Error())
	}
	if len(parts) == 0 {
		if e.kind != nil {
			parts = append(parts, e.kind.Error())
		} else {
			parts = append(parts, "failed")
		}
	}
	b.WriteString(strings.Join(parts, ": "))
	if e.TraceID != "" {
		b.WriteString(", trace " + e.TraceID)
	}
	return b.String()
}

// Is makes the sentinels of this package match.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotSent:
		return e.write && e.outcome == OutcomeNotSent
	case ErrRefused:
		return e.write && e.outcome == OutcomeRefused
	case ErrOutcomeUnknown:
		return e.write && e.outcome == OutcomeUnknown
	}
	if e.kind != nil && target == e.kind {
		return true
	}
	if e.noToken() {
		// The status is about the bot's own sign-in, not about what was asked.
		return false
	}
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrConflict:
		return e.Status == http.StatusConflict
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrBadRequest:
		return e.Status == http.StatusBadRequest
	case ErrUnavailable:
		return e.Status >= 500 || e.Status == http.StatusRequestTimeout
	}
	return false
}

// noToken says whether the tenant has refused the client a token.
func (e *Error) noToken() bool {
	return e.Operation == opToken.Name && errors.Is(e.kind, ErrCredentials)
}

// Unwrap gives what lies beneath, such as context.DeadlineExceeded or the
// error of fetching the token.
func (e *Error) Unwrap() error { return e.cause }

// Hint is a sentence on what to do, or "" where there is nothing to add to the
// error itself. It stands for the cause too: a write that failed for want of a
// token has the token's hint.
func (e *Error) Hint() string {
	switch {
	case e.noToken() && e.Code == "OAUTH-14":
		return "The tenant does not let this OAuth client sign in: set its consent method to Trusted and publish it to the tenant."
	case e.noToken() && e.Status == http.StatusForbidden:
		return "The tenant gives this OAuth client no token: its bot user is disabled, or it has too many live tokens."
	case e.noToken():
		return "The tenant does not accept this OAuth client: check its ID, its secret or key, that machine-to-machine use is allowed, and that the client belongs to this tenant."
	}
	var inner *Error
	if errors.As(e.cause, &inner) {
		return inner.Hint()
	}
	return ""
}

// LogValue gives the parts as attributes.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("op", e.Operation), slog.String("tenant", e.Tenant)}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if e.write {
		attrs = append(attrs, slog.String("outcome", e.outcome.String()))
	}
	for _, a := range [...]struct{ key, value string }{
		{"code", e.Code}, {"title", e.Title}, {"detail", e.Detail}, {"pointer", e.Pointer},
		{"trace", e.TraceID}, {"note", e.note},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	if e.cause != nil {
		attrs = append(attrs, slog.String("cause", e.cause.Error()))
	}
	return slog.GroupValue(attrs...)
}

// PartialError is a 207: some of what was asked has been done, and some has
// not. Errors are the failures that Qlik names; it may name none.
type PartialError struct {
	Operation, Tenant, TraceID string
	Errors                     []ErrorEntry
}

// Error names the failures.
func (e *PartialError) Error() string {
	parts := make([]string, 0, len(e.Errors))
	for _, entry := range e.Errors {
		parts = append(parts, entry.String())
	}
	if len(parts) == 0 {
		parts = append(parts, "no failure is named")
	}
	s := fmt.Sprintf("%s on %s: done in part: HTTP 207: %s", e.Operation, e.Tenant, strings.Join(parts, "; "))
	if e.TraceID != "" {
		s += ", trace " + e.TraceID
	}
	return s
}

// LogValue gives the parts as attributes.
func (e *PartialError) LogValue() slog.Value {
	parts := make([]string, 0, len(e.Errors))
	for _, entry := range e.Errors {
		parts = append(parts, entry.String())
	}
	return slog.GroupValue(slog.String("op", e.Operation), slog.String("tenant", e.Tenant),
		slog.Int("status", http.StatusMultiStatus), slog.String("outcome", OutcomePartial.String()),
		slog.String("trace", e.TraceID), slog.Any("errors", parts))
}
