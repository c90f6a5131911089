package slack

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// pointer appends steps to a JSON pointer (RFC 6901).
func pointer(at string, steps ...any) string {
	for _, step := range steps {
		at += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(step))
	}
	return at
}

var (
	mentionToken = regexp.MustCompile(`<([!@][^<>|]*)(?:\|[^<>]*)?>`)
	anyToken     = regexp.MustCompile(`<[^<>]*>`)
	plainMention = regexp.MustCompile(`(?:^|[^\pL\pN_.@&])@([\pL\pN_][\pL\pN_.-]*)`)
)

// mentionsLocked lists the notifications that a message sets off.
func (s *Server) mentionsLocked(c content, linkNames bool) []Mention {
	var out []Mention
	out = append(out, s.inMrkdwn(c.text, "text", false, linkNames)...)
	for i, b := range c.blocks {
		out = append(out, s.inJSON(b, pointer("/blocks", i))...)
	}
	for i, a := range c.attachments {
		at := pointer("/attachments", i)
		if one, ok := a.(map[string]any); ok {
			for _, key := range []string{"pretext", "text"} {
				text, _ := one[key].(string)
				out = append(out, s.inMrkdwn(text, pointer(at, key), false, linkNames)...)
			}
			out = append(out, s.inJSON(one["blocks"], at+"/blocks")...)
		}
	}
	return out
}

// inJSON walks blocks: mrkdwn objects, markdown blocks, and the rich_text
// elements that are mentions by construction. Everything else is literal.
func (s *Server) inJSON(v any, at string) []Mention {
	var out []Mention
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			out = append(out, s.inJSON(e, pointer(at, i))...)
		}
	case map[string]any:
		switch v["type"] {
		case "mrkdwn":
			text, _ := v["text"].(string)
			verbatim, _ := v["verbatim"].(bool)
			return s.inMrkdwn(text, at+"/text", !verbatim, false)
		case "markdown":
			text, _ := v["text"].(string)
			return s.inMrkdwn(text, at+"/text", true, false)
		case "user":
			return mentionOf(out, "user", v["user_id"], at)
		case "usergroup":
			return mentionOf(out, "usergroup", v["usergroup_id"], at)
		case "broadcast":
			if kind, ok := v["range"].(string); ok {
				return []Mention{{Kind: kind, Source: at}}
			}
		}
		for _, key := range sortedKeys(v) {
			out = append(out, s.inJSON(v[key], pointer(at, key))...)
		}
	}
	return out
}

func mentionOf(out []Mention, kind string, id any, at string) []Mention {
	if text, ok := id.(string); ok {
		out = append(out, Mention{Kind: kind, ID: text, Source: at})
	}
	return out
}

// inMrkdwn finds mentions in text. auto: Slack makes broadcasts of plain
// @here and its like (verbatim is false). names: it links plain @names too.
func (s *Server) inMrkdwn(text, at string, auto, names bool) []Mention {
	var out []Mention
	for _, m := range mentionToken.FindAllStringSubmatch(text, -1) {
		token := m[1]
		switch {
		case slices.Contains(broadcasts(), strings.TrimPrefix(token, "!")):
			out = append(out, Mention{Kind: token[1:], Source: at})
		case strings.HasPrefix(token, "!subteam^"):
			out = append(out, Mention{Kind: "usergroup", ID: strings.TrimPrefix(token, "!subteam^"), Source: at})
		case strings.HasPrefix(token, "@"):
			out = append(out, Mention{Kind: "user", ID: token[1:], Source: at})
		}
	}
	if !auto && !names {
		return out
	}
	rest := anyToken.ReplaceAllString(text, " ")
	for _, m := range plainMention.FindAllStringSubmatch(rest, -1) {
		word := strings.TrimRight(m[1], ".-")
		if slices.Contains(broadcasts(), word) {
			out = append(out, Mention{Kind: word, Source: at, Auto: true})
			continue
		}
		if !names {
			continue
		}
		for _, u := range s.users {
			if u.Name == word {
				out = append(out, Mention{Kind: "user", ID: u.ID, Source: at, Auto: true})
			}
		}
		for _, g := range s.groups {
			if g.Handle == word {
				out = append(out, Mention{Kind: "usergroup", ID: g.ID, Source: at, Auto: true})
			}
		}
	}
	return out
}

func broadcasts() []string { return []string{"channel", "here", "everyone"} }
