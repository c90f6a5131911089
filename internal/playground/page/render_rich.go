package page

import (
	"regexp"
	"slices"
	"strings"
)

// richText renders a rich_text block (docs: "Rich text block"). Its texts are
// literal by construction.
func (r *renderer) richText(elements []any) []node {
	var out []node
	for _, v := range elements {
		e := object(v)
		kids := func() []node {
			var out []node
			for _, in := range list(e, "elements") {
				out = append(out, r.richInline(object(in)))
			}
			return out
		}
		switch str(e, "type") {
		case "rich_text_section":
			out = append(out, node{Kind: "para", Kids: kids()})
		case "rich_text_preformatted":
			out = append(out, node{Kind: "pre", Text: flatten(kids())})
		case "rich_text_quote":
			out = append(out, node{Kind: "quote", Kids: kids()})
		case "rich_text_list":
			l := node{Kind: "list"}
			if str(e, "style") == "ordered" {
				l.Kind, l.Start = "olist", 1+int(number(e, "offset"))
			}
			for _, in := range list(e, "elements") {
				item := node{Kind: "item"}
				for _, one := range list(object(in), "elements") {
					item.Kids = append(item.Kids, r.richInline(object(one)))
				}
				l.Kids = append(l.Kids, item)
			}
			for range min(int(number(e, "indent")), 5) {
				l = node{Kind: "list", Kids: []node{{Kind: "item", Kids: []node{l}}}}
			}
			out = append(out, l)
		}
	}
	return out
}

func (r *renderer) richInline(e map[string]any) node {
	m := &marker{names: r.names}
	var out node
	switch str(e, "type") {
	case "text":
		out = text(str(e, "text"))
	case "link":
		label := str(e, "text")
		if label == "" {
			label = strings.TrimPrefix(str(e, "url"), "mailto:")
		}
		out = m.link(str(e, "url"), label)
	case "emoji":
		name := str(e, "name")
		out = text(":" + name + ":")
		if picture, ok := emoji[name]; ok {
			out = node{Kind: "emoji", Text: picture, Title: ":" + visible(name) + ":"}
		}
	case "user":
		out = m.mention("@", str(e, "user_id"), "", m.user)
	case "usergroup":
		out = m.mention("@", str(e, "usergroup_id"), "", m.group)
	case "channel":
		out = m.mention("#", str(e, "channel_id"), "", m.channel)
	case "broadcast":
		out = node{Kind: "mention", Text: "@" + visible(str(e, "range")), Me: true}
	case "color":
		out = node{Kind: "code", Text: visible(str(e, "value"))}
	case "date":
		out = m.moment(int64(number(e, "timestamp")), str(e, "format"), str(e, "fallback"))
	}
	style := object(e["style"])
	if yes(style, "code") {
		out = node{Kind: "code", Text: flatten([]node{out})}
	}
	for _, s := range []struct{ flag, kind string }{{"strike", "del"}, {"underline", "u"}, {"italic", "em"}, {"bold", "strong"}} {
		if yes(style, s.flag) {
			out = node{Kind: s.kind, Kids: []node{out}}
		}
	}
	return out
}

var (
	markdownInline  = regexp.MustCompile("`([^`\n]+)`|\\*\\*([^*\n]+)\\*\\*|\\*([^*\\s][^*\n]*)\\*|\\b_([^_\n]+)_\\b|~~([^~\n]+)~~|\\[([^\\]\n]*)\\]\\(([^)\\s]+)\\)")
	markdownOrdered = regexp.MustCompile(`^\d{1,4}[.)] `)
)

// markdown renders a markdown block: headings, lists, quotes, fences and the
// usual marks within a line. What it does not know stays as it was typed.
func (r *renderer) markdown(s string) []node {
	var out []node
	last := func(kind string) *node {
		if len(out) == 0 || out[len(out)-1].Kind != kind {
			out = append(out, node{Kind: kind, Start: 1})
		}
		return &out[len(out)-1]
	}
	lines := strings.Split(s, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "```"):
			end := slices.IndexFunc(lines[i+1:], func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), "```") })
			if end < 0 {
				end = len(lines) - i - 1
			}
			out = append(out, node{Kind: "pre", Text: visible(strings.Join(lines[i+1:i+1+end], "\n"))})
			i += end + 1
		case trimmed == "":
			out = append(out, node{Kind: "gap"})
		case strings.HasPrefix(trimmed, "#"):
			out = append(out, node{Kind: "heading", Kids: r.markdownLine(strings.TrimLeft(trimmed, "# "))})
		case strings.HasPrefix(trimmed, "- "), strings.HasPrefix(trimmed, "* "):
			l := last("list")
			l.Kids = append(l.Kids, node{Kind: "item", Kids: r.markdownLine(trimmed[2:])})
		case markdownOrdered.MatchString(trimmed):
			_, rest, _ := strings.Cut(trimmed, " ")
			l := last("olist")
			l.Kids = append(l.Kids, node{Kind: "item", Kids: r.markdownLine(rest)})
		case strings.HasPrefix(trimmed, ">"):
			q := last("quote")
			if len(q.Kids) > 0 {
				q.Kids = append(q.Kids, node{Kind: "br"})
			}
			q.Kids = append(q.Kids, r.markdownLine(strings.TrimSpace(trimmed[1:]))...)
		default:
			p := last("para")
			if len(p.Kids) > 0 {
				p.Kids = append(p.Kids, node{Kind: "br"})
			}
			p.Kids = append(p.Kids, r.markdownLine(line)...)
		}
	}
	return slices.DeleteFunc(out, func(n node) bool { return n.Kind == "gap" })
}

func (r *renderer) markdownLine(s string) []node {
	m := &marker{names: r.names}
	var out []node
	at := 0
	for _, hit := range markdownInline.FindAllStringSubmatchIndex(s, -1) {
		if hit[0] > at {
			out = append(out, emojis(s[at:hit[0]])...)
		}
		group := func(i int) (string, bool) {
			if hit[2*i] < 0 {
				return "", false
			}
			return s[hit[2*i]:hit[2*i+1]], true
		}
		for i, kind := range []string{1: "code", 2: "strong", 3: "em", 4: "em", 5: "del", 6: "link"} {
			inner, ok := group(i)
			switch {
			case kind == "" || !ok:
			case kind == "code":
				out = append(out, node{Kind: kind, Text: visible(inner)})
			case kind == "link":
				address, _ := group(7)
				out = append(out, m.link(address, inner))
			default:
				out = append(out, node{Kind: kind, Kids: []node{text(inner)}})
			}
		}
		at = hit[1]
	}
	if at < len(s) {
		out = append(out, emojis(s[at:])...)
	}
	return out
}
