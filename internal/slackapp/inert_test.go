package slackapp

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanTextIsOneLineOfWhatCanBeSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in, want string
		limit    int
	}{
		"plain":                   {"Zoë <b> & *x*", "Zoë <b> & *x*", 80},
		"new lines become spaces": {"a\r\n\tb\u2028c\u0085d", "a b c d", 80},
		"spaces at the ends":      {"  \n a \u00A0 ", "a", 80},
		"controls go":             {"a\x00\x1b[31mb\x7f", "a[31mb", 80},
		"bidirectional marks go":  {"\u202Eevil\u202C\u2066x\u2069\u200F\u061C", "evilx", 80},
		"zero width goes":         {"a\u200Bb\u200C\u200Dc\u2060\uFEFF\u00AD", "abc", 80},
		"fillers go":              {"a\u3164\u115F\u1160\uFFA0\u2800\u034Fb", "ab", 80},
		"tags and selectors go":   {"a\U000E0041\U000E007F\uFE0F\U000E0101b", "ab", 80},
		"private characters go":   {"a\uE000\U000F0000b", "ab", 80},
		"broken UTF-8 is marked":  {"a\xff\xfeb", "a\uFFFD\uFFFDb", 80},
		"nothing is left":         {"\u200B\u202E", "", 80},
		"what is too long is cut": {"abcdefgh", "abcd…", 5},
		"a cut keeps characters":  {"äöüßé", "äö…", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := clean(c.in, c.limit); got != c.want {
				t.Errorf("clean(%q, %d) is %q, want %q", c.in, c.limit, got, c.want)
			}
		})
	}
}

func FuzzCleanTextStaysClean(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\u202Ex", "<!channel>", "a\xff", strings.Repeat("ab ", 100)} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 2 + (limit&0xff+256)&0xff
		once := clean(s, limit)
		if n := utf8.RuneCountInString(once); n > limit || !utf8.ValidString(once) || strings.ContainsAny(once, "\n\r\t\u202e\u200b") {
			t.Errorf("clean(%q, %d) is %q", s, limit, once)
		}
		if e := escape(once); strings.ContainsAny(e, "<>") {
			t.Errorf("escape(%q) is %q", once, e)
		}
		if twice := clean(once, limit); twice != once {
			t.Errorf("cleaned twice %q becomes %q", once, twice)
		}
	})
}

func TestOnlyIDsBecomeMentions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"U0BEN": "<@U0BEN>", "": "somebody", "u0ben": "somebody", "U0BEN>": "somebody", "!channel": "somebody",
		"U0 BEN": "somebody", strings.Repeat("U", 33): "somebody", "U0BEN|x": "somebody",
	} {
		if got := person(in); got != want {
			t.Errorf("person(%q) is %q, want %q", in, got, want)
		}
		if want = strings.NewReplacer("<@", "<!subteam^", "somebody", "a user group").Replace(want); group(in) != want {
			t.Errorf("group(%q) is %q, want %q", in, group(in), want)
		}
	}
}

func TestAButtonsValueIsReadOnlyAsItWasWritten(t *testing.T) {
	t.Parallel()
	type read struct {
		id      string
		version int
	}
	for value, want := range map[string]read{
		button("R2BCDFG", 3): {"R2BCDFG", 3},
		"R2BCDFG:0":          {"R2BCDFG", 0},
		"":                   {}, ":": {}, "R2BCDFG": {}, "R2BCDFG:": {}, "R2BCDFG:x": {}, "R2BCDFG:1:1": {}, ":1": {},
		"<!channel>:1": {}, "r2bcdfg:1": {}, "R2 BCDFG:1": {}, "R2BCDFG:99999999999999999999": {},
		strings.Repeat("R", 33) + ":1": {},
	} {
		id, version := parseButton(value)
		if (read{id, version}) != want {
			t.Errorf("%q is read as %q, %d", value, id, version)
		}
	}
}
