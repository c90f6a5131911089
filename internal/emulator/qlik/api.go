// Package qlik is a stand-in for one Qlik Cloud tenant: an http.Handler that
// answers the REST calls of users, invitations, roles, groups, licences,
// identity providers, tenants, spaces and OAuth as Qlik's OpenAPI descriptions
// say, and that can be made to fail in the ways a real service fails.
//
// It is written from those descriptions alone and imports nothing of this
// product, so that a misread field name in the bot's client cannot cancel
// itself out here.
//
// It is strict on purpose. What the descriptions do not name is refused: other
// query parameters, other body fields, other filter operators, other content
// types. Where they leave a matter open, the less convenient reading is the
// default and [Behaviour] has the switch. It refuses to be a Qlik Cloud: there
// is no content, no audit log, no browser session, no sign-in page; a path it
// does not know is a 404. Secrets reach neither its log nor its record of calls.
package qlik

import (
	"crypto"
	"errors"
	"log/slog"
	"time"
)

// Statuses of a user (users.json: User.status). The console's "pending" is
// StatusInvited.
const (
	StatusActive      = "active"
	StatusInvited     = "invited"
	StatusDisabled    = "disabled"
	StatusProvisioned = "provisioned"
)

// Provider types of a group (groups.json: Group.providerType).
const (
	ProviderIdP    = "idp"
	ProviderCustom = "custom"
)

// Kinds of entitlement on user-based subscriptions
// (licenses.json: licenseOverview.allotments.name).
const (
	EntitlementProfessional = "professional"
	EntitlementAnalyzer     = "analyzer"
)

// EveryoneGroupID is the ID of the system group that holds every user
// (groups.json: GroupSettings.systemGroups).
const EveryoneGroupID = "000000000000000000000001"

// QlikAccount is the provider name of Qlik Account among identity providers
// (identity-providers.json: IDPProvider). Invitations work only while no other
// interactive provider is active.
const QlikAccount = "qlik"

// InviteLifetime is how long an invitation can be accepted: the example in
// users.json lies seven days after the creation.
const InviteLifetime = 7 * 24 * time.Hour

// Errors of the methods that change a tenant from Go, outside the REST API.
var (
	// ErrNotFound says that no object has the given ID.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that the ID, name or subject is taken.
	ErrConflict = errors.New("taken already")
	// ErrInvalid says that the value cannot exist in a tenant.
	ErrInvalid = errors.New("not valid")
)

// Config describes a tenant. The zero value is a usable tenant without an
// OAuth client; nothing can sign in to it.
type Config struct {
	// TenantID is the ID in every object. Default: made from Hostname and Seed.
	TenantID string
	// Name is the tenant's display name. Default: the first label of Hostname.
	Name string
	// Hostname is the system host name, "acme.eu.qlikcloud.example". It stands
	// in the tenant's hostnames and in token audiences; requests are served
	// under any host. Default "tenant.us.qlikcloud.example".
	Hostname string
	// Region is the region code ("eu"). Default: the second label of Hostname.
	Region string
	// Clients are the machine-to-machine OAuth clients.
	Clients []Client
	// InteractiveIdP is the active interactive identity provider: QlikAccount
	// (the default) or another of identity-providers.json's IDPProvider. Use
	// [Server.SetIdentityProviders] for more than one.
	InteractiveIdP string
	// TokenLifetime is how long an access token lives. Default 6 h.
	TokenLifetime time.Duration
	// MaxTokens is how many live tokens one client may have before the token
	// endpoint answers 403. Qlik does not publish the figure. Default 100.
	MaxTokens int
	// Seed makes IDs, tokens, trace IDs and the order of invitation results.
	// Two servers with the same Seed, Hostname and TenantID are the same
	// tenant and therefore make the same IDs.
	Seed uint64
	// RateLimits are the limits of the service. The zero value: Qlik's
	// published figures.
	RateLimits RateLimits
	// Behaviour holds the switches that can also be changed while running.
	Behaviour Behaviour
	// KeepCalls is how many calls [Server.Calls] remembers. Default 10000.
	KeepCalls int
	// Logger receives one debug line for each call. Default: nothing.
	Logger *slog.Logger
}

