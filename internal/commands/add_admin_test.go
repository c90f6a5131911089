package commands_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/commands"
	emulator "github.com/qlik-chatops/bot/internal/emulator/qlik"
)

const (
	anaMail    = "ana@example.com"
	anaSubject = "auth0|ana"
)

// ana is on the source tenant and in Slack.
func (w *world) ana() emulator.User {
	w.Helper()
	w.slack["U0ANA"] = commands.SlackPerson{ID: "U0ANA", Email: "Ana@Example.com", Name: "Ana"}
	return w.user(w.home, emulator.User{Subject: anaSubject, Email: "Ana@example.com", Name: "Ana Example"})
}

// onProd puts ana on the target tenant.
func (w *world) onProd(change func(*emulator.User)) emulator.User {
	w.Helper()
	u := emulator.User{Subject: anaSubject, Email: anaMail, Name: "Ana Example", Status: emulator.StatusActive}
	change(&u)
	return w.user(w.prod, u)
}

func TestAddAdminCreatesWhoIsNotThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		w.user(w.prod, emulator.User{Subject: "auth0|ben", Email: "ben@example.com", Roles: []string{"TenantAdmin"}})
		golden(t, "add-admin/create.json", asJSON(t, w.planned("add-admin <@U0ANA> because she sets it up")))
	})
}

func TestAddAdminMakesTheSamePlanHoweverThePersonIsNamed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		id := w.ana().ID
		var digests []string
		for _, person := range []string{"<@U0ANA>", anaMail, "ANA@EXAMPLE.COM", id, "subject:" + anaSubject} {
			p := w.planned("add-admin " + person + " on prod")
			d, err := p.Digest()
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, d)
			if p.Targets[0].Slack != "U0ANA" {
				t.Errorf("%s: the target is linked to %q", person, p.Targets[0].Slack)
			}
		}
		for _, d := range digests {
			if d != digests[0] {
				t.Fatalf("digests differ: %v", digests)
			}
		}
	})
}

func TestAddAdminAddsTheRoleToWhoIsThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		w.onProd(func(u *emulator.User) { u.Roles = []string{"Steward"} })
		golden(t, "add-admin/add-role.json", asJSON(t, w.planned("add-admin ana@example.com")))
	})
}

func TestAddAdminActivatesTheInvitedAsPartOfThePlan(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		w.onProd(func(u *emulator.User) { u.Status = emulator.StatusInvited })
		golden(t, "add-admin/activate.json", asJSON(t, w.planned("add-admin ana@example.com")))
	})
}

func TestAddAdminOnlyActivatesAnInvitedAdministratorAndCallsThatGivingPower(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		w.onProd(func(u *emulator.User) { u.Status, u.Roles = emulator.StatusInvited, []string{"TenantAdmin"} })
		p := w.planned("add-admin ana@example.com")
		if kinds(p) != "set-status" || !p.GivesAdmin() {
			t.Errorf("steps %s, gives admin %v", kinds(p), p.GivesAdmin())
		}
	})
}

func TestAddAdminHasNothingToDoForADirectAdministrator(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		w.onProd(func(u *emulator.User) { u.Roles = []string{"TenantAdmin"} })
		p := w.planned("add-admin ana@example.com")
		if p.Nothing == "" || !strings.Contains(p.Nothing, "directly already") {
			t.Errorf("nothing: %q", p.Nothing)
		}
	})
}

func TestAddAdminGivesTheRoleDirectlyToWhoHoldsItThroughAGroup(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		g, err := w.prod.AddGroup(emulator.Group{Name: "Admins", Roles: []string{"TenantAdmin"}})
		if err != nil {
			t.Fatal(err)
		}
		w.onProd(func(u *emulator.User) { u.Groups = []string{g.ID} })
		p := w.planned("add-admin ana@example.com")
		if kinds(p) != "add-role" || !strings.Contains(notes(p), "through a group already (Admins)") {
			t.Errorf("steps %s, notes %s", kinds(p), notes(p))
		}
	})
}

