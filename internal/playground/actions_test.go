package playground_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// action is a kind of line in a script.
type action struct {
	pattern *regexp.Regexp
	do      func(s *story, m []string)
	// quiet lines let no time pass.
	quiet bool
}

func line(pattern string, do func(s *story, m []string)) action {
	return action{pattern: regexp.MustCompile(`^` + pattern + `$`), do: do}
}

func quiet(pattern string, do func(s *story, m []string)) action {
	a := line(pattern, do)
	a.quiet = true
	return a
}

// afterwards is how much time passes after each action.
const afterwards = 5 * time.Second

const (
	person  = `(@[\w-]+)`
	channel = `(#[\w-]+|a DM)`
	tenant  = `(home|prod)`
)

// actions are all lines that a script may hold.
func actions() []action {
	return []action{
		line(person+` in `+channel+`: /qlik ?(.*)`, func(s *story, m []string) {
			user := s.user(m[1])
			s.outcome(s.p.Slack.Command(s.t.Context(), user, s.place(user, m[2]), s.names.real(m[3])))
		}),
		line(person+` in `+channel+` types the contents of (\S+)`, func(s *story, m []string) {
			user := s.user(m[1])
			s.outcome(s.p.Slack.Command(s.t.Context(), user, s.place(user, m[2]), policyFile(s.t, "../"+m[3])))
		}),
		line(person+` clicks ([\w ]+) in Home`, func(s *story, m []string) {
			user := s.user(m[1])
			v, _ := s.p.Slack.Home(user)
			s.outcome(s.p.Slack.ClickHome(s.t.Context(), user, s.button(buttons(v.Blocks), m[2])))
		}),
		line(person+` clicks (\w+(?: \w+)*?)( twice at once| of what only they see)?`, func(s *story, m []string) {
			n := 1
			if m[3] == " twice at once" {
				n, s.names.raced = 2, true
			}
			users := slices.Repeat([]string{s.user(m[1])}, n)
			s.click(users, m[2], m[3] == " of what only they see")
		}),
		line(person+` and `+person+` click ([\w ]+) at once`, func(s *story, m []string) {
			// Nobody knows who is first, so from here on they are the same.
			s.names.raced, s.names.either = true, append(s.names.either, m[1], m[2])
			s.click([]string{s.user(m[1]), s.user(m[2])}, m[3], false)
		}),
		// A click that Slack's client would not make.
		line(person+` forges (request\.\w+) with the value "(.*)"( on another message| in `+channel+`)?`, func(s *story, m []string) {
			user, c := s.user(m[1]), s.newestCard("")
			raw := slackemu.RawClick{Channel: c.Channel, TS: c.TS, Action: map[string]any{
				"type": "button", "action_id": m[2], "block_id": "b", "value": s.names.real(m[3]),
			}}
			switch {
			case m[4] == " on another message":
				raw.TS = "1234567890.000100"
			case m[4] != "":
				raw.Channel = s.place(user, m[5])
			}
			s.outcome(s.p.Slack.ClickRaw(s.t.Context(), user, raw))
		}),
		line(person+` opens Home`, func(s *story, m []string) {
			s.outcome(s.p.Slack.OpenHome(s.t.Context(), s.user(m[1])))
		}),
		line(person+` sends the form with (.*)`, func(s *story, m []string) {
			user := s.user(m[1])
			views := s.p.Slack.Views(user)
			if len(views) == 0 {
				s.t.Fatalf("%s has no form open", m[1])
			}
			values := slackemu.Values{}
			for part := range strings.SplitSeq(m[2], "; ") {
				k, v, ok := strings.Cut(part, "=")
				if !ok {
					s.t.Fatalf("%q is no field=value", part)
				}
				values[k] = strings.ReplaceAll(v, `\n`, "\n")
			}
			s.outcome(s.p.Slack.SubmitView(s.t.Context(), user, views[len(views)-1].ID, values))
		}),
		line(person+` closes the form`, func(s *story, m []string) {
			s.outcome(s.p.Slack.CloseAllViews(s.t.Context(), s.user(m[1])))
		}),
		line(`(\S+) (?:pass|passes)`, func(s *story, m []string) { time.Sleep(s.duration(m[1])) }),
		line(`the bot is stopped`, func(s *story, _ []string) { s.check(s.p.Stop()) }),
		line(`the bot is started`, func(s *story, _ []string) { s.startAgain() }),
		line(`the bot is stopped and started(?: with policy (\S+))?`, func(s *story, m []string) {
			s.check(s.p.Stop())
			if m[1] != "" {
				s.check(os.WriteFile(s.p.Config().PolicyFile, []byte(policyFile(s.t, m[1])), 0o600))
			}
			s.startAgain()
		}),
		// People in Slack.
		line(person+` (joins|leaves) the group ops`, func(s *story, m []string) {
			user := s.user(m[1])
			s.check(s.p.Slack.UpdateUserGroup(playground.GroupOps, func(g *slackemu.UserGroup) {
				g.Members = slices.DeleteFunc(g.Members, func(id string) bool { return id == user })
				if m[2] == "joins" {
					g.Members = append(g.Members, user)
				}
			}))
		}),
		line(`the group ops is (disabled|enabled)`, func(s *story, m []string) {
			s.check(s.p.Slack.UpdateUserGroup(playground.GroupOps, func(g *slackemu.UserGroup) { g.Disabled = m[1] == "disabled" }))
		}),
		line(person+` becomes a (guest|member)`, func(s *story, m []string) {
			s.check(s.p.Slack.UpdateUser(s.user(m[1]), func(u *slackemu.User) { u.IsRestricted = m[2] == "guest" }))
		}),
		line(person+` is deactivated`, func(s *story, m []string) {
			s.check(s.p.Slack.UpdateUser(s.user(m[1]), func(u *slackemu.User) { u.Deleted = true }))
		}),
		line(`the channel `+channel+` is shared with another organisation`, func(s *story, m []string) {
			s.check(s.p.Slack.UpdateChannel(s.place("", m[1]), func(c *slackemu.Channel) { c.IsExtShared = true }))
		}),
		line(`the bot (leaves|joins) `+channel, func(s *story, m []string) {
			s.check(s.p.Slack.UpdateChannel(s.place("", m[2]), func(c *slackemu.Channel) { c.BotIsMember = m[1] == "joins" }))
		}),
		line(`Slack (refuses|loses the answers to) every (\S+)`, func(s *story, m []string) {
			f := slackemu.Fault{Status: 500}
			if m[1] != "refuses" {
				f = slackemu.Fault{DropAfter: true}
			}
			s.p.Slack.Fail(m[2], f)
		}),
		line(`Slack answers every (\S+) with (\w+)`, func(s *story, m []string) {
			s.p.Slack.Fail(m[1], slackemu.Fault{Error: m[2]})
		}),
		quiet(`Slack delivers what comes next twice`, func(s *story, _ []string) { s.p.Slack.DuplicateNext(1) }),
		line(`Slack delivers the last (slash_commands|interactive) once more`, func(s *story, m []string) {
			all := s.p.Slack.Envelopes()
			i := len(all) - 1
			for all[i].Type != m[1] {
				i--
			}
			s.check(s.p.Slack.Redeliver(all[i].ID, s.p.Slack.Connections()[0].ID))
		}),
		quiet(`Slack carries every (\S+) out (\S+) late`, func(s *story, m []string) {
			s.p.Slack.Fail(m[1], slackemu.Fault{Delay: s.duration(m[2])})
		}),
		quiet(`Slack is well again`, func(s *story, _ []string) { s.p.Slack.ClearFaults() }),
		// Tenants.
		quiet(tenant+`: users`, func(s *story, m []string) {
			for _, u := range s.p.Tenant(m[1]).Users() {
				if u.ClientID == "" {
					s.say("%s, %s: %s", u.Email, u.Status, orNone(strings.Join(u.Roles, ", ")))
				}
			}
		}),
		quiet(tenant+`: mails`, func(s *story, m []string) {
			for _, mail := range s.p.Tenant(m[1]).MailsSent() {
				s.say("to %s, in %s", mail.To, mail.Language)
			}
		}),
		quiet(tenant+`: writes`, func(s *story, m []string) {
			for _, c := range s.p.Tenant(m[1]).Calls() {
				if c.Write && !strings.Contains(c.Path, "token") {
					s.say("%s: %d, effect %s%s", c.Operation, c.Status, c.Effect, orFault(c.Fault))
				}
			}
		}),
		line(tenant+`: (\S+) is (disabled|made active|invited|deleted|provisioned) by hand`, func(s *story, m []string) {
			srv, u := s.account(m[1], m[2])
			if m[3] == "deleted" {
				s.check(srv.DeleteUser(u.ID))
				return
			}
			status := m[3]
			if status == "made active" {
				status = qlikemu.StatusActive
			}
			s.check(srv.UpdateUser(u.ID, func(u *qlikemu.User) {
				u.Status = status
				if status == qlikemu.StatusInvited {
					u.InviteExpiry = time.Now().Add(qlikemu.InviteLifetime)
				}
			}))
		}),
		line(tenant+`: (\S+) is added by hand( with the same subject as at home)?(?: under the name "(.*)")?`, func(s *story, m []string) {
			u := qlikemu.User{Email: m[2], Name: m[4], Subject: "auth0|" + m[1] + m[2]}
			if m[3] != "" {
				_, known := s.account(playground.Home, m[2])
				u.Subject = known.Subject
			}
			for _, other := range s.p.Tenant(m[1]).Users() {
				if other.Subject == u.Subject {
					u.Subject += " again"
				}
			}
			_, err := s.p.Tenant(m[1]).AddUser(u)
			s.check(err)
		}),
		line(tenant+`: (\S+) (gets|loses) the role (\w+) by hand`, func(s *story, m []string) {
			srv, u := s.account(m[1], m[2])
			s.check(srv.UpdateUser(u.ID, func(u *qlikemu.User) {
				u.Roles = slices.DeleteFunc(slices.Clone(u.Roles), func(r string) bool { return r == m[4] })
				if m[3] == "gets" {
					u.Roles = append(u.Roles, m[4])
				}
			}))
		}),
		line(tenant+`: an identity provider of its own is active`, func(s *story, m []string) {
			s.p.Tenant(m[1]).SetIdentityProviders(qlikemu.IdentityProvider{Provider: "okta", Active: true, Interactive: true})
		}),
		line(tenant+` is slow by (\S+)`, func(s *story, m []string) {
			s.p.Tenant(m[1]).AddFault(qlikemu.Fault{Delay: s.duration(m[2]), Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal, Count: qlikemu.Always})
		}),
		line(tenant+` drops the next (creation|invitation|change) (before|after) its effect`, func(s *story, m []string) {
			f := qlikemu.Fault{Operation: operations()[m[2]], Answer: qlikemu.Drop}
			if m[3] == "after" {
				f.Effect = qlikemu.TakesEffect
			}
			s.p.Tenant(m[1]).AddFault(f)
		}),
		line(tenant+` lets the next (creation|invitation|change) take effect (\S+) later`, func(s *story, m []string) {
			s.p.Tenant(m[1]).AddFault(qlikemu.Fault{
				Operation: operations()[m[2]], Effect: qlikemu.LateEffect, EffectDelay: s.duration(m[3]), Answer: qlikemu.Hang,
			})
		}),
		line(tenant+` says that the next (creation|invitation|change) is done, and does nothing`, func(s *story, m []string) {
			s.p.Tenant(m[1]).AddFault(qlikemu.Fault{Operation: operations()[m[2]], Answer: qlikemu.Normal})
		}),
		line(tenant+` refuses (the next|every) (creation|invitation|change) with (\d+)`, func(s *story, m []string) {
			status, err := strconv.Atoi(m[4])
			s.check(err)
			f := qlikemu.Fault{Operation: operations()[m[3]], Answer: qlikemu.Refuse, Status: status}
			if m[2] == "every" {
				f.Count = qlikemu.Always
			}
			s.p.Tenant(m[1]).AddFault(f)
		}),
		line(tenant+` refuses everything with (\d+)`, func(s *story, m []string) {
			status, err := strconv.Atoi(m[2])
			s.check(err)
			s.p.Tenant(m[1]).AddFault(qlikemu.Fault{Answer: qlikemu.Refuse, Status: status, Count: qlikemu.Always})
		}),
		line(tenant+` fails the invitation of (\S+) with (\d+)`, func(s *story, m []string) {
			s.p.Tenant(m[1]).SetBehaviour(func(b *qlikemu.Behaviour) {
				if b.InviteFailures == nil {
					b.InviteFailures = map[string]string{}
				}
				b.InviteFailures[m[2]] = m[3]
			})
		}),
		quiet(tenant+` is well again`, func(s *story, m []string) { s.p.Tenant(m[1]).ClearFaults() }),
		// What is on record.
		quiet(`the record(?: of (R\d+))?`, func(s *story, m []string) {
			for _, r := range records(s.t, s.p) {
				if m[1] != "" && r.Request != s.names.real(m[1]) {
					continue
				}
				who := "the bot"
				if r.Actor.User != "" {
					who = s.names.user(r.Actor.User)
				}
				s.say("%s %s, %s: %s: %s", r.Request, r.Event, who, r.Outcome, r.Detail)
			}
		}),
		quiet(`the text of the card`, func(s *story, _ []string) {
			s.lines(strings.Split(s.newestCard("").Text, "\n"))
		}),
		quiet(`whom the card has told`, func(s *story, _ []string) {
			for _, m := range s.newestCard("").Versions[0].Mentions {
				who := s.names.user(m.ID)
				if m.Kind == "usergroup" {
					who = "@group:" + m.ID
				}
				s.say("%s %s", m.Kind, who)
			}
		}),
	}
}

