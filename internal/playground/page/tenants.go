package page

import (
	"net/url"
	"slices"
	"strings"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// How much of a tenant's past is on the page.
const (
	showCalls = 60
	showMails = 60
)

// tenantAdmin is the role that gives power over everything.
const tenantAdmin = "TenantAdmin"

type tenantData struct {
	Label, Note, Host string
	Users             []userRow
	Groups            []groupRow
	Spaces            []spaceRow
	Mails             []mailRow
	Calls             []callRow
	Admins            int // people with TenantAdmin, directly or through a group, who are active
	People            int // users that are not bots
	AllCalls, Writes  int
	AllMails          int
}

type userRow struct {
	ID, Name, Email, Subject, Status, Until string
	Client                                  bool // an OAuth client's bot user
	Roles                                   []roleTag
	Entitlement                             string
}

type roleTag struct {
	Name, Via string
	Admin     bool
}

type groupRow struct {
	ID, Name, Provider string
	Roles              []roleTag
	Members            int
}

type spaceRow struct{ ID, Name, Type string }

type mailRow struct {
	Key      int
	To, Name string
	At       moment
	Resent   bool
}

type callRow struct {
	Seq                     int
	At                      moment
	Method, Path, Operation string
	Status                  int
	Write, Waiting          bool
	Effect, Fault           string
}

// moment is a time in the three forms that the page needs.
type moment struct{ Short, Full, ISO string }

func (p *Page) moment(t time.Time, layout string) moment {
	t = t.In(p.cfg.Location)
	return moment{Short: t.Format(layout), Full: t.Format("Monday, January 2, 2006, 15:04:05"), ISO: t.Format(time.RFC3339)}
}

func tags(names []string, via string) []roleTag {
	out := make([]roleTag, 0, len(names))
	for _, n := range names {
		out = append(out, roleTag{Name: oneLine(n), Via: oneLine(via), Admin: n == tenantAdmin})
	}
	slices.SortStableFunc(out, func(a, b roleTag) int {
		switch {
		case a.Admin == b.Admin:
			return 0
		case a.Admin:
			return -1
		}
		return 1
	})
	return out
}

func (p *Page) tenant(t Tenant) tenantData {
	s := t.Server
	out := tenantData{Label: t.Label, Note: t.Note}
	if hosts := s.Tenant().Hostnames; len(hosts) > 0 {
		out.Host = hosts[0]
	}
	groups := map[string]qlikemu.Group{}
	members := map[string]int{}
	for _, g := range s.Groups() {
		groups[g.ID] = g
	}
	entitlements := map[string]string{}
	for _, e := range s.Entitlements() {
		entitlements[e.Subject] = e.Type
	}
	users := s.Users()
	slices.SortStableFunc(users, func(a, b qlikemu.User) int { return strings.Compare(a.ClientID, b.ClientID) })
	for _, u := range users {
		row := userRow{
			ID: u.ID, Name: oneLine(u.Name), Email: oneLine(u.Email), Subject: oneLine(u.Subject), Status: visible(u.Status),
			Client: u.ClientID != "", Roles: tags(u.Roles, ""), Entitlement: entitlements[u.Subject],
		}
		if u.Status == qlikemu.StatusInvited && !u.InviteExpiry.IsZero() {
			row.Until = u.InviteExpiry.In(p.cfg.Location).Format("Jan 2")
		}
		for _, id := range u.Groups {
			members[id]++
			if g, ok := groups[id]; ok {
				row.Roles = append(row.Roles, tags(g.Roles, g.Name)...)
			}
		}
		admin := slices.ContainsFunc(row.Roles, func(r roleTag) bool { return r.Admin })
		if !row.Client {
			out.People++
			if admin && u.Status == qlikemu.StatusActive {
				out.Admins++
			}
		}
		out.Users = append(out.Users, row)
	}
	for _, g := range s.Groups() {
		out.Groups = append(out.Groups, groupRow{
			ID: g.ID, Name: oneLine(g.Name), Provider: g.ProviderType, Roles: tags(g.Roles, ""), Members: members[g.ID],
		})
	}
	for _, sp := range s.Spaces() {
		out.Spaces = append(out.Spaces, spaceRow{ID: sp.ID, Name: oneLine(sp.Name), Type: sp.Type})
	}
	mails := s.MailsSent()
	out.AllMails = len(mails)
	for i := len(mails) - 1; i >= 0 && len(out.Mails) < showMails; i-- {
		m := mails[i]
		out.Mails = append(out.Mails, mailRow{Key: i, To: oneLine(m.To), Name: oneLine(m.Name), Resent: m.Resent, At: p.moment(m.Time, "15:04:05")})
	}
	p.calls(&out, s.Calls())
	return out
}

func (p *Page) calls(out *tenantData, calls []qlikemu.Call) {
	out.AllCalls = len(calls)
	for _, c := range calls {
		if c.Write && !strings.HasPrefix(c.Path, "/oauth/") {
			out.Writes++
		}
	}
	for i := len(calls) - 1; i >= 0 && len(out.Calls) < showCalls; i-- {
		c := calls[i]
		row := callRow{
			Seq: c.Seq, At: p.moment(c.Time, "15:04:05"), Method: visible(c.Method), Path: visible(c.Path), Operation: c.Operation,
			Status: c.Status, Waiting: !c.Done, Fault: c.Fault,
			// A token is issued by a POST, but nothing of the tenant changes.
			Write: c.Write && !strings.HasPrefix(c.Path, "/oauth/"),
		}
		if query, err := url.QueryUnescape(c.Query); err == nil && query != "" {
			row.Path += "?" + visible(query)
		}
		switch {
		case row.Waiting, !row.Write:
		case c.Effect == qlikemu.EffectDone:
			row.Effect = "changed the tenant"
		case c.Effect == qlikemu.EffectPending:
			row.Effect = "will change the tenant later"
		default:
			row.Effect = "changed nothing"
		}
		out.Calls = append(out.Calls, row)
	}
}

// Waiting is how many calls on show have not been answered yet.
func (t tenantData) Waiting() int {
	n := 0
	for _, c := range t.Calls {
		if c.Waiting {
			n++
		}
	}
	return n
}
