package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/qlik"
	"github.com/qlik-chatops/bot/internal/steps"
)

// tenantAdmin is the role that add-admin gives.
const tenantAdmin = "TenantAdmin"

// addAdmin makes somebody whom the source tenant knows an administrator of
// another tenant, directly, so that they can also recover it.
type addAdmin struct {
	Person Person `json:"person"`
	Tenant string `json:"tenant"`
	// From is the tenant where the person is looked up; empty when the
	// configuration named none.
	From string `json:"from,omitempty"`
}

func (*addAdmin) Spec() Spec {
	return Spec{
		Name:    "add-admin",
		Summary: "Make somebody an administrator of a tenant",
		Usage:   "<person> [from <tenant>] [on <tenant>] [because <reason>]",
		Examples: []string{
			"add-admin ana@example.com on staging because she sets it up",
			"add-admin subject:\"auth0|a1b2c3\" from home on prod",
		},
		Class: ClassChange, MayGiveAdmin: true,
		Keywords: []Keyword{KeyOn, KeyFrom},
		Later:    []Keyword{KeyFor, KeyUrgent},
		Fields: []Field{
			{Name: FieldPerson, Label: "Person", Control: ControlPerson, Required: true,
				Hint: "A Slack user, an e-mail address, a Qlik user ID or subject:<value>, as known on the source tenant"},
			{Name: FieldTenant, Label: "Tenant", Control: ControlTenant, Required: true, Hint: "Where they become administrator"},
			{Name: FieldFrom, Label: "Source tenant", Control: ControlTenant, Hint: "Where they are looked up, if not the usual one"},
			{Name: FieldReason, Label: "Reason", Control: ControlReason},
		},
		Touches: "reads the source tenant; reads and writes the tenant",
		Calls:   []string{"identity-providers.status", "roles.list", "users.create", "users.get", "users.list", "users.patch"},
	}
}

func (c *addAdmin) Parse(a Args) error {
	c.Tenant, c.From = a.Tenant, a.From
	if c.From == "" {
		c.From = a.Source
	}
	switch len(a.Words) {
	case 0:
		return &MissingError{Fields: []string{FieldPerson}}
	case 1:
	default:
		return &UsageError{
			Say:   fmt.Sprintf("add-admin takes one person, and there are %d words.", len(a.Words)),
			Hint:  c.Spec().hint(),
			Field: FieldPerson,
		}
	}
	var err error
	if c.Person, err = readPerson(a.Words[0]); err != nil {
		return err
	}
	if a.Tenant == "" {
		return &MissingError{Given: map[string][]string{FieldPerson: {c.Person.word().Text()}}}
	}
	return nil
}

func (c *addAdmin) Typed() Args {
	return Args{Words: []Word{c.Person.word()}, From: c.From}
}

func (c *addAdmin) Plan(ctx context.Context, w World) (approval.Plan, error) {
	if c.From == "" {
		return approval.Plan{}, refused("Add \"from <tenant>\", or ask whoever runs the bot to set QLIK_SOURCE_TENANT.",
			"No source tenant is configured, so there is nowhere to look the person up.")
	}
	target, err := w.tenant(c.Tenant)
	if err != nil {
		return approval.Plan{}, err
	}
	source := target
	if c.From != c.Tenant {
		if source, err = w.tenant(c.From); err != nil {
			return approval.Plan{}, err
		}
	}
	if err := c.checkProviders(ctx, target); err != nil {
		return approval.Plan{}, err
	}
	asked, slack, err := c.mentioned(ctx, w)
	if err != nil {
		return approval.Plan{}, err
	}
	known, err := c.onSource(ctx, source, asked)
	if err != nil {
		return approval.Plan{}, err
	}
	role, err := c.role(ctx, target)
	if err != nil {
		return approval.Plan{}, err
	}
	there, isThere, err := c.onTarget(ctx, target, known)
	if err != nil {
		return approval.Plan{}, err
	}
	email := qlik.EmailKey(known.Email)
	p := approval.Plan{
		Command: "add-admin", Tenant: c.Tenant,
		Title:   fmt.Sprintf("Make %s an administrator (TenantAdmin) of %s", email, c.Tenant),
		Targets: []approval.Target{{Email: email, Name: tidy(known.Name), Subject: known.Subject, Slack: slack}},
		Facts: []approval.Fact{
			{Label: "E-mail", Value: email},
			{Label: "Subject", Value: known.Subject},
		},
	}
	if name := tidy(known.Name); name != "" {
		p.Facts = append(p.Facts, approval.Fact{Label: "Name", Value: name})
	}
	p.Facts = append(p.Facts, approval.Fact{Label: "Looked up on", Value: fmt.Sprintf("%s (user %s)", c.From, known.ID)})
	if err := c.steps(&p, known, there, isThere, role); err != nil {
		return approval.Plan{}, err
	}
	if p.Nothing != "" {
		return p, nil
	}
	return p, c.notes(ctx, w, target, &p)
}