// operations are the writes that scripts speak of.
func operations() map[string]string {
	return map[string]string{
		"creation":   "POST /api/v1/users",
		"invitation": "POST /api/v1/users/actions/invite",
		"change":     "PATCH /api/v1/users/{userId}",
	}
}

func (s *story) act(text string) {
	for _, a := range actions() {
		m := a.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		a.do(s, m)
		if !a.quiet {
			time.Sleep(afterwards)
			synctest.Wait()
			s.news()
		}
		return
	}
	s.t.Fatalf("nobody knows what this means: %s", text)
}

func (s *story) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) startAgain() {
	s.check(s.p.Start(s.t.Context()))
	s.check(s.p.Ready(s.t.Context()))
}

func (s *story) user(handle string) string {
	id, ok := s.names.userID(handle)
	if !ok {
		s.t.Fatalf("nobody is called %s", handle)
	}
	return id
}

func (s *story) place(user, name string) string {
	if name == "a DM" {
		return s.p.Slack.DM(user)
	}
	id, ok := s.names.channelID(name)
	if !ok {
		s.t.Fatalf("no channel is called %s", name)
	}
	return id
}

func (s *story) duration(text string) time.Duration {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		s.check(err)
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(text)
	s.check(err)
	return d
}

func (s *story) account(label, email string) (*qlikemu.Server, qlikemu.User) {
	srv := s.p.Tenant(label)
	u, ok := srv.UserByEmail(email)
	if !ok {
		s.t.Fatalf("%s has no account %s", label, email)
	}
	return srv, u
}

