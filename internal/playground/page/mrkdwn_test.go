package page

import (
	"bytes"
	"html/template"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// reader is Ben, at noon in a zone that is one hour ahead.
func reader() *names {
	look := func(known map[string]string) func(string) (string, bool) {
		return func(id string) (string, bool) { n, ok := known[id]; return n, ok }
	}
	return &names{
		me: "U0BEN", now: time.Date(2031, 5, 6, 11, 0, 0, 0, time.UTC), zone: time.FixedZone("", 3600),
		user:    look(map[string]string{"U0ANA": "Ana", "U0BEN": "Ben", "U0BAD": "<b>\u202eEve"}),
		group:   look(map[string]string{"S0APP": "approvers"}),
		channel: look(map[string]string{"C0OPS": "ops"}),
		mine:    func(id string) bool { return id == "S0APP" },
	}
}

func html(t testing.TB, list []node) string {
	t.Helper()
	pages := template.Must(template.New("").ParseFS(files, "templates/nodes.html"))
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "nodes", list); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMrkdwnReadsAsInSlack(t *testing.T) {
	t.Parallel()
	unix := time.Date(2031, 5, 6, 13, 5, 0, 0, time.UTC).Unix()
	if unix != 1935839100 {
		t.Fatal("the moment in the table is", unix)
	}
	const link = ` target="_blank" rel="noopener noreferrer nofollow">`
	for name, tc := range map[string]struct{ in, want string }{
		"plain words":                           {"hello", "hello"},
		"bold, italic and struck":               {"*a* _b_ ~c~", "<strong>a</strong> <em>b</em> <del>c</del>"},
		"styles nest":                           {"*a _b_*", "<strong>a <em>b</em></strong>"},
		"a mark inside a word is a letter":      {"snake_case_name 2*3*4", "snake_case_name 2*3*4"},
		"a mark before a space opens nothing":   {"* a*", "* a*"},
		"an unpaired mark stays":                {"*a", "*a"},
		"a style ends with its line":            {"*a\nb*", "*a<br>b*"},
		"code is literal":                       {"`*a* &lt;`", "<code>*a* &lt;</code>"},
		"a fence keeps its lines":               {"x\n```\na *b*\n c\n```\ny", "x<pre>a *b*\n c</pre>y"},
		"an open fence is text":                 {"```a", "```a"},
		"quoted lines are one quote":            {"&gt; a\n&gt; b\nc", "<blockquote>a<br>b</blockquote>c"},
		"escapes are decoded once":              {"&amp;lt; &lt;b&gt; &amp;", "&amp;lt; &lt;b&gt; &amp;"},
		"a raw tag is text":                     {"a < b > c", "a &lt; b &gt; c"},
		"a person is named":                     {"<@U0ANA>", `<bdi class="mention" title="U0ANA">@Ana</bdi>`},
		"the reader stands out":                 {"<@U0BEN>", `<bdi class="mention me" title="U0BEN">@Ben</bdi>`},
		"a group that holds the reader, too":    {"<!subteam^S0APP>", `<bdi class="mention me" title="S0APP">@approvers</bdi>`},
		"an unknown person keeps the label":     {"<@U0NEW|new>", `<bdi class="mention" title="U0NEW">@new</bdi>`},
		"a hostile name stays a name":           {"<@U0BAD>", `<bdi class="mention" title="U0BAD">@&lt;b&gt;‹U&#43;202E›Eve</bdi>`},
		"a channel is named":                    {"<#C0OPS>", `<bdi class="mention" title="C0OPS">#ops</bdi>`},
		"everybody is called":                   {"<!here>", `<bdi class="mention me" title="">@here</bdi>`},
		"a link has its label":                  {"<https://example.com/a?b=1&amp;c=2|here>", `<a href="https://example.com/a?b=1&amp;c=2" title="https://example.com/a?b=1&amp;c=2"` + link + `here</a>`},
		"an address is its own label":           {"<mailto:a@example.com>", `<a href="mailto:a@example.com" title="mailto:a@example.com"` + link + `a@example.com</a>`},
		"a script is no link":                   {"<javascript:alert(1)|click>", "click"},
		"nor is data":                           {"<data:text/html,x|click>", "click"},
		"a link without a host is none":         {"<https:evil|click>", "click"},
		"a time is the reader's":                {"<!date^1935839100^{date_short_pretty} {time}|then>", `<time datetime="2031-05-06T14:05:00&#43;01:00">today 14:05</time>`},
		"a time in the long form":               {"<!date^1935839100^{date_long}|then>", `<time datetime="2031-05-06T14:05:00&#43;01:00">Tuesday, May 6th, 2031</time>`},
		"tomorrow is tomorrow":                  {"<!date^1935913500^{date_pretty}|then>", `<time datetime="2031-05-07T10:45:00&#43;01:00">tomorrow</time>`},
		"how long ago":                          {"<!date^1935828000^{ago}|then>", `<time datetime="2031-05-06T11:00:00&#43;01:00">1 hour ago</time>`},
		"a date that is none shows its words":   {"<!date^soon^{date}|in a while>", "in a while"},
		"a known emoji is a picture":            {":warning: :no_such:", `<span role="img" aria-label=":warning:">⚠️</span> :no_such:`},
		"a turned reading direction is shown":   {"a\u202eb", "a‹U&#43;202E›b"},
		"bare addresses stay words if verbatim": {"see https://example.com @here", "see https://example.com @here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := html(t, mrkdwn(tc.in, true, reader())); got != tc.want {
				t.Errorf("%q is shown as\n%s\nwant\n%s", tc.in, got, tc.want)
			}
		})
	}
}