// checkProviders refuses a tenant whose people come from a provider of its
// own: there, the subject of the source tenant means nothing.
func (c *addAdmin) checkProviders(ctx context.Context, target qlik.Reader) error {
	status, err := target.IdentityProviders.Status(ctx)
	if err != nil {
		return explain(ctx, "asking "+c.Tenant+" for its identity providers", err)
	}
	if provider, ok := status.OtherInteractive(); ok {
		return refused("People get in there through that provider; give the role in the tenant's Administration.",
			"%s has an interactive identity provider of its own (%s), so somebody from Qlik Account could not sign in there.", c.Tenant, provider)
	}
	return nil
}

// mentioned resolves a Slack mention to an e-mail address.
func (c *addAdmin) mentioned(ctx context.Context, w World) (Person, string, error) {
	if c.Person.Slack == "" {
		return c.Person, "", nil
	}
	const byOther = "Name the person by e-mail address instead."
	if w.People == nil {
		return Person{}, "", refused(byOther, "Slack cannot be asked who the person is whom you mentioned.")
	}
	member, err := w.People.SlackUser(ctx, c.Person.Slack)
	if err != nil {
		return Person{}, "", unreachableSlack(ctx, c.Person.Slack, err)
	}
	switch {
	case member.ID != c.Person.Slack:
		return Person{}, "", refused(byOther, "Slack answered about another person than the one you mentioned.")
	case member.Bot:
		return Person{}, "", refused("Mention a person.", "The one you mentioned is a bot or an app.")
	case member.Email == "":
		return Person{}, "", refused(byOther, "Slack does not show an e-mail address for the person whom you mentioned.")
	}
	email, why := readEmail(member.Email)
	if why != "" {
		return Person{}, "", refused(byOther, "The e-mail address in the Slack profile of the person whom you mentioned cannot be used: %s.", why)
	}
	return Person{Email: email}, c.Person.Slack, nil
}