// outcome tells what Slack's client shows when something is wrong.
func (s *story) outcome(o slackemu.Outcome, err error) {
	switch {
	case err != nil:
		// The first wrapped error is the emulator's sentence.
		for errors.Unwrap(err) != nil && strings.HasPrefix(err.Error(), "click") {
			err = errors.Unwrap(err)
		}
		s.say("Slack does not let them: %v", err)
	case !o.OK():
		s.say("Slack shows: %s %s", o.Status, o.Problem)
	}
}

// newestCard is the newest message with that button (any when empty) that
// everybody sees.
func (s *story) newestCard(button string) slackemu.Message {
	return s.newest(button, func(m slackemu.Message) bool { return m.EphemeralTo == "" })
}

func (s *story) newest(button string, want func(slackemu.Message) bool) slackemu.Message {
	var newest slackemu.Message
	for _, c := range s.p.Slack.Channels() {
		for _, u := range s.p.Slack.Users() {
			for _, m := range s.p.Slack.MessagesFor(u.ID, c.ID) {
				bs := buttons(m.Blocks)
				if _, has := bs[button]; (has || button == "" && len(bs) > 0) && want(m) && m.TS > newest.TS {
					newest = m
				}
			}
		}
	}
	if newest.TS == "" {
		s.t.Fatalf("no message has a button %q", button)
	}
	return newest
}

func (s *story) button(bs map[string]string, text string) string {
	id, ok := bs[text]
	if !ok {
		s.t.Fatalf("there is no button %q", text)
	}
	return id
}

// click presses a button of the newest card, or of the newest message that
// only they see, all at once.
func (s *story) click(users []string, button string, private bool) {
	want := func(m slackemu.Message) bool { return (m.EphemeralTo != "") == private }
	if private {
		want = func(m slackemu.Message) bool { return m.EphemeralTo == users[0] }
	}
	card := s.newest(button, want)
	action := s.button(buttons(card.Blocks), button)
	outs, errs := make([]slackemu.Outcome, len(users)), make([]error, len(users))
	var wg sync.WaitGroup
	for i, user := range users {
		wg.Go(func() { outs[i], errs[i] = s.p.Slack.Click(s.t.Context(), user, card.Channel, card.TS, action) })
	}
	wg.Wait()
	for i := range users {
		s.outcome(outs[i], errs[i])
	}
}

func orNone(s string) string {
	if s == "" {
		return "no roles"
	}
	return s
}

func orFault(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", s)
}
