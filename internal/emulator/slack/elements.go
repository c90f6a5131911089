package slack

import (
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
)

// Limits of block elements (docs.slack.dev, reference/block-kit/block-elements
// and composition-objects).
const (
	maxButtonText  = 75
	maxButtonValue = 2000
	maxAccessible  = 75
	maxPlaceholder = 150
	maxOptions     = 100
	maxGroups      = 100
	maxBoxes       = 10
	maxOverflow    = 5
	maxOptionText  = 75
	maxOptionValue = 150
	maxInputLength = 3000
	maxFiles       = 10
)

var (
	dateForm = regexp.MustCompile(`^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$`)
	timeForm = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$`)
)

// elementKind says what an element may hold besides type and action_id, and in
// which blocks it may stand.
type elementKind struct {
	required, optional []string
	where              string // letters: s section, a actions, i input
	more               func(c *check, at string, m map[string]any)
}

func findElement(name string) (elementKind, bool) {
	common := []string{"placeholder", "focus_on_load", "confirm"}
	with := func(more ...string) []string { return append(slices.Clone(common), more...) }
	kind, ok := map[string]elementKind{
		"button": {
			required: []string{"text"}, where: "sa", more: (*check).button,
			optional: []string{"url", "value", "style", "confirm", "accessibility_label"},
		},
		"static_select":              {optional: with("options", "option_groups", "initial_option"), where: "sai", more: (*check).choices},
		"multi_static_select":        {optional: with("options", "option_groups", "initial_options", "max_selected_items"), where: "si", more: (*check).choices},
		"users_select":               {optional: with("initial_user"), where: "sai", more: (*check).ids},
		"multi_users_select":         {optional: with("initial_users", "max_selected_items"), where: "si", more: (*check).ids},
		"conversations_select":       {optional: with("initial_conversation", "default_to_current_conversation", "response_url_enabled", "filter"), where: "sai", more: (*check).ids},
		"multi_conversations_select": {optional: with("initial_conversations", "default_to_current_conversation", "max_selected_items", "filter"), where: "si", more: (*check).ids},
		"plain_text_input": {
			optional: []string{"placeholder", "focus_on_load", "initial_value", "multiline", "min_length", "max_length", "dispatch_action_config"},
			where:    "i", more: (*check).typed,
		},
		"email_text_input": {
			optional: []string{"placeholder", "focus_on_load", "initial_value", "dispatch_action_config"},
			where:    "i", more: (*check).typed,
		},
		"number_input": {
			required: []string{"is_decimal_allowed"}, where: "i", more: (*check).typed,
			optional: []string{"placeholder", "focus_on_load", "initial_value", "min_value", "max_value", "dispatch_action_config"},
		},
		"checkboxes":    {required: []string{"options"}, optional: []string{"initial_options", "confirm", "focus_on_load"}, where: "sai", more: (*check).boxes},
		"radio_buttons": {required: []string{"options"}, optional: []string{"initial_option", "confirm", "focus_on_load"}, where: "sai", more: (*check).boxes},
		"overflow":      {required: []string{"options"}, optional: []string{"confirm"}, where: "sa", more: (*check).overflow},
		"datepicker":    {optional: with("initial_date"), where: "sai", more: (*check).moment},
		"timepicker":    {optional: with("initial_time", "timezone"), where: "sai", more: (*check).moment},
		"file_input":    {optional: []string{"filetypes", "max_files"}, where: "i", more: (*check).files},
	}[name]
	return kind, ok
}

// element checks an interactive element; ids are the action_ids of its block.
func (c *check) element(at string, v any, block string, ids map[string]bool) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "must provide an object")
		return
	}
	name, _ := m["type"].(string)
	if name == "image" && block == "section" {
		c.contextElement(at, v)
		return
	}
	kind, known := findElement(name)
	if !known || !slices.Contains([]byte(kind.where), block[0]) {
		c.bad(pointer(at, "type"), "unsupported type: %v", m["type"])
		return
	}
	c.object(at, m, kind.required, append(slices.Clone(kind.optional), "action_id"))
	id := c.str(at, m, "action_id", 0, maxID)
	if id == "" {
		id = c.newID()
		m["action_id"] = id
	} else if ids[id] {
		c.bad(pointer(at, "action_id"), "`action_id` %s already exists in this block", id)
	}
	ids[id] = true
	c.optionalText(at, m, "placeholder", true, maxPlaceholder)
	c.boolean(at, m, "focus_on_load")
	if focus, _ := m["focus_on_load"].(bool); focus {
		if c.focused {
			c.bad(pointer(at, "focus_on_load"), "only one element may have focus")
		}
		c.focused = true
	}
	if confirm, present := m["confirm"]; present {
		c.confirm(pointer(at, "confirm"), confirm)
	}
	kind.more(c, at, m)
}

func (c *check) confirm(at string, v any) {
	m, ok := c.object(at, v, []string{"title", "text", "confirm", "deny"}, []string{"style"})
	if !ok {
		return
	}
	c.optionalText(at, m, "title", true, 100)
	c.optionalText(at, m, "text", false, 300)
	c.optionalText(at, m, "confirm", true, 30)
	c.optionalText(at, m, "deny", true, 30)
	c.oneOf(at, m, "style", "primary", "danger")
}

func (c *check) button(at string, m map[string]any) {
	c.optionalText(at, m, "text", true, maxButtonText)
	c.str(at, m, "url", 1, maxURL)
	c.str(at, m, "value", 0, maxButtonValue)
	c.str(at, m, "accessibility_label", 1, maxAccessible)
	c.oneOf(at, m, "style", "primary", "danger")
}

// option checks an option object. plain: its text must be plain_text.
func (c *check) option(at string, v any, plain bool) {
	m, ok := c.object(at, v, []string{"text", "value"}, []string{"description", "url"})
	if !ok {
		return
	}
	c.optionalText(at, m, "text", plain, maxOptionText)
	c.str(at, m, "value", 1, maxOptionValue)
	c.optionalText(at, m, "description", plain, maxOptionText)
	c.str(at, m, "url", 1, maxURL)
}

func (c *check) options(at string, m map[string]any, most int, plain bool) []any {
	list := c.list(at, m, "options", 1, most)
	for i, o := range list {
		c.option(pointer(at, "options", i), o, plain)
	}
	return list
}

// initial checks that what is chosen at first is on offer.
func (c *check) initial(at string, m map[string]any, offered []any) {
	chosen := c.list(at, m, "initial_options", 1, len(offered))
	if one, present := m["initial_option"]; present {
		chosen = []any{one}
	}
	for _, o := range chosen {
		if !slices.ContainsFunc(offered, func(p any) bool { return reflect.DeepEqual(o, p) }) {
			c.bad(at, "initial option must be one of the options")
		}
	}
}

func (c *check) choices(at string, m map[string]any) {
	if (m["options"] == nil) == (m["option_groups"] == nil) {
		c.bad(at, "must define either `options` or `option_groups`, but not both")
	}
	offered := c.options(at, m, maxOptions, true)
	for i, g := range c.list(at, m, "option_groups", 1, maxGroups) {
		here := pointer(at, "option_groups", i)
		if group, ok := c.object(here, g, []string{"label", "options"}, nil); ok {
			c.optionalText(here, group, "label", true, maxOptionText)
			offered = append(slices.Clone(offered), c.options(here, group, maxOptions, true)...)
		}
	}
	c.initial(at, m, offered)
	c.number(at, m, "max_selected_items", 1, math.MaxInt32)
}

func (c *check) ids(at string, m map[string]any) {
	for _, key := range []string{"initial_user", "initial_conversation", "initial_channel"} {
		c.str(at, m, key, 1, maxID)
	}
	for _, key := range []string{"initial_users", "initial_conversations"} {
		for i, id := range c.list(at, m, key, 0, 1<<10) {
			if _, ok := id.(string); !ok {
				c.bad(pointer(at, key, i), "must provide a string")
			}
		}
	}
	c.boolean(at, m, "default_to_current_conversation", "response_url_enabled")
	c.number(at, m, "max_selected_items", 1, math.MaxInt32)
	if filter, present := m["filter"]; present {
		c.object(pointer(at, "filter"), filter, nil, []string{"include", "exclude_external_shared_channels", "exclude_bot_users"})
	}
}

func (c *check) number(at string, m map[string]any, key string, least, most float64) (float64, bool) {
	v, present := m[key]
	if !present {
		return 0, false
	}
	n, ok := v.(float64)
	if !ok || n != math.Trunc(n) || n < least || n > most {
		c.bad(pointer(at, key), "must be a whole number from %.0f to %.0f", least, most)
		return 0, false
	}
	return n, true
}

func (c *check) typed(at string, m map[string]any) {
	c.str(at, m, "initial_value", 0, maxInputLength)
	c.boolean(at, m, "multiline", "is_decimal_allowed")
	least, hasLeast := c.number(at, m, "min_length", 0, maxInputLength)
	most, hasMost := c.number(at, m, "max_length", 1, maxInputLength)
	if hasLeast && hasMost && least > most {
		c.bad(pointer(at, "min_length"), "must not be more than max_length")
	}
	for _, key := range []string{"min_value", "max_value"} {
		if text := c.str(at, m, key, 1, maxID); text != "" {
			if _, err := strconv.ParseFloat(text, 64); err != nil {
				c.bad(pointer(at, key), "must be a number in a string")
			}
		}
	}
	if config, present := m["dispatch_action_config"]; present {
		c.object(pointer(at, "dispatch_action_config"), config, nil, []string{"trigger_actions_on"})
	}
}

func (c *check) boxes(at string, m map[string]any) {
	c.initial(at, m, c.options(at, m, maxBoxes, false))
}

func (c *check) overflow(at string, m map[string]any) { c.options(at, m, maxOverflow, true) }

func (c *check) moment(at string, m map[string]any) {
	if text := c.str(at, m, "initial_date", 1, maxID); text != "" && !dateForm.MatchString(text) {
		c.bad(pointer(at, "initial_date"), "must have the form YYYY-MM-DD")
	}
	if text := c.str(at, m, "initial_time", 1, maxID); text != "" && !timeForm.MatchString(text) {
		c.bad(pointer(at, "initial_time"), "must have the form HH:mm")
	}
	c.str(at, m, "timezone", 1, maxID)
}

func (c *check) files(at string, m map[string]any) {
	if c.surface != "modal" {
		c.bad(pointer(at, "type"), "unsupported type: file_input")
	}
	c.list(at, m, "filetypes", 1, 1<<10)
	c.number(at, m, "max_files", 1, maxFiles)
}

// checkView checks a view payload of its type ("modal" or "home").
func (s *Server) checkView(v map[string]any) []string {
	kind, _ := v["type"].(string)
	c := s.newCheck(kind)
	optional := []string{"private_metadata", "callback_id", "external_id"}
	switch kind {
	case "modal":
		c.object("/view", v, []string{"title", "blocks"}, append(optional, "submit", "close", "clear_on_close", "notify_on_close", "submit_disabled"))
		for _, key := range []string{"title", "submit", "close"} {
			if v[key] != nil {
				c.text(pointer("/view", key), v[key], true, 24)
			}
		}
		c.boolean("/view", v, "clear_on_close", "notify_on_close", "submit_disabled")
	case "home":
		c.object("/view", v, []string{"blocks"}, optional)
	default:
		c.bad("/view/type", "must be one of [modal home]")
		return c.complaints
	}
	c.str("/view", v, "private_metadata", 0, 3000)
	c.str("/view", v, "callback_id", 0, maxID)
	c.str("/view", v, "external_id", 0, maxID)
	if list, ok := v["blocks"].([]any); ok {
		c.blocks("/view/blocks", list)
	} else if v["blocks"] != nil {
		c.bad("/view/blocks", "must provide an array")
	}
	if kind == "modal" && c.inputs > 0 && v["submit"] == nil {
		c.bad("/view", "must have a `submit` text when there are input blocks")
	}
	return c.complaints
}

// interactive lists the elements of blocks that somebody can act on, with the
// block each stands in.
func interactive(blocks []any) []placed {
	var out []placed
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		id, _ := block["block_id"].(string)
		add := func(v any) {
			e, _ := v.(map[string]any)
			kind, _ := e["type"].(string)
			if _, ok := findElement(kind); ok {
				optional, _ := block["optional"].(bool)
				out = append(out, placed{
					block: id, kind: kind, element: e, input: block["type"] == "input", optional: optional,
				})
			}
		}
		switch block["type"] {
		case "section":
			add(block["accessory"])
		case "input":
			add(block["element"])
		case "actions":
			list, _ := block["elements"].([]any)
			for _, e := range list {
				add(e)
			}
		}
	}
	return out
}

// placed is an interactive element in its block.
type placed struct {
	block, kind     string
	element         map[string]any
	input, optional bool
}

func (p placed) action() string {
	id, _ := p.element["action_id"].(string)
	return id
}

// offered are the options of an element, those in groups included.
func (p placed) offered() []map[string]any {
	var out []map[string]any
	take := func(v any) {
		list, _ := v.([]any)
		for _, o := range list {
			if option, ok := o.(map[string]any); ok {
				out = append(out, maps.Clone(option))
			}
		}
	}
	take(p.element["options"])
	groups, _ := p.element["option_groups"].([]any)
	for _, g := range groups {
		group, _ := g.(map[string]any)
		take(group["options"])
	}
	return out
}