// onSource finds the one person on the source tenant.
func (c *addAdmin) onSource(ctx context.Context, source qlik.Reader, asked Person) (qlik.User, error) {
	found, err := find(ctx, source, asked)
	if err != nil {
		return qlik.User{}, explain(ctx, fmt.Sprintf("looking %s up on %s", asked, c.From), err)
	}
	where := fmt.Sprintf("on %s", c.From)
	if c.From == c.Tenant {
		where += ", which is source and target at once"
	}
	switch len(found) {
	case 0:
		hint := fmt.Sprintf("Check the spelling, or name a tenant that knows the person with \"from <tenant>\". Who is on no tenant yet can be invited: \"invite <e-mail> on %s\".", c.Tenant)
		return qlik.User{}, refused(hint, "There is nobody for %s %s.", asked, where)
	case 1:
	default:
		return qlik.User{}, refused("Name the one you mean by user ID or by subject:<value>.",
			"There are %d accounts for %s %s: %s.", len(found), asked, where, describeAll(found))
	}
	u := found[0]
	switch {
	case u.IsBot():
		return qlik.User{}, refused("Name a person.", "The account for %s %s is an OAuth client's bot (%s), not a person.", asked, where, show(u.Subject))
	case asked.Email != "" && qlik.EmailKey(u.Email) != asked.Email,
		asked.Subject != "" && u.Subject != asked.Subject,
		asked.ID != "" && u.ID != asked.ID:
		return qlik.User{}, refused("Name the person in another way.", "%s answered with another account than the one for %s: %s.", c.From, asked, describe(u))
	case c.From != c.Tenant && u.Status != qlik.StatusActive:
		return qlik.User{}, refused("Whoever becomes administrator must be active where they are looked up.",
			"The account for %s %s is %s, not active.", asked, where, status(u.Status))
	case u.Subject == "":
		return qlik.User{}, refused("", "The account for %s %s has no subject, so it cannot be recognised elsewhere.", asked, where)
	}
	if _, why := readEmail(u.Email); why != "" {
		return qlik.User{}, refused("", "The account for %s %s has no e-mail address that can be used (%s: %s).", asked, where, show(u.Email), why)
	}
	return u, nil
}

