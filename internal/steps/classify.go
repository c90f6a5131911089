package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// Words says in a sentence for people what an error of the Qlik client is
// about, without addresses, tokens or internals. temporary says that the same
// call may succeed a little later; after is the least time until then.
func Words(err error) (say string, temporary bool, after time.Duration) {
	var e *qlik.Error
	errors.As(err, &e)
	tenant := "the tenant"
	if e != nil {
		tenant, after = e.Tenant, e.RetryAfter
	}
	switch {
	case errors.Is(err, qlik.ErrCredentials):
		say = fmt.Sprintf("The bot cannot sign in to %s.", tenant)
		if e != nil && e.Hint() != "" {
			say += " " + e.Hint()
		}
		return say, false, after
	case errors.Is(err, qlik.ErrUnauthorized):
		return fmt.Sprintf("%s does not accept the bot's sign-in any more.", tenant), false, after
	case errors.Is(err, qlik.ErrForbidden):
		return fmt.Sprintf("%s does not let the bot do this: its OAuth client lacks a role or a scope, or the feature is switched off there.", tenant), false, after
	case errors.Is(err, qlik.ErrRateLimited):
		if after > 0 {
			return fmt.Sprintf("%s asks for a pause of %s because of too many calls.", tenant, after.Round(time.Second)), true, after
		}
		return fmt.Sprintf("%s asks for a pause because of too many calls.", tenant), true, after
	case errors.Is(err, qlik.ErrGarbled):
		return fmt.Sprintf("%s gave an answer that the bot does not understand.", tenant), true, after
	case errors.Is(err, qlik.ErrNotFound):
		return fmt.Sprintf("%s says that there is no such thing.", tenant), false, after
	case errors.Is(err, qlik.ErrConflict):
		return fmt.Sprintf("%s says that this is taken already.", tenant), false, after
	case errors.Is(err, qlik.ErrBadRequest), errors.Is(err, qlik.ErrInvalid):
		return fmt.Sprintf("%s does not take this call%s.", tenant, detail(e)), false, after
	case errors.Is(err, qlik.ErrUnavailable):
		return fmt.Sprintf("%s cannot be reached, or has trouble of its own.", tenant), true, after
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Sprintf("%s did not answer in time.", tenant), true, after
	}
	return fmt.Sprintf("Something went wrong with the call to %s.", tenant), true, after
}

// detail is Qlik's own word on a refusal, shortened.
func detail(e *qlik.Error) string {
	if e == nil || e.Title == "" && e.Detail == "" {
		return ""
	}
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	const most = 120
	if r := []rune(text); len(r) > most {
		text = string(r[:most-1]) + "…"
	}
	return fmt.Sprintf(" (%q)", text)
}

// writeError is what the error of a write means for its step.
func writeError(doing string, err error) error {
	if err == nil {
		return nil
	}
	say, _, after := Words(err)
	e := &execution.StepError{Say: say, After: after, Cause: fmt.Errorf("%s: %w", doing, err)}
	switch qlik.Outcome(err) {
	case qlik.OutcomeNotSent:
		e.Class = execution.ErrNotSent
	case qlik.OutcomeRefused:
		e.Class = execution.ErrRefused
	case qlik.OutcomePartial:
		// What was done and what was not is for reading to say.
		e.Class, e.Say = execution.ErrInDoubt, "Qlik says that only a part of it was done."
	case qlik.OutcomeUnknown, qlik.OutcomeDone:
		e.Class = execution.ErrInDoubt
	}
	return e
}

// lookError is what the error of a read means for the step that looked. A look
// that will not succeed by waiting is ErrRefused.
func lookError(doing string, err error) error {
	say, temporary, after := Words(err)
	e := &execution.StepError{Class: execution.ErrNotSent, Say: say, After: after, Cause: fmt.Errorf("%s: %w", doing, err)}
	if !temporary {
		e.Class = execution.ErrRefused
	}
	return e
}
