package page

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// node is a piece of formatted text. The template nodes.html writes it out, so
// that every Text and Href passes through html/template.
type node struct {
	// Kind is "text", "br", "strong", "em", "del", "u", "code", "pre", "quote",
	// "link", "mention", "emoji", "time", "list", "olist", "item", "para" or
	// "heading".
	Kind string
	Text string
	Href string // of a link: http, https or mailto and nothing else
	// Title is the whole address of a link or the exact moment of a time.
	Title string
	Me    bool // a mention of the reader
	Start int  // number of an olist's first item
	Kids  []node
}

// names gives what mentions show; it is the reader's view of the workspace.
type names struct {
	user, group, channel func(id string) (name string, ok bool)
	me                   string
	mine                 func(group string) bool // the reader is in the user group
	now                  time.Time
	zone                 *time.Location
}

const (
	maxNesting = 8
	replaced   = "\uFFFD"
)

// visible makes text safe to look at: controls and characters that change the
// reading direction become a name in angle brackets, so that nothing reads as
// something else and nothing is hidden.
func visible(s string) string {
	odd := func(r rune) bool {
		switch {
		case r == '\n' || r == '\t':
			return false
		case unicode.IsControl(r), r == utf8.RuneError:
			return true
		case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C:
			return true
		case r == 0x200B, r == 0x2060, r == 0xFEFF, r >= 0xE0000 && r <= 0xE007F, r == 0x2028, r == 0x2029:
			return true
		}
		return false
	}
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			b.WriteString(replaced)
		case odd(r):
			fmt.Fprintf(&b, "‹U+%04X›", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oneLine is visible text without line breaks.
func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }

func text(s string) node { return node{Kind: "text", Text: visible(s)} }

// plainNodes is a plain_text object: literal, but for emoji names where it
// asks for them. Line breaks are kept by the style sheet.
func plainNodes(s string, emoji bool) []node {
	if !emoji {
		return []node{text(s)}
	}
	return emojis(s)
}

// unescape decodes the three escapes of mrkdwn, once.
func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(s)
}

// mrkdwn reads Slack's own markup (docs: "Formatting text for app surfaces").
// With verbatim, bare addresses and @here stay words.
func mrkdwn(s string, verbatim bool, n *names) []node {
	m := &marker{names: n, auto: !verbatim}
	return m.blocks(s)
}

type marker struct {
	*names
	auto bool
}

// blocks cuts text at fences and gathers quoted lines.
func (m *marker) blocks(s string) []node {
	var out []node
	for s != "" {
		before, rest, fenced := strings.Cut(s, "```")
		code, after, closed := strings.Cut(rest, "```")
		if !fenced || !closed {
			return append(out, m.lines(s)...)
		}
		out = append(out, m.lines(strings.TrimSuffix(before, "\n"))...)
		out = append(out, node{Kind: "pre", Text: visible(m.flat(strings.Trim(code, "\n")))})
		s = strings.TrimPrefix(after, "\n")
	}
	return out
}

// flat is text in code: escapes decoded, tokens as the reader would see them.
func (m *marker) flat(s string) string {
	var b strings.Builder
	for s != "" {
		before, token, after, ok := cutToken(s)
		b.WriteString(unescape(before))
		if !ok {
			break
		}
		for _, one := range m.token(token) {
			b.WriteString(one.Text)
			for _, kid := range one.Kids {
				b.WriteString(kid.Text)
			}
		}
		s = after
	}
	return b.String()
}

func (m *marker) lines(s string) []node {
	if s == "" {
		return nil
	}
	var out, quoted []node
	flush := func() {
		if quoted != nil {
			out = append(out, node{Kind: "quote", Kids: quoted})
			quoted = nil
		}
	}
	broken := false // a line break is due before the next line
	for line := range strings.SplitSeq(s, "\n") {
		if q, ok := strings.CutPrefix(line, "&gt;"); ok {
			if quoted != nil {
				quoted = append(quoted, node{Kind: "br"})
			} else {
				quoted = []node{}
			}
			quoted = append(quoted, m.inline(strings.TrimPrefix(q, " "), 0)...)
			broken = false
			continue
		}
		flush()
		if broken {
			out = append(out, node{Kind: "br"})
		}
		out = append(out, m.inline(line, 0)...)
		broken = true
	}
	flush()
	return out
}

var styles = map[byte]string{'*': "strong", '_': "em", '~': "del"}