// Client is a machine-to-machine OAuth client of the tenant.
type Client struct {
	// ID and Secret are its credentials.
	ID, Secret string
	// Name becomes the name of its bot user. Default: the ID.
	Name string
	// PublicKey, an *rsa.PublicKey of 2048 bits or more or an
	// *ecdsa.PublicKey on P-384, allows private-key JWT authentication.
	PublicKey crypto.PublicKey
	// KeyID is the "kid" that an assertion must carry. Empty: any, but one
	// must be there.
	KeyID string
	// Scopes are the scopes that the client may be given. Empty:
	// admin_classic and user_default.
	Scopes []string
	// Trusted is the consent method. A client that is not trusted gets no
	// token (400, OAUTH-14).
	Trusted bool
}

// RateLimits are requests for each bot user. Figures are per minute and are
// evaluated over Window, so that a burst of several minutes' worth passes.
type RateLimits struct {
	// Off switches all limits off.
	Off bool
	// Tier1 (reads) and Tier2 (writes, tokens). Defaults 1000 and 100.
	Tier1, Tier2 int
	// Filter is the figure of users/actions/filter and groups/actions/filter,
	// each on its own. Default 200.
	Filter int
	// Window is the span over which the figures are evaluated. Default 5 min.
	Window time.Duration
	// TenantCap also applies the cap on the whole tenant: half the figure
	// times the number of users, which in a very small tenant is less than
	// the figure for one user.
	TenantCap bool
}

// Behaviour holds the matters in which tenants differ or which Qlik leaves
// open. The zero value is the strict, least convenient reading.
type Behaviour struct {
	// RefusesRoleDelta: "add" and "remove-value" on a user's assignedRoles
	// are answered with 400, as by older tenants. Only "replace" is left.
	RefusesRoleDelta bool
	// AcceptsRoleNameOnRemove: "remove-value" on assignedRoles takes
	// {"name"} besides {"id"}; users.json shows only the latter.
	AcceptsRoleNameOnRemove bool
	// RefusesActiveOnCreate: POST /users takes only the status that
	// users.json lists, "invited".
	RefusesActiveOnCreate bool
	// ListsEveryStatus: a list of users whose filter names no status holds
	// all of them. Otherwise only active ones.
	ListsEveryStatus bool
	// OwnLinks: links in answers name this server and repeat the query.
	// Otherwise they look like the examples in the descriptions: http://,
	// another host, and nothing but the cursor; a client that follows them
	// sends its token away and loses its filter.
	OwnLinks bool
	// ForeignRedirects: the redirects of users/me and tenants/me name another
	// host. Otherwise they are relative.
	ForeignRedirects bool
	// DeprecatedFields: users also carry roles, created and lastUpdated.
	DeprecatedFields bool
	// DisableFreesEntitlement: disabling a user takes the licence assignment.
	DisableFreesEntitlement bool
	// InviteFailsEach: with another interactive identity provider active, an
	// invitation is answered with 207 and error 1003 for each person.
	// Otherwise the whole call is refused with 403.
	InviteFailsEach bool
	// InviteFailures makes single invitations fail: e-mail address in lower
	// case to error code ("1003").
	InviteFailures map[string]string
	// InviteCodesAsNumbers: the codes in invitation results are JSON numbers.
	// users.json says both number and string.
	InviteCodesAsNumbers bool
	// MaxInvitees is the most people one invitation call takes; more is a
	// 400. Qlik names no figure. 0: no limit.
	MaxInvitees int
	// TokenExpiry is how a token answer says when it ends.
	TokenExpiry TokenExpiry
	// CapitalBearer: token_type is "Bearer" instead of "bearer".
	CapitalBearer bool
	// ReadLag is how far lists lag behind writes. Reading one object by its
	// ID never lags.
	ReadLag time.Duration
	// PageSize replaces the default page size of every list (20, spaces 10).
	PageSize int
	// MaxPageSize caps the entries of a page below the limit asked for, so
	// that paging shows with few objects.
	MaxPageSize int
}

// TokenExpiry is how a token answer says when the token ends.
type TokenExpiry int

// The forms of a token answer. oauth.json has expires_at; Qlik's
// documentation pages show expires_in.
const (
	ExpiresAt      TokenExpiry = iota // RFC 3339 time
	ExpiresIn                         // seconds
	ExpiresBoth                       // both of them
	ExpiresNotSaid                    // neither
)

