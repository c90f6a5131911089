package slack_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qlik-chatops/bot/internal/emulator/slack"
)

func long(n int) string { return strings.Repeat("é", n) }

func actions(elements ...any) any { return map[string]any{"type": "actions", "elements": elements} }

func input(element map[string]any) any {
	return map[string]any{"type": "input", "label": plain("L"), "element": element}
}

func section(accessory map[string]any) any {
	return map[string]any{"type": "section", "text": plain("x"), "accessory": accessory}
}

func el(kind string, pairs ...any) map[string]any {
	m := map[string]any{"type": kind}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

func opts(n int) []any {
	var out []any
	for i := range n {
		out = append(out, map[string]any{"text": plain(fmt.Sprint("o", i)), "value": fmt.Sprint(i)})
	}
	return out
}

func times(n int, v func() any) []any {
	var out []any
	for range n {
		out = append(out, v())
	}
	return out
}

func rich(elements ...any) any {
	return el("rich_text", "elements", []any{el("rich_text_section", "elements", elements)})
}

// TestWhatBlockKitTakes has pairs: just inside a limit, and just outside.
func TestWhatBlockKitTakes(t *testing.T) {
	press := func(pairs ...any) map[string]any {
		return el("button", append([]any{"text", plain("x")}, pairs...)...)
	}
	confirm := func(pairs ...any) map[string]any {
		m := map[string]any{"title": plain("t"), "text": plain("x"), "confirm": plain("y"), "deny": plain("n")}
		for i := 0; i+1 < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return press("confirm", m)
	}
	one := func(b any) []any { return []any{b} }
	for _, c := range []struct {
		name   string
		blocks []any
		want   string // part of a complaint; empty: taken
	}{
		{"50 blocks", dividers(50), ""},
		{"51 blocks", dividers(51), "no more than 50 items allowed [json-pointer:/blocks]"},
		{"no object", one("text"), "must provide an object [json-pointer:/blocks/0]"},
		{"unknown block", one(el("carousel")), "unsupported type: carousel [json-pointer:/blocks/0/type]"},
		{"unknown property", one(el("divider", "colour", "red")), "unexpected property: colour [json-pointer:/blocks/0/colour]"},
		{"block_id of 255", one(el("divider", "block_id", long(255))), ""},
		{"block_id of 256", one(el("divider", "block_id", long(256))), "must be less than 256 characters [json-pointer:/blocks/0/block_id]"},
		{"block_id twice", []any{el("divider", "block_id", "a"), el("divider", "block_id", "a")}, "[json-pointer:/blocks/1/block_id]"},

		{"section text of 3000", one(el("section", "text", mrkdwn(long(3000)))), ""},
		{"section text of 3001", one(el("section", "text", mrkdwn(long(3001)))), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		{"empty text", one(el("section", "text", mrkdwn(""))), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		{"section without anything", one(el("section")), "missing required field: text or fields"},
		{"text as a string", one(el("section", "text", "x")), "must provide a text object [json-pointer:/blocks/0/text]"},
		{"10 fields", one(el("section", "fields", times(10, func() any { return mrkdwn(long(2000)) }))), ""},
		{"11 fields", one(el("section", "fields", times(11, func() any { return mrkdwn("x") }))), "no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		{"field of 2001", one(el("section", "fields", []any{mrkdwn(long(2001))})), "[json-pointer:/blocks/0/fields/0/text]"},
		{"verbatim in plain_text", one(el("section", "text", el("plain_text", "text", "x", "verbatim", true))), "unexpected property: verbatim"},
		{"emoji in mrkdwn", one(el("section", "text", el("mrkdwn", "text", "x", "emoji", true))), "unexpected property: emoji"},
		{"image beside a section", one(section(el("image", "image_url", "https://example.com/a.png", "alt_text", "x"))), ""},
		{"input beside a section", one(section(el("plain_text_input"))), "unsupported type: plain_text_input [json-pointer:/blocks/0/accessory/type]"},

		{"header of 150", one(el("header", "text", plain(long(150)))), ""},
		{"header of 151", one(el("header", "text", plain(long(151)))), "[json-pointer:/blocks/0/text/text]"},
		{"header in mrkdwn", one(el("header", "text", mrkdwn("x"))), "[json-pointer:/blocks/0/text/type]"},

		{"context of 10", one(el("context", "elements", times(10, func() any { return plain("x") }))), ""},
		{"context of 11", one(el("context", "elements", times(11, func() any { return plain("x") }))), "no more than 10 items allowed [json-pointer:/blocks/0/elements]"},
		{"context of none", one(el("context", "elements", []any{})), "no fewer than 1 items allowed"},
		{"button in a context", one(el("context", "elements", []any{press()})), "[json-pointer:/blocks/0/elements/0/type]"},
		{"image in a context", one(el("context", "elements", []any{el("image", "image_url", "https://example.com/a.png")})), "missing required field: alt_text"},

		{"25 buttons", one(actions(times(25, func() any { return press() })...)), ""},
		{"26 buttons", one(actions(times(26, func() any { return press() })...)), "no more than 25 items allowed [json-pointer:/blocks/0/elements]"},
		{"no buttons", one(el("actions", "elements", []any{})), "no fewer than 1 items allowed"},
		{"action_id twice in a block", one(actions(press("action_id", "a"), press("action_id", "a"))), "[json-pointer:/blocks/0/elements/1/action_id]"},
		{"action_id twice in two blocks", []any{actions(press("action_id", "a")), actions(press("action_id", "a"))}, ""},
		{"action_id of 256", one(actions(press("action_id", long(256)))), "[json-pointer:/blocks/0/elements/0/action_id]"},
		{"button text of 75", one(actions(press("text", plain(long(75))))), ""},
		{"button text of 76", one(actions(press("text", plain(long(76))))), "[json-pointer:/blocks/0/elements/0/text/text]"},
		{"button in mrkdwn", one(actions(press("text", mrkdwn("x")))), "[json-pointer:/blocks/0/elements/0/text/type]"},
		{"button without text", one(actions(el("button"))), "missing required field: text"},
		{"button value of 2000", one(actions(press("value", long(2000)))), ""},
		{"button value of 2001", one(actions(press("value", long(2001)))), "[json-pointer:/blocks/0/elements/0/value]"},
		{"button value that is a number", one(actions(press("value", 1))), "must provide a string"},
		{"button url of 3001", one(actions(press("url", long(3001)))), "[json-pointer:/blocks/0/elements/0/url]"},
		{"accessibility_label of 76", one(actions(press("accessibility_label", long(76)))), "[json-pointer:/blocks/0/elements/0/accessibility_label]"},
		{"button style", one(actions(press("style", "danger"))), ""},
		{"unknown button style", one(actions(press("style", "loud"))), "must be one of"},
		{"multi select in actions", one(actions(el("multi_users_select"))), "unsupported type: multi_users_select"},

		{"confirm", one(actions(confirm("title", plain(long(100)), "text", mrkdwn(long(300)), "confirm", plain(long(30)), "deny", plain(long(30)), "style", "danger"))), ""},
		{"confirm title of 101", one(actions(confirm("title", plain(long(101))))), "/confirm/title/text]"},
		{"confirm text of 301", one(actions(confirm("text", plain(long(301))))), "/confirm/text/text]"},
		{"confirm button of 31", one(actions(confirm("confirm", plain(long(31))))), "/confirm/confirm/text]"},
		{"deny button of 31", one(actions(confirm("deny", plain(long(31))))), "/confirm/deny/text]"},
		{"confirm without deny", one(actions(confirm("deny", nil))), "missing required field: deny"},

		{"100 options", one(actions(el("static_select", "options", opts(100)))), ""},
		{"101 options", one(actions(el("static_select", "options", opts(101)))), "no more than 100 items allowed"},
		{"no options", one(actions(el("static_select"))), "must define either `options` or `option_groups`"},
		{"empty options", one(actions(el("static_select", "options", []any{}))), "no fewer than 1 items allowed"},
		{"option groups", one(actions(el("static_select", "option_groups", []any{map[string]any{"label": plain("g"), "options": opts(2)}}))), ""},
		{"option text of 76", one(actions(el("static_select", "options", []any{map[string]any{"text": plain(long(76)), "value": "v"}}))), "/options/0/text/text]"},
		{"option value of 151", one(actions(el("static_select", "options", []any{map[string]any{"text": plain("x"), "value": long(151)}}))), "/options/0/value]"},
		{"option description of 76", one(actions(el("static_select", "options", []any{map[string]any{"text": plain("x"), "value": "v", "description": plain(long(76))}}))), "/options/0/description/text]"},
		{"option in mrkdwn", one(actions(el("static_select", "options", []any{map[string]any{"text": mrkdwn("x"), "value": "v"}}))), "/options/0/text/type]"},
		{"initial option on offer", one(actions(el("static_select", "options", opts(2), "initial_option", opts(2)[1]))), ""},
		{"initial option not on offer", one(actions(el("static_select", "options", opts(2), "initial_option", opts(3)[2]))), "initial option must be one of the options"},
		{"placeholder of 151", one(actions(el("static_select", "options", opts(1), "placeholder", plain(long(151))))), "/placeholder/text]"},
		{"10 boxes", one(input(el("checkboxes", "options", opts(10)))), ""},
		{"11 boxes", one(input(el("checkboxes", "options", opts(11)))), "no more than 10 items allowed"},
		{"11 radio buttons", one(input(el("radio_buttons", "options", opts(11)))), "no more than 10 items allowed"},
		{"box in mrkdwn", one(input(el("checkboxes", "options", []any{map[string]any{"text": mrkdwn("x"), "value": "v"}}))), ""},
		{"5 in an overflow menu", one(section(el("overflow", "options", opts(5)))), ""},
		{"6 in an overflow menu", one(section(el("overflow", "options", opts(6)))), "no more than 5 items allowed"},

		{"input label of 2001", one(el("input", "label", plain(long(2001)), "element", el("plain_text_input"))), "/label/text]"},
		{"input hint of 2001", one(el("input", "label", plain("x"), "hint", plain(long(2001)), "element", el("plain_text_input"))), "/hint/text]"},
		{"input without element", one(el("input", "label", plain("x"))), "missing required field: element"},
		{"input without label", one(el("input", "element", el("plain_text_input"))), "missing required field: label"},
		{"button as input", one(input(press())), "unsupported type: button [json-pointer:/blocks/0/element/type]"},
		{"max_length of 3001", one(input(el("plain_text_input", "max_length", 3001))), "/max_length]"},
		{"min above max", one(input(el("plain_text_input", "min_length", 5, "max_length", 4))), "/min_length]"},
		{"number_input without is_decimal_allowed", one(input(el("number_input"))), "missing required field: is_decimal_allowed"},
		{"number_input with a bound that is none", one(input(el("number_input", "is_decimal_allowed", true, "min_value", "x"))), "/min_value]"},
		{"date that is none", one(input(el("datepicker", "initial_date", "1.2.2030"))), "/initial_date]"},
		{"time that is none", one(input(el("timepicker", "initial_time", "9:30"))), "/initial_time]"},
		{"file_input in a message", one(input(el("file_input"))), "unsupported type: file_input"},
		{"two with focus", []any{input(el("plain_text_input", "focus_on_load", true)), input(el("plain_text_input", "focus_on_load", true))}, "only one element may have focus"},
		{"unknown property of an element", one(actions(press("colour", "red"))), "unexpected property: colour"},
		{"unknown element", one(actions(el("telepathy"))), "unsupported type: telepathy"},

		{"image", one(el("image", "image_url", "https://example.com/a.png", "alt_text", "x")), ""},
		{"image from two places", one(el("image", "image_url", "https://example.com/a.png", "slack_file", map[string]any{}, "alt_text", "x")), "but not both"},
		{"image without alt_text", one(el("image", "image_url", "https://example.com/a.png")), "missing required field: alt_text"},

		{"markdown", one(el("markdown", "text", long(12000))), ""},
		{"markdown of 12001 in two", []any{el("markdown", "text", long(6000)), el("markdown", "text", long(6001))}, "together [json-pointer:/blocks]"},

		{"rich text", one(rich(el("text", "text", "x", "style", map[string]any{"bold": true}), el("link", "url", "https://example.com"), el("user", "user_id", "U1"), el("broadcast", "range", "here"))), ""},
		{"rich text list", one(el("rich_text", "elements", []any{el("rich_text_list", "style", "bullet", "elements", []any{el("rich_text_section", "elements", []any{el("text", "text", "x")})})})), ""},
		{"rich text list of text", one(el("rich_text", "elements", []any{el("rich_text_list", "style", "bullet", "elements", []any{el("text", "text", "x")})})), "unsupported type: text"},
		{"empty rich text", one(rich(el("text", "text", ""))), "must be more than 0 characters"},
		{"unknown rich text", one(rich(el("blink", "text", "x"))), "unsupported type: blink"},
		{"unknown style", one(rich(el("text", "text", "x", "style", map[string]any{"huge": true}))), "unexpected property: huge"},
		{"style that is a string", one(rich(el("text", "text", "x", "style", map[string]any{"bold": "yes"}))), "must be a boolean"},
		{"paragraph without a section", one(el("rich_text", "elements", []any{el("text", "text", "x")})), "unsupported type: text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
				r := a.callJSON("chat.postMessage", map[string]any{"channel": "C0OPS", "text": "x", "blocks": c.blocks})
				if c.want == "" {
					wantOK(t, r)
					return
				}
				wantError(t, r, "invalid_blocks")
				messages := mustUnescape(mustJSON(t, at(r["response_metadata"], "messages")))
				if !strings.Contains(messages, c.want) || !strings.Contains(messages, "[ERROR] ") {
					t.Errorf("got %s, want %s", messages, c.want)
				}
				if errs, _ := r["errors"].([]any); len(errs) == 0 {
					t.Error("errors are not given")
				}
				if len(s.Messages("C0OPS")) != 0 {
					t.Error("it was posted all the same")
				}
			})
		})
	}
}

func mustUnescape(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }

func TestBlocksInAttachmentsAreCheckedToo(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		r := a.callJSON("chat.postMessage", map[string]any{"channel": "C0OPS", "attachments": []any{map[string]any{"blocks": []any{el("carousel")}}}})
		wantError(t, r, "invalid_blocks")
		if !strings.Contains(mustJSON(t, r), "/attachments/0/blocks/0/type") {
			t.Errorf("got %v", r)
		}
		r = a.callJSON("chat.postMessage", map[string]any{"channel": "C0OPS", "attachments": times(101, func() any { return map[string]any{} })})
		wantError(t, r, "too_many_attachments")
	})
}

func TestMissingIDsAreMadeUp(t *testing.T) {
	inBubble(t, slack.Config{}, func(t *testing.T, s *slack.Server, a *app) {
		post(t, a, []any{actions(el("button", "text", plain("x")), el("button", "text", plain("y")))})
		b := s.Messages("C0OPS")[0].Blocks[0]
		x, y := at(b["elements"], 0, "action_id"), at(b["elements"], 1, "action_id")
		if b["block_id"] == nil || x == nil || y == nil || x == y {
			t.Fatalf("got %v", b)
		}
	})
}
