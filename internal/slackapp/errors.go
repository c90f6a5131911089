package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/slackapp/socket"
)

// What a failed call of the Web API means for whoever made it.
var (
	// ErrCannotPost: the bot may not write there, and trying again is no use.
	ErrCannotPost = errors.New("the bot cannot post there")
	// ErrGone: the message is not there any more, or cannot be edited.
	ErrGone = errors.New("the message is gone")
	// ErrNotFound: there is no such person, channel or group.
	ErrNotFound = errors.New("not found")
	// ErrTrigger: the short time in which a form may be opened is over.
	ErrTrigger = errors.New("the time to open a form is over")
	// ErrRejected: Slack will never take this; it is the bot's own fault.
	ErrRejected = errors.New("rejected")
	// ErrUnavailable: Slack did not answer, or asked to wait.
	ErrUnavailable = errors.New("no answer from Slack, or it asked to wait")
)

// APIError is a failed call of the Web API.
type APIError struct {
	Method string // such as "chat.update"
	// Code is Slack's own, such as "not_in_channel"; empty when none came.
	Code string
	// Kind is one of the errors above.
	Kind error
	// After is how long Slack asked to wait.
	After time.Duration
	// Needed is the scope that is missing, if that is the matter.
	Needed string
	// Detail is Slack's own words on what was wrong, or what the network said.
	Detail string
	// Unclear says that the call may have taken effect, or may yet.
	Unclear bool
}

func (e *APIError) Error() string {
	s := e.Method + ": " + e.Kind.Error()
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Needed != "" {
		s += " (the scope " + e.Needed + " is missing)"
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap gives the kind.
func (e *APIError) Unwrap() error { return e.Kind }

// RetryAfter is how long Slack asked to wait; the socket honours it.
func (e *APIError) RetryAfter() time.Duration { return e.After }

// fatal are the codes after which no call with this token can succeed.
var fatal = map[string]string{
	"invalid_auth":            "the token is not valid",
	"not_authed":              "no token was sent",
	"account_inactive":        "the token belongs to a removed app or workspace",
	"token_revoked":           "the token was revoked",
	"token_expired":           "the token has expired; token rotation must be off for this app",
	"not_allowed_token_type":  "the token is of the wrong kind",
	"missing_scope":           "the token lacks a scope",
	"no_permission":           "the token lacks a permission",
	"org_login_required":      "the workspace is being moved to an organisation",
	"team_disabled":           "the workspace is disabled",
	"user_removed_from_team":  "the bot was removed from the workspace",
	"forbidden_team":          "the workspace does not allow the app",
	"access_denied":           "access is denied to the token",
	"team_access_not_granted": "the workspace did not grant access to the app",
}

// codes maps Slack's error codes to what they mean. A code that is not here
// is ErrRejected: sending the same again will bring the same.
var codes = map[string]error{
	"channel_not_found": ErrCannotPost, "not_in_channel": ErrCannotPost, "is_archived": ErrCannotPost,
	"restricted_action": ErrCannotPost, "restricted_action_read_only_channel": ErrCannotPost,
	"messages_tab_disabled": ErrCannotPost, "user_not_in_channel": ErrCannotPost,
	"cannot_dm_bot": ErrCannotPost, "channel_is_archived": ErrCannotPost,
	"message_not_found": ErrGone, "cant_update_message": ErrGone, "edit_window_closed": ErrGone,
	"user_not_found": ErrNotFound, "users_not_found": ErrNotFound, "user_not_visible": ErrNotFound,
	"no_such_subteam": ErrNotFound, "subteam_not_found": ErrNotFound,
	"trigger_expired": ErrTrigger, "expired_trigger_id": ErrTrigger,
	"trigger_exchanged": ErrTrigger, "exchanged_trigger_id": ErrTrigger, "invalid_trigger_id": ErrTrigger,
	"ratelimited": ErrUnavailable, "rate_limited": ErrUnavailable, "internal_error": ErrUnavailable,
	"fatal_error": ErrUnavailable, "service_unavailable": ErrUnavailable, "request_timeout": ErrUnavailable,
	"accesslimited": ErrUnavailable,
}

// halfDone are the codes after which a part of the call may have been done.
var halfDone = map[string]bool{"internal_error": true, "fatal_error": true, "request_timeout": true}

// classify turns an error of slack-go into one that says what it means. It is
// the one place that looks at Slack's codes.
func classify(method string, err error) error {
	if err == nil {
		return nil
	}
	e := &APIError{Method: method, Kind: ErrUnavailable}
	var answer slack.SlackErrorResponse
	var limited *slack.RateLimitedError
	var status slack.StatusCodeError
	switch {
	case errors.As(err, &answer):
		e.Code = answer.Err
		e.Needed = answer.Needed
		e.Unclear = halfDone[answer.Err]
		e.Kind = ErrRejected
		if kind, ok := codes[answer.Err]; ok {
			e.Kind = kind
		}
		if len(answer.ResponseMetadata.Messages) > 0 {
			e.Detail = clean(strings.Join(answer.ResponseMetadata.Messages, "; "), 300)
		}
		if why, ok := fatal[answer.Err]; ok && (method == "auth.test" || method == "apps.connections.open") {
			variable := "SLACK_BOT_TOKEN"
			if method == "apps.connections.open" {
				variable = "SLACK_APP_TOKEN"
			}
			reason := fmt.Sprintf("Slack refuses %s (%s): %s. Put a valid token there and start again.", variable, answer.Err, why)
			if answer.Needed != "" {
				reason = fmt.Sprintf("Slack refuses %s: the scope %s is missing. Add it to the app, install it again, and start again.", variable, clean(answer.Needed, 100))
			}
			return &socket.FatalError{Reason: reason, Err: e}
		}
	case errors.As(err, &limited):
		e.Code, e.After = "ratelimited", limited.RetryAfter
	case errors.As(err, &status):
		e.Detail = fmt.Sprintf("HTTP %d", status.Code)
		e.Unclear = status.Code >= 500
		if status.Code >= 400 && status.Code < 500 && status.Code != http.StatusTooManyRequests && status.Code != http.StatusRequestTimeout {
			e.Kind = ErrRejected // such as a response_url that is used up
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.Detail, e.Unclear = "no answer in time", true
	case errors.Is(err, context.Canceled):
		e.Detail, e.Unclear = "the bot is going down", true
	default:
		// The text may hold an address with a secret in it, so it is left out.
		e.Detail, e.Unclear = "the connection failed or the answer could not be read", true
	}
	return e
}

// Unclear says that the failed call may have taken effect, or may yet.
func Unclear(err error) bool {
	var e *APIError
	return errors.As(err, &e) && e.Unclear
}

// After is how long Slack asked to wait before the next try; zero if it did not.
func After(err error) time.Duration {
	var e *APIError
	if errors.As(err, &e) {
		return e.After
	}
	return 0
}
