package playground_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// deed is one change that somebody asks for, with what the tenant shows once
// it was done.
type deed struct {
	by, text   string
	agrees, in string // who clicks what: the text of the button
	people     []want
}

// want is an account on prod as a deed should leave it.
type want struct {
	email, status string
	roles         []string
	// before is the account's status before the deed; empty: none.
	before string
	// patches is how many effective changes of the account the deed takes.
	patches int
}

// deeds go over every kind of write: creating, giving a role, activating and
// then giving a role, inviting with and without roles.
func deeds() []deed {
	admin := []string{"TenantAdmin"}
	return []deed{
		{by: playground.Ana, text: "add-admin @dan because weather", agrees: playground.Ben, in: "Approve",
			people: []want{{email: "dan@example.com", status: "active", roles: admin}}},
		{by: playground.Ana, text: "add-admin fay@example.com", agrees: playground.Ben, in: "Approve",
			people: []want{{email: "fay@example.com", status: "active", roles: admin, before: "active", patches: 1}}},
		{by: playground.Ana, text: "add-admin ben@example.com", agrees: playground.Cleo, in: "Approve",
			people: []want{{email: "ben@example.com", status: "active", roles: admin, before: "invited", patches: 2}}},
		{by: playground.Dan, text: "invite n1@example.com n2@example.com as AuditAdmin", agrees: playground.Cleo, in: "Approve",
			people: []want{
				{email: "n1@example.com", status: "invited", roles: []string{"AuditAdmin"}, patches: 1},
				{email: "n2@example.com", status: "invited", roles: []string{"AuditAdmin"}, patches: 1},
			}},
		{by: playground.Dan, text: "invite n3@example.com n4@example.com lang de", agrees: playground.Dan, in: "Confirm",
			people: []want{{email: "n3@example.com", status: "invited"}, {email: "n4@example.com", status: "invited"}}},
	}
}

// weather is something that goes wrong for a while.
type weather struct {
	name string
	// lasts is how long; what hits single calls may be over sooner.
	lasts time.Duration
	begin func(p *playground.Playground)
	end   func(p *playground.Playground)
	// done says that every deed must succeed in spite of it, wherever it
	// strikes; refused that none may, when it strikes at the click.
	done, refused bool
	// writes says that it strikes writes alone, so that it makes no difference
	// while a command is planned.
	writes bool
	// planning says that it is worth seeing only while commands are planned,
	// because others strike the clicks in the same way.
	planning bool
	// copies is how many copies of a card Slack may have got, because it did
	// not tell that it has one; 0 means one.
	copies int
}

func slackWeather(name string, lasts time.Duration, f slackemu.Fault) weather {
	return weather{
		name: fmt.Sprintf("Slack %s for %s", name, lasts), lasts: lasts,
		begin: func(p *playground.Playground) { p.Slack.Fail("*", f) },
		end:   func(p *playground.Playground) { p.Slack.ClearFaults() },
		done:  lasts < 100*time.Second,
	}
}

// qlikWeather strikes prod; ops are the operations, or everything when empty.
func qlikWeather(name string, lasts time.Duration, f qlikemu.Fault, ops ...string) weather {
	return weather{
		name: "prod " + name, lasts: lasts, writes: len(ops) == 3,
		begin: func(p *playground.Playground) {
			if len(ops) == 0 {
				p.Tenant(playground.Prod).AddFault(f)
			}
			for _, op := range ops {
				f.Operation = op
				p.Tenant(playground.Prod).AddFault(f)
			}
		},
		end: func(p *playground.Playground) { p.Tenant(playground.Prod).ClearFaults() },
	}
}

func must(w weather) weather { w.done = true; return w }

func never(w weather) weather { w.refused = true; return w }

func planning(w weather) weather { w.planning = true; return w }

func copies(n int, w weather) weather { w.copies = n; return w }

