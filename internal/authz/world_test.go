package authz_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/qlik-chatops/bot/internal/authz"
)

// world is the catalogue and the tenants of these tests.
func world() authz.Known {
	read := authz.Command{Class: authz.Read}
	people := authz.Command{Class: authz.People}
	change := authz.Command{Class: authz.Change}
	gives := authz.Command{Class: authz.Change, MayGiveAdmin: true}
	takes := authz.Command{Class: authz.Change, MayTakeAdmin: true}
	both := authz.Command{Class: authz.Change, MayGiveAdmin: true, MayTakeAdmin: true}
	return authz.Known{
		Commands: map[string]authz.Command{
			"roles": read, "space list": read, "space show": read,
			"admins": people, "user show": people, "audit": people,
			"space create": change, "space delete": change,
			"add-admin": gives, "invite": gives, "user create": gives,
			"remove-admin": takes, "user disable": takes,
			"tenant apply": both,
		},
		NotGoverned: []string{"help", "request approve"},
		Tenants:     []string{"prod", "staging"},
	}
}

func load(t *testing.T, file string) *authz.Policy {
	t.Helper()
	p, err := authz.Load([]byte(file), world())
	if err != nil {
		t.Fatalf("the policy must load:\n%v\n%s", err, file)
	}
	return p
}

// problems loads a file that must be refused.
func problems(t *testing.T, file string) authz.Problems {
	t.Helper()
	p, err := authz.Load([]byte(file), world())
	if err == nil || p != nil {
		t.Fatalf("the policy must be refused and was loaded:\n%s", file)
	}
	var ps authz.Problems
	if !errors.As(err, &ps) || len(ps) == 0 {
		t.Fatalf("want Problems, got %T %v", err, err)
	}
	return ps
}

// rules is a policy of these rules, indented by two, with the groups of these
// tests: ana and ben are users of ops, S0SRE is the rest of it.
func rules(items ...string) string {
	return `version: 1
groups:
  ops:       {users: [U0ANA, U0BEN], usergroups: [S0SRE]}
  approvers: {users: [U0BEN, U0CLEO, U0DAN]}
rules:
` + strings.Join(items, "\n")
}

const (
	anyoneMayRead   = `  - {name: anyone-may-read, effect: allow, who: [anyone], commands: ["@read"], tenants: ["*"]}`
	opsMayChange    = `  - {name: ops-may-change, effect: allow, who: [ops], commands: ["@change", "@people"], tenants: [prod, staging]}`
	powerNeedsTwo   = `  - {name: power-needs-two, effect: require, commands: ["@gives-admin", "@takes-admin"], tenants: [prod], approvals: {count: 2, from: [approvers], expires_in: 4h}, reason: required}`
	noSpaceDeletion = `  - {name: no-space-deletion, effect: deny, commands: [space delete], message: Spaces are kept.}`
)

// person is a verified member whose membership in S0SRE is known to be none.
func person(user string) authz.Person {
	return authz.Person{Team: "T0HOME", User: user, UserGroups: map[string]bool{"S0SRE": false}}
}

func ana(command string) authz.Facts {
	return authz.Facts{
		Caller: person("U0ANA"), Channel: "C0OPS", Command: command, Tenant: "prod",
		Effects: &authz.Effects{},
	}
}
