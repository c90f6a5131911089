package playground_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

// renderBlocks shows blocks as a person would read them: a header with "#",
// small print with "·", buttons in brackets, inputs with what they hold.
func renderBlocks(blocks []map[string]any) []string {
	var ls []string
	for _, b := range blocks {
		switch b["type"] {
		case "header":
			ls = append(ls, "# "+textOf(b["text"]))
		case "section":
			ls = append(ls, strings.Split(textOf(b["text"]), "\n")...)
			if e, ok := b["accessory"].(map[string]any); ok {
				ls[len(ls)-1] += " " + elementOf(e)
			}
		case "context":
			var parts []string
			for _, e := range list(b["elements"]) {
				parts = append(parts, textOf(e))
			}
			for l := range strings.SplitSeq(strings.Join(parts, " "), "\n") {
				ls = append(ls, "· "+l)
			}
		case "actions":
			var parts []string
			for _, e := range list(b["elements"]) {
				parts = append(parts, elementOf(e))
			}
			ls = append(ls, strings.Join(parts, " "))
		case "input":
			l := fmt.Sprintf("%s (%s): %s", textOf(b["label"]), b["block_id"], elementOf(b["element"]))
			if b["optional"] == true {
				l += " optional"
			}
			ls = append(ls, l)
		default:
			ls = append(ls, fmt.Sprintf("a block of type %v", b["type"]))
		}
	}
	return ls
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// textOf is the text of a text object as a client shows it: mrkdwn with its
// mentions resolved by hand later, plain text as it stands.
func textOf(v any) string {
	m, _ := v.(map[string]any)
	s, _ := m["text"].(string)
	return s
}

func elementOf(v any) string {
	m, _ := v.(map[string]any)
	switch m["type"] {
	case "button":
		s := "[" + textOf(m["text"])
		if style, ok := m["style"].(string); ok {
			s += ", " + style
		}
		return s + "]"
	case "plain_text_input":
		s, _ := m["initial_value"].(string)
		return "[" + s + "]"
	case "static_select":
		var all []string
		for _, o := range list(m["options"]) {
			one, _ := o.(map[string]any)
			all = append(all, textOf(one["text"]))
		}
		chosen := ""
		if o, ok := m["initial_option"].(map[string]any); ok {
			chosen = " chosen " + textOf(o["text"])
		}
		return "[" + strings.Join(all, " | ") + chosen + "]"
	}
	return fmt.Sprintf("[%v]", m["type"])
}

// buttons are the buttons of a message by their text, with their action IDs.
func buttons(blocks []map[string]any) map[string]string {
	found := map[string]string{}
	see := func(v any) {
		if m, ok := v.(map[string]any); ok && m["type"] == "button" {
			id, _ := m["action_id"].(string)
			found[textOf(m["text"])] = id
		}
	}
	for _, b := range blocks {
		see(b["accessory"])
		for _, e := range list(b["elements"]) {
			see(e)
		}
	}
	return found
}

var (
	dateToken    = regexp.MustCompile(`<!date\^(\d+)\^[^|>]*\|([^>]*)>`)
	userToken    = regexp.MustCompile(`<@([A-Z0-9]+)>`)
	groupToken   = regexp.MustCompile(`<!subteam\^([A-Z0-9]+)>`)
	channelToken = regexp.MustCompile(`<#([A-Z0-9]+)>`)
	tooLate      = regexp.MustCompile(`\b(R\d+) (?:is (?:approved|running) by now, so this decision comes too late|has already ended: \w+)\.`)
	requestWord  = regexp.MustCompile(`\bR[23456789BCDFGHJKMNPQRSTVWXZ]{6}\b`)
	digestWord   = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	objectWord   = regexp.MustCompile(`\b[0-9a-f]{24}\b`)
)

// names turns what differs from run to run, or is hard to read, into names.
type names struct {
	slack    *slackemu.Server
	requests []string // by number from 1
	digests  []string
	objects  []string
	// either are people of whom it does not matter which one it is; raced says
	// that two have clicked at once, and the later one may have been told any
	// of several states.
	either []string
	raced  bool
}

func numbered(list *[]string, prefix, id string) string {
	for i, s := range *list {
		if s == id {
			return prefix + strconv.Itoa(i+1)
		}
	}
	*list = append(*list, id)
	return prefix + strconv.Itoa(len(*list))
}

// readable puts names for IDs.
func (n *names) readable(s string) string {
	s = requestWord.ReplaceAllStringFunc(s, func(id string) string { return numbered(&n.requests, "R", id) })
	s = digestWord.ReplaceAllStringFunc(s, func(d string) string { return numbered(&n.digests, "digest-", d) })
	s = objectWord.ReplaceAllStringFunc(s, func(d string) string { return numbered(&n.objects, "id-", d) })
	if n.raced {
		s = tooLate.ReplaceAllString(s, "$1 is past deciding.")
	}
	s = dateToken.ReplaceAllString(s, "[$2]")
	s = userToken.ReplaceAllStringFunc(s, func(t string) string { return n.user(userToken.FindStringSubmatch(t)[1]) })
	s = groupToken.ReplaceAllString(s, "@group:$1")
	s = channelToken.ReplaceAllStringFunc(s, func(t string) string { return n.channel(channelToken.FindStringSubmatch(t)[1]) })
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}

// real puts the IDs back into what a script says.
func (n *names) real(s string) string {
	for i := len(n.requests); i > 0; i-- {
		s = regexp.MustCompile(`\bR`+strconv.Itoa(i)+`\b`).ReplaceAllString(s, n.requests[i-1])
	}
	return s
}

func (n *names) user(id string) string {
	for _, u := range n.slack.Users() {
		if u.ID == id && slices.Contains(n.either, "@"+u.Name) {
			return "@either"
		}
		if u.ID == id {
			return "@" + u.Name
		}
	}
	return "@" + id
}

func (n *names) userID(handle string) (string, bool) {
	for _, u := range n.slack.Users() {
		if u.Name == strings.TrimPrefix(handle, "@") {
			return u.ID, true
		}
	}
	return "", false
}

func (n *names) channel(id string) string {
	for _, c := range n.slack.Channels() {
		if c.ID != id {
			continue
		}
		if c.IsIM {
			return "DM with " + n.user(c.Members[0])
		}
		return "#" + c.Name
	}
	return id
}

func (n *names) channelID(name string) (string, bool) {
	for _, c := range n.slack.Channels() {
		if !c.IsIM && c.Name == strings.TrimPrefix(name, "#") {
			return c.ID, true
		}
	}
	return "", false
}
