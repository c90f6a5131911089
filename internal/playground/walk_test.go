package playground_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
	"github.com/qlik-chatops/bot/internal/playground"
)

// TestNoWayLeadsToAWriteWithoutTheApprovalsOfToday walks at random through
// commands, clicks, forged clicks, clocks, restarts, other policies, and people
// who come and go, and then compares each first write with the policy, the
// people and the votes as they were at that moment, as this test knows them.
func TestNoWayLeadsToAWriteWithoutTheApprovalsOfToday(t *testing.T) {
	t.Parallel()
	const seeds uint64 = max(6/everyNth, 2)
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &walk{t: t, rng: rand.New(rand.NewPCG(seed, 1)), policy: "one"}
				w.p = start(t, playground.Options{
					Slack: slackemu.Config{PingInterval: time.Hour, GhostLife: -1, NoRateLimits: true},
					Qlik:  qlikemu.Config{RateLimits: qlikemu.RateLimits{Off: true}},
				})
				w.run()
			})
		})
	}
}

// moment is what held from some time on.
type moment struct {
	from   time.Time
	policy string
	// full are the full, active members; ops those in the user group.
	full, ops []string
}

type walk struct {
	t       *testing.T
	rng     *rand.Rand
	p       *playground.Playground
	policy  string
	history []moment
	old     []func()
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func (w *walk) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// remember writes down how things stand now.
func (w *walk) remember() {
	m := moment{from: time.Now(), policy: w.policy}
	for _, u := range w.p.Slack.Users() {
		if !u.IsBot && !u.Deleted && !u.IsRestricted && u.TeamID == "T0HOME" {
			m.full = append(m.full, u.ID)
		}
	}
	for _, g := range w.p.Slack.UserGroups() {
		m.ops = slices.Clone(g.Members)
	}
	w.history = append(w.history, m)
}

func (w *walk) at(when time.Time) moment {
	i := slices.IndexFunc(w.history, func(m moment) bool { return m.from.After(when) })
	if i < 0 {
		i = len(w.history)
	}
	return w.history[max(i-1, 0)]
}

func (w *walk) run() {
	w.remember()
	for range 110 {
		w.step()
		w.remember()
		time.Sleep(time.Duration(200+w.rng.IntN(4000)) * time.Millisecond)
	}
	w.p.Tenant(playground.Home).ClearFaults()
	w.p.Tenant(playground.Prod).ClearFaults()
	time.Sleep(5 * time.Hour) // whatever waits runs out
	synctest.Wait()
	for _, wait := range w.old {
		wait()
	}
	requests := checkAlways(w.t, w.p)
	records, _ := look(w.t, w.p)
	ran := 0
	for _, r := range requests {
		if len(r.Steps) > 0 {
			ran++
			w.judge(r, records)
		}
		if !r.State.Ended() && r.State != approval.Unknown {
			w.t.Errorf("%s is %s five hours later", r.ID, r.State)
		}
	}
	w.t.Logf("%d requests were made, %d ran", len(requests), ran)
	if len(requests) == 0 || ran == 0 {
		w.t.Errorf("of %d requests %d ran: this shows nothing", len(requests), ran)
	}
}

func (w *walk) step() {
	everybody := []string{playground.Ana, playground.Ben, playground.Cleo, playground.Dan, playground.Gil, playground.Eve, playground.Otto}
	who := pick(w.rng, everybody)
	prod, home := w.p.Tenant(playground.Prod), w.p.Tenant(playground.Home)
	switch n := w.rng.IntN(100); {
	case n < 25: // somebody asks, most often somebody who may
		if w.rng.IntN(6) > 0 {
			who = pick(w.rng, []string{playground.Ana, playground.Dan})
		}
		person := pick(w.rng, []string{"@dan", "fay@example.com", "cleo@example.com", "ben@example.com", "ana@example.com"})
		text := pick(w.rng, []string{"add-admin " + person, "add-admin " + person, fmt.Sprintf("invite n%d@example.com as AuditAdmin", w.rng.IntN(50)), fmt.Sprintf("invite n%d@example.com", w.rng.IntN(50))})
		_, err := w.p.Slack.Command(w.t.Context(), who, playground.ChannelOps, text)
		w.impossible(err)
	case n < 65: // somebody clicks, most often somebody who counts
		if w.rng.IntN(4) > 0 {
			who = pick(w.rng, []string{playground.Ana, playground.Ben, playground.Ben, playground.Cleo, playground.Cleo, playground.Dan})
		}
		w.click(who)
	case n < 69:
		w.check(w.p.Slack.UpdateUser(pick(w.rng, []string{playground.Ben, playground.Cleo, playground.Dan}), func(u *slackemu.User) { u.IsRestricted = w.rng.IntN(3) == 0 }))
	case n < 72:
		w.check(w.p.Slack.UpdateUser(playground.Ben, func(u *slackemu.User) { u.Deleted = w.rng.IntN(3) == 0 }))
	case n < 77:
		one := pick(w.rng, []string{playground.Ana, playground.Ben, playground.Cleo, playground.Dan})
		w.check(w.p.Slack.UpdateUserGroup(playground.GroupOps, func(g *slackemu.UserGroup) {
			switch i := slices.Index(g.Members, one); {
			case w.rng.IntN(2) == 0:
				g.Members = []string{playground.Ana, playground.Dan}
			case i >= 0:
				g.Members = slices.Delete(slices.Clone(g.Members), i, i+1)
			default:
				g.Members = append(slices.Clone(g.Members), one)
			}
		}))
	case n < 83:
		home.AddFault(qlikemu.Fault{Status: 500, Count: 2 + w.rng.IntN(4)})
	case n < 87:
		prod.AddFault(qlikemu.Fault{Operation: "POST /api/v1/users", Answer: qlikemu.Drop, Effect: pick(w.rng, []qlikemu.Effect{qlikemu.NoEffect, qlikemu.TakesEffect})})
	case n < 91: // somebody works by hand
		for _, u := range prod.Users() {
			if strings.HasPrefix(u.Email, pick(w.rng, []string{"dan", "fay", "cleo", "n"})) && u.ClientID == "" {
				w.check(prod.UpdateUser(u.ID, func(u *qlikemu.User) { u.Roles = pick(w.rng, [][]string{nil, {"AuditAdmin"}}) }))
			}
		}
	case n < 93:
		time.Sleep(time.Duration(w.rng.IntN(90)) * time.Minute)
	default:
		w.restart()
	}
}

// impossible lets pass what Slack's client would not let somebody do.
func (w *walk) impossible(err error) {
	w.t.Helper()
	if err != nil && !errors.Is(err, slackemu.ErrDeactivated) && !errors.Is(err, slackemu.ErrExternal) && !errors.Is(err, slackemu.ErrNotInChannel) {
		w.t.Fatal(err)
	}
}

// click presses a button of some card, or forges such a click.
func (w *walk) click(who string) {
	var cards []slackemu.Message
	for _, m := range w.p.Slack.Messages(playground.ChannelOps) {
		if len(buttons(m.Blocks)) > 1 {
			cards = append(cards, m)
		}
	}
	if len(cards) == 0 {
		return
	}
	card := cards[len(cards)-1]
	if w.rng.IntN(2) == 0 {
		card = pick(w.rng, cards)
	}
	actions := []string{"request.approve", "request.approve", "request.approve", "request.approve", "request.approve", "request.approve", "request.confirm", "request.confirm", "request.confirm", "request.withdraw", "request.deny", "request.cancel", "request.happened", "request.not_happened", "request.recheck"}
	action := pick(w.rng, actions)
	if w.rng.IntN(5) > 0 && !slices.Contains(mapValues(buttons(card.Blocks)), action) {
		action = "request.approve"
		if buttons(card.Blocks)["Confirm"] != "" {
			action = "request.confirm"
		}
	}
	if w.rng.IntN(4) > 0 && slices.Contains(mapValues(buttons(card.Blocks)), action) {
		_, err := w.p.Slack.Click(w.t.Context(), who, card.Channel, card.TS, action)
		w.impossible(err)
		return
	}
	id, _, _ := strings.Cut(card.Text, " ")
	_, err := w.p.Slack.ClickRaw(w.t.Context(), who, slackemu.RawClick{
		Channel: pick(w.rng, []string{card.Channel, card.Channel, playground.ChannelShared, playground.ChannelApprovals}), TS: card.TS,
		Action: map[string]any{"type": "button", "action_id": action, "block_id": "b", "value": fmt.Sprintf("%s:%d", id, w.rng.IntN(4))},
	})
	w.check(err)
}

func mapValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// restart ends the bot in one of its ways and starts it, perhaps with another
// policy.
func (w *walk) restart() {
	if w.rng.IntN(2) == 0 {
		wait, err := w.p.Abandon()
		w.check(err)
		w.old = append(w.old, wait)
	} else {
		w.check(w.p.Stop())
	}
	// A life that was cut off may have a call in its hands; it can begin none.
	// The policy of the next life holds from here on.
	time.Sleep(time.Second)
	w.policy = pick(w.rng, []string{"one", "one", "one", "two", "two", "group", "group", "strict"})
	text := playground.Policy
	if w.policy != "one" {
		text = policyFile(w.t, w.policy+".yaml")
	}
	w.check(os.WriteFile(w.p.Config().PolicyFile, []byte(text), 0o600))
	w.remember()
	ready(w.t, w.p)
}

// judge compares the first write of a request with what held at that moment.
func (w *walk) judge(r approval.Request, records []audit.Record) {
	var began time.Time
	for _, rec := range records {
		if rec.Request == r.ID && audit.Event(rec.Event) == audit.EventSending {
			when, err := time.Parse(time.RFC3339, rec.Time)
			w.check(err)
			began = when
			break
		}
	}
	if began.IsZero() {
		return // nothing was ever sent
	}
	now := w.at(began)
	if !slices.Contains(now.full, r.Caller.User) || !slices.Contains(now.ops, r.Caller.User) {
		w.t.Errorf("%s wrote at %s for %s, who may not ask: %+v", r.ID, began, r.Caller.User, now)
	}
	if r.Tenant != playground.Prod || !r.Plan.GivesAdmin() {
		return // checkAlways has seen to the confirmation
	}
	need, from := 1, []string{playground.Ben, playground.Cleo}
	switch now.policy {
	case "two":
		need = 2
	case "group":
		// Whoever joined after it was asked for, or was asked for anew, does
		// not count.
		from = nil
		asked := r.CreatedAt
		for _, rec := range records {
			if rec.Request == r.ID && audit.Event(rec.Event) == audit.EventReplan {
				when, err := time.Parse(time.RFC3339, rec.Time)
				w.check(err)
				asked = when
			}
		}
		for _, id := range w.at(asked).ops {
			if slices.Contains(now.ops, id) {
				from = append(from, id)
			}
		}
	case "strict":
		w.t.Errorf("%s wrote at %s under a policy that forbids it", r.ID, began)
	}
	var counted []string
	for _, v := range r.Votes() {
		about := slices.ContainsFunc(r.Plan.Targets, func(target approval.Target) bool {
			return target.Email == strings.ToLower(strings.TrimPrefix(v.By.User, "U0"))+"@example.com"
		})
		if !about && v.By.User != r.Caller.User && v.At.Before(began.Add(time.Millisecond)) &&
			slices.Contains(from, v.By.User) && slices.Contains(now.full, v.By.User) && !slices.Contains(counted, v.By.User) {
			counted = append(counted, v.By.User)
		}
	}
	if len(counted) < need {
		w.t.Errorf("%s wrote at %s with the approvals of %v; policy %q asks for %d of %v; decisions %+v; %+v", r.ID, began, counted, now.policy, need, from, r.Decisions, now)
	}
}