// find looks somebody up by what they were named by.
func find(ctx context.Context, r qlik.Reader, p Person) ([]qlik.User, error) {
	switch {
	case p.Email != "":
		return r.Users.FindByEmail(ctx, p.Email)
	case p.Subject != "":
		return r.Users.FindBySubject(ctx, p.Subject)
	}
	u, err := r.Users.Get(ctx, p.ID)
	switch {
	case errors.Is(err, qlik.ErrNotFound) || err == nil && u.Status == qlik.StatusDeleted:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []qlik.User{u}, nil
}

func (c *addAdmin) role(ctx context.Context, target qlik.Reader) (steps.Role, error) {
	role, err := target.Roles.ByName(ctx, tenantAdmin)
	var none *qlik.RoleNotFoundError
	switch {
	case errors.As(err, &none):
		return steps.Role{}, refused("Tell whoever runs the bot: every tenant has this role, so perhaps its OAuth client may not see roles.",
			"%s shows no role %s.", c.Tenant, tenantAdmin)
	case err != nil:
		return steps.Role{}, explain(ctx, "reading the roles of "+c.Tenant, err)
	}
	return steps.Role{ID: role.ID, Name: role.Name}, nil
}

// onTarget finds the person on the target tenant; false when they are not
// there.
func (c *addAdmin) onTarget(ctx context.Context, target qlik.Reader, known qlik.User) (qlik.User, bool, error) {
	doing := fmt.Sprintf("looking %s up on %s", qlik.EmailKey(known.Email), c.Tenant)
	found, err := target.Users.FindBySubject(ctx, known.Subject)
	if err != nil {
		return qlik.User{}, false, explain(ctx, doing, err)
	}
	byEmail, err := target.Users.FindByEmail(ctx, known.Email)
	if err != nil {
		return qlik.User{}, false, explain(ctx, doing, err)
	}
	for _, u := range byEmail {
		if !slices.ContainsFunc(found, func(f qlik.User) bool { return f.ID == u.ID }) {
			found = append(found, u)
		}
	}
	const tidy = "This has to be put in order in the tenant's Administration first."
	switch len(found) {
	case 0:
		return qlik.User{}, false, nil
	case 1:
	default:
		return qlik.User{}, false, refused(tidy, "On %s, %d accounts have this subject or this e-mail address: %s.", c.Tenant, len(found), describeAll(found))
	}
	// Read it by ID: lists can lag behind.
	u, err := target.Users.Get(ctx, found[0].ID)
	if err != nil {
		return qlik.User{}, false, explain(ctx, doing, err)
	}
	switch {
	case u.IsBot():
		return qlik.User{}, false, refused("", "The account on %s is an OAuth client's bot, not a person: %s.", c.Tenant, describe(u))
	case u.Subject != known.Subject:
		hint := tidy
		if u.Status == qlik.StatusInvited {
			hint = "Delete the invitation in the tenant's Administration, then ask again."
		}
		return qlik.User{}, false, refused(hint, "On %s, %s belongs to an account with another subject: %s. On %s the subject is %s. Giving power to the wrong one of two identities would be a mistake.",
			c.Tenant, qlik.EmailKey(known.Email), describe(u), c.From, show(known.Subject))
	case qlik.EmailKey(u.Email) != qlik.EmailKey(known.Email):
		return qlik.User{}, false, refused(tidy, "On %s, the subject %s belongs to an account with another e-mail address: %s. On %s the address is %s.",
			c.Tenant, show(known.Subject), describe(u), c.From, qlik.EmailKey(known.Email))
	case !u.RolesVisible():
		return qlik.User{}, false, refused("Tell whoever runs the bot: its OAuth client needs the admin_classic scope.",
			"%s does not show the bot which roles people hold.", c.Tenant)
	}
	return u, true, nil
}

// steps adds what has to be done, or says why there is nothing.
func (c *addAdmin) steps(p *approval.Plan, known qlik.User, there qlik.User, isThere bool, role steps.Role) error {
	email := qlik.EmailKey(known.Email)
	if !isThere {
		p.Steps = append(p.Steps, steps.CreateUser(c.Tenant, steps.NewUser{
			Subject: known.Subject, Email: email, Name: tidy(known.Name), Roles: []steps.Role{role},
		}, true))
		return nil
	}
	before := steps.StateOf(there)
	direct := there.HasRole(tenantAdmin)
	switch there.Status {
	case qlik.StatusActive:
		if direct {
			p.Nothing = fmt.Sprintf("%s is active on %s and holds %s directly already.", email, c.Tenant, tenantAdmin)
			return nil
		}
		p.Facts = append(p.Facts, approval.Fact{Label: "Account", Value: fmt.Sprintf("active on %s (user %s)", c.Tenant, there.ID)})
	case qlik.StatusInvited:
		p.Facts = append(p.Facts, approval.Fact{Label: "Account", Value: fmt.Sprintf("invited on %s (user %s)", c.Tenant, there.ID)})
		p.Notes = append(p.Notes, "The pending invitation is made active, so that it cannot expire.")
		p.Steps = append(p.Steps, steps.SetStatus(c.Tenant, there.ID, before, qlik.StatusActive, holdsAdmin(there), false))
		before.Status = qlik.StatusActive
	case qlik.StatusDisabled:
		return refused(fmt.Sprintf("Enabling is a decision of its own: \"user enable %s on %s\" once the bot can do that, in the tenant's Administration until then. Then ask again.", email, c.Tenant),
			"%s is disabled on %s.", email, c.Tenant)
	case qlik.StatusProvisioned:
		return refused("The person has to sign in there once, or the provisioning has to be changed. Then ask again.",
			"%s is provisioned on %s by SCIM and has never signed in there.", email, c.Tenant)
	default:
		return refused("Look at the account in the tenant's Administration.",
			"The account of %s on %s has a status that the bot does not know (%s).", email, c.Tenant, show(there.Status))
	}
	if groups := there.RoleThroughGroups(tenantAdmin); len(groups) > 0 && !direct {
		p.Notes = append(p.Notes, fmt.Sprintf("The role comes through a group already (%s). Given directly it outlasts the group and allows recovery of the tenant.", joinCapped(groups, 3)))
	}
	if !direct {
		p.Steps = append(p.Steps, steps.AddRole(c.Tenant, there.ID, before, role, true))
	}
	return nil
}

// holdsAdmin says whether the user holds a role of administrators, directly or
// through a group. A level that is not told counts as one.
func holdsAdmin(u qlik.User) bool {
	gives := func(r qlik.AssignedRole) bool { return r.Level != "user" }
	return slices.ContainsFunc(u.AssignedRoles, gives) ||
		slices.ContainsFunc(u.AssignedGroups, func(g qlik.AssignedGroup) bool {
			return g.AssignedRoles == nil || slices.ContainsFunc(g.AssignedRoles, gives)
		})
}

// notes adds what people should know before they agree.
func (c *addAdmin) notes(ctx context.Context, w World, target qlik.Reader, p *approval.Plan) error {
	direct := 0
	opts := qlik.ListUsersOptions{Filter: qlik.Where(qlik.Eq(qlik.FieldAssignedRoleName, tenantAdmin)).StatusIn(qlik.StatusActive)}
	for u, err := range target.Users.List(ctx, opts) {
		if err != nil {
			return explain(ctx, "counting the administrators of "+c.Tenant, err)
		}
		if !u.IsBot() && u.HasRole(tenantAdmin) {
			direct++
		}
	}
	switch direct {
	case 0:
		p.Notes = append(p.Notes, fmt.Sprintf("Nobody who is active holds %s directly on %s so far, bots aside.", tenantAdmin, c.Tenant))
	case 1:
		p.Notes = append(p.Notes, fmt.Sprintf("One active person holds %s directly on %s so far, bots aside.", tenantAdmin, c.Tenant))
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("%d active people hold %s directly on %s so far, bots aside.", direct, tenantAdmin, c.Tenant))
	}
	p.Notes = append(p.Notes, "Somebody who is signed in there gets the new rights only after signing in again.")
	p.Notes = append(p.Notes, linkTargets(ctx, w, p.Targets)...)
	return nil
}

