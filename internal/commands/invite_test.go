package commands_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/commands"
	emulator "github.com/qlik-chatops/bot/internal/emulator/qlik"
)

func TestInviteSaysWhoIsNewAndWhoIsThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.slack["U0ANA"] = commands.SlackPerson{ID: "U0ANA", Email: anaMail}
		w.user(w.prod, emulator.User{Subject: "b", Email: "Ben@example.com"})
		w.user(w.prod, emulator.User{Subject: "c", Email: "cleo@example.com", Status: emulator.StatusInvited, InviteExpiry: time.Now().Add(3 * 24 * time.Hour)})
		w.user(w.prod, emulator.User{Subject: "d", Email: "dan@example.com", Status: emulator.StatusInvited, InviteExpiry: time.Now().Add(-time.Hour)})
		w.user(w.prod, emulator.User{Subject: "e", Email: "eve@example.com", Status: emulator.StatusDisabled})
		w.user(w.prod, emulator.User{Subject: "f", Email: "fay@example.com", Status: emulator.StatusProvisioned})
		golden(t, "invite/mixed.json", asJSON(t, w.planned(
			"invite ana@example.com ANA@example.com ben@example.com, cleo@example.com; dan@example.com\neve@example.com fay@example.com gil@example.com as Steward lang de")))
	})
}

func TestInviteRolesOfAdministratorsGiveAdmin(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.prod.AddRole(emulator.Role{Name: "Custom admins", Level: "admin"}); err != nil {
			t.Fatal(err)
		}
		for roles, gives := range map[string]bool{
			"": false, "as Steward": false, "as TenantAdmin": true, "as Steward, AuditAdmin": true, `as "Custom admins"`: true,
		} {
			p := w.planned("invite ana@example.com " + roles)
			if p.GivesAdmin() != gives {
				t.Errorf("%q gives admin: %v", roles, p.GivesAdmin())
			}
			if p.Steps[0].GivesAdmin {
				t.Errorf("%q: the invitation itself gives admin", roles)
			}
		}
	})
}

func TestInviteGoesInBatchesWithTheRolesAfterAllOfThem(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		var emails []string
		for i := range 45 {
			emails = append(emails, fmt.Sprintf("p%02d@example.com", i))
		}
		p := w.planned("invite " + strings.Join(emails, " ") + " as Steward")
		if len(p.Steps) != 3+45 {
			t.Fatalf("%d steps", len(p.Steps))
		}
		if want := strings.Repeat("invite-users ", 3) + strings.TrimSpace(strings.Repeat("add-roles-to-invited ", 45)); kinds(p) != want {
			t.Errorf("steps %s", kinds(p))
		}
		for i, want := range map[int]string{3: `"invite_step":0,"email":"p00@`, 22: `"invite_step":0,"email":"p19@`, 23: `"invite_step":1,"email":"p20@`, 47: `"invite_step":2,"email":"p44@`} {
			if !strings.Contains(string(p.Steps[i].Params), want) {
				t.Errorf("step %d: %s", i, p.Steps[i].Params)
			}
		}
		if len(p.Targets) != 45 || len(w.slackAsked) > 0 || !strings.Contains(notes(p), "recognised by e-mail when they vote") {
			t.Errorf("%d targets, Slack asked for %v, notes %s", len(p.Targets), w.slackAsked, notes(p))
		}
	})
}

func TestInviteLinksUpToTenPeopleToSlack(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		var emails []string
		for i := range 10 {
			e := fmt.Sprintf("p%02d@example.com", i)
			emails = append(emails, e)
			if i > 0 {
				w.slack[e] = commands.SlackPerson{ID: fmt.Sprintf("U0P%d", i), Email: e}
			}
		}
		p := w.planned("invite " + strings.Join(emails, " "))
		for i, target := range p.Targets {
			if (target.Slack != "") != (i > 0) {
				t.Errorf("%s is linked to %q", target.Email, target.Slack)
			}
		}
		if !strings.Contains(notes(p), "No Slack user has the address p00@example.com") {
			t.Errorf("notes %s", notes(p))
		}
	})
}

func TestInviteHasNothingToDoWhenEverybodyIsThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.user(w.prod, emulator.User{Subject: "a", Email: anaMail})
		p := w.planned("invite ana@example.com as TenantAdmin")
		if len(p.Steps) > 0 || p.GivesAdmin() || len(p.Targets) > 0 {
			t.Errorf("%+v", p)
		}
		if !strings.Contains(facts(p), "Active already: 1: ana@example.com") {
			t.Errorf("facts %s", facts(p))
		}
	})
}

func TestInviteRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		line string
		set  func(w *world)
		want []string
	}{
		"another provider": {"invite ana@example.com", func(w *world) {
			w.prod.SetIdentityProviders(emulator.IdentityProvider{Provider: "azureAD", Active: true, Interactive: true})
		}, []string{"Invitations do not work on prod", "azureAD"}},
		"a role in the wrong case": {"invite ana@example.com as steward", func(*world) {}, []string{`no role "steward" (there is "Steward"`}},
		"several wrong roles":      {"invite ana@example.com as Nonsense, auditadmin, Steward", func(*world) {}, []string{`"Nonsense"`, `nor "auditadmin" (there is "AuditAdmin"`}},
		"no rights": {"invite ana@example.com", func(w *world) {
			w.prod.AddFault(emulator.Fault{Operation: "GET /api/v1/users", Status: 403, Count: emulator.Always})
		}, []string{"Looking the people up on prod failed."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(_ *testing.T, w *world) {
				tc.set(w)
				w.refused(tc.line, tc.want...)
			})
		})
	}
}

func TestInviteWithAProviderThatIsConfiguredButNotActiveWorks(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.prod.SetIdentityProviders(
			emulator.IdentityProvider{Provider: emulator.QlikAccount, Active: true, Interactive: true},
			emulator.IdentityProvider{Provider: "okta", Active: false, Interactive: true},
			emulator.IdentityProvider{Provider: "external", Active: true, Interactive: false})
		if p := w.planned("invite ana@example.com"); kinds(p) != "invite-users" {
			t.Errorf("steps %s", kinds(p))
		}
	})
}
