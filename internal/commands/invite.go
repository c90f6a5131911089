package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/steps"
)

// Limits of one invitation.
const (
	maxTypedEmails = 500
	// maxLinked is for how many people Slack is asked who they are.
	maxLinked = 10
	// maxShown is how many names or addresses stand in one sentence.
	maxShown = 10
)

// invite invites people by e-mail and, where asked, gives roles to those whom
// it created.
type invite struct {
	// Emails as typed, in lower case; one that was typed twice stands twice.
	Emails []string `json:"emails"`
	Roles  []string `json:"roles,omitempty"`
	Lang   string   `json:"lang,omitempty"`
	Tenant string   `json:"tenant"`
}

func (*invite) Spec() Spec {
	return Spec{
		Name:    "invite",
		Summary: "Invite people to a tenant by e-mail",
		Usage:   "<e-mail> … [as <role>[, <role>]] [lang <xx>] [on <tenant>] [because <reason>]",
		Examples: []string{
			"invite ana@example.com ben@example.com on staging",
			"invite ana@example.com as Steward, AuditAdmin lang de on prod because audit",
		},
		Class: ClassChange, MayGiveAdmin: true,
		Keywords: []Keyword{KeyOn, KeyAs, KeyLang},
		Later:    []Keyword{KeyUrgent},
		Fields: []Field{
			{Name: FieldEmails, Label: "E-mail addresses", Control: ControlEmails, Required: true,
				Hint: "Separated by spaces, commas or new lines; at most 500"},
			{Name: FieldTenant, Label: "Tenant", Control: ControlTenant, Required: true},
			{Name: FieldRoles, Label: "Roles", Control: ControlRoles, Hint: "Given only to people whom this invitation creates"},
			{Name: FieldLang, Label: "Language of the mail", Control: ControlText, Hint: "Two letters, such as de; English if empty"},
			{Name: FieldReason, Label: "Reason", Control: ControlReason},
		},
		Touches: "reads and writes the tenant",
		Calls:   []string{"identity-providers.status", "roles.list", "users.get", "users.invite", "users.list", "users.patch"},
	}
}

var langPattern = regexp.MustCompile(`^[a-z]{2}$`)

func (c *invite) Parse(a Args) error {
	*c = invite{Tenant: a.Tenant}
	if err := c.readEmails(a.Words); err != nil {
		return err
	}
	if lang := strings.ToLower(a.Lang); lang != "" {
		if !langPattern.MatchString(lang) {
			return &UsageError{Say: fmt.Sprintf("%s is no language.", show(a.Lang)),
				Hint: "A language has two letters: en, de, fr, …", Field: FieldLang}
		}
		c.Lang = lang
	}
	for _, r := range a.As {
		if len([]rune(r)) > 256 {
			return &UsageError{Say: fmt.Sprintf("%s is too long to be a role.", show(r)), Field: FieldRoles}
		}
		if !slices.Contains(c.Roles, r) {
			c.Roles = append(c.Roles, r)
		}
	}
	if len(c.Roles) > maxRoles {
		return &UsageError{Say: fmt.Sprintf("%d roles are too many; %d is the most.", len(c.Roles), maxRoles), Field: FieldRoles}
	}
	missing := &MissingError{}
	if len(c.Emails) == 0 {
		missing.Fields = append(missing.Fields, FieldEmails)
	} else {
		missing.Given = map[string][]string{FieldEmails: {strings.Join(c.Emails, "\n")}}
	}
	if len(missing.Fields) > 0 || a.Tenant == "" {
		return missing
	}
	return nil
}

