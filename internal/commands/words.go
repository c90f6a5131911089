package commands

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTyped is the longest line that is looked at, in bytes. Some hundred
// addresses in Slack's long form stay well under it.
const maxTyped = 128 << 10

// Word is one argument: a bare word, a quoted value, a mention, or these glued
// together as in subject:"a b".
type Word struct {
	atoms []atom
}

// atom is one character, or one of Slack's <…> tokens.
type atom struct {
	r      rune
	quoted bool
	token  *token
}

// token is what stood between < and > in Slack's escaped text.
type token struct {
	text string // what a person would have typed for it
	user string // ID, for a mention of a person
}

// wordOf makes a word of a value, as though it stood in quotes.
func wordOf(value string) Word {
	var w Word
	for _, r := range value {
		w.atoms = append(w.atoms, atom{r: r, quoted: true})
	}
	return w
}

// mentionOf makes the word that mentions a Slack user.
func mentionOf(id string) Word {
	return Word{atoms: []atom{{token: &token{text: "<@" + id + ">", user: id}}}}
}

// Text is the word's value.
func (w Word) Text() string {
	var b strings.Builder
	for _, a := range w.atoms {
		if a.token != nil {
			b.WriteString(a.token.text)
		} else {
			b.WriteRune(a.r)
		}
	}
	return b.String()
}

// Mention is the ID of the Slack user whom the word mentions; false when the
// word is anything else or anything more.
func (w Word) Mention() (string, bool) {
	if len(w.atoms) == 1 && w.atoms[0].token != nil && w.atoms[0].token.user != "" {
		return w.atoms[0].token.user, true
	}
	return "", false
}

// bare says whether nothing in the word stands in quotes or is a token, so
// that it can be a keyword or a command's name.
func (w Word) bare() bool {
	for _, a := range w.atoms {
		if a.quoted || a.token != nil {
			return false
		}
	}
	return len(w.atoms) > 0
}

// split cuts the word at the separators that are not quoted. Parts may be
// empty.
func (w Word) split(separators string) []Word {
	var parts []Word
	start := 0
	for i, a := range w.atoms {
		if a.token == nil && !a.quoted && strings.ContainsRune(separators, a.r) {
			parts = append(parts, Word{atoms: w.atoms[start:i]})
			start = i + 1
		}
	}
	return append(parts, Word{atoms: w.atoms[start:]})
}

// line is what was typed, taken apart.
type line struct {
	words []Word
	// reason is what follows the first unquoted "because"; because says that
	// there was one.
	because bool
	reason  string
	// text is the whole line for people: entities decoded, invisible
	// characters gone, white space single.
	text string
}

// Slack's tokens: mentions of people, channels, groups, and links
// (docs: "Formatting text", escaping). Anything else with a "<" is no token.
var tokenPattern = regexp.MustCompile(`<(?:[@#!]|mailto:|https?://|tel:)[^<>\r\n]*>`)

var userToken = regexp.MustCompile(`^@([UW][A-Z0-9]{2,30})$`)

// readAtoms decodes Slack's text: tokens are cut out first, and the entities
// are decoded once in what is left.
func readAtoms(raw string) []atom {
	raw = strings.ToValidUTF8(raw, string(utf8.RuneError))
	var atoms []atom
	text := func(s string) {
		for _, r := range clean(unescape(s)) {
			atoms = append(atoms, atom{r: r})
		}
	}
	at := 0
	for _, m := range tokenPattern.FindAllStringIndex(raw, -1) {
		text(raw[at:m[0]])
		atoms = append(atoms, atom{token: readToken(raw[m[0]+1 : m[1]-1])})
		at = m[1]
	}
	text(raw[at:])
	return atoms
}

// readToken takes the part left of "|": the label is what the sender chose to
// show.
func readToken(inner string) *token {
	target, label, _ := strings.Cut(inner, "|")
	target, label = clean(unescape(target)), clean(unescape(label))
	if m := userToken.FindStringSubmatch(target); m != nil {
		return &token{text: "<@" + m[1] + ">", user: m[1]}
	}
	if address, ok := strings.CutPrefix(target, "mailto:"); ok {
		return &token{text: address}
	}
	if number, ok := strings.CutPrefix(target, "tel:"); ok {
		return &token{text: number}
	}
	// A bare host name that Slack made a link of: <http://foo.io|foo.io>.
	if label != "" && (target == "http://"+label || target == "http://"+label+"/") {
		return &token{text: label}
	}
	return &token{text: target}
}

var unescaper = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")

// unescape decodes Slack's three entities exactly once.
func unescape(s string) string { return unescaper.Replace(s) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// clean takes out what nobody can see (control, format, bidirectional and
// filler characters) and makes every white space an ordinary one.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '!' && r <= '~':
			return r
		case r == '\t', r == '\n', r == '\v', r == '\f', r == '\r', r == 0x85,
			r == 0x2800, // Braille blank
			unicode.Is(unicode.Z, r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r),
			r == 0x034F,                                        // combining grapheme joiner
			r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0: // Hangul fillers
			return -1
		}
		return r
	}, s)
}

// The two families of quotes. Phones turn one into another.
const (
	doubleQuotes = "\"“”„‟″"
	singleQuotes = "'‘’‚‛′"
	separators   = ",;"
)

