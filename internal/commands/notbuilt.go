package commands

import "fmt"

// Later is a command that belongs to the language and is not built yet. It is
// known by name so that it is refused with a sentence, and so that a policy
// can already speak of it.
type Later struct {
	Name                       string
	Class                      Class
	MayGiveAdmin, MayTakeAdmin bool
	Ungoverned                 bool
	// Does says what it will do, as the rest of "… is not built yet: ".
	Does string
	// Instead is what to do until then, a sentence; it may be empty.
	Instead string
}

// laterCommands are the commands that are not built yet.
func laterCommands() []Later {
	const console = "Until then, do it in the tenant's Administration activity center."
	return []Later{
		{Name: "remove-admin", Class: ClassChange, MayTakeAdmin: true, Does: "taking TenantAdmin from somebody", Instead: console},
		{Name: "admins", Class: ClassPeople, Does: "listing who is admin", Instead: console},
		{Name: "invites", Class: ClassPeople, Does: "listing pending invitations", Instead: console},
		{Name: "invites resend", Class: ClassChange, Does: "sending an invitation again", Instead: console},
		{Name: "invites cancel", Class: ClassChange, MayTakeAdmin: true, Does: "deleting an invitation", Instead: console},
		{Name: "invites activate", Class: ClassChange, MayGiveAdmin: true, Does: "making an invited person active", Instead: console},
		{Name: "users", Class: ClassPeople, Does: "searching people", Instead: console},
		{Name: "user show", Class: ClassPeople, Does: "showing a person", Instead: console},
		{Name: "user create", Class: ClassChange, MayGiveAdmin: true, Does: "creating a person by subject", Instead: console},
		{Name: "user enable", Class: ClassChange, MayGiveAdmin: true, Does: "enabling a disabled person", Instead: console},
		{Name: "user disable", Class: ClassChange, MayTakeAdmin: true, Does: "disabling a person", Instead: console},
		{Name: "user delete", Class: ClassChange, MayTakeAdmin: true, Does: "deleting a person", Instead: console},
		{Name: "content list", Class: ClassPeople, Does: "listing what somebody owns", Instead: console},
		{Name: "content owner", Class: ClassChange, Does: "giving content to somebody else", Instead: console},
		{Name: "offboard", Class: ClassChange, MayTakeAdmin: true, Does: "taking a person out of a tenant", Instead: console},
		{Name: "roles", Class: ClassRead, Does: "listing roles", Instead: console},
		{Name: "role grant", Class: ClassChange, MayGiveAdmin: true, Does: "giving a role", Instead: console},
		{Name: "role revoke", Class: ClassChange, MayTakeAdmin: true, Does: "taking a role away", Instead: console},
		{Name: "licence", Class: ClassRead, Does: "showing the licence", Instead: console},
		{Name: "entitlement show", Class: ClassPeople, Does: "showing somebody's entitlement", Instead: console},
		{Name: "entitlement set", Class: ClassChange, Does: "setting somebody's entitlement", Instead: console},
		{Name: "entitlement remove", Class: ClassChange, Does: "removing somebody's entitlement", Instead: console},
		{Name: "group list", Class: ClassRead, Does: "listing groups", Instead: console},
		{Name: "group create", Class: ClassChange, MayGiveAdmin: true, Does: "creating a group", Instead: console},
		{Name: "group show", Class: ClassPeople, Does: "showing a group", Instead: console},
		{Name: "group delete", Class: ClassChange, MayTakeAdmin: true, Does: "deleting a group", Instead: console},
		{Name: "group add", Class: ClassChange, MayGiveAdmin: true, Does: "adding somebody to a group", Instead: console},
		{Name: "group remove", Class: ClassChange, MayTakeAdmin: true, Does: "taking somebody out of a group", Instead: console},
		{Name: "space list", Class: ClassRead, Does: "listing spaces", Instead: console},
		{Name: "space create", Class: ClassChange, Does: "creating a space", Instead: console},
		{Name: "space show", Class: ClassPeople, Does: "showing a space", Instead: console},
		{Name: "space delete", Class: ClassChange, Does: "deleting a space", Instead: console},
		{Name: "space share", Class: ClassChange, Does: "sharing a space", Instead: console},
		{Name: "space unshare", Class: ClassChange, Does: "ending the sharing of a space", Instead: console},
		{Name: "space owner", Class: ClassChange, Does: "giving a space to somebody else", Instead: console},
		{Name: "tenant show", Class: ClassRead, Does: "showing a tenant's settings", Instead: console},
		{Name: "tenant set", Class: ClassChange, Does: "changing a tenant's settings", Instead: console},
		{Name: "tenant plan", Class: ClassRead, Does: "comparing a tenant with a blueprint"},
		{Name: "tenant apply", Class: ClassChange, MayGiveAdmin: true, Does: "making a tenant as a blueprint says", Instead: console},
		{Name: "request review", Class: ClassChange, Ungoverned: true, Does: "reviewing a change that bypassed its approvals"},
		{Name: "grants", Class: ClassPeople, Does: "listing temporary rights"},
		{Name: "grant revoke", Class: ClassChange, MayTakeAdmin: true, Ungoverned: true, Does: "ending a temporary right early"},
		{Name: "grant extend", Class: ClassChange, MayGiveAdmin: true, Does: "extending a temporary right"},
		{Name: "audit", Class: ClassPeople, Does: "searching the audit record", Instead: "Until then, \"bot audit export\" on the server writes the whole record."},
		{Name: "can", Class: ClassRead, Does: "asking what the policy would say", Instead: "Until then, \"bot policy explain\" on the server says it."},
		{Name: "pause", Class: ClassChange, Ungoverned: true, Does: "pausing the bot"},
		{Name: "resume", Class: ClassChange, Ungoverned: true, Does: "ending a pause"},
	}
}

func (l Later) refuse() *NotBuiltError {
	return &NotBuiltError{What: l.Name, Say: sentences(
		fmt.Sprintf("%s is not built yet: %s. Nothing was changed.", l.Name, l.Does), l.Instead)}
}

// laterKeyword refuses a keyword that is not built yet. Ignoring it would do
// more than was asked for.
func laterKeyword(s Spec, k Keyword) *NotBuiltError {
	say := fmt.Sprintf("%q is not built yet. Nothing was changed.", k)
	switch k {
	case KeyFor:
		say = fmt.Sprintf("Temporary rights (%q) are not built yet, and without them %s would give the right for good. Nothing was changed. Leave the duration out if that is what you want.", k, s.Name)
	case KeyUrgent:
		say = fmt.Sprintf("Running now and being reviewed afterwards (%q) is not built yet. Nothing was changed. Ask without it; the usual approvals apply.", k)
	case KeyOn, KeyFrom, KeyAs, KeyLang, KeyBecause:
	}
	return &NotBuiltError{What: s.Name + " " + string(k), Say: say}
}