func TestAddAdminRefusesWhatItCannotBeSureOf(t *testing.T) {
	t.Parallel()
	nobody := func(*world) {}
	for name, tc := range map[string]struct {
		line string
		set  func(w *world)
		want []string
	}{
		"nobody on the source":    {"add-admin ben@example.com", nobody, []string{"There is nobody for ben@example.com on home.", "invite"}},
		"no such ID":              {"add-admin 507f191e810c19729de860ea", nobody, []string{"There is nobody for the user ID"}},
		"no such subject":         {"add-admin subject:x", nobody, []string{`There is nobody for the subject "x" on home.`}},
		"a subject in other case": {"add-admin subject:AUTH0|ANA", nobody, []string{"There is nobody"}},
		"several on the source": {"add-admin ana@example.com", func(w *world) {
			w.user(w.home, emulator.User{Subject: "auth0|second", Email: anaMail, Status: emulator.StatusDisabled})
		}, []string{"There are 2 accounts for ana@example.com on home", "auth0|second", anaSubject, "disabled", "by user ID"}},
		"a bot on the source": {"add-admin bot@example.com", func(w *world) {
			w.user(w.home, emulator.User{Subject: `qlikbot\abc`, Email: "bot@example.com", ClientID: "abc"})
		}, []string{"OAuth client's bot"}},
		"invited on the source": {"add-admin dan@example.com", func(w *world) {
			w.user(w.home, emulator.User{Subject: "d", Email: "dan@example.com", Status: emulator.StatusInvited})
		}, []string{"is invited, not active"}},
		"no address on the source": {"add-admin subject:d", func(w *world) { w.user(w.home, emulator.User{Subject: "d"}) },
			[]string{"no e-mail address that can be used"}},
		"an address with lookalikes": {"add-admin subject:d", func(w *world) { w.user(w.home, emulator.User{Subject: "d", Email: "dаn@example.com"}) },
			[]string{"a letter outside a to z"}},
		"a provider of its own": {"add-admin ana@example.com", func(w *world) {
			w.prod.SetIdentityProviders(emulator.IdentityProvider{Provider: "okta", Active: true, Interactive: true})
		}, []string{"interactive identity provider of its own (okta)"}},
		"disabled on the target": {"add-admin ana@example.com", func(w *world) { w.onProd(func(u *emulator.User) { u.Status = emulator.StatusDisabled }) },
			[]string{"ana@example.com is disabled on prod.", "user enable ana@example.com on prod"}},
		"provisioned on the target": {"add-admin ana@example.com", func(w *world) { w.onProd(func(u *emulator.User) { u.Status = emulator.StatusProvisioned }) },
			[]string{"provisioned on prod"}},
		"another subject on the target": {"add-admin ana@example.com", func(w *world) { w.onProd(func(u *emulator.User) { u.Subject = "auth0|other" }) },
			[]string{"belongs to an account with another subject", "auth0|other", anaSubject}},
		"invited there under another subject": {"add-admin ana@example.com", func(w *world) {
			w.onProd(func(u *emulator.User) { u.Subject, u.Status = "auth0|other", emulator.StatusInvited })
		}, []string{"another subject", "Delete the invitation"}},
		"another address on the target": {"add-admin ana@example.com", func(w *world) { w.onProd(func(u *emulator.User) { u.Email = "old@example.com" }) },
			[]string{"another e-mail address", "old@example.com"}},
		"subject and address apart on the target": {"add-admin ana@example.com", func(w *world) {
			w.onProd(func(u *emulator.User) { u.Email = "old@example.com" })
			w.onProd(func(u *emulator.User) { u.Subject = "auth0|other" })
		}, []string{"2 accounts have this subject or this e-mail address"}},
		"no such role": {"add-admin ana@example.com", func(w *world) {
			if err := w.prod.DeleteRole("TenantAdmin"); err != nil {
				w.Skip("the emulated tenant does not part with the role")
			}
		}, []string{"prod shows no role TenantAdmin"}},
		"a mention of nobody with an address": {"add-admin <@U0NOMAIL>", func(w *world) { w.slack["U0NOMAIL"] = commands.SlackPerson{ID: "U0NOMAIL"} },
			[]string{"does not show an e-mail address"}},
		"a mention of a bot": {"add-admin <@U0BOT>", func(w *world) {
			w.slack["U0BOT"] = commands.SlackPerson{ID: "U0BOT", Email: anaMail, Bot: true}
		}, []string{"is a bot or an app"}},
		"a mention of a guest": {"add-admin <@U0GUEST>", func(w *world) {
			w.slackErr = &commands.RefusedError{Say: "That is a guest. Nothing was changed."}
		}, []string{"That is a guest."}},
		"a mention that Slack does not know": {"add-admin <@U0NOBODY>", nobody, []string{"Slack could not be asked", "try again"}},
		"source and target the same, unknown there": {"add-admin dan@example.com from prod on prod", nobody,
			[]string{"There is nobody for dan@example.com on prod, which is source and target at once."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(_ *testing.T, w *world) {
				w.ana()
				tc.set(w)
				w.refused(tc.line, tc.want...)
			})
		})
	}
}

func TestAddAdminWithoutASourceTenantIsRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		d := defaults()
		d.SourceTenant = ""
		inv, err := w.catalogue.Parse("add-admin ana@example.com", d)
		if err != nil {
			t.Fatal(err)
		}
		change, _ := inv.Change()
		_, err = change.Plan(t.Context(), w.world())
		var refusal *commands.RefusedError
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "No source tenant is configured") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAddAdminOnTheSourceTenantItselfRaisesWhoIsThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.onProd(func(u *emulator.User) { u.Status = emulator.StatusInvited })
		p := w.planned("add-admin ana@example.com from prod on prod")
		if kinds(p) != "set-status add-role" {
			t.Errorf("steps %s", kinds(p))
		}
	})
}

func TestAddAdminSaysWhoCannotBeLinkedToASlackPerson(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		delete(w.slack, "U0ANA")
		p := w.planned("add-admin ana@example.com")
		if p.Targets[0].Slack != "" || !strings.Contains(notes(p), "No Slack user has the address ana@example.com") {
			t.Errorf("target %+v, notes %s", p.Targets[0], notes(p))
		}
		w.slackErr = errors.New("ratelimited")
		p = w.planned("add-admin ana@example.com")
		if !strings.Contains(notes(p), "Slack could not be asked") {
			t.Errorf("notes %s", notes(p))
		}
	})
}

func TestAddAdminTellsTroubleOfATenantInPlainSentences(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault     emulator.Fault
		want      string
		temporary bool
	}{
		"forbidden":    {emulator.Fault{Status: 403, Title: "internal-title", Detail: "internal-detail"}, "lacks a role or a scope", false},
		"down":         {emulator.Fault{Status: 503}, "cannot be reached", true},
		"rate limited": {emulator.Fault{Status: 429, RetryAfter: time.Hour}, "pause of 1h0m0s", true},
		"garbage":      {emulator.Fault{Answer: emulator.Garbage}, "does not understand", true},
		"a web page":   {emulator.Fault{Answer: emulator.HTML, Status: 502}, "cannot be reached", true},
		"cut off":      {emulator.Fault{Answer: emulator.Drop}, "cannot be reached", true},
		"silence":      {emulator.Fault{Answer: emulator.Hang}, "", true},
	} {
		for _, op := range []string{
			"GET /api/v1/identity-providers/status", "GET /api/v1/users", "GET /api/v1/roles",
		} {
			t.Run(name+" "+op, func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(t *testing.T, w *world) {
					w.ana()
					fault := tc.fault
					fault.Operation, fault.Count = op, emulator.Always
					w.prod.AddFault(fault)
					w.refused("add-admin ana@example.com", tc.want, "prod")
					r := w.refusal("add-admin ana@example.com")
					if r.Temporary != tc.temporary {
						t.Errorf("temporary is %v", r.Temporary)
					}
					for _, leak := range []string{"internal-", "http", "127.0.0.1", "users.list", "oauth", "EOF"} {
						if strings.Contains(r.Error(), leak) {
							t.Errorf("people are shown %q: %s", leak, r.Error())
						}
					}
					if r.Cause == nil {
						t.Error("there is no cause for the log")
					}
				})
			})
		}
	}
}

func TestPlansReadOnly(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.ana()
		w.planned("add-admin ana@example.com")
		w.planned("invite dan@example.com as Steward")
		for _, s := range []*emulator.Server{w.home, w.prod} {
			for _, c := range s.Calls() {
				if c.Method != http.MethodGet && c.Path != "/oauth/token" {
					t.Errorf("a plan made a %s %s", c.Method, c.Path)
				}
			}
		}
	})
}
