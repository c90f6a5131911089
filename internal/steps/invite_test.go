package steps_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/approval"
	emulator "github.com/qlik-chatops/bot/internal/emulator/qlik"
	"github.com/qlik-chatops/bot/internal/execution"
	"github.com/qlik-chatops/bot/internal/steps"
)

const (
	ben  = "ben@example.com"
	cleo = "cleo@example.com"
)

func (w *world) invite(emails ...string) *run {
	w.Helper()
	return w.run(steps.InviteUsers(label, steps.Invitations{Emails: emails, Language: "de"}))
}

// mails checks that exactly these people got exactly one mail each.
func (w *world) mails(want ...string) {
	w.Helper()
	got := []string{}
	for _, m := range w.tenant.MailsSent() {
		if m.Resent {
			w.Errorf("%s was sent a second mail", m.To)
		}
		got = append(got, m.To)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		w.Fatalf("mails (-want +got):\n%s", diff)
	}
}

// states checks how it went for each person.
func (w *world) states(items []approval.Item, want map[string]approval.ItemState) {
	w.Helper()
	got := map[string]approval.ItemState{}
	for _, it := range items {
		got[it.Name] = it.State
		if it.Why == "" {
			w.Errorf("nothing is said about %s", it.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Fatalf("items (-want +got):\n%s", diff)
	}
}

func TestAnInvitationSendsOneMailToEachInTheLanguageAskedFor(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.invite(ana, ben)
		r.stands(execution.Ready)
		r.must()
		r.done()
		w.mails(ana, ben)
		w.states(r.records[0].Items, map[string]approval.ItemState{ana: approval.ItemDone, ben: approval.ItemDone})
		for _, m := range w.tenant.MailsSent() {
			if m.Language != "de" {
				t.Errorf("the mail is in %s", m.Language)
			}
		}
		r.stands(execution.Present) // reading again changes nothing
	})
}

func TestPeopleWhoAreThereGetNoMailAndAreNotCalledInvited(t *testing.T) {
	t.Parallel()
	inWorld(t, func(_ *testing.T, w *world) {
		w.user(emulator.User{Subject: "b", Email: "Ben@Example.com", Status: emulator.StatusInvited})
		r := w.invite(ana, ben)
		r.stands(execution.Ready)
		r.must()
		r.done()
		w.mails(ana)
		w.states(r.records[0].Items, map[string]approval.ItemState{ana: approval.ItemDone, ben: approval.ItemThere})
	})
}

func TestAnInvitationOfPeopleWhoAreAllThereIsPresentUnsent(t *testing.T) {
	t.Parallel()
	inWorld(t, func(_ *testing.T, w *world) {
		w.user(emulator.User{Subject: "a", Email: ana, Status: emulator.StatusActive})
		r := w.invite(ana)
		s := r.stands(execution.Present)
		w.states(s.Items, map[string]approval.ItemState{ana: approval.ItemThere})
		w.mails()
	})
}

func TestARefusedInvitationLeavesNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.invite(ana)
		w.tenant.SetIdentityProviders(emulator.IdentityProvider{Provider: "okta", Active: true, Interactive: true})
		wantClass(t, r.send(), execution.ErrRefused)
		r.stands(execution.Ready)
		w.mails()
	})
}

func TestAnInvitationAtTheRateLimitIsNotSent(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.invite(ana)
		w.tenant.AddFault(emulator.Fault{Operation: opInvite, Status: 429, RetryAfter: time.Minute})
		err := r.send()
		wantClass(t, err, execution.ErrNotSent)
		if wait(err) != time.Minute {
			t.Errorf("wait %v", wait(err))
		}
		w.mails()
	})
}

func TestAnInvitationLostOnTheWayIsRepeatedAfterReading(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.invite(ana, ben)
		r.stands(execution.Ready)
		w.tenant.AddFault(emulator.Fault{Operation: opInvite, Effect: emulator.NoEffect, Answer: emulator.Drop})
		wantClass(t, r.send(), execution.ErrInDoubt)
		if s := r.stands(execution.Ready); s.Items != nil {
			t.Errorf("nobody is there, and yet %v", s.Items)
		}
		if r.kind().Repeat() != execution.AfterTwoLooks {
			t.Error("one reading is not enough")
		}
		r.must()
		r.done()
		w.mails(ana, ben)
	})
}

func TestAnInvitationWhoseAnswerWasLostIsFoundByReadingAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, answer := range []emulator.Answer{emulator.Drop, emulator.Hang, emulator.Truncated, emulator.Garbage, emulator.Refuse} {
		t.Run(fmt.Sprint(answer), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				time.Sleep(time.Hour)
				w.user(emulator.User{Subject: "c", Email: cleo})
				time.Sleep(time.Hour)
				r := w.invite(ana, cleo)
				r.stands(execution.Ready)
				w.tenant.AddFault(emulator.Fault{Operation: opInvite, Effect: emulator.TakesEffect, Answer: answer})
				wantClass(t, r.send(), execution.ErrInDoubt)
				r.done()
				w.states(r.records[0].Items, map[string]approval.ItemState{ana: approval.ItemDone, cleo: approval.ItemThere})
				w.mails(ana)
			})
		})
	}
}