// User is a user of the tenant, a bot user included.
type User struct {
	// ID is the tenant's own. AddUser makes one when it is empty.
	ID string
	// Subject is what the identity provider sends; unique in the tenant.
	Subject string
	Name    string
	// Email may be empty, as it is for bot users.
	Email string
	// Status is one of the Status constants. Default StatusActive.
	Status string
	// ClientID is set for bot users only.
	ClientID string
	// Roles are the names of the roles assigned directly, in order.
	Roles []string
	// Groups are IDs of groups.
	Groups []string
	// InviteExpiry is zero unless the user is invited.
	InviteExpiry time.Time

	Picture, Locale, Zoneinfo          string
	PreferredLocale, PreferredZoneinfo string
	CreatedAt, LastUpdatedAt           time.Time
}

// Role is a security role. A new tenant has Qlik's default roles.
type Role struct {
	ID string
	// Name is unique and case-sensitive.
	Name string
	// Type is "default" or "custom" (the default of AddRole).
	Type string
	// Level is "admin" or "user" (the default of AddRole).
	Level       string
	Description string
	// Scopes are its assigned scopes.
	Scopes                   []string
	CreatedAt, LastUpdatedAt time.Time
}

// Group is a group of users. Its members are the users that name it.
type Group struct {
	ID string
	// Name is unique and case-sensitive within its provider type.
	Name        string
	Description string
	// ProviderType is ProviderIdP (default, as in groups.json) or
	// ProviderCustom. Membership of an IdP group cannot be changed over REST.
	ProviderType string
	// Roles are names of roles.
	Roles                    []string
	CreatedAt, LastUpdatedAt time.Time
}

// GroupSettings are the tenant's settings for groups.
type GroupSettings struct {
	AutoCreateGroups, SyncIdPGroups bool
	// EveryoneRoles are names of the roles of the group Everyone.
	EveryoneRoles []string
}

// IdentityProvider is one entry of GET /identity-providers/status.
type IdentityProvider struct {
	Provider            string
	Active, Interactive bool
}

// License is the tenant's licence.
type License struct {
	Product string
	// Key and Number are sensitive in a real tenant; use invented ones.
	Key, Number string
	Allotments  []Allotment
	// AutoAssignProfessional and AutoAssignAnalyzer are what
	// PUT /licenses/settings sets.
	AutoAssignProfessional, AutoAssignAnalyzer bool
}

// Allotment is a number of entitlements of one kind.
type Allotment struct {
	// Name is EntitlementProfessional, EntitlementAnalyzer or "analyzer_time".
	Name string
	// Units is how many there are; Overage how many more are tolerated (-1:
	// no bound).
	Units, Overage int
}

// Entitlement is one licence assignment. It belongs to a subject, which need
// not be a user of this tenant.
type Entitlement struct {
	Subject, Type string
	CreatedAt     time.Time
}

// Space is a shared, managed or data space.
type Space struct {
	ID, Name, Description string
	// Type is "shared", "managed" or "data".
	Type string
	// OwnerID is a user ID. It may name a user that is gone.
	OwnerID string
	// HasContent makes deletion fail with 412.
	HasContent           bool
	CreatedAt, UpdatedAt time.Time
	CreatedBy            string
}

// SpaceAssignment gives roles in a space to a user or a group.
type SpaceAssignment struct {
	ID, SpaceID string
	// Type is "user", "group" or "bot".
	Type       string
	AssigneeID string
	Roles      []string

	CreatedAt, UpdatedAt time.Time
	CreatedBy            string
}