func weathers() []weather {
	const post, invite, patch = "POST /api/v1/users", "POST /api/v1/users/actions/invite", "PATCH /api/v1/users/{userId}"
	always := qlikemu.Always
	short, long := time.Minute, 4*time.Minute
	var all []weather
	for _, lasts := range []time.Duration{short, long} {
		all = append(all,
			copies(6, slackWeather("is slow by 30 s", lasts, slackemu.Fault{Delay: 30 * time.Second})),
			slackWeather("refuses", lasts, slackemu.Fault{Error: "service_unavailable"}),
			copies(6, slackWeather("drops after the effect", lasts, slackemu.Fault{DropAfter: true})),
			slackWeather("asks to wait", lasts, slackemu.Fault{RetryAfter: 20 * time.Second}),
		)
	}
	return append(all,
		slackWeather("answers 503", short, slackemu.Fault{Status: 503}),
		copies(6, slackWeather("answers garbage", short, slackemu.Fault{Garbage: true})),
		qlikWeather("is slow by 30 s", long, qlikemu.Fault{Delay: 30 * time.Second, Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal, Count: always}),
		qlikWeather("is slow by 5 s", long, qlikemu.Fault{Delay: 5 * time.Second, Effect: qlikemu.TakesEffect, Answer: qlikemu.Normal, Count: always}),
		never(qlikWeather("forbids every write", long, qlikemu.Fault{Status: 403, Count: always}, post, invite, patch)),
		planning(qlikWeather("forbids everything", long, qlikemu.Fault{Status: 403, Count: always})),
		qlikWeather("answers 500 to everything", long, qlikemu.Fault{Status: 500, Count: always}),
		must(qlikWeather("answers 500 to every write", long, qlikemu.Fault{Status: 500, Count: always}, post, invite, patch)),
		must(qlikWeather("answers 500 after taking effect", long, qlikemu.Fault{Status: 500, Effect: qlikemu.TakesEffect, Count: always}, post, invite, patch)),
		must(qlikWeather("answers 429", short, qlikemu.Fault{Status: 429, RetryAfter: 20 * time.Second, Count: always}, post, invite, patch)),
		qlikWeather("answers 429 to everything", short, qlikemu.Fault{Status: 429, RetryAfter: 20 * time.Second, Count: always}),
		must(qlikWeather("drops every write before its effect", long, qlikemu.Fault{Answer: qlikemu.Drop, Count: always}, post, invite, patch)),
		must(qlikWeather("drops every write after its effect", long, qlikemu.Fault{Answer: qlikemu.Drop, Effect: qlikemu.TakesEffect, Count: always}, post, invite, patch)),
		must(qlikWeather("answers writes with garbage after their effect", long, qlikemu.Fault{Answer: qlikemu.Garbage, Effect: qlikemu.TakesEffect, Count: always}, post, invite, patch)),
		qlikWeather("cuts the answers to everything short", long, qlikemu.Fault{Answer: qlikemu.Truncated, Effect: qlikemu.TakesEffect, Count: always}),
		must(qlikWeather("answers writes with a page of HTML", long, qlikemu.Fault{Answer: qlikemu.HTML, Count: always}, post, invite, patch)),
		must(qlikWeather("hangs on one write of each kind, which takes effect half a minute later", long, qlikemu.Fault{Answer: qlikemu.Hang, Effect: qlikemu.LateEffect, EffectDelay: 35 * time.Second}, post, invite, patch)),
		never(qlikWeather("says that writes are done and does nothing", long, qlikemu.Fault{Answer: qlikemu.Normal, Count: always}, post, invite, patch)),
		planning(qlikWeather("gives no tokens", long, qlikemu.Fault{Status: 500, Count: always}, "POST /oauth/token")),
		qlikWeather("does not know the client", long, qlikemu.Fault{Status: 401, Count: always}, "POST /oauth/token"),
		weather{name: "prod has revoked the tokens", lasts: long, done: true,
			begin: func(p *playground.Playground) { p.Tenant(playground.Prod).RevokeTokens("") },
			end:   func(*playground.Playground) {}},
		weather{name: "prod refuses single role changes", writes: true, lasts: long, done: true,
			begin: func(p *playground.Playground) {
				p.Tenant(playground.Prod).SetBehaviour(func(b *qlikemu.Behaviour) { b.RefusesRoleDelta = true })
			},
			end: func(*playground.Playground) {}},
		weather{name: "prod's lists lag by 20 s", writes: true, lasts: long, done: true,
			begin: func(p *playground.Playground) {
				p.Tenant(playground.Prod).SetBehaviour(func(b *qlikemu.Behaviour) { b.ReadLag = 20 * time.Second })
			},
			end: func(*playground.Playground) {}},
		weather{name: "prod reports one failure among the invitations", writes: true, lasts: long,
			begin: func(p *playground.Playground) {
				p.Tenant(playground.Prod).SetBehaviour(func(b *qlikemu.Behaviour) {
					b.InviteFailures = map[string]string{"n1@example.com": "1003", "n3@example.com": "1002"}
				})
			},
			end: func(*playground.Playground) {}},
	)
}

