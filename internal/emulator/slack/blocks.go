package slack

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// Limits of Block Kit (docs.slack.dev, reference/block-kit). Lengths are in
// characters.
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxID            = 255
	maxSection       = 3000
	maxFields        = 10
	maxField         = 2000
	maxHeader        = 150
	maxContext       = 10
	maxActions       = 25
	maxLabel         = 2000
	maxMarkdown      = 12000 // of all markdown blocks of a message together
	maxURL           = 3000
	maxAltText       = 2000
)

// check collects complaints about blocks, in Slack's way of saying them: a
// sentence and the JSON pointer of what it is about. It also fills in the
// block_id and action_id that the app left out.
type check struct {
	complaints []string
	surface    string // "message", "modal" or "home"
	newID      func() string
	blockIDs   map[string]bool
	markdown   int
	focused    bool
	inputs     int // input blocks seen
}

func (s *Server) newCheck(surface string) *check {
	return &check{
		surface: surface, blockIDs: map[string]bool{},
		newID: func() string { return s.idLocked("")[:5] },
	}
}

func (c *check) bad(at, format string, args ...any) {
	c.complaints = append(c.complaints, fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// object takes v for an object that has all required properties and no other
// than the optional ones. type is always allowed.
func (c *check) object(at string, v any, required, optional []string) (map[string]any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "must provide an object")
		return nil, false
	}
	for _, k := range required {
		if m[k] == nil {
			c.bad(at, "missing required field: %s", k)
			ok = false
		}
	}
	for _, k := range sortedKeys(m) {
		if k != "type" && !slices.Contains(required, k) && !slices.Contains(optional, k) {
			c.bad(pointer(at, k), "unexpected property: %s", k)
		}
	}
	return m, ok
}

// str checks an optional string property for its length.
func (c *check) str(at string, m map[string]any, key string, least, most int) string {
	v, present := m[key]
	if !present || v == nil {
		return ""
	}
	text, ok := v.(string)
	if !ok {
		c.bad(pointer(at, key), "must provide a string")
		return ""
	}
	c.length(pointer(at, key), text, least, most)
	return text
}

func (c *check) length(at, text string, least, most int) {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		c.bad(at, "must be more than %d characters", least-1)
	case n > most:
		c.bad(at, "must be less than %d characters", most+1)
	}
}

func (c *check) boolean(at string, m map[string]any, keys ...string) {
	for _, key := range keys {
		if v, present := m[key]; present {
			if _, ok := v.(bool); !ok {
				c.bad(pointer(at, key), "must be a boolean")
			}
		}
	}
}

// oneOf checks an optional string property for its value.
func (c *check) oneOf(at string, m map[string]any, key string, values ...string) {
	v, present := m[key]
	if !present {
		return
	}
	if text, ok := v.(string); !ok || !slices.Contains(values, text) {
		c.bad(pointer(at, key), "must be one of %v", values)
	}
}

// list takes an optional array property with so many items.
func (c *check) list(at string, m map[string]any, key string, least, most int) []any {
	v, present := m[key]
	if !present {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		c.bad(pointer(at, key), "must provide an array")
		return nil
	}
	switch {
	case len(items) < least:
		c.bad(pointer(at, key), "no fewer than %d items allowed", least)
	case len(items) > most:
		c.bad(pointer(at, key), "no more than %d items allowed", most)
	}
	return items
}

// text checks a text object of at most so many characters; it must never be
// empty. With plain only plain_text will do.
func (c *check) text(at string, v any, plain bool, most int) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "must provide a text object")
		return
	}
	switch kind := m["type"]; {
	case kind == "plain_text":
		c.object(at, v, []string{"text"}, []string{"emoji"})
		c.boolean(at, m, "emoji")
	case kind == "mrkdwn" && !plain:
		c.object(at, v, []string{"text"}, []string{"verbatim"})
		c.boolean(at, m, "verbatim")
	default:
		c.bad(pointer(at, "type"), "failed to match all allowed schemas")
		return
	}
	c.str(at, m, "text", 1, most)
}

// optionalText is text for a property that may be missing.
func (c *check) optionalText(at string, m map[string]any, key string, plain bool, most int) {
	if v, present := m[key]; present {
		c.text(pointer(at, key), v, plain, most)
	}
}

// blocks checks the blocks of a message or view, in place.
func (c *check) blocks(at string, list []any) {
	most := maxViewBlocks
	if c.surface == "message" {
		most = maxMessageBlocks
	}
	if len(list) > most {
		c.bad(at, "no more than %d items allowed", most)
		return
	}
	for i, b := range list {
		c.block(pointer(at, i), b)
	}
	if c.markdown > maxMarkdown {
		c.bad(at, "markdown blocks must be less than %d characters together", maxMarkdown+1)
	}
}

