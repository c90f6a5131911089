package playground_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

var update = flag.Bool("update", false, "rewrite the golden replies in testdata/scripts")

// TestScripts plays every story of testdata/scripts: lines that somebody does
// something, each followed by an indented golden reply, which is all that is
// new to see in Slack, or what the line asked for. What lines there are stands
// in actions_test.go.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "scripts", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for i, file := range files {
		if i%everyNth != 0 {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var told string
			synctest.Test(t, func(t *testing.T) { told = tell(t, string(script)) })
			if told == string(script) {
				return
			}
			if !*update {
				t.Errorf("%s (-script +what happened; -update rewrites it):\n%s", file, cmp.Diff(strings.Split(string(script), "\n"), strings.Split(told, "\n")))
				return
			}
			if err := os.WriteFile(file, []byte(told), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// story is one script being played.
type story struct {
	t     *testing.T
	p     *playground.Playground
	names *names
	opts  playground.Options
	// shown is how many versions of each message, and which view and Home,
	// the script has told of.
	shown map[string]int
	views map[string]string
	// out is what the current line brought about.
	out []string
}

// tell plays a script and returns it with the replies as they are.
func tell(t *testing.T, script string) string {
	s := &story{t: t, shown: map[string]int{}, views: map[string]string{}, opts: playground.Options{}}
	var told []string
	for line := range strings.SplitSeq(strings.TrimSuffix(script, "\n"), "\n") {
		if strings.HasPrefix(line, " ") {
			continue // a golden reply
		}
		told = append(told, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s.out = nil
		if with, ok := strings.CutPrefix(line, "with "); ok {
			s.with(with)
			continue
		}
		if s.p == nil {
			s.p = start(t, s.opts)
			s.names = &names{slack: s.p.Slack}
			s.news()
			s.out = nil
		}
		s.act(line)
		if t.Failed() {
			return script
		}
		for _, l := range s.out {
			told = append(told, strings.TrimRight("    "+s.names.readable(l), " "))
		}
	}
	if s.p != nil {
		checkAlways(t, s.p)
	}
	return strings.Join(told, "\n") + "\n"
}

// with is the setting before the curtain rises.
func (s *story) with(what string) {
	switch {
	case s.p != nil:
		s.t.Fatalf("%q must stand before the first action", "with "+what)
	case strings.HasPrefix(what, "approvals in #qlik-approvals"):
		s.opts.ApprovalsChannel = playground.ChannelApprovals
	case strings.HasPrefix(what, "policy "):
		s.opts.Policy = policyFile(s.t, strings.TrimPrefix(what, "policy "))
	case what == "links for e-mail addresses":
		s.opts.Slack.MailtoLinks = true
	case what == "hidden e-mail addresses":
		// The app was installed without users:read.email.
		s.opts.Slack.Scopes = []string{"commands", "chat:write", "users:read", "usergroups:read", "channels:read", "groups:read", "im:write"}
	case what == "slow pings":
		// For stories of days: fewer frames to play.
		s.opts.Slack.PingInterval = time.Hour
	default:
		s.t.Fatalf("nobody knows %q", "with "+what)
	}
}

func policyFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "policies", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (s *story) say(format string, args ...any) { s.out = append(s.out, fmt.Sprintf(format, args...)) }

func (s *story) lines(ls []string) {
	for _, l := range ls {
		s.say("| %s", l)
	}
}

// news tells what is new to see in Slack.
func (s *story) news() {
	for _, c := range s.p.Slack.Channels() {
		seen := map[string]bool{}
		for _, u := range s.p.Slack.Users() {
			for _, m := range s.p.Slack.MessagesFor(u.ID, c.ID) {
				if seen[m.TS] {
					continue
				}
				seen[m.TS] = true
				s.message(c, m)
			}
		}
	}
	for _, u := range s.p.Slack.Users() {
		var now []string
		for _, v := range s.p.Slack.Views(u.ID) {
			now = append(now, fmt.Sprintf("form for %s: %s", s.names.user(u.ID), v.Title))
			for _, l := range renderBlocks(v.Blocks) {
				now = append(now, "| "+l)
			}
			if v.Submit != "" {
				now = append(now, fmt.Sprintf("| (%s) (%s)", v.Submit, v.Close))
			}
			for block, say := range v.Errors {
				now = append(now, fmt.Sprintf("! %s: %s", block, say))
			}
		}
		s.view("forms "+u.ID, now, "form for "+s.names.user(u.ID)+": closed")
		now = nil
		if v, ok := s.p.Slack.Home(u.ID); ok {
			now = append(now, "Home of "+s.names.user(u.ID))
			for _, l := range renderBlocks(v.Blocks) {
				now = append(now, "| "+l)
			}
		}
		s.view("home "+u.ID, now, "")
	}
}

func (s *story) view(key string, now []string, gone string) {
	text := strings.Join(now, "\n")
	if s.views[key] == text {
		return
	}
	s.views[key] = text
	if text == "" {
		s.say("%s", gone)
		return
	}
	s.out = append(s.out, now...)
}

func (s *story) message(c slackemu.Channel, m slackemu.Message) {
	key := c.ID + " " + m.TS
	before := s.shown[key]
	if before == len(m.Versions) {
		return
	}
	s.shown[key] = len(m.Versions)
	where := s.names.channel(c.ID)
	if m.EphemeralTo != "" {
		where += ", only for " + s.names.user(m.EphemeralTo)
	}
	if before > 0 {
		where += ", edited"
	}
	first, _, _ := strings.Cut(m.Text, "\n")
	if len(m.Blocks) == 0 {
		s.say("%s: %s", where, m.Text)
		return
	}
	if requestWord.MatchString(first) && strings.Contains(first, " · ") {
		s.say("%s: %s", where, first)
	} else {
		s.say("%s:", where)
	}
	s.lines(renderBlocks(m.Blocks))
}
