package slackapp

import (
	"strings"
	"unicode"

	"github.com/slack-go/slack"
)

// clean makes text of people and of Qlik safe to look at: one line, without
// control, bidirectional and invisible characters, at most limit characters
// (runes) long. What was cut off is marked.
func clean(s string, limit int) string {
	var b strings.Builder
	space := false
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), invisible(r):
			// Bidirectional marks, zero-width characters, tags and the like
			// could make a name read as something else.
			continue
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		if n >= limit-1 {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// invisible are characters outside the format class that show nothing.
func invisible(r rune) bool {
	switch r {
	case '\u115F', '\u1160', '\u3164', '\uFFA0', '\u2800', '\u034F', '\u17B4', '\u17B5':
		return true
	}
	return unicode.Is(unicode.Variation_Selector, r)
}

// escape makes cleaned text literal in Slack's mrkdwn and in a message's
// top-level text.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// plain is a plain_text object: Slack shows it as it stands. Emoji names stay
// text too.
func plain(s string, limit int) *slack.TextBlockObject {
	s = clean(s, limit)
	if s == "" {
		s = "–"
	}
	emoji := false
	return &slack.TextBlockObject{Type: slack.PlainTextType, Text: s, Emoji: &emoji}
}

// lines is a plain_text object of several lines, each one cleaned.
func lines(ss []string, limit int) *slack.TextBlockObject {
	kept := make([]string, 0, len(ss))
	for _, s := range ss {
		kept = append(kept, clean(s, limit))
	}
	text := strings.Join(kept, "\n")
	if strings.TrimSpace(text) == "" {
		text = "–"
	}
	emoji := false
	return &slack.TextBlockObject{Type: slack.PlainTextType, Text: text, Emoji: &emoji}
}

// ours is mrkdwn that this package composed of its own words, IDs and dates.
// Nothing from outside may be put into it, not even escaped: escaping does
// not stop formatting. verbatim keeps Slack from making links and mentions of
// words that look like them.
func ours(s string) *slack.TextBlockObject {
	return &slack.TextBlockObject{Type: slack.MarkdownType, Text: s, Verbatim: true}
}

// person mentions somebody by ID. An ID that is not one is shown as text.
func person(id string) string {
	if !slackID(id) {
		return "somebody"
	}
	return "<@" + id + ">"
}

// group mentions a user group by ID.
func group(id string) string {
	if !slackID(id) {
		return "a user group"
	}
	return "<!subteam^" + id + ">"
}

// slackID says whether s has the form of a Slack ID: it cannot break out of
// the mention that is built of it.
func slackID(s string) bool {
	if len(s) < 2 || len(s) > 32 {
		return false
	}
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}