func TestWhateverTheWeatherEverybodyIsAnsweredAndNothingIsDoneTwice(t *testing.T) {
	t.Parallel()
	n := 0
	for _, w := range weathers() {
		for _, strikes := range []string{"the commands", "the clicks"} {
			if w.writes && strikes == "the commands" || w.planning && strikes == "the clicks" {
				continue
			}
			if n++; n%everyNth != 0 {
				continue
			}
			t.Run(w.name+", at "+strikes, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { weatherCase(t, w, strikes == "the clicks") })
			})
		}
	}
}

func weatherCase(t *testing.T, w weather, atClicks bool) {
	p := start(t, playground.Options{Slack: slackemu.Config{PingInterval: time.Hour}})
	seedInvited(t, p)
	var wg sync.WaitGroup
	during := func() {
		w.begin(p)
		wg.Go(func() {
			time.Sleep(w.lasts)
			w.end(p)
		})
	}
	if !atClicks {
		during()
	}
	for _, d := range deeds() {
		wg.Go(func() { acknowledged(t, d.text)(p.Slack.Command(t.Context(), d.by, playground.ChannelOps, d.text)) })
	}
	// Reads are answered too, and a form is acknowledged.
	reads := map[string]string{playground.Cleo: "tenants", playground.Ben: "help"}
	for user, text := range reads {
		wg.Go(func() { acknowledged(t, text)(p.Slack.Command(t.Context(), user, playground.ChannelOps, text)) })
	}
	wg.Go(func() { acknowledged(t, "Home")(p.Slack.OpenHome(t.Context(), playground.Ben)) })
	if atClicks {
		time.Sleep(20 * time.Second)
		during()
	}
	if !atClicks {
		wg.Wait()
		time.Sleep(5 * time.Minute)
	}
	clicked := 0
	for _, d := range deeds() {
		card, ok := cardOf(p, d)
		if !ok {
			continue
		}
		clicked++
		wg.Go(func() {
			acknowledged(t, "click on "+d.text)(p.Slack.Click(t.Context(), d.agrees, card.Channel, card.TS, buttons(card.Blocks)[d.in]))
		})
	}
	if (atClicks || w.done) && clicked != len(deeds()) {
		t.Errorf("%d of %d deeds got a card; ana sees:\n%s", clicked, len(deeds()), said(p, playground.Ana, playground.ChannelOps))
	}
	wg.Wait()
	// Longer than an approval may be used, and longer than a doubt is pursued
	// before a person is asked.
	time.Sleep(22 * time.Minute)
	synctest.Wait()
	for user, text := range reads {
		if !told(p, user) {
			t.Errorf("%s was never answered", text)
		}
	}
	checkDeeds(t, p, deeds(), w)
}

// seedInvited adds the account that one of the deeds activates.
func seedInvited(t *testing.T, p *playground.Playground) {
	t.Helper()
	known, _ := p.Tenant(playground.Home).UserByEmail("ben@example.com")
	_, err := p.Tenant(playground.Prod).AddUser(qlikemu.User{Subject: known.Subject, Name: known.Name, Email: known.Email, Status: qlikemu.StatusInvited})
	if err != nil {
		t.Fatal(err)
	}
}

// acknowledged wants an interaction to have been acknowledged in time.
func acknowledged(t *testing.T, what string) func(slackemu.Outcome, error) {
	return func(o slackemu.Outcome, err error) {
		t.Helper()
		if err != nil || !o.OK() {
			t.Errorf("%s was not acknowledged: %s %s %v", what, o.Status, o.Problem, err)
		}
	}
}

// cardOf finds the newest card of a deed by the button that it needs.
func cardOf(p *playground.Playground, d deed) (slackemu.Message, bool) {
	var newest slackemu.Message
	for _, m := range p.Slack.Messages(playground.ChannelOps) {
		_, has := buttons(m.Blocks)[d.in]
		if has && !m.Deleted && strings.Contains(m.Text, d.people[0].email) && strings.Contains(m.Text, "waiting") {
			newest = m
		}
	}
	return newest, newest.TS != ""
}

// told says whether somebody was shown something alone.
func told(p *playground.Playground, user string) bool {
	for _, c := range p.Slack.Channels() {
		if slices.ContainsFunc(p.Slack.MessagesFor(user, c.ID), func(m slackemu.Message) bool {
			return m.EphemeralTo == user || c.IsIM
		}) {
			return true
		}
	}
	return false
}
