package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
)

// This file plays the life of requests through the database: votes in any
// order, with clocks that go back, forged people, changed plans and restarts
// in between. A judge that shares no code with package approval keeps count
// of what people really did, and the request must never be further than that
// allows.

var (
	everybody = []string{"U0ANA", "U0BEN", "U0CLEO", "U0DAN", "U0EVE", ""}
	allGroups = []string{"S0OPS", "S0SEC"}
)

// game is one request with what the judge knows of it.
type game struct {
	*rand.Rand
	d  *database
	id string

	caller  approval.Identity
	targets []string // whose votes never count
	// joined says who was in which group when the request was made.
	joined map[string][]string

	version  int
	demands  []approval.Demand
	deadline time.Time
	// voted are those who approved this version and did not take it back,
	// with the groups that they were in then.
	voted     map[string][]string
	confirmed bool
	ended     bool // by a denial, a cancellation or the clock
	approved  bool // by all that the demands ask for
	log       []string
}

func TestNoOrderOfVotesClocksAndRestartsGetsRoundTheDemands(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	reached := map[approval.State]int{}
	for i := range 50 {
		g := &game{Rand: rand.New(rand.NewPCG(uint64(i), 99)), d: d, id: fmt.Sprintf("R-%d", i)}
		g.play(t, reached)
	}
	// A test that never gets there shows nothing.
	for _, s := range []approval.State{approval.Approved, approval.Running, approval.Denied, approval.Cancelled, approval.Expired, approval.Waiting} {
		if reached[s] == 0 {
			t.Errorf("no game came by %q", s)
		}
	}
	d.verified(t)
}

func (g *game) play(t *testing.T, reached map[approval.State]int) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g.caller = approval.Identity{Team: "T1", User: everybody[g.IntN(2)]}
	if g.IntN(3) == 0 {
		g.targets = []string{everybody[g.IntN(5)]}
	}
	g.joined = map[string][]string{}
	for _, u := range everybody[:5] {
		g.joined[u] = g.some(allGroups)
	}
	r := approval.Request{
		ID: g.id, Caller: g.caller, Command: "add-admin", Tenant: "prod", Plan: g.plan(0), Demands: g.newDemands(),
	}
	e, err := r.Open(now)
	check(t, err)
	check(t, g.d.CreateRequest(t.Context(), r, e))
	g.renew(r.Demands, now)
	for range 30 {
		// Clocks of replicas differ, and are set back.
		at := now.Add(time.Duration(g.IntN(20)-5) * time.Minute)
		if at.After(now) {
			now = at
		}
		g.step(t, at)
		after := must(g.d.Request(t.Context(), g.id))
		reached[after.State]++
		g.judge(t, after)
		if g.IntN(60) == 0 {
			g.note("restart")
			g.d.restart(t)
		}
		if after.State == approval.Running || after.State.Ended() && g.IntN(3) == 0 {
			return
		}
	}
}

func (g *game) note(format string, args ...any) { g.log = append(g.log, fmt.Sprintf(format, args...)) }

func (g *game) some(of []string) (list []string) {
	for _, x := range of {
		if g.IntN(2) == 0 {
			list = append(list, x)
		}
	}
	return list
}

func (g *game) plan(version int) approval.Plan {
	p := approval.Plan{Command: "add-admin", Tenant: "prod", Steps: []approval.Step{{
		Kind: "create-user", Tenant: "prod", Object: fmt.Sprintf("eve-%d@example.com", version), Params: json.RawMessage(`{}`),
	}}}
	for _, u := range g.targets {
		p.Targets = append(p.Targets, approval.Target{Slack: u})
	}
	return p
}

