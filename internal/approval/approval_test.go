package approval_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/approval"
)

// The people of these tests. Ana asks; Ben, Cleo and Dan may approve; Finn is
// nobody. Eve, whom it is about, never votes.
var (
	ana  = person("U0ANA")
	ben  = person("U0BEN")
	cleo = person("U0CLEO")
	dan  = person("U0DAN")
	finn = person("U0FINN")
)

func person(user string) approval.Voter {
	return approval.Voter{Identity: approval.Identity{Team: "T1", User: user}}
}

// in is the person as a member of these user groups now.
func in(v approval.Voter, groups ...string) approval.Voter {
	v.UserGroups = groups
	return v
}

var start = time.Date(2030, 1, 2, 9, 0, 0, 0, time.UTC)

// two is a demand for two of Ben, Cleo and Dan.
func two() approval.Demand {
	return approval.Demand{
		Rule: "needs-two", Count: 2, Users: []string{"U0BEN", "U0CLEO", "U0DAN"},
		ExpiresIn: 4 * time.Hour, ExecuteWithin: 10 * time.Minute,
	}
}

// security is a demand for one member of a user group, in which Cleo was.
func security() approval.Demand {
	return approval.Demand{
		Rule: "security-agrees", Count: 1, UserGroups: []string{"S0SEC"}, Members: []string{"U0CLEO"},
		ExpiresIn: 2 * time.Hour, ExecuteWithin: time.Hour,
	}
}

func plan() approval.Plan {
	return approval.Plan{
		Command: "add-admin", Tenant: "prod", Title: "Eve will be administrator of prod.",
		Targets: []approval.Target{{Email: "eve@example.com", Name: "Eve", Subject: `idp\eve`}},
		Facts:   []approval.Fact{{Label: "Subject", Value: `idp\eve`}},
		Notes:   []string{"Eve can then do everything."},
		Steps: []approval.Step{
			{
				Kind: "create-user", Tenant: "prod", Object: "eve@example.com", Line: "Create Eve.",
				Params: json.RawMessage(`{"subject":"idp\\eve","roles":["TenantAdmin"]}`), Before: json.RawMessage(`{"exists":false}`),
				Changes: []approval.Change{{Property: "roles", Before: "", After: "TenantAdmin"}}, GivesAdmin: true,
			},
			{Kind: "check", Tenant: "prod", Object: "eve@example.com", Line: "Look."},
		},
	}
}

// opened is a waiting request of Ana's.
func opened(t *testing.T, demands ...approval.Demand) *approval.Request {
	t.Helper()
	r := &approval.Request{
		ID: "R-1", Caller: ana.Identity, Command: "add-admin", Tenant: "prod", Plan: plan(), Demands: demands, Policy: "policy-digest",
	}
	if _, err := r.Open(start); err != nil {
		t.Fatal(err)
	}
	return r
}

func decides(t *testing.T, r *approval.Request, kind approval.DecisionKind, v approval.Voter) approval.Effects {
	t.Helper()
	e, err := r.Decide(kind, v, r.Version, start)
	if err != nil {
		t.Fatalf("%s by %s: %v", kind, v.User, err)
	}
	return e
}

// refused checks that a decision is turned away for that reason and that the
// request is as it was before.
func refused(t *testing.T, r *approval.Request, kind approval.DecisionKind, v approval.Voter, version int, at time.Time, want approval.RefusalCode) {
	t.Helper()
	before := frozen(t, r)
	e, err := r.Decide(kind, v, version, at)
	var no *approval.Refusal
	if !errors.As(err, &no) || no.Code != want {
		t.Fatalf("%s by %+v: the error is %v, want a refusal for %q", kind, v, err, want)
	}
	if no.Text == "" {
		t.Error("the refusal says nothing")
	}
	if diff := cmp.Diff(before, frozen(t, r)); diff != "" {
		t.Errorf("the refused decision changed the request:\n%s", diff)
	}
	if diff := cmp.Diff(approval.Effects{}, e); diff != "" {
		t.Errorf("the refused decision has effects:\n%s", diff)
	}
}

// frozen is all that there is to know about the request now.
func frozen(t *testing.T, r *approval.Request) string {
	t.Helper()
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func inState(t *testing.T, r *approval.Request, want approval.State) {
	t.Helper()
	if r.State != want {
		t.Fatalf("the request is %s, want %s", r.State, want)
	}
}

func events(e approval.Effects) (list []string) {
	for _, r := range e.Records {
		list = append(list, string(r.Event)+" "+r.Outcome)
	}
	return list
}

func keys(e approval.Effects) (list []string) {
	for _, t := range e.Tasks {
		list = append(list, t.Key)
	}
	slices.Sort(list)
	return list
}

func wantLists(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