// inline reads one line. Every mark that finds no partner once is not looked
// for again, which keeps the work in proportion to the length.
func (m *marker) inline(s string, depth int) []node {
	var out []node
	alone := map[byte]bool{}
	start := 0 // of the plain text not yet written
	flush := func(to int) {
		if start < to {
			out = append(out, m.words(s[start:to])...)
		}
	}
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '<':
			if token, ok := tokenAt(s[i:]); ok {
				flush(i)
				out = append(out, m.token(token)...)
				i += len(token) + 2
				start = i
				continue
			}
		case c == '`' && !alone[c]:
			if end := strings.IndexByte(s[i+1:], '`'); end > 0 {
				flush(i)
				out = append(out, node{Kind: "code", Text: visible(m.flat(s[i+1 : i+1+end]))})
				i += end + 2
				start = i
				continue
			}
			alone[c] = strings.IndexByte(s[i+1:], '`') < 0
		case styles[c] != "" && !alone[c] && depth < maxNesting && opens(s, i):
			end := closer(s, i)
			if end < 0 {
				alone[c] = true
				break
			}
			flush(i)
			out = append(out, node{Kind: styles[c], Kids: m.inline(s[i+1:end], depth+1)})
			i = end + 1
			start = i
			continue
		}
		i++
	}
	flush(len(s))
	return out
}

// opens says whether the mark at i can begin a style: at the edge of a word,
// with something right behind it.
func opens(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+1:])
	return (i == 0 || !wordRune(before)) && i+1 < len(s) && !unicode.IsSpace(after) && after != rune(s[i])
}

// closer finds the mark that ends the style begun at i, or -1.
func closer(s string, i int) int {
	for j := i + 2; j < len(s); j++ {
		switch s[j] {
		case '<':
			if token, ok := tokenAt(s[j:]); ok {
				j += len(token) + 1
			}
		case s[i]:
			before, _ := utf8.DecodeLastRuneInString(s[:j])
			after, _ := utf8.DecodeRuneInString(s[j+1:])
			if !unicode.IsSpace(before) && (j+1 == len(s) || !wordRune(after)) {
				return j
			}
		}
	}
	return -1
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// tokenAt is what stands between < and > at the beginning of s. A "<" that
// begins no token is text.
func tokenAt(s string) (token string, ok bool) {
	end := strings.IndexAny(s[1:], "<>\n")
	if end <= 0 || s[1+end] != '>' || s[1] == ' ' {
		return "", false
	}
	return s[1 : 1+end], true
}

// cutToken cuts text around its first token.
func cutToken(s string) (before, token, after string, ok bool) {
	for i := range len(s) {
		if s[i] != '<' {
			continue
		}
		if token, ok := tokenAt(s[i:]); ok {
			return s[:i], token, s[i+len(token)+2:], true
		}
	}
	return s, "", "", false
}

// token is a mention, a date or a link.
func (m *marker) token(t string) []node {
	body, label, labelled := strings.Cut(t, "|")
	label = unescape(label)
	switch {
	case strings.HasPrefix(body, "@"):
		return []node{m.mention("@", body[1:], label, m.user)}
	case strings.HasPrefix(body, "#"):
		return []node{m.mention("#", body[1:], label, m.channel)}
	case strings.HasPrefix(body, "!subteam^"):
		return []node{m.mention("@", strings.TrimPrefix(body, "!subteam^"), strings.TrimPrefix(label, "@"), m.group)}
	case strings.HasPrefix(body, "!date^"):
		return []node{m.date(body, label)}
	case strings.HasPrefix(body, "!"):
		word, _, _ := strings.Cut(body[1:], "^")
		if slices.Contains(broadcasts, word) {
			return []node{{Kind: "mention", Text: "@" + word, Me: true}}
		}
		if labelled {
			return []node{text(label)}
		}
		return []node{text("<" + unescape(body) + ">")}
	}
	if !labelled || label == "" {
		label = strings.TrimPrefix(unescape(body), "mailto:")
	}
	return []node{m.link(unescape(body), label)}
}

var broadcasts = []string{"here", "channel", "everyone"}

func (m *marker) mention(sign, id, label string, look func(string) (string, bool)) node {
	out := node{Kind: "mention", Me: sign == "@" && (id == m.me || m.mine(id)), Title: visible(id)}
	switch name, ok := look(id); {
	case ok:
		out.Text = sign + oneLine(name)
	case label != "":
		out.Text = sign + oneLine(label)
	default:
		out.Text = sign + oneLine(id)
	}
	return out
}

// link is a link if its address is one that may be followed, else its text.
func (m *marker) link(address, label string) node {
	u, err := url.Parse(address)
	if err != nil || !slices.Contains([]string{"http", "https", "mailto"}, u.Scheme) || u.Scheme != "mailto" && u.Host == "" {
		return text(label)
	}
	return node{Kind: "link", Href: address, Title: visible(address), Kids: []node{text(label)}}
}

// date shows a moment as the format asks (docs: "Date formatting").
func (m *marker) date(body, fallback string) node {
	parts := strings.SplitN(body, "^", 4) // !date, unix, format, link
	var unix int64
	err := strconv.ErrSyntax
	if len(parts) >= 3 {
		unix, err = strconv.ParseInt(parts[1], 10, 64)
	}
	if err != nil {
		return text(fallback)
	}
	out := m.moment(unix, parts[2], fallback)
	if len(parts) == 4 {
		if l := m.link(unescape(parts[3]), ""); l.Kind == "link" {
			l.Kids = []node{out}
			return l
		}
	}
	return out
}

func (m *marker) moment(unix int64, format, fallback string) node {
	at := time.Unix(unix, 0).In(m.zone)
	if at.Year() < 1 || at.Year() > 9999 {
		return text(fallback)
	}
	return node{Kind: "time", Text: visible(formatDate(at, m.now.In(m.zone), unescape(format))), Title: at.Format(time.RFC3339)}
}

func formatDate(at, now time.Time, format string) string {
	pretty := func(s string) string {
		day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC) }
		switch int(day(at).Sub(day(now)).Hours()) {
		case -24:
			return "yesterday"
		case 0:
			return "today"
		case 24:
			return "tomorrow"
		}
		return s
	}
	nth := strconv.Itoa(at.Day()) + "th"
	if at.Day()/10 != 1 {
		nth = strconv.Itoa(at.Day()) + []string{"th", "st", "nd", "rd", "th", "th", "th", "th", "th", "th"}[at.Day()%10]
	}
	date := at.Format("January ") + nth + at.Format(", 2006")
	short := at.Format("Jan 2, 2006")
	long := at.Format("Monday, ") + date
	return strings.NewReplacer(
		"{date_num}", at.Format("2006-01-02"), "{date_slash}", at.Format("01/02/2006"),
		"{date}", date, "{date_short}", short, "{date_long}", long, "{date_pretty}", pretty(date),
		"{date_short_pretty}", pretty(short), "{date_long_pretty}", pretty(long),
		"{time}", at.Format("15:04"), "{time_secs}", at.Format("15:04:05"), "{ago}", ago(now.Sub(at)),
	).Replace(format)
}