func TestWithoutVerbatimSlackMakesLinksAndMentionsOfWords(t *testing.T) {
	t.Parallel()
	got := html(t, mrkdwn("see https://example.com, @here!", false, reader()))
	want := `see <a href="https://example.com" title="https://example.com" target="_blank" rel="noopener noreferrer nofollow">https://example.com</a>, <bdi class="mention me" title="">@here</bdi>!`
	if got != want {
		t.Errorf("shown as\n%s\nwant\n%s", got, want)
	}
}

func TestAMarkdownBlockIsReadInItsOwnWay(t *testing.T) {
	t.Parallel()
	r := &renderer{names: reader()}
	got := html(t, r.markdown("# Head\nSome **bold**, *it* and `co*de*`\n\n- one\n- [two](https://example.com/)\n\n1. first\n> said\n```\n<b>\n```\n[x](javascript:alert)"))
	want := `<p class="heading"><strong>Head</strong></p><p>Some <strong>bold</strong>, <em>it</em> and <code>co*de*</code></p>` +
		`<ul><li>one</li><li><a href="https://example.com/" title="https://example.com/" target="_blank" rel="noopener noreferrer nofollow">two</a></li></ul>` +
		`<ol start="1"><li>first</li></ol><blockquote>said</blockquote><pre>&lt;b&gt;
</pre><p>x</p>`
	if got != strings.Replace(want, "&gt;\n<", "&gt;<", 1) {
		t.Errorf("shown as\n%s", got)
	}
}

func FuzzMrkdwnIsSafeWhateverItHolds(f *testing.F) {
	for _, s := range []string{
		"*a _b_ ~c~*", "<@U0ANA> <!date^1^{ago}^https://example.com|x>", "```a```b```", "&gt; q\n`c` <https://a|b>",
		"<script>alert(1)</script>", "<javascript:x|y>", "*_~*_~", "\u202e<\x00>", "<<<<>>>>", ":+1::-1:",
	} {
		f.Add(s, true)
	}
	pages := template.Must(template.New("").ParseFS(files, "templates/nodes.html"))
	f.Fuzz(func(t *testing.T, s string, verbatim bool) {
		list := mrkdwn(s, verbatim, reader())
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, "nodes", list); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		for _, bad := range []string{"<script", "javascript:\"", "href=\"data:", "href=\"javascript:", "\u202e", "\u2066", "ZgotmplZ"} {
			if strings.Contains(strings.ToLower(out), bad) {
				t.Errorf("%q is shown as %q", s, out)
			}
		}
		if utf8.ValidString(s) && len(out) > 400*len(s)+1000 {
			t.Errorf("%d bytes became %d", len(s), len(out))
		}
	})
}
