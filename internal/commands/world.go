package commands

import (
	"context"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/qlik"
)

// Defaults is what the configuration says about tenants, for words that are
// left out.
type Defaults struct {
	// Tenants are all labels.
	Tenants []string
	// DefaultTenant is used when a command names no tenant; empty: it must.
	DefaultTenant string
	// SourceTenant is where people are looked up; empty: nowhere.
	SourceTenant string
}

// World is what a command may use while it plans or answers. A part that is
// nil is not there; a command that needs it fails.
type World struct {
	// Caller is who asks.
	Caller approval.Identity
	// Tenants opens tenants for reading.
	Tenants Tenants
	// People looks people up in Slack.
	People People
	// Requests are the stored requests.
	Requests Requests
	// MaySee says whether the caller may be shown that request. Nil: none.
	MaySee func(approval.Request) bool
	// Allowed says whether the caller may ask for the command of that name.
	// Nil: for none.
	Allowed func(command string) bool
	// Listed are the tenants that the caller may know of.
	Listed []TenantInfo
	// Catalogue is where the command was found; help reads it.
	Catalogue *Catalogue
}

// Tenants opens tenants for reading.
type Tenants interface {
	// Tenant returns a reader of the tenant with that label; an unknown label
	// is an error.
	Tenant(label string) (qlik.Reader, error)
}

// TenantInfo is what is said about a configured tenant without asking it.
type TenantInfo struct {
	Label, Host     string
	Default, Source bool
}

// SlackPerson is a member of the workspace as Slack shows them.
type SlackPerson struct {
	ID string
	// Email may be empty, where Slack does not show it.
	Email string
	Name  string
	// Bot says that it is no person.
	Bot bool
}

// People looks people up in Slack.
type People interface {
	// SlackUser reads one member by ID. Who is not to be taken for somebody
	// whose identity a mention proves is an error; a *RefusedError among them
	// is shown as it is.
	SlackUser(ctx context.Context, id string) (SlackPerson, error)
	// SlackUserByEmail finds the member with that address; false when there
	// is none.
	SlackUserByEmail(ctx context.Context, email string) (SlackPerson, bool, error)
}

// Requests reads stored requests; approval.Store is one.
type Requests interface {
	// Request reads one, or fails with approval.ErrNoRequest.
	Request(ctx context.Context, id string) (approval.Request, error)
	// OpenRequests are those that have not ended, oldest first.
	OpenRequests(ctx context.Context) ([]approval.Request, error)
	// RecentRequests are the newest ones, newest first, at most limit.
	RecentRequests(ctx context.Context, limit int) ([]approval.Request, error)
}