func (g *game) newDemands() (list []approval.Demand) {
	for i := range g.IntN(3) {
		d := approval.Demand{
			Rule: fmt.Sprintf("rule-%d", i), Count: g.IntN(2) + 1, Users: g.some(everybody), UserGroups: g.some(allGroups),
			LateMembers: g.IntN(3) == 0, ExpiresIn: time.Duration(g.IntN(240)+60) * time.Minute, ExecuteWithin: time.Hour,
		}
		for u, in := range g.joined {
			if overlap(in, d.UserGroups) {
				d.Members = append(d.Members, u)
			}
		}
		slices.Sort(d.Members)
		list = append(list, d)
	}
	return list
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// renew puts a new version before the judge.
func (g *game) renew(demands []approval.Demand, now time.Time) {
	g.version++
	g.demands, g.voted, g.confirmed, g.approved = demands, map[string][]string{}, false, false
	within := time.Hour
	for i, d := range demands {
		if i == 0 || d.ExpiresIn < within {
			within = d.ExpiresIn
		}
	}
	g.deadline = now.Add(within)
	g.note("version %d with %+v until %v", g.version, demands, g.deadline)
}

// step does one thing to the stored request and tells the judge what really
// happened.
func (g *game) step(t *testing.T, at time.Time) {
	t.Helper()
	change := func(f func(*approval.Request) (approval.Effects, error)) error {
		_, err := g.d.ChangeRequest(t.Context(), g.id, f)
		return err
	}
	switch g.IntN(24) {
	case 0:
		_ = change(func(r *approval.Request) (approval.Effects, error) { return approval.Effects{}, r.Start() })
		g.note("start")
	case 1:
		demands := g.newDemands()
		err := change(func(r *approval.Request) (approval.Effects, error) {
			return r.Replan(g.plan(g.version), demands, "p", "changed", at)
		})
		if err == nil {
			g.renew(demands, at)
		}
	case 2:
		check(t, change(func(r *approval.Request) (approval.Effects, error) {
			e, _ := r.Expire(at)
			return e, nil
		}))
		if !g.approved && !at.Before(g.deadline) {
			g.ended = true
		}
		g.note("expire at %v", at)
	default:
		g.decide(t, at, change)
	}
}

func (g *game) decide(t *testing.T, at time.Time, change func(func(*approval.Request) (approval.Effects, error)) error) {
	t.Helper()
	kinds := []approval.DecisionKind{
		approval.Approve, approval.Approve, approval.Approve, approval.Approve, approval.Approve, approval.Approve,
		approval.Approve, approval.Confirm, approval.Confirm, approval.Withdraw, approval.Deny, approval.Cancel, "approved", "",
	}
	kind := kinds[g.IntN(len(kinds))]
	user := everybody[g.IntN(len(everybody))]
	v := approval.Voter{Identity: approval.Identity{Team: "T1", User: user}, UserGroups: g.some(allGroups)}
	if g.IntN(8) == 0 {
		v.Team = []string{"T2", ""}[g.IntN(2)]
	}
	// Whoever finds out who the voter is may know that they gain by it.
	v.Target = slices.Contains(g.targets, user) && g.IntN(2) == 0
	version := g.version
	if g.IntN(8) == 0 {
		version += g.IntN(3) - 1
	}
	err := change(func(r *approval.Request) (approval.Effects, error) { return r.Decide(kind, v, version, at) })
	var refusal *approval.Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatal(err)
	}
	g.note("%q by %+v on version %d at %v: %v", kind, v, version, at, err)

	// From here on only what a bystander sees.
	if g.ended || version != g.version || v.Team != "T1" || user == "" {
		return
	}
	if g.approved {
		g.ended = g.ended || kind == approval.Cancel && v.Identity == g.caller && err == nil
		return
	}
	if !at.Before(g.deadline) {
		return
	}
	switch kind {
	case approval.Approve:
		_, twice := g.voted[user]
		if !twice && slices.ContainsFunc(g.demands, func(d approval.Demand) bool { return g.counts(d, user, v.UserGroups) }) {
			g.voted[user] = v.UserGroups
		}
	case approval.Withdraw:
		delete(g.voted, user)
	case approval.Confirm:
		g.confirmed = g.confirmed || v.Identity == g.caller
	case approval.Deny:
		g.ended = g.ended || slices.ContainsFunc(g.demands, func(d approval.Demand) bool { return g.counts(d, user, v.UserGroups) })
	case approval.Cancel:
		g.ended = g.ended || v.Identity == g.caller
	default: // what a run left in doubt is decided after it; the rest is no decision
	}
	// An approval that stood for a moment is enough.
	g.approved = !g.ended && g.met()
}

// counts says whether that person's vote, given as a member of those groups,
// is one that the demand asks for.
func (g *game) counts(d approval.Demand, user string, in []string) bool {
	switch {
	case user == g.caller.User || slices.Contains(g.targets, user):
		return false
	case slices.Contains(d.Users, user):
		return true
	case !overlap(in, d.UserGroups):
		return false
	}
	return d.LateMembers || overlap(g.joined[user], d.UserGroups)
}

func (g *game) met() bool {
	if len(g.demands) == 0 {
		return g.confirmed
	}
	for _, d := range g.demands {
		n := 0
		for user, in := range g.voted {
			if g.counts(d, user, in) {
				n++
			}
		}
		if n < d.Count {
			return false
		}
	}
	return true
}

// judge compares the request with what people really did.
func (g *game) judge(t *testing.T, r approval.Request) {
	t.Helper()
	fail := func(what string) {
		t.Helper()
		t.Fatalf("%s: %s although %s; caller %v, targets %v, joined %v\n%q", r.ID, r.State, what, g.caller, g.targets, g.joined, g.log)
	}
	if r.Version != g.version {
		fail("another version is in force")
	}
	switch r.State {
	case approval.Approved, approval.Running:
		if !g.approved || g.ended {
			fail("the demands were not met")
		}
	case approval.Waiting:
		if g.approved || g.ended {
			fail("it was decided")
		}
	case approval.Denied, approval.Cancelled, approval.Expired:
		if !g.ended {
			fail("nobody ended it")
		}
	default:
		fail("nothing leads there")
	}
}