func TestARepeatedInvitationGoesOnlyToThoseWhoAreNotThere(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		time.Sleep(time.Hour)
		r := w.invite(ana, ben)
		r.stands(execution.Ready)
		w.tenant.AddFault(emulator.Fault{Operation: opInvite, Effect: emulator.TakesEffect, Answer: emulator.Drop})
		wantClass(t, r.send(), execution.ErrInDoubt)
		// Only half of it took effect.
		u, _ := w.tenant.UserByEmail(ben)
		if err := w.tenant.DeleteUser(u.ID); err != nil {
			t.Fatal(err)
		}
		s := r.stands(execution.Ready)
		w.states(s.Items, map[string]approval.ItemState{ana: approval.ItemDone, ben: approval.ItemFailed})
		r.must()
		r.done()
		w.states(r.records[0].Items, map[string]approval.ItemState{ana: approval.ItemDone, ben: approval.ItemDone})
		w.mails(ana, ben, ben) // ben's first account was deleted; ana got no second mail
	})
}

func TestALateEffectAfterARepeatSendsNoSecondMail(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.invite(ana)
		r.stands(execution.Ready)
		w.tenant.AddFault(emulator.Fault{Operation: opInvite, Effect: emulator.LateEffect, EffectDelay: time.Minute, Answer: emulator.Drop})
		wantClass(t, r.send(), execution.ErrInDoubt)
		r.stands(execution.Ready)
		r.must()
		time.Sleep(2 * time.Minute)
		r.done()
		w.mails(ana)
	})
}

func TestSingleFailuresAreToldByAddress(t *testing.T) {
	t.Parallel()
	for _, numbers := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			w.tenant.SetBehaviour(func(b *emulator.Behaviour) {
				b.InviteFailures = map[string]string{ana: "1001", ben: "1002", cleo: "1003"}
				b.InviteCodesAsNumbers = numbers
			})
			const dan = "dan@example.com"
			r := w.invite(ana, ben, cleo, dan)
			r.must()
			r.done()
			w.states(r.records[0].Items, map[string]approval.ItemState{
				ana: approval.ItemFailed, ben: approval.ItemFailed, cleo: approval.ItemFailed, dan: approval.ItemDone,
			})
			w.mails(dan)
		})
	}
}

func TestAFailureThatLeftAnAccountBehindIsNoInvitation(t *testing.T) {
	t.Parallel()
	inWorld(t, func(_ *testing.T, w *world) {
		w.tenant.SetBehaviour(func(b *emulator.Behaviour) { b.InviteFailures = map[string]string{ana: "1003"} })
		r := w.invite(ana)
		r.look()
		r.must()
		w.user(emulator.User{Subject: "a", Email: ana, Status: emulator.StatusInvited})
		r.done()
		w.states(r.records[0].Items, map[string]approval.ItemState{ana: approval.ItemPartly})
	})
}

func TestVerificationOfInvitationsDoesNotTrustLaggingLists(t *testing.T) {
	t.Parallel()
	inWorld(t, func(_ *testing.T, w *world) {
		w.tenant.SetBehaviour(func(b *emulator.Behaviour) { b.ReadLag = time.Minute })
		r := w.invite(ana)
		r.must()
		r.done()
		w.mails(ana)
	})
}

func TestAnInvitationThatWasConfirmedAndCannotBeReadIsNotPresent(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.invite(ana)
		r.must()
		u, _ := w.tenant.UserByEmail(ana)
		if err := w.tenant.DeleteUser(u.ID); err != nil {
			t.Fatal(err)
		}
		r.stands(execution.Ready)
	})
}

// withRoles plans an invitation of ana and ben, and roles for ana.
func (w *world) withRoles(names ...string) *run {
	w.Helper()
	var roles []steps.Role
	for _, n := range names {
		roles = append(roles, w.role(n))
	}
	return w.run(
		steps.InviteUsers(label, steps.Invitations{Emails: []string{ana, ben}}),
		steps.AddRolesToInvited(label, steps.InvitedRoles{InviteStep: 0, Email: ana, Roles: roles}, false),
	)
}

func (w *world) rolesOf(email string) []string {
	w.Helper()
	u, ok := w.tenant.UserByEmail(email)
	if !ok {
		w.Fatalf("%s is not there", email)
	}
	return u.Roles
}

func TestRolesAreGivenToThoseWhomTheInvitationCreated(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			w.tenant.SetBehaviour(func(b *emulator.Behaviour) { b.RefusesRoleDelta = old })
			r := w.withRoles("Steward", "AuditAdmin")
			r.must()
			r.done()
			r.index = 1
			r.stands(execution.Ready)
			r.must()
			r.done()
			if diff := cmp.Diff([]string{"Steward", "AuditAdmin"}, w.rolesOf(ana)); diff != "" {
				t.Error(diff)
			}
			if len(w.rolesOf(ben)) > 0 {
				t.Errorf("ben got roles: %v", w.rolesOf(ben))
			}
		})
	}
}