// Tenant is what GET /tenants/{id} shows.
type Tenant struct {
	ID, Name, Region string
	// Hostnames: the system host name first, then the alias if there is one.
	Hostnames []string
	// Flags are the boolean settings that PATCH /tenants/{id} knows, by field
	// name. One that is not set has the default of tenants.json.
	Flags     map[string]bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Mail is an invitation that a real tenant would have e-mailed.
type Mail struct {
	Time     time.Time
	To, Name string
	// Language is the code that was used, "en" when another was not known.
	Language string
	UserID   string
	// Resent is true when the person had been invited before.
	Resent bool
}

// Call is one HTTP request as it was received, and what became of it.
type Call struct {
	// Seq counts from 1.
	Seq int
	// Time is when the request had been read; Duration until the answer.
	Time     time.Time
	Duration time.Duration
	Method   string
	// Path and Query are as sent, percent-encoded.
	Path, Query string
	// Operation is the method and path template of the description,
	// "PATCH /api/v1/users/{userId}"; empty for an unknown path.
	Operation string
	// ClientID is the OAuth client, when the request proved or named one.
	ClientID string
	// Body is the request's body. Secrets and tokens are replaced by "…".
	Body string
	// Status is the HTTP status answered. 0: no answer (yet, or dropped).
	Status int
	// Write is true for operations that can change the tenant.
	Write bool
	// Effect says whether the call has changed the tenant, and when.
	Effect   EffectState
	EffectAt time.Time
	// Changes are what it changed.
	Changes []Change
	// Fault describes the fault that was applied, if any.
	Fault string
	// Done is false while the call is still being held.
	Done bool
}

// EffectState says what a call did to the tenant.
type EffectState string

// The states of a call's effect.
const (
	EffectNone    EffectState = "none"    // nothing was changed
	EffectDone    EffectState = "done"    // the tenant was changed
	EffectPending EffectState = "pending" // it will land later (LateEffect)
)

// Change is one object that was created, updated or deleted.
type Change struct {
	// What is "created", "updated" or "deleted".
	What string
	// Resource is "user", "role", "group", "group settings", "space",
	// "space assignment", "entitlement", "licence", "identity providers",
	// "tenant", "token" or "mail".
	Resource string
	// ID of the object; empty for tokens.
	ID string
	// Name is what a person would call it.
	Name string
}

// Event is what a live page is told.
type Event struct {
	// Seq counts from 1 without gaps; a gap means that the subscriber was too
	// slow and has lost events.
	Seq  int
	Time time.Time
	// Call is set when a call has ended or its late effect has landed.
	Call *Call
	// Changes is set for changes, whether a call or the Go API made them.
	Changes []Change
	// Mail is set when an invitation was sent.
	Mail *Mail
}

// Always is a Fault.Count without end.
const Always = -1

// Fault makes matching calls go wrong. Its zero value refuses the next call of
// any kind with 500 and without effect. What happens to the tenant (Effect)
// and what the client sees (Answer) are independent:
//
//	{Effect: TakesEffect, Answer: Drop}            done, but the client never hears of it
//	{Effect: LateEffect, EffectDelay: time.Minute, Answer: Hang}
//	{Effect: NoEffect, Answer: Normal}             says done, is not
//	{Effect: TakesEffect, Answer: Normal, Delay: 30 * time.Second}
//
// Go's HTTP client repeats a GET by itself when a reused connection is
// dropped; count on more than one such call.
type Fault struct {
	// Operation says which calls: "METHOD path". METHOD may be "*". The path
	// is a template as in Call.Operation, or a path in which "*" stands for
	// one segment and a final "**" for any rest. Empty: every call.
	Operation string
	// Skip lets this many matching calls pass first.
	Skip int
	// Count is how many calls are hit: 0 means one, Always means all.
	Count int

	// Delay passes before anything else happens. A call that takes effect
	// does so after Delay even if its client has given up.
	Delay time.Duration
	// Effect says whether the call is carried out.
	Effect Effect
	// EffectDelay is how long after Delay a LateEffect lands.
	EffectDelay time.Duration
	// Hold passes between the effect and the answer.
	Hold time.Duration
	// Answer is what the client sees.
	Answer Answer
	// Status is the HTTP status for Refuse (default 500), HTML and Empty
	// (default 502).
	Status int
	// Code, Title and Detail fill Qlik's envelope for Refuse.
	Code, Title, Detail string
	// RetryAfter becomes the header, in whole seconds, rounded up.
	RetryAfter time.Duration
}

// Effect says what a fault leaves of the call's effect.
type Effect int

// The effects of a call that is hit by a fault.
const (
	NoEffect    Effect = iota // the call is not carried out
	TakesEffect               // the call is carried out as usual
	LateEffect                // it is carried out later, whatever was answered
)

// Answer says what the client of a call that is hit by a fault gets to see.
type Answer int

// The answers of a call that is hit by a fault.
const (
	Refuse    Answer = iota // Status with Qlik's envelope; 429 with the body of the rate limiter
	Normal                  // what the call itself answers
	HTML                    // a gateway's page
	Empty                   // Status without a body
	Garbage                 // 200 with something that is not JSON
	Truncated               // the usual answer, cut in the middle of its body
	Drop                    // the connection ends without an answer
	Hang                    // nothing until the client gives up
)

// ActiveFault is a fault that is still armed.
type ActiveFault struct {
	ID int
	Fault
	// Hits is how often it has been applied.
	Hits int
}
