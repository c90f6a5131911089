package qlik_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qlik-chatops/bot/internal/emulator/qlik"
)

const invitePath = "/api/v1/users/actions/invite"

// invite invites people and returns the results by address.
func (tn *tenant) invite(people ...map[string]any) map[string]map[string]any {
	tn.t.Helper()
	res := tn.post(invitePath, map[string]any{"invitees": people}).want(http.StatusMultiStatus)
	out := map[string]map[string]any{}
	for _, r := range res.data() {
		email, _ := r["email"].(string)
		out[email] = r
	}
	return out
}

func invitee(email string) map[string]any { return map[string]any{"email": email} }

func TestAnInvitationSaysForEachPersonWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.addUser(person("Ana"))
		tn.addUser(person("Ben", func(u *qlik.User) { u.Status = qlik.StatusDisabled }))
		tn.addUser(person("Cleo", func(u *qlik.User) { u.Status = qlik.StatusInvited }))
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.InviteFailures = map[string]string{"eva@example.com": "1003"} })
		got := tn.invite(invitee("ANA@example.com"), invitee("ben@example.com"), invitee("cleo@example.com"),
			invitee("dan@example.com"), invitee("Eva@example.com"), invitee("nonsense"))
		summary := map[string]string{}
		for email, r := range got {
			summary[email] = fmt.Sprint(r["status"], " ", r["code"])
		}
		want := map[string]string{
			"ANA@example.com": "error 1001", "ben@example.com": "error 1002", "cleo@example.com": "exists <nil>",
			"dan@example.com": "ok <nil>", "Eva@example.com": "error 1003", "nonsense": "error 400",
		}
		if diff := cmp.Diff(want, summary); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		dan, _ := tn.UserByEmail("dan@example.com")
		if dan.Status != qlik.StatusInvited || !dan.InviteExpiry.Equal(dan.CreatedAt.Add(7*24*time.Hour)) || dan.ID != got["dan@example.com"]["userId"] {
			t.Errorf("Dan is %+v", dan)
		}
		mails := tn.MailsSent()
		if len(mails) != 1 || mails[0].To != "dan@example.com" || mails[0].Resent {
			t.Errorf("the mails sent are %+v, want one to Dan", mails)
		}
	})
}

func TestAskingToResendWritesAgainAndExtendsTheInvitation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		tn.invite(map[string]any{"email": "ana@example.com", "language": "fr"})
		time.Sleep(time.Hour)
		again := tn.invite(invitee("ana@example.com"))["ana@example.com"]
		if again["status"] != "exists" || len(tn.MailsSent()) != 1 {
			t.Errorf("without resend: %v and %d mails", again, len(tn.MailsSent()))
		}
		tn.invite(map[string]any{"email": "ana@example.com", "resend": true, "language": "tlh"})
		mails := tn.MailsSent()
		if len(mails) != 2 || !mails[1].Resent || mails[0].Language != "fr" || mails[1].Language != "en" {
			t.Errorf("the mails are %+v, want a second one, in English for want of the language", mails)
		}
		if u, _ := tn.UserByEmail("ana@example.com"); !u.InviteExpiry.Equal(time.Now().Add(qlik.InviteLifetime)) {
			t.Errorf("the invitation ends %v", u.InviteExpiry)
		}
	})
}

func TestInvitationResultsComeInAnotherOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var people []map[string]any
		var asked []string
		for i := range 20 {
			email := fmt.Sprintf("person%d@example.com", i)
			people, asked = append(people, invitee(email)), append(asked, email)
		}
		order := func() []string {
			return newTenant(t).post(invitePath, map[string]any{"invitees": people}).want(http.StatusMultiStatus).column("email")
		}
		first, second := order(), order()
		if slices.Equal(asked, first) {
			t.Error("the answers stand in the order of the request")
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("the same seed gives another order:\n%s", diff)
		}
	})
}

func TestTheSamePersonTwiceInOneCallIsInvitedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t)
		res := tn.post(invitePath, map[string]any{"invitees": []any{invitee("ana@example.com"), invitee("Ana@Example.com")}}).want(http.StatusMultiStatus)
		got := res.column("status")
		slices.Sort(got)
		if diff := cmp.Diff([]string{"exists", "ok"}, got); diff != "" || len(tn.MailsSent()) != 1 {
			t.Errorf("%d mails; -want +got:\n%s", len(tn.MailsSent()), diff)
		}
	})
}

func TestInvitationsNeedQlikAccountAsTheInteractiveProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.InteractiveIdP = "auth0" })
		res := tn.post(invitePath, map[string]any{"invitees": []any{invitee("ana@example.com")}}).want(http.StatusForbidden)
		if code, ok := res.problem()["code"].(float64); !ok || code != 403 {
			t.Errorf("the refusal is %s, want a numeric code as in ErrorItem", res.raw)
		}
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.InviteFailsEach = true })
		if r := tn.invite(invitee("ana@example.com"))["ana@example.com"]; r["status"] != "error" || r["code"] != "1003" {
			t.Errorf("the result is %v", r)
		}
		tn.SetBehaviour(func(b *qlik.Behaviour) { b.InviteCodesAsNumbers = true })
		if r := tn.invite(invitee("ana@example.com"))["ana@example.com"]; r["code"] != 1003.0 {
			t.Errorf("the result is %v, want a number as its code", r)
		}
		if n := len(tn.MailsSent()); n != 0 {
			t.Errorf("%d mails were sent", n)
		}
		tn.SetIdentityProviders(qlik.IdentityProvider{Provider: qlik.QlikAccount, Active: true, Interactive: true},
			qlik.IdentityProvider{Provider: "external", Active: true})
		if r := tn.invite(invitee("ana@example.com"))["ana@example.com"]; r["status"] != "ok" {
			t.Errorf("with a second provider that is not interactive: %v", r)
		}
	})
}

func TestAnInvitationCallIsRefusedWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tn := newTenant(t, func(c *qlik.Config) { c.Behaviour.MaxInvitees = 2 })
		for why, body := range map[string]string{
			"nobody is named":      `{"invitees":[]}`,
			"the list is missing":  `{}`,
			"roles are passed":     `{"invitees":[{"email":"ana@example.com","assignedRoles":[]}]}`,
			"an address is absent": `{"invitees":[{"name":"Ana"}]}`,
			"resend is no boolean": `{"invitees":[{"email":"ana@example.com","resend":"yes"}]}`,
			"there are too many":   `{"invitees":[{"email":"a@example.com"},{"email":"b@example.com"},{"email":"c@example.com"}]}`,
		} {
			if res := tn.post(invitePath, body); res.status != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400: %s", why, res.status, res.raw)
			}
		}
		if len(tn.Users()) != 1 {
			t.Error("a refused call has made a user")
		}
	})
}