func TestRolesAreNotGivenToSomebodyWhoWasThereAlready(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.user(emulator.User{Subject: "a", Email: ana, Status: emulator.StatusInvited})
		r := w.withRoles("Steward")
		r.must()
		r.done()
		r.index = 1
		if s := r.stands(execution.Needless); s.Why == "" {
			t.Error("nothing says why")
		}
		wantClass(t, r.send(), execution.ErrRefused)
		if len(w.rolesOf(ana)) > 0 {
			t.Errorf("ana got roles: %v", w.rolesOf(ana))
		}
	})
}

func TestRolesAreNotGivenWhenTheInvitationFailed(t *testing.T) {
	t.Parallel()
	inWorld(t, func(_ *testing.T, w *world) {
		w.tenant.SetBehaviour(func(b *emulator.Behaviour) { b.InviteFailures = map[string]string{ana: "1003"} })
		r := w.withRoles("Steward")
		r.must()
		r.done()
		r.index = 1
		r.stands(execution.Needless)
	})
}

// TestRolesFailWhereAPersonsWordStandsForTheInvitation: which account it made,
// if any, was never read, so that nothing is called needless.
func TestRolesFailWhereAPersonsWordStandsForTheInvitation(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"nothing was ever read": false, "what became of somebody else was read": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T, w *world) {
				r := w.withRoles("Steward")
				r.look()
				if known {
					w.user(emulator.User{Subject: "b", Email: ben, Status: emulator.StatusActive})
					r.records[0].Result = r.look().Result
				}
				w.tenant.AddFault(emulator.Fault{Operation: opInvite, Effect: emulator.TakesEffect, Answer: emulator.Drop})
				wantClass(t, r.send(), execution.ErrInDoubt)
				// A person settled it, as approval.Happened does.
				r.records[0].State = approval.StepDone
				r.index = 1
				if s := r.stands(execution.Changed); !strings.Contains(s.Why, "a person settled it") || !strings.Contains(s.Why, "by hand") {
					t.Errorf("it says %q", s.Why)
				}
				wantClass(t, r.send(), execution.ErrRefused)
				if len(w.rolesOf(ana)) > 0 {
					t.Errorf("ana got roles: %v", w.rolesOf(ana))
				}
			})
		})
	}
}

func TestRolesAreGivenAfterAnInvitationThatWasFoundByReading(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		r := w.withRoles("Steward")
		r.look()
		w.tenant.AddFault(emulator.Fault{Operation: opInvite, Effect: emulator.TakesEffect, Answer: emulator.Drop})
		wantClass(t, r.send(), execution.ErrInDoubt)
		r.done()
		r.index = 1
		r.stands(execution.Ready)
		r.must()
		r.done()
	})
}

func TestGivingRolesToTheInvitedMeetsEveryFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault emulator.Fault
		class error
		after execution.Standing
	}{
		"refused":        {emulator.Fault{Status: 403}, execution.ErrRefused, execution.Ready},
		"rate limited":   {emulator.Fault{Status: 429}, execution.ErrNotSent, execution.Ready},
		"without effect": {emulator.Fault{Answer: emulator.Drop}, execution.ErrInDoubt, execution.Ready},
		"after effect":   {emulator.Fault{Effect: emulator.TakesEffect, Answer: emulator.Drop}, execution.ErrInDoubt, execution.Present},
		// The second of two writes fails: the step is not without effect.
		"in the middle": {emulator.Fault{Skip: 1, Status: 403}, execution.ErrInDoubt, execution.Ready},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				roles := []string{"Steward"}
				if c.fault.Skip > 0 {
					roles = append(roles, "AuditAdmin")
				}
				r := w.withRoles(roles...)
				r.must()
				r.done()
				r.index = 1
				c.fault.Operation = opPatch
				w.tenant.AddFault(c.fault)
				wantClass(t, r.send(), c.class)
				r.stands(c.after)
				if c.after == execution.Ready {
					r.must()
					r.done()
				}
				if diff := cmp.Diff(roles, w.rolesOf(ana)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAnInvitedAccountThatChangedGetsNoRoles(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*emulator.User){
		"disabled":      func(u *emulator.User) { u.Status = emulator.StatusDisabled },
		"other address": func(u *emulator.User) { u.Email = "other@example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.withRoles("Steward")
				r.must()
				r.done()
				u, _ := w.tenant.UserByEmail(ana)
				if err := w.tenant.UpdateUser(u.ID, change); err != nil {
					t.Fatal(err)
				}
				r.index = 1
				r.stands(execution.Changed)
			})
		})
	}
}

func TestRolesThatNameNoInvitationAreRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		for _, step := range []int{-1, 0, 7} {
			r := w.run(steps.AddRolesToInvited(label, steps.InvitedRoles{InviteStep: step, Email: ana, Roles: []steps.Role{w.role("Steward")}}, false))
			_, err := r.kind().Look(t.Context(), r.work())
			wantClass(t, err, execution.ErrRefused)
		}
	})
}
