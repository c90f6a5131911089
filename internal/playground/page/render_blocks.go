package page

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// block is a Block Kit block made ready for the template blocks.html.
type block struct {
	// Kind is the block's type; "unknown" for one that this page cannot show.
	Kind      string
	ID        string
	Text      []node   // section, header; the content of rich_text and markdown
	Fields    [][]node // section
	Accessory *element
	Items     []contextItem // context
	Elements  []element     // actions
	Input     *input        // input
	Alt       string        // image: what it shows
	Title     []node        // image
}

// contextItem is a text or a picture in a context block.
type contextItem struct {
	Text []node
	Alt  string
}

// input is an input block.
type input struct {
	Label, Hint     []node
	Element         element
	Optional        bool
	Error           string
	LabelID, HintID string
	ErrorID         string
	Several         bool // the element is a set of boxes: a fieldset, not a label
}

// element is something to act on.
type element struct {
	// Kind is the element's type; menus over people and channels are
	// "static_select" and "multi_static_select" here, with their options.
	Kind        string
	Block       string
	Action      string
	Act         string // names the element in a form: block/action
	Name        string // under which its value is posted
	ID          string // in the document
	Text        []node
	Label       string // for screen readers; empty: what is visible
	Style       string // "primary", "danger" or empty
	Value       string // of a button
	Placeholder string
	Groups      []optionGroup
	Initial     string
	InputType   string // text, email, number, date, time
	Multiline   bool
	MinLength   int
	MaxLength   int
	Min, Max    string
	Step        string
	Dispatch    bool // a choice is sent at once
	Focus       bool
	Required    bool
	Invalid     bool
	DescribedBy string
	Alt         string // image
	Disabled    bool
}

type optionGroup struct {
	Label   string
	Options []option
}

type option struct {
	ID          string
	Text        []node
	Plain       string // Text without marks, for <option>
	Description []node
	Value       string
	Chosen      bool
}

// renderer turns the blocks of one message or view into what templates show.
// Blocks come from the app: any property may be missing or of any type.
type renderer struct {
	names *names
	scope string // makes the document's IDs unique: a timestamp or a view ID
	// inert is set where nobody can act, as in attachments.
	inert bool
	// values are what was filled in so far, by block/action.
	values map[string][]string
	errors map[string]string // by block_id
	// people and channels are what menus over them offer.
	people, channels []option
	focused          bool
}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

func list(m map[string]any, key string) []any { l, _ := m[key].([]any); return l }

func str(m map[string]any, key string) string { s, _ := m[key].(string); return s }

func yes(m map[string]any, key string) bool { b, _ := m[key].(bool); return b }

func number(m map[string]any, key string) float64 { n, _ := m[key].(float64); return n }

// textObject is a plain_text or mrkdwn object.
func (r *renderer) textObject(v any) []node {
	m := object(v)
	switch str(m, "type") {
	case "mrkdwn":
		return mrkdwn(str(m, "text"), yes(m, "verbatim"), r.names)
	case "plain_text":
		return plainNodes(str(m, "text"), yes(m, "emoji"))
	}
	return nil
}

func (r *renderer) blocks(raw []map[string]any) []block {
	out := make([]block, 0, len(raw))
	for _, m := range raw {
		out = append(out, r.block(m))
	}
	return out
}

func (r *renderer) block(m map[string]any) block {
	b := block{Kind: str(m, "type"), ID: str(m, "block_id")}
	switch b.Kind {
	case "header", "section":
		b.Text = r.textObject(m["text"])
		for _, f := range list(m, "fields") {
			b.Fields = append(b.Fields, r.textObject(f))
		}
		if m["accessory"] != nil {
			e := r.element(b.ID, object(m["accessory"]))
			e.Dispatch = true
			b.Accessory = &e
		}
	case "context":
		for _, v := range list(m, "elements") {
			e := object(v)
			if str(e, "type") == "image" {
				b.Items = append(b.Items, contextItem{Alt: visible(str(e, "alt_text"))})
				continue
			}
			b.Items = append(b.Items, contextItem{Text: r.textObject(e)})
		}
	case "actions":
		for _, v := range list(m, "elements") {
			e := r.element(b.ID, object(v))
			e.Dispatch = true
			b.Elements = append(b.Elements, e)
		}
	case "input":
		b.Input = r.input(b.ID, m)
	case "image":
		b.Alt, b.Title = visible(str(m, "alt_text")), r.textObject(m["title"])
	case "rich_text":
		b.Text = r.richText(list(m, "elements"))
	case "markdown":
		b.Text = r.markdown(str(m, "text"))
	case "divider":
	default:
		b.Kind = "unknown"
		b.Alt = visible(str(m, "type"))
	}
	return b
}

func (r *renderer) input(blockID string, m map[string]any) *input {
	in := &input{
		Label: r.textObject(m["label"]), Hint: r.textObject(m["hint"]), Optional: yes(m, "optional"),
		Element: r.element(blockID, object(m["element"])), Error: visible(r.errors[blockID]),
	}
	e := &in.Element
	e.Dispatch = yes(m, "dispatch_action")
	e.Required = !in.Optional
	in.LabelID, in.HintID, in.ErrorID = e.ID+"-label", e.ID+"-hint", e.ID+"-error"
	in.Several = e.Kind == "checkboxes" || e.Kind == "radio_buttons"
	var described []string
	if in.Error != "" {
		described = append(described, in.ErrorID)
		e.Invalid = true
		e.Focus = !r.focused
		r.focused = true
	}
	if in.Hint != nil {
		described = append(described, in.HintID)
	}
	e.DescribedBy = strings.Join(described, " ")
	return in
}