// readEmails takes all addresses or none, and names all that are wrong.
func (c *invite) readEmails(words []Word) error {
	var bad []string
	for _, w := range words {
		for _, part := range w.split(separators) {
			if len(part.atoms) == 0 {
				continue
			}
			if _, ok := part.Mention(); ok {
				bad = append(bad, "a Slack mention (write the e-mail address instead)")
				continue
			}
			text := part.Text()
			email, why := readEmail(text)
			if why != "" {
				bad = append(bad, fmt.Sprintf("%s (%s)", show(text), why))
				continue
			}
			c.Emails = append(c.Emails, email)
		}
	}
	total := len(c.Emails) + len(bad)
	if total > maxTypedEmails {
		return &UsageError{
			Say:   fmt.Sprintf("%d addresses are too many to type; %d is the most. Nobody was invited.", total, maxTypedEmails),
			Hint:  "Invite them in several parts; a CSV file is not built yet.",
			Field: FieldEmails,
		}
	}
	if len(bad) > 0 {
		what := "of these are no addresses"
		if len(bad) == 1 {
			what = "of these is no address"
		}
		return &UsageError{
			Say: fmt.Sprintf("%d %s that can be invited: %s. Nobody was invited.",
				len(bad), what, joinWith(bad, maxShown, "; ")),
			Hint:  "Correct them and send the whole line again.",
			Field: FieldEmails,
		}
	}
	return nil
}

func (c *invite) Typed() Args {
	a := Args{As: c.Roles, Lang: c.Lang}
	for _, e := range c.Emails {
		a.Words = append(a.Words, wordOf(e))
	}
	return a
}

func (c *invite) Plan(ctx context.Context, w World) (approval.Plan, error) {
	tenant, err := w.tenant(c.Tenant)
	if err != nil {
		return approval.Plan{}, err
	}
	idps, err := tenant.IdentityProviders.Status(ctx)
	if err != nil {
		return approval.Plan{}, explain(ctx, "asking "+c.Tenant+" for its identity providers", err)
	}
	if provider, ok := idps.OtherInteractive(); ok {
		return approval.Plan{}, refused("People get in there through that provider, or by SCIM.",
			"Invitations do not work on %s: it has an interactive identity provider of its own (%s).", c.Tenant, provider)
	}
	roles, givesAdmin, err := c.roles(ctx, tenant)
	if err != nil {
		return approval.Plan{}, err
	}
	emails := unique(c.Emails)
	found, err := tenant.Users.FindByEmails(ctx, emails)
	if err != nil {
		return approval.Plan{}, explain(ctx, fmt.Sprintf("looking the people up on %s", c.Tenant), err)
	}
	p := approval.Plan{Command: "invite", Tenant: c.Tenant}
	fresh := c.sortOut(&p, emails, found, time.Now())
	if n := len(c.Emails) - len(emails); n > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s repeated; each is invited once.", count(n, "address was", "addresses were")))
	}
	if len(fresh) == 0 {
		p.Title = fmt.Sprintf("Invite %s to %s", count(len(emails), "person", "people"), c.Tenant)
		p.Nothing = fmt.Sprintf("Everybody named has an account on %s already, so nobody is to be invited and no roles are given.", c.Tenant)
		return p, nil
	}
	p.Title = fmt.Sprintf("Invite %s to %s", who(fresh), c.Tenant)
	if len(roles) > 0 {
		p.Title += " as " + strings.Join(c.Roles, ", ")
	}
	c.addSteps(&p, fresh, roles, givesAdmin)
	for _, e := range fresh {
		p.Targets = append(p.Targets, approval.Target{Email: e})
	}
	if len(fresh) <= maxLinked {
		p.Notes = append(p.Notes, linkTargets(ctx, w, p.Targets)...)
	} else {
		p.Notes = append(p.Notes, "So many people were not looked up in Slack one by one; a vote of one of them is recognised by e-mail when they vote.")
	}
	return p, nil
}