func ago(d time.Duration) string {
	form := func(n int, unit string) string {
		if n != 1 {
			unit += "s"
		}
		if d < 0 {
			return fmt.Sprintf("in %d %s", n, unit)
		}
		return fmt.Sprintf("%d %s ago", n, unit)
	}
	switch a := d.Abs(); {
	case a < time.Minute:
		return "just now"
	case a < time.Hour:
		return form(int(a/time.Minute), "minute")
	case a < 24*time.Hour:
		return form(int(a/time.Hour), "hour")
	default:
		return form(int(a/(24*time.Hour)), "day")
	}
}

// words is text without marks: emoji names and, unless it is verbatim, bare
// addresses and broadcasts.
func (m *marker) words(s string) []node {
	if !m.auto {
		return emojis(unescape(s))
	}
	var out []node
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			out = append(out, emojis(unescape(plain.String()))...)
			plain.Reset()
		}
	}
	for i, word := range strings.Split(s, " ") {
		if i > 0 {
			plain.WriteByte(' ')
		}
		bare := strings.TrimRight(word, ".,;:!?)")
		switch {
		case strings.HasPrefix(bare, "http://"), strings.HasPrefix(bare, "https://"):
			flush()
			out = append(out, m.link(unescape(bare), unescape(bare)))
			plain.WriteString(word[len(bare):])
		case strings.HasPrefix(bare, "@") && slices.Contains(broadcasts, bare[1:]):
			flush()
			out = append(out, node{Kind: "mention", Text: bare, Me: true})
			plain.WriteString(word[len(bare):])
		default:
			plain.WriteString(word)
		}
	}
	flush()
	return out
}

// emoji are the names that are shown as pictures; others stay names.
var emoji = map[string]string{
	"white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌", "warning": "⚠️", "no_entry": "⛔",
	"hourglass": "⌛", "hourglass_flowing_sand": "⏳", "lock": "🔒", "unlock": "🔓", "key": "🔑",
	"rotating_light": "🚨", "eyes": "👀", "tada": "🎉", "wave": "👋", "thumbsup": "👍", "+1": "👍",
	"thumbsdown": "👎", "-1": "👎", "bell": "🔔", "clock1": "🕐", "information_source": "ℹ️", "question": "❓",
}

// emojis replaces known names between colons.
func emojis(s string) []node {
	var out []node
	start := 0
	for i := 0; i < len(s); i++ {
		if s[i] != ':' {
			continue
		}
		end := strings.IndexAny(s[i+1:], ": \n")
		if end < 0 || s[i+1+end] != ':' {
			continue
		}
		name := s[i+1 : i+1+end]
		picture, ok := emoji[name]
		if !ok {
			continue
		}
		if start < i {
			out = append(out, text(s[start:i]))
		}
		out = append(out, node{Kind: "emoji", Text: picture, Title: ":" + name + ":"})
		i += end + 1
		start = i + 1
	}
	if start < len(s) {
		out = append(out, text(s[start:]))
	}
	return out
}

// flatten is the text of nodes alone, for labels and announcements.
func flatten(list []node) string {
	var b strings.Builder
	for _, n := range list {
		switch n.Kind {
		case "br":
			b.WriteByte('\n')
		case "item", "para", "quote", "pre", "heading":
			b.WriteString(n.Text + flatten(n.Kids) + "\n")
		default:
			b.WriteString(n.Text + flatten(n.Kids))
		}
	}
	return b.String()
}
