package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/steps"
)

// explain turns the error of a read during planning into sentences. doing is
// what failed, as in "looking ana@example.com up on prod". An error of a
// context that has ended is passed on, because then nobody waits for words.
func explain(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	say, temporary, _ := steps.Words(err)
	r := &RefusedError{
		Say:       fmt.Sprintf("%s failed. %s Nothing was changed.", upperFirst(doing), say),
		Hint:      "Tell whoever runs the bot; its log has the details.",
		Temporary: temporary,
		Cause:     fmt.Errorf("%s: %w", doing, err),
	}
	if temporary {
		r.Hint = "Please try again in a little while."
	}
	return r
}

// tenant opens a tenant for reading.
func (w World) tenant(label string) (qlik.Reader, error) {
	if w.Tenants == nil {
		return qlik.Reader{}, refused("", "No tenant can be asked.")
	}
	r, err := w.Tenants.Tenant(label)
	if err == nil {
		return r, nil
	}
	return qlik.Reader{}, &RefusedError{
		Say:   fmt.Sprintf("The tenant %s is not configured. Nothing was changed.", label),
		Hint:  "Tell whoever runs the bot, or ask for another tenant.",
		Cause: fmt.Errorf("open tenant %s: %w", label, err),
	}
}

// unreachableSlack is Slack not telling who somebody is.
func unreachableSlack(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("read Slack user %s: %w", id, err)
	}
	var said *RefusedError
	if errors.As(err, &said) {
		return said
	}
	return &RefusedError{
		Say:       "Slack could not be asked for the e-mail address of the person whom you mentioned. Nothing was changed.",
		Hint:      "Please try again in a little while, or name the person by e-mail address.",
		Temporary: true,
		Cause:     fmt.Errorf("read Slack user %s: %w", id, err),
	}
}

// unreadableRequests is the store not answering.
func unreadableRequests(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	return &RefusedError{
		Say:       "The requests cannot be read at the moment. Nothing was changed.",
		Hint:      "Please try again in a little while.",
		Temporary: true,
		Cause:     fmt.Errorf("read requests: %w", err),
	}
}

// refused is a refusal with a sentence made of format; that nothing was
// changed is added.
func refused(hint, format string, args ...any) *RefusedError {
	return &RefusedError{Say: fmt.Sprintf(format, args...) + " Nothing was changed.", Hint: hint}
}

func upperFirst(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