// linkTargets finds the Slack users of the people whom a plan is about, as far
// as they are not known yet, and says who could not be linked.
func linkTargets(ctx context.Context, w World, targets []approval.Target) []string {
	var unlinked []string
	failed := false
	for i := range targets {
		t := &targets[i]
		if t.Slack != "" || t.Email == "" {
			continue
		}
		if w.People == nil {
			failed = true
			continue
		}
		member, ok, err := w.People.SlackUserByEmail(ctx, t.Email)
		switch {
		case err != nil:
			failed = true
		case ok && member.ID != "" && !member.Bot:
			t.Slack = member.ID
		default:
			unlinked = append(unlinked, t.Email)
		}
	}
	var notes []string
	if len(unlinked) > 0 {
		notes = append(notes, fmt.Sprintf("No Slack user has the address %s, so that a vote of that person can only be recognised by e-mail.", joinCapped(unlinked, 10)))
	}
	if failed {
		notes = append(notes, "Slack could not be asked who the people are whom this is about, so that a vote counts only of somebody whose e-mail address Slack shows.")
	}
	return notes
}

// describe names an account for a sentence.
func describe(u qlik.User) string {
	parts := []string{"user " + u.ID, "subject " + show(u.Subject)}
	if u.Email != "" {
		parts = append(parts, show(u.Email))
	}
	return strings.Join(append(parts, status(u.Status)), ", ")
}

func describeAll(users []qlik.User) string {
	all := make([]string, len(users))
	for i, u := range users {
		all[i] = describe(u)
	}
	return joinWith(all, 5, "; ")
}

// status is a user's status in the words of the API; one that is none of them
// is shown as text from outside.
func status(s string) string {
	switch s {
	case qlik.StatusActive, qlik.StatusInvited, qlik.StatusDisabled, qlik.StatusProvisioned, qlik.StatusDeleted:
		return s
	case "":
		return "without a status"
	}
	return "of status " + show(s)
}

// joinCapped joins at most n values, and says how many more there are.
func joinCapped(values []string, n int) string { return joinWith(values, n, ", ") }

func joinWith(values []string, n int, sep string) string {
	if len(values) <= n {
		return strings.Join(values, sep)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:n], sep), len(values)-n)
}
