package playground_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	"github.com/qlik-chatops/bot/internal/playground"
	"github.com/qlik-chatops/bot/internal/store"
)

// look opens the bot's database for reading, as `bot audit` would beside a
// running bot, and returns the verified record and the requests, oldest first.
func look(t *testing.T, p *playground.Playground) ([]audit.Record, []approval.Request) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: p.DatabaseURL(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := audit.Verify(db.Records(t.Context(), store.RecordFilter{})); err != nil {
		t.Errorf("the audit record does not hold: %v", err)
	}
	var records []audit.Record
	for r, err := range db.Records(t.Context(), store.RecordFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	rs, err := db.RecentRequests(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(rs)
	return records, rs
}

func records(t *testing.T, p *playground.Playground) []audit.Record {
	t.Helper()
	rs, _ := look(t, p)
	return rs
}

// checkAlways is what holds at every quiet moment, whatever has happened:
// the record is whole and tells the same as the requests, every card shows its
// request as it stands, nobody was notified whom the bot did not mean, and no
// write went out that was not approved.
func checkAlways(t *testing.T, p *playground.Playground) []approval.Request {
	t.Helper()
	records, requests := look(t, p)
	for _, r := range requests {
		checkRecord(t, r, records)
		checkVotes(t, r)
		for _, c := range r.Cards {
			m, ok := p.Slack.Message(c.Channel, c.TS)
			if c.TS == "" {
				continue
			}
			if begin := fmt.Sprintf("%s · %s: ", r.ID, r.State); !ok || !strings.HasPrefix(m.Text, begin) {
				t.Errorf("the card of %s says %q, and the request is %s", r.ID, m.Text, r.State)
			}
		}
	}
	for _, c := range p.Slack.Channels() {
		for _, m := range p.Slack.Messages(c.ID) {
			for _, v := range m.Versions {
				for _, mention := range v.Mentions {
					if mention.Auto || mention.Kind != "user" && mention.Kind != "usergroup" {
						t.Errorf("a message sets off %+v: %s", mention, v.Text)
					}
				}
			}
		}
	}
	for _, tenant := range p.Tenants {
		for _, call := range tenant.Server.Calls() {
			if call.Effect != qlikemu.EffectDone || !call.Write {
				continue
			}
			for _, ch := range call.Changes {
				// A client's first token makes its bot user.
				if ch.Resource == "user" && !strings.Contains(call.Path, "token") && !sent(records) {
					t.Errorf("%s changed %+v, and no intent is on record", call.Operation, ch)
				}
			}
		}
	}
	return requests
}

func sent(records []audit.Record) bool {
	return slices.ContainsFunc(records, func(r audit.Record) bool { return r.Event == string(audit.EventSending) })
}

// checkRecord compares a request with what is on record of it.
func checkRecord(t *testing.T, r approval.Request, records []audit.Record) {
	t.Helper()
	approved, asked := false, 0
	last := ""
	for _, rec := range records {
		if rec.Request != r.ID {
			continue
		}
		switch audit.Event(rec.Event) {
		case audit.EventAsked:
			asked++
		case audit.EventApproved:
			approved = true
		case audit.EventReplan:
			approved = false
		case audit.EventSending:
			if !approved {
				t.Errorf("%s: a write is on record before an approval", r.ID)
			}
		case audit.EventEnded, audit.EventExpired:
			if approval.State(last).Ended() {
				t.Errorf("%s ended twice: %s and %s", r.ID, last, rec.Outcome)
			}
			last = rec.Outcome
		case audit.EventRefused, audit.EventPlanned, audit.EventDecided, audit.EventStep:
		}
	}
	if asked != 1 {
		t.Errorf("%s was asked for %d times on record", r.ID, asked)
	}
	if (r.State.Ended() || r.State == approval.Unknown) && last != string(r.State) {
		t.Errorf("%s is %s, and on record %q", r.ID, r.State, last)
	}
}

// checkVotes wants every request that was ever approved to have the votes
// that its demands ask for: of people who are named, none of them the caller.
func checkVotes(t *testing.T, r approval.Request) {
	t.Helper()
	if len(r.Steps) == 0 {
		return // it never ran
	}
	if r.Confirms() {
		if !slices.ContainsFunc(r.Decisions, func(d approval.Decision) bool {
			return d.Kind == approval.Confirm && d.By == r.Caller && d.Version == r.Version && d.Digest == r.Digest
		}) {
			t.Errorf("%s ran without its caller's confirmation", r.ID)
		}
		return
	}
	for _, d := range r.Demands {
		people := map[approval.Identity]bool{}
		for _, v := range r.VotesFor(d.Rule) {
			named := slices.Contains(d.Users, v.By.User) || slices.Contains(d.Members, v.By.User)
			if named && v.By != r.Caller && v.Digest == r.Digest {
				people[v.By] = true
			}
		}
		if len(people) < d.Count {
			t.Errorf("%s ran with %d of %d approvals for rule %s", r.ID, len(people), d.Count, d.Rule)
		}
	}
}

// checkDeeds is checkAlways, and that every deed came to an end that the
// tenant confirms, with nothing done twice and everybody told.
func checkDeeds(t *testing.T, p *playground.Playground, ds []deed, w weather) {
	t.Helper()
	requests := checkAlways(t, p)
	prod := p.Tenant(playground.Prod)
	created, patched := map[string]int{}, map[string]int{}
	for _, c := range prod.Calls() {
		if c.Effect != qlikemu.EffectDone {
			continue
		}
		for _, ch := range c.Changes {
			u, _ := prod.User(ch.ID)
			switch {
			case ch.Resource != "user":
			case ch.What == "created":
				created[u.Email]++
			case ch.What == "updated":
				patched[u.Email]++
			}
		}
	}
	mails := map[string]int{}
	for _, m := range prod.MailsSent() {
		mails[m.To]++
	}
	for email, n := range mails {
		if n > 1 {
			t.Errorf("%d mails went to %s", n, email)
		}
	}
	for _, d := range ds {
		r := requestOf(requests, d)
		for _, w := range d.people {
			if created[w.email] > 1 {
				t.Errorf("%s was created %d times", w.email, created[w.email])
			}
			if patched[w.email] > w.patches {
				t.Errorf("%s was changed %d times, want at most %d", w.email, patched[w.email], w.patches)
			}
		}
		if r == nil {
			if !told(p, d.by) {
				t.Errorf("%q came to nothing, and nobody was told", d.text)
			}
			continue
		}
		checkTruth(t, prod, d, r)
		shown := 0
		for _, m := range p.Slack.Messages(playground.ChannelOps) {
			if strings.HasPrefix(m.Text, r.ID+" · ") {
				shown++
			}
		}
		if shown == 0 || shown > max(1, w.copies) {
			t.Errorf("%d messages show %s", shown, r.ID)
		}
		if w.done && r.State != approval.Succeeded {
			t.Errorf("%q is %s: %s %+v", d.text, r.State, r.Outcome, r.Steps)
		}
		if w.refused && r.State == approval.Succeeded {
			t.Errorf("%q is %s", d.text, r.State)
		}
	}
}

func requestOf(rs []approval.Request, d deed) *approval.Request {
	for i := range rs {
		if strings.Contains(rs[i].Plan.Title+fmt.Sprint(rs[i].Plan.Targets), d.people[0].email) {
			return &rs[i]
		}
	}
	return nil
}

// checkTruth compares the state that the card shows with the tenant.
func checkTruth(t *testing.T, prod *qlikemu.Server, d deed, r *approval.Request) {
	t.Helper()
	done, untouched := 0, 0
	for _, w := range d.people {
		u, ok := prod.UserByEmail(w.email)
		switch {
		case ok && u.Status == w.status && slices.Equal(u.Roles, w.roles):
			done++
		case !ok && w.before == "", ok && u.Status == w.before && len(u.Roles) == 0:
			untouched++
		}
	}
	switch r.State {
	case approval.Succeeded:
		if done != len(d.people) {
			t.Errorf("%q is said to have succeeded; on prod %d of %d are so", d.text, done, len(d.people))
		}
	case approval.Failed, approval.Denied, approval.Cancelled, approval.Expired:
		if untouched != len(d.people) {
			t.Errorf("%q is %s (%s); on prod %d of %d are untouched: %+v", d.text, r.State, r.Outcome, untouched, len(d.people), r.Steps)
		}
	case approval.PartlySucceeded:
		if untouched == len(d.people) || done == len(d.people) {
			t.Errorf("%q is partly succeeded; on prod %d are done and %d untouched: %+v", d.text, done, untouched, r.Steps)
		}
	case approval.Waiting:
		if untouched != len(d.people) {
			t.Errorf("%q is waiting; on prod %d of %d are untouched", d.text, untouched, len(d.people))
		}
	case approval.Unknown:
	case approval.Approved, approval.Running:
		t.Errorf("%q is still %s after the weather: %s %+v", d.text, r.State, r.Outcome, r.Steps)
	}
}
