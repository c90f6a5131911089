package qlik

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The codes of single invitations that failed (users.json: InviteErrorItem).
const (
	codeActiveUser   = "1001"
	codeDisabledUser = "1002"
	codeDependency   = "1003"
)

// inviteLanguages are the languages in which a mail can be written; another
// one falls back to English.
var inviteLanguages = []string{"en", "da", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh"}

type invitee struct {
	email, name, language string
	resend                bool
}

// inviteUsers is POST /api/v1/users/actions/invite. It answers 207 whatever
// became of the single invitations, in an order of its own.
func inviteUsers(x *exchange) response {
	invitees, p := x.parseInvitees()
	if p != nil {
		return x.fail(*p)
	}
	foreign := slices.ContainsFunc(x.st.idps, func(i IdentityProvider) bool {
		return i.Active && i.Interactive && i.Provider != QlikAccount
	})
	if foreign && !x.behaviour.InviteFailsEach {
		return x.fail(problem{
			status: http.StatusForbidden, title: "Request denied",
			detail: "Invitations are not available while another interactive identity provider is active.",
		})
	}
	results := make([]any, len(invitees))
	for i, who := range invitees {
		switch code := x.behaviour.InviteFailures[strings.ToLower(who.email)]; {
		case foreign:
			results[i] = x.inviteError(who, codeDependency, "External dependency error")
		case code != "":
			results[i] = x.inviteError(who, code, "The invitation failed")
		default:
			results[i] = x.invite(who)
		}
	}
	order := rand.New(rand.NewPCG(x.cfg.Seed, x.st.ids+1))
	order.Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] })
	return jsonResponse(http.StatusMultiStatus, map[string]any{"data": results})
}

func (x *exchange) parseInvitees() ([]invitee, *problem) {
	f, p := object(x.req.body, "invitees")
	if p != nil {
		return nil, p
	}
	items, ok := list(f["invitees"])
	if !ok || len(items) == 0 {
		return nil, invalid("A list of invitees is expected.").at("/invitees")
	}
	if most := x.behaviour.MaxInvitees; most > 0 && len(items) > most {
		return nil, invalid("At most %d people can be invited at once.", most).at("/invitees")
	}
	invitees := make([]invitee, len(items))
	for i, item := range items {
		who := &invitees[i]
		f, p := object(item, "email", "name", "resend", "language")
		if p == nil {
			p = f.texts(map[string]*string{"email": &who.email, "name": &who.name, "language": &who.language})
		}
		if p == nil {
			who.resend, p = f.flag("resend")
		}
		if p == nil && f["email"] == nil {
			p = invalid("The e-mail address is missing.").at("/email")
		}
		if p != nil {
			return nil, p.at(fmt.Sprintf("/invitees/%d", i))
		}
	}
	return invitees, nil
}

// invite invites one person and returns its result.
func (x *exchange) invite(who invitee) map[string]any {
	if !isEmail(who.email) {
		return x.inviteError(who, "400", "This is not an e-mail address")
	}
	var known []User // several in tenants that are older than unique addresses
	for _, u := range sorted(x.st.users, func(u User) string { return u.ID }) {
		if strings.EqualFold(u.Email, who.email) {
			known = append(known, u)
		}
	}
	if len(known) == 0 {
		u := User{
			ID: x.st.newID("user"), Subject: x.st.newUUID("subject"), Name: cmp.Or(who.name, who.email), Email: who.email,
			Status: StatusInvited, InviteExpiry: x.now.Add(InviteLifetime), CreatedAt: x.now, LastUpdatedAt: x.now,
		}
		x.st.putUser(u)
		x.mail(u, who, false)
		return inviteResult("ok", who, u)
	}
	u := known[0]
	switch {
	case u.Status == StatusActive:
		return x.inviteError(who, codeActiveUser, "The user is active")
	case u.Status == StatusDisabled:
		return x.inviteError(who, codeDisabledUser, "The user is disabled")
	case u.Status == StatusInvited && who.resend:
		u.InviteExpiry, u.LastUpdatedAt = x.now.Add(InviteLifetime), x.now
		x.st.putUser(u)
		x.mail(u, who, true)
		return inviteResult("ok", who, u)
	}
	return inviteResult("exists", who, u)
}

// mail records the e-mail that would have gone out.
func (x *exchange) mail(u User, who invitee, resent bool) {
	language := "en"
	if slices.Contains(inviteLanguages, who.language) {
		language = who.language
	}
	x.st.mails = append(x.st.mails, Mail{
		Time: x.now, To: u.Email, Name: u.Name, Language: language, UserID: u.ID, Resent: resent,
	})
	x.st.changed("created", "mail", u.ID, u.Email)
}

func inviteResult(status string, who invitee, u User) map[string]any {
	return map[string]any{"status": status, "email": who.email, "subject": u.Subject, "userId": u.ID}
}

func (x *exchange) inviteError(who invitee, code, title string) map[string]any {
	result := map[string]any{
		"status": "error", "email": who.email, "code": code, "title": title,
		"detail": "The invitation was not sent.",
	}
	if n, err := strconv.Atoi(code); err == nil && x.behaviour.InviteCodesAsNumbers {
		result["code"] = n
	}
	return result
}