// readLine takes a typed line apart.
func readLine(raw string) (line, error) {
	if len(raw) > maxTyped {
		return line{}, &UsageError{Say: "That is too long to be a command.", Hint: "Send it in smaller parts."}
	}
	l := line{}
	atoms := readAtoms(raw)
	l.text = plain(atoms)
	for at := 0; at < len(atoms); {
		if atoms[at].token == nil && atoms[at].r == ' ' {
			at++
			continue
		}
		if rest, ok := startsReason(atoms, at); ok {
			// In the reason, quotes and commas are only text.
			l.because = true
			l.reason = plain(atoms[rest:])
			return l, nil
		}
		w, next, err := readWord(atoms, at)
		if err != nil {
			return line{}, err
		}
		l.words = append(l.words, w)
		at = next
	}
	return l, nil
}

// startsReason says whether the word that begins at atoms[at] is "because",
// and where the reason begins.
func startsReason(atoms []atom, at int) (int, bool) {
	for at < len(atoms) && atoms[at].token == nil && isDash(atoms[at].r) {
		at++
	}
	for _, r := range string(KeyBecause) {
		if at >= len(atoms) || atoms[at].token != nil || unicode.ToLower(atoms[at].r) != r {
			return 0, false
		}
		at++
	}
	switch {
	case at == len(atoms):
		return at, true
	case atoms[at].token != nil:
		return 0, false
	case atoms[at].r == ' ', atoms[at].r == '=', atoms[at].r == ':':
		return at + 1, true
	}
	return 0, false
}

// readWord reads one word from atoms[at], which is no space, and returns where
// it ends.
func readWord(atoms []atom, at int) (Word, int, error) {
	var w Word
	for at < len(atoms) {
		a := atoms[at]
		if a.token != nil {
			w.atoms = append(w.atoms, a)
			at++
			continue
		}
		if a.r == ' ' {
			break
		}
		family := ""
		switch {
		case strings.ContainsRune(doubleQuotes, a.r) && opensQuote(w, ":="+separators):
			family = doubleQuotes
		case strings.ContainsRune(singleQuotes, a.r) && opensQuote(w, separators):
			family = singleQuotes
		}
		if family == "" {
			if strings.ContainsRune(singleQuotes, a.r) {
				a.r = '\'' // an apostrophe that a phone has curled
			}
			w.atoms = append(w.atoms, a)
			at++
			continue
		}
		value, next, err := readQuoted(atoms, at, family)
		if err != nil {
			return Word{}, 0, err
		}
		w.atoms = append(w.atoms, value...)
		if len(value) == 0 {
			// An empty value must still be seen as quoted.
			w.atoms = append(w.atoms, atom{quoted: true, token: &token{}})
		}
		at = next
	}
	return w, at, nil
}

// opensQuote says whether a quote after what was read of the word so far is an
// opening one.
func opensQuote(w Word, after string) bool {
	if len(w.atoms) == 0 {
		return true
	}
	last := w.atoms[len(w.atoms)-1]
	return last.token == nil && !last.quoted && strings.ContainsRune(after, last.r)
}

// readQuoted reads the value after the quote at atoms[at]. A double quote that
// stands twice is one of the value's own. A single one ends the value only at
// the end of a word, so that an apostrophe can stand inside.
func readQuoted(atoms []atom, at int, family string) ([]atom, int, error) {
	var value []atom
	for i := at + 1; i < len(atoms); i++ {
		a := atoms[i]
		if a.token != nil || !strings.ContainsRune(family, a.r) {
			a.quoted = true
			value = append(value, a)
			continue
		}
		if family == doubleQuotes && i+1 < len(atoms) && atoms[i+1].token == nil && atoms[i+1].r == a.r {
			value = append(value, atom{r: a.r, quoted: true})
			i++
			continue
		}
		ends := i+1 == len(atoms) || atoms[i+1].token == nil && strings.ContainsRune(" "+separators, atoms[i+1].r)
		if ends {
			return value, i + 1, nil
		}
		if family == doubleQuotes {
			return nil, 0, &UsageError{Say: "A closing quote must be followed by a space.",
				Hint: "A quote inside a quoted value is written twice."}
		}
		a.quoted = true
		value = append(value, a)
	}
	return nil, 0, &UsageError{Say: "A quote is opened and never closed.", Hint: "Close it, or leave it out."}
}

// plain is what the atoms say to a person: white space single, none around it.
func plain(atoms []atom) string {
	return strings.Join(strings.Fields(Word{atoms: atoms}.Text()), " ")
}

// tidy makes text from outside fit for one line.
func tidy(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// isDash says whether the character is one of those into which phones turn a
// hyphen.
func isDash(r rune) bool {
	return r == '-' || r >= 0x2010 && r <= 0x2015 || r == 0x2212
}

// undash makes every dash a hyphen.
func undash(s string) string {
	return strings.Map(func(r rune) rune {
		if isDash(r) {
			return '-'
		}
		return r
	}, s)
}

// safeWord is what can stand without quotes.
var safeWord = regexp.MustCompile(`^[A-Za-z0-9_.@+/\\|][A-Za-z0-9_.@+/\\|:-]*$`)

// typed writes a value so that readLine reads the same value again. It is in
// Slack's escaped form.
func typed(value string) string {
	if safeWord.MatchString(value) && !isKeyword(strings.ToLower(value)) && !strings.HasSuffix(value, ":") {
		return value
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range value {
		b.WriteRune(r)
		if strings.ContainsRune(doubleQuotes, r) {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return escaper.Replace(b.String())
}

// typed writes the word so that readLine reads the same word again.
func (w Word) typed() string {
	if id, ok := w.Mention(); ok {
		return "<@" + id + ">"
	}
	return typed(w.Text())
}