// id makes an ID for the document of names that the app chose.
func (r *renderer) id(parts ...string) string {
	h := fnv.New64a()
	for _, p := range append([]string{r.scope}, parts...) {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return fmt.Sprintf("e%016x", h.Sum64())
}

func (r *renderer) element(blockID string, m map[string]any) element {
	e := element{
		Kind: str(m, "type"), Block: blockID, Action: str(m, "action_id"), Disabled: r.inert,
		Placeholder: oneLine(flatten(r.textObject(m["placeholder"]))), Focus: yes(m, "focus_on_load"),
	}
	e.Act = e.Block + "/" + e.Action
	e.Name = "v/" + e.Act
	e.ID = r.id(e.Block, e.Action)
	if e.Focus {
		r.focused = true
	}
	chosen, filled := r.values[e.Act]
	initial := func(keys ...string) []string {
		if filled {
			return chosen
		}
		var out []string
		for _, key := range keys {
			switch v := m[key].(type) {
			case string:
				out = append(out, v)
			case map[string]any:
				out = append(out, str(v, "value"))
			case []any:
				for _, one := range v {
					if s, ok := one.(string); ok {
						out = append(out, s)
					} else {
						out = append(out, str(object(one), "value"))
					}
				}
			}
		}
		return out
	}
	first := func(keys ...string) string {
		if all := initial(keys...); len(all) > 0 {
			return all[0]
		}
		return ""
	}
	switch e.Kind {
	case "button":
		e.Text, e.Label, e.Value = r.textObject(m["text"]), oneLine(str(m, "accessibility_label")), str(m, "value")
		if style := str(m, "style"); style == "primary" || style == "danger" {
			e.Style = style
		}
	case "static_select", "multi_static_select", "radio_buttons", "checkboxes":
		e.Groups = r.options(m, e.ID, initial("initial_option", "initial_options"))
	case "overflow":
		e.Groups = r.options(m, e.ID, nil)
		e.Label = "More actions"
	case "users_select", "multi_users_select":
		e.Groups = choose(r.people, initial("initial_user", "initial_users"))
	case "conversations_select", "multi_conversations_select":
		e.Groups = choose(r.channels, initial("initial_conversation", "initial_conversations"))
	case "plain_text_input":
		e.InputType, e.Multiline, e.Initial = "text", yes(m, "multiline"), first("initial_value")
		e.MinLength, e.MaxLength = int(number(m, "min_length")), int(number(m, "max_length"))
		if e.MaxLength == 0 {
			e.MaxLength = 3000
		}
	case "email_text_input":
		e.InputType, e.Initial = "email", first("initial_value")
	case "number_input":
		e.InputType, e.Initial, e.Min, e.Max, e.Step = "number", first("initial_value"), str(m, "min_value"), str(m, "max_value"), "1"
		if yes(m, "is_decimal_allowed") {
			e.Step = "any"
		}
	case "datepicker":
		e.InputType, e.Initial = "date", first("initial_date")
	case "timepicker":
		e.InputType, e.Initial = "time", first("initial_time")
	case "image":
		e.Alt = visible(str(m, "alt_text"))
	}
	switch {
	case strings.HasPrefix(e.Kind, "multi_"):
		e.Kind = "multi_static_select"
	case strings.HasSuffix(e.Kind, "_select"):
		e.Kind = "static_select"
	case e.InputType != "":
		e.Kind = "typed"
	}
	return e
}

func (r *renderer) options(m map[string]any, id string, chosen []string) []optionGroup {
	read := func(offered []any) []option {
		out := make([]option, 0, len(offered))
		for i, v := range offered {
			o := object(v)
			nodes := r.textObject(o["text"])
			out = append(out, option{
				ID: id + "-" + strconv.Itoa(i), Text: nodes, Plain: oneLine(flatten(nodes)), Value: str(o, "value"),
				Description: r.textObject(o["description"]), Chosen: slices.Contains(chosen, str(o, "value")),
			})
		}
		return out
	}
	if m["options"] != nil {
		return []optionGroup{{Options: read(list(m, "options"))}}
	}
	var out []optionGroup
	for _, v := range list(m, "option_groups") {
		g := object(v)
		out = append(out, optionGroup{Label: oneLine(flatten(r.textObject(g["label"]))), Options: read(list(g, "options"))})
	}
	return out
}

// choose marks what is chosen among options that are the same everywhere.
func choose(offered []option, chosen []string) []optionGroup {
	out := slices.Clone(offered)
	for i := range out {
		out[i].Chosen = slices.Contains(chosen, out[i].Value)
	}
	return []optionGroup{{Options: out}}
}

// placed is an element as the app defined it, found again by the name under
// which a form posts it.
type placed struct {
	block, action, kind string
	def                 map[string]any
	input, optional     bool
}

func (p placed) act() string { return p.block + "/" + p.action }

// many says that the element's value is a list.
func (p placed) many() bool { return p.kind == "checkboxes" || strings.HasPrefix(p.kind, "multi_") }

// holds says that the element has a value of its own.
func (p placed) holds() bool {
	switch p.kind {
	case "button", "overflow", "image", "file_input", "":
		return false
	}
	return true
}

// interactive lists the elements of blocks on which somebody can act.
func interactive(blocks []map[string]any) []placed {
	var out []placed
	for _, b := range blocks {
		add := func(v any, input bool) {
			if e := object(v); str(e, "action_id") != "" {
				out = append(out, placed{
					block: str(b, "block_id"), action: str(e, "action_id"), kind: str(e, "type"), def: e,
					input: input, optional: yes(b, "optional"),
				})
			}
		}
		switch str(b, "type") {
		case "section":
			add(b["accessory"], false)
		case "actions":
			for _, e := range list(b, "elements") {
				add(e, false)
			}
		case "input":
			add(b["element"], true)
		}
	}
	return out
}