func (c *check) block(at string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "must provide an object")
		return
	}
	switch m["type"] {
	case "section":
		c.section(at, m)
	case "header":
		c.object(at, m, []string{"text"}, []string{"block_id"})
		c.optionalText(at, m, "text", true, maxHeader)
	case "divider":
		c.object(at, m, nil, []string{"block_id"})
	case "context":
		c.object(at, m, []string{"elements"}, []string{"block_id"})
		for i, e := range c.list(at, m, "elements", 1, maxContext) {
			c.contextElement(pointer(at, "elements", i), e)
		}
	case "actions":
		c.object(at, m, []string{"elements"}, []string{"block_id"})
		ids := map[string]bool{}
		for i, e := range c.list(at, m, "elements", 1, maxActions) {
			c.element(pointer(at, "elements", i), e, "actions", ids)
		}
	case "input":
		c.input(at, m)
	case "image":
		c.object(at, m, []string{"alt_text"}, []string{"block_id", "image_url", "slack_file", "title"})
		c.image(at, m)
		c.optionalText(at, m, "title", true, maxAltText)
	case "rich_text":
		c.object(at, m, []string{"elements"}, []string{"block_id"})
		for i, e := range c.list(at, m, "elements", 0, 1<<20) {
			c.rich(pointer(at, "elements", i), e)
		}
	case "markdown":
		if c.surface != "message" {
			c.bad(pointer(at, "type"), "unsupported type: markdown")
		}
		c.object(at, m, []string{"text"}, []string{"block_id"})
		c.markdown += utf8.RuneCountInString(c.str(at, m, "text", 1, maxMarkdown))
	default:
		c.bad(pointer(at, "type"), "unsupported type: %v", m["type"])
		return
	}
	c.blockID(at, m)
}

// blockID checks that the ID is the only one of its name, or makes one.
func (c *check) blockID(at string, m map[string]any) {
	id := c.str(at, m, "block_id", 0, maxID)
	if id == "" {
		id = c.newID()
		m["block_id"] = id
	} else if c.blockIDs[id] {
		c.bad(pointer(at, "block_id"), "`block_id` already exists: %s", id)
	}
	c.blockIDs[id] = true
}

func (c *check) section(at string, m map[string]any) {
	c.object(at, m, nil, []string{"block_id", "text", "fields", "accessory", "expand"})
	c.boolean(at, m, "expand")
	if m["text"] == nil && m["fields"] == nil {
		c.bad(at, "missing required field: text or fields")
	}
	c.optionalText(at, m, "text", false, maxSection)
	for i, f := range c.list(at, m, "fields", 1, maxFields) {
		c.text(pointer(at, "fields", i), f, false, maxField)
	}
	if e, present := m["accessory"]; present {
		c.element(pointer(at, "accessory"), e, "section", map[string]bool{})
	}
}

func (c *check) contextElement(at string, v any) {
	m, _ := v.(map[string]any)
	if m["type"] == "image" {
		c.object(at, m, []string{"alt_text"}, []string{"image_url", "slack_file"})
		c.image(at, m)
		return
	}
	c.text(at, v, false, maxSection)
}

func (c *check) image(at string, m map[string]any) {
	if (m["image_url"] == nil) == (m["slack_file"] == nil) {
		c.bad(at, "must define either `slack_file` or `image_url`, but not both")
	}
	c.str(at, m, "image_url", 1, maxURL)
	c.str(at, m, "alt_text", 1, maxAltText)
}

func (c *check) input(at string, m map[string]any) {
	c.inputs++
	c.object(at, m, []string{"label", "element"}, []string{"block_id", "hint", "optional", "dispatch_action"})
	c.optionalText(at, m, "label", true, maxLabel)
	c.optionalText(at, m, "hint", true, maxLabel)
	c.boolean(at, m, "optional", "dispatch_action")
	if e, present := m["element"]; present {
		c.element(pointer(at, "element"), e, "input", map[string]bool{})
	}
}

// rich checks what may stand in a rich_text block.
func (c *check) rich(at string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "must provide an object")
		return
	}
	inner := c.richInline
	switch m["type"] {
	case "rich_text_section":
		c.object(at, m, []string{"elements"}, nil)
	case "rich_text_preformatted":
		c.object(at, m, []string{"elements"}, []string{"border", "language"})
	case "rich_text_quote":
		c.object(at, m, []string{"elements"}, []string{"border"})
	case "rich_text_list":
		c.object(at, m, []string{"elements", "style"}, []string{"indent", "offset", "border"})
		c.oneOf(at, m, "style", "bullet", "ordered")
		inner = func(at string, v any) {
			if one, _ := v.(map[string]any); one["type"] != "rich_text_section" {
				c.bad(pointer(at, "type"), "unsupported type: %v", one["type"])
				return
			}
			c.rich(at, v)
		}
	default:
		c.bad(pointer(at, "type"), "unsupported type: %v", m["type"])
		return
	}
	for i, e := range c.list(at, m, "elements", 0, 1<<20) {
		inner(pointer(at, "elements", i), e)
	}
}

func (c *check) richInline(at string, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "must provide an object")
		return
	}
	kind, _ := m["type"].(string)
	fields, known := map[string][2][]string{
		"text":      {{"text"}, {"style"}},
		"link":      {{"url"}, {"text", "unsafe", "style"}},
		"emoji":     {{"name"}, {"unicode", "skin_tone", "style"}},
		"user":      {{"user_id"}, {"style"}},
		"usergroup": {{"usergroup_id"}, {"style"}},
		"channel":   {{"channel_id"}, {"style"}},
		"broadcast": {{"range"}, {"style"}},
		"color":     {{"value"}, {"style"}},
		"date":      {{"timestamp", "format"}, {"url", "fallback", "style"}},
	}[kind]
	if !known {
		c.bad(pointer(at, "type"), "unsupported type: %v", m["type"])
		return
	}
	c.object(at, m, fields[0], fields[1])
	if kind == "text" {
		c.str(at, m, "text", 1, 1<<20)
	}
	c.oneOf(at, m, "range", "here", "channel", "everyone")
	if style, present := m["style"]; present {
		if one, ok := c.object(pointer(at, "style"), style, nil, []string{
			"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink",
		}); ok {
			c.boolean(pointer(at, "style"), one, sortedKeys(one)...)
		}
	}
}
