package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// OpenHome opens the app's Home tab, which sends app_home_opened. The outcome
// is that of the first delivery; one that was not acknowledged is repeated in
// the background.
func (s *Server) OpenHome(ctx context.Context, userID string) (Outcome, error) {
	s.mu.Lock()
	if _, err := s.insiderLocked(userID); err != nil {
		s.mu.Unlock()
		return Outcome{}, fmt.Errorf("open Home: %w", err)
	}
	event := map[string]any{"user": userID, "channel": s.dmLocked(userID).ID, "tab": "home"}
	if v := s.homes[userID]; v != nil {
		event["view"] = s.viewJSON(v, initialState(v.blocks()))
	}
	first, ok := s.emitLocked("app_home_opened", "", event)
	s.mu.Unlock()
	if !ok {
		return Outcome{}, fmt.Errorf("open Home: %w", ErrNotSubscribed)
	}
	select {
	case o := <-first:
		return o, nil
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	case <-s.done:
		return Outcome{}, ErrClosed
	}
}

// ClickHome acts on an element of somebody's Home tab.
func (s *Server) ClickHome(ctx context.Context, userID, actionID string, opts ...ClickOption) (Outcome, error) {
	s.mu.Lock()
	v := s.homes[userID]
	s.mu.Unlock()
	if v == nil {
		return Outcome{}, fmt.Errorf("click %s on Home: %w", actionID, ErrNoView)
	}
	return s.clickIn(ctx, userID, v, actionID, opts)
}

// ClickView acts on an element of a form. What is chosen stays in the form
// until it is submitted or updated.
func (s *Server) ClickView(ctx context.Context, userID, viewID, actionID string, opts ...ClickOption) (Outcome, error) {
	s.mu.Lock()
	v, _ := s.openLocked(userID, viewID)
	s.mu.Unlock()
	if v == nil {
		return Outcome{}, fmt.Errorf("click %s in %s: %w", actionID, viewID, ErrNoView)
	}
	return s.clickIn(ctx, userID, v, actionID, opts)
}

// openLocked finds a form on somebody's stack, and its place there.
func (s *Server) openLocked(userID, viewID string) (*view, int) {
	for i, v := range s.stacks[userID] {
		if v.id == viewID {
			return v, i
		}
	}
	return nil, -1
}

// stateNow is what a view holds: initial values and what was chosen since. As
// at Slack, an input that keeps its IDs over an update keeps its value.
func (v *view) stateNow() states {
	state := initialState(v.blocks())
	for block, actions := range v.state {
		for action, value := range actions {
			if _, still := state[block][action]; still {
				state[block][action] = value
			}
		}
	}
	return state
}

func (s *Server) clickIn(ctx context.Context, userID string, v *view, actionID string, opts []ClickOption) (Outcome, error) {
	s.mu.Lock()
	payload, err := func() (map[string]any, error) {
		u, err := s.personLocked(userID)
		if err != nil {
			return nil, err
		}
		state := v.stateNow()
		action, err := s.actionLocked(state, v.blocks(), actionID, opts)
		if err != nil {
			return nil, err
		}
		v.state = state
		payload := s.payloadLocked("block_actions", u)
		payload["container"] = map[string]any{"type": "view", "view_id": v.id}
		payload["trigger_id"] = s.triggerLocked(u.ID, v.id)
		payload["view"] = s.viewJSON(v, state)
		payload["actions"] = []any{action}
		return payload, nil
	}()
	s.mu.Unlock()
	if err != nil {
		return Outcome{}, fmt.Errorf("click %s in %s: %w", actionID, v.id, err)
	}
	return s.interact(ctx, "interactive", payload, InteractionFailed)
}

