package playground

import (
	"fmt"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
	slackemu "github.com/qlik-chatops/bot/internal/emulator/slack"
)

// People, groups and channels of the playground's workspace.
const (
	Ana  = "U0ANA"  // asks; in ops
	Ben  = "U0BEN"  // approves
	Cleo = "U0CLEO" // approves
	Dan  = "U0DAN"  // in ops; becomes an administrator in the demo
	Gil  = "U0GIL"  // a guest
	Eve  = "U0EVE"  // of another organisation, in a shared channel
	Otto = "U0OTTO" // deactivated

	GroupOps = "S0OPS"

	ChannelOps       = "C0OPS"
	ChannelApprovals = "C0APPROVE"
	ChannelShared    = "C0SHARED" // with another organisation
)

// Tenants of the playground, by label.
const (
	Home = "home" // the source tenant: everybody has an account there
	Prod = "prod"
)

// Policy is the playground's policy file.
const Policy = `version: 1
operators: {users: [U0ANA]}
groups:
  ops:       {usergroups: [S0OPS]}
  approvers: {users: [U0BEN, U0CLEO]}
rules:
  - name: everyone-may-look
    effect: allow
    who: [anyone]
    commands: ["@read"]
    tenants: ["*"]
  - name: ops-may-change
    effect: allow
    who: [ops]
    commands: ["@change", "@people"]
    tenants: [prod, home]
  - name: admin-power-on-prod-needs-approval
    effect: require
    commands: ["@gives-admin", "@takes-admin"]
    tenants: [prod]
    approvals: {count: 1, from: [approvers], expires_in: 4h, execute_within: 15m}
`

// people are everybody whom the demo lets one be.
func people() []slackemu.User {
	return []slackemu.User{
		{ID: Ana, Name: "ana", RealName: "Ana Anders", Email: "ana@example.com", TZ: "Europe/Vienna"},
		{ID: Ben, Name: "ben", RealName: "Ben Berg", Email: "ben@example.com", TZ: "Europe/Stockholm"},
		{ID: Cleo, Name: "cleo", RealName: "Cleo Carlsen", Email: "cleo@example.com", TZ: "America/New_York"},
		{ID: Dan, Name: "dan", RealName: "Dan Dahl", Email: "dan@example.com", TZ: "Asia/Singapore"},
		{ID: Gil, Name: "gil", RealName: "Gil Guest", Email: "gil@example.com", IsRestricted: true},
		{ID: Eve, Name: "eve", RealName: "Eve External", Email: "eve@partner.example.com", TeamID: "T0PARTNER"},
		{ID: Otto, Name: "otto", RealName: "Otto Old", Email: "otto@example.com", Deleted: true},
	}
}

func seedSlack(s *slackemu.Server) {
	for _, u := range people() {
		s.AddUser(u)
	}
	s.AddUserGroup(slackemu.UserGroup{ID: GroupOps, Name: "Operations", Handle: "ops", Members: []string{Ana, Dan}})
	s.AddChannel(slackemu.Channel{ID: ChannelOps, Name: "qlik-ops", BotIsMember: true, Members: []string{Ana, Ben, Cleo, Dan, Gil, Otto}})
	s.AddChannel(slackemu.Channel{ID: ChannelApprovals, Name: "qlik-approvals", IsPrivate: true, BotIsMember: true, Members: []string{Ana, Ben, Cleo, Dan}})
	s.AddChannel(slackemu.Channel{ID: ChannelShared, Name: "with-partner", BotIsMember: true, IsExtShared: true, IsShared: true, Members: []string{Ana, Ben, Cleo, Dan, Eve}})
}

// account is a person's account in a tenant. The subject is the same in every
// tenant; the user ID is not.
func account(name, email string, roles ...string) qlikemu.User {
	return qlikemu.User{Subject: "auth0|" + fmt.Sprintf("%x", email)[:24], Name: name, Email: email, Roles: roles}
}

func seedHome(s *qlikemu.Server) error {
	for _, u := range []qlikemu.User{
		account("Olga Owner", "olga@example.com", "TenantAdmin"),
		account("Ana Anders", "ana@example.com"),
		account("Ben Berg", "ben@example.com"),
		account("Cleo Carlsen", "cleo@example.com"),
		account("Dan Dahl", "dan@example.com"),
		account("Fay Field", "fay@example.com"),
	} {
		if _, err := s.AddUser(u); err != nil {
			return fmt.Errorf("seed tenant %s: %w", Home, err)
		}
	}
	return nil
}

func seedProd(s *qlikemu.Server) error {
	off := account("Ida Idle", "ida@example.com")
	off.Status = qlikemu.StatusDisabled
	for _, u := range []qlikemu.User{
		account("Olga Owner", "olga@example.com", "TenantAdmin"),
		account("Cleo Carlsen", "cleo@example.com", "AnalyticsAdmin"),
		account("Fay Field", "fay@example.com"),
		off,
	} {
		if _, err := s.AddUser(u); err != nil {
			return fmt.Errorf("seed tenant %s: %w", Prod, err)
		}
	}
	return nil
}
