package slack

import (
	"fmt"
	"math"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// states is state.values of a payload: by block_id and action_id.
type states = map[string]map[string]any

// stateful says how the value of an element is called in a state, and how its
// initial value is called in its definition. Buttons and overflow menus have
// no state.
func stateful(kind string) (key, initial string, many, ok bool) {
	switch kind {
	case "plain_text_input", "email_text_input", "number_input":
		return "value", "initial_value", false, true
	case "static_select", "radio_buttons":
		return "selected_option", "initial_option", false, true
	case "multi_static_select", "checkboxes":
		return "selected_options", "initial_options", true, true
	case "users_select":
		return "selected_user", "initial_user", false, true
	case "multi_users_select":
		return "selected_users", "initial_users", true, true
	case "conversations_select":
		return "selected_conversation", "initial_conversation", false, true
	case "multi_conversations_select":
		return "selected_conversations", "initial_conversations", true, true
	case "datepicker":
		return "selected_date", "initial_date", false, true
	case "timepicker":
		return "selected_time", "initial_time", false, true
	case "file_input":
		return "files", "", true, true
	}
	return "", "", false, false
}

// initialState is the state of blocks that nobody has touched.
func initialState(blocks []any) states {
	out := states{}
	for _, p := range interactive(blocks) {
		key, initial, many, ok := stateful(p.kind)
		if !ok {
			continue
		}
		value := p.element[initial]
		if value == nil && many {
			value = []any{}
		}
		put(out, p, map[string]any{"type": p.kind, key: value})
	}
	return out
}

func put(out states, p placed, value map[string]any) {
	if out[p.block] == nil {
		out[p.block] = map[string]any{}
	}
	out[p.block][p.action()] = value
}

// applyLocked fills values into a state, refusing what the client's own
// elements would not let through.
func (s *Server) applyLocked(state states, blocks []any, values Values) error {
	all := interactive(blocks)
	for _, name := range slices.Sorted(keysOf(values)) {
		var hits []placed
		for _, p := range all {
			if _, _, _, ok := stateful(p.kind); ok && (name == p.block+"/"+p.action() || name == p.block || name == p.action()) {
				hits = append(hits, p)
			}
		}
		if len(hits) != 1 {
			return fmt.Errorf("%w: %q names %d inputs", ErrInput, name, len(hits))
		}
		value, err := s.valueLocked(hits[0], values[name])
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInput, name, err)
		}
		put(state, hits[0], value)
	}
	return nil
}

func keysOf(v Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range v {
			if !yield(k) {
				return
			}
		}
	}
}

// valueLocked turns what somebody gives to an element into its state.
func (s *Server) valueLocked(p placed, given any) (map[string]any, error) {
	key, _, many, _ := stateful(p.kind)
	var list []string
	switch v := given.(type) {
	case nil:
	case string:
		if v != "" {
			list = []string{v}
		}
	case []string:
		list = v
	default:
		return nil, fmt.Errorf("a value is a string, a []string or nil, not %T", given)
	}
	if !many && len(list) > 1 {
		return nil, fmt.Errorf("takes one value, not %d", len(list))
	}
	if most, ok := p.element["max_selected_items"].(float64); ok && len(list) > int(most) {
		return nil, fmt.Errorf("takes at most %d values", int(most))
	}
	items := []any{}
	for _, text := range list {
		item, err := s.itemLocked(p, text)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	out := map[string]any{"type": p.kind, key: nil}
	switch {
	case many:
		out[key] = items
	case len(items) == 1:
		out[key] = items[0]
	}
	return out, nil
}

// itemLocked checks one value and gives it the form it has in a state.
func (s *Server) itemLocked(p placed, text string) (any, error) {
	switch p.kind {
	case "static_select", "multi_static_select", "checkboxes", "radio_buttons", "overflow":
		for _, o := range p.offered() {
			if o["value"] == text {
				return o, nil
			}
		}
		return nil, fmt.Errorf("%q is not on offer", text)
	case "users_select", "multi_users_select":
		if s.users[text] == nil {
			return nil, fmt.Errorf("%s: %w", text, ErrUnknownUser)
		}
	case "conversations_select", "multi_conversations_select":
		if s.channels[text] == nil {
			return nil, fmt.Errorf("%s: %w", text, ErrUnknownChannel)
		}
	case "datepicker":
		if !dateForm.MatchString(text) {
			return nil, fmt.Errorf("%q is no date", text)
		}
	case "timepicker":
		if !timeForm.MatchString(text) {
			return nil, fmt.Errorf("%q is no time", text)
		}
	case "plain_text_input":
		n := utf8.RuneCountInString(text)
		if least, ok := p.element["min_length"].(float64); ok && n < int(least) {
			return nil, fmt.Errorf("needs at least %d characters", int(least))
		}
		most, ok := p.element["max_length"].(float64)
		if !ok {
			most = maxInputLength
		}
		if n > int(most) {
			return nil, fmt.Errorf("takes at most %d characters", int(most))
		}
		if multiline, _ := p.element["multiline"].(bool); !multiline && strings.Contains(text, "\n") {
			return nil, fmt.Errorf("takes one line")
		}
	case "email_text_input":
		if a, err := mail.ParseAddress(text); err != nil || a.Address != text {
			return nil, fmt.Errorf("%q is no e-mail address", text)
		}
	case "number_input":
		return text, checkNumber(p, text)
	case "file_input":
		return map[string]any{"id": text}, nil
	}
	return text, nil
}

func checkNumber(p placed, text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%q is no number", text)
	}
	if decimal, _ := p.element["is_decimal_allowed"].(bool); !decimal && n != math.Trunc(n) {
		return fmt.Errorf("%q is no whole number", text)
	}
	bound := func(key string, fallback float64) float64 {
		text, _ := p.element[key].(string)
		if b, err := strconv.ParseFloat(text, 64); err == nil {
			return b
		}
		return fallback
	}
	if n < bound("min_value", math.Inf(-1)) || n > bound("max_value", math.Inf(1)) {
		return fmt.Errorf("%q is out of bounds", text)
	}
	return nil
}

// missingInput names the first obligatory input block that is empty.
func missingInput(state states, blocks []any) string {
	for _, p := range interactive(blocks) {
		key, _, _, ok := stateful(p.kind)
		if !ok || !p.input || p.optional {
			continue
		}
		one, _ := state[p.block][p.action()].(map[string]any)
		switch v := one[key].(type) {
		case nil:
			return p.block
		case []any:
			if len(v) == 0 {
				return p.block
			}
		case string:
			if v == "" {
				return p.block
			}
		}
	}
	return ""
}