// SubmitView fills in a form and sends it. ErrInput means that the form itself
// did not let it through, for example because an obligatory input is empty.
func (s *Server) SubmitView(ctx context.Context, userID, viewID string, values Values) (Outcome, error) {
	s.mu.Lock()
	payload, err := func() (map[string]any, error) {
		u, err := s.personLocked(userID)
		if err != nil {
			return nil, err
		}
		v, i := s.openLocked(userID, viewID)
		switch {
		case v == nil || i != len(s.stacks[userID])-1:
			return nil, ErrNoView
		case v.def["submit"] == nil:
			return nil, fmt.Errorf("%w: the form has no submit button", ErrInput)
		case v.flag("submit_disabled"):
			return nil, fmt.Errorf("%w: the submit button is off", ErrInput)
		}
		state := v.stateNow()
		if err := s.applyLocked(state, v.blocks(), values); err != nil {
			return nil, err
		}
		v.state = state // what was typed stays if the answer is an error
		if block := missingInput(state, v.blocks()); block != "" {
			return nil, fmt.Errorf("%w: %s is empty", ErrInput, block)
		}
		payload := s.payloadLocked("view_submission", u)
		payload["trigger_id"] = s.triggerLocked(u.ID, v.id)
		payload["view"] = s.viewJSON(v, state)
		payload["response_urls"] = []any{}
		return payload, nil
	}()
	s.mu.Unlock()
	if err != nil {
		return Outcome{}, fmt.Errorf("submit %s: %w", viewID, err)
	}
	o, err := s.interact(ctx, "interactive", payload, SubmissionFailed)
	if err != nil || o.Status != Acknowledged {
		return o, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.answerLocked(userID, viewID, &o); code != "" {
		o.Status, o.Problem = SubmissionFailed, code
	}
	return o, nil
}

// answerLocked does what the acknowledgement of a submission asks, or says why
// it cannot be done.
func (s *Server) answerLocked(userID, viewID string, o *Outcome) string {
	v, i := s.openLocked(userID, viewID)
	if v == nil {
		return "" // closed or replaced meanwhile: there is nothing left to answer
	}
	var body struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   map[string]any    `json:"view"`
	}
	if o.Payload != nil {
		if err := json.Unmarshal(o.Payload, &body); err != nil {
			return "the answer cannot be read"
		}
	}
	o.ResponseAction = body.Action
	switch body.Action {
	case "":
		s.dismiss(userID, i)
	case "clear":
		s.dismiss(userID, 0)
	case "errors":
		if len(body.Errors) == 0 {
			return "no errors are given"
		}
		for block := range body.Errors {
			if !slices.ContainsFunc(interactive(v.blocks()), func(p placed) bool { return p.input && p.block == block }) {
				return "errors names a block that is no input: " + block
			}
		}
		v.errors, o.Errors = body.Errors, maps.Clone(body.Errors)
		s.notifyLocked(Event{Kind: ViewsChanged, User: userID, ID: v.id})
	case "update", "push":
		if bad := s.badView(body.View, "modal"); bad != nil {
			return problem(bad)
		}
		if body.Action == "update" {
			s.fill(v, body.View)
			return ""
		}
		if _, code := s.push(userID, body.View); code != "" {
			return code
		}
	default:
		return "unknown response_action " + body.Action
	}
	return ""
}

// CloseView closes a form, and those above it, with its close button. The app
// hears of it only where the form had notify_on_close. A form with
// clear_on_close takes the whole stack with it.
func (s *Server) CloseView(ctx context.Context, userID, viewID string) (Outcome, error) {
	s.mu.Lock()
	v, i := s.openLocked(userID, viewID)
	if v == nil {
		s.mu.Unlock()
		return Outcome{}, fmt.Errorf("close %s: %w", viewID, ErrNoView)
	}
	all := v.flag("clear_on_close")
	if all {
		i = 0
	}
	return s.closeLocked(ctx, userID, v, i, all)
}

// CloseAllViews closes all forms at once. is_cleared is true then.
func (s *Server) CloseAllViews(ctx context.Context, userID string) (Outcome, error) {
	s.mu.Lock()
	stack := s.stacks[userID]
	if len(stack) == 0 {
		s.mu.Unlock()
		return Outcome{}, fmt.Errorf("close all forms of %s: %w", userID, ErrNoView)
	}
	return s.closeLocked(ctx, userID, stack[len(stack)-1], 0, true)
}

// closeLocked gives the lock back.
func (s *Server) closeLocked(ctx context.Context, userID string, v *view, from int, cleared bool) (Outcome, error) {
	u, err := s.personLocked(userID)
	if err != nil {
		s.mu.Unlock()
		return Outcome{}, fmt.Errorf("close %s: %w", v.id, err)
	}
	payload := s.payloadLocked("view_closed", u)
	payload["view"] = s.viewJSON(v, v.stateNow())
	payload["is_cleared"] = cleared
	payload["action_ts"] = formatTS(time.Now().UnixMicro())
	s.dismiss(userID, from)
	s.mu.Unlock()
	if !v.flag("notify_on_close") {
		return Outcome{Status: Acknowledged}, nil
	}
	return s.interact(ctx, "interactive", payload, InteractionFailed)
}