// roles finds the roles by exact name.
func (c *invite) roles(ctx context.Context, tenant qlik.Reader) (roles []steps.Role, givesAdmin bool, err error) {
	var wrong []string
	for _, name := range c.Roles {
		role, err := tenant.Roles.ByName(ctx, name)
		var none *qlik.RoleNotFoundError
		switch {
		case errors.As(err, &none):
			say := show(name)
			if len(none.Near) > 0 {
				near := make([]string, len(none.Near))
				for i, n := range none.Near {
					near[i] = show(n)
				}
				say += " (there is " + strings.Join(near, ", ") + ")"
			}
			wrong = append(wrong, say)
		case err != nil:
			return nil, false, explain(ctx, "reading the roles of "+c.Tenant, err)
		default:
			roles = append(roles, steps.Role{ID: role.ID, Name: role.Name})
			givesAdmin = givesAdmin || role.GivesAdmin()
		}
	}
	if len(wrong) > 0 {
		return nil, false, refused("Upper and lower case matter in names of roles; one with spaces goes into quotes.",
			"%s has no role %s.", c.Tenant, strings.Join(wrong, ", nor "))
	}
	return roles, givesAdmin, nil
}

// sortOut says who is there already, and returns who is not.
func (c *invite) sortOut(p *approval.Plan, emails []string, found map[string][]qlik.User, now time.Time) (fresh []string) {
	var active, invited, disabled, other []string
	for _, email := range emails {
		users := found[qlik.EmailKey(email)]
		if len(users) == 0 {
			fresh = append(fresh, email)
			continue
		}
		if len(users) > 1 {
			other = append(other, fmt.Sprintf("%s (%d accounts)", email, len(users)))
			continue
		}
		switch u := users[0]; u.Status {
		case qlik.StatusActive:
			active = append(active, email)
		case qlik.StatusInvited:
			invited = append(invited, email+expiry(u, now))
		case qlik.StatusDisabled:
			disabled = append(disabled, email)
		default:
			other = append(other, fmt.Sprintf("%s (%s)", email, status(u.Status)))
		}
	}
	for _, f := range []struct {
		label string
		who   []string
	}{
		{"To be invited", fresh}, {"Active already", active}, {"Invited already", invited},
		{"Disabled", disabled}, {"There already", other},
	} {
		if len(f.who) > 0 {
			p.Facts = append(p.Facts, approval.Fact{Label: f.label, Value: fmt.Sprintf("%d: %s", len(f.who), joinCapped(f.who, maxShown))})
		}
	}
	if there := len(emails) - len(fresh); there > 0 && len(fresh) > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s there already: no mail is sent to them and their roles stay as they are.", count(there, "person is", "people are")))
	}
	return fresh
}

func expiry(u qlik.User, now time.Time) string {
	at, ok := u.InviteExpiresAt()
	switch {
	case !ok:
		return ""
	case !at.After(now):
		return at.Format(" (expired 2 Jan 2006)")
	}
	return at.Format(" (until 2 Jan 2006)")
}

// addSteps plans the invitations, and after all of them the roles.
func (c *invite) addSteps(p *approval.Plan, fresh []string, roles []steps.Role, givesAdmin bool) {
	for batch := range slices.Chunk(fresh, steps.MaxInvited) {
		p.Steps = append(p.Steps, steps.InviteUsers(c.Tenant, steps.Invitations{Emails: slices.Clone(batch), Language: c.Lang}))
	}
	if len(roles) > 0 {
		for i, email := range fresh {
			p.Steps = append(p.Steps, steps.AddRolesToInvited(c.Tenant,
				steps.InvitedRoles{InviteStep: i / steps.MaxInvited, Email: email, Roles: roles}, givesAdmin))
		}
		p.Facts = append(p.Facts, approval.Fact{Label: "Roles", Value: strings.Join(c.Roles, ", ") + " (only for people whom this creates)"})
	}
	language := "en (Qlik's default)"
	if c.Lang != "" {
		language = c.Lang
	}
	p.Facts = append(p.Facts, approval.Fact{Label: "Language", Value: language})
	p.Notes = append(p.Notes, "Qlik sends a mail to everybody who is new. An invitation can be accepted for a limited time.")
}

// unique drops later duplicates.
func unique(emails []string) []string {
	seen := make(map[string]bool, len(emails))
	var kept []string
	for _, e := range emails {
		if key := qlik.EmailKey(e); !seen[key] {
			seen[key] = true
			kept = append(kept, e)
		}
	}
	return kept
}

func who(emails []string) string {
	if len(emails) == 1 {
		return emails[0]
	}
	return count(len(emails), "person", "people")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
